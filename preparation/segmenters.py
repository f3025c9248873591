"""What is whom in a picture: masks of people whose skeletons are known.

    mask_rcnn   torchvision's Mask R-CNN: one look at the picture; downloads its weights once (170 MB)
    mediapipe   BlazePose's segmentation: one person after the other, also where somebody hides another (9 MB)

Pictures are uint8 RGB [H, W, 3], skeletons float64 [17, 3]: x, y in pixels of the picture, and a score in [0, 1]; masks
float32 [H, W], the probability that a pixel shows the person.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from preparation.blazepose import GREY, LEAST_PRESENCE, BlazePose, Person, square_of
from util.pretrained import Pretrained, Unavailable, weights_at_hand
from vision.people.coco import HIPS, SHOULDERS
from vision.people.person_mask import assign_to_masks, shared_by_limbs

MASK_RCNN = Pretrained(
    "Mask R-CNN", "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
    "--segmenter mediapipe is a smaller network; --masks takes masks that you have")
_LEAST_RCNN_SCORE = 0.5
_PERSON = 1
"""The number of people among COCO's classes."""
_LEAST_INSIDE = 0.3
"""Of somebody's joints that lie in his mask, for it to be taken as his."""
_WITHIN, _LARGER = 0.8, 1.2
"""Share of somebody's mask that is another's too, and how much larger that one's is, for him to be taken for a part of
the other, who is behind him."""
_BESIDE, _LOST = 0.2, 0.5
"""Where of somebody of whom so much is seen beside others less than that share is seen when they are painted over, the
look before counts."""
_OTHER_PERSON = 0.15
"""Of a person's height: shoulders and hips that are farther from where they were are somebody else's."""

Segmenter = Callable[[np.ndarray, Sequence[np.ndarray]], list[np.ndarray]]
"""From a picture and the skeletons in it to the mask of each."""


class AtHand(NamedTuple):
    """A segmenter that can be used.

    Attributes:
        name: as an option says it.
        segment: the function.
        lacking: why a better one is not used, "" if there is none.
    """

    name: str
    segment: Segmenter
    lacking: str


def best_at_hand(name: str | None) -> AtHand:
    """Load a segmenter.

    Args:
        name: of one; None: Mask R-CNN where its weights can be had, else BlazePose.

    Raises:
        UserError: it, or neither, can be used.
    """
    if name == "mask_rcnn":
        return AtHand(name, mask_rcnn(), "")
    lacking = ""
    if name is None:
        try:
            return AtHand("mask_rcnn", mask_rcnn(), "")
        except Unavailable:
            lacking = f"Mask R-CNN sees more, but {MASK_RCNN.url} could not be fetched (docs/pretrained.md)"
    return AtHand("mediapipe", one_by_one(BlazePose()), lacking)


def mask_rcnn() -> Segmenter:
    """Load Mask R-CNN (ResNet-50, FPN, trained on COCO).

    Raises:
        Unavailable: its weights cannot be had.
    """
    with weights_at_hand(MASK_RCNN):  # first: the import takes seconds
        from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn
        return by_detections(maskrcnn_resnet50_fpn(weights=MaskRCNN_ResNet50_FPN_Weights.COCO_V1))


def by_detections(network) -> Segmenter:
    """The segmenter of a torchvision detector that returns masks: each goes to the skeleton that lies in it."""
    import torch
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device).eval()

    @torch.inference_mode()
    def segment(picture: np.ndarray, skeletons: Sequence[np.ndarray]) -> list[np.ndarray]:
        tensor = torch.tensor(picture, device=device).permute(2, 0, 1).float() / 255
        found = network([tensor])[0]
        sure = (found["scores"] > _LEAST_RCNN_SCORE) & (found["labels"] == _PERSON)
        masks = found["masks"][sure, 0].cpu().numpy()
        chosen = assign_to_masks(skeletons, [mask > 0.5 for mask in masks], _LEAST_INSIDE)
        nobody = np.zeros(picture.shape[:2], np.float32)
        return shared_by_limbs([nobody if i < 0 else masks[i] for i in chosen], skeletons)

    return segment


