"""Mattes of people from masks that are only roughly right: what a program found, or somebody drew.

A mask is taken as a prior, not as a boundary. Against it stands what a frame shows: whether a pixel is that of the
clean plate, in light or in shadow; whether its colour is more often the person's or that of what is around; and what
its neighbours of like colour say. People compete for pixels, so that nobody gets what is surely another's.

Masks are probabilities, uint8 [L, H, W] of L people in each frame, 255 for certain; frames uint8 [H, W, 3].
Probabilities are added up as logits. Nothing here knows files, options or networks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from util.clips import evenly_spread
from util.packed import Packed
from vision.geometry.canvas import Canvas
from vision.geometry.flow import backward_warp, optical_flow
from vision.layers.clean_plate import LEVEL, MOST_SORTED, dot, inpainted, largest_channel, light_on, visible_quantile
from vision.layers.lost_masks import LOST, as_believed, lost_shares, weights_of_neighbours
from vision.layers.mask_edges import HALF, SURE, learned_edges, learned_logits, mask_logits
from vision.layers.standing_still import coded_difference, doubtful, left_out

COVERED, MARGIN = 25, 3
"""Level of a prior from which on a pixel may be covered, and pixels around that may be too."""
LEAST_SEEN = 3
"""Frames that must show a part of the plate for it to be known."""
NARROWEST_SPREAD = 4 * LEVEL
USUALLY = (0.5, 0.674), (0.75, 1.15)
"""Shares of what is normally distributed that are less than so many standard deviations away; what moves by itself now
and then, as leaves and waves, is often nearer and sometimes farther."""
SHIFT = 0.5
"""Pixels by which a frame may lie beside the plate."""
DARKEST_SHADOW, BRIGHTEST, LIGHTS = 0.5, 1.1, (0.3, 1.6)
FAR, LIT, USUAL, MOST_SCENE, MOST_PERSON = 7.0, 4.0, 0.9, 3.5, 4.0
"""Of how many spreads a pixel is from the plate the logarithm counts against the scene, and every so many of them; how
much that of its light counts; what counts for the scene; and the largest logits for and against it."""
FILLED = 16 / 256
"""Of the frames' height: how far what was never seen of the plate is believed to continue what is around."""
COLOURS = 16
"""Steps of a channel in histograms."""
MOST_COLOUR = 1.5
PLACE = 2 / 256
"""Of the frames' height: how far the edge of any mask may be from where it should be."""
GAP = 0.02
"""Of the frames' height: how far what belongs to somebody may seem to be from the rest of him."""
CARRIED, ALIKE = 1.0, 0.08
FREE = 0.05
ENOUGH_APART = 0.1
"""Share of his surest pixels in frames in which nobody is near somebody from which on these alone give his colours."""
OTHERS, NEAR, RATHER, MOST_OTHERS = 2.0, 32 / 256, 1.0, 4.0
"""How much it counts that a colour is rather another's than somebody's, how near the other must be, of the frames'
height, and from which logarithm of how much rather to which."""
FOUND, ROUGH, ROUGH_EDGES = (0.7,), (1.4, 1.4), 1 / 256
"""How much it counts what is learned of edges, each time that it is: of masks that a network found, which are wrong in
more than their edges, and of those whose edges may be wrong by so much of the frames' height. There it is more than
one: mattes from which it is learned are wrong where the scene misleads, and that blurs the edges."""
COVERAGE_PX = 0.4
"""Standard deviation by which a pixel that an edge crosses is partly covered."""
DETAIL_PX = 3
"""What is finer than so many pixels around what was never seen may be there, too."""
ROUNDS, STIFFNESS, REACH_PX, EDGE = 4, 3.0, 4, 0.02 ** 2


class Scene(NamedTuple):
    """The scene without people, on a canvas.

    Attributes:
        plate: float32 [h, w, 3] in [0, 1]; where it was never seen, it continues what is around.
        spread: float32 [h, w], by how much what a frame shows of it usually differs.
        known: float32 [h, w], 1 where it was seen often enough.
        trust: float32 [h, w] in [0, 1], how far it is believed: less, the farther it is from what was seen.
    """

    plate: np.ndarray
    spread: np.ndarray
    known: np.ndarray
    trust: np.ndarray


