"""An actor's networks put to work: what rays see of a posed body.

One frame at a time: rays [R, 3] in the world, in metres. Networks get gradients; geometry gets none but those of the
pose, where it has some: with where samples lie on the skin and above it, in the triangle that was found.
"""

import copy
import math
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.neural_actor_networks import Encoder, Field, background_colour, looked_up, names_of_inputs
from vision.geometry.meshes import pseudonormals
from vision.geometry.nearest_surface import NEARLY, QuickSurface, Surface, at, followed, outside, thick_faces
from vision.geometry.rays import (
    bounding_sphere,
    finer_samples,
    samples_along,
    samples_in_pieces,
    sphere_bounds,
    sphere_hits,
)
from vision.geometry.volume import Rendered, optical_thickness, rendered
from vision.people.skinning import (
    Body,
    local_coordinates,
    pose_undone,
    posed_vertices,
    skin_weights,
    to_normalised,
    to_world,
)

BACKGROUND_DEPTH = 5.0
RAY_INPUTS = ("rays_o", "rays_d", "jitter", "jitter_fine", "density_noise", "density_noise_fine", "face",
              "barycentric")
SAMPLES_IN_A_CHUNK = 1024
"""A chunk is this many samples, times --chunk_size."""
PIECES = 24
"""Of a ray, each of which is near the skin or not, with --skin_depth."""


@contextmanager
def geometry(device: torch.device, gradients: bool = False) -> Iterator[None]:
    """Compute without gradients, or with them, and in full precision also with --amp."""
    with torch.set_grad_enabled(gradients and torch.is_grad_enabled()), torch.autocast(device.type, enabled=False):
        yield


@dataclass(frozen=True)
class Frame:
    """A body in the pose of a frame.

    Attributes:
        body: what is constant.
        transforms: [J, 4, 4], of joints, from the rest pose.
        rotation, translation: [3, 3] and [3], from the normalised space to the world, as files have them.
        joints: [J, 3], in the world.
        vertices: [V, 3], in the world.
        posed: [V, 3], in the normalised space; transforms, rotation, translation and these have gradients where the
            pose has.
        surface: the skin in the normalised space.
        normals: [V, 3], its pseudonormals there.
        features: [C, S, S], the map that is looked up at samples; None without texture.
        texture: [3, S', S'], its colours, in the range of the images.
    """

    body: Body
    transforms: Tensor
    rotation: Tensor
    translation: Tensor
    joints: Tensor
    vertices: Tensor
    posed: Tensor
    surface: Surface | QuickSurface
    normals: Tensor
    features: Tensor | None
    texture: Tensor | None = None


