"""Show the layers of a clip at other times, and composite them again.

    python retime.py --name my_run --freeze 2:30-60 --out retimed.mp4
    python retime.py --name my_run --serve

What an edit can say is in docs/layered_video/retiming.md.
"""

import argparse
import json
import sys
from argparse import Action, ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from data.dataroot import Dataroot
from data.layer_folder import LayerFolder
from options.result_options import add_result_options, resolve_result_options
from retiming.compositor import DEEP_FILES, Compositor
from retiming.edit import ClipFacts, Edit, alone, edit_from_values
from retiming.editor.page import write_page
from retiming.editor.server import Session, serve
from retiming.layer_files import EXR_COMPRESSIONS, write_layers
from retiming.layer_files import FORMATS as LAYER_FORMATS
from retiming.rendering import picture_files, render
from retiming.short_forms import SHORT_FORMS, edit_with_short_forms
from util.checked_json import LARGEST, dotted
from util.command_line import OneLineParser, int_at_least
from util.errors import UserError, reported_in_one_line, shown
from util.files import read_text, write_text


def main(argv: list[str] | None = None) -> None:
    """Render the edit or open the editor, and say where the result is."""
    opt = parse(argv)
    if opt.serve or opt.page:
        edit_in_browser(opt)
    elif opt.layers_out:
        print(f"retimed layers: {layers_out(opt)}")
    else:
        print(f"retimed video: {retime(opt)}")


def retime(opt: Namespace) -> str:
    """Render the edit; returns where the result is."""
    compositor, edit, values = opened(opt)
    if opt.layer is not None:
        edit = alone(edit, opt.layer, compositor.facts.layers, "--layer")
    for warning in render(compositor, edit, opt.out, partial(tqdm, desc="retime", unit="frame")):
        warn(warning)
    if opt.save_edit is not None:
        write_text(opt.save_edit, json.dumps(values, indent=2, default=str) + "\n")
    return opt.out


def layers_out(opt: Namespace) -> Path:
    """Write the retimed layers, each on its own; returns their folder."""
    compositor, edit, values = opened(opt)
    for warning in write_layers(compositor, edit, opt.layers_out, opt.layers_format, opt.effects_apart,
                                values, partial(tqdm, desc="layers", unit="frame"), opt.exr_compression):
        warn(warning)
    return opt.layers_out


class _Change(Action):
    """Keeps short forms in the order in which they are given: each works on what those before it made."""

    def __call__(self, parser, namespace, values, option_string=None):
        namespace.changes = [*namespace.changes, (self.dest, values)]


