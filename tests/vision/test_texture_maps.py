import numpy as np
import pytest
import torch

from tests.golden_actor import GOLDEN, body, camera, figures, frame
from util.images import read_image
from vision.geometry import raster as raster_module
from vision.geometry.raster import projected, rasterised
from vision.geometry.rays import pixel_rays
from vision.people.texture_maps import (
    Photograph,
    baked_texture,
    continued,
    looked_up,
    normal_map,
    texel_sizes,
    uv_raster,
    visible_faces,
)


def psnr(found, expected):
    return -10 * np.log10(np.square(found.astype(float) - expected).mean() / 255**2)


def test_texels_are_where_published():
    found = figures("maps.pt")
    ours, interior = uv_raster(body().face_uv.numpy(), found["resolution"]), found["interior"].numpy()
    covered = ours.face >= 0
    assert (covered != found["covered"].numpy()).mean() < 1e-3
    assert covered[interior].all() and (ours.face == found["face"].numpy())[interior].mean() > 0.99
    same = (ours.face == found["face"].numpy()) & covered
    np.testing.assert_allclose(ours.barycentric[same], found["barycentric"].numpy()[same], atol=1e-4)
    np.testing.assert_allclose(ours.barycentric.sum(-1), covered, atol=1e-6)


def test_normal_maps_are_as_published():
    found = figures("maps.pt")
    where = uv_raster(body().face_uv.numpy(), found["resolution"])
    for number, name in enumerate(found["normal_files"]):
        entry = figures("body.pt")["frames"][number]
        ours = normal_map(entry["vertices_world"].numpy(), body().faces.numpy(), where)
        difference = np.abs(ours.astype(int) - read_image(GOLDEN / name, "RGB"))
        assert difference[found["interior"].numpy()].max() <= 1
        assert (ours[~found["covered"].numpy() & (where.face < 0)] == 255).all()


def photographs():
    """The golden folder's, from its cameras."""
    case = figures("maps.pt")["bake"]
    for name, pose in zip(case["photos"], case["camera_to_world"]):
        colours = read_image(GOLDEN / name, "RGB")
        yield Photograph(colours, (colours < 255).any(-1), case["intrinsics"].numpy(), pose.numpy())


def test_baked_textures_are_as_published():
    found = figures("maps.pt")
    case, covered = found["bake"], found["covered"].numpy()
    where = uv_raster(body().face_uv.numpy(), found["resolution"])
    ours, as_published = (baked_texture(case["vertices_world"].numpy(), body().faces.numpy(), where, photographs(),
                                        published) for published in (False, True))
    theirs, true = (read_image(GOLDEN / case[name], "RGB") for name in ("baked", "true_texture"))
    assert psnr(as_published[covered], theirs[covered]) > psnr(ours[covered], theirs[covered]) > 24
    assert psnr(ours[covered], true[covered]) > psnr(theirs[covered], true[covered])


def test_the_posed_body_of_the_photographs_is_that_of_its_frame():
    case = figures("maps.pt")["bake"]
    torch.testing.assert_close(case["vertices_world"], frame(case["frame"])["vertices_world"], atol=1e-5, rtol=0)


def test_red_green_and_blue_of_a_normal_map_are_z_y_and_x():
    """Three triangles that face along the axes, each over a third of the map."""
    vertices = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0], [1, 0, 0],
                         [0, 1, 0]], dtype=np.float32)
    corners = np.array([[[0, 0], [0, 3], [1 / 3, 0]]]) + np.arange(3)[:, None, None] * [1 / 3, 0]
    picture = normal_map(vertices, np.arange(9).reshape(3, 3), uv_raster(corners, 9))
    assert picture[8, 0].tolist() == [128, 128, 255]  # along x; row 8 is v = 0
    assert picture[8, 3].tolist() == [128, 255, 128]
    assert picture[8, 6].tolist() == [255, 128, 128]


