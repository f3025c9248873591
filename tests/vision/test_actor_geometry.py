import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models.neural_actor_networks import looked_up
from tests.golden_actor import body, camera, figures, frame, image
from vision.geometry.meshes import face_normals, pseudonormals, vertex_normals
from vision.geometry.nearest_surface import (
    Nearest,
    QuickSurface,
    Surface,
    at,
    followed,
    neighbours,
    outside,
    thick_faces,
)
from vision.geometry.rays import (
    _all_stretches,
    bounding_sphere,
    draw_pixels,
    finer_samples,
    mesh_hits,
    pixel_grid,
    pixel_rays,
    samples_along,
    samples_in_pieces,
    sphere_bounds,
    sphere_hits,
)
from vision.people.jointed_body import PARENTS
from vision.people.skinning import (
    blended,
    local_coordinates,
    moved,
    moved_back,
    pose_undone,
    posed_vertices,
    skin_weights,
    to_normalised,
    to_world,
    turned_further,
)


def close(found, expected, tolerance):
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_the_body_is_posed_as_published():
    actor = body()
    for entry in figures("body.pt")["frames"]:
        posed = posed_vertices(actor, entry["joints_RT"])
        close(posed, entry["vertices_normalised"], 1e-6)
        world = to_world(posed, entry["rotation"], entry["translation"])
        close(world, entry["vertices_world"], 2e-6)
        close(to_normalised(world, entry["rotation"], entry["translation"]), posed, 1e-6)
        centre, radius = bounding_sphere(to_world(entry["joints_normalised"], entry["rotation"],
                                                  entry["translation"]))
        close(centre, entry["sphere_centre"], 1e-6)
        close(radius, entry["sphere_radius"].reshape(()), 1e-5)
        root = Rotation.from_matrix(entry["rotation"].T.numpy()).as_rotvec()
        close(entry["pose_with_root"][0, :3], torch.from_numpy(root).float(), 1e-5)
        found = Rotation.from_rotvec(entry["pose_with_root"][0].reshape(-1, 3).numpy()[1:]).as_matrix()
        turns = entry["joints_RT"][1:, :3, :3].numpy()
        parents = entry["joints_RT"][list(PARENTS[1:]), :3, :3].numpy()
        np.testing.assert_allclose(parents @ found, turns, atol=1e-5)


def test_normals_of_vertices_are_as_published():
    for entry, expected in zip(figures("body.pt")["frames"], figures("maps.pt")["vertex_normals_world"]):
        close(vertex_normals(entry["vertices_world"], body().faces), expected, 1e-4)


def test_rays_and_their_bounds_are_as_published():
    eps = figures("field.pt")["options"]["min-dis-eps"]
    for case in figures("rays.pt"):
        height, width, row, column = case["size"].tolist()
        assert case["resolution"] == f"{height:.0f}x{width:.0f}"
        for ours, theirs in zip(camera(case["view"]), ("intrinsics", "camera_to_world")):
            close(ours, case[theirs], 1e-6)
        pixels = pixel_grid((int(height), int(width)), (height * row, width * column))
        close(pixels, case["uv"].T, 1e-6)
        origins, directions = pixel_rays(pixels, case["intrinsics"], case["camera_to_world"])
        close(origins[0], case["origin"], 1e-6)
        close(directions, case["direction"], 1e-6)
        pose = frame(case["frame"])
        near, far, hit = sphere_bounds(origins, directions, pose["vertices_world"], eps)
        hit &= sphere_hits(origins, directions, pose["sphere_centre"], pose["sphere_radius"])
        assert torch.equal(hit, case["hit"]) and torch.equal(hit, case["hit_float64"])
        close(near[hit], case["near_float64"][hit], 2e-5)
        close(far[hit], case["far_float64"][hit], 2e-5)
        close(near[hit], case["near"][hit], 5e-4)
        close(far[hit], case["far"][hit], 5e-4)


