"""Layers without training: plate, effects and whose they are, against what is known."""

import functools
import re
import shutil
from argparse import Namespace

import cv2
import numpy as np
import pytest
import torch

from data import solving
from data.dataroot import Dataroot
from data.decomposition import decompose, read_mattes
from data.layered_video_dataset import LayeredVideoDataset
from datasets.make_sample import make_sample
from util.errors import UserError
from util.images import read_image
from vision.geometry.canvas import Canvas
from vision.geometry.flow import warp_frames
from vision.layers import clean_plate, closed_form, effect_owners, effects, filling, light
from vision.layers.small_motion import small_motion

RNG = np.random.default_rng(0)
FRAMES, WIDTH, HEIGHT = 24, 192, 112


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip of two people who cross, with their shadows."""
    return make_sample(tmp_path_factory.mktemp("clips") / "pair", frames=FRAMES, width=WIDTH, height=HEIGHT, people=2)


@pytest.fixture(scope="module")
def decomposed(clip):
    return decompose(clip, use_homographies=False, length=FRAMES)


def psnr(picture, truth):
    return -10 * np.log10(((picture.astype(float) - truth) ** 2).mean() / 255 ** 2)


def true_background(clip):
    return cv2.resize(read_image(clip / "gt/bg.png", "RGB"), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def truth(clip, part, number):
    paths = sorted((clip / f"gt/{part}_{number:02d}").glob("*.png"))
    return np.stack([cv2.resize(read_image(path, "L"), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
                     for path in paths]) / 255


# ---- a whole clip ---------------------------------------------------------------------------------------------------

def test_the_plate_is_cleaner_than_the_median(clip, decomposed):
    root = Dataroot.open(clip)
    frames = np.stack([read_image(root.file("rgb_256", k), "RGB") for k in range(FRAMES)])
    clear = sum(read_mattes(root).values()) == 0
    median = 255 * clean_plate.visible_quantile(frames, clear, 0.5)[0]
    made = psnr(decomposed.plate, true_background(clip))
    assert made > 38 and made > psnr(median, true_background(clip)) + 3


def test_shadows_lie_with_those_who_cast_them(clip, decomposed):
    people = np.max([truth(clip, "person", number) for number in (1, 2)], axis=0)
    for number in (1, 2):
        shadow, others = truth(clip, "shadow", number), truth(clip, "shadow", 3 - number)
        where = (shadow > 0.03) & (people < 0.05) & (others < 0.01)
        total = shadow[where].sum()
        assert total > 100
        own, other = (np.minimum(np.asarray(decomposed.effects[n]) / 255, shadow)[where].sum()
                      for n in (number, 3 - number))
        assert own > 0.7 * total and other < 0.2 * total


def test_shadows_that_hardly_go_away_are_found_by_the_light(tmp_path):
    """Of a low sun, they lie behind people; poses alone told of 2 % of them, and two thirds stayed in the plate."""
    clip = make_sample(tmp_path / "clip", frames=FRAMES, width=WIDTH, height=HEIGHT, people=2, shadow_on_people=True,
                       seed=8110)
    made = decompose(clip, use_homographies=False, length=FRAMES)
    people = np.max([truth(clip, "person", number) for number in (1, 2)], axis=0)
    for number in (1, 2):
        shadow = truth(clip, "shadow", number)
        where = (shadow > 0.03) & (people < 0.05)
        found = np.minimum(np.asarray(made.effects[number]) / 255, shadow)
        assert found[where].sum() > 0.7 * shadow[where].sum()


def test_nothing_has_effects_where_nobody_casts_any(clip, decomposed):
    untouched = np.max([truth(clip, part, number) for part in ("person", "shadow") for number in (1, 2)], axis=0) == 0
    assert max(np.asarray(decomposed.effects[number])[untouched].mean() for number in (1, 2)) < 255 * 0.005


def test_a_matte_holds_the_person_and_its_effects(decomposed):
    people, effects = decomposed.person_alpha(1, 5), decomposed.effect_alpha(1, 5)
    person = cv2.erode(decomposed.people[1][5], np.ones((5, 5), np.uint8)) == 255
    assert (people[person] > 0.99).all()
    shadow = (decomposed.effects[1][5] > 50) & (cv2.dilate(decomposed.people[1][5], np.ones((5, 5), np.uint8)) == 0)
    assert shadow.any() and (people[shadow] == 0).all() and (effects[shadow] > 0.15).all()


def test_flicker_and_shake_are_taken_out(tmp_path):
    shaken = make_sample(tmp_path / "clip", frames=FRAMES, width=WIDTH, height=HEIGHT, shake=0.4, flicker=2)
    root = Dataroot.open(shaken)
    frames = np.stack([read_image(root.file("rgb_256", k), "RGB") for k in range(FRAMES)])
    masks = np.stack(list(read_mattes(root).values()))
    clear = closed_form.uncovered(masks.max(axis=0), np.ones(frames.shape[:3], bool), 2)
    steady = small_motion(frames, clear).in_place
    always = clear.all(axis=0)
    always[:4] = always[-4:] = always[:, :4] = always[:, -4:] = False
    restless = [np.median(pictures[:, always].astype(float).std(axis=0)) for pictures in (frames, steady)]
    assert restless[1] < 0.5 * restless[0]


def test_frames_that_do_not_move_stay_as_they_are():
    frames = np.tile(RNG.integers(0, 256, (1, 64, 64, 3), np.uint8), (12, 1, 1, 1))
    masks = np.zeros((12, 64, 64), np.uint8)
    for frame, mask in enumerate(masks):
        mask[20:50, 3 * frame:3 * frame + 12] = 255
    frames[masks > 0] = 90
    clear = closed_form.uncovered(masks, np.ones(masks.shape, bool), 2)
    motion = small_motion(frames, clear)
    assert motion.exposed is frames and motion.in_place is frames and motion.flows is None
    found = closed_form.solve(frames, np.ones(masks.shape, bool), masks[None])
    assert found.rest is None and found.light.trust == 0


def test_a_moving_camera_needs_its_homographies(tmp_path, capsys):
    clip = make_sample(tmp_path / "clip", frames=12, width=WIDTH, height=HEIGHT, camera="moving")
    registered = decompose(clip, use_homographies=True, length=12)
    frames = Dataroot.open(clip).frames
    for frame in (0, 11):
        seen = cv2.resize(read_image(clip / f"gt/bg/{frames[frame]}.png", "RGB"), (WIDTH, HEIGHT),
                          interpolation=cv2.INTER_AREA)
        assert psnr(registered.background(frame)[4:-4, 4:-4], seen[4:-4, 4:-4]) > 25
        plate = torch.from_numpy(registered.plate.transpose(2, 0, 1).astype(np.float32))[None]
        place = torch.from_numpy(registered.canvas.place(frame))[None].movedim(1, 3)
        looked_up = torch.nn.functional.grid_sample(plate, place, mode="bicubic", align_corners=False)
        found = looked_up[0].movedim(0, 2).numpy()[4:-4, 4:-4]
        assert psnr(found, registered.background(frame)[4:-4, 4:-4]) > 40
    assert registered.backgrounds is None and not capsys.readouterr().out
    lost = decompose(clip, use_homographies=False, length=12)
    said = capsys.readouterr().out
    assert re.search("WARNING: .*do not show one scene.*filled from the frames around.*--use_homographies", said)
    for frame in (0, 6, 11):  # the few shadows that are told without a plate are where shadows are
        shadow = np.max([read_image(clip / f"gt/shadow_{number:02d}/{frames[frame]}.png", "L") / 255
                         for number in (1, 2)], axis=0)
        found = np.max([lost.effect_alpha(number, frame) for number in (1, 2)], axis=0)
        assert found.mean() < 0.02 and (found[shadow < 0.02] > 0.1).mean() < 0.02
    for frame in (0, 6, 11):
        seen = cv2.resize(read_image(clip / f"gt/bg/{frames[frame]}.png", "RGB"), (WIDTH, HEIGHT),
                          interpolation=cv2.INTER_AREA)
        made, hidden = lost.background(frame), np.max([person[frame] for person in lost.people.values()], axis=0) > 127
        assert psnr(made, seen) > 22
        assert np.abs(made.astype(float) - seen)[hidden].mean() < 0.5 * np.abs(
            lost.frames[frame].astype(float) - seen)[hidden].mean()
        assert (made == lost.frames[frame])[cv2.dilate(hidden.astype(np.uint8), np.ones((15, 15))) == 0].all()


@pytest.mark.parametrize("wrong", [np.array([[1, 0, 40000], [0, 1, 0], [0, 0, 1]]), np.diag([500, 500, 1]),
                                   np.diag([1e9, 1e9, 1]), np.array([[1, 0, 0], [0, 1, 0], [-1 / 48, 0, 1]])])
def test_frames_that_lie_impossibly_far_away_are_told_at_once(clip, tmp_path, wrong):
    root = shutil.copytree(clip, tmp_path / "far")
    matrices = [np.eye(3)] * 2 + [np.linalg.inv(wrong)] + [np.eye(3)] * (FRAMES - 3)
    lines = [f"size: {WIDTH} {HEIGHT}", f"bounds: 0 {WIDTH} 0 {HEIGHT}", *(
        " ".join(f"{number:g}" for number in matrix.ravel()) for matrix in matrices)]
    (root / "homographies.txt").write_text("\n".join(lines))
    opt = Namespace(dataroot=str(root), use_homographies=True, init="closed_form")
    for read in (lambda: decompose(root, True, FRAMES), lambda: LayeredVideoDataset.resolve_options(opt)):
        with pytest.raises(UserError, match="homographies.txt: the frames lie on a panorama .* times as large as a "
                                            "frame, frame 0003 farthest"):
            read()


def test_what_is_hidden_goes_on_in_mirrored_time():
    """A pixel that is hidden from frame 4 to 6 goes on backwards before, and then as after that."""
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 9, 9, 3), np.uint8) * 10
    shown = np.ones((12, 9, 9), bool)
    shown[4:7, 1:8, 1:8] = False

    def filled(frame):
        made, unknown = filling.filled_from_frames(frame, 12, frames[frame], ~shown[frame],
                                                   lambda other: (frames[other], shown[other]), range(1, 12))
        assert not unknown.any()
        return made[4, 4, 0] // 10

    assert [filled(frame) for frame in (4, 5, 6)] == [2, 1, 8]
    shown[:, 4, 4] = False
    _, unknown = filling.filled_from_frames(5, 12, frames[5], ~shown[5], lambda other: (frames[other], shown[other]),
                                            range(1, 12))
    assert unknown.sum() == 1 and unknown[4, 4]


def test_a_moving_background_is_the_frame_where_nobody_is(clip, decomposed):
    frame = 12
    made, truth = decomposed.moving_background(frame), true_background(clip)
    covered = np.max([person[frame] for person in decomposed.people.values()], axis=0)
    touched = np.max([decomposed.effect_alpha(number, frame) for number in (1, 2)], axis=0) > 0.02
    away = cv2.dilate(((covered > 5) | touched).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert away.any() and (made == decomposed.frames[frame])[away].all()
    assert psnr(made, truth) > 36

def test_masks_that_go_on_behind_others_are_told_from_those_that_end_there(tmp_path):
    for masks, whole in (("whole", True), ("visible", False)):
        clip = make_sample(tmp_path / masks, frames=12, width=WIDTH, height=HEIGHT, touch=True, masks=masks)
        assert decompose(clip, use_homographies=False, length=12).shows_hidden is whole


def test_without_masks_the_bodies_of_the_uv_maps_are_taken(clip, tmp_path):
    copy = tmp_path / "clip"
    shutil.copytree(clip, copy)
    shutil.rmtree(copy / "mask")
    with pytest.raises(UserError, match="neither mask/01 nor iuv/01"):
        decompose(copy, use_homographies=False, length=FRAMES)


def test_a_clip_is_solved_once_for_a_folder_and_again_for_other_masks(clip, tmp_path, monkeypatch):
    solved = []

    @functools.wraps(closed_form.solve)
    def counted(*inputs):
        solved.append(inputs)
        return closed_form.solve(*inputs)

    monkeypatch.setattr(solving, "solve", counted)
    copy, made = tmp_path / "clip", []
    shutil.copytree(clip, copy)
    for _ in range(2):
        decompose.cache_clear()
        made.append(decompose(copy, False, 6, tmp_path / "run"))
    assert len(solved) == 1 and made[0].plate.tobytes() == made[1].plate.tobytes()
    assert all(np.array_equal(made[0].effects[n], made[1].effects[n]) for n in (1, 2))
    mask = copy / "mask/01/0003.png"
    cv2.imwrite(str(mask), np.zeros_like(cv2.imread(str(mask))))
    decompose.cache_clear()
    decompose(copy, False, 6, tmp_path / "run")
    assert len(solved) == 2
    decompose.cache_clear()


def test_a_plate_gets_the_sharpness_back_that_moving_frames_costs():
    scene = cv2.GaussianBlur(RNG.random((72, 96, 3)).astype(np.float32), (0, 0), 1)
    scene = (scene - scene.min()) / np.ptp(scene)
    shifts = RNG.uniform(-0.6, 0.6, (20, 2)).astype(np.float32)
    flows = np.broadcast_to(shifts[:, None, None], (20, 72, 96, 2)).copy()
    frames = np.stack([cv2.warpAffine(255 * scene, np.array([[1, 0, x], [0, 1, y]]), (96, 72), flags=cv2.INTER_CUBIC,
                                      borderMode=cv2.BORDER_REPLICATE) for x, y in shifts])
    frames = frames.clip(0, 255).round().astype(np.uint8)
    clear = np.ones(frames.shape[:3], bool)
    blurred, _ = clean_plate.visible_quantile(warp_frames(frames, flows), clear, 0.5)
    sharp = clean_plate.back_projected(blurred, frames, flows, clear, np.ones((72, 96), bool))
    inside = (slice(4, -4), slice(4, -4))
    assert np.abs(sharp - scene)[inside].mean() < 0.6 * np.abs(blurred - scene)[inside].mean()
    kept = clean_plate.back_projected(blurred, frames, flows, clear, np.zeros((72, 96), bool))
    assert (kept == blurred).all()


@pytest.mark.parametrize("length", [1, 2])
def test_hardly_any_frames_are_enough(clip, length):
    made = decompose(clip, use_homographies=False, length=length)
    assert made.person_alpha(1, 0).shape == made.effect_alpha(1, 0).shape == (HEIGHT, WIDTH)


# ---- its parts ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("count", (9, 300))
def test_a_visible_quantile_is_that_of_what_is_visible(count):
    frames = RNG.integers(0, 256, (count, 40, 6, 3), np.uint8)
    visible = RNG.random((count, 40, 6)) > 0.4
    visible[:, 3, 4] = False
    for share in (0.5, 0.95):
        found, seen = clean_plate.visible_quantile(frames, visible, share)
        assert (seen == visible.sum(axis=0)).all() and (found[3, 4] == 0).all()
        values = np.where(visible[..., None], frames, np.nan)
        values[:, 3, 4] = 0
        np.testing.assert_allclose(255 * found, np.nanquantile(values, share, axis=0), atol=1e-3)


def test_mean_shift_finds_the_value_that_repeats():
    frames = RNG.integers(0, 120, (20, 4, 4, 3), np.uint8)
    frames[::3] = 180 + RNG.integers(-1, 2, frames[::3].shape)
    value, share = clean_plate.mean_shift_mode(frames, np.ones((20, 4, 4), bool), np.full((4, 4), 0.7, np.float32),
                                             np.full((4, 4), 4 / 255, np.float32))
    np.testing.assert_allclose(255 * value, 180, atol=1)
    np.testing.assert_allclose(share, 7 / 20)


def test_relighting_gives_a_shaded_part_the_brightness_around_it_and_leaves_the_rest():
    plate = (0.5 + 0.05 * RNG.random((40, 60, 3))).astype(np.float32)
    shaded = plate.copy()
    shaded[15:25, 20:40] *= 0.7
    trusted = np.ones((40, 60), bool)
    trusted[15:25, 20:40] = False
    lit = clean_plate.relit(shaded, trusted, np.ones_like(trusted))
    assert (lit[trusted] == plate[trusted]).all()
    assert np.abs(lit - plate)[~trusted].mean() < 0.25 * np.abs(shaded - plate)[~trusted].mean()


@pytest.mark.parametrize("colour", [0, 1])
def test_the_alpha_of_a_shadow_or_light_is_that_of_a_black_or_white_layer(colour):
    plate = RNG.random((30, 30, 3)).astype(np.float32)
    found = effects.shadow_and_light_alpha(0.7 * plate + 0.3 * colour, plate, np.ones((30, 30), np.float32), 1.0)
    np.testing.assert_allclose(found[colour], 0.3, atol=1e-4)
    assert found[1 - colour].mean() < 0.01


def test_what_depends_on_the_pose_follows_it_and_what_moves_by_itself_does_not():
    poses = np.cumsum(RNG.normal(size=(60, 5)), axis=0).astype(np.float32)
    modes = effects.pose_modes(poses, 10)
    caused = np.tanh(poses @ RNG.normal(size=(5, 24 * 24)) / 5).reshape(60, 24, 24).astype(np.float32)
    swaying = np.sin(np.arange(60)[:, None, None] / 3 + 6 * RNG.random((24, 24))).astype(np.float32)
    caused, swaying = (series - series.mean(axis=0) for series in (caused, swaying))
    assert effects.pose_dependence(caused, modes).mean() > 0.5
    assert effects.pose_dependence(swaying, modes).mean() < 0.1


def test_travelling_inside_an_effect_is_short():
    alpha, mask = np.zeros((20, 40), np.float32), np.zeros((20, 40), np.float32)
    mask[10, 2], alpha[10, 2:] = 1, 0.4
    distance = effect_owners.geodesic_distance(alpha, mask)
    assert distance[10, 39] < 5 and distance[1, 39] > distance[10, 39] + 8


def test_one_who_jumps_stands_on_the_ground_below():
    masks = np.zeros((30, 40, 40), np.float32)
    for frame, mask in enumerate(masks):
        foot = 20 if 10 <= frame < 14 else 30
        mask[foot - 15:foot, 18:22] = 1
    places = light.ground_contact(masks)
    np.testing.assert_allclose(places[:, 0], 19.5)
    assert (places[:, 1] > 28).all()


def test_a_canvas_holds_all_frames_and_gives_them_back():
    matrices = np.stack([np.array([[1, 0, shift], [0, 1, 0], [0, 0, 1]], float) for shift in (0, 7, 12)])
    canvas = Canvas((60, 30), (40, 30), matrices)
    picture = cv2.GaussianBlur(RNG.random((30, 40, 3)).astype(np.float32), (0, 0), 2)
    for frame in range(3):
        np.testing.assert_allclose(canvas.seen(canvas.lay(picture, frame), frame), picture, atol=1e-5)
        assert canvas.in_view(frame).sum() == 30 * 40 and canvas.in_view(frame, 3).sum() == 24 * 34


def test_the_solution_does_not_depend_on_torch_and_its_threads(clip, decomposed):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        decompose.cache_clear()
        again = decompose(clip, use_homographies=False, length=FRAMES)
    finally:
        torch.set_num_threads(before)
    assert (again.plate == decomposed.plate).all()
    assert all(np.array_equal(again.effects[number], decomposed.effects[number]) for number in (1, 2))


def test_the_scene_shows_where_people_cover_less_than_two_percent_and_a_margin_away():
    covered, in_view = np.zeros((1, 5, 7), np.uint8), np.ones((1, 5, 7), bool)
    covered[0, 2, 1], covered[0, 2, 4] = 5, 6
    in_view[0, 0, 0] = False
    expected = in_view.copy()
    expected[0, 1:4, 3:6] = False
    assert np.array_equal(closed_form.uncovered(covered, in_view, 1), expected)


def test_a_plate_is_not_sharpened_where_flows_are_wrong():
    """Back-projection by wrong flows would run away from what any frame shows."""
    frames = np.stack([cv2.GaussianBlur(RNG.random((60, 80, 3)), (0, 0), 1) for _ in range(20)])
    frames = (255 * (frames - frames.min()) / np.ptp(frames)).astype(np.uint8)
    flows = np.stack([cv2.GaussianBlur(flow, (0, 0), 3) for flow in 12 * RNG.normal(size=(20, 60, 80, 2))])
    clear = np.ones(frames.shape[:3], bool)
    median, _ = clean_plate.visible_quantile(warp_frames(frames, flows.astype(np.float32)), clear, 0.5)
    made = clean_plate.back_projected(median, frames, flows.astype(np.float32), clear, np.ones((60, 80), bool))
    errors = [np.abs(frames / 255 - plate).mean() for plate in (median, made)]
    assert errors[1] < 1.012 * errors[0]
    lowest, highest = clean_plate.shown_range(frames, clear)
    assert (made >= lowest.min()).all() and (made <= highest.max()).all()


def test_the_range_of_what_frames_show_is_that_of_what_is_visible():
    frames, visible = RNG.integers(0, 256, (6, 5, 4, 3), np.uint8), RNG.random((6, 5, 4)) > 0.4
    visible[:, 2, 2] = False
    lowest, highest = clean_plate.shown_range(frames, visible)
    shown = np.where(visible[..., None], frames / 255, np.nan)
    shown[0, 2, 2], shown[1, 2, 2] = 0, 1
    np.testing.assert_allclose(lowest, np.nanmin(shown, axis=0), atol=1e-6)
    np.testing.assert_allclose(highest, np.nanmax(shown, axis=0), atol=1e-6)


def test_a_shadow_touches_its_person_and_what_moves_far_from_everybody_does_not():
    alpha, covered = np.zeros((2, 20, 24, 40), np.float32)
    for frame in range(20):
        covered[frame, 6:14, 4 + frame:7 + frame] = frame < 8 or frame >= 12  # is in the air meanwhile
        alpha[frame, 15, 4 + frame:10 + frame] = 0.4
        alpha[frame, 3 + frame % 2, 30:36] = 0.6
    kept = effects.touches_a_person(alpha, covered)
    assert kept[:, 15][alpha[:, 15] > 0].all()
    assert not kept[:, :6].any()
    assert not effects.touches_a_person(np.zeros_like(alpha), covered).any()


def test_the_median_stands_where_no_shadow_explains_the_frames():
    """On the left a shadow passes, on the right things of all colours come and go."""
    scene = cv2.GaussianBlur(0.3 + 0.6 * RNG.random((48, 96, 3)).astype(np.float32), (0, 0), 1)
    frames = np.tile(255 * scene, (20, 1, 1, 1))
    for frame in frames[::2]:
        frame[10:40, 8:40] *= 0.6
    frames[:, :, 56:] = [255 * cv2.GaussianBlur(RNG.random((48, 40, 3)), (0, 0), 1) for _ in frames]
    frames = frames.clip(0, 255).round().astype(np.uint8)
    clear, whole = np.ones(frames.shape[:3], bool), np.ones((48, 96), np.float32)
    median = clean_plate.visible_quantile(frames, clear, 0.5)[0]
    plate = clean_plate.visible_quantile(frames, clear, 0.95)[0]
    region = closed_form.EffectRegion(frames, clear, whole, np.zeros((48, 96), bool),
                                      np.full((48, 96), closed_form.TOLERANCE, np.float32), 0.7,
                                      *clean_plate.shown_range(frames, clear))
    believed = closed_form.where_effects_explain(region, plate, median)
    assert believed[16:34, 14:34].min() > 0.9 and believed[8:40, 66:88].max() < 0.1


def test_motion_is_believed_where_flows_explain_the_frames_and_not_where_things_come_and_go():
    """On the left a texture sways by known flows, on the right each frame shows something else."""
    scene = cv2.GaussianBlur(RNG.random((48, 104, 3)), (0, 0), 1)
    scene = (255 * (scene - scene.min()) / np.ptp(scene)).astype(np.float32)
    frames, flows = [], np.zeros((20, 48, 96, 2), np.float32)
    for f in range(20):
        shift = 1.5 * np.sin(f)
        flows[f, ..., 0] = shift
        frame = cv2.warpAffine(scene, np.array([[1, 0, shift - 4], [0, 1, 0]]), (96, 48), flags=cv2.INTER_CUBIC)
        frame[:, 56:] = 255 * cv2.GaussianBlur(RNG.random((48, 40, 3)), (0, 0), 1)
        frames.append(frame.clip(0, 255).round().astype(np.uint8))
    still, clear = np.stack(frames), np.ones((20, 48, 96), bool)
    moved = warp_frames(still, flows)
    medians = [clean_plate.visible_quantile(some, clear, 0.5)[0] for some in (moved, still)]
    believed = closed_form.where_motion_explains((moved, medians[0]), (still, medians[1]), clear)
    assert believed[8:40, 8:40].min() > 0.9 and believed[8:40, 70:88].max() < 0.1


def test_the_median_stands_where_nobody_has_the_effects_that_would_explain_the_frames():
    """A plate that is too bright, with a shadow over it that somebody has in the upper half alone."""
    scene = np.full((48, 64, 3), 100, np.uint8)
    masks = np.zeros((1, 8, 48, 64), np.uint8)
    for f, mask in enumerate(masks[0]):
        mask[20:40, 4 + 5 * f:10 + 5 * f] = 255
    solution = closed_form.solve(np.stack([scene] * 8), np.ones((8, 48, 64), bool), masks)
    solution = solution._replace(box=np.s_[:48, :64], plate=solution.plate * 1.5, plain=solution.plate,
                                 zone=np.ones((48, 64), np.float32), lightens=np.zeros((48, 64), bool))
    shadow = np.zeros((48, 64), np.float32)
    shadow[:24] = 1 / 3
    visible = np.ones((48, 64), bool)
    worse = solution.worse_than_median(scene, visible, shadow)
    assert np.abs(worse[:24]).max() < 1e-5 and np.abs(worse[24:] - 50 / 255).max() < 1e-5
    believed = closed_form.believed_over_median(8 * worse, np.full((48, 64), 8.0), solution.zone)
    assert believed[:16].min() == 1 and believed[32:].max() == 0
    hidden = closed_form.believed_over_median(8 * worse, 8.0 * (np.arange(64) < 40) * np.ones((48, 1)), solution.zone)
    assert hidden[:, 40:].min() == 1 and hidden[32:, :36].max() == 0
    elsewhere = closed_form.believed_over_median(8 * worse, np.full((48, 64), 8.0), 0 * solution.zone)
    assert elsewhere.min() == 1


def test_light_and_shadow_that_do_not_stand_out_from_noise_are_none():
    plate, visible = np.full((40, 40, 3), 0.5, np.float32), np.ones((40, 40), bool)
    for change, certainty in ((0.004, 0), (0.0075, 0.25), (0.012, 0.7), (0.1, 1)):
        for sign in (-1, 1):
            found = closed_form.significant_shadow_and_light(plate + sign * np.float32(change), plate, visible, 2, 0.01)
            shadow, light = (float(part[20, 20]) for part in found)
            assert (light if sign > 0 else shadow) == pytest.approx(2 * change * certainty, abs=2e-3 * change + 1e-6)
            assert (shadow if sign > 0 else light) == pytest.approx(0, abs=1e-6)