@pytest.mark.parametrize("with_depths", [True, False])
def test_each_pixel_sees_the_nearest_triangle_or_the_first(monkeypatch, with_depths):
    monkeypatch.setattr(raster_module, "MOST_AT_ONCE", 100)  # in many parts
    rng = np.random.default_rng(0)
    corners, depths = rng.uniform(-4, 24, (40, 3, 2)), rng.uniform(1, 5, (40, 3))
    corners[3], depths[4, 1] = corners[3, 0], -1  # of no area, and partly behind the camera
    found = rasterised(corners, (17, 20), depths if with_depths else None)
    for y in range(17):
        for x in range(20):
            seen = {}
            for face in range(40):
                matrix = np.vstack((corners[face].T, np.ones(3)))
                if abs(np.linalg.det(matrix)) < 1e-9 or with_depths and (depths[face] < 0).any():
                    continue
                place = np.linalg.solve(matrix, [x, y, 1])
                if (place >= 0).all():
                    seen[face] = face if not with_depths else 1 / (place / depths[face]).sum()
            expected = min(seen, key=seen.get) if seen else -1
            assert found.face[y, x] == expected
            if expected >= 0:
                np.testing.assert_allclose(found.barycentric[y, x] @ corners[expected], [x, y], atol=1e-4)


def test_what_lies_on_a_ray_is_projected_to_its_pixel():
    intrinsics, pose = camera(0)
    pixels = torch.tensor([[0.0, 0], [10, 3], [7.25, 30.5]])
    origins, directions = pixel_rays(pixels, intrinsics, pose)
    found, depths = projected((origins + 2.5 * directions).numpy(), intrinsics.numpy(), pose.numpy())
    np.testing.assert_allclose(found, pixels.numpy(), atol=1e-4)
    assert (depths > 0).all() and (depths <= 2.5).all()
    assert (projected((origins - directions).numpy(), intrinsics.numpy(), pose.numpy())[1] < 0).all()


def test_only_faces_that_are_seen_on_the_foreground_are_visible():
    """A small triangle in front of a large one, beside one behind the camera."""
    vertices = np.array([[-1, -1, 4], [1, -1, 4], [0, 1, 4], [-0.1, -0.1, 2], [0.1, -0.1, 2], [0, 0.1, 2],
                         [-0.05, -0.05, 3], [0.05, -0.05, 3], [0, 0.05, 3], [0, 0, -1], [1, 0, -1], [0, 1, -1]], float)
    faces, intrinsics = np.arange(12).reshape(4, 3), np.array([[40.0, 0, 16], [0, 40, 16], [0, 0, 1]])
    view = Photograph(np.zeros((33, 33, 3), np.uint8), np.ones((33, 33), bool), intrinsics, np.eye(4))
    assert visible_faces(vertices, faces, view).tolist() == [True, True, False, False]
    view.foreground[6, 6] = False  # where a corner of the large one is
    assert visible_faces(vertices, faces, view).tolist() == [False, True, False, False]


def test_colours_are_looked_up_between_pixels_and_averaged_where_texels_are_large():
    y, x = np.mgrid[:32, :32]
    slope = np.stack((4 * x, 6 * y, x + y), -1).astype(np.uint8)
    pixels = np.array([[3.25, 7.5], [10, 20.75], [16, 16]])
    for size in (1.0, 2.0, 3.0, 4.0):
        found = looked_up(slope, pixels, np.full(3, size))
        np.testing.assert_allclose(found, np.stack((4 * pixels[:, 0], 6 * pixels[:, 1], pixels.sum(1)), -1), atol=1e-3)
    board = np.where((x + y) % 2, 255, 0).astype(np.uint8)[..., None].repeat(3, -1)
    np.testing.assert_allclose(looked_up(board, pixels, np.full(3, 4.0)), 127.5, atol=0.5)


def test_sizes_of_texels_are_in_pixels():
    square = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    where = uv_raster(square[faces][..., :2], 16)
    view = Photograph(np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), bool), np.diag([48.0, 48, 1]), np.eye(4))
    np.testing.assert_allclose(texel_sizes(square, faces, where, view), 3, rtol=0.05)


def test_colours_are_continued_around_the_body_and_no_further():
    covered = np.zeros((40, 40), bool)
    covered[15:25, 15:25] = True
    observed = covered.copy()
    observed[18:20, 18:20] = False
    picture = np.where(observed[..., None], 200, 0).astype(np.uint8).repeat(3, -1)
    found = continued(picture, observed, covered)
    assert (found[observed] == 200).all() and (found[18:20, 18:20] > 190).all() and (found[14, 15:25] > 190).all()
    assert (found[:8] == 0).all() and (found[:, 30:] == 0).all()
    assert (continued(picture, observed, covered, as_published=True)[14, 15:25] < 150).all()
