import json
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.dataroot import read_homographies
from preparation import camera
from preparation.steps import perform, write_values
from vision.geometry.homography import apply_homography
from vision.geometry.panorama import (
    Link,
    corners,
    is_sane,
    link_frames,
    overlap,
    panorama_bounds,
    refine,
    spread_out,
    unexplained_share,
)

SIZE = (240, 136)


def motion(frame: int) -> np.ndarray:
    """A camera that pans, turns, zooms and tilts a little: the first frame to this one."""
    turn, zoom = 0.004 * frame, 1 + 0.006 * frame
    matrix = np.array([[zoom * np.cos(turn), -zoom * np.sin(turn), -5.0 * frame],
                       [zoom * np.sin(turn), zoom * np.cos(turn), 0.8 * frame], [1e-5 * frame, -8e-6 * frame, 1]])
    return matrix


def texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed)
    layers = [cv2.resize(noise.uniform(0, 255, (max(2, size[1] // s), max(2, size[0] // s))).astype(np.float32), size,
                         interpolation=cv2.INTER_CUBIC) for s in (3, 8, 24)]
    return np.clip(np.mean(layers, axis=0) * 2 - 128, 0, 255).astype(np.uint8)


def write_clip(root: Path, matrices: list[np.ndarray], person: bool = True, far: list[np.ndarray] | None = None):
    """Frames of a textured plane seen through `matrices`, of a second plane above it, and of a person who walks."""
    (root / "rgb").mkdir(parents=True)
    world, offset = texture(0, (560, 360)), np.array([[1, 0, -120], [0, 1, -110], [0, 0, 1]])
    poses = {}
    for number, matrix in enumerate(matrices, start=1):
        picture = cv2.warpPerspective(world, matrix @ offset, SIZE)
        if far is not None:
            upper = cv2.warpPerspective(texture(1, (560, 360)), far[number - 1] @ offset, SIZE)
            picture[:SIZE[1] // 2] = upper[:SIZE[1] // 2]
        x = 20 + 12 * number
        if person:
            picture[30:110, x:x + 50] = texture(2, (50, 80))
        joints = np.column_stack([np.linspace(x, x + 50, 17), np.linspace(30, 110, 17), np.ones(17)])
        poses[f"{number:04d}.png"] = [{"keypoints": joints.ravel().tolist(), "scores": 1.0, "idx": 1}]
        cv2.imwrite(str(root / "rgb" / f"{number:04d}.png"), picture)
    if person:
        (root / "keypoints.json").write_text(json.dumps(poses))
    write_values(root / "metadata.json", {"alphapose_input_size": SIZE})


def run(root: Path):
    return perform(camera.STEP, root, Namespace())[0]


def frame_corners(matrices: np.ndarray) -> np.ndarray:
    return np.stack([apply_homography(np.linalg.inv(matrix), corners(SIZE)) for matrix in matrices])


def test_a_moving_camera_is_found_to_a_pixel_behind_a_person_who_walks_the_other_way(tmp_path):
    truth = [motion(frame) for frame in range(12)]
    write_clip(tmp_path / "clip", truth)
    outcome = run(tmp_path / "clip")
    found = read_homographies(tmp_path / "clip" / "homographies.txt")
    assert outcome.report["camera"] == "moving" and not outcome.findings
    assert found.size == SIZE and np.allclose(found.matrices[0], np.eye(3))
    assert np.linalg.norm(frame_corners(found.matrices) - frame_corners(truth), axis=1).max() < 1
    assert np.allclose(found.bounds, panorama_bounds(np.array(truth), SIZE), atol=1)
    assert len(outcome.report["residual_px"]) == 12 and max(outcome.report["residual_px"]) < 0.5


def test_a_still_camera_is_called_static_though_a_person_walks_by(tmp_path):
    write_clip(tmp_path / "clip", [np.eye(3)] * 6)
    outcome = run(tmp_path / "clip")
    assert outcome.summary.startswith("static")
    assert not (tmp_path / "clip" / "homographies.txt").exists()


def test_a_still_camera_is_seen_without_matched_points_and_one_that_might_move_is_left_to_them(tmp_path, monkeypatch):
    drifts = {"still": 0.0, "hardly": 0.02, "slowly": 0.12, "pans": 3.0}
    for name, drift in drifts.items():
        write_clip(tmp_path / name, [np.array([[1, 0, -drift * f], [0, 1, 0], [0, 0, 1]]) for f in range(8)])
    assert run(tmp_path / "slowly").report["camera"] == run(tmp_path / "pans").report["camera"] == "moving"

    def forbidden(*_):
        raise AssertionError("points are matched")

    monkeypatch.setattr(camera, "link_clip", forbidden)
    for name in ("still", "hardly"):
        assert run(tmp_path / name).report == {"camera": "static"}


def test_frames_from_the_last_on_are_looked_at_once_each():
    for count in (1, 2, 3, 12, 90):
        assert sorted(camera.farthest_first(count)) == list(range(1, count))
    assert camera.farthest_first(90)[:3] == [89, 44, 66]


def test_two_planes_that_move_differently_are_reported_as_parallax(tmp_path):
    near = [motion(frame) for frame in range(10)]
    far = [np.array([[1, 0, -11.0 * frame], [0, 1, 3.0 * frame], [0, 0, 1]]) for frame in range(10)]
    write_clip(tmp_path / "clip", near, person=False, far=far)
    outcome = run(tmp_path / "clip")
    assert outcome.report["camera"] == "parallax"
    assert outcome.findings[0].severity == 2 and "parallax" in outcome.findings[0].text


def test_a_panorama_beyond_all_reason_is_told_and_not_written(tmp_path, monkeypatch):
    write_clip(tmp_path / "clip", [motion(frame) for frame in range(6)], person=False)
    monkeypatch.setattr(camera, "LARGEST_PANORAMA", 1.1)
    outcome = run(tmp_path / "clip")
    assert not (tmp_path / "clip" / "homographies.txt").exists() and "no homographies.txt" in outcome.summary
    assert outcome.findings[0].severity == 2 and "no homographies.txt" in outcome.findings[0].text


def test_a_cut_is_named_by_its_first_frame(tmp_path):
    write_clip(tmp_path / "clip", [motion(frame) for frame in range(8)], person=False)
    for number in range(5, 9):
        cv2.imwrite(str(tmp_path / "clip" / "rgb" / f"{number:04d}.png"), texture(9, SIZE))
    outcome = run(tmp_path / "clip")
    assert any("the first is 0005" in finding.text and finding.severity == 2 for finding in outcome.findings)


def test_one_frame_is_static_and_empty_frames_are_said_to_be_unknown(tmp_path):
    for name, picture, count in (("one", texture(0, SIZE), 1), ("empty", np.zeros((136, 240), np.uint8), 3)):
        (tmp_path / name / "rgb").mkdir(parents=True)
        for number in range(1, count + 1):
            cv2.imwrite(str(tmp_path / name / "rgb" / f"{number:04d}.png"), picture)
    assert run(tmp_path / "one").summary.startswith("static")
    unknown = run(tmp_path / "empty")
    assert "nothing in it to register" in unknown.findings[0].text and unknown.findings[0].severity == 2


def test_a_handmade_file_stays(tmp_path):
    write_clip(tmp_path / "clip", [motion(frame) for frame in range(2)])
    (tmp_path / "clip" / "homographies.txt").write_text("mine")
    assert run(tmp_path / "clip").summary == "homographies.txt made by hand"
    assert (tmp_path / "clip" / "homographies.txt").read_text() == "mine"


def known_links(pairs, noise: float, seed: int = 0) -> list[Link]:
    random = np.random.default_rng(seed)
    links = []
    for first, second in pairs:
        matrix = motion(second) @ np.linalg.inv(motion(first))
        source = random.uniform(0, 1, (60, 2)) * SIZE
        target = apply_homography(matrix, source.T).T + random.normal(0, noise, (60, 2))
        links.append(Link(first, second, np.stack([source, target]), matrix, 1.0, False, 0.0))
    return links


def test_refining_finds_the_truth_from_a_poor_beginning():
    truth = np.array([motion(frame) / motion(frame)[2, 2] for frame in range(8)])
    begin = truth.copy()
    begin[1:, :2, 2] += np.random.default_rng(1).normal(0, 3, (7, 2))
    links = known_links([(i, i + 1) for i in range(7)] + [(0, 5), (2, 7)], noise=0)
    assert np.abs(frame_corners(refine(begin, links, SIZE, 1.0)) - frame_corners(truth)).max() < 0.01


def test_links_to_a_frame_long_before_keep_errors_from_adding_up():
    truth = np.array([motion(frame) for frame in range(12)])
    short = [(i, i + 1) for i in range(11)]
    errors = []
    for pairs in (short, short + [(0, i) for i in range(2, 12)]):
        links = known_links(pairs, noise=0.5)
        chained = [np.eye(3)]
        for link in known_links(short, noise=0.5):
            chained.append(cv2.findHomography(*link.points)[0] @ chained[-1])
        errors.append(np.abs(frame_corners(refine(np.array(chained), links, SIZE, 1.0)) - frame_corners(truth)).max())
    assert errors[1] < 0.7 * errors[0]


def test_few_or_crowded_points_give_a_similarity():
    random = np.random.default_rng(0)
    source = random.uniform(0, 1, (15, 2)) * SIZE
    target = source * 1.1 + [4, -3]
    link = link_frames(0, 1, np.stack([source, target]), SIZE, 1.0)
    assert link.similar and np.allclose(link.matrix[2], [0, 0, 1])
    assert np.allclose(link.matrix[0], [1.1, 0, 4], atol=1e-4)
    crowded = random.uniform(0, 1, (200, 2)) * 20
    assert link_frames(0, 1, np.stack([crowded, crowded + 3]), SIZE, 1.0).similar
    assert link_frames(0, 1, random.uniform(0, 136, (2, 80, 2)), SIZE, 1.0) is None
    assert link_frames(0, 1, np.zeros((2, 3, 2)), SIZE, 1.0) is None


def test_wrong_matches_are_not_taken_for_parallax():
    random = np.random.default_rng(0)
    source = random.uniform(0, 1, (300, 2)) * SIZE
    wrong = source.copy()
    wrong[:90] = random.uniform(0, 1, (90, 2)) * SIZE
    assert unexplained_share(source, wrong, np.eye(3), 2.0) < 0.03
    nearer = source + np.where(source[:, 1:] > 90, [8.0, 0.0], [0.0, 0.0])
    assert unexplained_share(source, nearer, np.eye(3), 2.0) == pytest.approx(np.mean(source[:, 1] > 90), abs=0.07)


def test_overlap_sanity_and_spreading():
    shifted = np.array([[1, 0, 120.0], [0, 1, 0], [0, 0, 1]])
    nudged = np.array([[1, 0, 0.3], [0, 1, -0.3], [0, 0, 1]])
    assert overlap(np.eye(3), SIZE) == overlap(nudged, SIZE) == 1 and 0.4 < overlap(shifted, SIZE) < 0.6
    assert is_sane(shifted, SIZE)
    assert not is_sane(np.diag([-1.0, 1, 1]), SIZE) and not is_sane(np.diag([9, 9, 1.0]), SIZE)
    places = np.concatenate([np.full((50, 2), 7.0), np.full((3, 2), 120.0)])
    assert spread_out(places, SIZE, 4).tolist() == [0, 1, 2, 3, 50, 51, 52]
    assert spread_out(np.zeros((0, 2)), SIZE, 4).tolist() == []
