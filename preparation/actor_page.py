"""The page that shows an actor's dataroot: <dataroot>/prepare/index.html.

The posed body drawn over photographs, by how well they agree: wrong cameras, units and numbers of frames are seen at a
glance.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from data.actor_files import by_number, camera_files, read_cameras, read_pose, world_vertices
from preparation.actor_overlap import HEIGHT, Compared
from preparation.actor_seen import picture_of_seen
from preparation.page import WORDS, add_commands
from preparation.steps import Finding
from util.files import folder_filled_atomically
from util.html import Media, Page
from util.images import checkerboard, read_image, write_png
from vision.geometry.raster import projected, rasterised
from vision.people.body_files import read_body
from vision.people.texture_maps import normals_of_vertices

MEANING = ("good to know", "may cost quality", "the actor will be visibly wrong", "training cannot run")
WIDTH, MOST_PICTURES = 240, 24
DRAWN_HEIGHT = 2 * HEIGHT
BODY_SHARE = 0.5
"""Of a pixel's colour, where the body is drawn."""
OUTLINE = (230, 30, 30)


def make_page(root: Path, findings: Sequence[Finding], compared: Sequence[Compared],
              commands: Mapping[str, str] | None = None) -> Path:
    """Write the page and its pictures.

    Args:
        root: the dataroot.
        findings: on it, the worst first.
        compared: photographs, with how well the body lies over the person.
        commands: what can be done next, `then` to its command.

    Returns:
        the page.
    """
    folder, page = root / "prepare", Page(f"{root.resolve().name}: an actor")
    page.add_header("What to look out for")
    if findings:
        page.add_table(("", "what", "means"), [(WORDS[f.severity], f.text, MEANING[f.severity]) for f in findings])
    else:
        page.add_text("Nothing found.")
    add_commands(page, commands or {})
    with folder_filled_atomically(folder) as temporary:
        if compared:
            page.add_header("The posed body over the photographs")
            page.add_text("Coloured: the body in the pose of the frame, as the camera would see it; red: its outline. "
                          "It must lie under the person's clothes, limb by limb, in every picture. One camera that is "
                          "wrong everywhere: its matrices. All in the same way: axes or units. All, more so where the "
                          "person moves: numbers of frames. The worst come first; 1 would be the same outline.")
            media = []
            for entry in sorted(compared, key=lambda entry: entry.overlap)[:MOST_PICTURES]:
                name = f"pictures/frame_{entry.frame:06d}_camera_{entry.camera:04d}.png"
                write_png(temporary / name, drawn_over(root, entry))
                camera = camera_files(root)[entry.camera][1].stem
                media.append(Media(name, f"frame {entry.frame}, camera {camera}", f"overlap {entry.overlap:.2f}"))
            page.add_images(media, WIDTH)
            page.add_header("Cameras and frames, the worst first")
            for kind, title in (("camera", "camera"), ("frame", "frame")):
                means = {key: np.mean([e.overlap for e in compared if getattr(e, kind) == key])
                         for key in {getattr(e, kind) for e in compared}}
                page.add_table((title, "overlap"), [(str(key), f"{means[key]:.3f}")
                                                    for key in sorted(means, key=lambda key: means[key])])
            write_png(temporary / "pictures/seen.png", picture_of_seen(root))
            page.add_header("What photographs show")
            page.add_text("The body at rest, from the front and from behind. Red is in no photograph: its colours are "
                          "guessed, so views from there cannot be right.")
            page.add_images([Media("pictures/seen.png", "front, back")], 2 * WIDTH)
        maps = [Media(f"../{kind}/{path.name}", f"{kind}, frame {number}") for kind in ("tex", "normal")
                for number, path in _first_and_last(root / kind)]
        if maps:
            page.add_header("Maps")
            page.add_images(maps, WIDTH)
        page.save(temporary / "index.html")
    return folder / "index.html"


def _first_and_last(folder: Path) -> list[tuple[int, Path]]:
    if not any(folder.glob("*.png")):
        return []
    files = sorted(by_number(folder, "*.png").items())
    return files[:1] + files[-1:] if len(files) > 1 else files


def drawn_over(root: Path, entry: Compared) -> np.ndarray:
    """A photograph with the posed body over it, uint8 [H, W, 3]."""
    body = read_body(root)
    pose = read_pose(by_number(root / "transform", "*.json")[entry.frame], body.weights.shape[1])
    vertices, faces = world_vertices(body, pose).numpy(), body.faces.numpy()
    intrinsics, camera_to_world = (matrix.numpy() for matrix in read_cameras(root)[entry.camera])
    rgba = read_image(entry.picture, "RGBA")
    alpha = rgba[..., 3:] / 255
    whole = (rgba[..., :3] * alpha + checkerboard(rgba.shape[1::-1]) * (1 - alpha)).astype(np.float32)
    scale = DRAWN_HEIGHT / whole.shape[0]
    picture = np.asarray(cv2.resize(whole, None, fx=scale, fy=scale,
                                    interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
    pixels, depth = projected(vertices, intrinsics, camera_to_world)
    raster = rasterised(((pixels + 0.5) * scale - 0.5)[faces], picture.shape[:2], depth[faces])
    covered = raster.face >= 0
    normals = normals_of_vertices(vertices, faces)[faces].mean(1)[raster.face]
    shown = np.where(covered[..., None], (1 - BODY_SHARE) * picture + BODY_SHARE * 255 * (normals / 2 + 0.5), picture)
    drawn = np.ascontiguousarray(shown.clip(0, 255).astype(np.uint8))
    outline = cv2.findContours(covered.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    cv2.drawContours(drawn, outline, -1, OUTLINE, 1, cv2.LINE_AA)
    return drawn
