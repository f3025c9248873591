"""The sample clip: what it is made of adds up, and people do in it what it is for."""

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.dataroot import read_homographies
from datasets.make_sample import Content, SampleClip, make_sample
from datasets.synthetic.motion import Jump, Loop, Mover, Style
from datasets.synthetic.person import plain
from datasets.synthetic.scene import GROUND, WALL, View, upright
from datasets.synthetic.solids import ball, cast_shadow, limb, render
from util.errors import UserError
from util.images import read_image
from vision.geometry.homography import apply_homography

SCRIPT = Path(__file__).parents[2] / "datasets" / "make_sample.py"
SMALL = {"frames": 6, "width": 96, "height": 64}
KINDS = {
    "plain": {"seed": 1, "people": 2},
    "mirror": {"seed": 2, "people": 3, "mirror_floor": True, "shadow": "hard"},
    "moving": {"seed": 3, "people": 2, "camera": "moving"},
    "windy": {"seed": 5, "people": 2, "sway": 1.0, "shake": 0.5, "flicker": 2.0, "build": "wide", "touch": True},
    "shaded": {"seed": 1, "people": 2, "shadow_on_people": True},
    "walk": {"seed": 2, "people": 2, "camera": "walk", "shake": 0.2},
    "both": {"seed": 4, "people": 1, "camera": "moving", "mirror_floor": True, "shadow": "none"},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("samples")
    return {kind: make_sample(folder / kind, **SMALL, **options) for kind, options in KINDS.items()}


@pytest.fixture(params=KINDS)
def clip(clips, request) -> Path:
    return clips[request.param]


def metadata(clip):
    return json.loads((clip / "metadata.json").read_text())


def n_people(clip):
    return metadata(clip)["n_textures"] // 24


def frames(clip):
    return sorted(path.name for path in (clip / "rgb_256").iterdir())


def background(clip, name):
    still = clip / "gt" / "bg.png"
    return read_image(still if still.exists() else clip / "gt" / "bg" / name, "RGB").astype(float)


def composite(clip, k, name):
    """The background under the layers of `gt` in the order of metadata.json, float [H, W, 3] in 8-bit levels."""
    total = background(clip, name)
    for layer in metadata(clip)["composite_order"][k]:
        rgba = read_image(clip / "gt" / f"layer_{layer:02d}" / name, "RGBA").astype(float)
        total += (rgba[..., :3] - total) * rgba[..., 3:] / 255
    return total


def matte(clip, person, name):
    return read_image(clip / "mask" / f"{person:02d}" / name, "L").astype(float) / 255


def poses(clip):
    """Per frame the joints [people, 17, 2] in pixels of rgb_512."""
    table = json.loads((clip / "keypoints.json").read_text())
    return {name: np.array([person["keypoints"] for person in people]).reshape(-1, 17, 3)[..., :2]
            for name, people in table.items()}


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def test_a_frame_is_its_layers_composited_over_the_background(clip):
    for k, name in enumerate(frames(clip)):
        off = np.abs(composite(clip, k, name) - read_image(clip / "rgb_256" / name, "RGB"))
        assert off.mean() < 0.5 and np.quantile(off, 0.99) < 8


def test_the_people_are_more_than_a_rounding_error(clip):
    for name in frames(clip):
        off = np.abs(background(clip, name) - read_image(clip / "rgb_256" / name, "RGB"))
        assert off.mean() > 3


def test_the_small_frame_is_the_mean_of_the_large_one(clip):
    for name in frames(clip):
        large = read_image(clip / "rgb_512" / name, "RGB").astype(float)
        small = read_image(clip / "rgb_256" / name, "RGB")
        np.testing.assert_allclose(large.reshape(64, 2, 96, 2, 3).mean((1, 3)), small, atol=0.51)


def test_every_person_has_all_outputs_in_every_frame(clip):
    for person, name in itertools.product(range(1, n_people(clip) + 1), frames(clip)):
        layer = read_image(clip / "gt" / f"layer_{person:02d}" / name, "RGBA")
        person_matte = read_image(clip / "gt" / f"person_{person:02d}" / name, "L")
        shadow = read_image(clip / "gt" / f"shadow_{person:02d}" / name, "L")
        np.testing.assert_array_equal(person_matte, read_image(clip / "mask" / f"{person:02d}" / name, "L"))
        assert layer.shape == (64, 96, 4) and person_matte.max() == 255
        assert (layer[..., 3] >= np.maximum(person_matte, shadow) - 1.0).all()


def test_the_tables_speak_of_every_frame_and_person(clip):
    table, people = metadata(clip), n_people(clip)
    assert table["alphapose_input_size"] == [192, 128] and table["size_LR"] == [96, 64]
    assert table["frame_rate"] == "25/1" and table["n_textures"] == 24 * people + 1
    assert all(sorted(order) == list(range(1, people + 1)) for order in table["composite_order"])
    table = json.loads((clip / "keypoints.json").read_text())
    assert sorted(table) == frames(clip) and len(table) == len(metadata(clip)["composite_order"])
    assert all([pose["idx"] for pose in present] == list(range(1, people + 1)) for present in table.values())


def test_joints_lie_on_their_person(clip):
    inside = []
    for name, people in poses(clip).items():
        for person, joints in enumerate(people, start=1):
            x, y = np.clip(np.floor((joints + 0.5) / 2), 0, (95, 63)).astype(int).T
            inside.extend(matte(clip, person, name)[y, x] > 0.2)
    assert np.mean(inside) > 0.95


def test_left_and_right_are_those_of_the_person(clips):
    """All turn to the camera a little, so their right is on the left of the picture."""
    joints = np.concatenate(list(poses(clips["plain"]).values()))
    for left, right in ((1, 2), (3, 4), (5, 6)):  # eyes, ears, shoulders
        assert (joints[:, right, 0] < joints[:, left, 0]).all()


def test_a_shadow_is_a_darkening_of_at_most_sixty_percent(clips):
    for kind, (least, most) in {"plain": (0.3, 0.6), "mirror": (0.5, 0.6), "both": (0.0, 0.0)}.items():
        for name in frames(clips[kind]):
            shadow = read_image(clips[kind] / "gt" / "shadow_01" / name, "L") / 255
            assert least <= shadow.max() <= most


def test_a_reflection_belongs_to_the_layer_but_not_to_the_matte(clips):
    for clip, there in ((clips["both"], True), (clips["plain"], False)):
        name = frames(clip)[0]
        alpha = read_image(clip / "gt" / "layer_01" / name, "RGBA")[..., 3] / 255.0
        shadow = read_image(clip / "gt" / "shadow_01" / name, "L") / 255.0
        more = alpha - (1 - (1 - matte(clip, 1, name)) * (1 - shadow))
        assert (more.max() > 0.2) == there
        assert more.min() > -0.15


def test_the_jumpers_leave_their_shadows_at_different_times(clips):
    apexes = []
    for person in (1, 2):
        ankles = np.array([people[person - 1, 15:, 1].max() for people in poses(clips["plain"]).values()])
        gaps = []
        for name in frames(clips["plain"]):
            shadow = read_image(clips["plain"] / "gt" / f"shadow_{person:02d}" / name, "L") > 60
            body = matte(clips["plain"], person, name) > 0.5
            gaps.append(np.nonzero(shadow.any(1))[0].min() - np.nonzero(body.any(1))[0].max())
        assert max(gaps) >= 0 > min(gaps)
        assert np.argmax(gaps) == np.argmin(ankles)
        apexes.append(int(np.argmax(gaps)))
    assert apexes[0] != apexes[1]


@pytest.mark.parametrize("kind", ["plain", "mirror", "moving"])
def test_people_cross(clips, kind):
    """Who is on the left at first is on the right at last."""
    hips = np.array([people[:2, 11:13, 0].mean(1) for people in poses(clips[kind]).values()])
    assert (hips[0, 0] - hips[0, 1]) * (hips[-1, 0] - hips[-1, 1]) < 0


@pytest.mark.parametrize("kind", ["plain", "mirror"])
def test_whose_feet_are_lower_is_in_front(clips, kind):
    lowest = np.max([people[:, 15:, 1].max(1) for people in poses(clips[kind]).values()], axis=0)
    assert all(order == (np.argsort(lowest) + 1).tolist() for order in metadata(clips[kind])["composite_order"])


def test_homographies_carry_the_scene_of_frame_one_to_every_frame(clips):
    clip = clips["moving"]
    registration = read_homographies(clip / "homographies.txt")
    first = read_image(clip / "rgb_512" / "0001.png", "RGB").astype(float)
    np.testing.assert_allclose(registration.matrices[0], np.eye(3), atol=1e-9)
    for k, name in enumerate(frames(clip)):
        size = first.shape[1::-1]
        clear = clear_of_people(clip, name) & cv2.warpPerspective(clear_of_people(clip, "0001.png"),
                                                                  registration.matrices[k], size)
        frame = read_image(clip / "rgb_512" / name, "RGB").astype(float)
        moved = cv2.warpPerspective(first, registration.matrices[k], size)
        off = np.abs(moved - frame)[clear == 1]
        assert off.size > 10000 and off.mean() < 5
    assert np.abs(first - frame)[clear == 1].mean() > 4 * off.mean()


def test_a_camera_that_walks_sees_near_and_far_things_move_unlike():
    """Ground, walls and trees each move by a homography of their own, and by no other's."""
    clip = SampleClip(View(192, 128), 6, Content(camera="walk"))
    first, last = clip.background(0), clip.background(5)
    moved = {name: cv2.warpPerspective(first, clip.motion(plane, 5), (192, 128))
             for name, plane in (("ground", GROUND), ("walls", upright(WALL)))}
    off = {name: np.abs(picture - last).mean(axis=-1)[:, 30:-30] for name, picture in moved.items()}
    ground, walls = slice(110, 128), slice(40, 75)
    assert off["ground"][ground].mean() < 0.02 < 0.04 < off["walls"][ground].mean()
    assert off["walls"][walls].mean() < 0.03 < 0.06 < off["ground"][walls].mean()
    assert np.abs(last - first).mean() > 0.05


def test_a_walking_camera_has_no_homographies_and_no_mirror(clips, tmp_path):
    assert not (clips["walk"] / "homographies.txt").exists() and not (clips["walk"] / "gt/bg.png").exists()
    with pytest.raises(UserError, match="--mirror_floor: found with --camera walk"):
        make_sample(tmp_path / "clip", **SMALL, camera="walk", mirror_floor=True)
    assert not (tmp_path / "clip").exists()


def clear_of_people(clip, name):
    """1 where the large frame surely shows the background."""
    layers = [read_image(clip / "gt" / f"layer_{p:02d}" / name, "RGBA")[..., 3] for p in range(1, n_people(clip) + 1)]
    clear = np.uint8(np.max(layers, axis=0) == 0)
    return cv2.erode(cv2.resize(clear, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), np.ones((5, 5), np.uint8))


def test_bounds_hold_every_corner_of_every_frame_and_no_more(clips):
    registration = read_homographies(clips["moving"] / "homographies.txt")
    assert registration.size == (192, 128)
    corners = np.array([[0, 191, 0, 191], [0, 0, 127, 127]], float)
    x, y = np.concatenate([apply_homography(np.linalg.inv(h), corners) for h in registration.matrices], axis=1)
    np.testing.assert_allclose(registration.bounds, (x.min(), x.max(), y.min(), y.max()), atol=1e-4)
    assert x.max() - x.min() > 195


def test_a_camera_that_stands_still_needs_no_homographies(clips):
    assert not (clips["plain"] / "homographies.txt").exists() and (clips["plain"] / "gt" / "bg.png").exists()
    assert (clips["moving"] / "homographies.txt").exists() and not (clips["moving"] / "gt" / "bg.png").exists()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_clip(clips, tmp_path):
    again = make_sample(tmp_path / "again", **SMALL, **KINDS["moving"])
    other = make_sample(tmp_path / "other", **SMALL, **{**KINDS["moving"], "seed": 99})
    assert everything(again) == everything(clips["moving"])
    assert everything(other).keys() == everything(again).keys()
    assert not any(everything(other)[name] == data for name, data in everything(again).items()
                   if name.startswith(("rgb", "mask", "keypoints")))


def test_noise_has_the_strength_asked_for_and_leaves_the_ground_truth_alone(clips, tmp_path):
    noisy = make_sample(tmp_path / "noisy", **SMALL, **KINDS["plain"], noise=4)
    for name in frames(noisy):
        clean = read_image(clips["plain"] / "rgb_512" / name, "RGB").astype(float)
        inner = (clean > 20) & (clean < 235)
        assert 3.8 < (read_image(noisy / "rgb_512" / name, "RGB") - clean)[inner].std() < 4.2
        np.testing.assert_array_equal(composite(noisy, 0, name), composite(clips["plain"], 0, name))


def backgrounds(folder):
    return np.stack([background(folder, name) for name in frames(folder)])


def test_leaves_sway_and_the_ground_does_not(tmp_path, clips):
    still = background(clips["plain"], "0001.png")
    moved = backgrounds(make_sample(tmp_path / "clip", **SMALL, **KINDS["plain"], sway=2))
    ground = slice(48, None)
    np.testing.assert_allclose(moved[:, ground], np.broadcast_to(still[ground], moved[:, ground].shape), atol=1)
    assert np.ptp(moved, axis=0).max() > 50


def test_flicker_makes_whole_frames_brighter_or_darker(tmp_path, clips):
    still = background(clips["plain"], "0001.png")
    inner = (still > 60) & (still < 200)
    gains = [(frame[inner] / still[inner]) for frame in
             backgrounds(make_sample(tmp_path / "clip", **SMALL, **KINDS["plain"], flicker=5))]
    assert max(gain.std() for gain in gains) < 0.01 < np.std([gain.mean() for gain in gains])


def test_shake_moves_the_frames_and_is_not_in_the_homographies(tmp_path, clips):
    shaken = make_sample(tmp_path / "clip", **SMALL, **KINDS["moving"], shake=1)
    assert (shaken / "homographies.txt").read_text() == (clips["moving"] / "homographies.txt").read_text()
    assert np.abs(backgrounds(shaken) - backgrounds(clips["moving"])).mean((1, 2, 3)).min() > 2
    shift = np.array([(one - other).mean((0, 1)) for one, other in zip(poses(shaken).values(),
                                                                     poses(clips["moving"]).values())])
    assert 0.5 < shift.std() < 6  # 2 pixels of rgb_512


def test_visible_masks_hold_what_nobody_hides_and_the_mattes_stay_whole(tmp_path, clips):
    clip = make_sample(tmp_path / "clip", **SMALL, **KINDS["plain"], masks="visible")
    hidden = 0
    for k, name in enumerate(frames(clip)):
        whole = {person: read_image(clip / "gt" / f"person_{person:02d}" / name, "L") / 255.0 for person in (1, 2)}
        behind, front = metadata(clip)["composite_order"][k]
        np.testing.assert_array_equal(matte(clip, front, name), whole[front])
        np.testing.assert_allclose(matte(clip, behind, name), whole[behind] * (1 - whole[front]), atol=0.2)
        np.testing.assert_array_equal(whole[behind], matte(clips["plain"], behind, name))
        hidden += (whole[behind] - matte(clip, behind, name)).sum()
    assert hidden > 20


def shadow_on_others(clip):
    """Opacity of the front person's shadow, summed over the pixels where the one behind is seen."""
    total = 0.0
    for k, name in enumerate(frames(clip)):
        behind, front = metadata(clip)["composite_order"][k]
        layer = read_image(clip / "gt" / f"layer_{front:02d}" / name, "RGBA") / 255.0
        seen = (matte(clip, behind, name) == 1) & (matte(clip, front, name) == 0)
        np.testing.assert_allclose(layer[seen, :3] * layer[seen, 3:], 0, atol=0.01)  # black: it only darkens
        total += layer[seen, 3].sum()
    return total


def test_a_shadow_on_somebody_is_in_the_layer_of_who_casts_it_in_front(clips):
    assert shadow_on_others(clips["shaded"]) > 20 and shadow_on_others(clips["plain"]) < 1


def test_a_shadow_on_a_body_is_that_on_the_ground_where_body_and_ground_meet():
    clip = SampleClip(View(384, 256), 24, Content(shadow_on_people=True))
    place = np.array([0.0, 0.0, 6.3])
    tile = ball(np.array([0.0, 0.0, 0.0]), (0.5, 0.001, 0.1), plain(np.full(3, 0.5, np.float32)), np.eye(3))
    sheet, corner = clip._shaded([ball(np.array([-0.4, 0.5, -0.4]), (0.2, 0.2, 0.2), tile.paint, np.eye(3))], place)
    shade, body, at = clip._fallen_on([tile], place, sheet, corner)
    on_ground, on_body, where = (clip._filmed(*picture, 0, GROUND)
                                for picture in ((sheet, corner), (shade, at), (body, at)))
    assert np.count_nonzero(where == 1) > 100 and on_ground[where == 1].max() > 0.3
    assert np.abs(on_body - on_ground)[where == 1].max() < 0.06


def test_wide_people_cover_more_than_thin_ones(tmp_path):
    covered = [sum(matte(clip, 1, name).sum() for name in frames(clip)) for clip in
               (make_sample(tmp_path / build, **SMALL, seed=7, people=1, build=build) for build in ("thin", "wide"))]
    assert covered[1] > 1.3 * covered[0]


def test_people_who_touch_stand_equally_near(clips, tmp_path):
    def gap(clip):
        lowest = np.median([people[:, 15:, 1].max(1) for people in poses(clip).values()], axis=0)
        return abs(lowest[0] - lowest[1])
    touching = make_sample(tmp_path / "clip", **SMALL, **KINDS["plain"], touch=True)
    assert 2 * gap(touching) < gap(clips["plain"])


def test_a_foot_flat_on_the_ground_does_not_slide():
    style = Style(speed=1.5)
    mover = Mover(1.75, 0.054, 0.105, style, Loop(6.0, 3.0), 1.0, [Jump(1.2, 0.3)], 4.0)
    poses = [mover.skeleton(t) for t in np.arange(0, 4, 0.01)]
    ankles = np.array([pose.ankles + pose.ground for pose in poses])
    level = np.array([abs(pose.feet[:, 1]) < 0.02 for pose in poses]) & (ankles[..., 1] < 0.082)
    flat = level[1:] & level[:-1]
    steps = np.linalg.norm(np.diff(ankles, axis=0), axis=2)
    assert flat.mean() > 0.2 and steps[flat].max() < 0.004
    assert steps[~flat].max() > 0.02


def test_a_jump_is_ballistic_and_its_speed_continuous():
    jump = Jump(0.0, 0.3)
    _, _, off, touch, _, _ = jump.times
    assert jump.lift((off + touch) / 2) == pytest.approx(0.3)
    assert touch - off == pytest.approx(2 * np.sqrt(2 * 0.3 / 9.81))
    speeds = np.diff([jump.lift(t) for t in np.arange(-0.1, jump.times[-1] + 0.1, 0.001)]) / 0.001
    assert abs(np.diff(speeds)).max() < 0.05


def test_a_solid_covers_as_much_as_geometry_says():
    ahead, sun = np.array([0.0, 0.0, -1.0]), np.array([0.0, 1.0, 0.0])
    grey, top, bottom = plain(np.full(3, 0.5, np.float32)), np.array([0, 0.3, 5.0]), np.array([0, -0.4, 5.0])
    for part, area in ((ball(top, (0.2, 0.1, 0.3), grey, np.eye(3)), np.pi * 0.2 * 0.1),
                       (limb(top, bottom, (0.2, 0.2), grey, ahead), np.pi * 0.2 ** 2 + 0.4 * 0.7),
                       (limb(top, bottom, (0.2, 0.2), grey, ahead, open_end=True), np.pi * 0.2 ** 2 / 2 + 0.4 * 0.7)):
        picture = render([part], np.array([0.0, 0.0, 1.0]), -1.0, 1.0, (400, 400), 200.0, sun)
        assert picture[..., 3].sum() / 200 ** 2 == pytest.approx(area, rel=0.01)
        shadow = cast_shadow(part, sun)
        assert abs(shadow[:, 1]).max() < 1e-9 and abs(shadow[:, 0]).max() == pytest.approx(0.2, rel=0.01)


def test_the_nearer_solid_hides_the_farther_one():
    colours = np.eye(3, dtype=np.float32)
    balls = [ball(np.array([0, 0, distance]), (0.3, 0.3, 0.3), plain(colour), np.eye(3))
             for distance, colour in zip((5.0, 4.0, 6.0), colours)]
    for order in itertools.permutations(balls):
        picture = render(list(order), np.array([0.0, 0.0, 1.0]), -1.0, 1.0, (40, 40), 20.0, np.array([0.0, 1.0, 0.0]))
        assert picture[20, 20, :3].argmax() == 1


@pytest.mark.parametrize("option, value, nearest", [("--width", 450, 448), ("--height", 7, 16)])
def test_a_bad_size_is_refused_in_one_line_that_names_the_nearest_good_one(tmp_path, option, value, nearest):
    done = run("--dataroot", tmp_path / "new", option, value)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and option in done.stderr and str(nearest) in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["--people", "5"], ["--frames", "0"], ["--frame", "3"]])
