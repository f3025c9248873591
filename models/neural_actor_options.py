"""Options of Neural Actor, under their published names; those of its data are in data/actor_dataset.py."""

import argparse
from argparse import ArgumentTypeError

from util.command_line import float_at_least, int_at_least
from util.errors import UserError

ARCHITECTURE = {
    "use_texture_encoder": False, "texture_to_deformation": False, "use_local_coordinate": False,
    "additional_deform": "none", "background_stop_gradient": False, "min_dis_eps": 0.15, "fixed_num_samples": 80,
    "texture_layers": 1, "inputs_to_texture": "feat:0:256,attnout:0:256,ray:4:3:b", "warmup_updates": 4000,
    "decay_steps": 200000, "color_weight": 256.0, "alpha_weight": 0.0, "pixel_per_view": 2048,
    "view_per_batch": 6, "view_resolution": "64x64", "train_views": "0..50"}
"""What the published program's own defaults for its architectures differ in from the recipe."""

PRESETS: dict[str, dict] = {
    "published": {},
    "recipe": {},
    "fast": {
        "nearest_surface": "quick", "skin_depth": 0.025, "fixed_num_samples": 12, "begin_with_body": True,
        "begin_with_texture": True, "additional_deform": "none", "texture_to_deformation": False,
        "use_texture_encoder": False, "inputs_to_density": "skin:0:16,height:3:1:b,texture:0:3",
        "inputs_to_texture": "feat:0:64,height:3:1:b,texture:0:3,ray:2:3:b", "feature_layers": 0, "texture_layers": 0,
        "feature_embed_dim": 64, "density_embed_dim": 32, "texture_embed_dim": 64, "lr": 0.01, "decay_rate": 0.03,
        "decay_steps": 0, "virtual_epoch_steps": 50, "n_epochs": 100, "budget": "10m"},
    "joint_nerf_coarse": ARCHITECTURE,
    "joint_nerf": ARCHITECTURE | {"fixed_num_samples": 40, "fixed_fine_num_samples": 120,
                                  "hierarchical_sampling": True, "use_fine_model": True},
    "joint_nerf_baseline": ARCHITECTURE,
    "joint_nerf_direct": ARCHITECTURE | {"disable_projection": True, "inputs_to_density": "attnout:0:256",
                                         "inputs_to_texture": "feat:0:256,ray:4:3:b"},
}
"""What --preset, or --arch, chooses from: the published recipe under two names, a field that is learned in minutes
(docs/neural_actor/presets.md), or the published program's own defaults."""


def add_options(parser, is_train: bool) -> None:
    """Add all: the values are those of the published recipe."""
    add_body_options(parser)
    add_field_options(parser)
    parser.also(arch="preset", max_sentences="batch_size", num_workers="num_threads", log_interval="print_freq",
                render_output="results_dir")
    if is_train:
        add_training_options(parser)
    else:
        add_rendering_options(parser)
    add_published_without_effect(parser)


