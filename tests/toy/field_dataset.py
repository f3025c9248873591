"""A coloured ball before a white wall, seen by cameras around it: rays with their colours, in closed form."""

import numpy as np
import torch

from data.base_dataset import BaseDataset
from util.command_line import float_at_least, int_at_least

RADIUS = 0.8
"""Of the ball, around the origin."""
DISTANCE = 2.5
"""Of the cameras from the origin."""


class FieldDataset(BaseDataset):
    """Rays of filmed views in training; all rays of views that nobody filmed, along a trajectory, for test.py.

    An item holds `origins` and `directions` [..., 3] of rays, which are of unit length, in the world (y down), and
    `colours` [..., 3] in [-1, 1] where the view was filmed. The leading dimensions are [n_rays] in training, [H, W] in
    all other cases. Items for test.py have the camera's `pose` [4, 4], to the world, and `image_path` besides.
    """

    def __init__(self, opt):
        super().__init__(opt)
        if opt.is_train:
            angles, self.length = np.linspace(0, 2 * np.pi, opt.n_views, endpoint=False), opt.virtual_epoch
        else:
            angles, self.length = opt.speed * np.arange(opt.n_poses), opt.n_poses
        self.poses = [look_at(DISTANCE * np.array([np.cos(a), -0.3, np.sin(a)]), np.zeros(3)) for a in angles]
        self.length = int(min(self.length, opt.max_dataset_size))

    @staticmethod
    def add_options(parser, is_train: bool) -> None:
        """Views and rays."""
        group = parser.add_argument_group("field dataset")
        group.add_argument("--resolution", type=int_at_least(1), default=16, metavar="PX",
                           help="width and height of views")
        if is_train:
            group.add_argument("--n_views", type=int_at_least(1), default=6, metavar="N", help="filmed views")
            group.add_argument("--n_rays", type=int_at_least(1), default=64, metavar="N", help="rays of an item")
            group.add_argument("--virtual_epoch", type=int_at_least(1), default=20, metavar="N",
                               help="items of an epoch")
        else:
            group.add_argument("--n_poses", type=int_at_least(1), default=3, metavar="N",
                               help="poses of the trajectory")
            group.add_argument("--speed", type=float_at_least(0), default=0.3, metavar="RAD",
                               help="angle between two poses")

    def __len__(self) -> int:
        return self.length

    def item(self, index: int, rng: np.random.Generator | None, epoch: int) -> dict:
        """Random rays of a filmed view; without `rng` a whole view."""
        pose = self.poses[index % len(self.poses)]
        origins, directions = pixel_rays(pose, self.opt.resolution)
        if not self.opt.is_train:
            return {"origins": _tensor(origins), "directions": _tensor(directions), "pose": _tensor(pose),
                    "image_path": f"{index:06d}.png"}
        if rng is not None:
            chosen = rng.integers(self.opt.resolution**2, size=self.opt.n_rays)
            origins, directions = origins.reshape(-1, 3)[chosen], directions.reshape(-1, 3)[chosen]
        colours = seen_colours(origins, directions)
        return {"origins": _tensor(origins), "directions": _tensor(directions), "colours": _tensor(colours)}


def look_at(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pose [4, 4] from a camera (x right, y down, z forward) to the world (y down), without roll."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross([0, 1, 0], forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack((right, np.cross(forward, right), forward, position), 1)
    return pose


def pixel_rays(pose: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions [H, W, 3] of the rays through pixel centres; the focal length is that of the view."""
    y, x = (np.indices((resolution, resolution)) + 0.5) / resolution - 0.5
    directions = np.stack((x, y, np.ones_like(x)), -1) @ pose[:3, :3].T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.broadcast_to(pose[:3, 3], directions.shape), directions


def seen_colours(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """What rays [..., 3] meet: the ball, whose colour in [-1, 1] is the surface's normal, or white."""
    middle = -(origins * directions).sum(-1)
    half = RADIUS**2 - (origins**2).sum(-1) + middle**2
    normals = (origins + (middle - np.sqrt(np.maximum(half, 0)))[..., None] * directions) / RADIUS
    return np.where((half > 0)[..., None], normals, 1.0)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float32)
