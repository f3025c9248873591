"""Bad dataroots: every problem is named by file, with what was expected."""

import json
import shutil
from argparse import Namespace

import numpy as np
import pytest
from PIL import Image

from data.dataroot import Dataroot, list_images, read_homographies, read_metadata
from data.layered_video_dataset import LayeredVideoDataset
from util.errors import UserError
from util.images import write_png


@pytest.fixture
def clip(golden, tmp_path):
    shutil.copytree(golden / "clip", tmp_path / "clip")
    return tmp_path / "clip"


def change_metadata(clip, **changes):
    path = clip / "metadata.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def load(clip, **options):
    opt = Namespace(dataroot=clip, do_upsampling=True, init="random", use_homographies=True, use_mask_images=True,
                    trimap_width=20, max_dataset_size=float("inf"))
    vars(opt).update(options)
    vars(opt).update(LayeredVideoDataset.resolve_options(opt))
    dataset = LayeredVideoDataset(opt)
    dataset.preload()
    return dataset


def assert_refused(clip, *parts, **options):
    with pytest.raises(UserError) as error:
        load(clip, **options)
    for part in parts:
        assert part in str(error.value), str(error.value)
    return str(error.value)


def test_a_whole_clip_is_taken(clip):
    assert len(load(clip)) == 2


def test_a_layer_has_a_name_where_all_of_its_people_have_one(clip):
    change_metadata(clip, people_names={"1": "Anna"})
    assert load(clip).names == {1: "Anna"}
    change_metadata(clip, people_layers=[[2, 1], [3]], people_names={"1": "Anna", "2": "Bo"}, n_textures=73)
    assert Dataroot.open(clip).layer_names([1, 2]) == {1: "Bo, Anna"}


@pytest.mark.parametrize("folder", ["rgb_256", "rgb_512", "iuv", "mask/02"])
def test_a_missing_folder_is_named(clip, folder):
    shutil.rmtree(clip / folder)
    assert_refused(clip, f"{clip / folder}: no such folder")


@pytest.mark.parametrize("folder", ["rgb_512", "iuv/01", "iuv/02", "mask/02"])
def test_a_frame_that_is_missing_is_named(clip, folder):
    (clip / folder / "0002.png").unlink()
    assert_refused(clip, f"{clip / folder}: 1 of 2 frames missing, the first is 0002")


def test_a_frame_too_many_is_named(clip):
    shutil.copy(clip / "iuv/01/0001.png", clip / "iuv/01/0003.png")
    assert_refused(clip, f"{clip / 'iuv/01'}: 0003.png has no frame in rgb_256")


def test_names_that_do_not_match_are_named_on_both_sides(clip):
    (clip / "rgb_512/0002.png").rename(clip / "rgb_512/2.png")
    assert_refused(clip, "the first is 0002", "2.png has no frame")


@pytest.mark.parametrize("file", ["rgb_256/0001.png", "rgb_512/0001.png", "iuv/02/0002.png", "mask/01/0001.png"])
@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_a_broken_image_is_named(clip, file, damage):
    path = clip / file
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:len(content) // 2], "text": b"not an image", "empty": b""}[damage])
    do_upsampling = not file.startswith("rgb_256")
    assert_refused(clip, f"{path}: not a readable image", do_upsampling=do_upsampling)


@pytest.mark.parametrize("file, size, expected", [
    ("rgb_256/0002.png", (96, 48), "96x64"), ("rgb_512/0001.png", (96, 64), "192x128"),
    ("iuv/01/0001.png", (192, 128), "96x64")])
def test_a_wrong_size_is_told_with_the_right_one(clip, file, size, expected):
    mode = "RGBA" if "iuv" in file else "RGB"
    Image.new(mode, size).save(clip / file)
    assert_refused(clip, f"{clip / file}: {size[0]}x{size[1]} pixels; expected {expected}")


def test_masks_of_another_size_are_resized(clip):
    for layer in ("01", "02"):
        for frame in ("0001", "0002"):
            write_png(clip / "mask" / layer / f"{frame}.png", np.full((30, 45), 255, np.uint8))
    assert (load(clip)[0]["mask"][1:] == 1).all()


