"""Masks as tools write them: each form gives the person, and what no rule decides is refused with the remedy."""

import json
from argparse import Namespace
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from data.masks import read_mask
from preparation import masks
from preparation.steps import perform, write_values
from util.errors import UserError
from util.images import read_image, write_png
from vision.people.run_lengths import mask_of_polygons, mask_of_runs, runs_of

FRAMES, WIDTH, HEIGHT = 6, 96, 64
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
"""The first colours of the palette of Pascal VOC, DAVIS and SAM 2: black, dark red, dark green, olive."""


def where(frame, person):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:40, 5 + 8 * frame:25 + 8 * frame] = True
    if person == 1:
        return mask
    other = mask[::-1, ::-1] & ~mask
    other[:26] = False
    return other


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    for frame in range(FRAMES):
        write_png(root / "rgb" / f"{frame + 1:04d}.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    write_values(root / "metadata.json", {"size_LR": [WIDTH, HEIGHT], "frame_rate": "8/1",
                                          "source": {"frames": list(range(FRAMES)), "first_second": 0}})
    return root


@pytest.fixture
def prepare(root):
    return lambda path: perform(masks.STEP, root, Namespace(masks=path))[0]


def assert_made(root, people=(1, 2), tolerance=0.0):
    assert sorted(path.name for path in (root / "mask").iterdir()) == [f"{person:02d}" for person in people]
    for person in people:
        for frame in range(FRAMES):
            made = read_image(root / f"mask/{person:02d}/{frame + 1:04d}.png", "L") > 127
            assert (made ^ where(frame, person)).mean() <= tolerance


def palette(level):
    picture = Image.fromarray(level.astype(np.uint8))
    picture.putpalette(VOC + [0] * (768 - len(VOC)))
    return picture


def cut_out(mask):
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 4), np.uint8)
    pixels[..., 3] = 255 * mask
    return Image.fromarray(pixels)


def soft16(mask):
    ramp = np.linspace(0, 0.3, WIDTH)
    return Image.fromarray((65535 * np.maximum(mask, ramp)).astype(np.uint16))


ONE = {
    "palette": palette, "two levels": lambda mask: Image.fromarray(mask.astype(np.uint8)),
    "two levels of 16 bits": lambda mask: Image.fromarray(mask.astype(np.uint16)),
    "one bit": Image.fromarray, "8 bits": lambda mask: Image.fromarray(255 * mask.astype(np.uint8)), "16 bits": soft16,
    "dark and darker": lambda mask: Image.fromarray(np.where(mask, np.uint8(90), np.uint8(20))),
    "alpha of white": lambda mask: Image.fromarray(np.uint8([(255, 255, 255, 0), (255, 255, 255, 255)])[1 * mask]),
    "alpha of a cut-out": cut_out,
    "grey with alpha": lambda mask: Image.fromarray(np.dstack([~mask * 255, mask * 255]).astype(np.uint8), "LA"),
    "one colour on black": lambda mask: Image.fromarray(mask[..., None] * np.uint8([250, 50, 83])),
    "a palette without colours, white first": lambda mask: _grey_palette(~mask),
}


def _grey_palette(index):
    picture = Image.fromarray(index.astype(np.uint8))
    picture.putpalette([255, 255, 255, 0, 0, 0])
    return picture


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.mark.parametrize("form", ONE)
def test_masks_of_any_form_in_a_folder_for_each(root, prepare, tmp_path, form):
    for frame in range(FRAMES):
        for person in (1, 2):
            save(tmp_path / f"in/{person:03d}/{frame:05d}.png", ONE[form](where(frame, person)))
    assert "a folder for each: 001, 002" in prepare(tmp_path / "in").summary
    assert_made(root)


@pytest.mark.parametrize("form", ONE)
def test_a_mask_made_by_hand_is_read_alike(tmp_path, form):
    for frame in range(FRAMES):
        save(tmp_path / f"mask/01/{frame:04d}.png", ONE[form](where(frame, 1)))
    for frame in range(FRAMES):
        assert np.array_equal(read_mask(tmp_path / f"mask/01/{frame:04d}.png"), where(frame, 1))


