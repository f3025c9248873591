"""The surface at which a function of space has a given value, as triangles."""

import numpy as np

from util.errors import UserError


def grid_points(lower: np.ndarray, upper: np.ndarray, resolution: int) -> np.ndarray:
    """Points of a grid over a box, both borders included: float32 [N, N, N, 3], x first."""
    axes = [np.linspace(low, high, resolution, dtype=np.float32) for low, high in zip(lower, upper)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def isosurface(values: np.ndarray, level: float, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Marching cubes (by scikit-image).

    Args:
        values: [N, N, N] at `grid_points`.
        level: the value at the surface.
        lower, upper: corners of the box, [3].

    Returns:
        vertices float32 [V, 3] and faces int64 [F, 3].

    Raises:
        UserError: nothing has that value, or scikit-image is not installed.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise UserError("--render_output_types marchingcube: needs scikit-image, which is not installed; pip install "
                        "scikit-image") from None
    if not values.min() < level < values.max():
        raise UserError(f"--mesh_level: found {level:g}, but densities are from {values.min():.4g} to "
                        f"{values.max():.4g}; expected a level between them. Train longer, or choose another")
    vertices, faces, _, _ = marching_cubes(values, level)
    spacing = (np.asarray(upper) - lower) / (np.array(values.shape) - 1)
    return (vertices * spacing + lower).astype(np.float32), faces.astype(np.int64)


def as_ply(vertices: np.ndarray, faces: np.ndarray) -> str:
    """A mesh as a text PLY file."""
    header = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}", *(f"property float {a}" for a in "xyz"),
              f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    return "\n".join([*header, *(f"{x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices.tolist()),
                      *(f"3 {a} {b} {c}" for a, b, c in faces.tolist())]) + "\n"
