"""People who hardly move: what their masks leave out in some frames is not of the scene.

Where somebody stands on the same spot for most of a clip, the scene behind is seen in few frames or in none. A mask
that misses an arm in some of them shows the arm where the scene should be: a ghost in the clean plate. It is known by
its colour, which is that of the same place while the mask covers it; and, as nobody is ever quite still, by its change.
Of what changes beside somebody, what goes on from the scene around is the scene, and what is unlike the plate is his.
Nothing here knows files, options or networks.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np

from util.clips import evenly_spread
from vision.layers.clean_plate import LEVEL, MOST_SORTED, largest_channel, light_on, visible_quantile

MOSTLY = 0.5  # share of the frames in which a mask covers a place from which on somebody stands there
CERTAIN, COVERED, FREE = 200, 127, 5  # level of a mask inside of it, from which on it covers, and up to which not
ALIKE = 12 * LEVEL  # how far a colour may be from the usual one to be the same; where somebody is still, half is usual
SPECK = 3  # pixels across, of what is chance
REACH = 0.06  # of the picture's height: how far from a mask there may be more of somebody
ALWAYS = 0.9  # share of the frames in which somebody is near a place from which on he hardly moves away from it
UNLIKE = 2 * ALIKE  # how far from the plate a colour is that of somebody rather than of the scene
WHOLE = 0.75  # share of its usual size from which on a mask has all of somebody
DARKEST = 0.25  # share of the light that shadows leave
UNSTEADY, SELDOM = 2.0, 0.15  # times the scene's usual change that is doubtful; share of the frames that is no proof


class Looks(NamedTuple):
    """What people who hardly move usually look like.

    Attributes:
        stays: bool [L, H, W], where they do not move.
        colour: float32 [L, H, W, 3] in [0, 1], how they look there.
    """

    stays: np.ndarray
    colour: np.ndarray


def left_out(frames: np.ndarray, masks: np.ndarray, in_view: np.ndarray) -> np.ndarray:
    """Where frames show somebody whom his mask leaves out: bool [L, F, H, W].

    Args:
        frames: uint8 [F, H, W, 3], one upon the other.
        masks: uint8 [L, F, H, W].
        in_view: bool [F, H, W], where a frame shows anything.
    """
    looks = usual_looks(frames, masks, in_view)
    return np.stack([left_out_of(frame, masks[:, f], view, looks)
                     for f, (frame, view) in enumerate(zip(frames, in_view))], axis=1)


def usual_looks(frames: np.ndarray, masks: np.ndarray, in_view: np.ndarray) -> Looks:
    """What people look like where they hardly move; arguments as for `left_out`."""
    used = evenly_spread(len(frames), MOST_SORTED)
    looks = Looks(np.zeros((len(masks), *frames.shape[1:3]), bool),
                  np.zeros((len(masks), *frames.shape[1:]), np.float32))
    for stays, colour, mask in zip(*looks, masks):
        certain = mask >= CERTAIN
        stays[:] = certain.sum(axis=0) >= MOSTLY * np.maximum(in_view.sum(axis=0), 1)
        if stays.any():
            colour[:], _ = visible_quantile(frames[used], certain[used], 0.5)
            coded = np.stack([coded_difference(frame, colour) for frame in frames[used]])
            stays &= visible_quantile(coded, certain[used], 0.5)[0][..., 0] <= ALIKE / 2
    return looks


def left_out_of(frame: np.ndarray, masks: np.ndarray, in_view: np.ndarray, looks: Looks) -> np.ndarray:
    """Where a frame, uint8 [H, W, 3], shows somebody whom his mask leaves out: bool [L, H, W].

    Args:
        masks: uint8 [L, H, W].
        in_view: bool [H, W].
    """
    found, covered = np.zeros(masks.shape, bool), masks.max(axis=0)
    for one, stays, colour in zip(found, *looks):
        if stays.any():
            like = largest_channel(np.abs(frame * LEVEL - colour)) <= ALIKE
            one[:] = cv2.morphologyEx((stays & like & (covered <= COVERED) & in_view).astype(np.uint8), cv2.MORPH_OPEN,
                                      np.ones((SPECK, SPECK), np.uint8))
    return found


def coded_difference(frame: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """By how much a frame, uint8 [H, W, 3], differs from colours in [0, 1], most in any channel: uint8 [H, W, 1]."""
    away = largest_channel(np.abs(frame * LEVEL - colour))
    return (255 * away.clip(0, 1)).round().astype(np.uint8)[..., None]


class Doubt(NamedTuple):
    """What may be more of people than their masks say, beside those who hardly move.

    Attributes:
        beside: bool [L, H, W], what is beside somebody's place.
        usual: bool [L, H, W], his place.
        stirs: bool [H, W], where it is doubtful that frames show the scene.
        seldom: bool [H, W], where people are before it in nearly all frames.
    """

    beside: np.ndarray
    usual: np.ndarray
    stirs: np.ndarray
    seldom: np.ndarray

    def at(self, there: np.ndarray) -> np.ndarray:
        """Where a frame is doubtful, bool [H, W], in which the people [L] who are `there` stand at their places."""
        return self.beside[there].any(axis=0) & self.stirs

    def in_frames(self, frames: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Where frames, uint8 [F, H, W, 3], of masks, uint8 [L, F, H, W], are doubtful: bool [F, H, W]."""
        there = np.array([at_his_place(mask, usual, beside, frames.__getitem__)
                          for mask, usual, beside in zip(masks, self.usual, self.beside)])
        return np.stack([self.at(there[:, f]) for f in range(len(frames))])