def test_soft_edges_of_16_bits_become_levels_of_8(root, prepare, tmp_path):
    for frame in range(FRAMES):
        save(tmp_path / f"in/{frame:04d}.png", soft16(where(frame, 1)))
    prepare(tmp_path / "in")
    made = read_image(root / "mask/01/0001.png", "L")
    assert made[0, -1] == round(0.3 * 255) and made.max() == 255


INDEXED = {
    "palette": palette, "levels": lambda index: Image.fromarray(index.astype(np.uint8)),
    "MOTS, 16 bits": lambda index: Image.fromarray(np.where(index, 2000 + index, 0).astype(np.uint16)),
    "colours": lambda index: Image.fromarray(np.uint8([(0, 0, 0), (250, 50, 83), (51, 221, 255)])[index]),
    "colours with alpha": lambda index: Image.fromarray(
        np.uint8([(9, 9, 9, 0), (250, 50, 83, 255), (51, 221, 255, 255)])[index]),
}


@pytest.mark.parametrize("tree", ["", "Annotations/480p/clip", "SegmentationObject"])
@pytest.mark.parametrize("form", INDEXED)
def test_index_pictures_of_any_form_and_in_the_trees_of_benchmarks(root, prepare, tmp_path, form, tree):
    for frame in range(FRAMES):
        index = where(frame, 1) + 2 * where(frame, 2)
        save(tmp_path / "in" / tree / f"{frame:05d}.png", INDEXED[form](index))
        if tree == "SegmentationObject":
            save(tmp_path / f"in/SegmentationClass/{frame:05d}.png", INDEXED[form](1 * (index > 0)))
            (tmp_path / "in/ImageSets").mkdir(exist_ok=True)
    assert "index pictures with" in prepare(tmp_path / "in").summary
    assert_made(root)


def test_a_palette_that_is_another_in_each_picture_is_read_by_its_colours(root, prepare, tmp_path):
    for frame in range(FRAMES):
        index = (where(frame, 1) + 2 * where(frame, 2)).astype(np.uint8)
        colours = np.uint8([(0, 0, 0), (200, 0, 0), (0, 0, 200)])
        order = [0, 2, 1] if frame % 2 else [0, 1, 2]
        picture = Image.fromarray(np.uint8(np.argsort(order))[index])
        picture.putpalette(colours[order].ravel().tolist())
        save(tmp_path / f"in/{frame:04d}.png", picture)
    prepare(tmp_path / "in")
    assert_made(root)


def test_masks_of_label_studio_lie_in_one_folder(root, prepare, tmp_path):
    for frame in range(FRAMES):
        for person, label in ((1, "Anna"), (2, "Bert")):
            save(tmp_path / f"in/task-{7 + frame}-annotation-{frame + 37}-by-1-tag-{label}-0.png",
                 Image.fromarray(255 * where(frame, person).astype(np.uint8)))
    assert "Label Studio's masks of Anna-0, Bert-0" in prepare(tmp_path / "in").summary
    assert_made(root)


@pytest.mark.parametrize("content, found", [
    ({"0001.png": Image.fromarray(np.tile(np.uint8(range(60)), (64, 1)))}, "the brightest of 60 levels is 59 of 255"),
    ({f"{n}/0001.png": Image.fromarray(np.arange(64 * 96 * 3, dtype=np.uint8).reshape(64, 96, 3)) for n in (1, 2)},
     "0001.png: a colour picture; expected a mask of one person"),
    ({"01/0001.png": palette(np.tile(np.arange(96) % 3, (64, 1))), "02/0001.png": palette(np.zeros((64, 96)))},
     "01: index pictures with 1, 2; expected one person or thing in a folder"),
    ({"0001.png": Image.fromarray(np.tile(np.uint8([1, 2, 3]), (64, 32)))}, "levels 1, 2, 3 and no 0 anywhere"),
    ({"a/0001.png": Image.fromarray(np.eye(96, 64) > 0), "b/0001.png": Image.fromarray(np.eye(96, 64) > 0)},
     "masks of 64x96 pixels; expected the form of the frames, 96x64; they lie on their side"),
    ({"anna_0.png": Image.fromarray(where(0, 1)), "bert_0.png": Image.fromarray(where(0, 2)),
      "anna_1.png": Image.fromarray(where(1, 1))}, "have the same number; expected one mask for each frame"),
])
def test_what_cannot_be_told_is_refused_with_the_remedy(root, prepare, tmp_path, content, found):
    for name, picture in content.items():
        save(tmp_path / "in" / name, picture)
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "in")
    assert found in str(error.value) and "\n" not in str(error.value) and not (root / "mask").exists()


