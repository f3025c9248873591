"""Frames and views of the golden folder's actor, as items for `--model neural_actor`."""

import numpy as np
import torch

from data.base_dataset import BaseDataset
from tests import golden_actor
from vision.geometry.rays import draw_pixels, pixel_grid, pixel_rays, sphere_bounds

SIDE = 4
"""Photographs are reduced by this."""


class RecordedActorDataset(BaseDataset):
    """Every frame from every camera; in training 48 rays that pass the body."""

    def __init__(self, opt):
        super().__init__(opt)
        self.frames = [golden_actor.frame(entry["frame"]) for entry in golden_actor.figures("body.pt")["frames"]]
        self.views = len(list((golden_actor.GOLDEN / "dataroot/intrinsic").iterdir()))

    @staticmethod
    def add_options(parser, is_train):
        parser.add_argument("--n_rays", type=int, default=48)

    def __len__(self):
        return len(self.frames) * self.views

    def item(self, index, rng, epoch):
        frame, view = self.frames[index // self.views], index % self.views
        intrinsics, pose = golden_actor.camera(view)
        folder = sorted((golden_actor.GOLDEN / "dataroot/rgb").iterdir())[index // self.views]
        photograph = golden_actor.image(sorted(folder.iterdir())[view])[:, ::SIDE, ::SIDE]
        size = photograph.shape[1:]
        origins, directions = pixel_rays(SIDE * pixel_grid(size), intrinsics, pose)
        colours = 2 * photograph.flatten(1).T - 1
        item = {"joints_RT": frame["joints_RT"], "rotation": frame["rotation"], "translation": frame["translation"],
                "joints": frame["joints_world"], "camera_to_world": pose,
                "texture": 2 * golden_actor.image(f"dataroot/tex/{frame['frame']:06d}.png") - 1}
        if rng is None:
            return {**item, "rays_o": origins, "rays_d": directions, "rgb": colours, "size": tuple(size),
                    "image_path": f"{index:06d}.png"}
        hit = sphere_bounds(origins, directions, frame["vertices_world"], self.opt.min_dis_eps)[2]
        x, y = draw_pixels(hit.view(size).numpy(), self.opt.n_rays, rng).T
        chosen = torch.from_numpy(np.asarray(y * size[1] + x))
        return {**item, "rays_o": origins[chosen], "rays_d": directions[chosen], "rgb": colours[chosen]}
