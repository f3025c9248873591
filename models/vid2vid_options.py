"""Options of video-to-video synthesis: names and defaults of the published program (docs/vid2vid/README.md).

Those that data need too, such as `n_frames_G`, are added here, and read by the datasets.
"""

import argparse

from models.gan_losses import GAN_MODES
from util.command_line import OneLineParser, float_at_least, int_at_least
from util.errors import UserError

FLOW_NETS = ("raft", "flownet2", "dis", "files", "still")
PRESETS = {
    "published": {},
    "fast": {"ngf": 16, "ndf": 16, "n_blocks": 6, "no_vgg": True, "flow_net": "dis", "n_frames_total": 6,
             "niter_step": 100000, "n_scales_temporal": 1, "random_drop_prob": 0.0, "lr": 0.0005, "n_epochs": 100,
             "n_epochs_decay": 100, "save_by_epoch": False, "amp": "bf16", "budget": "15m"},
}

UNUSED: dict[str, str | None] = {"load_features": None, "debug": None, "netE": "simple", "local_rank": "0"}
"""Published options that change nothing, with their defaults; None: a flag."""
UNUSED_IN_TRAINING: dict[str, str | None] = {"pool_size": "1"}
UNUSED_IN_TEST: dict[str, str | None] = {"ntest": "inf", "display_id": "0", "load_pretrain": "", "tf_log": None}


def add_options(parser: OneLineParser, is_train: bool) -> None:
    """Add the options that shape networks and data, and those of training or of test."""
    _add_generators(parser)
    _add_first_frames(parser, is_train)
    _add_data(parser, is_train)
    _add_discriminators(parser, is_train)
    if is_train:
        _add_losses(parser)
        _add_schedule(parser)
    _add_unused(parser, UNUSED | (UNUSED_IN_TRAINING if is_train else UNUSED_IN_TEST))
    parser.also(loadSize="load_size", fineSize="fine_size")
    parser.set_defaults(dataroot="datasets/Cityscapes/", num_threads=2, display_winsize=512)
    parser.deciding |= {
        "resize_or_crop", "no_canny_edge", "no_dist_map", "basic_point_only", "label_nc", "input_nc", "use_instance",
        "output_nc", "ngf", "ndf", "n_blocks", "n_downsample_G", "n_frames_G", "n_scales_spatial", "n_blocks_local",
        "norm", "fg", "netG", "netG_single", "n_local_enhancers", "label_feat", "feat_num", "nef", "n_downsample_E",
        "no_flow", "openpose_only", "densepose_only", "add_face_disc", "num_D", "n_layers_D", "no_ganFeat",
        "n_frames_D", "n_scales_temporal"}


def _add_generators(parser: OneLineParser) -> None:
    group = parser.add_argument_group("video-to-video: maps and generators")
    group.add_argument("--input_nc", type=int_at_least(1), default=3, metavar="N",
                       help="channels of a map without labels")
    group.add_argument("--label_nc", type=int_at_least(0), default=0, metavar="N",
                       help="labels of a label map; 0: maps are no label maps")
    group.add_argument("--output_nc", type=int, default=3, choices=(3, 4),
                       help="channels of a frame: 3, or 4 for a layer with alpha (--dataset_mode dance)")
    group.add_argument("--use_instance", action="store_true", help="instances too: their edges are one more channel")
    group.add_argument("--netG", default="composite", choices=("composite", "unet"),
                       help="kind of the coarsest generator: the published one, or one that learns sooner")
    group.add_argument("--ngf", type=int_at_least(1), default=128, metavar="N", help="width of the coarsest generator")
    group.add_argument("--n_blocks", type=int_at_least(1), default=9, metavar="N",
                       help="residual blocks of the coarsest generator")
    group.add_argument("--n_downsample_G", type=int_at_least(1), default=3, metavar="N",
                       help="halvings of the coarsest generator")
    group.add_argument("--n_scales_spatial", type=int_at_least(1), default=1, metavar="N",
                       help="generators, each at twice the resolution of the one before")
    group.add_argument("--n_blocks_local", type=int_at_least(0), default=3, metavar="N",
                       help="residual blocks of finer generators")
    group.add_argument("--norm", default="batch", choices=("batch", "instance"), help="normalisation")
    group.add_argument("--n_frames_G", type=int_at_least(2), default=3, metavar="N",
                       help="maps that a frame is made from, with one frame made before less")
    group.add_argument("--n_gpus_gen", type=int_at_least(-1), default=-1, metavar="N",
                       help="GPUs that the frames of a load are spread over, behind the first one; -1: generators and "
                            "discriminators share all GPUs")
    group.add_argument("--fg", action="store_true", help="make the foreground apart")
    group.add_argument("--fg_labels", type=labels, default="26", metavar="N,N",
                       help="labels that are foreground (26: cars of Cityscapes)")
    group.add_argument("--no_flow", action="store_true", help="do not warp the frame before")
    group.add_argument("--fp16", dest="amp", action="store_const", const="fp16", default=argparse.SUPPRESS,
                       help="the same as --amp fp16")


