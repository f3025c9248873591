"""models/scene.py: the scene behind the people is found together with how each frame shows it."""

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from data.loading import create_dataset, resolved
from datasets.make_sample import make_sample
from models.lazy_adam import LazyAdam
from models.lnr_model import LnrModel
from models.scene import Scene, Trial, scene_losses
from options.train_options import TrainOptions
from preparation.uv import make_iuv
from training.budget import within_budget
from util.errors import UserError
from vision.layers.closed_form import remeasured_effects
from vision.layers.mattes import composite_over, layers_from_mattes, pull_push

FRAMES, WIDTH, HEIGHT = 12, 64, 48
RNG = np.random.default_rng(3)


def identity(width, height):
    """Where the pixels of a still camera look, [1, 2, h, w]."""
    x, y = ((2 * torch.arange(side) + 1) / side - 1 for side in (width, height))
    return torch.stack((x.expand(height, -1), y[:, None].expand(-1, width)))[None]


def texture(width=WIDTH, height=HEIGHT):
    picture = cv2.GaussianBlur(RNG.random((height, width, 3)).astype(np.float32), (0, 0), 1.2)
    return 1.6 * (picture - picture.min()) / np.ptp(picture) - 0.8


def tensor(picture):
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


def test_what_has_learned_nothing_changes_nothing():
    scene, plate = Scene(3, (WIDTH, HEIGHT), (WIDTH, HEIGHT)), tensor(texture())
    shown, motion = scene(plate, identity(WIDTH, HEIGHT), torch.tensor([1]))
    assert scene.is_untrained() and not motion.any()
    assert torch.allclose(shown, plate, atol=1e-5)
    assert torch.equal(scene.still(plate, identity(WIDTH, HEIGHT)), plate)


def test_a_motion_is_one_of_pixels_at_every_size_and_an_exposure_is_of_light():
    scene, plate = Scene(2, (WIDTH, HEIGHT), (WIDTH, HEIGHT)), tensor(texture())
    with torch.no_grad():
        scene.motion[0, 0], scene.motion[1, 0] = 2, -2
        scene.exposure[0], scene.exposure[1] = 0.1, -0.1
    shown, _ = scene(plate, identity(WIDTH, HEIGHT), torch.tensor([0]))
    expected = 1.1 * (plate.roll(-2, dims=3) + 1) - 1
    assert torch.allclose(shown[..., 4:-4], expected[..., 4:-4], atol=1e-4)
    large = tensor(texture(2 * WIDTH, 2 * HEIGHT))
    shown, _ = scene(large, identity(WIDTH, HEIGHT), torch.tensor([0]))
    expected = 1.1 * (large.roll(-4, dims=3) + 1) - 1
    assert torch.allclose(shown[..., 8:-8], expected[..., 8:-8], atol=1e-4)


def test_the_change_lies_on_the_canvas():
    scene, plate = Scene(1, (2 * WIDTH, HEIGHT), (WIDTH, HEIGHT)), torch.zeros(1, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        scene.change[..., WIDTH:] = 0.5
    right_half = identity(WIDTH, HEIGHT)
    right_half[:, 0] = (right_half[:, 0] + 1) / 2
    assert torch.allclose(scene.still(plate, right_half)[..., 1:], torch.tensor(0.5))
    left_half = right_half - torch.tensor([1.0, 0])[None, :, None, None]
    assert not scene.still(plate, left_half)[..., :-1].any()


def test_shaken_frames_are_explained_by_a_sharp_scene():
    """Frames of a scene that shakes and flickers, somebody before it: learning from their mean finds the scene."""
    truth = texture()
    shifts = RNG.uniform(-0.7, 0.7, (FRAMES, 2))
    shifts -= shifts.mean(axis=0)
    gains = RNG.normal(0, 0.02, FRAMES)
    gains -= gains.mean()
    frames = np.stack([(cv2.warpAffine(truth, np.array([[1, 0, x], [0, 1, y]]), (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC,
                                       borderMode=cv2.BORDER_REPLICATE) + 1) * (1 + gain) - 1
                       for (x, y), gain in zip(shifts, gains)]).astype(np.float32)
    seen = torch.ones(FRAMES, 1, HEIGHT, WIDTH)
    for k, frame in enumerate(frames):
        frame[10:30, 4 * k:4 * k + 12] = 1
        seen[k, :, 10:30, 4 * k:4 * k + 12] = 0
    blurred = frames.mean(axis=0)
    blurred[10:30] = truth[10:30]
    images, plate, place = tensor_of(frames), tensor(blurred), identity(WIDTH, HEIGHT)
    torch.manual_seed(0)
    scene = Scene(FRAMES, (WIDTH, HEIGHT), (WIDTH, HEIGHT))
    optimizer = torch.optim.Adam(scene.parameter_groups(), betas=(0.9, 0.99))
    for _ in range(40):
        for batch in torch.randperm(FRAMES).split(4):
            losses = scene_losses(*scene(plate.expand(4, -1, -1, -1), place.expand(4, -1, -1, -1), batch),
                                  images[batch], seen[batch])
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
    learned = scene.still(plate, place).detach()[0].movedim(0, 2).numpy()
    inside = (slice(3, -3), slice(3, -3))
    assert np.abs(learned - truth)[inside].mean() < 0.5 * np.abs(blurred - truth)[inside].mean()
    motion = (scene.motion - scene.motion.mean(dim=0)).detach()[..., 1:-1, 1:-1].mean(dim=(2, 3)).numpy()
    assert np.corrcoef(motion.ravel(), -shifts.ravel())[0, 1] > 0.95
    exposure = (scene.exposure - scene.exposure.mean()).detach().flatten().numpy()
    assert np.corrcoef(exposure, gains)[0, 1] > 0.9


def test_what_no_frame_sees_stays_as_it_is():
    """Interpolation reaches one pixel into it; nothing may grow there."""
    truth = tensor(texture())
    seen = torch.ones(1, 1, HEIGHT, WIDTH)
    seen[..., 10:30, 20:40] = 0
    plate = torch.where(seen > 0, truth, truth - 0.3)
    scene, place = Scene(2, (WIDTH, HEIGHT), (WIDTH, HEIGHT)), identity(WIDTH, HEIGHT)
    optimizer = torch.optim.Adam(scene.parameter_groups(), betas=(0.9, 0.99))
    for step in range(200):
        image = truth + 0.02 * torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(step))
        losses = scene_losses(*scene(plate, place, torch.tensor([step % 2])), image, seen)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert scene.change[..., 10:30, 20:40].abs().max() < 0.01


def tensor_of(frames):
    return torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())


