"""Every part of the program puts a pixel of a frame at the same place of the scene: where the camera really saw it."""

import numpy as np
import pytest

from data.dataroot import Dataroot, read_homographies
from data.layer_folder import LayerFolder
from datasets.make_sample import make_sample
from evaluation.clip import Clip
from preparation.page import panorama_canvas
from retiming.compositor import Compositor
from retiming.edit import edit_from_text
from retiming.editor.page import clip_values
from retiming.uncovered import Uncovered
from tests import true_camera
from vision.geometry.canvas import Canvas
from vision.geometry.homography import scaling
from vision.people.texture_atlas import background_uv

SIZE, DOUBLE, FRAMES = (448, 256), (896, 512), 3
CLOSE = 1e-6  # pixels


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("clip") / "clip", frames=FRAMES, width=SIZE[0], height=SIZE[1], people=1,
                       camera="moving")


@pytest.fixture(autouse=True)
def own_homographies(clip):
    """Tests may write others."""
    before = (clip / "homographies.txt").read_bytes()
    yield
    (clip / "homographies.txt").write_bytes(before)


def write(clip, size, bounds, matrices):
    lines = [f"size: {size[0]} {size[1]}", f"bounds: {bounds}", *(" ".join(map(str, np.ravel(m))) for m in matrices)]
    (clip / "homographies.txt").write_text("\n".join(lines))


def to_first_frame(root) -> dict[str, np.ndarray]:
    """By part of the program, homographies [F, 3, 3] from pixels of rgb_256 to those of the first frame."""
    clip, layers = Dataroot.open(root), LayerFolder.open(root / "gt")
    compositor, measured, frames = Compositor(layers, clip), Clip(layers, clip), range(FRAMES)
    edit = edit_from_text("{}", "edit.json", compositor.facts, root)
    canvases = {"decomposition": Canvas.of(clip.registration(), clip.metadata.size),
                "uncovered background": Uncovered(compositor, edit).canvas,
                "evaluation's panorama": measured.panorama(layers.size)[0],
                "prepare's page": panorama_canvas(read_homographies(root / "homographies.txt"), SIZE)}
    return {"registration": clip.registration().to_world(SIZE),
            "retiming": np.stack([np.eye(3), *(compositor._camera_motion(frame, 0) for frame in frames[1:])]),
            "editor": np.reshape(clip_values(compositor, "clip")["cameras"], (-1, 3, 3)),
            "evaluation": np.stack([measured.between(frame, 0) for frame in frames]),
            **{name: np.linalg.inv(canvas.matrices[0]) @ canvas.matrices for name, canvas in canvases.items()}}


def test_a_pixel_is_where_the_camera_of_the_sample_clip_saw_it(clip):
    camera = true_camera.of_sample(SIZE, FRAMES)
    assert np.abs(camera[-1] - camera[0]).max() > 50
    for name, to_first in to_first_frame(clip).items():
        assert true_camera.worst_miss(camera, DOUBLE, to_first, SIZE) < CLOSE, name


def test_after_a_pan_of_half_a_frame_a_pixel_is_half_a_frame_further(clip):
    pan = [np.array([[1, 0, -448.0 * frame], [0, 1, 0], [0, 0, 1]]) for frame in range(FRAMES)]
    write(clip, DOUBLE, "0 1791 0 511", pan)
    for name, to_first in to_first_frame(clip).items():
        assert np.abs(true_camera.mapped(to_first[1], np.array([[100.0], [50]])).T - (324, 50)).max() < CLOSE, name
    world = Dataroot.open(clip).registration().to_world(DOUBLE)[1] @ scaling(SIZE, DOUBLE)
    np.testing.assert_allclose(true_camera.mapped(world, np.array([[100.0], [50]])).T, [(648.5, 100.5)], atol=CLOSE)


PUBLISHED = [np.eye(3),
             [[0.9991050959, 0.0020109359, 1.8976765871], [-0.0000980435, 0.9997251034, 0.0385779813],
              [-0.0000011203, -0.0000001188, 0.9999978542]],
             [[0.61, 0.021, 401.2], [-0.18, 0.83, 31.7], [-0.00046, 0.00002, 0.81]]]


def test_a_published_file_is_read_alike_by_all(clip):
    """Of frames of another form; its bounds end at the centre of the first frame's last pixel."""
    filmed_at = (854, 480)
    write(clip, filmed_at, "-848.24 853 -30.38 609.43", PUBLISHED)
    for name, to_first in to_first_frame(clip).items():
        assert true_camera.worst_miss(np.array(PUBLISHED), filmed_at, to_first, SIZE) < CLOSE, name


def test_texture_coordinates_stay_those_of_the_published_program(clip):
    """There the last column and row stand for the full size."""
    write(clip, (854, 480), "-848.24 853 -30.38 609.43", PUBLISHED)
    u, v = background_uv(SIZE[1], SIZE[0], Dataroot.open(clip).registration(), 0)
    np.testing.assert_allclose(u[0, [0, -2]], (np.array([0, 854 * 446 / 447]) + 848.24) / 1701.24, rtol=1e-6)
    np.testing.assert_allclose(v[[0, -1], 0], (np.array([0, 480]) + 30.38) / 639.81, rtol=1e-6)
