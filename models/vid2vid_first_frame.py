"""The first frames of a video from generators of single images (--use_single_G)."""

from collections.abc import Callable
from pathlib import Path
from pickle import Unpickler, UnpicklingError

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoints import load_weights, read_checkpoint
from models.vid2vid_setup import make_single_encoder, make_single_generator
from models.vid2vid_single_networks import Encoder, GlobalGenerator, GlobalGeneratorWithFeatures, LocalEnhancer
from util.errors import UserError
from util.files import written_atomically

FEATURES = 16
"""Those of the published generator of faces."""
PARTS = 7
"""Background, face, brows, nose, eyes, mouth, inner mouth."""
TABLE = "features.npy"
OWN = "latest_net_G_single.pth"
"""The run's generator of first frames; it is the same for all epochs of the video."""
OWN_ENCODER = "latest_net_E_single.pth"
PUBLISHED = Path("checkpoints")
"""The published single-image generators lie here, whatever --checkpoints_dir says."""
STREET_SIZES = (512, 1024, 2048)


def image_maps(opt, maps: Tensor) -> Tensor:
    """What generators of single images see of encoded maps [..., C, H, W]: all but edges of instances."""
    return maps[..., :opt.label_nc or opt.input_nc, :, :]


class ImageMaker(nn.Module):
    """The generator of single images, with the encoder that gives it features of a real frame, if there is one."""

    def __init__(self, generator: nn.Module, encoder: nn.Module | None):
        super().__init__()
        self.generator, self.encoder = generator, encoder

    def forward(self, maps: Tensor, real: Tensor, parts: Tensor | None) -> Tensor:
        """Maps [B, C, H, W], frames [B, 3, H, W] and labels of parts [B, 1, H, W] to frames [B, 3, H, W]."""
        return self.generator(maps, *([] if self.encoder is None else [self.encoder(real, parts)]))


def features_of_parts(features: Tensor, parts: Tensor) -> Tensor:
    """Rows of the table of features.

    Args:
        features: [B, F, H, W], the same everywhere in a part.
        parts: labels [B, 1, H, W], below PARTS.

    Returns:
        [B, PARTS, F + 1]: features of each part, 0 where it is not seen, and its share of the frame.
    """
    masks = torch.cat([parts == label for label in range(PARTS)], 1).to(features.dtype)
    sums = torch.einsum("bphw,bfhw->bpf", masks, features)
    return torch.cat([sums / masks.sum((2, 3)).clamp(min=1)[..., None], masks.mean((2, 3))[..., None]], 2)


class ImageFirstFrame:
    """A frame from its map alone."""

    def __init__(self, generator: nn.Module, opt):
        self.generator, self.opt = generator, opt

    def __call__(self, maps: Tensor, _image: Tensor | None, _parts: Tensor | None) -> Tensor:
        """Encoded maps [B, C, H, W] to frames [B, 3, H, W]."""
        return self.generator(image_maps(self.opt, maps))


class FaceFirstFrame:
    """A frame from edges of a face, looking as the training image that is nearest to the real frame.

    Args:
        generator: from maps and features.
        encoder: from an image and its parts to features.
        features: label of a part to the features of training images, [images, those of the encoder or more].
    """

    def __init__(self, generator: nn.Module, encoder: nn.Module, features: dict[int, Tensor]):
        self.generator, self.encoder = generator, encoder
        self.features = features

    def __call__(self, maps: Tensor, image: Tensor | None, parts: Tensor | None) -> Tensor:
        """Maps [1, C, H, W], the real frame [1, 3, H, W] and labels of parts [1, 1, H, W] to a frame [1, 3, H, W]."""
        if image is None or parts is None:
            raise UserError("--use_single_G: found no real first frames, or no labels of the face's parts; a face "
                            "needs both. Give --dataset_mode face")
        own = self.encoder(image, parts)
        count = len(self.features[max(self.features)])
        distance = own.new_zeros(count)
        for label, vectors in self._of(parts):
            mine = own[0][:, parts[0, 0] == label][:, 0]
            chosen = vectors[torch.arange(count).clamp(max=len(vectors) - 1), :len(mine)]
            distance += (chosen.to(own) - mine).square().sum(1)
        nearest = int(distance.argmin())
        filled = torch.zeros_like(own)
        for label, vectors in self._of(parts):
            vector = vectors[min(nearest, len(vectors) - 1), :own.shape[1]].to(own)
            filled[0][:, parts[0, 0] == label] = vector[:, None]
        return self.generator(maps, filled)

    def _of(self, parts: Tensor):
        return [(label, vectors) for label, vectors in self.features.items() if bool((parts == label).any())]


