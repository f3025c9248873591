"""Pose estimators: COCO-17 skeletons from pictures.

    keypoint_rcnn   torchvision's Keypoint R-CNN: everybody in the picture; downloads its weights once (226 MB)
    mediapipe       BlazePose, mediapipe's network: one person in a picture, so it is shown crops (9 MB)

Pictures are uint8 RGB [H, W, 3], skeletons float64 [17, 3]: x, y in pixels of the picture, and a score in [0, 1].
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from data.masks import read_mask
from preparation.blazepose import GREY, LEAST_PRESENCE, BlazePose, Square, square_of
from preparation.second_look import Follower
from util.errors import UserError
from util.images import read_image
from util.pretrained import Pretrained, Unavailable, weights_at_hand
from vision.layers.clean_plate import STRIPE, largest_channel, neighbours_in_rank
from vision.people.drawn_body import draw_body
from vision.people.person_mask import bounding_box, joints_inside, shared_by_limbs
from vision.people.sightings import likeness

KEYPOINT_RCNN = Pretrained(
    "--poses keypoint_rcnn", "https://download.pytorch.org/models/keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
    "--poses mediapipe is a smaller network; a file of poses needs none")
_MARGINS = (0.12, 0.25, 0.4)
_LEAST_COVER, _SURE_COVER = 0.5, 0.98
_LEAST_VISIBILITY = 0.5
_SAME_PERSON = 0.6
_SEARCH_EVERY = 5
"""Frames from one search of the whole picture for people to the next."""
_MOVED = 25
"""Difference in level, of 255, from the still background, from which a pixel counts as moving."""
_MOST_MOVING = 0.3
"""Share of the picture that may move; the camera does if it is more."""
_OTHERS = 0.4
"""Share of others in a pixel from which on it is painted over, where one person is looked for among them."""
_LEAST_RCNN_SCORE = 0.7

Box = tuple[float, float, float, float]
"""x of the left side, y of the upper side, x of the right side, y of the lower side."""
Finder = Callable[[str, np.ndarray, list[np.ndarray]], list[np.ndarray]]
"""From a frame's name, its picture and the skeletons of the frame before to its skeletons."""


def best_at_hand() -> tuple[str, str]:
    """Choose the estimator where none was asked for.

    Returns:
        Keypoint R-CNN where its weights can be had, else BlazePose; and why not the former, or "".
    """
    try:
        with weights_at_hand(KEYPOINT_RCNN):
            return "keypoint_rcnn", ""
    except Unavailable:
        return "mediapipe", f"{KEYPOINT_RCNN.url} could not be fetched (docs/pretrained.md)"


def keypoint_rcnn() -> Finder:
    """Load Keypoint R-CNN (ResNet-50, FPN, trained on COCO).

    Raises:
        UserError: the package or the weights are missing and cannot be fetched.
    """
    import torch

    from util.devices import device_of, gpu_count
    try:
        from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, keypointrcnn_resnet50_fpn
    except ImportError as error:
        raise UserError(f"--poses keypoint_rcnn: the package torchvision is not usable ({error}); install it with: "
                        "pip install torchvision") from None
    with weights_at_hand(KEYPOINT_RCNN):
        network = keypointrcnn_resnet50_fpn(weights=KeypointRCNN_ResNet50_FPN_Weights.COCO_V1)
    device = device_of([0] if gpu_count() else [])
    network = network.to(device).eval()

    @torch.inference_mode()
    def find(_frame: str, picture: np.ndarray, _before: list[np.ndarray]) -> list[np.ndarray]:
        tensor = torch.tensor(picture, device=device).permute(2, 0, 1).float() / 255
        found = network([tensor])[0]
        sure = found["scores"] > _LEAST_RCNN_SCORE
        # Its scores of joints are logits, heat map heights.
        skeletons = torch.cat([found["keypoints"][..., :2], found["keypoints_scores"].sigmoid()[..., None]], dim=-1)
        return list(skeletons[sure].double().cpu().numpy())

    return find