def add_training_options(parser) -> None:
    """Add losses, and how the learning rate falls."""
    parser.set_defaults(batch_statistics="per_process", seed=2)
    group = parser.add_argument_group("neural actor: training")
    group.add_argument("--warmup_updates", type=int_at_least(0), default=1, metavar="N",
                       help="steps in which the learning rate rises; the first is made with --warmup_init_lr")
    group.add_argument("--warmup_init_lr", type=float, default=-1, metavar="RATE",
                       help="where it rises from; less than 0: from 0")
    group.add_argument("--decay_rate", type=float_at_least(0), default=0.1, metavar="FACTOR",
                       help="what the learning rate falls to in --decay_steps steps")
    group.add_argument("--decay_steps", type=float_at_least(0), default=250000, metavar="N",
                       help="see --decay_rate; 0: as many as the training has")
    group.add_argument("--adam_betas", type=pair, default=(0.9, 0.999), metavar="B1,B2", help="of Adam")
    group.add_argument("--adam_eps", type=float_at_least(0), default=1e-8, metavar="EPS", help="of Adam")
    group.add_argument("--clip_norm", type=float_at_least(0), default=0, metavar="NORM",
                       help="longest gradient; 0: any")
    group.add_argument("--color_weight", type=float_at_least(0), default=1, metavar="W",
                       help="weight of the colours' error")
    group.add_argument("--L1", action="store_true", help="take its absolute values, not its squares")
    group.add_argument("--alpha_weight", type=float_at_least(0), default=0.01, metavar="W",
                       help="weight of the alpha term, with --alpha_loss")
    group.add_argument("--mask_weight", type=float_at_least(0), default=0.0, metavar="W",
                       help="weight, beside that of colours, of photographs' alpha: rays beside the person must go "
                            "through, where else they might end on a surface of the background's colour")
    group.add_argument("--alpha_loss", action="store_true",
                       help="count the alpha term, which the published program leaves out by mistake")
    group.add_argument("--ssim_weight", type=float_at_least(0), default=0, metavar="W",
                       help="weight of 1 - SSIM of squares, with --sampling_patch_size 7 or more")
    group.add_argument("--vgg_weight", type=float_at_least(0), default=0, metavar="W",
                       help="weight of squared errors in VGG-16's features, with --sampling_patch_size 16 or more")
    group.add_argument("--vgg_level", type=int, default=2, choices=(1, 2, 3, 4), metavar="N",
                       help="which of its features: relu1_2, relu2_2, relu3_3 or relu4_3")
    group.add_argument("--pose_lr", type=float_at_least(0), default=0.01, metavar="RATE",
                       help="learning rate of --refine_poses, in radians and metres a step; falls as the other does")
    group.add_argument("--pose_weight", type=float_at_least(0), default=0.01, metavar="W",
                       help="weight of the corrections' squares, in radians and metres")
    flag(group, "discrete_regularization", False, "add noise to densities in training")
    flag(group, "hierarchical_loss", False, "count the colours of the first pass too")
    flag(group, "freeze_batch_norm", False, "keep the texture encoder's batch normalisation as it began")


def pair(text: str) -> tuple[float, float]:
    """An argparse type: two numbers, with or without brackets."""
    try:
        first, second = (float(word) for word in text.strip("()[] ").split(","))
    except ValueError:
        raise ArgumentTypeError(f"found '{text}'; expected two numbers such as 0.9,0.999") from None
    return first, second


def flag(group, name: str, default: bool, text: str) -> None:
    """Add `--name`, and `--no_name` for its opposite."""
    group.add_argument(f"--{name}", action="store_true", default=default, help=text)
    group.add_argument(f"--no_{name}", dest=name, action="store_false", default=default, help=f"not --{name}")


def add_rendering_options(parser) -> None:
    """Add what is made of an item by test.py."""
    group = parser.add_argument_group("neural actor: results")
    group.add_argument("--render_output_types", nargs="+", default=["color", "normal", "depth"],
                       choices=("color", "normal", "depth", "marchingcube"),
                       help="pictures, and the surface as a mesh (needs scikit-image)")
    group.add_argument("--mesh_resolution", type=int_at_least(2), default=128, metavar="N",
                       help="points of the mesh's grid, on each side")
    group.add_argument("--mesh_level", type=float, default=50.0, metavar="DENSITY",
                       help="density at the mesh's surface")


def add_body_options(parser) -> None:
    """Add what says how samples are told by the body."""
    group = parser.add_argument_group("neural actor: body and texture")
    for name, text in (("mesh", "canonical.obj: the body at rest"), ("texuv", "uvmapping.obj: its texture coordinates"),
                       ("weights", "skinning_weight.txt: its skinning weights"),
                       ("new_tpose", "transform_tpose.json: the pose in which the actor is learned; none: at rest")):
        group.add_argument(f"--{name}", default=None, metavar="FILE", help=f"another file than DATAROOT's {text}")
    group.add_argument("--nearest_surface", default="exact", choices=("exact", "quick"),
                       help="quick: look for the skin near a sample among points spread over it, several times as fast "
                            "and a few millimetres off beside edges")
    group.add_argument("--skin_depth", type=float_at_least(0), default=0, metavar="M",
                       help="sample rays only where the body is near, and no further than this under its skin, in "
                            "metres; 0: from the first to the last place that is near, as published")
    group.add_argument("--min_dis_eps", type=float_at_least(1e-6), default=0.06, metavar="M",
                       help="rays are sampled where they are nearer than this to a vertex of the body, in metres")
    flag(group, "use_local_coordinate", True, "tell samples by their place on the skin and distance from it")
    flag(group, "use_global_rotation", False, "where they are not: leave the body's rotation in their position")
    group.add_argument("--additional_deform", default="pos", choices=("pos", "weight", "none"),
                       help="pos: a network moves samples in the canonical pose; weight: nothing does, as published")
    flag(group, "use_texture_encoder", True, "look up features of the texture; without: its colours")
    group.add_argument("--texture_encoder_layers", type=int_at_least(1), default=4, choices=range(1, 6), metavar="N",
                       help="maps of the texture encoder, 1 to 5")
    group.add_argument("--no_pretrained", action="store_true",
                       help="begin the texture encoder with random weights, not with those for ImageNet")
    flag(group, "texture_to_deformation", True, "the network that moves samples sees the texture too")
    flag(group, "predict_texture_mask", False, "learn which texels count (textures of 512x512)")
    flag(group, "disable_projection", False, "do not undo the pose")
    flag(group, "disable_texture", False, "use no texture at all")
    group.add_argument("--joint_feature_dim", type=int_at_least(1), default=256, metavar="N",
                       help="width of the code of a sample's place (attnout)")
    group.add_argument("--joint_filter_size", type=int_at_least(1), default=6, metavar="N",
                       help="octaves in which the place is encoded")
    flag(group, "refine_poses", False, "correct the poses of the frames that are trained on too; test.py takes the "
                                       "corrected ones for them, and writes them into transform/")
    group.add_argument("--refined_frames", type=int_at_least(0), default=0, metavar="N",
                       help="with --refine_poses: frames of the data, which it finds itself")
    parser.deciding |= {"use_texture_encoder", "texture_encoder_layers", "texture_to_deformation", "additional_deform",
                        "predict_texture_mask", "disable_texture", "joint_feature_dim", "joint_filter_size",
                        "use_local_coordinate", "use_global_rotation", "disable_projection", "refine_poses",
                        "refined_frames"}