def test_rays_meet_the_mesh_as_published():
    for case in figures("rays.pt"):
        origins, directions = case["origin"].expand_as(case["direction"]), case["direction"]
        vertices, faces = frame(case["frame"])["vertices_world"], body().faces
        face, depth, barycentric = mesh_hits(origins, directions, vertices, faces)
        differs = (face >= 0) != case["mesh_hit"].bool()
        assert differs.float().mean() < 2e-3
        both = (face >= 0) & case["mesh_hit"].bool()
        assert ((depth - case["mesh_depth"])[both].abs() < 1e-4).float().mean() > 0.99
        same = both & (face == case["mesh_face"])
        assert same[both].float().mean() > 0.98
        assert ((barycentric - case["mesh_barycentric"]).abs().amax(-1)[same] < 1e-3).float().mean() > 0.99
        place = (vertices[faces[face]] * barycentric[..., None]).sum(-2)
        close(place[both], (origins + depth[:, None] * directions)[both], 1e-5)
        theirs = case["mesh_hit"].bool()
        place = (vertices[faces[case["mesh_face"]]] * case["mesh_barycentric"][..., None]).sum(-2)
        close(place[theirs], (origins + case["mesh_depth"][:, None] * directions)[theirs], 1e-4)


def test_the_published_preview_of_the_texture_has_its_corners_mixed_up():
    """Weights of the corners 1, 2, 0 are taken for 0, 1, 2: with the right ones the colours are others."""
    for case in figures("rays.pt"):
        texture, met = image(f"dataroot/tex/{case['frame']:06d}.png"), case["mesh_hit"].bool()
        corners, weights = body().face_uv[case["mesh_face"]], case["mesh_barycentric"]
        mixed, right = (looked_up(texture, (corners * shifted[..., None]).sum(-2))
                        for shifted in (weights.roll(-1, -1), weights))
        close(mixed[met], case["mesh_colour_as_released"][met], 1e-4)
        assert (right - mixed)[met].abs().mean() > 0.01
        assert (case["mesh_colour_as_released"][~met] == 1).all()


def test_bounds_of_three_spheres():
    centres = torch.tensor([[0, 0, 1], [0.03, 0, 2], [1, 0, 1.5], [0, 0, -1]])
    near, far, hit = sphere_bounds(torch.zeros(2, 3), torch.tensor([[0, 0, 1.0], [0, 1, 0]]), centres, 0.06)
    close(near, torch.tensor([0.94, 0]), 1e-5)
    close(far, torch.tensor([2.0519615, 0]), 1e-5)
    assert hit.tolist() == [True, False]


def test_bounds_contain_where_rays_meet_the_mesh():
    pose = frame(0)
    rng = torch.Generator().manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(1000, 3, generator=rng), dim=-1) * 3
    aims = pose["vertices_world"][torch.randint(len(pose["vertices_world"]), (1000,), generator=rng)]
    directions = torch.nn.functional.normalize(aims - origins, dim=-1)
    face, depth, _ = mesh_hits(origins, directions, pose["vertices_world"], body().faces)
    near, far, hit = sphere_bounds(origins, directions, pose["vertices_world"], 0.06)
    met = face >= 0
    assert met.sum() > 500 and hit[met].all()
    assert (near[met] <= depth[met]).all() and (depth[met] <= far[met]).all()


def test_samples_along_rays_are_as_published():
    found = figures("samples.pt")
    for case in (value for name, value in found.items() if name.startswith("K")):
        for jitter, kind in ((0.5, "eval"), (case["jitter"], "train")):
            depths, lengths = samples_along(case["near"], case["far"], case["samples"], jitter)
            close(depths, case[f"depth_{kind}"], 2e-6)
            close(lengths, case[f"length_{kind}"], 2e-6)
            close(lengths.sum(-1), case["far"] - case["near"], 1e-5)


@pytest.mark.parametrize("name", ["fine", "fine_reduced"])
def test_the_second_pass_is_as_published(name):
    case = figures("samples.pt")[name]
    depths, lengths = finer_samples(case["bin_depth"], case["bin_length"], case["coarse_probability"], case["steps"])
    ends = case["valid"].sum(-1)
    assert torch.equal(case["valid"], torch.arange(case["valid"].shape[-1]) < ends[:, None])
    assert torch.equal((lengths > 1e-6).sum(-1), ends)
    for depth, length, expected_depth, expected_length, n in zip(
            depths, lengths, case["depth_eval"], case["length_eval"], ends.tolist()):
        used = n if name == "fine" else n - 1  # where fewer are drawn, the published program counts the end twice
        close(depth[:used], expected_depth[:used], 1e-4)
        close(length[:used], expected_length[:used], 1e-4)