def one_by_one(network: BlazePose) -> Segmenter:
    """The segmenter of a network that sees one person at a time, the most prominent one of a part of the picture.

    From the one whose skeleton it sees best to the one it sees least, who is found is painted grey, so that those
    behind are seen; and what it sees of somebody whose shoulders and hips are elsewhere is not his. Whom it saw before,
    and not any more, was painted over as a part of somebody else: then the first look counts. Who is taken for a part
    of another is before him: he comes first, and what is his is not the other's.
    """
    def segment(picture: np.ndarray, skeletons: Sequence[np.ndarray]) -> list[np.ndarray]:
        size = picture.shape[1::-1]
        squares = [square_of(skeleton) for skeleton in skeletons]
        seen = [network.look(picture, square) for square in squares]
        shown = [person.mask(size) for person in seen]
        view, covered = picture.copy(), np.zeros(picture.shape[:2], bool)
        masks: list[np.ndarray] = [np.zeros(covered.shape, np.float32)] * len(skeletons)
        free = [np.ones(covered.shape, np.float32) for _ in skeletons]  # where nobody is who is before him
        left = list(range(len(skeletons)))

        def is_other(person: Person, k: int) -> bool:
            return _apart(person, skeletons[k]) > _OTHER_PERSON

        def is_before(one: int, other: int) -> bool:
            return not is_other(seen[one], one) and _is_part(shown[one] > 0.5, shown[other] > 0.5)

        while left:
            i = min(left, key=lambda k: (any(is_before(other, k) for other in left), _apart(seen[k], skeletons[k])))
            left.remove(i)
            if is_other(seen[i], i):
                continue
            for k in left:
                if is_before(i, k):
                    free[k] = np.minimum(free[k], 1 - shown[i])
            masks[i] = shown[i]
            mine = (masks[i] > 0.5) & ~covered
            covered |= mine
            view[mine] = GREY
            for k in left:
                distance = np.hypot(squares[i].x - squares[k].x, squares[i].y - squares[k].y)
                if distance < (squares[i].side + squares[k].side) / 2:
                    again = network.look(view, squares[k])
                    if is_other(again, k) <= is_other(seen[k], k) and not _is_lost(
                            shown[k] > 0.5, again.mask(size) > 0.5, covered):
                        seen[k], shown[k] = again, again.mask(size)
        return shared_by_limbs([np.minimum(mask, space) for mask, space in zip(masks, free)], skeletons)

    return segment


def _is_part(mine: np.ndarray, others: np.ndarray) -> bool:
    """Whether a mask, bool [H, W], lies in another one that is larger."""
    return bool((mine & others).sum() > _WITHIN * mine.sum() and others.sum() > _LARGER * mine.sum())


def _is_lost(before: np.ndarray, again: np.ndarray, covered: np.ndarray) -> bool:
    """Whether of somebody of whom a good part was seen beside others, who are `covered`, most is not seen again.

    All are bool [H, W].
    """
    beside = (before & ~covered).sum()
    return bool(beside > _BESIDE * before.sum() and (again & ~covered).sum() < _LOST * beside)


def _apart(person: Person, skeleton: np.ndarray) -> float:
    """How far shoulders and hips of who is seen are from where they should be, as a share of his height."""
    if person.presence < LEAST_PRESENCE:
        return np.inf
    seen = skeleton[:, 2] > 0
    trunk = [joint for joint in SHOULDERS + HIPS if seen[joint]]
    if not trunk:
        return 1 - person.presence
    height = max(np.ptp(skeleton[seen, :2], axis=0).max(), 1)
    return float(np.linalg.norm(person.skeleton[trunk, :2] - skeleton[trunk, :2], axis=1).mean() / height
                 / person.presence)
