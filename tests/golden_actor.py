"""Golden figures of Neural Actor: of the copy in the project, or of the folder that NEURAL_ACTOR_GOLDEN names."""

import json
import os
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from options.train_options import TrainOptions
from vision.people.skinning import Body

OWN = Path(__file__).with_name("golden_neural_actor")
"""The copy in the project: an actor for tests that do not compare figures."""
GOLDEN = Path(os.environ.get("NEURAL_ACTOR_GOLDEN") or OWN)


def figures(name: str, folder: Path = GOLDEN):
    """What a file of the folder holds."""
    if name.endswith(".json"):
        return json.loads((folder / name).read_text(encoding="utf-8"))
    return torch.load(folder / name, weights_only=True)


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


def options(case: dict | None = None) -> Namespace:
    """Options of a training, from those of an entry under their published names; those of the recipe without one.

    Raises:
        UserError: an entry has an option that nobody knows.
    """
    arguments = ["--model", "neural_actor", "--dataroot", str(GOLDEN / "dataroot"), "--gpu_ids", "-1",
                 "--no_pretrained"]
    if case is not None:
        given = {name: value for name, value in case["options"].items()
                 if value is not None and value is not False and name != "canonical_pose"}
        arguments += ["--arch", case.get("arch", "joint_nerf_coarse"),
                      *(f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items())]
    return TrainOptions().parse(arguments)


def camera(view: int) -> tuple[Tensor, Tensor]:
    """Intrinsics and camera-to-world matrix of a view."""
    names = [sorted((GOLDEN / "dataroot" / kind).iterdir())[view] for kind in ("intrinsic", "pose")]
    intrinsics, pose = (torch.from_numpy(np.loadtxt(name, dtype=np.float32)) for name in names)
    return intrinsics, pose