def first_frame(opt, run_folder: Path, device: torch.device):
    """What makes first frames, with its weights: trained with --niter_single, or published.

    The published ones are chosen by the name of --dataroot, as there.

    Raises:
        UserError: it is not known which, or files are missing.
    """
    own = Path(opt.single_G_dir or run_folder) / OWN
    if own.exists():
        generator = _loaded(make_single_generator(opt), own, device)
        if not opt.label_feat:
            return ImageFirstFrame(generator, opt)
        encoder = _loaded(make_single_encoder(opt), own.with_name(OWN_ENCODER), device)
        return FaceFirstFrame(generator, encoder, read_features(own.with_name(TABLE)))
    chosen = str(opt.single_G_dir or opt.dataroot)
    if "face" in chosen:
        folder = Path(opt.single_G_dir or PUBLISHED / "edge2face_single")
        with_features = GlobalGeneratorWithFeatures(opt.input_nc, FEATURES, 64, 3, opt.n_blocks)
        encoder = Encoder(3, FEATURES, 16, 4)
        return FaceFirstFrame(_loaded(with_features, folder / "latest_net_G.pth", device),
                              _loaded(encoder, folder / "latest_net_E.pth", device),
                              read_features(folder / TABLE))
    if "City" in chosen or "city" in chosen:
        if opt.load_size not in STREET_SIZES:
            raise UserError(f"--loadSize: found {opt.load_size} with --use_single_G; its generators are for 512, 1024 "
                            "and 2048. Give one of these, train one (--niter_single), or give --use_real_img or "
                            "--no_first_img")
        folder = Path(opt.single_G_dir or PUBLISHED / "label2city_single")
        if opt.load_size == 2048:
            generator = LocalEnhancer(opt.label_nc, 32, 4, opt.n_blocks, opt.n_local_enhancers, opt.n_blocks_local)
        else:
            generator = GlobalGenerator(opt.label_nc, 64, 3 if opt.load_size == 512 else 4, opt.n_blocks)
        path = folder / f"latest_net_G_{opt.load_size}.pth"
        return ImageFirstFrame(_loaded(generator, path, device), opt)
    raise UserError(f"--use_single_G: no {own}, and found --dataroot {opt.dataroot}; a published generator of first "
                    "frames is chosen by the name of the data, or of --single_G_dir, which should hold City or face. "
                    "Train one with --niter_single, or give --use_real_img or --no_first_img")


def frames_before(opt, make: Callable[..., Tensor] | None, maps: Tensor, batch: dict,
                  sequence: str | None) -> Tensor:
    """The frames [1, tG - 1, 3, H, W] before the first one that is generated of a sequence.

    Args:
        opt: those of the model.
        make: what makes one where frames are not real (see `first_frame`); None: there is nothing.
        maps: encoded [1, tG, C, H, W].
        batch: on the device, with real frames `B` and instances `inst` where there are such.
        sequence: its name, for messages.

    Raises:
        UserError: it is not said where they come from, or real ones are not there.
    """
    count = opt.n_frames_G - 1
    if opt.no_first_img:
        return maps.new_zeros(1, count, opt.output_nc, *maps.shape[3:])
    real = batch["B"].to(maps.dtype) if "B" in batch else None
    if opt.use_real_img:
        if real is None:
            raise UserError(f"--use_real_img: sequence {sequence} has no real frames; expected those of its first "
                            "frames, or --use_single_G or --no_first_img")
        return real[:, :count]
    if make is None:
        raise UserError("--use_real_img: not given, nor another source of the first frames; expected it (they are "
                        "real), --use_single_G (generators of single images make them), or --no_first_img (they "
                        "are made from nothing, where that was trained)")
    parts = batch.get("inst")
    return torch.stack([make(maps[:, t], None if real is None else real[:, t],
                             None if parts is None else parts[:, t]).to(maps.dtype) for t in range(count)], 1)


def _loaded(network: nn.Module, path: Path, device: torch.device) -> nn.Module:
    weights = read_checkpoint(path, "put the published file there, train one (--niter_single), or give --use_real_img "
                              "or --no_first_img")
    load_weights(network, weights, path)
    return network.to(device).requires_grad_(False)


class _ArraysOnly(Unpickler):
    """Reads a pickled dict of arrays, and nothing that could run: whatever else a file names is refused."""

    KNOWN = {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct"),
             ("numpy._core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "scalar"),
             ("numpy._core.multiarray", "scalar"), ("_codecs", "encode")}

    def find_class(self, module, name):
        if (module, name) not in self.KNOWN:
            raise UnpicklingError(f"{module}.{name} is no array")
        return super().find_class(module, name)


def write_features(path: Path, rows: Tensor) -> None:
    """Write what `read_features` reads: rows [images, PARTS, F + 1] of `features_of_parts`."""
    table = {label: rows[:, label].cpu().numpy() for label in range(rows.shape[1])}
    with written_atomically(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.array(table))


def read_features(path: Path) -> dict[int, Tensor]:
    """Features of training images by the label of a part: {0: [images, 17], ...}, from a pickled dict in an .npy file.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    remedy = "put the published features.npy there, or give --use_real_img or --no_first_img"
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            (np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
            held = _ArraysOnly(file, encoding="latin1").load()
        table = held.item() if isinstance(held, np.ndarray) else held
        return {int(label): torch.from_numpy(np.array(vectors, np.float64)) for label, vectors in table.items()}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {remedy}") from None
    except (OSError, ValueError, TypeError, AttributeError, EOFError, UnpicklingError) as error:
        raise UserError(f"{path}: not a table of features ({error}); {remedy}") from error
