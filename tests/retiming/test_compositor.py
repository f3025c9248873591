"""Retimed pictures against a straightforward computation from the true layers, for every operation."""

import json

import cv2
import numpy as np
import pytest

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from datasets import make_sample as sample
from datasets.make_sample import make_sample
from datasets.synthetic.scene import GROUND, View
from retiming.compositor import Compositor
from retiming.edit import edit_from_text
from retiming.uncovered import Uncovered
from util.errors import UserError
from util.images import read_image, write_png

LENGTH = 12
ENOUGH = 45  # dB


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    return Clip(make_sample(tmp_path_factory.mktemp("still") / "clip", frames=LENGTH, width=128, height=64, people=2))


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    return Clip(make_sample(tmp_path_factory.mktemp("moving") / "clip", frames=LENGTH, width=128, height=64, people=2,
                            camera="moving"))


@pytest.fixture(scope="module")
def walking(tmp_path_factory):
    return Clip(make_sample(tmp_path_factory.mktemp("walking") / "clip", frames=LENGTH, width=224, height=128, people=1,
                            camera="walk"))


class Clip:
    """A clip with known layers: the engine, and the truth computed in the plainest way."""

    def __init__(self, root):
        self.root, self.layers = root, LayerFolder.open(root / "gt")
        self.compositor = Compositor(self.layers, Dataroot.open(root))

    def rendered(self, values: dict, output: int) -> np.ndarray:
        edit = edit_from_text(json.dumps(values), "edit.json", self.compositor.facts, self.root)
        return self.compositor.frame(edit, output)

    def layer(self, number: int, frame: int) -> np.ndarray:
        """Premultiplied, float64, colours in [0, 255], alpha in [0, 1]; frames from 0."""
        pixels = self.layers.layer(number, frame).astype(float)
        pixels[..., 3] /= 255
        pixels[..., :3] *= pixels[..., 3:]
        return pixels

    def background(self, frame: int) -> np.ndarray:
        return self.layers.background(frame).astype(float)

    def order(self, frame: int) -> list[int]:
        return self.compositor.root.composite_order(frame, [1, 2])


def over(background: np.ndarray, *layers: np.ndarray) -> np.ndarray:
    for layer in layers:
        background = layer[..., :3] + background * (1 - layer[..., 3:])
    return background


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    return 10 * np.log10(255 ** 2 / max(np.mean((found.astype(float) - expected) ** 2), 1e-9))


def held(frame: float) -> int:
    return int(min(max(frame, 0), LENGTH - 1))


def test_the_empty_edit_gives_the_composite_to_one_level(still, moving):
    for clip in (still, moving):
        for frame in range(LENGTH):
            expected = over(clip.background(frame), *(clip.layer(n, frame) for n in clip.order(frame)))
            assert np.abs(clip.rendered({}, frame) - expected).max() <= 1


TIMES = {  # steps of layer 2, and the source frame from 0 that output frame n from 0 shows
    "offset": ([{"offset": 3}], lambda n: held(n - 3)),
    "freeze": ([{"freeze": [4, 8]}], lambda n: n if n <= 3 else 3 if n <= 7 else n - 4),
    "hold": ([{"hold": 6}], lambda n: 5),
    "speed": ([{"speed": 2}], lambda n: held(2 * n)),
    "changing speed": ([{"speed": [[1, 2], [4, 2], [5, 0]]}], lambda n: 2 * n if n <= 3 else 7),
    "reverse": ([{"reverse": True}], lambda n: LENGTH - 1 - n),
    "loop": ([{"loop": [3, 5]}], lambda n: n if n < 2 else 2 + (n - 2) % 3),
    "pingpong": ([{"pingpong": [3, 5]}], lambda n: [0, 1, 2, 3, 4, 3, 2, 3, 4, 3, 2, 3][n]),
    "align": ([{"align": [[8, 5]]}], lambda n: held(n - 3)),
    "mixed": ([{"freeze": [4, 6]}, {"offset": 2}, {"reverse": [1, 12]}],
              lambda n: [7, 6, 5, 4, 3, 3, 3, 2, 1, 0, 0, 0][n]),
}


