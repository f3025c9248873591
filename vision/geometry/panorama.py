"""Frames of a moving camera registered to each other: homographies from matched points, refined all together.

A link is a pair of frames with points that were found in both. Points are float [N, 2], (x, y) in pixels with pixel
centres at whole numbers. A homography maps points of one frame to another; `matrices` [F, 3, 3] map those of frame 0,
the world, to each frame. Nothing here knows about images, files or people.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy

from vision.geometry.homography import apply_homography

LARGEST_PANORAMA = 40
"""In frames: more than that homographies cannot flatten, nor one background texture hold."""
_FEWEST_POINTS, _FEWEST_FOR_HOMOGRAPHY = 10, 30
_SMALLEST_SPREAD = 0.05
_SMALLEST_ERROR = 0.1
MOST_IN_A_FIELD = 3
_SMALLEST_SHARE = 0.25
_SIMILARITIES = np.array([[1, 0, 0, 0, 1, 0, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0],
                          [0, 0, 0, 0, 0, 1, 0, 0]], float).T


@dataclass(frozen=True)
class Link:
    """Points of a background that were found in two frames.

    Attributes:
        first, second: index of the frames.
        points: [2, N, 2] those that agree with `matrix`, in the first and in the second frame.
        matrix: [3, 3] maps the first frame to the second.
        error: pixels by which the points miss `matrix`, the median; links count by its square.
        similar: it is only a similarity (shift, turn, zoom), because the points do not settle a homography.
        unexplained: share of all matched points that move as their neighbours do, but not as `matrix` says: where it
            is high, things at different depths move differently (parallax).
    """

    first: int
    second: int
    points: np.ndarray
    matrix: np.ndarray
    error: float
    similar: bool
    unexplained: float


def link_frames(first: int, second: int, points: np.ndarray, size: tuple[int, int], tolerance: float) -> Link | None:
    """Fit how the background moves from one frame to another.

    Args:
        first, second: index of the frames.
        points: [2, N, 2] matches, many of which may be wrong.
        size: (width, height) of the frames.
        tolerance: pixels by which a match may miss the fit.

    Returns:
        None if the points agree on nothing.
    """
    source, target = np.asarray(points, np.float64)
    if len(source) < _FEWEST_POINTS:
        return None
    matrix, fits = cv2.findHomography(source, target, cv2.USAC_MAGSAC, tolerance, maxIters=5000, confidence=0.9999)
    fits = np.zeros(len(source), bool) if fits is None else fits.ravel() > 0
    spread = cv2.contourArea(cv2.convexHull(source[fits].astype(np.float32))) / (size[0] * size[1]) if fits.any() else 0
    similar = (matrix is None or fits.sum() < _FEWEST_FOR_HOMOGRAPHY or spread < _SMALLEST_SPREAD
               or not is_sane(matrix, size))
    if similar:
        affine, fits = cv2.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=tolerance,
                                                   maxIters=5000, confidence=0.9999)
        if affine is None:
            return None
        matrix, fits = np.vstack([affine, [0, 0, 1]]), fits.ravel() > 0
    if fits.sum() < max(_FEWEST_POINTS, _SMALLEST_SHARE * len(source)) or not is_sane(matrix, size):
        return None
    unexplained = unexplained_share(source, target, matrix, tolerance)
    source, target = source[fits], target[fits]
    misses = np.linalg.norm(apply_homography(matrix, source.T).T - target, axis=1)
    some = spread_out(source, size, MOST_IN_A_FIELD)
    return Link(first, second, np.stack([source[some], target[some]]), matrix,
                max(float(np.median(misses)), _SMALLEST_ERROR), similar, unexplained)


def unexplained_share(source: np.ndarray, target: np.ndarray, matrix: np.ndarray, tolerance: float) -> float:
    """Share of matches [N, 2] that miss `matrix` by more than `tolerance` pixels, but as their neighbours miss it.

    Wrong matches miss it too, but each in its own direction.
    """
    misses = target - apply_homography(matrix, source.T).T
    distances = np.linalg.norm(misses, axis=1)
    neighbours = scipy.spatial.cKDTree(source).query(source, k=min(6, len(source)))[1][:, 1:]
    usual = np.median(misses[neighbours], axis=1)
    coherent = np.linalg.norm(misses - usual, axis=1) < np.maximum(tolerance / 3, distances / 4)
    return float(np.mean((distances > tolerance) & coherent))


def is_sane(matrix: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a camera can move like that between two frames: nothing mirrored, behind it, or 4 times as large."""
    points = corners(size)
    w = matrix[2] @ np.vstack([points, np.ones(4)])
    if not np.isfinite(matrix).all() or w.min() <= 0.2 * w.max():
        return False
    quad = apply_homography(matrix, points).T.astype(np.float32)
    area = cv2.contourArea(quad, oriented=True) / cv2.contourArea(points.T.astype(np.float32), oriented=True)
    return cv2.isContourConvex(quad) and 1 / 16 < area < 16


