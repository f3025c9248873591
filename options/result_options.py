"""Options of the programs that read what was exported, evaluate.py and retime.py."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from options.saved import SAVED_OPTIONS, saved_options
from util.command_line import folder_name
from util.errors import UserError


def add_result_options(parser: ArgumentParser) -> None:
    """Add the options that say which layers, of which clip."""
    group = parser.add_argument_group("layers")
    group.add_argument("--name", type=folder_name, metavar="NAME",
                       help="a run: its layers in RESULTS_DIR/NAME/PHASE_EPOCH, as test.py exported them")
    group.add_argument("--results_dir", type=Path, default=Path("results"), metavar="DIR",
                       help="folder of all results (default: ./results)")
    group.add_argument("--checkpoints_dir", type=Path, default=Path("checkpoints"), metavar="DIR",
                       help="folder of all runs (default: ./checkpoints)")
    group.add_argument("--phase", type=folder_name, default="test", metavar="NAME", help="see --name (default: test)")
    group.add_argument("--epoch", type=folder_name, default="latest", metavar="EPOCH",
                       help="see --name (default: latest)")
    group.add_argument("--layers", type=Path, metavar="DIR",
                       help="instead of --name: any folder of layers, exported ones or a gt folder")
    group.add_argument("--dataroot", type=Path, metavar="DIR", help="the clip (default: what NAME was trained on)")


def resolve_result_options(opt: Namespace) -> dict:
    """Fill in `layers` and `dataroot`, whichever way they were given.

    Returns:
        the options that the run was trained with; none with --layers.

    Raises:
        UserError: neither or both of --name and --layers, or the clip is not known.
    """
    if (opt.name is None) == (opt.layers is None):
        raise UserError("--name: give the name of a run, or a folder of layers with --layers DIR (one of the two)")
    training = saved_options(opt.checkpoints_dir / opt.name) if opt.name else {}
    opt.layers = opt.layers or opt.results_dir / opt.name / f"{opt.phase}_{opt.epoch}"
    if opt.dataroot is None and (opt.layers / "metadata.json").exists():  # layers of frames that were made with them
        opt.dataroot = opt.layers
    if opt.dataroot is None and "dataroot" not in training:
        saved = f" ({opt.checkpoints_dir / opt.name / SAVED_OPTIONS} does not say it)" if opt.name else ""
        raise UserError(f"--dataroot: missing{saved}; give the folder of the clip that the layers were made from")
    opt.dataroot = opt.dataroot or Path(training["dataroot"])
    return training


def result_arguments(opt: Namespace) -> list[str]:
    """The arguments by which evaluate.py and retime.py find what test.py exported with its options `opt`."""
    parser = ArgumentParser()
    add_result_options(parser)
    found = ["--name", opt.name]
    for option in ("results_dir", "checkpoints_dir", "phase", "epoch"):
        value = getattr(opt, option)
        if Path(value) != Path(parser.get_default(option)):
            found += [f"--{option}", str(value)]
    trained = saved_options(Path(opt.checkpoints_dir) / opt.name)
    if opt.dataroot != trained.get("dataroot"):
        found += ["--dataroot", str(opt.dataroot)]
    return found


def add_picture_options(parser: ArgumentParser) -> None:
    """Add the options that say which pictures are compared with which, instead of layers."""
    group = parser.add_argument_group("pictures, instead of layers")
    group.add_argument("--targets", type=Path, metavar="DIR",
                       help="what the pictures of --images, or of the export of --name, should look like; matched by "
                            "name, also in folders within it: a/0001.png with a/0001.jpg")
    group.add_argument("--images", type=Path, metavar="DIR", help="instead of --name: any folder of pictures")
    group.add_argument("--image_names", type=file_names, metavar="NAMES",
                       help="measure only files called so, without ending; * is what targets are called too, such as "
                            "'fake_B_*' (default: *)")
    group.add_argument("--target_names", type=file_names, metavar="NAMES",
                       help="the same for targets; without --targets these are in the folder of the pictures")
    group.add_argument("--only_common", action="store_true",
                       help="leave out pictures without target and targets without picture")
    group.add_argument("--masks", type=Path, metavar="DIR",
                       help="measure only where these pictures are white, one of the name of each target")
    group.add_argument("--crop", type=height_and_width, metavar="HxW",
                       help="measure only a part of this size round what is not white in each target, as Neural "
                            "Actor's scores are; targets that are all white are left out")


def height_and_width(text: str) -> tuple[int, int]:
    """An argparse type: HxW, also H,W."""
    sides = text.replace("x", ",").split(",")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ArgumentTypeError(f"found '{text[:60]}'; expected height and width, such as 512x384")
    return int(sides[0]), int(sides[1])


def file_names(text: str) -> str:
    """An argparse type: how files are called, with one `*`."""
    if text.count("*") != 1 or "/" in text:
        raise ArgumentTypeError(f"found '{text[:60]}'; expected one *, for what pictures and targets share: fake_B_*")
    return text


def pictures_are_meant(opt: Namespace) -> bool:
    """Whether one of the options for pictures is given."""
    return any((opt.targets, opt.images, opt.image_names, opt.target_names, opt.only_common,
                opt.crop, opt.masks))


def resolve_picture_options(opt: Namespace) -> dict:
    """Fill in `images`, `targets` and both names, whichever way they were given.

    Returns:
        the options that the run was trained with; none with --images.

    Raises:
        UserError: neither or both of --name and --images, no targets, or an option for layers.
    """
    for option in ("layers", "dataroot"):
        if getattr(opt, option) is not None:
            raise UserError(f"--{option}: found with pictures; it belongs to layers. Leave it out, or give neither "
                            "--images nor --targets")
    if opt.masks is not None and opt.crop is not None:
        raise UserError("--masks: found with --crop; expected one of them")
    if (opt.name is None) == (opt.images is None):
        raise UserError("--images: give a folder of pictures, or the name of a run with --name NAME (one of the two)")
    training = saved_options(opt.checkpoints_dir / opt.name) if opt.name else {}
    if opt.images is None:
        opt.images = opt.results_dir / opt.name / f"{opt.phase}_{opt.epoch}"
    if opt.targets is None and opt.target_names is None:
        raise UserError("--targets: missing; give the folder of what the pictures should look like")
    opt.targets = opt.targets or opt.images
    opt.image_names, opt.target_names = opt.image_names or "*", opt.target_names or "*"
    return training