def _add_first_frames(parser: OneLineParser, is_train: bool) -> None:
    group = parser.add_argument_group("video-to-video: frames before the first one")
    group.add_argument("--no_first_img", action="store_true", help="make the first frames too, from nothing")
    group.add_argument("--use_single_G", action="store_true",
                       help="test: generators of single images make the first frames: the run's own (--niter_single) "
                            "or published ones (docs/vid2vid/README.md)")
    group.add_argument("--netG_single", default="global", choices=("global", "local"),
                       help="kind of generator of first frames (--niter_single): at one resolution, or with enhancers "
                            "at twice that")
    group.add_argument("--n_local_enhancers", type=int_at_least(1), default=1, metavar="N",
                       help="enhancers of the first frame's generator (--netG_single local, or published at 2048 "
                            "pixels)")
    group.add_argument("--label_feat", action="store_true",
                       help="faces: that generator (--niter_single) sees features of the face's parts too, which an "
                            "encoder finds in real frames: a video begins with the look that it was trained on")
    group.add_argument("--feat_num", type=int_at_least(1), default=3, metavar="N",
                       help="--label_feat: features of a part (published networks: 16)")
    group.add_argument("--nef", type=int_at_least(1), default=32, metavar="N",
                       help="--label_feat: width of the encoder (published networks: 16)")
    group.add_argument("--n_downsample_E", type=int_at_least(1), default=3, metavar="N",
                       help="--label_feat: halvings of the encoder (published networks: 4)")
    if not is_train:
        group.add_argument("--use_real_img", action="store_true", help="the first frames are real ones")
        group.add_argument("--single_G_dir", default=None, metavar="DIR",
                           help="folder of the first frame's generators, with --use_single_G (default: that of the "
                                "run, if it has one; else checkpoints/label2city_single or checkpoints/"
                                "edge2face_single, by the name of --dataroot)")