def test_a_uv_map_without_person_ids_is_refused(clip):
    Image.open(clip / "iuv/01/0001.png").convert("RGB").save(clip / "iuv/01/0001.png")
    assert_refused(clip, f"{clip / 'iuv/01/0001.png'}: an image of mode RGB; expected RGBA")


def test_too_few_textures_for_the_people_are_told_with_the_right_number(clip):
    change_metadata(clip, n_textures=25)
    assert_refused(clip, "shows person 2; n_textures 25", "Set n_textures to 49")


def test_all_problems_are_told_at_once(clip):
    (clip / "iuv/01/0001.png").unlink()
    Image.new("RGBA", (8, 8)).save(clip / "iuv/02/0001.png")
    Image.new("RGB", (8, 8)).save(clip / "rgb_512/0002.png")
    message = assert_refused(clip, "iuv/01", "iuv/02/0001.png", "rgb_512/0002.png")
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize("changes, message", [
    ({"size_LR": None}, "size_LR missing"),
    ({"n_textures": 48}, "n_textures is 48; expected 24 x people + 1"),
    ({"n_textures": "49"}, 'n_textures is "49"'),
    ({"size_LR": [96]}, "size_LR is [96]; expected [width, height]"),
    ({"size_LR": [90, 64]}, "the nearest is [96, 64]"),
    ({"size_LR": [32, 64]}, "the nearest is [64, 64]"),
    ({"size_LR": [96.0, 64]}, "size_LR is [96.0, 64]"),
    ({"alphapose_input_size": [True, 64]}, "alphapose_input_size is [true, 64]"),
    ({"composite_order": [[1, 2]]}, "composite_order has 1 entries; rgb_256 has 2 frames"),
    ({"composite_order": [[1, 2], [1, 3]]},
     "composite_order of frame 0002 is [1, 3]; expected each of the layers [1, 2]"),
    ({"composite_order": [[1, 2], [2]]}, "composite_order of frame 0002 is [2]"),
    ({"composite_order": [[1, 1], [2, 1]]}, "composite_order of frame 0001 is [1, 1]"),
    ({"composite_order": "12"}, 'composite_order is "12"'),
    ({"people_layers": [[1, 2]]}, "people_layers of metadata.json lists 1 layers"),
    ({"people_layers": [[1], [3]]}, "person ids up to 2"),
    ({"people_layers": [[1], [1]]}, "each person in one layer only"),
    ({"people_layers": [[], [1]]}, "people_layers is [[], [1]]"),
    ({"frame_rate": "fast"}, 'frame_rate is "fast"'),
    ({"frame_rate": "25/0"}, 'frame_rate is "25/0"'),
    ({"frame_rate": "1e999999999"}, 'frame_rate is "1e999999999"'),
    ({"n_textures": 24 * 255 + 1}, "n_textures is 6121; expected 24 x people + 1: 25, 49, 73, ... up to 6097"),
    ({"n_textures": 24 * 10**15 + 1}, "n_textures is 24000000000000001"),
    ({"original_size": [1000000, 1]}, "original_size is [1000000, 1]; expected [width, height] in pixels, up to 32768"),
    ({"original_size": [10**400, 1]}, "original_size is [1000"),
    ({"original_size": [21, 1]}, "one not more than 20 times the other"),
])
def test_a_wrong_value_in_metadata_is_told_with_what_is_expected(clip, changes, message):
    change_metadata(clip, **changes)
    assert_refused(clip, message)


@pytest.mark.parametrize("text, message", [
    ("{", "not readable as JSON"), ("[]", "holds a list"), ("", "not readable as JSON"), ("\xff", "not readable"),
    ("[" * 100_000, "not readable as JSON")])
