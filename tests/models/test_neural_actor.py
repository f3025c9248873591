import zlib
from argparse import Namespace
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.images import psnr
from models.base_model import Phase
from models.neural_actor_losses import VggDistance, alpha_loss, colour_loss, mask_loss, squares, ssim_loss
from models.neural_actor_model import NeuralActorModel, factor_at_step
from models.neural_actor_networks import (
    Encoding,
    TextureEncoder,
    looked_up,
    parse_inputs,
    read_published,
)
from models.neural_actor_options import PRESETS, REFUSED, WITHOUT_EFFECT
from models.neural_actor_rendering import Actor
from models.parallel import frozen_statistics
from models.schedules import Progress
from options.test_options import TestOptions
from options.train_options import TrainOptions
from tests.golden_actor import GOLDEN, body, camera, figures, frame, image, options
from util.errors import UserError
from util.tensors import to_pixels
from vision.geometry.depth import depth_colours, normals_from_depth, shading
from vision.geometry.isosurface import as_ply, grid_points, isosurface
from vision.geometry.meshes import interpolated
from vision.geometry.nearest_surface import Surface, at
from vision.geometry.rays import mesh_hits, pixel_grid, pixel_rays, samples_along
from vision.geometry.volume import optical_thickness, rendered
from vision.people.skinning import local_coordinates, to_normalised


def close(found, expected, tolerance, relative=0.0):
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=relative)


def made_weights(seed, shapes):
    """Weights of the texture encoder by the recipe in the folder's README."""
    weights = {}
    for name, shape in shapes.items():
        a = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32).standard_normal(shape)
        if name.endswith("running_mean"):
            a = 0.1 * a
        elif name.endswith("running_var"):
            a = 1 + 0.5 * np.abs(a)
        elif name.endswith("num_batches_tracked"):
            a = np.zeros(shape)
        elif name.endswith("weight") and len(shape) == 1:
            a = 1 + 0.1 * a
        elif name.endswith("bias"):
            a = 0.05 * a
        else:
            a = a * 0.7 * np.sqrt(2 / np.prod(shape[1:]))
        kind = torch.int64 if name.endswith("num_batches_tracked") else torch.float32
        weights[name] = torch.as_tensor(np.asarray(a)).to(kind)
    return weights


@pytest.fixture(scope="module")
def encoder_weights():
    found = figures("encoder.pt")
    return made_weights(found["seed"], found["shapes"])


def actor_with(case, state, encoder_weights):
    actor = Actor(options(case))
    weights = {**state, **(encoder_weights if hasattr(actor.encoder, "texture_encoder") else {})}
    actor.load_state_dict(weights)
    return actor.eval()


def item_of(index, texture=True):
    pose = frame(index)
    return {"joints_RT": pose["joints_RT"], "rotation": pose["rotation"], "translation": pose["translation"],
            "joints": pose["joints_world"], "texture": 2 * image(f"dataroot/tex/{index:06d}.png") - 1}


def full_size():
    return image(str(next((GOLDEN / "dataroot" / "rgb").rglob("*.png")).relative_to(GOLDEN))).shape[-2:]


def test_encodings_are_as_published():
    found = figures("encoding.pt")
    for case in found["cases"]:
        encoding = Encoding(case["octaves"], case["type"], not case["no_mul_pi"])
        close(encoding.emb, case["frequencies"], 1e-6)
        close(encoding(found["x"]), case["y"], 2e-5)
    close(Encoding(found["two_dims"]["octaves"])(found["two_dims"]["x"]), found["two_dims"]["y"], 2e-5)


def test_input_specifications_are_read_as_published():
    for text, case in figures("encoding.pt")["specifications"].items():
        inputs = parse_inputs(text)
        assert [entry.name for entry in inputs] == case["names"]
        assert [entry.dim for entry in inputs] == case["input_dims"]
        assert [entry.width for entry in inputs] == case["output_dims"]