def _add_data(parser: OneLineParser, is_train: bool) -> None:
    group = parser.add_argument_group("video-to-video: data")
    group.add_argument("--load_size", type=int_at_least(1), default=512, metavar="PX", help="size to scale frames to")
    group.add_argument("--fine_size", type=int_at_least(1), default=512, metavar="PX", help="size to crop frames to")
    group.add_argument("--resize_or_crop", default="scaleWidth", metavar="WORDS",
                       help="resize, scaleWidth, scaleHeight, randomScaleWidth or randomScaleHeight to --loadSize; "
                            "_and_crop or _and_scaledCrop to --fineSize; none (docs/vid2vid/data.md)")
    group.add_argument("--no_flip", action="store_true",
                       help="training: do not mirror half of the clips (poses are never mirrored)")
    group.add_argument("--no_canny_edge", action="store_true", help="faces: no edges of the background")
    group.add_argument("--no_dist_map", action="store_true", help="faces: no distances to curves (--input_nc 1)")
    group.add_argument("--random_scale_points", action="store_true", help="faces, test: other proportions of the face")
    group.add_argument("--densepose_only", action="store_true", help="poses: DensePose alone (--input_nc 3)")
    group.add_argument("--openpose_only", action="store_true",
                       help="poses: the skeleton alone (--input_nc 3), and --no_flow")
    group.add_argument("--basic_point_only", action="store_true", help="poses: neither head, hands nor face")
    group.add_argument("--remove_face_labels", action="store_true",
                       help="poses: DensePose without the head, and in training faces that are moved a little")
    group.add_argument("--random_drop_prob", type=float_at_least(0), default=0.05, metavar="P",
                       help="poses, training: how often a part of the body or of the skeleton is left out")
    if not is_train:
        group.add_argument("--image_format", default="jpg", choices=("jpg", "png"),
                           help="of the frames that are made; png without loss, for textures")
        group.add_argument("--start_frame", type=int_at_least(0), default=0, metavar="N",
                           help="frames to leave out at the beginning of the first sequence")
        parser.set_defaults(num_test="300")


def _add_discriminators(parser: OneLineParser, is_train: bool) -> None:
    group = parser.add_argument_group("video-to-video: discriminators")
    group.add_argument("--ndf", type=int_at_least(1), default=64, metavar="N", help="width of the discriminators")
    group.add_argument("--add_face_disc", action="store_true", help="poses: a discriminator that sees the face alone")
    if not is_train:
        return
    group.add_argument("--num_D", type=int_at_least(0), default=2, metavar="N",
                       help="sizes that discriminators see; 0: there are none, but for single images")
    group.add_argument("--n_layers_D", type=int_at_least(1), default=3, metavar="N",
                       help="stride-2 layers of discriminators")
    group.add_argument("--n_frames_D", type=int_at_least(2), default=3, metavar="N",
                       help="frames that a temporal discriminator sees")
    group.add_argument("--n_scales_temporal", type=int_at_least(0), default=2, metavar="N",
                       help="temporal discriminators, the second with frames that lie --n_frames_D apart, and so on")
    group.add_argument("--sparse_D", action="store_true",
                       help="temporal discriminators see every frame once, and take the flow as it is")
    group.add_argument("--gan_mode", default="ls", choices=GAN_MODES, help="adversarial loss (ls: least squares)")
    group.add_argument("--no_ganFeat", action="store_true", help="no loss of the discriminators' features")


def _add_losses(parser: OneLineParser) -> None:
    group = parser.add_argument_group("video-to-video: losses")
    group.add_argument("--no_vgg", action="store_true", help="no perceptual loss")
    for name, what in (("feat", "the losses of features"), ("F", "the losses of the flow"),
                       ("T", "the loss of flicker")):
        group.add_argument(f"--lambda_{name}", type=float_at_least(0), default=10.0, metavar="WEIGHT",
                           help=f"weight of {what}")
    group.add_argument("--lambda_L1", type=float_at_least(0), default=0.0, metavar="WEIGHT",
                       help="weight of the difference from real frames, pixel by pixel; parts of a face count alike, "
                            "and person and shadow in a layer (published: none)")
    group.add_argument("--flow_net", default="raft", choices=FLOW_NETS,
                       help="what teaches the flow: RAFT, FlowNet2, OpenCV's DIS, files, or nothing moves")
    group.add_argument("--flow_file", default=None, metavar="PATH",
                       help="--flow_net raft, flownet2: file of the weights")


