"""Curves, skeletons, faces and edges: rules to the pixel, and the pictures of the published program."""

import json

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter
from skimage import feature

from data.face_dataset import read_landmarks
from data.pose_dataset import read_people
from tests.data.vid2vid_golden import FOLDER
from util.images import read_image
from vision.geometry.canny import canny
from vision.people.body25 import BARS, POINTS, Person, draw_people, draw_person, strokes_of, with_blurred_face
from vision.people.face_landmarks import (
    distance_maps,
    draw_edges,
    face_box,
    part_labels,
    reshaped,
    with_upper_head,
)
from vision.people.strokes import curve_pixels, draw_coloured, draw_grey

EXPECTED = FOLDER / "data" / "expected"
FACE = np.array([
    (78, 120), (79, 132), (82, 144), (86, 154), (93, 164), (100, 172), (109, 177), (118, 181), (128, 182), (138,
    181), (147, 177), (156, 172), (163, 164), (170, 154), (174, 144), (177, 132), (178, 120), (88, 104), (95, 101),
    (102, 100), (109, 101), (116, 103), (140, 103), (147, 101), (154, 100), (161, 101), (168, 104), (128, 114),
    (128, 122), (128, 130), (128, 138), (118, 144), (123, 146), (128, 147), (133, 146), (138, 144), (94, 116), (100,
    112), (106, 112), (112, 116), (106, 119), (100, 119), (144, 116), (150, 112), (156, 112), (162, 116), (156,
    119), (150, 119), (110, 160), (116, 157), (122, 155), (128, 156), (134, 155), (140, 157), (146, 160), (140,
    165), (134, 168), (128, 169), (122, 168), (116, 165), (114, 160), (121, 159), (128, 159), (135, 159), (142,
    160), (135, 162), (128, 163), (121, 162)])
SIZE = 256, 256
OTHER_BORDER = 0.01 if cv2.__version__.startswith("4.9.") else 0.003
"""Share of a face whose label may be another: pixels of borders, of which OpenCV 4.9 fills others than later ones."""
BODY = [(96, 30), (96, 55), (80, 55), (70, 80), (64, 105), (112, 55), (122, 80), (128, 105), (96, 115), (86, 115),
        (84, 150), (82, 185), (106, 115), (108, 150), (110, 185), (92, 26), (100, 26), (87, 29), (105, 29), (118, 192),
        (121, 190), (108, 190), (74, 192), (71, 190), (84, 190)]


