"""The plain copy of the published computation has the published program's numbers, as this program has."""

import torch

from scripts.lab.published_actor import EveryTriangle, PublishedActor
from tests.golden_actor import GOLDEN, body, camera, figures, frame, image, options
from vision.geometry.rays import pixel_grid, pixel_rays


def test_the_nearest_surface_by_every_triangle_is_as_published():
    for case in figures("nearest.pt"):
        surface = EveryTriangle(frame(case["frame"])["vertices_normalised"], figures("body.pt")["faces"])
        near = surface.nearest(case["points_normalised"])
        torch.testing.assert_close(near.squared_distance.sqrt(), case["squared_distance"].sqrt(), atol=2e-5, rtol=0)
        free = ~case["tied"]
        torch.testing.assert_close(near.point[free], case["nearest"][free], atol=1e-4, rtol=0)


def test_a_render_in_the_published_way_is_as_published():
    case = next(case for case in figures("render.pt").values()
                if case["state_dict"] and not case["options"].get("use-texture-encoder"))
    actor = PublishedActor(options(case))
    actor.load_state_dict(case["state_dict"])
    size = image(str(next((GOLDEN / "dataroot" / "rgb").rglob("*.png")).relative_to(GOLDEN))).shape[-2:]
    rays = pixel_rays(pixel_grid((case["height"], case["width"]), size), *camera(case["view"]))
    pose = frame(case["frame"])
    item = {"joints_RT": pose["joints_RT"], "rotation": pose["rotation"], "translation": pose["translation"],
            "joints": pose["joints_world"], "texture": 2 * image(f"dataroot/tex/{case['frame']:06d}.png") - 1}
    with torch.no_grad():
        scene = actor.eval().frame(body(case["options"].get("canonical_pose", True)), item)
        seen = actor.render(scene, dict(zip(("rays_o", "rays_d"), rays)))
    error = (seen["colour"] - case["colour"]).abs().amax(-1)[case["stable"]]
    assert error.quantile(0.95) < 2e-3 and error.max() < 0.1  # in float32 the side of an edge may flip
