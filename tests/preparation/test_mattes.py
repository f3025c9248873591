"""Step "mattes": masks of tracked people where none are given; what the user gives or changes stays."""

from argparse import Namespace

import numpy as np
import pytest

from data.masks import read_mask
from preparation import layers, mattes, poses, segmenters
from preparation.masks import STEP as MASKS
from preparation.masks import given_masks
from preparation.poses import keypoints_json
from preparation.segmenters import AtHand
from preparation.steps import fingerprint_of, is_made_by, perform, read_values, write_values
from util.errors import UserError
from util.files import write_text
from util.images import read_image, write_png
from vision.people.pose_formats import Pose

SIZE, FRAMES = (96, 64), 10
STANDING = np.array([(20, 10), (21, 9), (19, 9), (22, 10), (18, 10), (25, 18), (15, 18), (27, 28), (13, 28), (28, 36),
                     (12, 36), (23, 38), (17, 38), (23, 50), (17, 50), (23, 58), (17, 58)], float)
OPTIONS = Namespace(segmenter=None, masks=None)


@pytest.fixture
def root(tmp_path):
    """Somebody in red walks past a grey wall."""
    rng = np.random.default_rng(0)
    poses = []
    for f in range(FRAMES):
        picture = (120 + rng.normal(0, 2, (*SIZE[::-1], 3))).astype(np.uint8)
        picture[6:62, 12 + 5 * f:28 + 5 * f] = (200, 40, 40)
        for folder in ("rgb", "rgb_256"):
            write_png(tmp_path / folder / f"{f + 1:04d}.png", picture)
        poses.append([Pose(1, np.column_stack([STANDING + (5 * f, 0), np.ones(17)]), 0.9)])
    write_text(tmp_path / "keypoints.json", keypoints_json([f"{f + 1:04d}" for f in range(FRAMES)], poses))
    write_values(tmp_path / "metadata.json", {"size_LR": list(SIZE), "alphapose_input_size": list(SIZE)})
    return tmp_path


@pytest.fixture
def boxes(monkeypatch):
    """A segmenter that finds a part of whoever has a pose."""
    def segment(picture, skeletons):
        masks = np.zeros((len(skeletons), *picture.shape[:2]), np.float32)
        for mask, skeleton in zip(masks, skeletons):
            left, top = skeleton[:, :2].min(axis=0).astype(int)
            right, bottom = skeleton[:, :2].max(axis=0).astype(int)
            mask[top:bottom, left + 2:right - 2] = 0.9
        return list(masks)
    monkeypatch.setattr(segmenters, "best_at_hand", lambda name: AtHand("boxes", segment, "a better one is elsewhere"))


def walker(f):
    mask = np.zeros(SIZE[::-1], bool)
    mask[6:62, 12 + 5 * f:28 + 5 * f] = True
    return mask


def test_tracked_people_get_masks_as_large_as_they_are(root, boxes):
    outcome, state = perform(mattes.STEP, root, OPTIONS)
    assert state == "made" and outcome.summary == "masks of 1 layer (boxes, refined)"
    assert any(finding.severity == 1 and "a better one is elsewhere" in finding.text for finding in outcome.findings)
    for f in range(FRAMES):
        mask = read_mask(root / "mask/01" / f"{f + 1:04d}.png")
        assert (mask & walker(f)).sum() / (mask | walker(f)).sum() > 0.95
    assert perform(mattes.STEP, root, OPTIONS)[1] == "unchanged"


def test_what_the_machine_made_is_no_input_of_what_it_was_made_from_and_gives_way_to_given_masks(root, boxes, tmp_path):
    perform(mattes.STEP, root, OPTIONS)
    assert given_masks(root) == {} and is_made_by("mattes", root, "mask")
    for f in range(FRAMES):
        write_png(tmp_path / "mine/01" / f"{f + 1:04d}.png", 255 * walker(f).astype(np.uint8))
    _, state = perform(MASKS, root, Namespace(masks=tmp_path / "mine"))
    mine = fingerprint_of(root, "mask")
    assert state == "made" and list(given_masks(root)) == [1]
    outcome, state = perform(mattes.STEP, root, OPTIONS)
    assert (outcome.summary, state) == ("mask given", "kept") and fingerprint_of(root, "mask") == mine


def test_a_mask_that_somebody_changed_stays_and_nothing_before_it_is_made_again(root, boxes):
    perform(mattes.STEP, root, OPTIONS)
    path = root / "mask/01/0003.png"
    write_png(path, 255 - read_image(path, "L"))
    changed = fingerprint_of(root, "mask")
    assert perform(mattes.STEP, root, OPTIONS)[1] == "unchanged" and fingerprint_of(root, "mask") == changed
    assert given_masks(root) == {}


def test_without_any_network_there_are_no_masks_and_that_is_said_loudly(root, monkeypatch):
    def none(_name):
        raise UserError("BlazePose: its weights could not be loaded")
    monkeypatch.setattr(segmenters, "best_at_hand", none)
    outcome, _ = perform(mattes.STEP, root, OPTIONS)
    (finding,) = outcome.findings
    assert finding.severity == 2 and "hair, clothes, hands" in finding.text and "--masks" in finding.text
    assert not (root / "mask").exists()
    with pytest.raises(UserError, match="weights"):
        perform(mattes.STEP, root, Namespace(segmenter="mediapipe"))


def test_where_a_network_sees_nobody_limbs_are_drawn_and_that_is_told(root, monkeypatch):
    nobody = AtHand("blind", lambda picture, skeletons: [np.zeros(picture.shape[:2], np.float32)] * len(skeletons), "")
    monkeypatch.setattr(segmenters, "best_at_hand", lambda name: nobody)
    outcome, _ = perform(mattes.STEP, root, OPTIONS)
    assert any("nothing was found in 10 of 10" in finding.text for finding in outcome.findings)
    assert (read_mask(root / "mask/01/0005.png") & walker(4)).sum() > 0.5 * walker(4).sum()