@pytest.mark.parametrize("name", TIMES)
def test_every_time_step_gives_the_true_retimed_video(still, name):
    steps, source = TIMES[name]
    for n in range(0, LENGTH, 2):
        found = still.rendered({"layers": {"2": {"time": steps}}, "order": [1, 2]}, n)
        assert psnr(found, over(still.background(n), still.layer(1, n), still.layer(2, source(n)))) > ENOUGH


def test_people_are_aligned_at_one_output_frame(still):
    edit = {"layers": {"1": {"time": [{"align": [[6, 3]]}]}, "2": {"time": [{"align": [[6, 10]]}]}}, "order": [2, 1]}
    assert psnr(still.rendered(edit, 5), over(still.background(5), still.layer(2, 9), still.layer(1, 2))) > ENOUGH


def red(layer):
    grey = layer[..., :3] @ [0.2126, 0.7152, 0.0722]
    return np.dstack([grey, 0.5 * grey, 0 * grey, layer[..., 3]])


APPEARANCES = {  # keys of layer 2, and what becomes of its premultiplied picture
    "opacity": ({"opacity": [[1, 1], [9, 0]]}, lambda layer: layer * (1 - 5 / 8)),
    "colour": ({"saturation": 0, "tint": "#ff8000"}, red),
    "gain": ({"gain": 0.5}, lambda layer: layer * [0.5, 0.5, 0.5, 1]),
    "flip": ({"flip": "both"}, lambda layer: layer[::-1, ::-1]),
    "shift": ({"x": 0.125, "y": -0.25}, lambda layer: np.roll(np.pad(layer, ((0, 32), (0, 32), (0, 0))), (-32, 32),
                                                              (0, 1))[:-32, :-32]),
}


@pytest.mark.parametrize("name", APPEARANCES)
def test_every_appearance_gives_the_true_picture(still, name):
    keys, change = APPEARANCES[name]
    height, width = still.layer(2, 5).shape[:2]
    if name == "shift":
        keys = {"x": 32 / width, "y": -32 / height}
    found = still.rendered({"layers": {"2": keys}, "order": [1, 2]}, 5)
    assert psnr(found, over(still.background(5), still.layer(1, 5), change(still.layer(2, 5)))) > ENOUGH