def spread_out(places: np.ndarray, size: tuple[int, int], most: int) -> np.ndarray:
    """Indices of points [N, 2], the first `most` in each of 16 x 9 fields of the frame.

    Points crowd where there is texture. What they say of the rest of the frame would be drowned by their number.
    """
    column, row = (places * (16, 9) // np.asarray(size)).astype(int).T
    fields = row * 16 + column
    order = np.argsort(fields, kind="stable")
    rank = np.arange(len(order)) - np.searchsorted(fields[order], fields[order])
    return np.sort(order[rank < most])


def corners(size: tuple[int, int]) -> np.ndarray:
    """Centres of a frame's corner pixels, [2, 4], clockwise from the upper left."""
    width, height = size
    return np.array([[0, width - 1, width - 1, 0], [0, 0, height - 1, height - 1]], float)


def overlap(matrix: np.ndarray, size: tuple[int, int]) -> float:
    """Share of a frame that lies within another, to which `matrix` maps it."""
    xs, ys = np.meshgrid(*((np.arange(9) + 0.5) / 9 * side for side in size))
    points = np.stack([xs.ravel(), ys.ravel()])
    w = matrix[2] @ np.vstack([points, np.ones(81)])
    x, y = apply_homography(matrix, points)
    return float(np.mean((w > 0) & (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])))


def refine(matrices: np.ndarray, links: list[Link], size: tuple[int, int], tolerance: float,
           iterations: int = 15) -> np.ndarray:
    """Refine the matrices of all frames together, so that the points of all links agree with them.

    Gauss-Newton steps on the distances in the links' second frames, relative to the link's error, under a Cauchy loss.
    A frame all of whose links are only similar moves by similarities.

    Args:
        matrices: [F, 3, 3] to begin with; that of frame 0 is not changed.
        links: any pairs of frames. A frame that is not linked stays as it is.
        size: (width, height) of the frames.
        tolerance: scale of the loss in pixels: points that miss by more count little.
        iterations: steps at most.

    Returns:
        [F, 3, 3], the last entry of each 1.
    """
    # Coordinates with the frame's middle at 0 and its corners at distance 1 keep the equations well conditioned.
    scale = np.hypot(*size) / 2
    to_unit = np.array([[1, 0, -(size[0] - 1) / 2], [0, 1, -(size[1] - 1) / 2], [0, 0, scale]]) / scale
    unit = to_unit @ matrices @ np.linalg.inv(to_unit)
    moves = _allowed_moves(len(matrices), links)
    for _ in range(iterations):
        left, right = _normal_equations(unit, links, to_unit, tolerance / scale)
        reduced = (moves.T @ left @ moves).tocsc()
        damping = scipy.sparse.identity(reduced.shape[0]) * (1e-9 * reduced.diagonal().max() + 1e-12)
        step = (moves @ scipy.sparse.linalg.spsolve((reduced + damping).tocsc(), moves.T @ right)).reshape(-1, 8)
        change = np.zeros((len(unit), 3, 3))
        change.reshape(-1, 9)[:, :8] = step
        unit = (np.eye(3) + change) @ unit
        unit /= np.cbrt(np.linalg.det(unit))[:, None, None]
        if np.abs(step).max() * scale < 1e-3:
            break
    refined = np.linalg.inv(to_unit) @ unit @ to_unit
    return refined / refined[:, 2:, 2:]