def test_effects_are_measured_again_where_they_are_known_to_be():
    background = texture() / 2 + 0.5
    people, true, known = np.zeros((3, 2, HEIGHT, WIDTH), np.float32)
    people[0, 5:25, 10:20] = 1
    true[0, 25:35, 10:30], true[1, 25:35, 40:55] = 0.4, 0.3
    known[0, 25:35, 10:30], known[1, 25:35, 40:55] = 0.25, 0.45
    image = background * (1 - true.sum(axis=0))[..., None]
    image[5:25, 10:20] = 0.9
    image[43:47, 5:60] *= 0.7  # dark, but nobody's
    found = remeasured_effects(image, background, people, known)
    inner = np.zeros(true.shape, bool)
    inner[0, 28:33, 13:27], inner[1, 28:33, 43:52] = True, True
    assert np.abs(found - true)[inner].max() < 0.01
    assert found[:, 43:47].max() < 0.01
    assert (found[0, 24:26, 10:20] == known[0, 24:26, 10:20]).all()  # next to people
    assert found.max() <= 1 and found.min() >= 0


def test_effects_stay_as_they_are_known_where_all_around_them_stirs():
    background, people = texture() / 2 + 0.3, np.zeros((1, HEIGHT, WIDTH), np.float32)
    known = np.zeros_like(people)
    known[0, 10:30, 20:40] = 0.3
    image = np.roll(texture(), 9, axis=1) / 2 + 0.3
    found = remeasured_effects(image, background, people, known)
    assert np.abs(found - known).max() < 0.01


def test_light_is_measured_too():
    background, people = texture() / 2 + 0.3, np.zeros((1, HEIGHT, WIDTH), np.float32)
    true = np.zeros_like(people)
    true[0, 10:30, 20:40] = 0.3
    image = background * (1 - true[0, ..., None]) + true[0, ..., None]
    found = remeasured_effects(image, background, people, 0.5 * true)
    assert np.abs(found - true)[0, 13:27, 23:37].max() < 0.01


def test_known_mattes_explain_the_frame_they_were_made_of():
    background, image = tensor(texture()), tensor(texture())
    people, effects = torch.zeros(2, 1, 2, HEIGHT, WIDTH)
    people[0, 1, 5:20, 5:20], effects[0, 1, 20:30, 5:40] = 1, 0.5
    layers = layers_from_mattes(background, image, people, effects)
    assert layers.shape == (1, 2, 4, HEIGHT, WIDTH) and (layers[:, 0, 3] == 1).all()
    shown = composite_over(layers)[:, :3]
    assert torch.allclose(shown[..., 5:20, 5:20], image[..., 5:20, 5:20], atol=1e-6)
    assert torch.allclose(shown[..., 20:30, 5:40] + 1, (background[..., 20:30, 5:40] + 1) / 2, atol=1e-6)
    assert torch.equal(shown[..., 40:, :], background[..., 40:, :])