def test_the_nearest_surface_is_as_published():
    actor = body()
    for case in figures("nearest.pt"):
        pose = frame(case["frame"])
        surface = Surface(pose["vertices_normalised"], actor.faces)
        points, free = case["points_normalised"], ~case["tied"]
        near = surface.nearest(points)
        close(near.squared_distance.sqrt(), case["distance_float64"], 2e-6)
        close(near.squared_distance.sqrt(), case["squared_distance"].sqrt(), 2e-5)
        close(near.point[free], case["nearest"][free], 1e-5)
        local, uv = local_coordinates(actor, surface.vertices, points, near)
        close(uv[free], case["uv"][free], 1e-4)
        close(local[free], case["local_coordinate"][free], 1e-4)
        close(skin_weights(actor, near)[free], case["weights"][free], 1e-4)


def test_what_follows_from_the_nearest_surface_is_as_published():
    actor = body()
    for case in figures("nearest.pt"):
        pose, points = frame(case["frame"]), case["points_normalised"]
        close(to_normalised(case["points_world"], pose["rotation"], pose["translation"]), points, 1e-6)
        posed = pose["vertices_normalised"]
        near = at(points, posed, actor.faces, case["face"], case["barycentric"])
        close(local_coordinates(actor, posed, points, near)[0], case["local_coordinate"], 1e-5)
        weights = skin_weights(actor, near)
        close(weights, case["weights"], 1e-5)
        rest, canonical = pose_undone(actor, pose["joints_RT"], points, weights)
        close(rest, case["rest"], 1e-4)
        close(canonical, case["canonical"], 1e-4)


def test_the_nearest_surface_is_exact_and_ties_go_to_the_same_face():
    rng = torch.Generator().manual_seed(1)
    vertices = torch.rand(60, 3, generator=rng)
    faces = torch.stack([torch.randperm(60, generator=rng)[:3] for _ in range(190)])
    points = torch.cat((2 * torch.rand(300, 3, generator=rng) - 0.5, vertices))
    near = Surface(vertices, faces).nearest(points)
    each = [Surface(vertices, faces[i:i + 1]).nearest(points).squared_distance for i in range(190)]
    distances = torch.stack(each, -1).sqrt()
    close(near.squared_distance.sqrt(), distances.amin(-1), 1e-6)
    assert (near.barycentric >= -1e-6).all()
    close(near.barycentric.sum(-1), torch.ones(360), 1e-6)
    for vertex, face in zip(range(60), near.face[300:].tolist()):
        around = (faces == vertex).any(-1).nonzero()[:, 0].tolist()
        assert not around or face == min(around, key=lambda number: (number % 128, -number))


@pytest.mark.parametrize("library", [True, False])
def test_the_nearest_face_is_the_same_however_it_is_sought(library):
    """By libigl where it is installed, by a tree, and by all distances as on a GPU."""
    case = figures("nearest.pt")[0]
    pose, faces = frame(case["frame"]), figures("body.pt")["faces"]
    points = torch.cat((case["points_normalised"], 3 * case["points_normalised"]))
    surface = Surface(pose["vertices_normalised"], faces, library)
    near = surface.nearest(points)
    surface = Surface(pose["vertices_normalised"], faces, library=False)
    surface.nearest_faces = surface._by_all
    every = surface.nearest(points)
    assert torch.equal(near.face, every.face)
    close(near.barycentric, every.barycentric, 1e-6)


