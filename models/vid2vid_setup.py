"""What options make of video-to-video synthesis: its networks, the GPUs that they are on, and its learning rate."""

import math
from collections.abc import Callable

from torch import nn

from models.schedules import Progress, by_epoch
from models.vid2vid_blocks import initialise
from models.vid2vid_networks import CoarseGenerator, FineGenerator, MultiScaleDiscriminator, UNetGenerator
from models.vid2vid_single_networks import (
    Encoder,
    GlobalGenerator,
    GlobalGeneratorWithFeatures,
    LocalEnhancer,
    LocalEnhancerWithFeatures,
)
from util.errors import UserError


def make_generators(opt, has_flow: bool) -> list[nn.Module]:
    """The generators from the coarsest to the finest, with fresh weights."""
    maps_nc = opt.n_frames_G * ((opt.label_nc or opt.input_nc) + opt.use_instance)
    previous_nc = opt.output_nc * (opt.n_frames_G - 1)
    shape = maps_nc, previous_nc, opt.ngf, opt.n_downsample_G, opt.n_blocks, opt.norm
    coarse = (UNetGenerator(*shape, has_flow, opt.output_nc) if opt.netG == "unet" else
              CoarseGenerator(*shape, opt.fg, has_flow, opt.output_nc))
    fine = [FineGenerator(maps_nc, previous_nc, opt.ngf, scale, opt.n_blocks_local, opt.norm, opt.n_downsample_G > 2,
                          opt.fg, has_flow, opt.output_nc) for scale in range(1, opt.n_scales_spatial)]
    return [initialise(network) for network in (coarse, *fine)]


def make_discriminators(opt) -> dict[str, nn.Module]:
    """The discriminators by name, with fresh weights; none with --num_D 0."""
    def make(channels: int, num_D: int) -> nn.Module:
        return initialise(MultiScaleDiscriminator(channels, opt.ndf, opt.n_layers_D, num_D, opt.norm,
                                                  not opt.no_ganFeat))

    if opt.num_D == 0:
        return {}
    image_nc = (opt.label_nc or opt.input_nc) + opt.use_instance + opt.output_nc
    networks = {"D": make(image_nc, opt.num_D)}
    for k in range(opt.n_scales_temporal):
        networks[f"D_T{k}"] = make(opt.output_nc * opt.n_frames_D + 2 * (opt.n_frames_D - 1), opt.num_D)
    if opt.add_face_disc:
        networks["D_f"] = make(image_nc, max(1, opt.num_D - 2))
    return networks


def make_single_generator(opt) -> nn.Module:
    """The generator of single images that makes first frames; with published options the published one.

    It sees what a frame's map holds, without edges of instances, with --label_feat features too, and is half as wide
    as the video's, or at its full resolution a quarter (`local`).
    """
    inputs = [opt.label_nc or opt.input_nc, *([opt.feat_num] if opt.label_feat else [])]
    kinds: dict[tuple[str, bool], Callable[..., nn.Module]] = {
        ("global", False): GlobalGenerator, ("global", True): GlobalGeneratorWithFeatures,
        ("local", False): LocalEnhancer, ("local", True): LocalEnhancerWithFeatures}
    width, local = ((4, [opt.n_local_enhancers, opt.n_blocks_local]) if opt.netG_single == "local" else (2, []))
    channels = {} if opt.label_feat else {"image_nc": opt.output_nc}
    return kinds[opt.netG_single, opt.label_feat](*inputs, max(1, opt.ngf // width), opt.n_downsample_G, opt.n_blocks,
                                                  *local, **channels)


def make_single_encoder(opt) -> nn.Module:
    """What gives the generator of single images its features, of a frame and the parts of a face (--label_feat)."""
    return Encoder(3, opt.feat_num, opt.nef, opt.n_downsample_E)


def make_single_networks(opt) -> dict[str, nn.Module]:
    """The generator of single images, its discriminator and its encoder (--label_feat) by name, with fresh weights."""
    judge = MultiScaleDiscriminator((opt.label_nc or opt.input_nc) + opt.output_nc, opt.ndf, opt.n_layers_D,
                                    max(opt.num_D, 1), "instance", not opt.no_ganFeat)
    networks = {"G_single": initialise(make_single_generator(opt)), "D_single": initialise(judge)}
    return networks | ({"E_single": initialise(make_single_encoder(opt))} if opt.label_feat else {})


def frame_gpus(opt) -> list[int]:
    """The GPUs that the frames of a load of one clip are spread over: --n_gpus_gen behind the first one, or all.

    Raises:
        UserError: there are not so many.
    """
    if len(opt.gpu_ids) < 2 or opt.batch_size != 1:
        return []
    if opt.n_gpus_gen > len(opt.gpu_ids):
        raise UserError(f"--n_gpus_gen: found {opt.n_gpus_gen}; expected at most the {len(opt.gpu_ids)} of --gpu_ids")
    return opt.gpu_ids[1:1 + opt.n_gpus_gen] if 0 < opt.n_gpus_gen < len(opt.gpu_ids) else list(opt.gpu_ids)


def learning_rate(opt, epochs: range):
    """The learning rate's factor; that of --lr_policy linear falls as published, after the epoch --n_epochs + 1; that
    of cosine falls with each step, to zero at the end of a phase, however few epochs it has."""
    if opt.lr_policy == "cosine":
        return lambda progress: 0.5 * (1 + math.cos(math.pi * progress.step / progress.total))
    if opt.lr_policy != "linear":
        return by_epoch(opt, epochs)

    def factor(progress: Progress) -> float:
        return 1 - max(0, progress.epoch - 1 - opt.n_epochs) / max(1, opt.n_epochs_decay)
    return factor


def single_learning_rate(epochs: range):
    """The learning rate's factor while first frames are learned: in the second half of the epochs it falls to zero."""
    steady = (len(epochs) + 1) // 2

    def factor(progress: Progress) -> float:
        return 1 - max(0, progress.epoch - epochs.start - steady + 1) / (len(epochs) - steady + 1)
    return factor