def refined_mattes(frames: np.ndarray, priors: np.ndarray, canvas: Canvas, edge_error: float = PLACE) -> np.ndarray:
    """Mattes from masks that are roughly right.

    Args:
        frames: uint8 [F, H, W, 3].
        priors: uint8 [L, F, H, W].
        canvas: where the frames lie in the scene.
        edge_error: how far the masks' edges may be from where they should be, as a share of the frames' height.

    Returns:
        uint8 [L, F, H, W].
    """
    return np.stack(refined(list(frames), list(priors.swapaxes(0, 1)), canvas, edge_error)[:], axis=1)


def refined(frames: Sequence[np.ndarray], priors: Sequence[np.ndarray], canvas: Canvas, edge_error: float) -> Packed:
    """The same, with masks of two frames in memory at a time: `priors` and results are uint8 [L, H, W] of each frame.

    First it goes from the first frame to the last and takes what is found along; then back, with what comes from both
    sides. Then it is learned how the masks' edges lie, with which it goes through all frames again.
    """
    scene = scene_without_people(frames, priors, canvas)
    histograms = colour_histograms(frames, priors)
    lost = lost_shares(priors)
    weights = weights_of_neighbours(lost)
    result = Packed()

    def carried(f: int, there: int) -> np.ndarray:
        grey = [cv2.cvtColor(frames[one], cv2.COLOR_RGB2GRAY) for one in (f, there)]
        return carried_logits(result[there], frames[there], frames[f], optical_flow(*grey))

    def found(f: int, believed: np.ndarray) -> np.ndarray:
        ahead = len(result) < len(frames)  # for the first time, so that there is only what is before
        around = sum((carried(f, there) * (1 if ahead else weights[side, f])
                      for side, there in enumerate((f - 1, f + 1)) if 0 <= there < len(result)),
                     start=np.zeros_like(believed))
        return refined_frame(frames[f], as_believed(believed, lost[f], around) + around, scene, canvas, f, histograms)

    edge_error_px = edge_error * frames[0].shape[0]
    for f, masks in enumerate(priors):
        result.append(found(f, mask_logits(masks, edge_error_px)))
    for f in reversed(range(len(frames))):
        result[f] = found(f, mask_logits(priors[f], edge_error_px))
    for weight in FOUND if edge_error < ROUGH_EDGES else ROUGH:
        edges = learned_edges((masks * (gone < LOST)[:, None, None] for masks, gone in zip(priors, lost)), result,
                              (canvas.seen(scene.known, f) > 0.5 for f in range(len(frames))))
        for f in reversed(range(len(frames))):
            result[f] = found(f, learned_logits(priors[f], edges, weight))
    for f in range(len(frames)):
        mattes = result[f]
        for matte, prior, gone in zip(mattes, priors[f], lost[f]):
            matte[~attached(matte > HALF, (prior > HALF) & (gone < LOST))] = 0
        result[f] = with_soft_edges(frames[f], mattes, scene, canvas, f)
    return result


def with_soft_edges(frame: np.ndarray, mattes: np.ndarray, scene: Scene, canvas: Canvas, number: int) -> np.ndarray:
    """Mattes whose edges are as opaque as the frame shows them before the plate: frame = alpha F + (1 - alpha) plate.

    F is the person's colour just inside. It is believed as far as F is unlike the plate and the mixture explains the
    frame; an edge that somebody else touches stays as it is.

    Args:
        frame: uint8 [H, W, 3].
        mattes: uint8 [L, H, W].
        scene, canvas: where the frame `number` sees it.
    """
    hard, pixel = mattes > HALF, np.ones((3, 3), np.uint8)
    if not hard.any():
        return mattes.copy()
    result = np.where(hard, np.stack([cv2.GaussianBlur(one, (0, 0), COVERAGE_PX) for one in mattes]), mattes)
    plate, spread, known = (canvas.seen(one, number) for one in (scene.plate, scene.spread, scene.known))
    image = frame * LEVEL
    near = np.stack([cv2.dilate(one.astype(np.uint8), pixel) for one in hard])
    alone = (near.sum(axis=0) < 2) & (known > 0.5)
    for soft, mask, around in zip(result, hard, near):
        core = cv2.erode(mask.astype(np.uint8), pixel).astype(np.float32)
        density = cv2.GaussianBlur(core, (0, 0), 1)
        band = (around > 0) & (core == 0) & (density > 0.01) & alone
        colour = cv2.GaussianBlur(image * core[..., None], (0, 0), 1)[band] / density[band][:, None]
        behind, unsure = plate[band], spread[band]
        contrast = colour - behind
        power = np.square(contrast).sum(axis=-1)
        alpha = ((contrast * (image[band] - behind)).sum(axis=-1) / np.maximum(power, 1e-6)).clip(0, 1)
        missed = np.abs(image[band] - behind - alpha[:, None] * contrast).max(axis=-1)
        trust = power / (power + (4 * unsure) ** 2) * np.exp(-((missed / (3 * unsure)) ** 2))
        soft[band] = (255 * trust * alpha + (1 - trust) * soft[band]).round()
    return result