@pytest.mark.parametrize("text", ["pos:x", "pos:6:3:c", ":6", "pos:-1", "pos:6:0", "pos:1:2:b:3"])
def test_a_wrong_specification_is_told(text):
    with pytest.raises(UserError, match="name:octaves:dim:type"):
        parse_inputs(text)


def test_the_textures_colour_is_as_published():
    for case in figures("nearest.pt"):
        texture = image(f"dataroot/tex/{case['frame']:06d}.png")
        free = ~case["tied"]
        close(looked_up(texture, case["uv"])[free], case["texture_rgb"][free], 1e-5)
    case = figures("encoder.pt")["lookup"]
    close(looked_up(case["image_map"], case["uv"]), case["features"], 1e-5)


def test_the_texture_encoder_is_as_published(encoder_weights):
    found = figures("encoder.pt")
    texture = image(found["image_file"])[None]
    prefix = "encoder.texture_encoder."
    for layers, case in found["layers"].items():
        encoder = TextureEncoder(layers, pretrained=False)
        encoder.load_state_dict({name.removeprefix(prefix): value for name, value in encoder_weights.items()})
        features = encoder.eval()(texture)[0].detach()
        assert list(features.shape) == case["shape"]
        close(features[::16], case["eval"], 1e-3)
        close(features.mean((1, 2)), case["mean"], 1e-3)
    encoder = TextureEncoder(4, pretrained=False)
    encoder.load_state_dict({name.removeprefix(prefix): value for name, value in encoder_weights.items()})
    features = encoder.train()(texture)[0].detach()
    close(features[::16], found["train"], 1e-3)
    close(features.mean((1, 2)), found["train_mean"], 1e-3)
    close(encoder.model.bn1.running_mean, found["bn1_running_mean_after"], 1e-4)
    close(encoder.model.bn1.running_var, found["bn1_running_var_after"], 1e-4)


def test_the_field_is_as_published(encoder_weights):
    case = figures("field.pt")
    actor = actor_with(case, case["state_dict"], encoder_weights)
    with torch.no_grad():
        close(actor.field.feature(case["inputs"]), case["feature"], 1e-4)
        density, colour = actor.field(case["inputs"])
        close(density, case["sigma"], 1e-4)
        close(colour, case["colour"], 1e-4)
        close(actor.encoder.code(case["local_coordinate"]), case["attnout_of_local"], 1e-4)
        residual = actor.encoder.residual(case["inputs"]["attnout"], case["inputs"]["texture"])
        close(residual, case["residual_of_inputs"], 1e-4)


def test_compositing_is_as_published():
    found = figures("compositing.pt")
    for name, noise in (("plain", 0.0), ("with_noise", found["noise"])):
        thickness = optical_thickness(found["sigma"], found["length"], noise)
        seen = rendered(thickness, found["colour"], found["depth"])
        for ours, theirs in zip(seen, ("probs", "colors", "depths", "missed")):
            close(ours, found[name][theirs], 1e-5)


def test_losses_are_as_published():
    found = figures("losses.pt")
    for case in found["cases"]:
        colour = colour_loss(found["predicted"], found["target"], case["L1"])
        loss, terms = case["color_weight"] * colour, {"color_loss": colour}
        if not case["as_released"]:
            terms["alpha_loss"] = alpha_loss(found["missed"])
            loss = loss + case["alpha_weight"] * terms["alpha_loss"]
        close(terms, {name: torch.tensor(term) for name, term in case["terms"].items()}, 1e-5)
        close(loss, torch.tensor(case["loss"]), 1e-5)