def mediapipe(files: dict[str, Path], masks: dict[int, dict[str, Path]]) -> Finder:
    """Load BlazePose ("full"), and show it crops of the frames.

    Where there are masks these are around them, else around who was there before, what moves before a still background,
    and, now and then, all over the picture.

    Args:
        files: the pictures of all frames by name.
        masks: by number of the person, the mask of each frame.

    Raises:
        UserError: the package that runs it is missing.
        Unavailable: its weights cannot be had.
    """
    network = _BlazePose()
    if masks:
        def find_in_masks(frame: str, picture: np.ndarray, _before: list[np.ndarray]) -> list[np.ndarray]:
            seen = [read_mask(path[frame], picture.shape[1::-1]) for path in masks.values() if frame in path]
            owners = np.sum(seen, axis=0) if seen else None
            found = [network.in_mask(picture, mask, owners > mask) for mask in seen if mask.any()]
            return [skeleton for skeleton in found if skeleton is not None]
        return find_in_masks
    background, searches = still_background(list(files.values())), set(list(files)[::_SEARCH_EVERY])

    def find(frame: str, picture: np.ndarray, before: list[np.ndarray]) -> list[np.ndarray]:
        found = [*network.again(picture, before),
                 *network.in_boxes(picture, moving_boxes(picture, background), margin=0.25)]
        if frame in searches or len(surest(found)) < len(before):
            found += network.in_boxes(picture, search_boxes(*picture.shape[:2]), margin=0.05)
        return surest(found)
    return find


def near_a_skeleton() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Load BlazePose, to find somebody again of whom it is known where he should be.

    Returns:
        from a picture and a skeleton, near which it looks, to the skeleton that it finds.

    Raises:
        UserError: the package that runs it is missing.
        Unavailable: its weights cannot be had.
    """
    network = BlazePose()
    return lambda picture, near: network.look(picture, square_of(near)).skeleton


def one_among_others() -> Follower:
    """Load BlazePose, to find somebody of whom it is known where he must be, and where the others are.

    He is looked for in the picture as it is, with the others' limbs painted grey, and with what is nearer to their
    limbs than to his: whoever is in front is seen in the first, who is behind in the others.

    Raises:
        UserError: the package that runs it is missing.
        Unavailable: its weights cannot be had.
    """
    network = BlazePose()

    def find(picture: np.ndarray, near: np.ndarray, others: list[np.ndarray]) -> list[np.ndarray]:
        size, square = picture.shape[1::-1], square_of(near)
        others = [other for other in others if _reach_each_other(square, square_of(other))]
        views = [picture]
        if others:
            mine, *bodies = (draw_body(skeleton, size, size)[0] > 0 for skeleton in (near, *others))
            masks = [network.look(picture, square_of(other)).mask(size) for other in others]
            _, *theirs = shared_by_limbs([np.maximum.reduce([mine, *masks]), *masks], [near, *others])
            for covered in (np.logical_or.reduce(bodies) & ~mine, np.maximum.reduce(theirs) > _OTHERS):
                views.append(np.where(covered[..., None], np.uint8(GREY), picture))
        seen = [network.look(view, square) for view in views]
        return [person.skeleton for person in sorted(seen, key=lambda person: -person.presence)
                if person.presence > LEAST_PRESENCE]

    return find


def _reach_each_other(one: Square, other: Square) -> bool:
    return np.hypot(one.x - other.x, one.y - other.y) < (one.side + other.side) / 2


class _BlazePose:
    """The network for one person in a picture, shown part after part of it."""

    def __init__(self):
        self.network = BlazePose()

    def in_box(self, picture: np.ndarray, box: Box, margin: float) -> list[np.ndarray]:
        """Skeletons in a square around a box, `margin` of its longer side larger on every side; the surest first."""
        side = max(box[2] - box[0], box[3] - box[1], 1) * (1 + 2 * margin)
        where = Square((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, side, 0)
        return self._in_squares(picture, [square for _, square in self.network.detect(picture, where)])

    def in_mask(self, picture: np.ndarray, mask: np.ndarray, others: np.ndarray) -> np.ndarray | None:
        """The skeleton of the person in a mask; None: nobody was found there.

        Several crops are looked at, with the other people or all the rest painted grey; the skeleton that best fits
        the mask is taken.

        Args:
            picture: uint8 RGB [H, W, 3].
            mask: bool [H, W], not empty.
            others: bool [H, W], the other people.
        """
        box = bounding_box(mask)
        border = max(1, round(0.02 * max(box[2] - box[0], box[3] - box[1])))
        near = _grown(mask, border)
        alone, only = picture.copy(), picture.copy()
        alone[_grown(others, 1) & ~mask] = GREY
        only[~_grown(mask, 2 * border)] = GREY
        best, best_cover = None, _LEAST_COVER
        for view in (alone, only):
            for margin in _MARGINS:
                for skeleton in self.in_box(view, box, margin)[:1]:
                    cover = 0.8 * joints_inside(skeleton, near) + 0.2 * skeleton[:, 2].mean()
                    if cover > best_cover:
                        best, best_cover = skeleton, cover
                    if cover > _SURE_COVER:
                        return skeleton
        return best

    def again(self, picture: np.ndarray, before: list[np.ndarray]) -> list[np.ndarray]:
        """Look for everybody where he was in the frame before, with the others' bodies painted grey."""
        size = picture.shape[1::-1]
        bodies = [draw_body(skeleton, size, size)[0] > 0 for skeleton in before]
        found = []
        for skeleton, body in zip(before, bodies):
            others = [other for other in bodies if other is not body]
            view = picture.copy()
            if others:
                view[np.logical_or.reduce(others) & ~body] = GREY
            found += self._in_squares(view, [square_of(skeleton)])
        return found

    def in_boxes(self, picture: np.ndarray, boxes: Sequence[Box], margin: float) -> list[np.ndarray]:
        """The skeletons in several parts of a picture; one person may be found in more than one."""
        return [skeleton for box in boxes for skeleton in self.in_box(picture, box, margin)]

    def _in_squares(self, picture: np.ndarray, squares: list[Square]) -> list[np.ndarray]:
        seen = [self.network.look(picture, square) for square in squares]
        return [person.skeleton for person in seen if person.presence > LEAST_PRESENCE]


