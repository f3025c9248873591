"""Step "mattes": mask/01/0001.png ..., masks of the people in keypoints.json, where the user has none.

A network says roughly what is whom (segmenters.py); scene, colours and the frames around say the rest
(vision/layers/matte_refinement.py). Where no network can be had there are no masks, which is said. Masks that are given
for few frames (mask_given/) stay as they are there, and what they correct is carried on to the frames around.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from data.camera_check import canvas_of
from data.dataroot import list_images, read_homographies
from data.masks import read_matte
from data.solving import Pictures
from data.tracked_poses import TrackedPose, poses_of_frames
from preparation import segmenters
from preparation.masks import GUIDES
from preparation.steps import METADATA, Finding, Job, Outcome, Step, facts_of_frames
from util.errors import UserError
from util.images import read_image, write_png
from util.packed import Packed
from vision.geometry.canvas import Canvas
from vision.layers.matte_refinement import refined
from vision.people.drawn_body import draw_body
from vision.people.mask_correction import carried_on, painted
from vision.people.person_mask import common_where_alike

SEGMENTERS = ("mask_rcnn", "mediapipe", "none")
_DRAWN, _SOFT = 0.8, 0.015
"""How sure drawn limbs are the person, and over which share of his height they fade."""
_EDGE_ERROR = 1 / 1000
"""Of the frames' height, of what networks find: they say by themselves how sure they are."""
_UNSEEN = 0.2
"""Share of the frames with somebody's pose in which nothing of him may be found before it is told."""
_LIKE = 0.2
"""Overlap (intersection over union) from which on a mask that is given is that of somebody who was found."""
Guides = dict[int, dict[int, np.ndarray]]
"""Masks that are given, uint8 [H, W], by layer (from 0) and frame."""


def add_options(group) -> None:
    """Options of this step."""
    group.add_argument("--segmenter", choices=SEGMENTERS, metavar="NAME",
                       help="what is to find masks where none are given. mask_rcnn: downloads its weights once (170 "
                            "MB); mediapipe: a smaller network (9 MB); none: layers are the limbs that poses draw "
                            "(default: mask_rcnn, or mediapipe where its weights cannot be had)")


def run(job: Job) -> Outcome:
    """Find masks of the tracked people, and refine them."""
    files = list_images(job.root / "rgb")
    people = poses_of_frames(job.root / "keypoints.json", list(files)) if (job.root / "keypoints.json").exists() else []
    guides = given_guides(job.root, list(files))
    if job.opt.segmenter == "none" and not guides:
        return Outcome("none", [Finding(2, _WITHOUT.format("asked for with --segmenter none"))])
    if not any(people) and not guides:
        return Outcome("nobody has a pose, so there are none")
    frames = Pictures(list(list_images(job.root / "rgb_256").values()))
    path = job.root / "homographies.txt"
    canvas = canvas_of(read_homographies(path) if path.exists() else None, path, list(files), frames[0].shape[1::-1])
    findings, values = [], {}
    if any(people):
        try:
            chosen = segmenters.best_at_hand(job.opt.segmenter) if job.opt.segmenter != "none" else None
        except UserError as error:
            if job.opt.segmenter is not None:
                raise
            if not guides:
                return Outcome("none", [Finding(2, _WITHOUT.format(str(error)))])
            chosen = None
        layers = layers_of(job.root, people)
        priors = found_masks(job, files, people, layers, chosen.segment if chosen else nothing_found)
        findings, values = said_of(chosen), {"segmenter": chosen.name if chosen else "none"}
        findings += unseen(people, layers, priors)
        guides, told = matched(guides, priors)
        findings += told
        what = f"{chosen.name if chosen else 'limbs'}, refined"
    else:
        priors = Packed(np.stack(masks) for masks in zip(*(followed(frames, guide) for guide in guides.values())))
        what = "followed from those given"
    mattes = guided(frames, priors, guides, canvas)
    for name, masks in zip(files, mattes):
        for number, matte in enumerate(masks, start=1):
            write_png(job.made / "mask" / f"{number:02d}" / f"{name}.png", matte)
    count = len(mattes[0])
    return Outcome(f"masks of {count} {'layer' if count == 1 else 'layers'} ({what})", findings, values)