def test_a_layer_of_half_size_keeps_its_anchor_and_its_mean(still):
    height, width = still.layers.size[::-1]
    found = still.rendered({"solo": [2], "layers": {"2": {"scale": 0.5, "anchor": [0, 1]}},
                            "background": {"replace": "transparent"}}, 5)
    small = cv2.resize(still.layer(2, 5), (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    expected = np.zeros((height, width, 4))
    expected[height - height // 2:, :width // 2] = small
    alpha = found[..., 3:] / 255
    assert psnr(found[..., :3] * alpha, expected[..., :3]) > 30
    assert found[..., 3].sum() / 255 == pytest.approx(expected[..., 3].sum(), rel=0.02)


def test_removed_layers_leave_the_background_and_copies_lie_behind(still):
    assert psnr(still.rendered({"remove": [1, 2]}, 5), still.background(5)) > ENOUGH
    twice = still.rendered({"solo": [2], "layers": {"2": [{"time": [{"offset": 4}]}, {}]}}, 6)
    assert psnr(twice, over(still.background(6), still.layer(2, 2), still.layer(2, 6))) > ENOUGH
    trail = still.rendered({"solo": [2], "layers": {"2": {"trail": {"copies": 3, "spacing": 3, "fade": 0.5}}}}, 7)
    assert psnr(trail, over(still.background(7), 0.25 * still.layer(2, 1), 0.5 * still.layer(2, 4),
                            still.layer(2, 7))) > ENOUGH


def test_blending_mixes_neighbours_premultiplied(still):
    edit = {"solo": [2], "layers": {"2": {"time": [{"offset": 0.25}], "interpolation": "blend"}}}
    expected = over(still.background(6), 0.25 * still.layer(2, 5) + 0.75 * still.layer(2, 6))
    assert psnr(still.rendered(edit, 6), expected) > ENOUGH


def test_the_effect_goes_and_the_person_stays(still):
    def shown(strength):
        found = still.rendered({"solo": [1], "layers": {"1": {"effects": strength}}, "background":
                                {"replace": "transparent"}}, 5)
        return found[..., 3] / 255
    person = read_image(still.root / "gt" / "person_01" / "0006.png", "L") / 255
    shadow = still.layer(1, 5)[..., 3] * (cv2.dilate((person > 0).astype(np.uint8), np.ones((15, 15))) == 0)
    assert shadow.sum() > 20
    assert (shown(0) * (shadow > 0)).sum() < 0.01 * shadow.sum()
    assert (shown(0.5) * (shadow > 0)).sum() == pytest.approx(0.5 * shadow.sum(), rel=0.02)
    assert (shown(2) * (shadow > 0)).sum() == pytest.approx(np.minimum(2 * shadow, 1).sum(), rel=0.02)
    for strength in (0, 0.5, 2):
        assert np.abs(shown(strength) - still.layer(1, 5)[..., 3])[person == 1].max() < 0.01


def test_effects_without_masks_and_uv_maps_are_refused(still, tmp_path):
    clip = Clip(make_sample(tmp_path / "clip", frames=1, width=64, height=64, people=1))
    (clip.root / "mask").rename(clip.root / "no_mask")
    with pytest.raises(UserError, match="effects of layer 1: neither mask/01 nor iuv/01 in .* tells where the person"):
        clip.rendered({"layers": {"1": {"effects": 0}}}, 0)


def seen_by(clip: Clip, number: int, source: int, camera: int) -> np.ndarray:
    """What one frame shows of a layer, as another frame's camera sees it: drawn so by what drew the clip."""
    view = View(2 * clip.layers.size[0], 2 * clip.layers.size[1])
    drawn = sample.SampleClip(view, LENGTH, sample.Content(camera="moving"))
    motion = drawn.homographies[camera] @ np.linalg.inv(drawn.homographies[source])
    drawn.homographies[source] = drawn.homographies[camera]
    in_view = cv2.warpPerspective(np.ones((view.height, view.width), np.float32), motion, (view.width, view.height))
    layer = drawn.shoot(number, source).layer * in_view[..., None]
    return cv2.resize(layer, clip.layers.size, interpolation=cv2.INTER_AREA).astype(float) * (255, 255, 255, 1)


def test_a_layer_of_another_time_stands_where_it_stood_in_the_scene(moving):
    edit = {"layers": {"2": {"time": [{"offset": 6}]}}, "order": [1, 2]}
    elsewhere = over(moving.background(11), moving.layer(1, 11), moving.layer(2, 5))
    expected = over(moving.background(11), moving.layer(1, 11), seen_by(moving, 2, 5, 11))
    found = moving.rendered(edit, 11)
    assert psnr(found, expected) > ENOUGH and psnr(found, elsewhere) < 30


def test_a_frozen_background_stops_the_camera(moving):
    found = moving.rendered({"background": {"time": [{"hold": 3}]}, "order": [1, 2]}, 9)
    people = [seen_by(moving, n, 9, 2) for n in (1, 2)]
    assert psnr(found, over(moving.background(2), *people)) > 40


def test_depth_is_that_of_the_source_frame_unless_the_edit_says_so(tmp_path):
    clip = Clip(make_sample(tmp_path / "clip", frames=4, width=64, height=64, people=2))
    metadata = json.loads((clip.root / "metadata.json").read_text())
    metadata["composite_order"] = [[1, 2], [1, 2], [2, 1], [2, 1]]
    (clip.root / "metadata.json").write_text(json.dumps(metadata))
    compositor = Compositor(clip.layers, Dataroot.open(clip.root))

    def order(values, output):
        edit = edit_from_text(json.dumps(values), "edit.json", compositor.facts, ".")
        return [draw.layer for draw in compositor.draws(edit, output)]

    late = {"others": {"time": [{"offset": 2}]}}
    assert [order({}, n) for n in (1, 2)] == [[1, 2], [2, 1]]
    assert order({"layers": late}, 3) == [1, 2]  # both show frame 2
    assert order({"layers": {"2": late["others"]}}, 3) == [2, 1]  # both in front in their own frames: as in the fourth
    assert order({"layers": late, "order": [2, 1]}, 3) == [2, 1]
    assert [order({"order": [[1, [2, 1]], [3, [1, 2]]]}, n) for n in range(4)] == [[2, 1], [2, 1], [1, 2], [1, 2]]


def test_a_background_is_replaced_by_colour_picture_or_nothing(still):
    height, width = still.background(0).shape[:2]
    write_png(still.root / "wide.png", np.broadcast_to(np.arange(2 * width, dtype=np.uint8)[:, None],
                                                       (height, 2 * width, 3)))
    people = [still.layer(n, 5) for n in still.order(5)]
    found = still.rendered({"background": {"replace": "#204060"}}, 5)
    assert psnr(found, over(np.full((height, width, 3), [0x20, 0x40, 0x60], float), *people)) > ENOUGH
    found = still.rendered({"background": {"replace": "wide.png"}}, 5)
    middle = read_image(still.root / "wide.png", "RGB")[:, width // 2:width // 2 + width].astype(float)
    assert psnr(found, over(middle, *people)) > ENOUGH
    found = still.rendered({"background": {"replace": "transparent"}}, 5)
    alpha = found[..., 3:] / 255
    for below in (0.0, 255.0):
        plain = np.full((height, width, 3), below)
        assert np.abs(over(plain, np.dstack([found[..., :3] * alpha, alpha])) - over(plain, *people)).max() <= 1.5


def test_what_nobody_ever_saw_is_warned_of(tmp_path):
    square = np.zeros((64, 64, 4), np.uint8)
    root = make_sample(tmp_path / "clip", frames=4, width=64, height=64, people=2)
    for frame in range(4):
        still_there, walks = square.copy(), square.copy()
        still_there[20:40, 20:40] = 255
        walks[20:40, 10 * frame:10 * frame + 12] = 255
        write_png(tmp_path / "layers" / "layer_01" / f"{frame + 1:04d}.png", still_there)
        write_png(tmp_path / "layers" / "layer_02" / f"{frame + 1:04d}.png", walks)
    write_png(tmp_path / "layers" / "bg.png", square[..., :3])
    compositor = Compositor(LayerFolder.open(tmp_path / "layers"), Dataroot.open(root))

    def warning(values):
        edit = edit_from_text(json.dumps(values), "edit.json", compositor.facts, ".")
        uncovered = Uncovered(compositor, edit)
        for output in range(edit.length):
            uncovered.note(output, 0, compositor.patches(edit, output))
        return uncovered.warning()

    assert warning({}) is None
    assert warning({"remove": [2]}) is None
    assert "behind person 1 is never seen: from output frame 1 on, 9.8% of the picture" in warning({"remove": [1]})
    assert "behind person 1 is never seen: from output frame 1 on, 9.8% of the picture" in warning({"remove": [1, 2]})
    assert "from output frame 3 on" in warning({"layers": {"1": {"opacity": [[2, 1], [3, 0]]}}})


def test_who_is_frozen_stays_at_his_place_before_a_camera_that_walks(walking):
    compositor, first, last = walking.compositor, 2, LENGTH - 1
    camera = sample.SampleClip(View(2 * 224, 2 * 128), LENGTH, sample.Content(camera="walk", people=1))
    foot = np.array(compositor.feet(1, first))
    ground = camera.motion(GROUND, last) @ np.linalg.inv(camera.motion(GROUND, first)) @ (*(2 * foot + 0.5), 1)
    expected = (ground[:2] / ground[2] - 0.5) / 2
    found, moved = (compositor.motion(1, first, last) @ (*foot, 1))[:2], np.linalg.norm(expected - foot)
    assert moved > 25 and np.linalg.norm(found - expected) < 0.08 * moved
    values = {"layers": {"1": {"time": [{"hold": first + 1}]}}, "background": {"replace": "transparent"}}
    frozen = cv2.warpAffine(walking.layers.layer(1, first)[..., 3], np.float32(
        [[1, 0, found[0] - foot[0]], [0, 1, found[1] - foot[1]]]), (224, 128))
    both = (frozen > 200) & (walking.rendered(values, last)[..., 3] > 200)
    assert both.sum() > 0.8 * (frozen > 200).sum() > 100
    assert np.array_equal(walking.rendered({"layers": {"1": {"time": [{"hold": first + 1}]}}}, first),
                          walking.rendered({}, first))


def test_a_moving_background_before_a_still_camera_moves_nobody(tmp_path):
    clip = Clip(make_sample(tmp_path / "clip", frames=LENGTH, width=128, height=64, people=1, sway=3))
    assert len({clip.compositor.background_file(frame) for frame in range(LENGTH)}) > 1
    assert clip.compositor.scene is None and clip.compositor.motion(1, 2, 7) is None