@pytest.mark.parametrize("case", figures("nearest.pt"), ids=lambda case: str(case["frame"]))
def test_the_quick_surface_is_never_much_further_away_and_mostly_the_same(case):
    """By a tree, and by all distances as on a GPU."""
    vertices, faces = frame(case["frame"])["vertices_normalised"], figures("body.pt")["faces"]
    points, quick = case["points_normalised"], QuickSurface(vertices, faces)
    exact, near = Surface(vertices, faces).nearest(points), quick.nearest(points)
    further = near.squared_distance.sqrt() - exact.squared_distance.sqrt()
    assert further.min() > -1e-5 and further.max() < quick.reach < 0.1
    assert ((near.point - exact.point).norm(dim=-1) < 1e-4).float().mean() > 0.8
    (_, rough, height), (_, true, true_height) = (surface.heights(points, 0.1)
                                                  for surface in (quick, Surface(vertices, faces)))
    both = rough.isfinite() & true.isfinite()
    assert not (true.isinf() & rough.isfinite()).any() and 0.3 < both.float().mean() < 1
    assert (rough - true)[both].max() < quick.reach
    assert ((height < 0) == (true_height < 0))[both].float().mean() > 0.9
    quick.tree = None
    every = quick.nearest(points)
    assert (every.face == near.face).float().mean() > 0.97
    close(every.squared_distance.sqrt(), near.squared_distance.sqrt(), 1e-4)


def test_neighbours_share_the_edge_across_each_corner():
    faces = torch.tensor([[0, 1, 2], [2, 1, 3], [3, 1, 4]])
    assert neighbours(faces).tolist() == [[1, 0, 0], [2, 1, 0], [2, 2, 1]]


def test_samples_lie_evenly_in_the_pieces_that_count():
    borders = torch.tensor([[0, 1, 3, 4, 8.0], [0, 1, 2, 3, 4.0]])
    wanted = torch.tensor([[True, False, True, True], [False, True, False, False]])
    depths, lengths = samples_in_pieces(borders, wanted, 6)
    close(depths, torch.tensor([[0.5, 3.5, 4.5, 5.5, 6.5, 7.5], [1 + (2 * k + 1) / 12 for k in range(6)]]), 1e-6)
    close(lengths.sum(-1), torch.tensor([6, 1.0]), 1e-6)
    rng = torch.Generator().manual_seed(0)
    wanted = torch.rand(50, 8, generator=rng) > 0.6
    wanted[:, 3] = True
    borders = torch.rand(50, 9, generator=rng).cumsum(-1)
    depths, lengths = samples_in_pieces(borders, wanted, 7, torch.rand(50, 7, generator=rng))
    piece = torch.searchsorted(borders, depths.contiguous(), right=True) - 1
    assert wanted.gather(-1, piece.clamp(0, 7)).float().mean() > 0.99  # some lie on a border, to rounding
    close(lengths.sum(-1), ((borders[:, 1:] - borders[:, :-1]) * wanted).sum(-1), 1e-5)


def test_bounds_of_a_cameras_rays_are_those_of_all_rays_and_spheres():
    rng = torch.Generator().manual_seed(3)
    centres = torch.rand(500, 3, generator=rng)
    places = torch.tensor([[0.5, 0.5, -3.0], [4.0, 0.5, 0.5]])
    origins = places[torch.randint(2, (400,), generator=rng)]
    towards = torch.rand(400, 3, generator=rng) * 1.4 - 0.2 - origins
    directions = towards / towards.norm(dim=-1, keepdim=True) * torch.tensor([1.0, -1.0]).repeat(200)[:, None]
    near, far, hit = sphere_bounds(origins, directions, centres, 0.05)
    apart = origins + 1e-3 * torch.rand(400, 3, generator=rng)  # so many places that all are compared
    every = _all_stretches(origins.double(), directions.double(), centres.double(), 0.05)
    assert torch.equal(hit, every[0].isfinite()) and 50 < hit.sum() < 200
    close(near[hit], every[0][hit].float(), 1e-4)
    close(far[hit], every[1][hit].float(), 1e-4)
    assert (sphere_bounds(apart, directions, centres, 0.05)[2] == hit).float().mean() > 0.97


@pytest.mark.parametrize("point, place", [((0.2, 0.2, 1.0), (0.2, 0.2, 0.0)), ((0.5, -1.0, 0.0), (0.5, 0.0, 0.0)),
                                          ((-1.0, -1.0, 0.5), (0.0, 0.0, 0.0)), ((1.0, 1.0, 0.0), (0.5, 0.5, 0.0)),
                                          ((-1.0, 0.5, 0.0), (0.0, 0.5, 0.0)), ((3.0, 0.0, 0.0), (1.0, 0.0, 0.0))])