def _add_schedule(parser: OneLineParser) -> None:
    group = parser.add_argument_group("video-to-video: schedule")
    group.add_argument("--n_frames_total", type=int_at_least(1), default=30, metavar="N",
                       help="frames that are generated of a clip in the first epochs")
    group.add_argument("--max_frames_per_gpu", type=int_at_least(1), default=1, metavar="N",
                       help="frames of a load, which is generated before a step is taken, on each GPU")
    group.add_argument("--max_frames_backpropagate", type=int_at_least(1), default=1, metavar="N",
                       help="most frames that gradients flow back through")
    group.add_argument("--niter_step", type=int_at_least(1), default=5, metavar="EPOCHS",
                       help="epochs after which clips, loads and gradients grow")
    group.add_argument("--niter_fix_global", type=int_at_least(0), default=0, metavar="EPOCHS",
                       help="epochs in which only the finest of several generators is trained")
    group.add_argument("--niter_single", type=int_at_least(0), default=0, metavar="EPOCHS",
                       help="epochs after all others in which a generator of single images is trained, which makes "
                            "the first frames at test (--use_single_G)")
    group.add_argument("--max_t_step", type=int_at_least(1), default=1, metavar="N",
                       help="most frames from one frame of a clip to the next; it is drawn at random")
    group.add_argument("--beta1", type=float_at_least(0), default=0.5, metavar="B", help="of Adam")
    group.add_argument("--TTUR", action="store_true",
                       help="half the learning rate for generators and twice for discriminators of images, and beta1 0")
    group.add_argument("--checkpoint_activations", action="store_true",
                       help="compute generators twice rather than keep what they computed: less memory")
    group.add_argument("--save_epoch_freq", dest="save_latest_freq", type=int_at_least(1), default=argparse.SUPPRESS,
                       metavar="EPOCHS", help="the same as --save_latest_freq with `epochs` behind the number")
    parser.set_defaults(n_epochs=10, n_epochs_decay=10, save_latest_freq=1, save_by_epoch=True)
    for name in ("print_freq", "display_freq", "save_latest_freq"):
        parser.published_unit(name, "samples")


def _add_unused(parser: OneLineParser, names: dict[str, str | None]) -> None:
    group = parser.add_argument_group("published, without effect")
    for name, default in names.items():
        if default is None:
            group.add_argument(f"--{name}", action="store_true", help="no effect")
        else:
            group.add_argument(f"--{name}", default=default, metavar="ANY", help="no effect")


def labels(text: str) -> str:
    """An argparse type: numbers of labels with commas between them; the text stays as it is."""
    if not all(word.strip().isdecimal() for word in text.split(",")):
        raise argparse.ArgumentTypeError(f"found '{text[:60]}'; expected numbers with commas, such as 26,24")
    return text


def check_options(opt) -> None:
    """See that options fit together.

    Raises:
        UserError: they do not; names them.
    """
    if opt.fg and not opt.label_nc:
        raise UserError("--fg: found without --label_nc; expected labels, of which --fg_labels names the foreground")
    outside = [n for n in map(int, opt.fg_labels.split(",")) if n >= opt.label_nc] if opt.fg else []
    if outside:
        raise UserError(f"--fg_labels: found {outside[0]}; expected labels below --label_nc {opt.label_nc}")
    if opt.fg and opt.netG == "unet":
        raise UserError("--fg: found with --netG unet, which makes no foreground apart; expected --netG composite")
    halved = 2**(opt.n_scales_spatial - 1)
    least = halved * (2 if opt.fg else 1)
    if opt.ngf % halved or opt.ngf < least:
        raise UserError(f"--ngf: found {opt.ngf}; expected a multiple of {halved}, at least {least}, for "
                        f"--n_scales_spatial {opt.n_scales_spatial}{' with --fg' if opt.fg else ''}")
    if opt.is_train and opt.lr_policy == "plateau":
        raise UserError("--lr_policy: found plateau; expected linear, step or cosine, as no loss says how good all is")
    if opt.is_train and opt.niter_single and opt.label_feat and opt.dataset_mode != "face":
        raise UserError(f"--label_feat: found with --dataset_mode {opt.dataset_mode}; expected face, whose parts have "
                        "features. Leave it out")
    if opt.add_face_disc and opt.label_nc:
        raise UserError("--add_face_disc: found with --label_nc; expected poses, whose head it finds by its colour")