def _allowed_moves(frames: int, links: list[Link]) -> "scipy.sparse.csr_matrix":
    """[8 F, K]: by which of the 8 entries, or sums of them, each frame's matrix may change; by none for frame 0."""
    whole = {frame for link in links if not link.similar for frame in (link.first, link.second)}
    blocks = [np.zeros((8, 0))] + [np.eye(8) if frame in whole else _SIMILARITIES for frame in range(1, frames)]
    return scipy.sparse.block_diag(blocks, format="csr")


def _normal_equations(unit: np.ndarray, links: list[Link], to_unit: np.ndarray,
                      tolerance: float) -> tuple["scipy.sparse.csr_matrix", np.ndarray]:
    """Left [8 F, 8 F] and right side [8 F] for small changes D of the matrices H, each becoming (1 + D) H."""
    blocks, rows, columns = [], [], []
    right = np.zeros((len(unit), 8))
    for link in links:
        first, second = (apply_homography(to_unit, points.T) for points in link.points)
        misses, by_first, by_second = _misses(unit[link.second] @ np.linalg.inv(unit[link.first]), first, second)
        weight = 1 / (1 + (misses ** 2).sum(axis=0) / tolerance ** 2) / link.error ** 2
        parts = {link.first: by_first, link.second: by_second}
        for a, of_a in parts.items():
            right[a] -= np.einsum("dnk,n,dn->k", of_a, weight, misses)
            for b, of_b in parts.items():
                blocks.append(np.tensordot(of_a * weight[None, :, None], of_b, axes=([0, 1], [0, 1])))
                rows.append(a)
                columns.append(b)
    entries = np.arange(8)
    row = (8 * np.array(rows)[:, None, None] + entries[:, None]) + 0 * entries
    column = (8 * np.array(columns)[:, None, None] + entries) + 0 * entries[:, None]
    left = scipy.sparse.coo_matrix((np.ravel(blocks), (row.ravel(), column.ravel())), shape=(8 * len(unit),) * 2)
    return left.tocsr(), right.ravel()


def _misses(matrix: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where `matrix` misses the second points, [2, N], and how that changes with either frame's D, [2, N, 8] each."""
    u, v, w = matrix @ np.vstack([first, np.ones(first.shape[1])])
    u, v = u / w, v / w
    one, zero = np.ones_like(u), np.zeros_like(u)
    by_second = np.array([[u, v, one, zero, zero, zero, -u * u, -u * v], [zero, zero, zero, u, v, one, -u * v, -v * v]])
    projection = np.array([[one, zero, -u], [zero, one, -v]]) / w
    x, y = first
    moved = np.array([[x, y, one, zero, zero, zero, zero, zero], [zero, zero, zero, x, y, one, zero, zero],
                      [zero, zero, zero, zero, zero, zero, x, y]])
    by_first = -np.einsum("dcn,ce,ekn->dnk", projection, matrix, moved)
    return np.array([u, v]) - second, by_first, by_second.transpose(0, 2, 1)


def residuals(matrices: np.ndarray, link: Link) -> np.ndarray:
    """Pixels, [N], by which a link's points miss the matrices, in its second frame."""
    first, second = link.points
    matrix = matrices[link.second] @ np.linalg.inv(matrices[link.first])
    return np.linalg.norm(apply_homography(matrix, first.T) - second.T, axis=0)


def panorama_bounds(matrices: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """(xmin, xmax, ymin, ymax) of all frames' corners in the world."""
    x, y = np.concatenate([apply_homography(np.linalg.inv(matrix), corners(size)) for matrix in matrices], axis=1)
    return float(x.min()), float(x.max()), float(y.min()), float(y.max())


def area_in_frames(bounds: tuple[float, float, float, float], size: tuple[float, float]) -> float:
    """How many frames of a size (width, height) a panorama is as large as; infinite where the bounds are no numbers."""
    xmin, xmax, ymin, ymax = bounds
    area = (xmax - xmin) * (ymax - ymin) / (size[0] * size[1])
    return area if np.isfinite(area) else np.inf