def test_who_is_hidden_keeps_the_colours_that_are_seen_of_him():
    image, people = torch.zeros(1, 3, HEIGHT, WIDTH), torch.zeros(1, 3, HEIGHT, WIDTH)
    image[:, 0, :, :30], image[:, 1, :, 30:] = 0.8, 0.4  # the one behind is red, the one in front green
    people[:, 1, 10:40, 10:45], people[:, 2, 5:45, 30:60] = 1, 1
    layers = layers_from_mattes(torch.zeros_like(image), image, people, torch.zeros_like(people))
    behind = layers[0, 1, :3, 10:40, 10:45]
    assert torch.allclose(behind[0], torch.tensor(0.8), atol=0.01) and behind[1].abs().max() < 0.01
    assert torch.allclose(layers[0, 2, :3, 5:45, 30:60], image[0, :, 5:45, 30:60], atol=1e-6)


def test_who_is_hidden_looks_as_other_frames_show_him_in_the_light_of_this_one():
    person = tensor(texture()) / 2
    image, people, in_front = person.clone(), torch.zeros(1, 3, HEIGHT, WIDTH), torch.zeros(1, 1, HEIGHT, WIDTH)
    people[:, 1, 5:40, 5:45], people[:, 2, 5:45, 30:60], in_front[..., 5:45, 30:60] = 1, 1, 1
    image = torch.where(in_front > 0, -0.9, image)
    hidden = torch.cat((person - 0.2, torch.ones_like(in_front)), dim=1)[:, None].repeat(1, 3, 1, 1, 1)
    layers = layers_from_mattes(torch.zeros_like(image), image, people, torch.zeros_like(people), hidden)
    behind = np.s_[..., 5:40, 5:45]
    assert torch.allclose(layers[:, 1, :3][behind], person[behind], atol=0.01)
    hidden[:, :, 3] = -1  # nothing known: as without
    unknown = layers_from_mattes(torch.zeros_like(image), image, people, torch.zeros_like(people), hidden)
    without = layers_from_mattes(torch.zeros_like(image), image, people, torch.zeros_like(people))
    assert torch.allclose(unknown, without, atol=1e-5)


@pytest.mark.parametrize("columns, follows", [(1, False), (8, True)])
def test_copies_are_made_as_bright_as_what_is_in_view_where_that_is_more_than_an_edge(columns, follows):
    """Somebody is behind another but for some columns, in which the frame is darker than the copy."""
    image, people = torch.full((1, 3, 16, 24), -0.4), torch.ones(1, 3, 16, 24)
    people[:, 2, :, :columns] = 0
    hidden = torch.zeros(1, 3, 4, 16, 24)
    hidden[:, 1, 3] = 1
    layers = layers_from_mattes(torch.zeros_like(image), image, people, torch.zeros_like(people), hidden)
    behind = layers[0, 1, :3, :, columns + 2:].mean()
    assert (behind < -0.35) if follows else (behind > -0.1)



@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (48, 64)])
def test_colours_go_on_where_they_are_not_known(shape):
    colours, known = torch.rand(2, 3, *shape), torch.zeros(2, 1, *shape)
    known[..., 0, 0] = 1
    filled = pull_push(colours, known)
    assert torch.equal(filled[..., 0, 0], colours[..., 0, 0])
    assert torch.allclose(filled, colours[..., :1, :1].expand_as(filled), atol=1e-5)
    assert torch.equal(pull_push(colours, torch.ones_like(known)), colours)
    assert not pull_push(colours, torch.zeros_like(known)).any()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = make_sample(tmp_path_factory.mktemp("scene") / "clip", frames=6, width=96, height=64)
    make_iuv(folder, "drawn")
    return folder