@pytest.mark.parametrize("key", ["original_size", "stored_size"])
def test_masks_may_have_the_pixels_of_the_video_as_displayed_or_as_stored(root, prepare, tmp_path, key):
    other = [2 * WIDTH, HEIGHT]
    write_values(root / "metadata.json", {"original_size": other} if key == "original_size" else {
        "original_size": [WIDTH, HEIGHT], "source": {"frames": list(range(FRAMES)), "stored_size": other}})
    for frame in range(FRAMES):
        save(tmp_path / f"in/{frame:04d}.png", Image.fromarray(where(frame, 1)).resize(tuple(other)))
    prepare(tmp_path / "in")
    assert_made(root, people=(1,))


def video(path, pictures, rate=8, codec="ffv1", pixels="gray"):
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), width=WIDTH, height=HEIGHT, pix_fmt=pixels)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else
                                               "rgba" if picture.shape[2] == 4 else "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("codec, pixels, ending", [("prores_ks", "yuva444p10le", "mov"), ("png", "rgba", "mov"),
                                                   ("libvpx-vp9", "yuva420p", "webm")])
def test_the_alpha_of_a_video_is_the_matte(root, prepare, tmp_path, codec, pixels, ending):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = tmp_path / f"in/matte.{ending}"
    video(path, [np.dstack([np.full((HEIGHT, WIDTH, 3), 128), 255 * where(frame, 1)]).astype(np.uint8)
                 for frame in range(FRAMES)], codec=codec, pixels=pixels)
    assert "by its alpha" in prepare(path).summary
    assert_made(root, people=(1,), tolerance=0.02)


@pytest.mark.parametrize("rate, count", [(16, 12), (4, 3), (12, 9)])
def test_a_matte_of_another_rate_is_matched_by_time(root, prepare, tmp_path, rate, count):
    video(tmp_path / "in/matte.mkv", [255 * where(index * 8 // rate, 1).astype(np.uint8) for index in range(count)],
          rate)
    assert f"{rate} frames per second matched by time with the clip's 8" in prepare(tmp_path / "in/matte.mkv").summary
    for frame in range(FRAMES):
        made = read_image(root / f"mask/01/{frame + 1:04d}.png", "L") > 127
        times = np.arange(count) / rate
        index = np.abs(times - frame / 8).argmin()
        assert (made ^ where(index * 8 // rate, 1)).mean() < 0.01 or rate == 12


def test_a_matte_of_two_levels_is_understood(root, prepare, tmp_path):
    video(tmp_path / "in/matte.mkv", [where(frame, 1).astype(np.uint8) for frame in range(FRAMES)])
    prepare(tmp_path / "in/matte.mkv")
    assert_made(root, people=(1,))


@pytest.mark.parametrize("pictures, found", [
    ([np.full((HEIGHT, WIDTH), 255, np.uint8)] * 4, "4 frames, 0.50 s at 8 per second; expected one for each of the 6"),
    ([np.tile(np.uint8([0, 200, 0]), (HEIGHT, WIDTH, 1))] * FRAMES, "a colour video (100% of it is coloured)"),
    ([np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))] * FRAMES, "its brightest level is 95 of 255"),
])
def test_a_video_that_is_no_matte_of_this_clip_is_refused(prepare, tmp_path, pictures, found):
    video(tmp_path / "in/matte.mkv", pictures, codec="ffv1" if pictures[0].ndim == 2 else "libx264",
          pixels="gray" if pictures[0].ndim == 2 else "yuv420p")
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "in/matte.mkv")
    assert found in str(error.value) and "\n" not in str(error.value)


def runs(mask):
    flat = np.concatenate([[False], mask.T.ravel(), [not mask[-1, -1]]])
    return np.diff(np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1])])).tolist()


def compressed(counts):
    """COCO's text, by its description: groups of five bits, differences from the fourth number on."""
    text = ""
    for index, count in enumerate(counts):
        value = count - (counts[index - 2] if index > 2 else 0)
        while True:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
            if not more:
                break
    return text