def test_the_nearest_point_of_one_triangle(point, place):
    triangle = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]])
    near = Surface(triangle, torch.tensor([[0, 1, 2]])).nearest(torch.tensor([point]))
    close(near.point[0], torch.tensor(place), 1e-6)


def test_a_posed_vertex_goes_back_to_its_place():
    actor, pose = body(), frame(1)
    posed, index = pose["vertices_normalised"], torch.arange(len(body().faces))
    near = Nearest(index, torch.tensor([[1.0, 0, 0]]).expand(len(index), 3), None, None)
    rest, _ = pose_undone(actor, pose["joints_RT"], posed[actor.faces[:, 0]], skin_weights(actor, near))
    close(rest, actor.vertices[actor.faces[:, 0]], 1e-4)


def test_a_crushing_transform_stays_finite():
    assert moved_back(torch.ones(1, 3), torch.zeros(1, 4, 4)).isfinite().all()
    transforms = blended(torch.tensor([[0.3, 0.7]]), torch.eye(4).expand(2, 4, 4))
    close(moved_back(moved(torch.ones(1, 3), transforms), transforms), torch.ones(1, 3), 1e-6)


class PublishedNumbers:
    """Random numbers as the published program draws them after `torch.manual_seed`."""

    def __init__(self, seed, first):
        torch.manual_seed(seed)
        self.first = first

    def gumbel(self, size):
        return -np.log(-np.log(torch.rand(size).double().numpy()))

    def integers(self, most, size):
        """Which of the sub-grids; which one was drawn is not recorded."""
        return np.array(self.first)


@pytest.mark.parametrize("case", figures("pixels.pt"), ids=lambda case: case["name"])
def test_the_first_pixels_are_those_that_were_drawn(case):
    options, (groups, _, two, *drawn) = renamed(case["options"]), case["drawn_shape"]
    assert (groups, two, int(np.prod(drawn))) == (1, 2, case["pixels"])
    skipping = options.get("skipping_size", 1)
    found = [draw_pixels(case["mask"].numpy(), case["pixels"], PublishedNumbers(case["seed"], (x, y)), **options)
             for x in range(skipping) for y in range(skipping)]
    wanted = {*map(tuple, case["first_draw_xy"].T.tolist())}
    assert wanted in [{*map(tuple, pixels.tolist())} for pixels in found]


@pytest.mark.parametrize("case", figures("pixels.pt"), ids=lambda case: case["name"])
def test_pixels_are_drawn_as_often_as_published(case):
    rng, drawn = np.random.default_rng(0), np.zeros(case["mask"].shape)
    for _ in range(400):
        pixels = draw_pixels(case["mask"].numpy(), case["pixels"], rng,
                             **renamed(case["options"]))
        assert pixels.shape == (case["pixels"], 2) and len(np.unique(pixels, axis=0)) == len(pixels)
        drawn[pixels[:, 1], pixels[:, 0]] += 1
    frequency = case["frequency"].numpy()
    frequency = frequency / frequency.sum() * drawn.sum()
    assert ((drawn == 0) == (frequency == 0)).mean() > 0.97
    assert np.abs(drawn - frequency).max() < 6 * np.sqrt(frequency.max()) + 3


def renamed(options):
    return {{"uniform_sampling": "uniform"}.get(name, name.removeprefix("sampling_")): value
            for name, value in options.items()}



