"""Nothing in the golden folder of Neural Actor is passed over: what no test compares is an error here."""

import re

import pytest

from tests.golden_actor import GOLDEN, figures

FIELDS = {
    "body.pt": "vertices|faces|face_uv|weights|canonical_joints_RT|frames/[]/(frame|joints_RT|rotation|translation"
               "|vertices_normalised|vertices_world|joints_normalised|sphere_centre|sphere_radius|pose_with_root)",
    "camera_forms.pt": "*/(kind|matrix)",
    "compositing.pt": "sigma|colour|length|depth|noise|(plain|with_noise)/(probs|depths|missed|colors)",
    "dataset.pt": "*/dataroot|*/options/(views|resolution|background|min_color|start_end|subsample)"
                  "|*/items/[]/(frame|position_in_views|file|uv|colors|alpha|size|intrinsics|camera_to_world|tex|joints"
                  "|joints_RT|rotation|translation|pose)",
    "encoder.pt": "seed|shapes/*|image_file|layers/*/(shape|eval|mean)|train|train_mean|bn1_running_(mean|var)_after"
                  "|lookup/(image_map|uv|features)",
    "encoding.pt": "x|two_dims/(x|octaves|y)|cases/[]/(octaves|type|no_mul_pi|y|frequencies)"
                   "|specifications/*/(names|input_dims|output_dims)",
    "field.pt": "options/*|state_dict/*|inputs/(pos|attnout|texture|ray)|feature|sigma|colour|local_coordinate"
                "|attnout_of_local|residual_of_inputs",
    "images.pt": "normals/(intrinsics|camera_to_world|height|width|uv|direction|depth|normal|shading)"
                 "|recover/(values|from_minus_one|from_zero|depth_jet)|metrics/(a|b|psnr|ssim)"
                 "|score_crop/(target_size|content_rows|content_columns|cases/*)",
    "losses.pt": "predicted|target|missed"
                 "|cases/[]/(L1|color_weight|alpha_weight|as_released|loss|terms/(color_loss|alpha_loss))",
    "maps.pt": "resolution|covered|interior|face|barycentric|vertex_normals_world|normal_files"
               "|bake/(frame|photos|intrinsics|camera_to_world|vertices_world|baked|true_texture)",
    "mesh.pt": "options/*|state_dict/*|frame|resolution|margin|level|lower|upper|density_yxz|vertices|faces",
    "nearest.pt": "[]/(frame|points_world|points_normalised|squared_distance|face|barycentric|nearest|uv|tied"
                  "|distance_float64|local_coordinate|weights|rest|canonical|texture_rgb)",
    "options.json": "architectures/*/*|options/*/*/(default|kind|choices|dead)",
    "pixels.pt": "[]/(name|mask|pixels|drawn_shape|frequency|first_draw_xy|seed)|[]/options/(uniform_sampling"
                 "|sampling_(on_mask|at_center|on_bbox|patch_size|skipping_size))",
    "rays.pt": "[]/(frame|view|resolution|size|intrinsics|camera_to_world|uv|origin|direction|(hit|near|far)(_float64)?"
               "|mesh_(hit|depth|face|barycentric|colour_as_released))",
    "render.pt": "*/(arch|options/*|state_dict/*|frame|view|height|width|colour|depth|missed|normal_image|stable"
                 "|coarse_(colour|missed))|*/other_tie_rule/(share_of_hit_pixels_within_1e3|median|p90|max)"
                 "|*/samples/(pixel|depth|length|xyz|local_coordinate|texture|face|barycentric|attnout|pos|sigma|colour)",
    "samples.pt": "K*/(samples|near|far|jitter|depth_(eval|train)|length_(eval|train))"
                  "|fine(_reduced)?/(bin_depth|bin_length|coarse_probability|steps|depth_eval|length_eval|valid)",
    "schedule.json": "[]/(lr|warmup_updates|warmup_init_lr|decay_rate|decay_steps|values/*)",
    "state_dict_shapes.json": "recipe/*|counts/*",
    "training.pt": "*/(options|initial|final|final_encoder)/*|*/steps/[]/(frame|views|lr|pixels_xy|jitter|sigma_noise"
                   "|face|barycentric|loss|colour|missed|hit_count|gradient_norm)",
    "trajectories.json": "[]/(style|args/*|at|up|angular_speed|step|camera_to_world)",
    "views.json": "*",
}
"""What tests compare of each file; `*`: a name of a dictionary, whatever it is; `[]`: each entry of a list."""
FOLDERS = {"dataroot", "dataroot_forms", "camera_forms", "bake"}


def fields(content, path=""):
    """Paths of all values that are no dictionaries, nor lists of them."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from fields(value, f"{path}/{name}")
    elif isinstance(content, list) and content and isinstance(content[0], dict):
        for value in content:
            yield from fields(value, f"{path}/[]")
    else:
        yield path[1:]


def test_the_folder_holds_nothing_that_tests_do_not_know():
    assert {path.name for path in GOLDEN.iterdir() if path.suffix != ".md"} == {*FIELDS, *FOLDERS}


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_of_each_entry_is_compared(name):
    known = re.compile(FIELDS[name].replace("[]", r"\[\]").replace("*", "[^/]*"))
    unknown = {field for field in fields(figures(name)) if not known.fullmatch(field)}
    assert not unknown, f"{name}: no test compares {sorted(unknown)}"