@pytest.mark.parametrize("name", figures("render.pt"))
def test_renders_are_as_published(name, encoder_weights):
    case = figures("render.pt")[name]
    actor = actor_with(case, case["state_dict"], encoder_weights)
    intrinsics, pose = camera(case["view"])
    origins, directions = pixel_rays(pixel_grid((case["height"], case["width"]), full_size()), intrinsics, pose)
    canonical = case["options"].get("canonical_pose", True)
    with torch.no_grad():
        scene = actor.frame(body(canonical), item_of(case["frame"]))
        found = actor.render(scene, {"rays_o": origins, "rays_d": directions})
    stable, hit = case["stable"], case["missed"] < 1
    for key in ("colour", "missed", *(key for key in case if key.startswith("coarse_"))):
        error = (found[key] - case[key]).abs().view(len(hit), -1).amax(-1)
        assert error[stable].max() < 2e-2 and error[stable].quantile(0.95) < 2e-3, key
        assert error[hit].median() < 1e-4, key
    error = (found["colour"] - case["colour"]).abs().amax(-1)[hit]
    other = case["other_tie_rule"]  # how far off one is where other faces are taken among equally near ones
    assert (error < 1e-3).float().mean() >= other["share_of_hit_pixels_within_1e3"] - 0.03
    assert error.median() < other["median"] + 1e-4 and error.quantile(0.9) < other["p90"] + 2e-3
    assert error.max() < other["max"] + 2e-2
    assert (found["depth"] - case["depth"]).abs()[stable].quantile(0.95) < 2e-3
    points = (origins + found["depth"][:, None] * directions).view(case["height"], case["width"], 3)
    normals = normals_from_depth(points @ pose[:3, :3])
    shown = normals.clamp(-1, 1) / 2 + 0.5
    assert ((shown - case["normal_image"]).abs().amax(-1) < 1e-2).float().mean() > 0.97
    assert (shown - case["normal_image"]).abs().amax(-1).flatten()[hit].median() < 1e-3
    if "samples" in case:
        samples = case["samples"]
        start, towards = origins[samples["pixel"]], directions[samples["pixel"]]
        near, far, passes = actor.bounds(scene, origins, directions)
        assert torch.equal(passes.nonzero()[:, 0], samples["pixel"])
        for ours, theirs in zip(samples_along(near[passes], far[passes], actor.opt.fixed_num_samples),
                                ("depth", "length")):
            close(ours, samples[theirs], 1e-3)
        close(start[:, None] + samples["depth"][..., None] * towards[:, None], samples["xyz"], 1e-5)
        points = samples["xyz"].flatten(0, 1)
        rays = towards[:, None].expand_as(samples["xyz"]).flatten(0, 1)
        normalised = to_normalised(points, scene.rotation, scene.translation)
        where = at(normalised, scene.surface.vertices, scene.body.faces, samples["face"].flatten(),
                   samples["barycentric"].flatten(0, 1))
        local, _ = local_coordinates(scene.body, scene.surface.vertices, normalised, where)
        close(local, samples["local_coordinate"].flatten(0, 1), 1e-4)
        with torch.no_grad():
            values = actor.values(scene, points, rays, samples["face"].flatten(), samples["barycentric"].flatten(0, 1))
            density, colour = actor.field(values)
        for key in (key for key in ("attnout", "pos", "texture") if samples[key] is not None):
            close(values[key], samples[key].flatten(0, 1), 1e-3)
        close(colour, samples["colour"].flatten(0, 1), 1e-3)
        close(density, samples["sigma"].flatten(), 1e-3 * float(samples["sigma"].abs().max()))


FAST = ("--model", "neural_actor", "--dataroot", str(GOLDEN / "dataroot"), "--gpu_ids", "-1", "--preset", "fast")