def test_broken_metadata_is_told(clip, text, message):
    (clip / "metadata.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=message):
        read_metadata(clip / "metadata.json")


def test_a_missing_dataroot_and_an_empty_one_are_told(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        Dataroot.open(tmp_path / "nothing")
    with pytest.raises(UserError, match="metadata.json: no such file"):
        Dataroot.open(tmp_path)


GOOD = ["size: 256 128", "bounds: 0 256 0 128", "1 0 0 0 1 0 0 0 1", "1 0 3 0 1 0 0 0 1"]


@pytest.mark.parametrize("index, line, message", [
    (0, "256 128", "line 1: found '256 128'; expected size: 2 numbers"),
    (0, "size: 256", "line 1"), (0, "size: 0 128", "positive size"),
    (1, "bounds: 1 0 0 1", "xmin < xmax"), (1, "bounds: 0 nan 0 1", "line 2"),
    (3, "1 0 0 0 1 0 0 0", "line 4: found '1 0 0 0 1 0 0 0'; expected 9 numbers"),
    (3, "1 0 0 0 one 0 0 0 1", "line 4"), (3, "0 0 0 0 0 0 0 0 0", "line 4: the matrix is singular"),
    (3, "1 0 0 2 0 0 0 0 1", "line 4: the matrix is singular"), (3, "inf 0 0 0 1 0 0 0 1", "line 4"),
])
def test_a_wrong_line_of_homographies_is_named(clip, index, line, message):
    lines = list(GOOD)
    lines[index] = line
    (clip / "homographies.txt").write_text("\n".join(lines))
    with pytest.raises(UserError) as error:
        read_homographies(clip / "homographies.txt")
    assert message in str(error.value)


def test_too_few_homographies_are_told(clip):
    (clip / "homographies.txt").write_text("\n".join(GOOD[:3]))
    assert_refused(clip, "homographies.txt: 1 matrices; rgb_256 has 2 frames")


def test_homographies_count_only_where_they_are_used(clip):
    (clip / "homographies.txt").unlink()
    assert_refused(clip, "homographies.txt: no such file; leave --use_homographies out")
    assert len(load(clip, use_homographies=False)) == 2


@pytest.mark.parametrize("size", ["1e-300 64", "96 1e9"])
def test_a_size_of_homographies_that_no_picture_has_is_refused(clip, size):
    lines = (clip / "homographies.txt").read_text().splitlines()
    (clip / "homographies.txt").write_text("\n".join([f"size: {size}", *lines[1:]]))
    with pytest.raises(UserError, match="homographies.txt: size .*; expected a positive size"):
        read_homographies(clip / "homographies.txt")


@pytest.mark.parametrize("name", ["../precious.wav", "/etc/passwd", "sub/a.wav", "..", ""])
def test_sound_is_taken_from_the_folder_itself_alone(clip, name):
    (clip.parent / "precious.wav").write_bytes(b"x")
    (clip / "sub").mkdir()
    (clip / "sub/a.wav").write_bytes(b"x")
    change_metadata(clip, audio=name)
    with pytest.raises(UserError, match="expected the name of a file in"):
        read_metadata(clip / "metadata.json")


@pytest.mark.parametrize("bounds", ["0 0 0 9", "9 0 0 9", "0 9 5 5", "0 9 9 5"])
def test_bounds_of_homographies_have_a_width_and_a_height(clip, bounds):
    lines = (clip / "homographies.txt").read_text().splitlines()
    (clip / "homographies.txt").write_text("\n".join([lines[0], f"bounds: {bounds}", *lines[2:]]))
    with pytest.raises(UserError, match="expected a positive size, xmin < xmax, ymin < ymax"):
        read_homographies(clip / "homographies.txt")


def test_hidden_companions_of_pictures_are_skipped_and_other_endings_named(tmp_path):
    write_png(tmp_path / "0001.png", np.zeros((4, 4, 3), np.uint8))
    for name in ("._0001.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    assert list(list_images(tmp_path)) == ["0001"]
    (tmp_path / "0001.png").rename(tmp_path / "0001.tif")
    with pytest.raises(UserError, match=r"no images of these endings \(found: \.db, \.tif\); expected 0001\.png"):
        list_images(tmp_path)


def test_files_that_an_editor_marked_as_utf_8_are_read(clip):
    for name, read in (("metadata.json", read_metadata), ("homographies.txt", read_homographies)):
        path = clip / name
        if name == "homographies.txt":
            path.write_text("size: 4 4\nbounds: 0 4 0 4\n1 0 0 0 1 0 0 0 1\n", encoding="utf-8")
        expected = repr(read(path))
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert repr(read(path)) == expected
