"""Step "masks": masks of all forms become a folder for each person or thing, and the UV maps follow them."""

import json
from argparse import Namespace
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from data.tracked_poses import read_poses
from preparation import layers, masks, poses
from preparation.steps import perform, read_values, write_values
from preparation.uv import make_iuv
from util.errors import UserError
from util.images import read_image, write_png
from vision.people.iuv import bounded_by_mask, box_iuv, decode_iuv, encode_iuv

FRAMES, WIDTH, HEIGHT = 6, 96, 64


def square(frame, person):
    """Where a person or thing is in a frame: two squares, the second before the first in the middle of the clip."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    left = 5 + 10 * frame if person == 1 else 60 - 8 * frame
    mask[20:40 if person == 1 else 50, left:left + 20] = True
    return mask


def white(mask):
    return mask.astype(np.uint8) * 255


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    for frame in range(FRAMES):
        for folder in ("rgb", "rgb_256"):
            write_png(root / folder / f"{frame + 1:04d}.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    write_values(root / "metadata.json", {"size_LR": [WIDTH, HEIGHT], "alphapose_input_size": [WIDTH, HEIGHT],
                                          "frame_rate": "8/1", "source": {"frames": [2 * f for f in range(FRAMES)]}})
    return root


@pytest.fixture
def prepare(root):
    def prepare(path):
        return perform(masks.STEP, root, Namespace(masks=path))[0]
    return prepare


def made(root, person, frame):
    return read_image(root / f"mask/{person:02d}/{frame + 1:04d}.png", "L") > 127


def assert_masks(root, people=(1, 2)):
    assert sorted(p.name for p in (root / "mask").iterdir()) == [f"{person:02d}" for person in people]
    for person in people:
        for frame in range(FRAMES):
            assert np.array_equal(made(root, person, frame), square(frame, person))


@pytest.mark.parametrize("folders", [("01", "02"), ("ball", "dog"), ("mask9", "mask10")])
@pytest.mark.parametrize("first", [0, 1])
def test_a_folder_for_each(root, prepare, tmp_path, folders, first):
    for person, folder in enumerate(folders, start=1):
        for frame in range(FRAMES):
            write_png(tmp_path / "in" / folder / f"{frame + first:04d}.png", white(square(frame, person)))
    assert f"2 layers (a folder for each: {', '.join(folders)})" in prepare(tmp_path / "in").summary
    assert_masks(root)


@pytest.mark.parametrize("mode, levels", [("P", (1, 2)), ("L", (1, 2)), ("P", (3, 7)), ("L", (38, 75))])
def test_index_pictures(root, prepare, tmp_path, mode, levels):
    (tmp_path / "in").mkdir()
    for frame in range(FRAMES):
        picture = np.zeros((HEIGHT, WIDTH), np.uint8)
        picture[:2, :2] = 255 if max(levels) < 60 else 0  # not to be counted
        for person in (1, 2):
            picture[square(frame, person) & ~square(frame, 3 - person)] = levels[person - 1]
        image = Image.fromarray(picture)
        if mode == "P":
            image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0] + [90] * 759)
        image.save(tmp_path / "in" / f"{frame:05d}.png")
    assert f"index pictures with {levels[0]}, {levels[1]}" in prepare(tmp_path / "in").summary
    assert np.array_equal(made(root, 1, 2), square(2, 1) & ~square(2, 2))
    assert np.array_equal(made(root, 2, 0), square(0, 2))


def test_black_and_white_pictures_of_another_size_are_of_one_and_soft_edges_stay(root, prepare, tmp_path):
    for frame in range(FRAMES):
        large = np.asarray(Image.fromarray(white(square(frame, 1))).resize((2 * WIDTH, 2 * HEIGHT)))
        write_png(tmp_path / "in" / f"{frame:03d}.png", large)
    assert "black and white pictures of one" in prepare(tmp_path / "in").summary
    assert (made(root, 1, 3) ^ square(3, 1)).mean() < 0.02


def test_masks_smaller_than_the_frames_stay_so_and_poses_find_theirs(root, prepare, tmp_path):
    found = []
    for frame in range(FRAMES):
        for person in (1, 2):
            small = white(square(frame, person))[::2, ::2]
            write_png(tmp_path / "in" / f"{person:02d}" / f"{frame:04d}.png", small)
        y, x = np.nonzero(square(frame, 2))
        inside = (np.linspace(side.min() + 2, side.max() - 2, 17) for side in (x, y))
        keypoints = np.column_stack([*inside, np.ones(17)])
        if frame != 3:
            found.append({"image_id": f"{frame + 1:04d}.png", "keypoints": keypoints.ravel().tolist(), "score": 1})
    (tmp_path / "poses.json").write_text(json.dumps(found))
    prepare(tmp_path / "in")
    assert np.array_equal(made(root, 2, 1), square(1, 2)[::2, ::2])
    perform(poses.STEP, root, Namespace(poses=tmp_path / "poses.json", people=None, min_frames=None, pose_size=None))
    people = read_poses(root / "keypoints.json")
    assert [[pose.person for pose in people[f"{frame + 1:04d}"]] for frame in range(FRAMES)] == [[2]] * FRAMES
    moved = people["0004"][0].keypoints[:, :2]
    y, x = np.nonzero(square(3, 2))
    assert np.abs(moved.mean(axis=0) - (x.mean(), y.mean())).max() < 2.1


@pytest.mark.parametrize("count", [FRAMES, 2 * FRAMES])
def test_mask_videos_have_the_frames_of_the_clip_or_of_the_video_it_was_taken_from(root, prepare, tmp_path, count):
    (tmp_path / "in").mkdir()
    for person in (1, 2):
        with av.open(str(tmp_path / "in" / f"{person}.mp4"), "w") as video:
            stream = video.add_stream("libx264", rate=Fraction(8), width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
            for index in range(count):
                pixels = white(square(index * FRAMES // count, person))
                video.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="gray")))
            video.mux(stream.encode())
    assert "a video for each" in prepare(tmp_path / "in").summary
    for frame in range(FRAMES):
        assert (made(root, 1, frame) ^ square(frame, 1)).mean() < 0.02


def test_masks_of_the_whole_video_find_the_frames_that_were_chosen_from_it(root, prepare, tmp_path):
    for frame in range(2 * FRAMES):
        write_png(tmp_path / "in/01" / f"{frame + 1:04d}.png", white(square(frame // 2 if frame % 2 == 0 else 0, 1)))
    prepare(tmp_path / "in")
    assert_masks(root, people=(1,))


def test_a_frame_without_a_mask_is_named(root, prepare, tmp_path):
    for frame in (1, 2, 3):
        write_png(tmp_path / "in/01" / f"{frame:04d}.png", white(square(frame, 1)))
    assert "3 of 6 frames have none, first 0004" in str(prepare(tmp_path / "in").findings)
    assert not made(root, 1, 5).any()


@pytest.mark.parametrize("content, found", [
    (None, "no such file or folder"), ({}, "an empty folder"),
    ({"0001.png": np.zeros((64, 96), np.uint8)}, "all pictures are black"),
    ({"a.png": np.full((64, 96), 255, np.uint8)}, "1 masks, the first is a.png; expected one for each of the 6 frames"),
    ({"0001.png": np.full((64, 64), 255, np.uint8)}, "masks of 64x64 pixels; expected the form of the frames, 96x64"),
    ({"0001.png": np.tile(np.uint8([255, 0, 0]), (64, 96, 1))}, "0001.png: a colour picture"),
    ({"01": "text"}, "01: not readable as a video"),
])
def test_what_is_no_mask_is_refused_in_one_line(root, prepare, tmp_path, content, found):
    for name, pixels in (content or {}).items():
        if isinstance(pixels, str):
            (tmp_path / "in").mkdir()
            (tmp_path / "in" / name).write_text(pixels)
        else:
            write_png(tmp_path / "in" / name, pixels)
    if content == {}:
        (tmp_path / "in").mkdir()
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "in")
    assert found in str(error.value) and "\n" not in str(error.value)
    assert not (root / "mask").exists()


def test_things_with_masks_alone_get_layers_in_order_and_uv_maps_that_cover_them(root, prepare, tmp_path):
    for person in (1, 2):
        for frame in range(FRAMES):
            write_png(tmp_path / "in" / f"{person:02d}" / f"{frame:04d}.png", white(square(frame, person)))
    prepare(tmp_path / "in")
    perform(poses.STEP, root, Namespace(poses="none", people=None, min_frames=None))
    assert perform(layers.STEP, root, Namespace())[0].summary == "2 layers, one order throughout"
    values = read_values(root / "metadata.json")
    assert values["n_textures"] == 49 and values["composite_order"] == [[1, 2]] * FRAMES
    make_iuv(root, "drawn", use_mask_images=True)
    for frame in range(FRAMES):
        for person in (1, 2):
            part, u, v, who = decode_iuv(read_image(root / f"iuv/{person:02d}/{frame + 1:04d}.png", "RGBA"), 2)
            assert np.array_equal(part > 0, square(frame, person)) and set(who[part > 0]) == {person}
            assert (u[part > 0].min(), u[part > 0].max(), v[part > 0].min(), v[part > 0].max()) == (0, 1, 0, 1)


def test_a_mask_bounds_a_body_except_where_others_hide_it():
    part = np.zeros((20, 30), np.uint8)
    part[5:15, 5:25] = 3
    iuv = encode_iuv(part, np.linspace(0, 1, 30)[None].repeat(20, 0), np.full((20, 30), 0.5), 4)
    mask, hidden = np.zeros((2, 20, 30), bool)
    mask[3:15, 8:14], hidden[:, 14:18] = True, True
    bounded = bounded_by_mask(iuv, mask, hidden, 4)
    assert np.array_equal(bounded[..., 0] > 0, mask | (hidden & (part > 0)))
    unchanged = (mask | hidden) & (part > 0)
    assert np.array_equal(bounded[unchanged], iuv[unchanged])
    assert np.array_equal(bounded[3, 8:14], iuv[5, 8:14])  # the nearest place on the body


def test_a_thing_at_a_single_pixel_has_a_uv_map():
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = True
    assert np.array_equal(box_iuv(mask, 9)[..., 0] > 0, mask) and box_iuv(mask, 9)[1, 2].tolist() == [20, 0, 0, 246]