def test_the_phase_comes_first_and_a_budget_leaves_it_as_it_is(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--dataroot", str(clip), "--preset", "fast", "--num_filters", "4", "--gpu_ids", "-1"]
    opt = within_budget(resolved(TrainOptions().parse(
        [*arguments, "--n_epochs", "30000", "--n_epochs_coarse", "90000", "--budget", "30s"])))
    assert opt.n_epochs_background == 40 and 1 < opt.n_epochs < 30000
    assert abs(opt.n_epochs_coarse - 3 * opt.n_epochs) <= 2
    phases = LnrModel(opt).phases()
    assert [(phase.name, phase.brief) for phase in phases] == [
        ("background", True), ("coarse", False), ("layers", False)]
    assert phases[0].epochs == range(1, 41) and phases[1].epochs.start == 41
    hurried = within_budget(resolved(TrainOptions().parse(
        [*arguments, "--name", "hurried", "--n_epochs_background", "90000", "--budget", "10s"])))
    assert 1 < hurried.n_epochs_background < 90000


def test_there_is_nothing_to_learn_it_from_without_the_closed_form(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opt = resolved(TrainOptions().parse(["--dataroot", str(clip), "--n_epochs_background", "3", "--gpu_ids", "-1"]))
    with pytest.raises(UserError, match="--n_epochs_background: found 3 with --init random"):
        LnrModel(opt)


def test_the_background_is_at_rest_or_moves_as_in_the_frames(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opt = resolved(TrainOptions().parse(["--dataroot", str(clip), "--preset", "draft", "--num_filters", "4",
                                         "--gpu_ids", "-1"]))
    model, dataset = LnrModel(opt), create_dataset(opt)
    scene = model.guidance.scene
    with torch.no_grad():
        scene.motion[1::2], scene.exposure[::2] = 0.8, 0.02
    batch = default_collate([dataset[0], dataset[1]])
    resting = model.rendered(batch, upsample=False)["layers"][:, 0]
    assert torch.equal(resting[0], resting[1])
    model.guidance.moving_background = True
    moving = model.rendered(batch, upsample=False)["layers"][:, 0]
    shown, _ = scene(batch["plate"], batch["place"], batch["frame"])
    assert torch.equal(moving[:, :3], shown.clamp(-1, 1)) and (moving[0] - moving[1]).abs().mean() > 0.005


def test_a_motion_or_exposure_that_all_frames_share_is_none():
    """Else the scene itself could move, or become brighter."""
    scene, plate = Scene(2, (WIDTH, HEIGHT), (WIDTH, HEIGHT)), tensor(texture())
    with torch.no_grad():
        scene.motion += 3
        scene.exposure += 0.2
    shown, motion = scene(plate, identity(WIDTH, HEIGHT), torch.tensor([1]))
    assert motion.abs().max() < 1e-6 and torch.allclose(shown, plate, atol=1e-4)


def test_colours_go_on_from_as_few_known_pixels_as_there_are():
    """Of a square of which one pixel is known, the others are of its colour, not of their neighbours'."""
    colours, known = torch.zeros(1, 3, 2, 4), torch.zeros(1, 1, 2, 4)
    colours[..., 0, 3], known[..., 0, 0], known[..., 0, 3] = 1, 1, 1
    expected = torch.tensor([0, 0.25, 0.75, 1]).expand(1, 3, 2, 4)
    assert torch.allclose(pull_push(colours, known), expected, atol=1e-6)


def test_frames_that_are_not_in_the_batch_stay_where_they_are():
    """Many frames, few in a batch: dense Adam would move all of them by what is long past."""
    scene, place = Scene(30, (WIDTH, HEIGHT), (WIDTH, HEIGHT)), identity(WIDTH, HEIGHT)
    optimizer, plate = LazyAdam(scene.parameter_groups(), betas=(0.9, 0.99)), tensor(texture())
    seen = torch.ones(1, 1, HEIGHT, WIDTH)
    for frame in (3, 4):
        before = scene.motion.detach().clone()
        sum(scene_losses(*scene(plate, place, torch.tensor([frame])), plate.roll(1, dims=3), seen).values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        moved = (scene.motion != before).flatten(1).any(dim=1)
        assert moved[frame] and moved.sum() == 1


def test_a_row_that_is_always_seen_takes_the_steps_of_adam():
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4)) for _ in range(2))
    optimizers = LazyAdam([{"params": [ours], "lr": 0.1, "per_frame": True}]), torch.optim.Adam([theirs], lr=0.1)
    for step in range(5):
        for parameter, optimizer in zip((ours, theirs), optimizers):
            parameter.grad = (parameter.detach() - 0.3 * step) ** 3
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_what_was_learned_stays_only_where_it_is_better():
    truth = tensor(texture())
    scene, place = Scene(3, (WIDTH, HEIGHT), (WIDTH, HEIGHT)), identity(WIDTH, HEIGHT)
    plate = truth.clone()
    plate[..., :32] += 0.1
    with torch.no_grad():
        scene.change[..., :32] = -0.1
        scene.change[..., 48:] = 0.2
    trial, seen = Trial(scene), torch.ones(1, 1, HEIGHT, WIDTH)
    for frame in (torch.tensor([k]) for k in range(3)):
        shown, _ = scene(plate, place, frame)
        trial.add(shown, plate, truth, seen, place, frame)
    assert (trial.frames[0] == trial.frames[1]).all() and trial.frames[0].sum() > 0
    trial.frames = torch.tensor([[1.0, 2.0], [3.0, 2.0], [1.0, 2.0]])
    with torch.no_grad():
        scene.motion[1], scene.motion[2] = 2, 0.01
    scene.keep_what_is_better(trial)
    assert torch.allclose(scene.change[..., :16], torch.tensor(-0.1), atol=1e-4)
    assert not scene.change[..., 56:].any()
    assert not scene.motion[1].any() and scene.motion[2].any()
    trial.frames = 1 + trial.frames.flip(1)
    scene.keep_what_is_better(trial)
    assert scene.is_untrained() and not scene.change.any()