def person(confidence=0.9):
    def points(xy):
        return np.array([(*point, confidence) for point in xy], float)
    i = np.arange(21)
    below = 106 + 3 * np.where(i > 0, (i - 1) % 4 + 1, -1 / 3)
    return Person(points(BODY), points([(90 + k % 10, 22 + 2 * (k // 10)) for k in range(70)]),
                  points(zip(128 + 2 * ((i + 3) // 4) + i % 4, below)),
                  points(zip(64 - 2 * ((i + 3) // 4) - i % 4, below)))


def pictures(kind):
    return sorted((EXPECTED / kind).rglob("*.png"))


def size_of(picture):
    return picture.shape[1::-1]


def landmarks(path):
    folder = FOLDER / "data" / "face" / "clip_keypoints" / path.parent.name
    return with_upper_head(read_landmarks(folder / f"{path.stem}.txt"))


# ---- curves ---------------------------------------------------------------------------------------------------------

def test_a_line_has_a_pixel_for_each_step_of_its_longer_axis():
    assert curve_pixels(np.array([(2, 3), (10, 7)])).T.tolist() == [[2, 3, 4, 5, 6, 7, 8, 10], [3, 3, 4, 4, 5, 5, 6, 7]]
    steep = curve_pixels(np.array([(3, 2), (5, 12)]))
    assert steep[:, 1].tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    np.testing.assert_array_equal(curve_pixels(np.array([(5, 12), (3, 2)])), steep)


@pytest.mark.parametrize("points", [[(4, 4), (4, 4)], [(0, 0), (2, 5), (4, 0)], [(0, 0), (4, 2), (4, 5)]])
def test_pieces_of_no_length_and_wild_parabolas_are_not_drawn(points):
    assert len(curve_pixels(np.array(points, float))) == 0


def test_a_parabola_goes_through_its_points():
    pixels = dict(curve_pixels(np.array([(0.0, 0), (10, 5), (20, 0)])).tolist())
    assert pixels[0] == 0 and pixels[20] == 0 and max(pixels.values()) == 4 and pixels[11] == 4


def test_strokes_are_shaded_where_the_brush_passes_again():
    picture = np.zeros((9, 12, 3), np.uint8)
    pixels = np.array([(x, 4) for x in range(4, 8)])
    plain = picture[..., 0].copy()
    for row in range(-1, 1):
        for column in range(-1, 1):
            plain[pixels[:, 1] + row, pixels[:, 0] + column] = 1
    draw_coloured(picture, pixels, 1, (200, 200, 200))
    assert set(np.unique(picture)) <= {0, 100, 150, 175, 187, 193, 200} and picture[plain == 1].min() > 0
    grey = np.zeros((9, 12), np.uint8)
    draw_grey(grey, pixels, 1)
    np.testing.assert_array_equal(grey, plain * 255)
    draw_grey(grey, np.array([(100, -100)]), 2)
    assert grey[0, -1] == 255


def naive(picture, pixels, width, colour):
    """The rule as it is written: offset by offset, all pixels at once, clamped to the picture."""
    ends = pixels[[0, -1]]
    passes = [(pixels, i, j) for i in range(-width, width) for j in range(-width, width)]
    passes += [(ends, i, j) for i in range(-2 * width, 2 * width) for j in range(-2 * width, 2 * width)
               if i * i + j * j < 4 * width * width]
    for points, i, j in passes:
        rows = np.clip(points[:, 1] + i, 0, picture.shape[0] - 1)
        columns = np.clip(points[:, 0] + j, 0, picture.shape[1] - 1)
        old = picture[rows, columns].astype(int)
        picture[rows, columns] = colour if not old.any() else (old + colour) // 2


def test_strokes_follow_the_rule_wherever_they_lie():
    """In the middle, over others, across the border, with ends that are near, far or the same."""
    rng = np.random.default_rng(0)
    picture, expected = np.zeros((2, 48, 60, 3), np.uint8)
    for number in range(120):
        if number % 12 == 0:
            picture[:] = expected[:] = 0
        start = rng.uniform(-3, 60, 2)
        pixels = curve_pixels(np.array([start, start + rng.normal(0, rng.choice((2, 20)), 2)]))
        if len(pixels):
            width, colour = int(rng.integers(1, 4)), tuple(rng.integers(0, 256, 3).tolist())
            draw_coloured(picture, pixels, width, colour)
            naive(expected, pixels, width, colour)
        np.testing.assert_array_equal(picture, expected)


# ---- skeletons ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", pictures("skeleton") + pictures("skeleton_basic"),
                         ids=lambda path: "-".join(path.parts[-3:]))
def test_skeletons_are_those_of_the_published_program(path):
    basic = "skeleton_basic" in path.parts
    file = FOLDER / "data" / "pose" / "clip_openpose" / path.parent.name / f"{path.stem}_keypoints.json"
    expected = read_image(path, "RGB")
    np.testing.assert_array_equal(draw_people(read_people(file, basic), size_of(expected), basic), expected)


def test_a_skeleton_of_whole_numbers():
    """The published fit decides by its rounding here; at most 2 % of the pixels differ."""
    picture = draw_people([person()], (192, 256))
    assert abs((picture > 0).any(2).sum() / 4097 - 1) < 0.02
    np.testing.assert_allclose(picture.sum((0, 1), dtype=int), (245738, 339159, 320993), rtol=0.02)
    assert [picture[row, column].tolist() for row, column in ((150, 84), (55, 96))] == [[0, 152, 151], [103, 149, 0]]
    basic = draw_people([person()], (192, 256), basic=True)
    assert abs((basic > 0).any(2).sum() / 3577 - 1) < 0.02
    np.testing.assert_allclose(basic.sum((0, 1), dtype=int), (182453, 292294, 236447), rtol=0.02)


def test_unsure_points_are_left_out():
    without_face = draw_people([person(0.05)], (192, 256))
    np.testing.assert_allclose(without_face.sum((0, 1), dtype=int), (231287, 309462, 302025), rtol=0.02)
    assert not draw_people([person(0.005)], (192, 256)).any() and not draw_people([], (192, 256)).any()


def test_people_are_added_and_strokes_left_out_one_by_one():
    whole = draw_people([person()], (192, 256))
    np.testing.assert_array_equal(draw_people([person(), person()], (192, 256)), whole * 2)
    kept = np.ones(strokes_of(False), bool)
    kept[-3:] = False
    fewer = draw_person(person(), (192, 256), kept=kept)
    assert (fewer[:, 150:] == 0).all() and fewer.sum() < whole.sum()
    assert not draw_person(person(), (192, 256), kept=np.zeros(strokes_of(False), bool)).any()
    assert strokes_of(True) == len(BARS)


def test_what_was_not_found_is_not_moved():
    someone = person()
    someone.body[15], someone.face[3] = 0, 0
    moved = with_blurred_face(someone, np.full((5, 2), 4.0), np.array([1.0, 2.0]))
    assert not moved.body[15].any() and not moved.face[3].any()
    np.testing.assert_array_equal(moved.body[16, :2], someone.body[16, :2] + 4)
    np.testing.assert_array_equal(moved.face[4, :2], someone.face[4, :2] + (1, 2))
    np.testing.assert_array_equal(moved.body[1], someone.body[1])


def test_names_of_key_points():
    for path in sorted((FOLDER / "data").rglob("*_keypoints.json")):
        for entry in json.loads(path.read_text())["people"]:
            assert {key: len(entry[key]) // 3 for key in POINTS} == POINTS


# ---- faces ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", pictures("face_edges_canonical"), ids=lambda path: "-".join(path.parts[-2:]))
def test_edges_are_drawn_with_the_small_addition(path):
    expected = read_image(path, "L")
    np.testing.assert_array_equal(draw_edges(landmarks(path), size_of(expected)), expected)


@pytest.mark.parametrize("path", pictures("face_edges"), ids=lambda path: "-".join(path.parts[-2:]))
def test_edges_are_within_a_pixel_of_those_without_it(path):
    expected = read_image(path, "L") > 0
    drawn = draw_edges(landmarks(path), size_of(expected)) > 0
    assert maximum_filter(expected, 3)[drawn].all() and maximum_filter(drawn, 3)[expected].all()


@pytest.mark.parametrize("path", pictures("face_parts"), ids=lambda path: "-".join(path.parts[-2:]))
def test_parts_of_the_face(path):
    expected = read_image(path, "L")
    wrong = part_labels(landmarks(path), size_of(expected)) != expected
    assert wrong.sum() <= OTHER_BORDER * (expected > 0).sum()
    assert not wrong[maximum_filter(expected, 3) == minimum_filter(expected, 3)].any()


@pytest.mark.parametrize("path", pictures("face_distance"), ids=lambda path: "-".join(path.parts[-2:]))
def test_distances_to_curves(path):
    expected = read_image(path, "L").astype(int)
    size = expected.shape[1] // 14, expected.shape[0]
    difference = np.abs(np.concatenate(list(distance_maps(landmarks(path), size)), axis=1) - expected)
    assert difference.max() <= 2 and difference.mean() < 0.2


def test_a_face_of_known_figures():
    points = with_upper_head(FACE)
    assert points[[68, 69, 70, 82]].tolist() == [[177, 112], [174, 104], [170, 97], [79, 112]]
    assert face_box(FACE, SIZE) == (3, 0, 253, 250)
    counts = np.bincount(part_labels(points, SIZE).ravel())
    np.testing.assert_allclose(counts, (57287, 7211, 177, 288, 206, 268, 99), rtol=0.003)
    assert abs((draw_edges(points, SIZE) > 0).sum() / 1441 - 1) < 0.02


def test_other_proportions():
    moved = reshaped(with_upper_head(FACE))
    np.testing.assert_allclose(moved[[0, 17, 36, 48]], [(82.848, 120), (90.6, 104), (98.875, 116.025),
                                                        (111.8, 160.107)], atol=0.001)


def test_a_box_larger_than_the_frame_lies_outside_it():
    left, top, right, bottom = face_box(FACE, (200, 220))
    assert (right - left, bottom - top) == (250, 250) and left < 0 and right == 200


# ---- edges of the background ----------------------------------------------------------------------------------------

def test_canny_edges_of_a_step():
    """Both columns at the step are equally strong: rounding decides, which other releases of SciPy do otherwise."""
    picture = np.zeros((256, 256), np.uint8)
    picture[:, 200:] = 200
    edges = canny(picture)
    np.testing.assert_array_equal(edges, feature.canny(picture))
    assert edges[1:255, 199:201].any(axis=1).all() and edges[[1, 254], 199:201].all()
    assert not edges[[0, 255]].any() and not edges[:, :199].any() and not edges[:, 201:].any()


def test_canny_edges_are_those_of_scikit_image():
    picture = gaussian_filter(np.random.default_rng(0).integers(0, 256, (90, 120)).astype(np.float32), 1.5)
    picture = (255 * (picture - picture.min()) / np.ptp(picture)).astype(np.uint8)
    edges = canny(picture)
    np.testing.assert_array_equal(edges, feature.canny(picture))
    assert 0.05 < edges.mean() < 0.3