def add_field_options(parser) -> None:
    """Add what says what the field is, and how it is rendered."""
    group = parser.add_argument_group("neural actor: field and rendering")
    flag(group, "begin_with_body", False, "densities begin as those of the body")
    flag(group, "begin_with_texture", False, "colours begin as those of the texture")
    group.add_argument("--inputs_to_density", default="pos:6:3", metavar="SPEC",
                       help="what densities are made of: name:octaves:dim:type, ...")
    group.add_argument("--inputs_to_texture", default="feat:0:256,attnout:0:256,texture:0:512,ray:4:3:b",
                       metavar="SPEC", help="what colours are made of; the first is feat:0:N")
    for name, default, text in (("feature_embed_dim", 256, "width of the layers below density and colour"),
                                ("density_embed_dim", 128, "width of the density's layer"),
                                ("texture_embed_dim", 256, "width of the colour's layers")):
        group.add_argument(f"--{name}", type=int_at_least(1), default=default, metavar="N", help=text)
    group.add_argument("--feature_layers", type=int_at_least(0), default=6, metavar="N", help="their number, less 2")
    group.add_argument("--texture_layers", type=int_at_least(0), default=3, metavar="N",
                       help="number of the colour's layers, less 2")
    group.add_argument("--feature_field_skip_connect", type=int, default=3, metavar="N",
                       help="after this of the feature's layers, from 0, its input comes in again")
    flag(group, "nerf_style_mlp", False, "layers as in NeRF: 8 and 2")
    flag(group, "pe_no_mul_pi", False, "encode with frequencies 1, 2, 4, ..., not times pi")
    group.add_argument("--no_layernorm_mlp", action="store_true", default=True, help="always so; as published")
    group.add_argument("--fixed_num_samples", type=int_at_least(1), default=64, metavar="N",
                       help="cuts of a ray; it has one sample more")
    group.add_argument("--fixed_fine_num_samples", type=int_at_least(0), default=0, metavar="N",
                       help="further cuts of the second pass")
    flag(group, "hierarchical_sampling", False, "sample again where the first pass found something")
    flag(group, "use_fine_model", False, "with a field of its own")
    flag(group, "reduce_fine_for_missed", False, "with fewer samples where a ray may meet nothing")
    group.add_argument("--chunk_size", type=int_at_least(1), default=64, metavar="N",
                       help="1024 samples that are computed at once in training")
    group.add_argument("--valid_chunk_size", type=int_at_least(1), default=64, metavar="N",
                       help="likewise for pictures")
    group.add_argument("--raymarching_tolerance", type=float_at_least(0), default=0, metavar="T",
                       help="follow rays no further when less than this comes through; 0: always to the end")
    group.add_argument("--min_color", type=int, default=-1, choices=(-1, 0),
                       help="range of colours inside the networks: -1 to 1, or 0 to 1 with a sigmoid")
    group.add_argument("--transparent_background", default="1.0,1.0,1.0", metavar="R,G,B",
                       help="colour behind the actor, or one grey, in [0, 1]")
    flag(group, "background_stop_gradient", True, "do not train the background's colour")
    flag(group, "black_background", False, "multiply the background by 0, as published")
    group.add_argument("--near", type=float_at_least(0), default=2, metavar="M",
                       help="what depth pictures show as blue")
    group.add_argument("--far", type=float_at_least(0), default=4, metavar="M", help="what they show as red")
    parser.deciding |= {"inputs_to_density", "inputs_to_texture", "feature_embed_dim", "density_embed_dim",
                        "texture_embed_dim", "feature_layers", "texture_layers", "feature_field_skip_connect",
                        "begin_with_body", "begin_with_texture",
                        "nerf_style_mlp", "pe_no_mul_pi", "use_fine_model", "hierarchical_sampling", "min_color"}

