"""The page that shows a dataroot: <dataroot>/prepare/index.html.

A contact sheet with skeletons, numbers of people, masks and UV maps, the registered panorama, and what to look out for.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import matplotlib
import matplotlib.figure
import numpy as np

from data.dataroot import list_images, read_homographies
from data.masks import mask_files, read_mask
from data.tracked_poses import read_poses
from preparation.steps import METADATA, Finding, Outcome, read_values
from util.clips import evenly_spread
from util.files import folder_filled_atomically
from util.html import Media, Page
from util.images import read_image, write_png
from vision.geometry.canvas import Canvas
from vision.geometry.homography import Registration
from vision.people.iuv import is_body
from vision.people.keypoints import overlay_skeleton

MOST_FRAMES, MOST_IN_PANORAMA = 12, 9
WIDTH, PANORAMA_WIDTH = 360, 1180
WORDS = ("note", "warning", "WARNING", "ERROR")
MEANING = ("good to know", "may cost quality", "layers will be visibly wrong", "training cannot run")
NEXT = {"correct": "Correct who is who, who belongs to the clip, and the masks, in the browser:",
        "then": "When all is well:"}
_COLOURS = (matplotlib.colormaps["tab10"](np.arange(10))[:, :3] * 255).astype(int).tolist()


def make_page(root: Path, outcomes: dict[str, Outcome], findings: list[Finding],
              commands: Mapping[str, str] | None = None) -> Path:
    """Write the page and its pictures.

    Args:
        root: the dataroot, with rgb_256 at least.
        outcomes: what each step said.
        findings: on the clip, the worst first.
        commands: what can be done next, `correct` and `then` to their commands.

    Returns:
        the page.
    """
    folder = root / "prepare"
    page = Page(f"{root.resolve().name}: prepared")
    page.add_header("What to look out for")
    if findings:
        page.add_table(("", "what", "means"), [(WORDS[f.severity], f.text, MEANING[f.severity]) for f in findings])
    else:
        page.add_text("Nothing found.")
    add_commands(page, commands or {})
    page.add_header("Steps")
    page.add_table(("step", "result"), [(name, outcome.summary) for name, outcome in outcomes.items()])
    with folder_filled_atomically(folder) as temporary:
        frames = list(list_images(root / "rgb_256"))
        chosen = [frames[i] for i in evenly_spread(len(frames), MOST_FRAMES)]
        page.add_header("Frames, people and UV maps")
        page.add_text("Skeletons and numbers of people; outlines are masks. Each number must stay with one person, and "
                      "each person needs a UV map wherever they are seen.")
        names = read_values(root / METADATA).get("people_names")
        if isinstance(names, dict) and names:
            page.add_text(", ".join(f"{number} is {name}" for number, name in names.items()) + ".")
        media = []
        for name, pixels in contact_sheet(root, chosen):
            write_png(temporary / "pictures" / f"{name}.png", pixels)
            media.append(Media(f"pictures/{name}.png", name))
        page.add_images(media, WIDTH)
        if (root / "homographies.txt").exists():
            page.add_header("The registered panorama")
            page.add_text("The median of frames from all over the clip, put where homographies.txt says. Lines that "
                          "are doubled or broken are registered wrongly; people should be gone, or ghosts.")
            write_png(temporary / "pictures" / "panorama.png", panorama(root, frames))
            page.add_images([Media("pictures/panorama.png", "panorama")], PANORAMA_WIDTH)
        if outcomes["camera"].report.get("residual_px"):
            page.add_drawings([(residual_plot(outcomes["camera"].report), "registration", "by frame")], PANORAMA_WIDTH)
        page.save(temporary / "index.html")
    return folder / "index.html"


def add_commands(page: Page, commands: Mapping[str, str]) -> None:
    """Add what can be done next, `correct` and `then` to their commands."""
    if commands:
        page.add_header("Next")
    for name, command in commands.items():
        page.add_command(NEXT[name], command)


def contact_sheet(root: Path, names: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """For each frame its name, and the frame with skeletons and masks above its UV maps."""
    files = list_images(root / "rgb_256")
    values = read_values(root / METADATA)
    pose_width, pose_height = values.get("alphapose_input_size", (None, None))
    poses = read_poses(root / "keypoints.json") if pose_width and (root / "keypoints.json").exists() else {}
    masks = mask_files(root)
    layers = [list_images(folder) for folder in sorted((root / "iuv").glob("*")) if folder.is_dir()]
    for name in names:
        drawn = read_image(files[name], "RGB").copy()
        height, width = drawn.shape[:2]
        for number, of_layer in masks.items():
            if name in of_layer:
                outline = cv2.findContours(read_mask(of_layer[name], (width, height)).astype(np.uint8),
                                           cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
                cv2.drawContours(drawn, outline, -1, colour(number), 1, cv2.LINE_AA)
        for pose in poses.get(name, []):
            overlay_skeleton(drawn, pose.keypoints * np.array([width / pose_width, height / pose_height, 1]),
                             str(pose.person), colour(pose.person))
        rows = [drawn]
        if layers:
            uv = np.full_like(drawn, 40)
            for of_layer in layers:
                if name in of_layer:
                    iuv = read_image(of_layer[name], "RGBA")
                    uv = np.where(is_body(iuv)[..., None], iuv[..., :3], uv)
            rows.append(uv)
        yield name, np.concatenate(rows)


def colour(person: int) -> tuple[int, int, int]:
    """The colour of a person or layer."""
    return tuple(_COLOURS[(person - 1) % len(_COLOURS)])


def panorama(root: Path, frames: list[str]) -> np.ndarray:
    """The median of some frames put into the panorama, RGB; frames' own edges are not drawn."""
    registration = read_homographies(root / "homographies.txt")
    files = list_images(root / "rgb_256")
    pictures = {index: read_image(files[frames[index]], "RGBA")
                for index in evenly_spread(min(len(frames), len(registration.matrices)), MOST_IN_PANORAMA)}
    canvas = panorama_canvas(registration, pictures[0].shape[1::-1])
    placed = [canvas.lay(pixels, index, around=cv2.BORDER_CONSTANT) for index, pixels in pictures.items()]
    stack = np.stack(placed).astype(np.float32)
    stack[stack[..., 3] < 255] = np.nan
    covered = ~np.isnan(stack[..., 0]).all(axis=0)
    picture = np.full((*covered.shape, 3), 255, np.uint8)
    picture[covered] = np.nanmedian(stack[:, covered, :3], axis=0).astype(np.uint8)
    return picture


def panorama_canvas(registration: Registration, frame_size: tuple[int, int]) -> Canvas:
    """Where frames of (width, height) lie on the picture of the panorama, which fills the page."""
    return Canvas.of(registration, frame_size, np.inf, PANORAMA_WIDTH)


def residual_plot(report: dict) -> str:
    """Residual and unexplained share of the camera step by frame, as SVG."""
    figure = matplotlib.figure.Figure(figsize=(11, 2.2), layout="constrained")
    left = figure.subplots()
    left.plot([np.nan if r is None else r for r in report["residual_px"]], color="C0")
    left.set(xlabel="frame", ylim=(0, None))
    left.set_ylabel("residual, px", color="C0")
    right = left.twinx()
    right.plot([100 * share for share in report["unexplained"]], color="C3", linewidth=1)
    right.set_ylim(0, max(20, 110 * max(report["unexplained"])))
    right.set_ylabel("unexplained, %", color="C3")
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    return text.getvalue()