def test_run_lengths_go_down_the_columns():
    mask = np.zeros((3, 4), bool)
    mask[1:, 1] = True
    assert runs(mask) == [4, 2, 6] and np.array_equal(mask_of_runs([4, 2, 6], (3, 4)), mask)
    # pycocotools.mask.encode of this mask gives this text
    assert compressed([4, 2, 6]) == "426" and runs_of("426") == [4, 2, 6]
    for frame in range(FRAMES):
        counts = runs(where(frame, 1))
        assert runs_of(compressed(counts)) == counts
        assert np.array_equal(mask_of_runs(compressed(counts), (HEIGHT, WIDTH)), where(frame, 1))
    with pytest.raises(ValueError, match="run lengths of 3 pixels for 4x3"):
        mask_of_runs([1, 2], (3, 4))


def polygon(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    return [[float(x) for x in (left, top, right, top, right, bottom, left, bottom)]]


def test_a_polygon_covers_the_pixels_within():
    assert (mask_of_polygons(polygon(where(2, 1)), (HEIGHT, WIDTH)) ^ where(2, 1)).mean() < 0.03


@pytest.mark.parametrize("how", ["runs", "text", "polygon"])
@pytest.mark.parametrize("track", ["track_id", "attributes"])
def test_coco_annotations(root, prepare, tmp_path, how, track):
    images, annotations = [], []
    for frame in range(FRAMES):
        images.append({"id": 50 + frame, "file_name": f"x/{frame + 1:04d}.jpg", "width": WIDTH, "height": HEIGHT})
        for person in (2, 1):
            mask = where(frame, person)
            counts = runs(mask) if how == "runs" else compressed(runs(mask))
            part = polygon(mask) if how == "polygon" else {"size": [HEIGHT, WIDTH], "counts": counts}
            annotations.append({"id": len(annotations), "image_id": 50 + frame, "segmentation": part,
                                **({track: person} if track == "track_id" else {track: {"track_id": person}})})
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    assert "COCO annotations, frames matched by name" in prepare(tmp_path / "a.json").summary
    assert_made(root, tolerance=0.05 if how == "polygon" else 0)


def test_youtube_vis_and_sa_v(root, prepare, tmp_path):
    def part(frame, person):
        return {"size": [HEIGHT, WIDTH], "counts": compressed(runs(where(frame, person)))}
    (tmp_path / "y.json").write_text(json.dumps({
        "videos": [{"id": 1, "width": WIDTH, "height": HEIGHT,
                    "file_names": [f"c/{f:05d}.jpg" for f in range(FRAMES)]}],
        "annotations": [{"id": person, "video_id": 1, "segmentations": [part(f, person) for f in range(FRAMES)]}
                        for person in (1, 2)]}))
    assert "YouTube-VIS annotations" in prepare(tmp_path / "y.json").summary
    assert_made(root)
    (tmp_path / "s.json").write_text(json.dumps({"masklet_type": "auto", "masklet": [
        [part(frame, 1), part(frame, 2)] for frame in range(FRAMES)]}))
    assert "SA-V's masklets" in prepare(tmp_path / "s.json").summary
    assert_made(root)


@pytest.mark.parametrize("content, found", [
    ({"a": 1}, "a JSON file without masks"), ([1], "a JSON file without masks"),
    ({"images": [{"id": 1, "file_name": "0001.png"}], "annotations": []}, "no segmentation in any frame"),
    ({"images": [{"id": 1, "file_name": "0001.png"}], "annotations": [
        {"image_id": 1, "segmentation": {"size": [1, 1], "counts": [0, 1]}}] * 2}, "a segmentation without track_id"),
    ({"images": [{"id": 1, "file_name": "0001.png"}], "annotations": [{"segmentation": [1]}]}, "not of its form"),
    ({"images": [{"id": 1, "file_name": "0001.png", "height": 4, "width": 4}], "annotations": [
        {"image_id": 1, "segmentation": {"size": [4, 4], "counts": [3]}}]}, "run lengths of 3 pixels for 4x4"),
])
def test_json_without_masks_that_can_be_used_is_refused_in_one_line(prepare, tmp_path, content, found):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "a.json")
    assert found in str(error.value) and "\n" not in str(error.value)