WITHOUT_EFFECT = frozenset("""
    load_video_dataset no_preload no_load_binary load_all_images object_id_path valid_data valid_view_per_batch
    pruning_every_steps half_voxel_size_at reduce_step_size_at prune_voxel_at pruning_th pruning_with_train_stats
    pruning_rerun_train_set rendering_every_steps rendering_args no_sampling_at_reader no_textured_mesh
    uv_textured_mesh color_weight_start eval_lpips random_eikonal_term use_vertex_feature vertex_feature_gnn
    joint_input_motion joint_embed_dim joint_encoder_layers joint_decoder_layers deformation_layers joint_dropout
    joint_vertex_attention joint_back_projection joint_query_unpose mixture_warp_space disable_joint
    render_skeleton no_normalize_normal zero_z_steps hyper_feature_embed_dim total_experts num_experts
    background_depth render_raymarching_steps render_combine_output render_beam task criterion optimizer
    lr_scheduler user_dir ddp_backend broadcast_buffers save_interval save_interval_updates keep_interval_updates
    keep_last_epochs no_epoch_checkpoints log_format tensorboard_logdir best_checkpoint_metric ssim_multipler
    """.split())  # noqa: SIM905
"""Published options that do nothing there with this model either, or say what is always so here."""

REFUSED = {
    "load_mask": "alpha is that of the photographs; leave it out",
    "load_depth": "there is no loss of depths; leave it out",
    "depth_weight": "there is no loss of depths; leave it out",
    "depth_weight_decay": "there is no loss of depths; leave it out",
    "eikonal_weight": "the published program stops with it and this model; leave it out",
    "regz_weight": "the published program stops with it and this model; leave it out",
    "no_background_loss": "the published program stops with it and this model; leave it out",
    "weight_decay": "Adam has none; leave it out",
    "trainable_extrinsics": "cameras are not trained; give the right ones",
    "trainable_expo": "exposures are not trained; leave it out",
    "disable_query_point": "the published program stops with it; leave attnout out of --inputs_to_texture instead",
    "hypernetwork": "the published program stops with it; leave it out",
    "output_valid": "held-out data are rendered by test.py, into --results_dir",
    "skip_rendering": "only meshes: --render_output_types marchingcube",
    "save_dir": "a run lies in CHECKPOINTS_DIR/NAME: give --checkpoints_dir and --name",
    "restore_file": "go on with --continue_train, or begin with --init_from RUN",
    "path": "the run to render is that of --name; scripts/import_neural_actor.py makes one of a released checkpoint",
    "model_overrides": "give the options themselves, such as --mesh FILE",
}
"""Published options that cannot be had here, and what to do."""


class Refused(argparse.Action):
    """An option that ends the program with the sentence in `REFUSED`, unless it is given as 0."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Raise a `UserError`."""
        if values not in ("0", "0.0"):
            raise UserError(f"--{self.dest}: not in this program; {REFUSED[self.dest]}")


def add_published_without_effect(parser) -> None:
    """Take what else published commands give: without effect, or refused with a sentence."""
    group = parser.add_argument_group("neural actor: published, without effect")
    for name in sorted(WITHOUT_EFFECT):
        group.add_argument(f"--{name}", nargs="?", default=argparse.SUPPRESS, metavar="ANY", help="no effect")
    group = parser.add_argument_group("neural actor: published, refused")
    for name, reason in REFUSED.items():
        group.add_argument(f"--{name}", nargs="?", action=Refused, default=argparse.SUPPRESS, metavar="ANY",
                           help=reason)
