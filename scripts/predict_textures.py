"""Predict an actor's textures from its poses, and render it with them: the whole chain.

    python scripts/predict_textures.py --dataroot datasets/marc/training --target datasets/marc/testing \\
        --name marc_textures --renderer marc --ngf 64 --n_epochs 40

Makes the normal maps of both; trains --model vid2vid to make tex/ of normal/ (options that are not listed here are
those of train.py; where the run has been begun, it goes on); writes TARGET/tex_predicted/; and, with --renderer,
renders with the textures in there, into results/RENDERER/. The same command goes on after an interruption.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import test as test_program  # noqa: E402
import train  # noqa: E402
from data.actor_files import by_number  # noqa: E402
from scripts import make_normal_maps  # noqa: E402
from util.command_line import OneLineParser, folder_name  # noqa: E402
from util.errors import UserError, reported_in_one_line  # noqa: E402
from util.files import written_atomically  # noqa: E402
from util.images import image_size  # noqa: E402

PREDICTED = "tex_predicted"


def main(argv: list[str] | None = None) -> None:
    """Normal maps, training, textures, pictures."""
    parser = OneLineParser(description=__doc__.splitlines()[0] + " Other options are those of train.py.")
    parser.add_argument("--dataroot", type=Path, required=True, metavar="DIR", help="to train on: has tex/")
    parser.add_argument("--target", type=Path, metavar="DIR",
                        help="whose textures are predicted: has transform/ (default: DATAROOT)")
    parser.add_argument("--name", type=folder_name, required=True, metavar="NAME", help="of the predictor's run")
    parser.add_argument("--renderer", type=folder_name, metavar="NAME",
                        help="run of --model neural_actor to render with (default: textures only)")
    parser.add_argument("--output_path", metavar="NAME", default=PREDICTED,
                        help="folder in TARGET that textures are written to")
    parser.add_argument("--checkpoints_dir", default="./checkpoints", metavar="DIR", help="folder of all runs")
    parser.add_argument("--results_dir", default="./results/", metavar="DIR", help="folder of all results")
    parser.add_argument("--gpu_ids", metavar="IDS", help="as of train.py and test.py")
    opt, training = parser.parse_known_args(argv)
    target = opt.target or opt.dataroot
    textures = by_number(opt.dataroot / "tex", "*.png")
    side = image_size(next(iter(textures.values())))[0]
    for root in dict.fromkeys((opt.dataroot, target)):
        if (root / "transform").is_dir():
            body = root if (root / "canonical.obj").exists() else opt.dataroot
            make_normal_maps.main(["--dataroot", str(body), "--joint_data", str(root / "transform"), "--output_path",
                                   str(root / "normal"), "--tex_resolution", str(side)])
        elif not (root / "normal").is_dir():
            raise UserError(f"{root}: neither transform/ nor normal/; expected an actor's dataroot")
    everywhere = ["--checkpoints_dir", opt.checkpoints_dir, *(["--gpu_ids", opt.gpu_ids] if opt.gpu_ids else [])]
    begun = (Path(opt.checkpoints_dir) / opt.name / "latest_state.pth").exists()
    train.main(["--model", "vid2vid", "--dataset_mode", "texture", "--dataroot", str(opt.dataroot), "--name", opt.name,
                *everywhere, *training, *(["--continue_train"] if begun else [])])
    exporting = ["--results_dir", opt.results_dir, *everywhere]
    test_program.main(["--name", opt.name, "--dataroot", str(target), "--how_many", "inf", *exporting])
    take_textures(Path(opt.results_dir) / opt.name / "test_latest", target / opt.output_path)
    if opt.renderer:
        test_program.main(["--name", opt.renderer, "--dataroot", str(target), "--load_tex_name", opt.output_path,
                           *exporting])


def take_textures(results: Path, folder: Path) -> None:
    """Copy what was predicted to where the renderer looks for it."""
    made = sorted(results.glob("fake_B_*.png"))
    for path in made:
        with written_atomically(folder / path.name.removeprefix("fake_B_")) as temporary:
            shutil.copyfile(path, temporary)
    print(f"{folder}: {len(made)} textures predicted")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
