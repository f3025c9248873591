"""An actor of one video in the layers of her own clip: what is behind her, who else is there, and the light that casts
her shadow. The clip's camera stands still.
"""

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from data.actor_files import by_number, read_cameras, read_pose, world_vertices
from data.dataroot import Dataroot
from data.decomposition import matte_reader
from data.layer_folder import LayerFolder
from util.clips import evenly_spread
from util.errors import UserError
from util.files import read_text
from util.images import read_image
from util.tensors import to_tensor
from vision.geometry.ground_shadow import Camera, GroundLight, cast_shadow, fitted_light
from vision.layers.effects import black_alpha
from vision.people.skinning import Body

NOTE = "one_video.json"
LIGHT_FRAMES, LIGHT_HEIGHT, ALIKE = 10, 128, 0.35
"""Frames that the light is found in; pixels of height at which; likeness of shadows to the body's below which there are
none."""
COVERED, FAINTEST, WINDOW = 0.05, 0.04, 0.8
"""Share of a pixel from which people cover it; darkening that may be noise; pixels that are looked at together."""
LOWEST = 0.1
"""Share of frames in which the lowest vertex is below the ground that is first supposed."""


class Place(NamedTuple):
    """Where in the clip a picture belongs.

    Attributes:
        name: of the frame that is made.
        frame: of the layers, from 0: what is behind her then.
    """

    name: str
    frame: int


class ClipLayers:
    """Layers of the clip that an actor was made of.

    Attributes:
        layers: of the clip.
        number: of hers.
        size: (H, W) of layers.
        light: of the scene; None where no shadow of hers was found.
    """

    def __init__(self, path: Path, actor: Path, body: Body):
        """Open them, and find the light.

        Args:
            path: layers that the first system exported.
            actor: dataroot of the actor, with one_video.json.
            body: hers.

        Raises:
            UserError: the actor is of no video, or its clip is gone or was filmed by a camera that moves, or these are
                no layers of it.
        """
        try:
            note = json.loads(read_text(actor / NOTE))
            clip, self.number = Path(note["clip"]), int(note["layer"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"--into: {actor / NOTE} is missing or broken; expected an actor that "
                            "datasets/make_actor_dataset.py made of the clip whose layers these are") from None
        self.root, self.layers, self.body = Dataroot.open(clip), LayerFolder.open(path), body
        if self.root.camera_motion() is not None:
            raise UserError(f"--into: the camera of {clip} moves; expected one that stands still")
        if self.number not in self.layers.numbers:
            raise UserError(f"--into: {path} has the layers {self.layers.numbers}; expected {self.number} among them, "
                            f"which is hers in {clip}")
        self.in_clip, self.orders = self.layers.in_clip(self.root)
        width, height = self.layers.size
        self.size = height, width
        intrinsics, pose = (matrix.numpy().astype(float) for matrix in read_cameras(actor)[0])
        self.intrinsics, self.pose = intrinsics, pose
        self.light = self._found_light(actor)

    def camera(self, size: tuple[int, int]) -> Camera:
        """The clip's camera, with pictures of (H, W); its intrinsics are for pictures whose middle is the lens's."""
        scale = size[0] / (2 * self.intrinsics[1, 2] + 1)
        scaled = self.intrinsics.copy()
        scaled[:2] *= scale
        scaled[:2, 2] += (scale - 1) / 2
        return Camera(scaled, self.pose, size)

    def _found_light(self, actor: Path) -> GroundLight | None:
        transforms = by_number(actor / "transform", "*.json")
        frames = [frame for frame, index in enumerate(self.in_clip) if index in transforms]
        frames = [frames[i] for i in evenly_spread(len(frames), LIGHT_FRAMES)]
        vertices = {frame: world_vertices(self.body, read_pose(transforms[self.in_clip[frame]],
                                                               self.body.weights.shape[1])).numpy() for frame in frames}
        size = min(LIGHT_HEIGHT, self.size[0]), round(min(LIGHT_HEIGHT, self.size[0]) * self.size[1] / self.size[0])
        people, matte = matte_reader(self.root, size[::-1])
        dark, visible = [], []
        for frame in frames:
            index = self.in_clip[frame]
            picture, plate = (cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
                              for pixels in (read_image(self.root.file("rgb_256", index), "RGB"),
                                             self.layers.background(frame)))
            visible.append(np.max([matte(number, index) for number in people], 0) < 255 * COVERED)
            darker = black_alpha(picture, plate, visible[-1].astype(np.float32), WINDOW)
            dark.append(np.where(darker > FAINTEST, darker, 0))
        if not frames:
            return None
        ground = float(np.quantile([places[:, 1].min() for places in vertices.values()], LOWEST))
        light, likeness = fitted_light(list(vertices.values()), self.body.faces.numpy(), ground, self.camera(size),
                                       np.stack(dark), np.stack(visible))
        if likeness < ALIKE:
            print(f"note: nowhere in {self.root.path} it is darker than in {self.layers.path} as in a shadow of hers "
                  f"(likeness {likeness:.2f}); she gets none")
            return None
        print(f"light: the shadow of something 1 m high ends at x {light.reach[0]:+.2f} m, z {light.reach[1]:+.2f} m "
              f"from its foot, and takes {100 * light.strength:.0f} % of the light (likeness {likeness:.2f})")
        return light

    def place(self, number: int, order: int, own: bool) -> Place:
        """Where a picture belongs: that of a frame of the clip where the poses are its `own`, else by its order.

        After the last frame of the clip its background stays, and names go on.
        """
        names, last = self.layers.frames, len(self.layers.frames) - 1
        if own and number in self.in_clip:
            order = self.in_clip.index(number)
        return Place(names[order] if order <= last else f"{order + 1:04d}", min(order, last))

    def item(self, place: Place, vertices: np.ndarray) -> dict:
        """What an item of the actor has more: `plate` [3, H, W] in [-1, 1]; `shadow` [1, H, W] in [0, 1]; `others`,
        straight RGBA [N, 4, H, W] of the layers that are not hers, in [-1, 1], with their numbers in `other_numbers`;
        and `own_number`.
        """
        others = [number for number in self.layers.numbers if number != self.number]
        shadow = np.zeros(self.size, np.float32) if self.light is None else cast_shadow(
            vertices, self.body.faces.numpy(), self.light, self.camera(self.size))
        pictures: list[Tensor] = [to_tensor(self.layers.layer(number, place.frame)) for number in others]
        return {"plate": to_tensor(self.layers.background(place.frame)), "shadow": torch.from_numpy(shadow)[None],
                "others": torch.stack(pictures) if pictures else torch.zeros(0, 4, *self.size),
                "other_numbers": torch.tensor(others, dtype=torch.long), "own_number": self.number}

    def metadata(self, places: list[Place]) -> str:
        """metadata.json of the clip that is made of pictures in these places."""
        values = {"size_LR": list(self.layers.size), "alphapose_input_size": list(self.layers.size),
                  "n_textures": 24 * len(self.layers.numbers) + 1, "frame_rate": str(self.root.metadata.frame_rate)}
        if len(self.layers.numbers) > 1:
            values["composite_order"] = [self.orders[place.frame] for place in places]
        return json.dumps(values) + "\n"
