"""Skeleton images, one for each person in each frame: what the model kp2uv turns into UV maps."""

import numpy as np

from data.base_dataset import BaseDataset
from data.dataroot import Dataroot
from data.tracked_poses import people_layers, poses_of_frames
from util.tensors import to_tensor
from vision.people.keypoints import crop_keypoints, draw_skeleton


class KpuvDataset(BaseDataset):
    """Items of a dataroot with keypoints.json, frame by frame.

    An item holds `keypoint_image` [3, 256, 256] in [-1, 1], and `image_path`, "<person, two digits>_<frame>.png".
    People who belong to no layer are left out.
    """

    def __init__(self, opt):
        super().__init__(opt)
        root = Dataroot.open(opt.dataroot)
        path = root.path / "keypoints.json"
        frames = poses_of_frames(path, root.frames)
        people = {person for layer in people_layers(root.metadata, path, frames) for person in layer}
        poses = [(frame, pose) for frame, present in zip(root.frames, frames)
                 for pose in present if pose.person in people]
        self.poses = poses[:int(min(len(poses), opt.max_dataset_size))]

    def __len__(self) -> int:
        return len(self.poses)

    def item(self, index: int, rng: np.random.Generator | None, epoch: int) -> dict:
        """Person and frame number `index`; always the same."""
        frame, pose = self.poses[index]
        skeleton = draw_skeleton(crop_keypoints(pose.keypoints))
        return {"keypoint_image": to_tensor(skeleton), "image_path": f"{pose.person:02d}_{frame}.png"}