def attached(mask: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Where a mask, bool [H, W], hangs together with the core of it, over small gaps; all of it without a core."""
    if not core.any():
        return np.ones(mask.shape, bool)
    side = 2 * max(round(GAP * len(mask)), 1) + 1
    near = cv2.dilate((mask | core).astype(np.uint8), np.ones((side, side), np.uint8))
    pieces = cv2.connectedComponents(near)[1]
    return np.isin(pieces, np.unique(pieces[core]))


def carried_logits(mattes: np.ndarray, there: np.ndarray, here: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """What the mattes [L, H, W] of a neighbouring frame say of this one, as logits.

    Args:
        mattes: uint8.
        there, here: both frames, uint8 [H, W, 3].
        flow: from here to there.
    """
    moved = backward_warp(there, flow, cv2.INTER_LINEAR)
    unlike = cv2.GaussianBlur(largest_channel(cv2.absdiff(here, moved)).astype(np.float32), (0, 0), 1.5) * LEVEL
    trust = np.exp(-((unlike / ALIKE) ** 2))
    warped = np.stack([backward_warp(one, flow, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT) for one in mattes])
    probability = (warped * LEVEL).clip(0.05, 0.95)
    return CARRIED * trust * np.log(probability / (1 - probability))


def scene_without_people(frames: Sequence[np.ndarray], priors: Sequence[np.ndarray], canvas: Canvas) -> Scene:
    """The median of what frames show beside people, and how far it is to be trusted."""
    used = evenly_spread(len(frames), MOST_SORTED)
    side = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    laid = np.stack([canvas.lay(frames[f], f) for f in used])
    in_view = np.stack([canvas.in_view(f, 1) for f in used])
    on_canvas = np.stack([[canvas.lay(prior, f) for prior in priors[f]] for f in used], axis=1)
    missed = left_out(laid, on_canvas, in_view).max(axis=0)
    visible = np.stack([(canvas.lay(cv2.dilate(priors[f].max(axis=0), side), f) < COVERED) & view
                        & (cv2.dilate(one.astype(np.uint8), side) == 0) for f, view, one in zip(used, in_view, missed)])
    visible &= ~doubtful(laid, on_canvas, visible)
    plate, seen = visible_quantile(laid, visible, 0.5)
    coded = np.stack([coded_difference(frame, plate) for frame in laid])
    spread = np.maximum(*(visible_quantile(coded, visible, share)[0][..., 0] / deviations
                          for share, deviations in USUALLY))
    known = seen >= LEAST_SEEN
    spread = np.where(known, spread, 0)
    steep = cv2.morphologyEx(plate.max(axis=-1), cv2.MORPH_GRADIENT, np.ones((3, 3))) / 2
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(spread, (0, 0), 1.5), NARROWEST_SPREAD) ** 2 + (SHIFT * steep) ** 2)
    if not known.any():
        return Scene(plate, spread.astype(np.float32), known.astype(np.float32), np.zeros(known.shape, np.float32))
    plate = inpainted(plate, ~known)
    detail = largest_channel(np.square(plate - cv2.GaussianBlur(plate, (0, 0), DETAIL_PX)))
    unsure = np.sqrt(spread ** 2 + cv2.GaussianBlur(detail, (0, 0), 2 * DETAIL_PX))
    away = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    trust = np.exp(-((away / (FILLED * frames[0].shape[0])) ** 2))
    return Scene(plate, np.where(known, spread, unsure).astype(np.float32), known.astype(np.float32), trust)


def colour_histograms(frames: Sequence[np.ndarray], priors: Sequence[np.ndarray]) -> np.ndarray:
    """How often each colour is the scene's near people, and each person's: float32 [1 + L, COLOURS ** 3], means of 1.

    A person's are those of the pixels of which the masks are surest, however sure that is (a body that is drawn from a
    pose never is), in frames in which nobody is near if there are such: where people touch, masks mix them up. Of whom
    nothing is known, all colours are as likely.
    """
    counts = np.zeros((len(priors[0]) + 1, COLOURS ** 3), np.float32)
    apart = np.zeros_like(counts)
    surest = SURE * np.max([masks.max(axis=(1, 2)) for masks in priors], axis=0)
    for frame, masks in zip(frames, priors):
        codes = coded_colours(frame)
        some = masks.max(axis=0)
        around = [cv2.dilate(prior, np.ones((31, 31), np.uint8)) > HALF for prior in masks]
        for number, prior in enumerate(masks, start=1):
            found = np.bincount(codes[prior > max(surest[number - 1], HALF)], minlength=COLOURS ** 3)
            counts[number] += found
            if not (around[number - 1] & (np.sum(around, axis=0) > 1)).any():
                apart[number] += found
        counts[0] += np.bincount(codes[np.any(around, axis=0) & (some < FREE * 255)], minlength=COLOURS ** 3)
    known = apart.sum(axis=1) >= ENOUGH_APART * counts.sum(axis=1)
    counts[1:][known[1:]] = apart[1:][known[1:]]
    cube = counts.reshape(-1, COLOURS, COLOURS, COLOURS)
    for axis in (1, 2, 3):  # neighbouring colours count a little
        padded = np.concatenate([cube.take([0], axis), cube, cube.take([-1], axis)], axis)
        cube = (padded.take(range(COLOURS), axis) + 2 * cube + padded.take(range(2, COLOURS + 2), axis)) / 4
    counts = cube.reshape(len(counts), -1)
    means = counts.mean(axis=1, keepdims=True)
    return np.where(means > 0, counts / np.maximum(means, 1e-6), 1)


def coded_colours(frame: np.ndarray) -> np.ndarray:
    """The number of each pixel's colour in a histogram, [H, W]."""
    steps = (frame.astype(np.int32) * COLOURS) >> 8
    return (steps[..., 0] * COLOURS + steps[..., 1]) * COLOURS + steps[..., 2]