def test_a_bad_option_is_refused_in_one_line(tmp_path, arguments):
    done = run("--dataroot", tmp_path / "new", *arguments)
    assert done.returncode == 2 and done.stderr.startswith("error: --") and done.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_refused_in_one_line_and_left_alone(tmp_path):
    (tmp_path / "film.mp4").write_text("precious")
    done = run("--dataroot", tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and str(tmp_path) in done.stderr
    with pytest.raises(UserError, match="not a sample clip"):
        make_sample(tmp_path, **SMALL, overwrite=True)
    with pytest.raises(UserError, match="a file"):
        make_sample(tmp_path / "film.mp4", **SMALL, overwrite=True)
    with pytest.raises(UserError, match="cannot be written"):
        make_sample(tmp_path / "film.mp4" / "clip", **SMALL)
    assert everything(tmp_path) == {"film.mp4": b"precious"}


def test_overwrite_replaces_a_whole_sample_clip(tmp_path, clips):
    folder = tmp_path / "deep" / "clip"
    for options in ("moving", "plain"):
        make_sample(folder, **SMALL, **KINDS[options], overwrite=True)
    assert everything(folder) == everything(clips["plain"])
    with pytest.raises(UserError, match="--overwrite"):
        make_sample(folder, **SMALL)
    assert [path.name for path in folder.parent.iterdir()] == ["clip"]


def test_the_command_line_makes_what_the_function_makes(clips, tmp_path):
    done = run("--dataroot", tmp_path / "clip", "--frames", 6, "--width", 96, "--height", 64, "--people", 3,
               "--seed", 2, "--mirror_floor", "--shadow", "hard")
    assert done.returncode == 0 and str(tmp_path / "clip") in done.stdout
    assert everything(tmp_path / "clip") == everything(clips["mirror"])


def test_an_interrupted_run_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen([sys.executable, SCRIPT, "--dataroot", tmp_path / "clip", "--frames", "500"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(tmp_path.rglob("0002.png")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert not any(tmp_path.iterdir())