def seen_by_a_fast_actor(*arguments):
    """What a camera sees of the golden actor before anything is learned, and the frame."""
    torch.manual_seed(0)
    actor = Actor(TrainOptions().parse([*FAST, *arguments]), len(body().vertices)).eval()
    size = full_size()
    rays = pixel_rays(4 * pixel_grid((size[0] // 4, size[1] // 4)), *camera(0))
    with torch.no_grad():
        scene = actor.frame(body(), item_of(0))
        return actor.render(scene, dict(zip(("rays_o", "rays_d"), rays))), scene, rays


def test_a_fast_actor_begins_as_the_body_with_its_texture():
    seen, scene, rays = seen_by_a_fast_actor("--fixed_num_samples", "48", "--nearest_surface", "exact")
    face, depth, place = mesh_hits(*rays, scene.vertices, scene.body.faces)
    hit, free = face >= 0, seen["missed"] == 1
    assert 0.01 < hit.float().mean() < 0.5 and seen["missed"][hit].quantile(0.9) < 0.05
    assert not (hit & free).any()
    away = depth - seen["depth"]  # the surface begins half a centimetre above the skin
    assert 0 < away[hit].median() < 0.02
    texture = looked_up(scene.texture, interpolated(scene.body.face_uv, face[hit], place[hit]))
    assert (seen["colour"][hit] - texture).abs().mean() < 0.1


def test_what_lies_deep_under_the_skin_need_not_be_sampled():
    quick, _, _ = seen_by_a_fast_actor()
    exact, _, _ = seen_by_a_fast_actor("--nearest_surface", "exact", "--skin_depth", "0", "--fixed_num_samples", "96")
    error = (quick["colour"] - exact["colour"]).abs().amax(-1)[exact["missed"] < 1]
    assert error.median() < 0.02 and error.mean() < 0.05
    assert (quick["missed"] - exact["missed"]).abs().mean() < 0.01


def test_where_pieces_of_rays_are_long_the_skin_at_their_front_is_seen(monkeypatch):
    monkeypatch.setattr("models.neural_actor_rendering.PIECES", 4)
    seen, scene, rays = seen_by_a_fast_actor("--fixed_num_samples", "48", "--nearest_surface", "exact")
    hit = mesh_hits(*rays, scene.vertices, scene.body.faces)[0] >= 0
    assert seen["missed"][hit].mean() < 0.005


@pytest.mark.parametrize("arguments, budget", [((), 600), (("--max_update", "20"), None), (("--n_epochs", "2"), None),
                                               (("--budget", "3s"), 3)])
def test_the_fast_preset_has_a_budget_unless_its_length_is_given(arguments, budget):
    opt = TrainOptions().parse([*FAST, *arguments])
    assert (opt.budget, opt.nearest_surface, opt.lr) == (budget, "quick", PRESETS["fast"]["lr"])
    assert opt.preset == "fast" and TrainOptions().parse([*FAST[:-2]]).preset == "published"


def test_the_learning_rate_may_fall_over_the_whole_training():
    model = NeuralActorModel(TrainOptions().parse([*FAST, "--decay_rate", "0.01"]))
    model.start_phase(Phase("training", model.opt, range(1, 2)))
    rates = []
    for step in (0, 1, 50, 100):
        model.set_learning_rates(Progress(1, step, 100))
        rates.append(model.optimizers["actor"].param_groups[0]["lr"] / model.opt.lr)
    close(torch.tensor(rates), torch.tensor([0, 0.01**0.01, 0.1, 0.01]), 1e-9)


def test_a_mesh_of_a_fast_actor_is_the_body():
    opt = TrainOptions().parse([*FAST])
    model = NeuralActorModel(Namespace(**vars(opt), mesh_resolution=48, mesh_level=50.0))
    vertices, _ = model.mesh({name: value[None] for name, value in item_of(0).items()})
    scene = model.actor.frame(body(), item_of(0))
    points = to_normalised(torch.from_numpy(vertices).float(), scene.rotation, scene.translation)
    _, away, _ = Surface(scene.surface.vertices, scene.body.faces).heights(points, 1)
    assert away.median() < 0.02


def test_names_and_shapes_of_the_recipe_are_as_published():
    found = figures("state_dict_shapes.json")
    actor = Actor(options())
    shapes = {name: list(tensor.shape) for name, tensor in actor.state_dict().items()}
    assert shapes == found["recipe"]
    counts = {name: sum(p.numel() for p in module.parameters()) for name, module in {
        "attn": actor.encoder.merge_joint_field, "residual": actor.encoder.skinning_deform,
        "feature": actor.field.feature_field, "density": actor.field.predictor, "colour": actor.field.renderer,
        "resnet34": actor.encoder.texture_encoder,
        "resnet34_layer4": actor.encoder.texture_encoder.model.layer4}.items()}
    counts["total"] = sum(p.numel() for p in actor.parameters()) - actor.background.numel()
    trained_there = {name for name, _ in actor.named_parameters()} - {"field.bg_color.bg_color"}
    counts["frozen"] = sum(value.numel() for name, value in actor.state_dict().items() if name not in trained_there
                           and not name.startswith("encoder.texture_encoder."))
    assert counts == found["counts"]


@pytest.mark.parametrize("case", figures("schedule.json"), ids=str)
def test_the_learning_rate_is_as_published(case):
    for step, rate in case["values"].items():
        first = max(case["warmup_init_lr"], 0) / case["lr"]
        factor = factor_at_step(int(step), case["warmup_updates"], first, case["decay_rate"], case["decay_steps"])
        assert abs(case["lr"] * factor - rate) < 1e-9


def training_batch(step, model, faces_given):
    """The batch of a recorded step, with all that was drawn; what hit rays had is put at their places."""
    pose = item_of(step["frame"])
    origins, directions, wanted = [], [], []
    for view, pixels in zip(step["views"], step["pixels_xy"]):
        intrinsics, camera_to_world = camera(view)
        start, ray = pixel_rays(pixels.T, intrinsics, camera_to_world)
        origins.append(start)
        directions.append(ray)
        wanted.append(colours_of(step["frame"], view, model.opt, pixels))
    batch = {**pose, "rays_o": torch.cat(origins), "rays_d": torch.cat(directions), "rgb": torch.cat(wanted)}
    with frozen_statistics(model.actor):
        hit = model.actor.bounds(model.actor.frame(model.body, batch), batch["rays_o"], batch["rays_d"])[2]
    assert int(hit.sum()) == step["hit_count"]
    names = {"jitter": "jitter", "sigma_noise": "density_noise"}
    names |= {"face": "face", "barycentric": "barycentric"} if faces_given else {}
    for theirs, ours in names.items():
        if theirs in step:
            values = step[theirs].long() if theirs == "face" else step[theirs]
            batch[ours] = values.new_zeros(len(hit), *values.shape[1:]).index_put((hit,), values)
    return {name: value[None] for name, value in batch.items()}


def colours_of(index, view, opt, pixels):
    """Colours of a photograph, as reduced for training, at pixels [2, n] of the original."""
    case = figures("training.pt")["plain"]["options"]["view-resolution"]
    height, width = (int(side) for side in case.split("x"))
    folder = sorted((GOLDEN / "dataroot" / "rgb").iterdir())[index]
    rgba = np.asarray(Image.open(sorted(folder.iterdir())[view]).convert("RGBA"), dtype=np.float32) / 255
    full = rgba.shape
    rgba = cv2.resize(rgba, (width, height), interpolation=cv2.INTER_AREA)
    colour = rgba[..., :3] * 2 - 1
    colour = colour * rgba[..., 3:] + 1 * (1 - rgba[..., 3:])
    x, y = pixels.long()
    return torch.from_numpy(colour[y.numpy() // (full[0] // height), x.numpy() // (full[1] // width)]).float()


@pytest.mark.parametrize("faces_given", [True, False], ids=["given faces", "own faces"])
@pytest.mark.parametrize("name", figures("training.pt"))
def test_training_is_as_published(name, faces_given, encoder_weights, monkeypatch):
    case = figures("training.pt")[name]
    model = NeuralActorModel(options(case))
    with_encoder = hasattr(model.actor.encoder, "texture_encoder")
    model.actor.load_state_dict({**case["initial"], **(encoder_weights if with_encoder else {})})
    model.start_phase(Phase("training", model.opt, range(1, 2)))
    model.set_mode(training=True)
    of_losses, shown = model.losses, []
    for number, step in enumerate(case["steps"]):
        model.set_learning_rates(Progress(1, number, len(case["steps"])))
        assert abs(model.optimizers["actor"].param_groups[0]["lr"] - step["lr"]) < 1e-9
        with monkeypatch.context() as patch:
            patch.setattr(model, "losses", lambda seen, wanted: (shown.append(seen), of_losses(seen, wanted))[1])
            losses = model.optimize_parameters(training_batch(step, model, faces_given))
        for name, last in (("colour", (3,)), ("missed", ())):
            error = (shown[-1][name].detach().view(-1, *last) - step[name].view(-1, *last)).abs()
            assert error.median() < 1e-3 and error.quantile(0.9) < 2e-3, name
            assert error.max() < (1e-2 if faces_given else 0.1), name
        close(losses["total"], torch.tensor(step["loss"]), 0, 1e-3 if faces_given else 4e-2)
        gradients = [parameter.grad.norm() for parameter in model.actor.parameters() if parameter.grad is not None]
        norm = torch.stack(gradients).norm()
        close(norm, torch.tensor(step["gradient_norm"]), 0, 2e-2 if faces_given else 0.2)
    final = {**case["final"], **case.get("final_encoder", {})}
    weights = model.actor.state_dict()
    for key, value in final.items():
        close(weights[key], value, 3e-3 if faces_given else 1e-2, 1e-3)


def published_options():
    groups = figures("options.json")["options"]
    return [(group, name, case) for group, cases in groups.items() for name, case in cases.items()]


def command_of(group):
    return ["--model", "neural_actor", "--dataroot", "nowhere", "--gpu_ids", "-1",
            *([] if group == "render" else ["--arch", "joint_nerf_coarse"])]


@cache
def plain_options(group):
    return (TestOptions() if group == "render" else TrainOptions()).parse(command_of(group))


@pytest.mark.parametrize("group, name, case", published_options(), ids=lambda value: value if "--" in value else "")
def test_a_published_option_is_taken_or_refused_with_a_sentence(group, name, case):
    """With its published default, where the architecture or the option's own says one."""
    program, command = TestOptions() if group == "render" else TrainOptions(), command_of(group)
    default, choices = case["default"], [choice for choice in case["choices"] or [] if choice != case["default"]]
    value = default if default is not None else choices[0] if choices else {"int": 1, "float": 2.0}.get(case["kind"])
    value = VALUES.get(name, "0..2" if value is None else value)
    given = [name] if case["kind"] == "flag" else [name, *map(str, value if isinstance(value, list) else [value])]
    ours = name[2:].replace("-", "_")
    if ours in REFUSED:
        given = [name] if case["kind"] == "flag" else [name, "0.5"]
        with pytest.raises(UserError, match=f"--{ours}: not in this program; .{{10}}"):
            program.parse(command + given)
        return
    opt = program.parse(command + given)
    if ours not in WITHOUT_EFFECT and hasattr(opt, ours) and case["kind"] == "flag":
        assert getattr(opt, ours) is True
    plain = plain_options(group)
    if case["kind"] != "flag" and default is not None and hasattr(plain, ours) and name not in OTHER_DEFAULTS:
        shown = getattr(plain, ours)
        assert shown == default or str(shown) == str(default) or float(shown) == float(default)


VALUES = {"--start-end": "0,2", "--inputs-to-density": "pos:6:3", "--inputs-to-texture": "feat:0:256,ray:4:3:b",
          "--render-views": "0"}
OTHER_DEFAULTS = {"--transparent-background", "--valid-views", "--test-views", "--render-path-style",
                  "--render-num-frames", "--render-output-types", "--view-per-batch"}
"""Options whose defaults here are others: docs/neural_actor/model.md says why."""


@pytest.mark.parametrize("name", figures("options.json")["architectures"])
def test_an_architecture_has_the_published_values(name):
    opt = TrainOptions().parse(["--model", "neural_actor", "--dataroot", "nowhere", "--gpu_ids", "-1", "--arch", name])
    for option, value in figures("options.json")["architectures"][name].items():
        found = getattr(opt, option, value)
        assert (found.replace(" ", "") == value.replace(" ", "")) if isinstance(value, str) else found == value, option


def test_similarity_is_as_published():
    case = figures("images.pt")["metrics"]
    one, other = (case[name].permute(2, 0, 1)[None] / 255 for name in ("a", "b"))
    close(1 - ssim_loss(one, other), torch.tensor(case["ssim"]), 1e-5)
    assert abs(psnr(float((one - other).square().mean())) - case["psnr"]) < 1e-4


def test_a_mask_tells_a_surface_of_the_backgrounds_colour_from_nothing():
    white, nothing, alpha = torch.zeros(1, 8), torch.ones(1, 8), torch.zeros(1, 8)
    assert mask_loss(nothing, alpha) == 0 and mask_loss(white, alpha) == 1
    assert mask_loss(1 - alpha.fill_(0.3), alpha) == 0


def test_squares_of_rays_are_pictures():
    picture = torch.arange(2 * 3 * 3 * 3.0).view(2, 3, 3, 3)
    assert torch.equal(squares(picture.flatten(0, 2), 3), picture.permute(0, 3, 1, 2))


def test_the_perceptual_distance_has_gradients_and_is_nothing_for_the_same():
    distance = VggDistance(2, pretrained=False)
    one, other = torch.rand(2, 1, 3, 16, 16, requires_grad=True).unbind(0)
    assert distance(one, one.detach()).detach() == 0
    gradient, = torch.autograd.grad(distance(one, other.detach()), one)
    assert gradient.abs().sum() > 0


def test_frozen_batch_normalisation_keeps_its_statistics():
    encoder = TextureEncoder(1, pretrained=False, frozen_statistics=True).train()
    encoder(torch.rand(1, 3, 16, 16))
    assert float(encoder.model.bn1.running_mean.abs().sum()) == 0 and not encoder.model.bn1.training


def test_normals_and_pictures_of_depth_are_as_published():
    found = figures("images.pt")
    case = found["normals"]
    pose, shape = case["camera_to_world"], (case["height"], case["width"], 3)
    close(pixel_grid(shape[:2]), case["uv"].T, 1e-6)
    close(pixel_rays(case["uv"].T, case["intrinsics"], pose)[1], case["direction"], 1e-6)
    points = pose[:3, 3] + case["depth"][:, None] * case["direction"]
    in_camera = ((points - pose[:3, 3]) @ pose[:3, :3]).view(shape)
    normals = normals_from_depth(in_camera)
    close(normals, case["normal"].view(shape), 1e-5)
    close(shading(normals, in_camera).flatten(), case["shading"], 1e-5)
    pictures = found["recover"]
    share = pictures["values"][:, :1].T[:, None]
    jet = depth_colours(share, -1, 1)[:, 0].T / 2 + 0.5
    close(jet.view_as(pictures["depth_jet"]), pictures["depth_jet"], 1e-5)


def test_colours_become_pictures_as_published():
    case = figures("images.pt")["recover"]
    for name, in_our_range in (("from_minus_one", case["values"]), ("from_zero", 2 * case["values"] - 1)):
        expected = case[name]
        pixels = to_pixels(in_our_range.reshape(expected.shape).permute(2, 0, 1))
        close(torch.from_numpy(pixels).float(), 255 * expected, 0.5 + 1e-3)


def test_densities_and_their_surface_are_as_published(encoder_weights):
    case = figures("mesh.pt")
    actor = actor_with(case, case["state_dict"], encoder_weights)
    lower, upper, expected = case["lower"].numpy(), case["upper"].numpy(), case["density_yxz"].permute(1, 0, 2)
    with torch.no_grad():
        scene = actor.frame(body(), item_of(case["frame"]))
    close(scene.vertices.amin(0) - case["margin"], case["lower"], 1e-5)
    points = torch.from_numpy(grid_points(lower, upper, case["resolution"]))
    densities = actor.densities(scene, points.view(-1, 3)).view(points.shape[:3])
    error = (densities - expected).abs() / (expected.max() - expected.min())
    assert (error < 1e-2).float().mean() > 0.94
    vertices, faces = isosurface(expected.numpy(), case["level"], lower, upper)
    close(torch.from_numpy(vertices), case["vertices"], 1e-5)
    assert np.array_equal(faces, case["faces"])
    assert as_ply(vertices, faces).count("\n") == 9 + len(vertices) + len(faces)


def test_chunks_and_tolerance_make_no_difference_where_they_should_not(encoder_weights):
    case = figures("render.pt")["base"]
    actor = actor_with(case, case["state_dict"], encoder_weights)
    intrinsics, pose = camera(case["view"])
    origins, directions = pixel_rays(pixel_grid((case["height"], case["width"]), full_size()), intrinsics, pose)
    rays = {"rays_o": origins, "rays_d": directions}
    with torch.no_grad():
        scene = actor.frame(body(), item_of(case["frame"]))
        whole, again = (actor.render(scene, rays) for _ in range(2))
        parts = [actor.render(scene, {name: ray[i:i + 37] for name, ray in rays.items()})
                 for i in range(0, len(origins), 37)]
        away = actor.render(scene, {"rays_o": origins, "rays_d": -directions})
    for name, values in whole.items():
        assert torch.equal(values, again[name])
        close(torch.cat([part[name] for part in parts]), values, 1e-6)
    assert (away["colour"] == actor.background).all() and (away["missed"] == 1).all()


def test_before_training_the_residual_is_zero_and_learns_at_once():
    model = NeuralActorModel(options(figures("training.pt")["plain"]))
    step = figures("training.pt")["plain"]["steps"][0]
    model.start_phase(Phase("training", model.opt, range(1, 2)))
    code, texture = torch.rand(5, model.opt.joint_feature_dim), torch.rand(5, 3)
    assert (model.actor.encoder.residual(code, texture) == 0).all()
    model.set_learning_rates(Progress(1))
    before = {name: value.clone() for name, value in model.actor.state_dict().items()}
    model.optimize_parameters(training_batch(step, model, True))
    assert model.actor.encoder.skinning_deform.net[-1].weight.grad.abs().sum() > 0
    for name, value in model.actor.state_dict().items():
        assert torch.equal(value, before[name]), "the first step has a learning rate of 0"


def test_a_released_checkpoint_loads_without_its_mesh(tmp_path):
    case = figures("training.pt")["plain"]
    model = NeuralActorModel(options(case))
    mesh = {f"encoder.{name}": getattr(model.body, name) for name in ("vertices", "faces", "face_uv", "weights")}
    path = tmp_path / "checkpoint_last.pt"
    torch.save({"args": Namespace(arch="joint_nerf_coarse"), "model": {**case["initial"], **mesh}}, path)
    weights, arguments = read_published(path)
    model.actor.load_state_dict(weights)
    assert arguments.arch == "joint_nerf_coarse"
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        read_published(path)


@pytest.mark.parametrize("change, message", [
    ({"inputs_to_texture": "pos:0:3"}, "begins with 'pos'"), ({"inputs_to_density": "voxel:0:3"}, "found 'voxel'"),
    ({"inputs_to_texture": "feat:0:32,texture:0:512"}, "texture:0:3"), ({"transparent_background": "2"}, "in .0, 1"),
    ({"disable_texture": True}, "disable_texture")])
def test_options_that_do_not_fit_are_told(change, message):
    opt = options(figures("training.pt")["plain"])
    with pytest.raises(UserError, match=message):
        Actor(Namespace(**{**vars(opt), **change}))