def doubtful(frames: np.ndarray, masks: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Where frames show, beside somebody who hardly moves, what may be more of him: bool [F, H, W].

    The scene is seen in many frames, and always the same; a hand that a mask misses is seen in few, or stirs. Frames in
    which he is somewhere else are beyond doubt.

    Args:
        frames: uint8 [F, H, W, 3], one upon the other.
        masks: uint8 [L, F, H, W].
        visible: bool [F, H, W], where nobody is by the masks.
    """
    return doubts(frames, masks, visible).in_frames(frames, masks)


def doubts(frames: np.ndarray, masks: np.ndarray, visible: np.ndarray) -> Doubt:
    """What may be more of people than their masks say; arguments as for `doubtful`."""
    used = evenly_spread(len(frames), MOST_SORTED)
    reach = max(round(REACH * frames.shape[1]), 1)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    size = (len(masks), *frames.shape[1:3])
    doubt = Doubt(*np.zeros((2, *size), bool), *np.zeros((2, *size[1:]), bool))
    for beside, usual, mask in zip(doubt.beside, doubt.usual, masks):
        present = [one for one in mask if one.max() > COVERED]
        if present and len(present) >= MOSTLY * len(mask):
            near, covered = np.zeros((2, *size[1:]), int)
            for one in present:
                person = (one > COVERED).astype(np.uint8)
                x, y, width, height = cv2.boundingRect(person)
                box = np.s_[max(y - reach, 0):y + height + reach, max(x - reach, 0):x + width + reach]
                near[box] += cv2.dilate(person[box], around)
                covered += person
            beside[:], usual[:] = near / len(present) >= ALWAYS, covered / len(present) >= MOSTLY
    stays = doubt.beside.any(axis=0)
    if not stays.any():
        return doubt
    colour, seen = visible_quantile(frames[used], visible[used], 0.5)
    coded = np.stack([coded_difference(frame, colour) for frame in frames[used]])
    change = cv2.GaussianBlur(visible_quantile(coded, visible[used], 0.5)[0][..., 0], (0, 0), 1.5)
    elsewhere = change[~stays & (seen > SELDOM * len(used))]
    typical = max(np.median(elsewhere) if elsewhere.size else 0, LEVEL)
    seldom = seen < SELDOM * len(used)
    stirs = stays & ((change > UNSTEADY * typical) | seldom)
    gap = np.ones((2 * (reach // 4) + 1,) * 2, np.uint8)
    whole = cv2.morphologyEx(stirs.astype(np.uint8), cv2.MORPH_CLOSE, gap) > 0  # the rest of a hand is a hand
    return doubt._replace(stirs=whole, seldom=seldom)


def at_his_place(masks: Iterable[np.ndarray], usual: np.ndarray, beside: np.ndarray,
                 frame: Callable[[int], np.ndarray]) -> np.ndarray:
    """In which frames somebody stands where he mostly does: bool [F].

    His mask covers most of his place there, or is mostly beside it: a mask that holds his legs alone does not say that
    he is somewhere else, and who has turned around has not gone away. In frames without a mask he stands there if he
    does before and after; before the first mask and after the last one, if his place looks as it does in that frame.

    Args:
        masks: uint8 [H, W] of each frame.
        usual, beside: bool [H, W], his place and what is beside it.
        frame: gives a frame by its number, uint8 [H, W, 3].
    """
    def is_there(mask: np.ndarray) -> bool:
        return (mask & usual).sum() >= MOSTLY * usual.sum() or (mask & beside).sum() >= MOSTLY * mask.sum()

    there = np.array([is_there(mask > COVERED) if mask.max() > COVERED else np.nan for mask in masks], float)
    frames = np.flatnonzero(~np.isnan(there))
    if not len(frames):
        return np.zeros(len(there), bool)
    result = np.interp(np.arange(len(there)), frames, there[frames], left=0, right=0) > 0.99
    for last, lost in ((frames[0], range(frames[0])), (frames[-1], range(frames[-1] + 1, len(there)))):
        if len(lost) and there[last] and usual.any():
            looked = frame(last)[usual]
            for f in lost:
                alike = largest_channel(cv2.absdiff(frame(f)[usual], looked)) <= ALIKE / LEVEL
                result[f] = alike.mean() >= MOSTLY
    return result


def goes_on(plate: np.ndarray, known: np.ndarray, frames: np.ndarray, visible: np.ndarray,
            stirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the scene goes on into doubtful places that look as it does around them.

    They are reached from what is known of it, pixel by pixel, without a step in colour, as a hand or a leg makes one,
    or where frames always show the same.

    Args:
        plate: float32 [H, W, 3] in [0, 1], the scene where it is `known`, bool [H, W].
        frames: uint8 [F, H, W, 3], one upon the other.
        visible: bool [F, H, W], where nobody is by the masks.
        stirs: bool [H, W], what is doubtful.

    Returns:
        the places, bool [H, W], and what frames usually show there, float32 [H, W, 3].
    """
    used = evenly_spread(len(frames), MOST_SORTED)
    usual, seen = visible_quantile(frames[used], visible[used], 0.5)
    coded = np.stack([coded_difference(frame, usual) for frame in frames[used]])
    change = visible_quantile(coded, visible[used], 0.5)[0][..., 0]
    open_ = stirs & ~known & (seen >= SELDOM * len(used))
    calm = change <= UNSTEADY * max(np.median(change[known]) if known.any() else 0, LEVEL)
    height, width = known.shape
    colours = np.pad(np.where(known[..., None], plate, usual), ((1, 1), (1, 1), (0, 0)))
    reached = np.pad(known, 1)
    for _ in range(max(round(REACH * height), 1)):
        before = reached.copy()
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            beside = np.s_[1 + down:1 + down + height, 1 + right:1 + right + width]
            alike = largest_channel(np.abs(usual - colours[beside])) <= ALIKE
            reached[1:-1, 1:-1] |= open_ & before[beside] & (alike | calm)
        if (reached == before).all():
            break
    whole = cv2.morphologyEx((reached[1:-1, 1:-1]).astype(np.uint8), cv2.MORPH_OPEN, np.ones((SPECK, SPECK), np.uint8))
    return (whole > 0) & open_, usual


def unlike_the_scene(frame: np.ndarray, plate: np.ndarray, guessed: np.ndarray, masks: np.ndarray, doubt: Doubt,
                     there: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """What a frame shows beside somebody who stands at his place that is not the scene, so it is his: bool [L, H, W].

    Where people are before the scene in nearly all frames nobody knows what it is, and it may be seen between his legs:
    there something is his only where the mask has lost a part of him.

    Args:
        frame: uint8 [H, W, 3].
        plate: float32 [H, W, 3] in [0, 1].
        guessed: bool [H, W], where that is a guess: elsewhere it may lie in a shadow.
        masks: uint8 [L, H, W].
        there: bool [L], who stands at his place.
        lost: bool [L], of whom the mask has `lost_parts`.
    """
    result, covered = np.zeros(masks.shape, bool), masks.max(axis=0) > COVERED
    image = frame * LEVEL
    light = np.where(guessed, 1, light_on(plate, image).clip(DARKEST, 1))
    unlike = largest_channel(np.abs(image - light[..., None] * plate)) > UNLIKE
    speck = np.ones((SPECK, SPECK), np.uint8)
    edges = cv2.dilate(masks.max(axis=0), speck) > FREE  # of these masks say themselves how much is somebody's
    for number in np.flatnonzero(there):
        own, more = masks[number] > COVERED, doubt.beside[number] & doubt.stirs & unlike & ~covered
        more &= ~doubt.seldom | lost[number]
        core = cv2.morphologyEx((more & ~edges).astype(np.uint8), cv2.MORPH_OPEN, speck)
        more &= cv2.dilate(core, np.ones((5, 5), np.uint8)) > 0
        _, pieces = cv2.connectedComponents((own | more).astype(np.uint8))
        result[number] = more & np.isin(pieces, np.unique(pieces[own]))
    return result


def lost_parts(areas: np.ndarray) -> np.ndarray:
    """In which frames masks have lost a part of people, bool [L, F]: they are much smaller there than usual.

    Args:
        areas: [L, F], pixels of the masks.
    """
    usual = np.array([np.median(mine[mine > 0]) if (mine > 0).any() else 0 for mine in areas])
    return areas < WHOLE * usual[:, None]