def refined_frame(frame: np.ndarray, logits: np.ndarray, scene: Scene, canvas: Canvas, number: int,
                  histograms: np.ndarray) -> np.ndarray:
    """The mattes of one frame: mean field over people and scene, smoothed along the frame's edges.

    Args:
        frame: uint8 [H, W, 3].
        logits: [L, H, W] of the masks, and of the frames around.
        scene, canvas: where the frame `number` sees it.
        histograms: as `colour_histograms` makes them.
    """
    mattes = np.zeros(logits.shape, np.uint8)
    some = logits.max(axis=0) > np.log(FREE / (1 - FREE))
    if not some.any():
        return mattes
    left, top, width, height = cv2.boundingRect(some.astype(np.uint8))
    around = height // 4
    part = (slice(max(top - around, 0), top + height + around), slice(max(left - around, 0), left + width + around))
    plate, spread, known, trust = (canvas.seen(one, number)[part] for one in scene)
    image = frame[part] * LEVEL
    shown = histograms[:, coded_colours(frame[part])]
    colour = ((np.log(shown[1:] + 0.1) - np.log(shown[:1] + 0.1)) / 2).clip(-MOST_COLOUR, MOST_COLOUR)
    whole = (logits[:, part[0], part[1]] + evidence_of_scene(image, plate, spread, known, trust)
             + colour * np.where(known > 0.5, 0.5, 1)).astype(np.float32)
    whole += colours_of_others(shown[1:], logits[:, part[0], part[1]], round(NEAR * frame.shape[0]))
    along_edges = GuidedFilter(image, REACH_PX, EDGE)
    share = softmax(whole)
    for _ in range(ROUNDS):
        share = softmax(whole + STIFFNESS * (2 * np.stack([along_edges(one) for one in share]) - 1))
    mattes[:, part[0], part[1]] = (255 * share).round()
    return mattes


