"""Maps in {phase}_A/ and photographs in {phase}_B/: streets from label maps, or video from any other pictures.

With --use_instance the numbers of things are in {phase}_inst/, of 8 or 16 bits; only where they differ counts.
"""

from PIL import Image
from torch import Tensor

from data.image_sequences import IMAGES, Draws, Framing, Sequence, must_be_of_size, read_ids, read_labels, read_photo
from data.video_clips import ClipDataset, normalised, numbers_of
from util.errors import UserError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""--input_nc to the mode of pictures."""


class TemporalDataset(ClipDataset):
    """Items of label maps (--label_nc above 0) or other pictures (--label_nc 0, --input_nc channels in [-1, 1])."""

    @staticmethod
    def folders(opt) -> dict[str, tuple[str, tuple[str, ...]]]:
        """A; B in training and with --use_real_img; inst with --use_instance."""
        folders: dict[str, tuple[str, tuple[str, ...]]] = {"maps": ("A", IMAGES)}
        if opt.is_train or opt.use_real_img:
            folders["images"] = "B", IMAGES
        if opt.use_instance:
            folders["instances"] = "inst", IMAGES
        return folders

    @staticmethod
    def resolve_options(opt) -> dict:
        """`data_id`."""
        return TemporalDataset.data_options(opt)

    def check_options(self) -> None:
        """Pictures have 1, 3 or 4 channels."""
        if self.opt.label_nc == 0 and self.opt.input_nc not in MODES:
            raise UserError(f"--input_nc: found {self.opt.input_nc}; pictures have 1, 3 or 4 channels. For label maps "
                            "give --label_nc, the number of labels; for faces and poses --dataset_mode")

    def frames(self, sequence: Sequence, numbers: list[int], draws: Draws) -> dict[str, Tensor]:
        """A, B where it is there, inst where it is there."""
        size = self.size(sequence, "maps")
        framing = self.framing(size, draws)
        maps = [self._framed(sequence, "maps", k, framing) for k in numbers]
        frames = {"A": numbers_of(maps) if self.opt.label_nc else normalised(maps)}
        if "images" in sequence.files:
            frames["B"] = normalised(self.photos(sequence, numbers, framing, size))
        if "instances" in sequence.files:
            frames["inst"] = numbers_of([self._framed(sequence, "instances", k, framing) for k in numbers])
        frames |= self.flows(sequence, numbers, framing, size)
        return self.checked(frames, sequence)

    def check_frame(self, sequence: Sequence, k: int) -> None:
        """Read all that there is of a frame."""
        for kind in sequence.files:
            if kind != "flows":
                self._read(sequence, kind, k)

    def _framed(self, sequence: Sequence, kind: str, k: int, framing: Framing):
        plain = kind == "maps" and not self.opt.label_nc
        return framing.apply(self._read(sequence, kind, k),
                             Image.Resampling.BICUBIC if plain else Image.Resampling.NEAREST)

    def _read(self, sequence: Sequence, kind: str, k: int):
        path, first = sequence.files[kind][k], sequence.files["maps"][0]
        if kind == "instances":
            pixels = read_ids(path)
        elif kind == "images":
            pixels = read_photo(path)
        elif self.opt.label_nc:
            pixels = read_labels(path, self.opt.label_nc)
        else:
            pixels = read_photo(path, MODES[self.opt.input_nc])
        return must_be_of_size(pixels, self.size(sequence, "maps"), path, first)
