"""Show the layers of a clip at other times, and composite them again.

    python retime.py --name my_run --freeze 2:30-60 --out retimed.mp4
    python retime.py --name my_run --serve

What an edit can say is in docs/retiming.md.
"""

import json
import sys
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from retiming.compositor import Compositor
from retiming.edit import TRANSPARENT, Edit, edit_from_values
from retiming.editor.page import write_page
from retiming.editor.server import Session, serve
from retiming.rendering import render
from retiming.short_forms import parse, read_edit
from util.checked_json import dotted
from util.errors import UserError, reported_in_one_line
from util.files import write_text


def main() -> None:
    """Read the edit, render it or open the editor, and say where the result is."""
    opt = parse()
    compositor = Compositor(LayerFolder.open(opt.layers), Dataroot.open(opt.dataroot))
    edit, values = read_edit(opt, compositor.facts)
    for warning in edit.warnings:
        warn(warning)
    if opt.serve or opt.page:
        edit_in_browser(opt, compositor, values)
        return
    if opt.layer is not None:
        edit = alone(edit, opt.layer, compositor)
    for warning in render(compositor, edit, opt.out, partial(tqdm, desc="retime", unit="frame")):
        warn(warning)
    if opt.save_edit is not None:
        write_text(opt.save_edit, json.dumps(values, indent=2, default=str) + "\n")
    print(f"retimed video: {opt.out}")


def edit_in_browser(opt: Namespace, compositor: Compositor, values: dict) -> None:
    """Serve the editor, or write it as one page."""
    name = opt.name or Path(opt.dataroot).resolve().name
    folder = Path(opt.results_dir) / name / "retimed"
    values = json.loads(json.dumps(values, default=str))
    edit_from_values(values, compositor.facts, dotted, folder)  # a background must be in this folder here
    if opt.page:
        write_page(opt.page, compositor, name, values, folder)
        print(f"editor: {opt.page}")
    else:
        serve(Session(compositor, name, values, folder), opt.port,
              lambda address: print(f"editor: {address}  (results: {folder}; Ctrl-C ends it)", flush=True))


def alone(edit: Edit, layer: int, compositor: Compositor) -> Edit:
    """The edit with one layer alone: with alpha, but for the background."""
    if layer == 0:
        return replace(edit, shown=())
    if layer not in compositor.facts.layers:
        raise UserError(f"--layer {layer}: no such layer; expected one of {list(compositor.facts.layers)}, or 0 for "
                        "the background")
    return replace(edit, shown=tuple(shown for shown in edit.shown if shown.layer == layer), replacement=TRANSPARENT)


def warn(text: str) -> None:
    """Tell what is probably not meant, in one line."""
    print(f"warning: {text}", file=sys.stderr)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