def test_people_who_share_a_layer_share_its_masks(root, boxes):
    poses = [[Pose(1, np.column_stack([STANDING + (5 * f, 0), np.ones(17)]), 0.9),
              Pose(2, np.column_stack([STANDING + (40, 0), np.ones(17)]), 0.9)] for f in range(FRAMES)]
    write_text(root / "keypoints.json", keypoints_json([f"{f + 1:04d}" for f in range(FRAMES)], poses))
    write_values(root / "metadata.json", {**read_values(root / "metadata.json"), "people_layers": [[1, 2]]})
    assert "masks of 1 layer" in perform(mattes.STEP, root, OPTIONS)[0].summary
    assert [path.name for path in (root / "mask").iterdir()] == ["01"]


def guides_of(root, frames, bag=True):
    """Masks of some frames alone, given: the walker and what he holds."""
    for f in frames:
        write_png(root / "in/01" / f"{f + 1:04d}.png", 255 * (walker(f) | (bag & carried(f))).astype(np.uint8))
    return perform(MASKS, root, Namespace(masks=root / "in"))[0]


def carried(f):
    """A box at the walker's hand in the colours of the wall, which no machine finds."""
    mask = np.zeros(SIZE[::-1], bool)
    mask[30:46, 28 + 5 * f:38 + 5 * f] = True
    return mask


def test_masks_of_some_frames_stay_and_guide_those_of_the_others(root, boxes):
    rng = np.random.default_rng(1)
    bag = np.kron(rng.uniform(60, 180, (4, 3, 1)), np.ones((4, 4, 3)))[:, :10]
    for f in range(FRAMES):
        for folder in ("rgb", "rgb_256"):
            picture = read_image(root / folder / f"{f + 1:04d}.png", "RGB").copy()
            picture[carried(f)] = bag.reshape(-1, 3)
            write_png(root / folder / f"{f + 1:04d}.png", picture)
    outcome = guides_of(root, (2, 6))
    assert outcome.summary.startswith("of 2 frames") and "2 of 10 frames" in outcome.findings[-1].text
    assert not (root / "mask").exists()
    perform(mattes.STEP, root, OPTIONS)
    assert given_masks(root) == {} and is_made_by("mattes", root, "mask")
    for f in range(FRAMES):
        mask, true = read_mask(root / "mask/01" / f"{f + 1:04d}.png"), walker(f) | carried(f)
        assert (mask & true).sum() / (mask | true).sum() > (0.999 if f in (2, 6) else 0.9)
        assert f >= 8 or (mask & carried(f)).sum() > 0.85 * carried(f).sum()
    for f in range(FRAMES):
        write_png(root / "in/01" / f"{f + 1:04d}.png", 255 * walker(f).astype(np.uint8))
    perform(MASKS, root, Namespace(masks=root / "in"))
    assert list(given_masks(root)) == [1] and not (root / "mask_given").exists()


def test_masks_of_some_frames_need_no_poses(root):
    (root / "keypoints.json").unlink()
    guides_of(root, (2, 6), bag=False)
    perform(poses.STEP, root, Namespace(poses="none", pose_size=None, people=None, min_frames=None))
    perform(mattes.STEP, root, OPTIONS)
    assert perform(layers.STEP, root, Namespace())[0].summary.startswith("1 layer")
    for f in range(FRAMES):
        mask, true = read_mask(root / "mask/01" / f"{f + 1:04d}.png"), walker(f)
        assert (mask & true).sum() / (mask | true).sum() > 0.85


def test_what_corrects_a_mask_is_taken_away_as_far_as_the_next_that_is_given(root, monkeypatch):
    def too_much(picture, skeletons):
        masks = [np.zeros(picture.shape[:2], np.float32) for _ in skeletons]
        for mask, skeleton in zip(masks, skeletons):
            left = int(skeleton[:, 0].min())
            mask[6:62, left:left + 16] = mask[0:20, left + 4:left + 12] = mask[24:40, left + 16:left + 28] = 0.9
        return masks
    monkeypatch.setattr(segmenters, "best_at_hand", lambda name: AtHand("boxes", too_much, ""))
    guides_of(root, (4,), bag=False)
    perform(mattes.STEP, root, OPTIONS)
    mask = read_mask(root / "mask/01/0005.png")
    assert (mask & ~walker(4)).sum() == 0


def test_masks_of_some_frames_are_followed_where_nobody_has_a_pose(root):
    (root / "keypoints.json").unlink()
    guides_of(root, (1, 5), bag=False)
    outcome, _ = perform(mattes.STEP, root, OPTIONS)
    assert outcome.summary == "masks of 1 layer (followed from those given)"
    for f in range(FRAMES - 2):
        mask = read_mask(root / "mask/01" / f"{f + 1:04d}.png")
        assert (mask & walker(f)).sum() / (mask | walker(f)).sum() > 0.85


def test_a_mask_of_nobody_who_was_found_is_left_out_and_told(root, boxes):
    for f in (2, 5):
        write_png(root / "in/01" / f"{f + 1:04d}.png", 255 * np.eye(*SIZE[::-1], dtype=np.uint8))
        write_png(root / "in/02" / f"{f + 1:04d}.png", 255 * walker(f).astype(np.uint8))
    perform(MASKS, root, Namespace(masks=root / "in"))
    outcome, _ = perform(mattes.STEP, root, OPTIONS)
    told = [finding.text for finding in outcome.findings]
    assert any("mask 1 of those given is of nobody" in text for text in told)
    assert "mattes: mask 2 of those given is person 1's" in told and not (root / "mask/02").exists()