def parse(argv: list[str] | None = None) -> Namespace:
    """Parse a command line (default: that of the process).

    Returns:
        the options. `layers` and `dataroot` are folders, whichever way they were given; `changes` are the short forms,
        each (option, text).

    Raises:
        UserError: options are missing, unknown or contradict each other.
    """
    parser = OneLineParser(description="Show the layers of a clip at other times (docs/layered_video/retiming.md).",
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    opt = parser.parse_args(argv)
    resolve_result_options(opt)
    wanted = [option for option in ("out", "layers_out", "page", "serve") if getattr(opt, option)]
    if len(wanted) != 1:
        found = f"--{wanted[1]}: given with --{wanted[0]}" if wanted else "--out: missing"
        raise UserError(f"{found}; expected one of --out PATH, --layers_out DIR, --page FILE.html, --serve")
    for option in ("layer", "save_edit"):
        if opt.out is None and getattr(opt, option) is not None:
            raise UserError(f"--{option}: given with --{wanted[0]}; expected with --out alone")
    return opt


def add_options(parser: ArgumentParser) -> None:
    """Add all options."""
    add_result_options(parser)
    group = parser.add_argument_group("result")
    group.add_argument("--out", metavar="PATH",
                       help="file.mp4, .webm, .mov or .gif; a folder for 0001.png ...; or folder/%%04d.exr")
    group.add_argument("--bits", type=int, choices=(8, 16), default=8,
                       help="of PNG pictures, where the layers have 16 (prepare.py --bits 16); EXR and ProRes keep "
                            "what there is (default: 8)")
    group.add_argument("--layer", type=int_at_least(0), metavar="N",
                       help="write this layer alone, with alpha; 0 is the background")
    group.add_argument("--layers_out", type=Path, metavar="DIR",
                       help="instead of --out: all retimed layers, each as files of its own, and timelines for other "
                            "programs")
    group.add_argument("--layers_format", choices=LAYER_FORMATS, default="png",
                       help="of --layers_out: a folder of PNG for each, a ProRes 4444 video for each, or OpenEXR files "
                            "with all layers in them")
    group.add_argument("--exr_compression", choices=EXR_COMPRESSIONS, default="zip",
                       help="of --layers_format exr: zip (16 rows at once), zips (single rows, faster in Nuke), piz, "
                            "rle, none; or dwaa: small, not exact")
    group.add_argument("--effects_apart", action="store_true",
                       help="of --layers_out: shadows and other effects are layers of their own")
    group.add_argument("--save_edit", type=Path, metavar="FILE", help="write the edit, short forms included")
    group = parser.add_argument_group("editor", "Instead of --out; see the editor in docs/layered_video/retiming.md.")
    group.add_argument("--serve", action="store_true", help="edit in the browser, at an address of this machine")
    group.add_argument("--port", type=int_at_least(0), default=8098, metavar="N",
                       help="of that address; 0 takes a free one")
    group.add_argument("--page", type=Path, metavar="FILE.html",
                       help="write the editor as one page with the layers inside, to be sent to somebody")
    group = parser.add_argument_group("edit", "LAYER is a layer's number, others, background, everybody (all "
                                               "people) or all (the background, too); frames count from 1.")
    group.add_argument("--edit", type=Path, metavar="FILE", help="edit file")
    for option, form in SHORT_FORMS.items():
        group.add_argument(f"--{option}", action=_Change, metavar=form.form,
                           help=f"{form.help} (such as {form.example})".replace("%", "%%"))
    parser.set_defaults(changes=[])


def opened(opt: Namespace) -> tuple[Compositor, Edit, dict]:
    """The layers, ready to be composited, and what `read_edit` gives; warns of what is probably not meant."""
    compositor = Compositor(LayerFolder.open(opt.layers), Dataroot.open(opt.dataroot), keeps_bits(opt))
    edit, values = read_edit(opt, compositor.facts)
    for warning in edit.warnings:
        warn(warning)
    return compositor, edit, values


def keeps_bits(opt: Namespace) -> bool:
    """Whether the result has as many bits as layers have: EXR and ProRes do, PNG where that is asked for."""
    out = opt.out or ""
    ending = opt.layers_format if opt.layers_out else Path(out).suffix[1:].lower()
    pictures = ending == "png" or (out and picture_files(out)[1] is not None)
    return ending in DEEP_FILES or bool(pictures and opt.bits == 16)


def read_edit(opt: Namespace, facts: ClipFacts) -> tuple[Edit, dict]:
    """The edit of the edit file (or its values) and the short forms, and the same as the values of an edit file.

    Raises:
        UserError: a mistake in either.
    """
    if opt.edit is None or isinstance(opt.edit, dict):
        return edit_with_short_forms(json.dumps(opt.edit or {}), "edit", opt.changes, facts, Path())
    try:
        if opt.edit.stat().st_size > 4 * LARGEST:  # bytes of as many characters
            raise UserError(f"--edit {opt.edit}: {opt.edit.stat().st_size} bytes; expected at most {LARGEST} letters")
        text = read_text(opt.edit)
    except ValueError:
        raise UserError(f"--edit {opt.edit}: no text in UTF-8; expected an edit file in JSON, see "
                        "docs/layered_video/retiming.md") from None
    except OSError as error:
        raise UserError(f"--edit {opt.edit}: not readable ({error})") from None
    return edit_with_short_forms(text, str(opt.edit), opt.changes, facts, opt.edit.parent)


def edit_in_browser(opt: Namespace) -> None:
    """Serve the editor, or write it as one page."""
    compositor, _, values = opened(opt)
    name = opt.name or Path(opt.dataroot).resolve().name
    folder = Path(opt.results_dir) / name / "retimed"
    values = json.loads(json.dumps(values, default=str))
    edit_from_values(values, compositor.facts, dotted, folder)  # a background must be in this folder here
    if opt.page:
        write_page(opt.page, compositor, name, values, folder, partial(tqdm, desc="page", unit="frame"))
        print(f"editor: {opt.page}")
    else:
        serve(Session(compositor, name, values, folder), opt.port,
              lambda address: print(f"editor: {address}  (results: {folder}; Ctrl-C ends it)", flush=True))


def warn(text: str) -> None:
    """Tell what is probably not meant, in one line."""
    print(f"warning: {shown(text)}", file=sys.stderr)


if __name__ == "__main__":
    with reported_in_one_line():
        main()
