"""IUV pictures and the texture atlas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.dataroot import read_homographies
from util.images import read_image
from vision.geometry.homography import Registration
from vision.people.iuv import box_iuv, decode_iuv, encode_iuv, is_body
from vision.people.texture_atlas import atlas_uv, background_uv

ORDER = [[1, 2], [2, 1]]
SIZE = (64, 96)


def layered_uv(golden, frame, registration):
    """uv_map [2L, H, W] and person ids [L, H, W] of a frame of the golden clip."""
    background = background_uv(*SIZE, registration, frame)
    maps, ids = [atlas_uv(0, *background, 0, 49)], [np.zeros(SIZE)]
    for layer in ORDER[frame]:
        part, u, v, person = decode_iuv(read_image(golden / f"clip/iuv/{layer:02d}/{frame + 1:04d}.png", "RGBA"), 2)
        maps.append(atlas_uv(part, *np.where(part > 0, [u, v], background), person, 49))
        ids.append(person)
    return np.concatenate(maps), np.stack(ids)


@pytest.mark.parametrize("name", ["plain", "homographies"])
def test_atlas_coordinates_are_the_published_ones(golden, name):
    registration = read_homographies(golden / "clip/homographies.txt") if name == "homographies" else None
    items = torch.load(golden / "dataset.pt", weights_only=True)[name]
    for frame, item in enumerate(items):
        uv_map, ids = layered_uv(golden, frame, registration)
        assert uv_map.dtype == np.float32
        assert np.abs(uv_map - item["uv_map"].numpy()).max() < 1e-5
        assert np.array_equal(ids, item["pids"].numpy())


@settings(deadline=None)
@given(part=arrays(np.uint8, (5, 7), elements=st.integers(0, 24)), levels=arrays(np.uint8, (2, 5, 7)),
       person=arrays(np.uint8, (5, 7), elements=st.integers(1, 254)))
def test_what_is_encoded_is_decoded(part, levels, person):
    u, v = levels.astype(np.float32) / 255
    found = decode_iuv(encode_iuv(part, u, v, person), 254)
    there = part > 0
    for array, expected in zip(found, (part, u, v, person)):
        assert np.array_equal(array[there], expected[there])
        assert not array[~there].any()


@settings(deadline=None)
@given(iuv=arrays(np.uint8, (6, 6, 4)), n_people=st.integers(1, 300))
def test_any_picture_decodes_within_range(iuv, n_people):
    part, u, v, person = decode_iuv(iuv, n_people)
    assert part.max() <= 24
    assert person.max() <= n_people
    assert not person[part == 0].any()
    assert min(u.min(), v.min()) >= 0 and max(u.max(), v.max()) <= 1


def test_parts_are_rounded_to_the_nearest_ten():
    iuv = np.zeros((1, 6, 4), np.uint8)
    iuv[0, :, 0] = 4, 6, 14, 16, 244, 255
    iuv[..., 3] = 254
    part, _, _, person = decode_iuv(iuv, 1)
    assert part.tolist() == [[0, 1, 1, 2, 24, 24]]
    assert person.tolist() == [[0, 1, 1, 1, 1, 1]]
    assert is_body(iuv).tolist() == (part > 0).tolist() == is_body(iuv[..., :3]).tolist()


def test_every_part_of_every_person_has_its_own_tile():
    part, person = np.meshgrid(np.arange(1, 25), np.arange(1, 4))
    middle = np.full(part.shape, 0.5)
    across = (atlas_uv(part, middle, middle, person, 73)[0] + 1) / 2 * 73
    tiles = np.floor(across)
    assert np.allclose(across - tiles, 0.5, atol=1e-4)
    assert sorted(tiles.ravel()) == list(range(1, 73))
    assert np.floor((atlas_uv(0, 0.5, 0.5, 0, 73)[0] + 1) / 2 * 73) == 0


def test_background_coordinates_include_both_ends():
    u, v = background_uv(5, 9)
    assert u[0].tolist() == pytest.approx(np.linspace(0, 1, 9))
    assert v[:, 0].tolist() == pytest.approx(np.linspace(0, 1, 5))


def test_a_background_point_keeps_its_coordinates_while_the_camera_pans():
    pan = np.array([[1, 0, -16.0], [0, 1, 0], [0, 0, 1]])  # the world moves 16 px to the left
    registration = Registration((128.0, 64.0), (0.0, 192.0, 0.0, 64.0), np.stack([np.eye(3), pan]))
    first, second = (background_uv(65, 129, registration, frame) for frame in (0, 1))
    assert np.allclose(first[:, :, 16:], second[:, :, :-16], atol=1e-6)


def test_a_place_outside_the_panorama_does_not_reach_into_a_body_tile():
    registration = Registration((128.0, 64.0), (30.0, 90.0, 20.0, 50.0), np.eye(3)[None])
    uv = background_uv(33, 65, registration)
    assert uv.min() == 0 and uv.max() == 1


def test_a_thing_without_a_body_is_laid_over_one_tile_from_corner_to_corner():
    mask = np.zeros((8, 16), bool)
    mask[1:6, 2:13] = True
    mask[3, 5] = False
    box = box_iuv(mask, 9)
    assert np.array_equal(is_body(box), mask)
    u, v = 255 * np.arange(11) / 10, 255 * np.arange(5) / 4
    assert np.abs(box[1, 2:13, 1] - u).max() <= 1 and np.abs(box[1:6, 2, 2] - v).max() <= 1
    assert box[5, 12].tolist() == [20, 255, 255, 246]
    mask = np.zeros((4, 4), bool)
    mask[2, 3] = True
    assert box_iuv(mask, 1)[2, 3].tolist() == [20, 0, 0, 254]