class Actor(nn.Module):
    """All networks of an actor; `field_fine` is a copy of `field` for the second pass, where there is one.

    Its weights have the names of released checkpoints.
    """

    def __init__(self, opt: Namespace, vertices: int = 0):
        """Make it, for a body of so many vertices; only the input `skin` depends on them."""
        super().__init__()
        self.opt, self.needed = opt, names_of_inputs(opt)
        self.encoder = Encoder(opt, vertices)
        self.field = Field(opt, background_colour(opt.transparent_background, opt.min_color))
        if opt.hierarchical_sampling and opt.use_fine_model:
            self.field_fine = copy.deepcopy(self.field)

    @property
    def background(self) -> Tensor:
        """The colour behind the actor, [3]."""
        return self.field.bg_color.bg_color * (0 if self.opt.black_background else 1)

    def forward(self, body: Body, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the rays of a batch see; each item [B, ...] is a frame of its own, with statistics of its own.

        Args:
            body: the actor's.
            batch: `joints_RT` [B, J, 4, 4], `rotation` [B, 3, 3], `translation` [B, 3], `joints` [B, J, 3], `texture`
                [B, 3, S, S] in [-1, 1], `rays_o` and `rays_d` [B, R, 3]; and, where they are not to be drawn or sought
                here, `jitter`, `density_noise`, `face`, `barycentric` as for `render`.

        Returns:
            as `render`, [B, R, ...].
        """
        body = body.to(batch["rays_o"].device)
        items = [{name: values[i] for name, values in batch.items()} for i in range(len(batch["rays_o"]))]
        seen = [self.render(self.frame(body, item), item) for item in items]
        return {name: torch.stack([item[name] for item in seen]) for name in seen[0]}

    def frame(self, body: Body, item: dict[str, Tensor]) -> Frame:
        """The frame of an item, with the features of its texture."""
        rotation, translation = item["rotation"], item["translation"].reshape(3)
        with geometry(item["joints_RT"].device, gradients=True):
            posed = posed_vertices(body, item["joints_RT"])
        with geometry(item["joints_RT"].device):
            vertices = to_world(posed, rotation, translation)
            surface = SURFACES[self.opt.nearest_surface](posed, body.faces)
            normals = pseudonormals(posed, body.faces)
        texture = item["texture"] if self.encoder.with_texture else None
        features = None if texture is None else self.encoder.features((texture + 1) / 2)
        if texture is not None and self.opt.min_color == 0:
            texture = (texture + 1) / 2
        return Frame(body, item["joints_RT"], rotation, translation, item["joints"], vertices, posed, surface, normals,
                     features, texture)

    def bounds(self, frame: Frame, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Near and far [R] of the stretch of rays that is sampled, and which rays [R] have one."""
        near, far, hit = sphere_bounds(origins, directions, frame.vertices, self.opt.min_dis_eps)
        return near, far, hit & sphere_hits(origins, directions, *bounding_sphere(frame.joints))

    def render(self, frame: Frame, rays: dict[str, Tensor]) -> dict[str, Tensor]:
        """What rays see.

        Args:
            frame: the posed body.
            rays: `rays_o` and `rays_d` [R, 3]; and perhaps `jitter` [R, K] in (0, 1), where cuts along rays are in
                their K-th parts (default: in the middle), `density_noise` [R, K + 1], what is added to densities;
                `jitter_fine` [R, F] and `density_noise_fine` [R, K + F + 1] likewise in the second pass; `face`
                [R, K + 1] and `barycentric` [R, K + 1, 3], the nearest surface to samples. What is given for rays that
                pass the body by does not count.

        Returns:
            `colour` [R, 3], `depth` [R], `missed` [R]; with a second pass `coarse_colour` and `coarse_missed` too.
        """
        opt = self.opt
        with geometry(rays["rays_o"].device):
            near, far, hit = self.bounds(frame, rays["rays_o"], rays["rays_d"])
            index = hit.nonzero()[:, 0]
            if opt.skin_depth:
                borders, wanted = self.pieces(frame, rays, index, near, far)
                met = wanted.any(-1).nonzero()[:, 0]
                index, borders, wanted = index[met], borders[met], wanted[met]
        given = {name: rays[name][index] for name in RAY_INPUTS if name in rays}
        jitter = given.get("jitter", 0.5)
        depths, lengths = samples_in_pieces(borders, wanted, opt.fixed_num_samples, jitter) if opt.skin_depth else \
            samples_along(near[index], far[index], opt.fixed_num_samples, jitter)
        if "density_noise" in given:
            given["density_noise"] = given["density_noise"][:, :depths.shape[1]]
        seen = self.march(self.field, frame, given, depths, lengths)
        results = self._with_background(seen, index, len(hit))
        if not opt.hierarchical_sampling:
            return results
        coarse = {f"coarse_{name}": results[name] for name in ("colour", "missed")}
        probabilities = seen.probabilities.detach()
        count = opt.fixed_fine_num_samples
        if opt.reduce_fine_for_missed:
            count = count * probabilities.sum(-1)
        depths, lengths = finer_samples(depths, lengths, probabilities, count, given.get("jitter_fine", 0.5))
        fine_rays = {name: given[name] for name in ("rays_o", "rays_d")}
        if "density_noise_fine" in given:
            fine_rays["density_noise"] = given["density_noise_fine"][:, :depths.shape[1]]
        field = self.field_fine if hasattr(self, "field_fine") else self.field
        return {**self._with_background(self.march(field, frame, fine_rays, depths, lengths), index, len(hit)),
                **coarse}

    def pieces(self, frame: Frame, rays: dict[str, Tensor], index: Tensor, near: Tensor,
               far: Tensor) -> tuple[Tensor, Tensor]:
        """Borders [N, P + 1] of pieces of the rays `index` [N], and which pieces [N, P] can be seen.

        Those are near the skin, up to the first whose middle is --skin_depth under it.
        """
        shares = torch.arange(PIECES + 1, device=near.device) / PIECES
        borders = near[index, None] + shares * (far - near)[index, None]
        middles = (borders[:, 1:] + borders[:, :-1]) / 2
        points = rays["rays_o"][index][:, None] + middles[..., None] * rays["rays_d"][index][:, None]
        points = to_normalised(points.flatten(0, 1), frame.rotation, frame.translation)
        face, away, height = frame.surface.heights(points, self.opt.min_dis_eps)
        thick = thick_faces(frame.body.vertices, frame.body.faces, self.opt.skin_depth)
        deep = (height < -self.opt.skin_depth) & (height < -NEARLY * away) & thick[face]  # not beside a finger
        deep = deep.view_as(middles).int()
        before = deep.cumsum(-1) - deep  # the front of the first may be the skin, where pieces are long
        return borders, away.isfinite().view_as(middles) & (before == 0)

    def _with_background(self, seen: Rendered, index: Tensor, count: int) -> dict[str, Tensor]:
        """Results of the rays `index` among `count` rays, of which the others meet nothing."""
        colour = self.background.expand(count, 3).index_copy(
            0, index, seen.colour + seen.missed[:, None] * self.background)
        depth = seen.depth.new_full((count,), BACKGROUND_DEPTH).index_copy(
            0, index, seen.depth + seen.missed * BACKGROUND_DEPTH)
        return {"colour": colour, "depth": depth,
                "missed": seen.missed.new_ones(count).index_copy(0, index, seen.missed)}

    def march(self, field: Field, frame: Frame, rays: dict[str, Tensor], depths: Tensor, lengths: Tensor) -> Rendered:
        """What rays see at samples [R, S] along them.

        A chunk of samples is computed at once. With --raymarching_tolerance, a ray that has become opaque in a chunk
        takes no part in the next.
        """
        budget = SAMPLES_IN_A_CHUNK * (self.opt.chunk_size if self.training else self.opt.valid_chunk_size)
        tolerance = self.opt.raymarching_tolerance
        thicknesses, colours = [], []
        for first in range(0, len(depths), budget):
            part = slice(first, first + budget)
            count = len(depths[part])
            alive, absorbed = torch.arange(count, device=depths.device), depths.new_zeros(count)
            start, parts = 0, []
            while start < depths.shape[1]:
                if not len(alive):
                    left = depths.shape[1] - start
                    parts.append((depths.new_zeros(count, left), depths.new_zeros(count, left, 3)))
                    break
                steps = slice(start, start + max(1, budget // len(alive)))
                chosen = {name: values[part][alive] for name, values in rays.items()}
                given: dict[str, Tensor] = {name: chosen[name][:, steps]
                                            for name in ("face", "barycentric", "density_noise") if name in chosen}
                thickness, colour = self._samples(field, frame, chosen, depths[part][alive, steps],
                                                  lengths[part][alive, steps], given)
                if len(alive) < count:
                    thickness = depths.new_zeros(count, thickness.shape[1]).index_copy(0, alive, thickness)
                    colour = depths.new_zeros(count, *colour.shape[1:]).index_copy(0, alive, colour)
                parts.append((thickness, colour))
                start = steps.stop
                if tolerance > 0:
                    absorbed = absorbed + thickness.detach().sum(-1)
                    alive = (absorbed <= -math.log(tolerance)).nonzero()[:, 0]
            thicknesses.append(torch.cat([thickness for thickness, _ in parts], 1))
            colours.append(torch.cat([colour for _, colour in parts], 1))
        if not thicknesses:
            return rendered(torch.zeros_like(depths), depths[..., None].expand(-1, -1, 3), depths)
        return rendered(torch.cat(thicknesses), torch.cat(colours), depths)

    def _samples(self, field: Field, frame: Frame, rays: dict[str, Tensor], depths: Tensor, lengths: Tensor,
                 given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Thickness [R, S] and colour [R, S, 3] of samples."""
        points = rays["rays_o"][:, None] + depths[..., None] * rays["rays_d"][:, None]
        values = self.values(frame, points.flatten(0, 1), rays["rays_d"][:, None].expand_as(points).flatten(0, 1),
                             *(given[name].flatten(0, 1) for name in ("face", "barycentric") if name in given))
        density, colour = (found.float() for found in field(values))
        return (optical_thickness(density.view_as(depths), lengths, given.get("density_noise", 0.0)),
                colour.view(*depths.shape, 3))

    @torch.no_grad()
    def densities(self, frame: Frame, points: Tensor, chunk: int = 1 << 16) -> Tensor:
        """Raw densities [N] at points [N, 3] in the world."""
        found = []
        for part in points.split(chunk):
            values = self.values(frame, part, torch.zeros_like(part))
            found.append(self.field.density(self.field.feature(values), values))
        return torch.cat(found)

    def values(self, frame: Frame, points: Tensor, directions: Tensor, face: Tensor | None = None,
               barycentric: Tensor | None = None) -> dict[str, Tensor]:
        """What fields are told of points [N, 3] in the world, as far as they ask for it.

        `pos`, `attnout`, `texture` and `ray` as published; `skin`, the code of the skin near by, `height` above it
        in units of --min_dis_eps, from -1 to 1, `colour`, that of the texture, and `metres` above the skin.

        Args:
            frame: the posed body.
            points, directions: [N, 3].
            face, barycentric: [N] and [N, 3], the nearest surface; None: it is sought.
        """
        opt = self.opt
        with geometry(points.device):
            normalised = to_normalised(points, frame.rotation, frame.translation)
            if face is None:
                near = frame.surface.nearest(normalised)
            else:
                assert barycentric is not None  # comes with `face`
                near = at(normalised, frame.surface.vertices, frame.body.faces, face, barycentric)
            side = outside(normalised, near, frame.normals[frame.body.faces])
        with geometry(points.device, gradients=True):
            placed = points - frame.translation  # as the camera sees it, for --use_global_rotation
            if frame.posed.requires_grad:
                normalised = to_normalised(points, frame.rotation, frame.translation)
                near = followed(normalised, frame.posed, frame.body.faces, near)
            local, uv = local_coordinates(frame.body, frame.posed, normalised, near)
            free = placed if opt.use_global_rotation else normalised
            position = free
            if "pos" in self.needed and not opt.disable_projection:
                position = pose_undone(frame.body, frame.transforms, normalised, skin_weights(frame.body, near))[1]
            metres = local[:, 2].abs() * side
        values = {"ray": directions, "metres": metres}
        if frame.features is not None:
            values["texture"] = looked_up(frame.features, uv)
        if self.encoder.needs_code:
            values["attnout"] = self.encoder.code(local if opt.use_local_coordinate else free)
        if "pos" in self.needed:
            values["pos"] = position + self.encoder.residual(values.get("attnout"), values.get("texture"))
        if "skin" in self.needed:
            corners = frame.body.faces[near.face]
            values["skin"] = (self.encoder.skin_codes[corners] * near.barycentric[..., None]).sum(-2)
        if "height" in self.needed:
            values["height"] = (metres[:, None] / opt.min_dis_eps).clamp(-1, 1)
        if "colour" in self.needed:
            assert frame.texture is not None  # refused with --disable_texture
            values["colour"] = looked_up(frame.texture, uv)
        return values


SURFACES = {"exact": Surface, "quick": QuickSurface}