def test_a_body_is_thick_under_faces_that_have_enough_of_it_behind():
    """A ball of 4 cm is, at 2.5 cm, and a disc of 2 cm is not."""
    z, turn = torch.linspace(-1, 1, 14)[1:-1], torch.arange(24) / 24 * 2 * torch.pi
    ring = torch.stack((turn.cos().expand(12, -1), turn.sin().expand(12, -1)), -1) * (1 - z**2).sqrt()[:, None, None]
    ball = torch.cat((ring, z[:, None, None].expand(12, 24, 1)), -1).view(-1, 3)
    number = torch.arange(12 * 24).view(12, 24)
    here, right = number[:-1], number[:-1].roll(-1, 1)
    up, across = number[1:], number[1:].roll(-1, 1)
    faces = torch.cat((torch.stack((here, right, up), -1), torch.stack((right, across, up), -1))).view(-1, 3)
    assert thick_faces(0.04 * ball, faces, 0.025).float().mean() > 0.9
    assert not thick_faces(ball * torch.tensor([0.04, 0.04, 0.01]), faces, 0.025)[faces[:, 0] // 24 == 5].any()


def test_beside_a_sharp_edge_it_is_known_what_is_outside():
    side = torch.tensor([[0, 0, -0.5], [1, 0.15, -0.5], [1, -0.15, -0.5]])
    wedge = torch.cat((side, side * torch.tensor([1, 1, -1])))
    faces = torch.tensor([[1, 2, 0], [5, 4, 3], [4, 1, 0], [3, 4, 0], [5, 2, 1], [4, 5, 1], [3, 0, 2], [5, 3, 2]])
    points = (torch.rand(2000, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * torch.tensor([1.6, 0.8, 1.4])
    points = points + torch.tensor([0.4, 0, 0])
    x, y, z = points.T
    inside = (x < 1) & (abs(y) < 0.15 * x) & (abs(z) < 0.5)
    near = Surface(wedge, faces).nearest(points)
    assert ((outside(points, near, pseudonormals(wedge, faces)[faces]) < 0) == inside).all()
    by_face = ((points - near.point) * face_normals(wedge, faces)[near.face]).sum(-1) < 0
    assert (by_face != inside).sum() > 100  # what specks beside hands were


def test_nearest_points_move_with_points_and_surface():
    """Over faces, edges and corners: derivatives are those of where it is found again."""
    torch.manual_seed(0)
    vertices = torch.tensor([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]], dtype=torch.double)
    faces = torch.tensor([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])
    points = torch.nn.functional.normalize(torch.randn(400, 3, dtype=torch.double), dim=-1)
    points = torch.cat((0.7 * points, 1.5 * points, points.sign() * torch.tensor([1.2, 0.01, 0.02])))
    velocities, drift = torch.randn_like(vertices), torch.randn_like(points)

    def sought(time):
        near = Surface(vertices + time * velocities, faces, library=False).nearest(points + time * drift)
        return near.barycentric, near.point, near.squared_distance.sqrt()

    def moving(time):
        near = followed(points + time * drift, vertices + time * velocities, faces, found)
        return near.barycentric, near.point, near.squared_distance.sqrt()
    found = Surface(vertices, faces, library=False).nearest(points)
    zeros = (found.barycentric == 0).sum(-1)
    assert all((zeros == count).sum() > 30 for count in (0, 1, 2))
    values, slopes = torch.autograd.functional.jvp(moving, torch.zeros((), dtype=torch.double),
                                                   torch.ones((), dtype=torch.double))
    step = 1e-6
    for value, slope, first, second, now in zip(values, slopes, sought(-step), sought(step), sought(0)):
        torch.testing.assert_close(value, now, atol=1e-7, rtol=0)
        error = (slope - (second - first) / (2 * step)).abs().view(len(points), -1).amax(-1)
        assert (error < 1e-4).double().mean() > 0.98  # but where another face is found


def test_a_joint_that_turns_further_takes_along_what_hangs_on_it():
    entry = figures("body.pt")["frames"][0]
    transforms, joints = entry["joints_RT"].double(), entry["joints_normalised"].double()
    turns = torch.zeros(24, 3, dtype=torch.double)
    turns[18] = torch.tensor([0.3, -0.2, 0.5])
    found, places = turned_further(transforms, joints, turns, PARENTS)
    arm = torch.zeros(24, dtype=torch.bool)
    arm[[18, 20, 22]] = True
    rotation = torch.from_numpy(Rotation.from_rotvec(turns[18].numpy()).as_matrix())
    close(places[arm], (joints[arm] - joints[18]) @ rotation.T + joints[18], 1e-9)
    close(found[arm][:, :3, :3], rotation @ transforms[arm][:, :3, :3], 1e-9)
    close(found[~arm], transforms[~arm], 1e-9)
    close(places[~arm], joints[~arm], 1e-9)
    turns = 0.2 * torch.randn(24, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    found, places = turned_further(transforms, joints, turns, PARENTS)
    rest = moved_back(joints, transforms)
    close(moved(rest, found), places, 1e-6)
    close(moved(rest[1:], found[list(PARENTS[1:])]), places[1:], 2e-5)
