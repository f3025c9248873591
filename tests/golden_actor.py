"""Golden figures of Neural Actor: of the copy in the project, or of the folder that NEURAL_ACTOR_GOLDEN names."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vision.people.skinning import Body

GOLDEN = Path(os.environ.get("NEURAL_ACTOR_GOLDEN") or Path(__file__).with_name("golden_neural_actor"))


def figures(name: str):
    """What a file of the folder holds."""
    if name.endswith(".json"):
        return json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return torch.load(GOLDEN / name, weights_only=True)


def image(name: str) -> Tensor:
    """A picture of the folder, [3, H, W] in [0, 1]."""
    pixels = np.asarray(Image.open(GOLDEN / name).convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


def body(canonical_pose: bool = True) -> Body:
    """The body of the folder."""
    found = figures("body.pt")
    return Body(found["vertices"], found["faces"], found["face_uv"], found["weights"],
                found["canonical_joints_RT"] if canonical_pose else None)


def frame(index: int) -> dict:
    """Joints' transforms, rotation and translation of a frame."""
    found = {entry["frame"]: entry for entry in figures("body.pt")["frames"]}[index]
    return {**found, "joints_world": found["joints_normalised"] @ found["rotation"] + found["translation"]}
