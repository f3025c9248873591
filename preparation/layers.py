"""Step "layers": who is in which layer, and in which order the layers lie in each frame.

The lower somebody's feet are in the picture, the nearer he is; where bodies overlap and there are masks, these say who
hides whom.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.dataroot import list_images
from data.masks import mask_files, read_mask
from data.tracked_poses import HIGHEST_PERSON, TrackedPose, poses_of_frames
from preparation.masks import given_masks
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames, write_values
from util.clips import DEFAULT_FRAME_RATE
from util.errors import UserError
from vision.layers.depth_order import occlusion, orders_back_to_front
from vision.people.coco import ANKLES
from vision.people.drawn_body import draw_body
from vision.people.iuv import atlas_tiles
from vision.people.person_mask import bounding_box

_STEADINESS_S = 0.25
_CUE_HEIGHT = 256
_MOST_TESTED = 7
_SURE_SCORE = 0.3


def run(job: Job) -> Outcome:
    """Give everybody a layer, and find the layers' order."""
    frames = list(list_images(job.root / "rgb"))
    values = facts_of_frames(job.root, "alphapose_input_size")
    people, masks = poses_of_frames(job.root / "keypoints.json", frames), mask_files(job.root)
    without_poses = given_masks(job.root) if any(people) else masks  # masks that were made are of those with poses
    ids = sorted({pose.person for present in people for pose in present} | set(without_poses))
    if not ids or ids[-1] > HIGHEST_PERSON:
        raise UserError(f"{job.root}: keypoints.json and mask/ have people {ids}; expected some, numbered 1 to "
                        f"{HIGHEST_PERSON}. Give other --poses, or --masks")
    made: dict[str, Any] = {"n_textures": atlas_tiles(ids[-1])}
    layers = [[person] for person in ids]
    if f"{METADATA}#people_layers" in job.kept:
        layers = values["people_layers"]
    elif ids != list(range(1, len(ids) + 1)):
        made["people_layers"] = layers
    feet, in_front = depth_cues(frames, people, layers, masks, values["alphapose_input_size"])
    steadiness = _STEADINESS_S * float(Fraction(values.get("frame_rate", DEFAULT_FRAME_RATE)))
    orders = [[index + 1 for index in order] for order in orders_back_to_front(feet, in_front, steadiness)]
    write_values(job.made / METADATA, {**made, "composite_order": orders})

    changes = [frame for frame, before, now in zip(frames[1:], orders, orders[1:]) if before != now]
    order = f"the order changes at {', '.join(changes[:4])}{' ...' if len(changes) > 4 else ''}" if changes else (
        "one order throughout" if len(layers) > 1 else "nothing to order")
    findings = []
    if len(layers) > _MOST_TESTED:
        findings.append(Finding(1, f"layers: {len(layers)}; tested were up to {_MOST_TESTED}, and time and memory "
                                   "grow with each. Choose with --people, or join people in "
                                   "people_layers of metadata.json"))
    return Outcome(f"{len(layers)} {'layer' if len(layers) == 1 else 'layers'}, {order}", findings)


def add_options(_group) -> None:
    """There are none: who wants another order writes composite_order into metadata.json."""


STEP = Step("layers", run, ("keypoints.json", "mask", f"{METADATA}#alphapose_input_size", f"{METADATA}#frame_rate"),
            tuple(f"{METADATA}#{key}" for key in ("n_textures", "people_layers", "composite_order")), add_options,
            heeds=(f"{METADATA}#people_layers",))


def depth_cues(frames: list[str], people: list[list[TrackedPose]], layers: list[list[int]],
               masks: dict[int, dict[str, Path]], pose_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """What tells nearer from farther: [F, L] how low each layer stands, [F, L, L] who is seen to hide whom.

    Both are as `orders_back_to_front` takes them.
    """
    feet = np.full((len(frames), len(layers)), np.nan)
    in_front = np.full((len(frames), len(layers), len(layers)), np.nan)
    size = (max(1, round(_CUE_HEIGHT * pose_size[0] / pose_size[1])), _CUE_HEIGHT)
    for f, (frame, present) in enumerate(zip(tqdm(frames, desc="layers", unit="frame"), people)):
        bodies, seen = {}, {}
        for i, layer in enumerate(layers):
            members = [pose for pose in present if pose.person in layer]
            path = masks.get(i + 1, {}).get(frame)
            mask = read_mask(path, size) if path else np.zeros(size[::-1], bool)
            if members:
                feet[f, i] = max(lowest(pose.keypoints) for pose in members) / pose_size[1]
                if mask.any():
                    bodies[i] = np.any([draw_body(pose.keypoints, pose_size, size)[0] > 0 for pose in members], axis=0)
                    seen[i] = mask
            elif mask.any():
                feet[f, i] = bounding_box(mask)[3] / size[1]
        for i in bodies:
            for j in bodies:
                if i < j:
                    in_front[f, i, j] = occlusion(bodies[i], seen[i], bodies[j], seen[j])
                    in_front[f, j, i] = -in_front[f, i, j]
    return feet, in_front


def lowest(keypoints: np.ndarray) -> float:
    """The y of a skeleton's lower ankle, or of its lowest joint where no ankle is sure."""
    sure = keypoints[:, 2] > _SURE_SCORE
    ankles = [joint for joint in ANKLES if sure[joint]]
    return float(keypoints[ankles or (np.flatnonzero(sure).tolist() or slice(None)), 1].max())
