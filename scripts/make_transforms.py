"""Make an actor's transform files, and its body, from fits of SMPL by EasyMocap.

    python scripts/make_transforms.py --fits output/smpl --body_model SMPL_NEUTRAL.pkl --texuv smpl_uv.obj \\
        --dataroot datasets/me

The model is yours: register at smpl.is.tue.mpg.de. FITS holds a JSON file for each frame with poses, shapes, Rh and Th.
Writes transform/, canonical.obj, skinning_weight.txt, transform_tpose.json and, from --texuv (a mesh of the same faces
with texture coordinates), uvmapping.obj. Files that are there stay.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from preparation.body_fits import SAME_SHAPE, read_fits, write_actor  # noqa: E402
from util.command_line import OneLineParser  # noqa: E402
from util.errors import UserError, reported_in_one_line  # noqa: E402
from util.files import written_atomically  # noqa: E402
from vision.people.body_files import read_body, read_obj  # noqa: E402
from vision.people.body_model import read_body_model  # noqa: E402


def main(argv: list[str] | None = None) -> None:
    """Read model and fits, and write what Neural Actor reads."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=Path, required=True, metavar="DIR", help="folder of EasyMocap's JSON files")
    parser.add_argument("--body_model", type=Path, required=True, metavar="FILE", help="SMPL's .pkl or .npz")
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--texuv", type=Path, metavar="FILE",
                        help="mesh (.obj) with the model's faces in the same order, and texture coordinates")
    parser.add_argument("--person", type=int, metavar="ID", help="whose fits, where files hold several people's")
    parser.add_argument("--overwrite", action="store_true", help="make the files anew that are there")
    opt = parser.parse_args(argv)
    model = read_body_model(opt.body_model)
    fits = read_fits(opt.fits, len(model.parents), opt.person)
    if opt.texuv is not None and (read_obj(opt.texuv)[1].shape != model.faces.shape
                                  or (read_obj(opt.texuv)[1] != model.faces).any()):
        raise UserError(f"{opt.texuv}: its faces are not those of {opt.body_model}; expected the same faces in the "
                        "same order, corner by corner")
    written, differ = write_actor(model, fits, opt.dataroot, opt.overwrite)
    if opt.texuv is not None and (opt.overwrite or not (opt.dataroot / "uvmapping.obj").exists()):
        with written_atomically(opt.dataroot / "uvmapping.obj") as temporary:
            shutil.copyfile(opt.texuv, temporary)
    print(f"{opt.dataroot / 'transform'}: {written} transform files made, {len(fits) - written} were there")
    turned = sum(fit.about_root for fit in fits.values())
    if turned:
        print(f"note: in {turned} fits Rh is 0 and poses turn the root: read as SMPL's global_orient and transl, about "
              "the pelvis, not as EasyMocap's Rh and Th, about the origin")
    if differ > SAME_SHAPE:
        print(f"note: shapes differ by up to {differ:.2g} between frames; the mean is taken. Fit one shape for all")
    if (opt.dataroot / "uvmapping.obj").exists():
        read_body(opt.dataroot)
    else:
        print(f"next: put a mesh with texture coordinates there as {opt.dataroot / 'uvmapping.obj'}, or give --texuv")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
