"""The layers of an edit, each as files of its own, for programs in which people finish their shots.

Retimed layers are baked: whatever the edit does to a layer is in its pictures, and putting them one over the other
gives the retimed video. In which order they lie over each other, frame by frame, is in layers.json and in the timeline.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from retiming.compositor import Compositor
from retiming.edit import LIMITS, TRANSPARENT, Curve, Edit, LayerInstance
from retiming.groups import Group, groups_of
from retiming.project_files import write_project_files
from retiming.rendering import displayed_size, in_order
from retiming.timelines import Sequence, baked_timeline, library, source_timeline, write_timeline
from util.errors import UserError
from util.files import results_added
from util.images import png
from util.video import PRIMARIES, VideoWriter
from util.video import linear_light as linear
from vision.layers.patches import resized, to_straight

FORMATS = tuple(LIMITS["layer_formats"])
EXR_COMPRESSIONS = ("zip", "zips", "piz", "rle", "none", "dwaa")
BACKGROUND = "background"


def write_layers(compositor: Compositor, edit: Edit, folder: Path, form: str = "png", apart: bool = False,
                 values: dict | None = None,
                 progress: Callable[[range], Iterable[int]] = lambda outputs: outputs,
                 compression: str = "zip") -> list[str]:
    """Write all layers of an edit, a timeline of them, and one of the layers as they were filmed.

    Args:
        compositor: the layers.
        edit: made for `compositor.facts`.
        folder: to fill: `person1/person1.0001.png` and the like (form png), `person1.mov` (mov, ProRes 4444), or
            `layers.0001.exr` with all layers in it (exr: half floats of linear light, premultiplied; the composite is
            the plain R, G, B, A); `layers.json`; `retimed.otio`, `source.otio`; what opens them in other programs
            (`project_files`).
        form: one of `FORMATS`.
        apart: shadows, reflections and whatever else is not the person are layers of their own, `person1_effects`.
        values: the same edit as the values of an edit file, which timelines have in them with its events and markers.
        progress: goes through the output frames.
        compression: of form exr, one of `EXR_COMPRESSIONS`.

    Returns:
        warnings, a line each.

    Raises:
        UserError: a library is missing, or it is not known where the person is in a layer.
    """
    library()  # missing: before the work
    groups, outputs = groups_of(edit, compositor.facts.people_layers), range(edit.first, edit.last + 1)
    names = [BACKGROUND] * (edit.replacement != TRANSPARENT)
    names += spread([group.name for group in groups], apart)
    metadata = compositor.root.metadata
    shown = displayed_size(compositor.size, metadata.original_size)

    def pictures(output: int) -> dict[str, np.ndarray]:
        made = layer_pictures(compositor, edit, groups, output, apart)
        return made if shown == compositor.size else {name: resized(pixels, shown) for name, pixels in made.items()}

    described = [[name for name in (BACKGROUND, *spread(depth_order(compositor, edit, groups, output), apart))
                  if name in names] for output in outputs]
    with results_added(folder, "retime", own=False) as temporary, ExitStack() as stack:
        put = writer(form, temporary, names, metadata.frame_rate, stack, compression)
        for made, output in zip(in_order(pictures, outputs, progress), outputs):
            put(output + 1, {name: made[name] for name in described[output - edit.first]})
        sequences = {name: Sequence(name, form, edit.first + 1, len(outputs)) for name in names}
        facts = {"frame_rate": str(metadata.frame_rate), "size": list(shown), "first": edit.first + 1,
                 "last": edit.last + 1, "composited": "over, in the coded values (not in linear light), back to front",
                 "files": {name: file_pattern(form, name) for name in names},
                 "sound": str(Path(metadata.audio).resolve()) if metadata.audio else None,
                 "order": order_keys(described, edit.first)}
        (temporary / "layers.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        if form != "exr":
            write_project_files(temporary, facts)
            write_timeline(temporary / "retimed.otio", baked_timeline(
                sequences, described, metadata.frame_rate, metadata.audio, edit, groups, values or {}))
        write_timeline(temporary / "source.otio", source_timeline(
            compositor, edit, groups, metadata.frame_rate, metadata.audio, values or {}))
    return compositor.warnings


def file_pattern(form: str, name: str) -> str:
    """The files of a layer in their folder, `####` for the number of the output frame."""
    return {"png": f"{name}/{name}.####.png", "mov": f"{name}.mov", "exr": "layers.####.exr"}[form]


def writer(form: str, folder: Path, names: list[str], rate: Fraction, stack: ExitStack,
           compression: str) -> Callable[[int, dict[str, np.ndarray]], None]:
    """What writes an output frame, given its number from 1 and its layers by name, back to front.

    Args:
        form: one of `FORMATS`.
        folder: where.
        names: of all layers.
        rate: frames per second.
        stack: closes what stays open until the end.
        compression: of form exr.
    """
    def put_pictures(number: int, made: dict[str, np.ndarray]) -> None:
        for name, pixels in made.items():
            (folder / name / f"{name}.{number:04d}.png").write_bytes(png(pixels, compression=None))

    def put_layered(number: int, made: dict[str, np.ndarray]) -> None:
        write_layered_exr(folder / f"layers.{number:04d}.exr", made, rate, compression)

    if form == "exr":
        return put_layered
    if form == "png":
        for name in names:
            (folder / name).mkdir()
        return put_pictures
    videos = {name: stack.enter_context(closing(VideoWriter(folder / f"{name}.mov", rate))) for name in names}

    def put_frames(_: int, made: dict[str, np.ndarray]) -> None:
        for name, pixels in made.items():
            videos[name].add(pixels)

    return put_frames


def layer_pictures(compositor: Compositor, edit: Edit, groups: list[Group], output: int,
                   apart: bool) -> dict[str, np.ndarray]:
    """The layers of an output frame by name: the background RGB [H, W, 3], others straight RGBA [H, W, 4]; uint8, or
    uint16 where the compositor is deep."""
    made = {}
    if edit.replacement != TRANSPARENT:
        made[BACKGROUND] = compositor.over_background(edit, output, [])
    for group in groups:
        whole = canvas_of(compositor, edit, group.instances, output)
        if apart:
            nobody = tuple(replace(one, effects=Curve((0.0,), (0.0,))) for one in group.instances)
            person = canvas_of(compositor, edit, nobody, output)
            made[f"{group.name}_effects"] = to_straight(behind(whole, person), compositor.deep)
            whole = person
        made[group.name] = to_straight(whole, compositor.deep)
    return made


def canvas_of(compositor: Compositor, edit: Edit, instances: tuple[LayerInstance, ...], output: int) -> np.ndarray:
    """Some instances alone, over nothing: premultiplied float32 [4, H, W] (see `Compositor.canvas`)."""
    alone = replace(edit, instances=instances, replacement=TRANSPARENT)
    return compositor.canvas(alone, output, compositor.patches(alone, output))


def behind(whole: np.ndarray, front: np.ndarray) -> np.ndarray:
    """What has to lie behind `front` so that both together give `whole`; premultiplied [4, H, W] all of them."""
    left = np.maximum(whole - front, 0) / np.maximum(1 - front[3], 1e-6)
    left[3] = left[3].clip(0, 1)
    left[:3] = np.minimum(left[:3], 255 * left[3])
    return left


def depth_order(compositor: Compositor, edit: Edit, groups: list[Group], output: int) -> list[str]:
    """Names of the groups of an output frame, back to front; those that show nothing come first."""
    ends = np.cumsum([len(group.instances) for group in groups])
    drawn = [groups[int(np.searchsorted(ends, draw.instance, side="right"))].name
             for draw in compositor.draws(edit, output)]
    order = list(dict.fromkeys(drawn))
    return [group.name for group in groups if group.name not in order] + order


def spread(order: list[str], apart: bool) -> list[str]:
    """An order of groups as that of their files: effects lie behind their person."""
    return [name for group in order for name in (f"{group}_effects", group)[0 if apart else 1:]]


def order_keys(orders: list[list[str]], first: int) -> list[list]:
    """Orders by frame as [[output frame from 1, layers back to front], ...], each from its frame on."""
    return [[first + index + 1, order] for index, order in enumerate(orders) if not index or order != orders[index - 1]]


def write_layered_exr(path: Path, layers: dict[str, np.ndarray], rate: Fraction, compression: str = "zip") -> None:
    """Write one picture with all layers in it.

    Args:
        path: the file.
        layers: by name, back to front, RGB or straight RGBA of uint8 or uint16 as sRGB codes it.
        rate: frames per second, for the header.
        compression: one of `EXR_COMPRESSIONS`.

    Raises:
        UserError: the library OpenEXR is missing.
    """
    try:
        import OpenEXR
    except ImportError:
        raise UserError("--layers_format exr: the library OpenEXR is missing. Install it: pip install OpenEXR"
                        ) from None
    channels, composite = {}, None
    for name, pixels in layers.items():
        if pixels.dtype == np.uint16:
            pixels = pixels * np.float32(255 / 65535)
        straight = pixels if pixels.shape[2] == 4 else np.dstack([pixels, np.full_like(pixels[..., :1], 255)])
        alpha = straight[..., 3:].astype(np.float32) / 255
        channels[name] = np.concatenate([linear(straight[..., :3]) * alpha, alpha], axis=2).astype(np.float16)
        coded = np.concatenate([straight[..., :3] * alpha, alpha], axis=2)  # layers are put together as video is coded
        composite = coded if composite is None else coded + (1 - alpha) * composite
    if composite is not None:
        alpha = composite[..., 3:]
        colours = (composite[..., :3] / np.maximum(alpha, 1e-6)).clip(0, 255)
        channels = {"RGBA": np.concatenate([linear(colours) * alpha, alpha], axis=2).astype(np.float16), **channels}
    kind = getattr(OpenEXR, f"{'no' if compression == 'none' else compression}_COMPRESSION".upper())
    header = {"compression": kind, "type": OpenEXR.scanlineimage, "framesPerSecond": rate,
              "chromaticities": PRIMARIES}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))