def surest(skeletons: list[np.ndarray]) -> list[np.ndarray]:
    """Drop skeletons that are hardly visible, and all but the surest of those that are of one person."""
    kept: list[np.ndarray] = []
    for skeleton in sorted(skeletons, key=lambda s: -s[:, 2].mean()):
        if skeleton[:, 2].mean() < _LEAST_VISIBILITY:
            break
        if not kept or likeness(skeleton[None], np.stack(kept)).max() < _SAME_PERSON:
            kept.append(skeleton)
    return kept


def still_background(paths: list[Path], most: int = 30) -> np.ndarray:
    """The median of some frames, uint8 [H, W, 3]: what stands still, if the camera does."""
    some = [read_image(path, "RGB") for path in paths[:: max(1, len(paths) // most)]]
    middle = np.empty_like(some[0])
    for top in range(0, len(middle), STRIPE):
        rows = slice(top, top + STRIPE)
        below, above = neighbours_in_rank([one[rows] for one in some], (len(some) - 1) // 2, len(some) // 2)
        middle[rows] = (below + above) / 2
    return middle


def moving_boxes(picture: np.ndarray, background: np.ndarray) -> list[Box]:
    """Boxes around what differs from a background; none where most of the picture does, as the camera moves."""
    height = picture.shape[0]
    moved: np.ndarray = (largest_channel(cv2.absdiff(picture, background)) > _MOVED).astype(np.uint8)
    if moved.mean() > _MOST_MOVING:
        return []
    moved = cv2.morphologyEx(moved, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    moved = cv2.dilate(moved, np.ones((1 + height // 30, 1 + height // 50), np.uint8))
    boxes = cv2.connectedComponentsWithStats(moved)[2][1:]
    return [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h, _ in boxes if h > 0.15 * height]


def search_boxes(height: int, width: int) -> list[Box]:
    """The whole picture, and overlapping squares of its shorter side and of 0.6 of that."""
    boxes = [(0.0, 0.0, float(width), float(height))]
    for side in (min(height, width), 0.6 * min(height, width)):
        tops, lefts = (np.linspace(0, length - side, 1 + int(np.ceil(2 * (length - side) / side)))
                       for length in (height, width))
        boxes += [(left, top, left + side, top + side) for top in tops for left in lefts]
    return boxes


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0