def colours_of_others(shown: np.ndarray, logits: np.ndarray, reach: int) -> np.ndarray:
    """Logits [L, H, W], 0 or less, against a pixel being of whom its colour is less often than of another near it.

    Args:
        shown: [L, H, W], how often the pixel's colour is each person's.
        logits: [L, H, W] of masks and frames around: who is where.
        reach: pixels that the other may be away.
    """
    side = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    near = np.stack([cv2.dilate((one > 0).astype(np.uint8), side) for one in logits]) > 0
    likely = np.log(shown + 0.1)
    rather = np.where(near, likely, -np.inf).max(axis=0) - likely
    return -OTHERS * (rather.clip(RATHER, MOST_OTHERS) - RATHER)


def evidence_of_scene(image: np.ndarray, plate: np.ndarray, spread: np.ndarray, known: np.ndarray,
                      trust: np.ndarray) -> np.ndarray:
    """Logits that a pixel is not of the plate, lit or in shadow, as far as that is to be trusted: [H, W].

    How far a pixel is from the plate in the light that explains it best, and how far that light is from the usual one,
    both in logarithms. Weights are those of a logistic regression on real clips, beside masks and colours. What was
    never seen is where somebody is all the time: there nothing counts for the scene beforehand.

    Args:
        image, plate: [H, W, 3] in [0, 1].
        spread, known, trust: [H, W], as in `Scene`.
    """
    light = light_on(plate, image)
    lit = light.clip(DARKEST_SHADOW, BRIGHTEST)
    away = largest_channel(np.abs(image - lit[..., None] * plate)) / spread
    logits = np.log(away + 0.1) + away / FAR + LIT * np.abs(np.log(light.clip(*LIGHTS)))
    return trust * (logits - np.where(known > 0.5, USUAL, 0)).clip(-MOST_SCENE, MOST_PERSON)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Shares [L, H, W] of people, who compete with each other and with the scene, whose logit is 0."""
    raised = np.exp(logits - np.maximum(logits.max(axis=0), 0))
    rest = np.exp(-np.maximum(logits.max(axis=0), 0))
    return raised / (raised.sum(axis=0) + rest)


class GuidedFilter:
    """Smooths pictures along the edges of a guide (He, Sun and Tang, "Guided Image Filtering", 2010)."""

    def __init__(self, guide: np.ndarray, reach: int, edge: float):
        """Prepare for a guide, float32 [H, W, 3].

        Args:
            guide: in [0, 1].
            reach: pixels of the window to each side.
            edge: variance of the guide below which it has no edge.
        """
        self.guide, self._side = guide, (2 * reach + 1, 2 * reach + 1)
        self._middle = self._mean(guide)
        r, g, b = cv2.split(guide)
        mr, mg, mb = cv2.split(self._middle)
        rr, rg, rb, gg, gb, bb = (
            self._mean(one * other) - mean_one * mean_other + (edge if one is other else 0)
            for one, other, mean_one, mean_other in ((r, r, mr, mr), (r, g, mr, mg), (r, b, mr, mb), (g, g, mg, mg),
                                                     (g, b, mg, mb), (b, b, mb, mb)))
        minors = (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb,
                  rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg)
        whole = rr * minors[0] + rg * minors[1] + rb * minors[2]
        self._inverse = [minor / whole for minor in minors]

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """A picture smoothed, float32 [H, W]."""
        around = self._mean(picture)
        x, y, z = cv2.split(self._mean(self.guide * picture[..., None]) - self._middle * around[..., None])
        rr, rg, rb, gg, gb, bb = self._inverse
        slope = cv2.merge([rr * x + rg * y + rb * z, rg * x + gg * y + gb * z, rb * x + gb * y + bb * z])
        offset = around - dot(slope, self._middle)
        return dot(self._mean(slope), self.guide) + self._mean(offset)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, self._side)

