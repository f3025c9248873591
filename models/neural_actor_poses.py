"""Corrections of an actor's poses, learned beside its networks with --refine_poses."""

import json

import torch
from torch import Tensor, nn

from util.errors import UserError
from vision.people.jointed_body import PARENTS
from vision.people.skinning import crossed, moved, moved_back, to_normalised, to_world, turned_further

POSE = ("joints_RT", "joints", "rotation", "translation")
TORN = 0.02
"""Metres that a joint may be from where its parent's transform has it."""


class PoseCorrections(nn.Module):
    """What is added to the pose of each frame that is trained on; nothing before training.

    Attributes:
        turns: [F, J, 3], axis times angle about each joint, along the axes of a frame's normalised space; rows are
            numbers of frames.
        shifts: [F, 3], metres, along the same axes.
    """

    def __init__(self, frames: int, joints: int):
        """Make them for frames of numbers below `frames`.

        Raises:
            UserError: it is not known which joint hangs on which, or there are no frames.
        """
        super().__init__()
        if joints != len(PARENTS):
            raise UserError(f"--refine_poses: found a body of {joints} joints; expected the {len(PARENTS)} of SMPL in "
                            "its order, of which it is known what hangs on what. Leave it out")
        if not frames:
            raise UserError("--refine_poses: this run was trained without it and has no other poses than the data; "
                            "leave it out")
        self.turns, self.shifts = nn.Parameter(torch.zeros(frames, joints, 3)), nn.Parameter(torch.zeros(frames, 3))

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """The poses of a batch, corrected, and how much.

        Args:
            batch: `joints_RT` [B, J, 4, 4], `joints` [B, J, 3], `rotation` [B, 3, 3] and `translation` [B, 3], as in
                files; `frame` [B], their numbers, of which those without a row stay as they are.

        Returns:
            the first four, and `correction` [B], the sum of the squares of radians and metres of each.

        Raises:
            UserError: joints do not hang together as SMPL's do.
        """
        poses = [self.pose({name: batch[name][i] for name in (*POSE, "frame")}) for i in range(len(batch["frame"]))]
        rows = batch["frame"].clamp(max=len(self.shifts) - 1)
        size = self.turns[rows].square().sum((1, 2)) + self.shifts[rows].square().sum(1)
        return {name: torch.stack([pose[name] for pose in poses]) for name in POSE} | {"correction": size}

    def pose(self, item: dict) -> dict[str, Tensor]:
        """One pose; as `forward`, without B."""
        frame, rotation, translation = int(item["frame"]), item["rotation"], item["translation"].reshape(3)
        if frame >= len(self.shifts):
            return item | {"translation": translation}
        joints = to_normalised(item["joints"], rotation, translation)
        rest = moved_back(joints, item["joints_RT"])[1:]
        if float((moved(rest, item["joints_RT"][list(PARENTS[1:])]) - joints[1:]).norm(dim=-1).max()) > TORN:
            raise UserError(f"--refine_poses: in frame {frame} joints are not where those have them that they hang on "
                            "in SMPL's body; expected SMPL's 24 joints in its order. Leave it out")
        turns, root = self.turns[frame], torch.linalg.matrix_exp(crossed(self.turns[frame, 0]))
        transforms, joints = turned_further(item["joints_RT"], joints,
                                            torch.cat((torch.zeros_like(turns[:1]), turns[1:])), PARENTS)
        translation = to_world(joints[0] - root @ joints[0] + self.shifts[frame], rotation, translation)
        rotation = root.T @ rotation  # the root's own turn is in these, as in files
        return {"joints_RT": transforms, "joints": to_world(joints, rotation, translation), "rotation": rotation,
                "translation": translation}


def as_transform_file(pose: dict[str, Tensor]) -> str:
    """The text of a transform file with a pose, which `PoseCorrections.pose` returns."""
    return json.dumps({"joints_RT": pose["joints_RT"].movedim(0, -1).tolist(), "rotation": pose["rotation"].tolist(),
                       "translation": [pose["translation"].tolist()], "joints": pose["joints"].tolist()})
