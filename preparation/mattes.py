"""Step "mattes": mask/01/0001.png ..., masks of the people in keypoints.json, where the user has none.

A network says roughly what is whom (segmenters.py); scene, colours and the frames around say the rest
(vision/layers/matte_refinement.py). Where no network can be had there are no masks, which is said.
"""

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data.camera_check import canvas_of
from data.dataroot import list_images, read_homographies
from data.tracked_poses import TrackedPose, poses_of_frames
from preparation import segmenters
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames
from util.errors import UserError
from util.images import read_image, write_png
from vision.layers.matte_refinement import refined_mattes
from vision.people.drawn_body import draw_body

SEGMENTERS = ("mask_rcnn", "mediapipe", "none")
_DRAWN, _SOFT = 0.8, 0.015
"""How sure drawn limbs are the person, and over which share of his height they fade."""
_EDGE_ERROR = 1 / 1000
"""Of the frames' height, of what networks find: they say by themselves how sure they are."""
_UNSEEN = 0.2
"""Share of the frames with somebody's pose in which nothing of him may be found before it is told."""


def add_options(group) -> None:
    """Options of this step."""
    group.add_argument("--segmenter", choices=SEGMENTERS, metavar="NAME",
                       help="what is to find masks where none are given. mask_rcnn: downloads its weights once (170 "
                            "MB); mediapipe: a smaller network (9 MB); none: layers are the limbs that poses draw "
                            "(default: mask_rcnn, or mediapipe where its weights cannot be had)")


def run(job: Job) -> Outcome:
    """Find masks of the tracked people, and refine them."""
    if job.opt.segmenter == "none":
        return Outcome("none", [Finding(2, _WITHOUT.format("asked for with --segmenter none"))])
    files = list_images(job.root / "rgb")
    people = poses_of_frames(job.root / "keypoints.json", list(files))
    if not any(people):
        return Outcome("nobody has a pose, so there are none")
    try:
        chosen = segmenters.best_at_hand(job.opt.segmenter)
    except UserError as error:
        if job.opt.segmenter is not None:
            raise
        return Outcome("none", [Finding(2, _WITHOUT.format(str(error)))])
    layers = layers_of(job.root, people)
    path, size = job.root / "homographies.txt", tuple(facts_of_frames(job.root, "size_LR")["size_LR"])
    canvas = canvas_of(read_homographies(path) if path.exists() else None, path, list(files), size)
    priors = found_masks(job, files, people, layers, chosen.segment)
    frames = np.stack([read_image(file, "RGB") for file in list_images(job.root / "rgb_256").values()])
    mattes = refined_mattes(frames, priors, canvas, _EDGE_ERROR)
    for matte, prior in zip(mattes, priors):
        if matte.max() < 128:  # nothing in sight where the poses are
            matte[:] = prior
    for f, name in enumerate(files):
        for number, matte in enumerate(mattes[:, f], start=1):
            write_png(job.made / "mask" / f"{number:02d}" / f"{name}.png", matte)
    findings = [Finding(0, f"mattes: found by {chosen.name}, refined against scene, colours and neighbouring frames")]
    if chosen.lacking:
        findings = [Finding(1, f"mattes: found by {chosen.name}'s small network, which knows bodies better than what "
                               f"they hold, and one of several who overlap better than the others; {chosen.lacking}")]
    findings += unseen(people, layers, priors)
    return Outcome(f"masks of {len(layers)} {'layer' if len(layers) == 1 else 'layers'} ({chosen.name}, refined)",
                   findings, {"segmenter": chosen.name})


STEP = Step("mattes", run, ("rgb", "rgb_256", "keypoints.json", "homographies.txt",
                            f"{METADATA}#alphapose_input_size", f"{METADATA}#people_layers!layers"),
            ("mask",), add_options, steps_back=True)
_WITHOUT = ("mattes: no masks: {}. Layers are the limbs that poses draw, so hair, clothes, hands and all that people "
            "hold are cut off, and stay in the background. Give masks: --masks PATH")


def layers_of(root: Path, people: list[list[TrackedPose]]) -> list[list[int]]:
    """Who is in which layer: as somebody wrote it into metadata.json, else everybody in one of his own."""
    given = facts_of_frames(root).get("people_layers")
    ids = sorted({pose.person for present in people for pose in present})
    return given if given else [[person] for person in ids]


def found_masks(job: Job, files: dict[str, Path], people: list[list[TrackedPose]], layers: list[list[int]],
                segment: segmenters.Segmenter) -> np.ndarray:
    """What a segmenter finds of each layer's people, uint8 [L, F, H, W] in the size of rgb_256; kept in the cache."""
    values = facts_of_frames(job.root, "size_LR")
    size = tuple(values["size_LR"])
    priors = np.zeros((len(layers), len(files), *size[::-1]), np.uint8)
    for f, (name, file) in enumerate(tqdm(files.items(), desc="mattes", unit="frame")):
        if not people[f]:
            continue
        kept = [job.cache / f"{name}_{number:02d}.png" for number in range(1, len(layers) + 1)]
        if not all(path.exists() for path in kept):
            picture = read_image(file, "RGB")
            scale = np.array([*(np.array(picture.shape[1::-1]) / values["alphapose_input_size"]), 1])
            skeletons = [pose.keypoints * scale for pose in people[f]]
            masks = [mask if mask.max() > 0.5 else drawn_mask(skeleton, mask.shape[::-1])
                     for skeleton, mask in zip(skeletons, segment(picture, skeletons))]
            for layer, path in zip(layers, kept):
                mine = [mask for pose, mask in zip(people[f], masks) if pose.person in layer]
                mask = np.max(mine, axis=0) if mine else np.zeros(picture.shape[:2], np.float32)
                small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
                write_png(path, (255 * small).clip(0, 255).round().astype(np.uint8))
        priors[:, f] = [read_image(path, "L") for path in kept]
    return priors


def drawn_mask(skeleton: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What is left where a network sees nobody though there is a pose: about the limbs, float32 [H, W].

    Args:
        skeleton: COCO-17 [17, 3] in pixels.
        size: (width, height).
    """
    body = (draw_body(skeleton, size, size)[0] > 0).astype(np.float32)
    return _DRAWN * cv2.GaussianBlur(body, (0, 0), max(_SOFT * np.ptp(skeleton[:, 1]), 0.5))


def unseen(people: list[list[TrackedPose]], layers: list[list[int]], priors: np.ndarray) -> list[Finding]:
    """In which layers there are poses of people of whom often nothing was found."""
    findings = []
    for number, (layer, mine) in enumerate(zip(layers, priors), start=1):
        posed = [f for f, present in enumerate(people) if any(pose.person in layer for pose in present)]
        missing = [f for f in posed if mine[f].max() <= 255 * _DRAWN]
        if len(missing) > _UNSEEN * len(posed):
            findings.append(Finding(2, f"mattes: of layer {number} nothing was found in {len(missing)} of {len(posed)} "
                                       "frames with a pose; there it is drawn from that and the frames around. "
                                       "Look at the page, and give --masks where it is wrong"))
    return findings
