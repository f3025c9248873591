"""An actor's textures from its normal maps, for vid2vid: DATAROOT/normal/000000.png to DATAROOT/tex/000000.png.

seg_maps/ and images/ are taken for them, too, as the published guide calls them. Frames are matched by the number in
their names. At test every frame gets a texture: before the first one, its map is repeated.
"""

from pathlib import Path

import numpy as np

from data.actor_files import by_number
from data.image_sequences import Draws, Sequence
from data.temporal_dataset import TemporalDataset
from util.errors import UserError, several

FOLDERS = {"maps": ("normal", "seg_maps"), "images": ("tex", "images")}


class TextureDataset(TemporalDataset):
    """Clips of one sequence, all frames of an actor."""

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Textures are of one size, lie still, and must not be mirrored; the first ones are made of nothing."""
        parser.set_defaults(resize_or_crop="none", no_flip=True, no_first_img=True,
                            **({"flow_net": "still"} if is_train else {"image_format": "png"}))

    @staticmethod
    def resolve_options(opt) -> dict:
        """`data_id`."""
        return TextureDataset.data_options(opt)

    @classmethod
    def find(cls, opt) -> list[Sequence]:
        """All frames that have a normal map, in training with their textures.

        Raises:
            UserError: there are none, or too few, or they do not match.
        """
        if cls._with_flows(opt):
            raise UserError("--flow_net files: found with --dataset_mode texture; textures lie still, give --flow_net "
                            "still")
        root = Path(opt.dataroot)
        files = {kind: by_number(_folder(root, names), "*.png") for kind, names in FOLDERS.items()
                 if kind == "maps" or opt.is_train or opt.use_real_img}
        frames = sorted(files["maps"])
        problems = [f"{_folder(root, FOLDERS[kind])}: no picture of frame {number}, which {files['maps'][number]} has; "
                    "expected one for each" for kind, of_kind in files.items() for number in frames
                    if number not in of_kind]
        if problems:
            raise several(problems)
        if len(frames) < opt.n_frames_G and opt.is_train:
            raise UserError(f"{_folder(root, FOLDERS['maps'])}: {len(frames)} frames; expected at least "
                            f"{opt.n_frames_G}, as many as --n_frames_G")
        return [Sequence(root.resolve().name, {kind: [of_kind[number] for number in frames]
                                               for kind, of_kind in files.items()})]

    def _windows(self) -> list[tuple[int, int]]:
        return [(0, last) for last in range(self.opt.start_frame, len(self.sequences[0]))]

    def item(self, index: int, rng: np.random.Generator | Draws | None, epoch: int) -> dict:
        """A clip in training; at test the window that ends with a frame."""
        if self.opt.is_train:
            return super().item(index, rng, epoch)
        sequence, last = self.sequences[0], self.windows[index][1]
        numbers = [max(0, k) for k in range(last - self.opt.n_frames_G + 1, last + 1)]
        draws = rng if isinstance(rng, Draws) else Draws(rng)
        return {**self.frames(sequence, numbers, draws), "image_path": str(self.name_file(sequence, last))}


def _folder(root: Path, names: tuple[str, str]) -> Path:
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])
