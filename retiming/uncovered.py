"""What an edit shows that nobody ever saw: background that people hide in every frame of the clip."""

from threading import Lock

import cv2
import numpy as np

from retiming.compositor import Compositor
from retiming.edit import Edit
from vision.geometry.canvas import Canvas
from vision.geometry.homography import still
from vision.layers.patches import Patch, transmittance


class Uncovered:
    """Background that an edit shows, and that people hide in every frame of the clip.

    Args:
        compositor: the layers.
        edit: what is rendered.
    """

    STEP = 4  # pixels of a picture, each way, for one that is looked at
    LARGEST = 1024  # side of what is looked at: the picture, or the panorama
    SEEN = 0.5  # share of the background that comes through where it is seen
    NEGLIGIBLE = 0.001  # share of the picture
    HIDES = 0.5  # share of what is hidden from which on somebody is named

    def __init__(self, compositor: Compositor, edit: Edit):
        self.compositor, self.edit, self.lock = compositor, edit, Lock()
        width, height = compositor.size
        registration = compositor.registration or still(compositor.size, len(compositor.root.frames))
        self.canvas = Canvas.of(registration, compositor.size, 1 / self.STEP, self.LARGEST)
        self.pixels_of_picture = width * height * self.canvas.density ** 2
        self.first_shown = np.full(self.canvas.size[::-1], edit.length)

    def note(self, output: int, camera: int, patches: list[tuple[Patch, float]]) -> None:
        """Take note of an output frame, seen by the camera of a source frame: patches and their opacity."""
        seen = self._seen(camera, patches)
        with self.lock:
            self.first_shown[seen] = np.minimum(self.first_shown[seen], output)

    def warning(self) -> str | None:
        """What to tell the user, if anything. Source frames are read until all of the background has been seen."""
        hidden = self.first_shown < self.edit.length
        hides = {number: np.zeros(hidden.shape, np.int32) for number in self.compositor.layers.numbers}
        frames = range(len(self.compositor.layers.frames))
        for frame in sorted(frames, key=lambda frame: frame * 0.618 % 1):  # far apart: neighbours hide the same places
            layers = {number: self.compositor.source(number, frame) for number in hides}
            hidden &= ~self._seen(frame, [(patch, 1.0) for patch in layers.values() if patch is not None])
            for number, patch in layers.items():
                if patch is not None:
                    hides[number] += ~self._seen(frame, [(patch, 1.0)])
            # A line one pixel wide is the edge of a layer that was moved.
            inner = cv2.erode(hidden.astype(np.uint8), np.ones((3, 3), np.uint8))
            if inner.sum() <= self.NEGLIGIBLE * self.pixels_of_picture:
                return None
        share = hidden.sum() / self.pixels_of_picture
        often = {number: times[hidden].mean() / len(frames) for number, times in hides.items()}
        who = [number for number in often if often[number] >= self.HIDES] or [max(often, key=lambda n: often[n])]
        people = f"{'person' if len(who) == 1 else 'people'} {' and '.join(map(str, who))}"
        return (f"what lies behind {people} is never seen: from output frame {self.first_shown[hidden].min() + 1} on, "
                f"{share:.1%} of the picture is background that people hide in every frame of the clip, and what is "
                "shown there is a guess")

    def _seen(self, camera: int, patches: list[tuple[Patch, float]]) -> np.ndarray:
        through = transmittance(patches, self.compositor.size)
        return self.canvas.lay(through, self.compositor.indices[camera], around=cv2.BORDER_CONSTANT) > self.SEEN
