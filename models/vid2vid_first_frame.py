"""The first frames of a video from generators of single images (--use_single_G)."""

from pathlib import Path
from pickle import Unpickler, UnpicklingError

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoints import load_weights, read_checkpoint
from models.vid2vid_networks import Encoder, GlobalGenerator, GlobalGeneratorWithFeatures, LocalEnhancer
from models.vid2vid_setup import make_single_generator
from util.errors import UserError

FEATURES = 16
OWN = "latest_net_G_single.pth"
"""The run's generator of first frames; it is the same for all epochs of the video."""
PUBLISHED = Path("checkpoints")
"""The published single-image generators lie here, whatever --checkpoints_dir says."""
STREET_SIZES = (512, 1024, 2048)


def image_maps(opt, maps: Tensor) -> Tensor:
    """What generators of single images see of encoded maps [..., C, H, W]: all but edges of instances."""
    return maps[..., :opt.label_nc or opt.input_nc, :, :]


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
        features: label of a part to the features of training images, [images, 16 or more].
    """

    def __init__(self, generator: nn.Module, encoder: nn.Module, features: dict[int, Tensor]):
        self.generator, self.encoder = generator, encoder
        self.features = {label: vectors[:, :FEATURES] for label, vectors in features.items()}

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
            distance += (vectors.to(own)[torch.arange(count).clamp(max=len(vectors) - 1)] - mine).square().sum(1)
        nearest = int(distance.argmin())
        filled = torch.zeros_like(own)
        for label, vectors in self._of(parts):
            vector = vectors[min(nearest, len(vectors) - 1)].to(own)
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
        return ImageFirstFrame(_loaded(make_single_generator(opt), own, device), opt)
    chosen = str(opt.single_G_dir or opt.dataroot)
    if "face" in chosen:
        folder = Path(opt.single_G_dir or PUBLISHED / "edge2face_single")
        with_features = GlobalGeneratorWithFeatures(opt.input_nc, FEATURES, 64, 3, opt.n_blocks)
        encoder = Encoder(3, FEATURES, 16, 4)
        return FaceFirstFrame(_loaded(with_features, folder / "latest_net_G.pth", device),
                              _loaded(encoder, folder / "latest_net_E.pth", device),
                              read_features(folder / "features.npy"))
    if "City" in chosen or "city" in chosen:
        if opt.load_size not in STREET_SIZES:
            raise UserError(f"--loadSize: found {opt.load_size} with --use_single_G; its generators are for 512, 1024 "
                            "and 2048. Give one of these, train one (--niter_single), or give --use_real_img or "
                            "--no_first_img")
        folder = Path(opt.single_G_dir or PUBLISHED / "label2city_single")
        generator: nn.Module
        if opt.load_size == 2048:
            generator = LocalEnhancer(opt.label_nc, 32, 4, opt.n_blocks, opt.n_local_enhancers, opt.n_blocks_local)
        else:
            generator = GlobalGenerator(opt.label_nc, 64, 3 if opt.load_size == 512 else 4, opt.n_blocks)
        path = folder / f"latest_net_G_{opt.load_size}.pth"
        return ImageFirstFrame(_loaded(generator, path, device), opt)
    raise UserError(f"--use_single_G: no {own}, and found --dataroot {opt.dataroot}; a published generator of first "
                    "frames is chosen by the name of the data, or of --single_G_dir, which should hold City or face. "
                    "Train one with --niter_single, or give --use_real_img or --no_first_img")


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
