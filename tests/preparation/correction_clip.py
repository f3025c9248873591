"""A small dataroot to correct: person 3 is person 2, from the middle of the clip on."""

import json
from pathlib import Path

import numpy as np

from preparation.steps import write_values
from util.images import write_png

STANDING = np.array([(50, 5), (52, 3), (48, 3), (55, 5), (45, 5), (62, 20), (38, 20), (68, 38), (32, 38), (70, 55),
                     (30, 55), (58, 58), (42, 58), (58, 80), (42, 80), (58, 100), (42, 100)], float)
SIZE, FRAMES = (320, 128), 10
NAMES = [f"{n:04d}" for n in range(1, FRAMES + 1)]


def block(x: int) -> np.ndarray:
    """The mask of somebody at x."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[10:110, x + 30:x + 70] = 255
    return mask


def make_clip(root: Path) -> Path:
    """1 stands at 0, 2 at 110 until frame 5, 3 at 110 from frame 6 on."""
    ground = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    poses = {}
    for index, name in enumerate(NAMES):
        for folder in ("rgb", "rgb_256"):
            write_png(root / folder / f"{name}.png", ground)
        places = {1: 0, **({2: 110} if index < 5 else {3: 110})}
        poses[f"{name}.png"] = [{"idx": person, "scores": 1.0, "keypoints": np.column_stack(
            [STANDING + (x, 10), np.full(17, 0.9)]).ravel().tolist()} for person, x in places.items()]
        for person in (1, 2, 3):
            write_png(root / f"mask/{person:02d}/{name}.png",
                      block(places[person]) if person in places else np.zeros(SIZE[::-1], np.uint8))
    (root / "keypoints.json").write_text(json.dumps(poses))
    write_values(root / "metadata.json", {"alphapose_input_size": SIZE, "size_LR": SIZE})
    return root