def said_of(chosen: segmenters.AtHand | None) -> list[Finding]:
    """By what masks were found, and what is worse for it."""
    if chosen is None:
        return [Finding(2, "mattes: no network; beside the frames with masks they are the limbs that poses draw")]
    if chosen.lacking:
        return [Finding(1, f"mattes: found by {chosen.name}'s small network, which knows bodies better than what "
                           f"they hold, and one of several who overlap better than the others; {chosen.lacking}")]
    return [Finding(0, f"mattes: found by {chosen.name}, refined against scene, colours and neighbouring frames")]


def given_guides(root: Path, frames: list[str]) -> Guides:
    """The masks in mask_given/, in the size of rgb_256, by their order."""
    folder = root / GUIDES
    if not folder.is_dir():
        return {}
    size = tuple(facts_of_frames(root, "size_LR")["size_LR"])
    numbered = {name: f for f, name in enumerate(frames)}
    return {index: {numbered[name]: read_matte(file, size) for name, file in list_images(one).items()
                    if name in numbered} for index, one in enumerate(sorted(folder.iterdir()))}


def matched(guides: Guides, priors: Packed) -> tuple[Guides, list[Finding]]:
    """Whose masks those that are given are, by their overlap with what was found: guides by layer, and what to say.

    Args:
        guides: by their own order.
        priors: uint8 [L, H, W] of each frame.
    """
    if not guides:
        return {}, []
    likeness = np.array([np.mean([[overlap(mask > 127, prior > 127) for prior in priors[f]]
                                  for f, mask in guide.items()], axis=0) for guide in guides.values()])
    pairs = zip(*linear_sum_assignment(-likeness))
    found = {int(guide): int(layer) for guide, layer in pairs if likeness[guide, layer] >= _LIKE}
    findings = [Finding(2, f"mattes: mask {guide + 1} of those given is of nobody who was found; it was left out. A "
                           "thing needs masks in all frames, a person a pose")
                for guide in guides if guide not in found]
    findings += [Finding(0, f"mattes: mask {guide + 1} of those given is person {layer + 1}'s")
                 for guide, layer in found.items() if guide != layer]
    return {layer: guides[guide] for guide, layer in found.items()}, findings


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks, bool [H, W]."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def guided(frames: Sequence[np.ndarray], found: Packed, guides: Guides, canvas: Canvas) -> Packed:
    """Refined mattes, where masks are given those, and what they correct of the found ones carried on from there.

    Args:
        frames: uint8 [H, W, 3] each.
        found: uint8 [L, H, W] of each frame.
        guides: by layer.
        canvas: where the frames lie in the scene.

    Returns:
        uint8 [L, H, W] of each frame.
    """
    priors = Packed(found)
    for layer, guide in guides.items():
        for f, mask in guide.items():
            put(priors, layer, f, mask)
    mattes = refined(frames, priors, canvas, _EDGE_ERROR)
    highest = np.max([masks.max(axis=(1, 2)) for masks in mattes], axis=0)
    for layer in np.flatnonzero(highest < 128).tolist():  # nothing in sight where the poses are
        for f, prior in enumerate(priors):
            put(mattes, layer, f, prior[layer])
    for layer, guide in guides.items():
        corrections: dict[int, list[tuple[int, Packed, bool]]] = {}
        for f, mask in guide.items():
            mine = found[f][layer]
            for stroke, adds in ((np.where(mine > 127, 0, mask), True), (np.where(mask > 127, 0, mine), False)):
                stroke = cv2.morphologyEx(stroke, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
                for g, moved in carried_to_the_next(frames, stroke, f, guide):
                    corrections.setdefault(g, []).append((abs(g - f), Packed([moved]), adds))
        for g, several in corrections.items():
            for _, strokes, adds in sorted(several, key=lambda one: -one[0]):  # the nearest frame has the last word
                put(mattes, layer, g, painted(mattes[g][layer], strokes[0], adds))
        for f, mask in guide.items():
            put(mattes, layer, f, mask)
    return mattes


def put(masks: Packed, layer: int, frame: int, mask: np.ndarray) -> None:
    """Replace the mask, uint8 [H, W], of a layer in a frame."""
    changed = masks[frame]
    changed[layer] = mask
    masks[frame] = changed


def followed(frames: Sequence[np.ndarray], guide: dict[int, np.ndarray]) -> Packed:
    """Masks of all frames from those of few alone, as far as they can be followed: uint8 [H, W] each."""
    nothing = np.zeros(frames[0].shape[:2], np.uint8)
    masks, nearest = Packed(nothing for _ in frames), np.full(len(frames), len(frames))
    for f, mask in guide.items():
        masks[f], nearest[f] = mask, 0
        for g, moved in carried_to_the_next(frames, mask, f, guide):
            if abs(g - f) < nearest[g]:
                masks[g], nearest[g] = moved, abs(g - f)
    return masks


def carried_to_the_next(frames: Sequence[np.ndarray], stroke: np.ndarray, f: int, guide: dict[int, np.ndarray],
                        ) -> Iterator[tuple[int, np.ndarray]]:
    """What is painted in frame f on the frames before and after, up to the next that has a mask: (frame, stroke)."""
    before = max((g for g in guide if g < f), default=-1)
    after = min((g for g in guide if g > f), default=len(frames))
    for way in (range(f, before, -1), range(f, after)):
        yield from zip(way[1:], carried_on(stroke, (frames[g] for g in way)))


def nothing_found(picture: np.ndarray, skeletons: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A segmenter where there is no network."""
    return [np.zeros(picture.shape[:2], np.float32) for _ in skeletons]


STEP = Step("mattes", run, ("rgb", "rgb_256", "keypoints.json", "homographies.txt", GUIDES,
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
                segment: segmenters.Segmenter) -> Packed:
    """What a segmenter finds of each layer's people: uint8 [L, H, W] of each frame, in the size of rgb_256; kept in the
    cache."""
    values = facts_of_frames(job.root, "size_LR")
    size = tuple(values["size_LR"])
    priors = Packed()
    for f, (name, file) in enumerate(tqdm(files.items(), desc="mattes", unit="frame")):
        if not people[f]:
            priors.append(np.zeros((len(layers), *size[::-1]), np.uint8))
            continue
        kept = [job.cache / f"{name}_{number:02d}.png" for number in range(1, len(layers) + 1)]
        if not all(path.exists() for path in kept):
            picture = read_image(file, "RGB")
            scale = np.array([*(np.array(picture.shape[1::-1]) / values["alphapose_input_size"]), 1])
            skeletons = [pose.keypoints * scale for pose in people[f]]
            masks = common_where_alike([mask if mask.max() > 0.5 else drawn_mask(skeleton, mask.shape[::-1])
                                        for skeleton, mask in zip(skeletons, segment(picture, skeletons))], skeletons)
            for layer, path in zip(layers, kept):
                mine = [mask for pose, mask in zip(people[f], masks) if pose.person in layer]
                mask = np.max(mine, axis=0) if mine else np.zeros(picture.shape[:2], np.float32)
                small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
                write_png(path, (255 * small).clip(0, 255).round().astype(np.uint8))
        priors.append(np.stack([read_image(path, "L") for path in kept]))
    return priors


def drawn_mask(skeleton: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What is left where a network sees nobody though there is a pose: about the limbs, float32 [H, W].

    Args:
        skeleton: COCO-17 [17, 3] in pixels.
        size: (width, height).
    """
    body = (draw_body(skeleton, size, size)[0] > 0).astype(np.float32)
    return _DRAWN * cv2.GaussianBlur(body, (0, 0), max(_SOFT * np.ptp(skeleton[:, 1]), 0.5))


def unseen(people: list[list[TrackedPose]], layers: list[list[int]], priors: Packed) -> list[Finding]:
    """In which layers there are poses of people of whom often nothing was found."""
    findings, highest = [], [masks.max(axis=(1, 2)) for masks in priors]
    for number, layer in enumerate(layers, start=1):
        posed = [f for f, present in enumerate(people) if any(pose.person in layer for pose in present)]
        missing = [f for f in posed if highest[f][number - 1] <= 255 * _DRAWN]
        if len(missing) > _UNSEEN * len(posed):
            findings.append(Finding(2, f"mattes: of layer {number} nothing was found in {len(missing)} of {len(posed)} "
                                       "frames with a pose; there it is drawn from that and the frames around. "
                                       "Look at the page, and give --masks where it is wrong"))
    return findings
