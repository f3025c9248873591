"""The step "uv": UV maps, iuv/01/0001.png ..., from poses and masks.

A folder per layer of people, an RGBA picture for every frame; a layer whose people are all absent from a frame gets an
empty one. With the published weights (scripts/download_kp2uv_model.sh) the network kp2uv predicts them, else they are
drawn. Masks, where they are used, bound them.
"""

import subprocess
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.dataroot import Dataroot, wrong_sizes
from data.masks import mask_files, read_mask
from data.tracked_poses import TrackedPose, people_layers, poses_of_frames
from preparation.steps import METADATA, Job, Outcome, Step
from util.errors import UserError, several
from util.files import folder_filled_atomically, results_added
from util.images import read_image, write_png
from util.program import HOME, verb_command
from vision.people.drawn_body import draw_body
from vision.people.iuv import bounded_by_mask, encode_iuv
from vision.people.keypoints import CROP_SIZE, paste_iuv

WEIGHTS = HOME / "checkpoints" / "kp2uv" / "latest_net_Kp2uv.pth"
PREDICTIONS = "kp2uv/test_latest/images"
SOURCES = ("network", "drawn")


def add_options(group) -> None:
    """Where UV maps come from."""
    group.add_argument("--uv", choices=SOURCES,
                       help="network: as the model kp2uv predicts them; drawn: from the poses alone (default: "
                            f"network if {WEIGHTS.relative_to(HOME)} is there)")


def run(job: Job) -> Outcome:
    """Predict if need be, and make the maps."""
    source = job.opt.uv or automatic_source(job.root)
    if source == "network":
        predict(job.root)
    masks = (job.root / "mask").is_dir()
    make_iuv(job.root, source, use_mask_images=masks, folder=job.made)
    count = len(list((job.made / "iuv").iterdir()))
    return Outcome(f"{count} layer{'s' * (count > 1)} {'predicted' if source == 'network' else 'drawn from the poses'}"
                   f"{', bounded by the masks' if masks else ''}")


STEP = Step("uv", run, ("rgb_256", "keypoints.json", "mask",
                        *(f"{METADATA}#{key}" for key in ("alphapose_input_size", "size_LR", "n_textures",
                                                          "people_layers", "composite_order"))), ("iuv",), add_options,
            lambda opt: _weights_mark() if opt.uv != "drawn" else None)


def _weights_mark() -> str | None:
    """Something else for other weights of kp2uv; None where there are none."""
    return f"{(status := WEIGHTS.stat()).st_size} {status.st_mtime_ns}" if WEIGHTS.exists() else None


def automatic_source(dataroot: Path | str) -> str:
    """"network" where its weights are and somebody has a pose, else "drawn".

    Raises:
        UserError: the dataroot is not in order.
    """
    root = Dataroot.open(dataroot)
    poses = poses_of_frames(root.path / "keypoints.json", root.frames)
    return "network" if WEIGHTS.exists() and any(poses) else "drawn"


def predict(root: Path) -> None:
    """Let the model kp2uv predict a picture for each pose; they lie in the dataroot then.

    Raises:
        UserError: there are no weights, or the model fails.
    """
    if not WEIGHTS.exists():
        raise UserError(f"--uv network: no weights in {WEIGHTS}; get them with scripts/download_kp2uv_model.sh, or "
                        "give --uv drawn")
    command = [*verb_command("test"), "--model", "kp2uv", "--dataset_mode", "kpuv", "--name", "kp2uv",
               "--checkpoints_dir", str(WEIGHTS.parents[1]), "--dataroot", str(root), "--results_dir", str(root)]
    if subprocess.run(command, check=False).returncode:
        raise UserError("the model kp2uv failed, see above; drawn UV maps need no model: prepare.py --uv drawn, or "
                        "datasets/keypoints_to_iuv.py --source drawn")


def make_iuv(dataroot: Path | str, source: str, use_mask_images: bool = False, folder: Path | None = None) -> Path:
    """Write the folder iuv of a dataroot, in place of one that is there.

    Args:
        dataroot: with rgb_256, metadata.json and keypoints.json.
        source: "network" or "drawn".
        use_mask_images: let the masks in mask/ bound the UV maps, and give what has a mask but no pose a UV map too.
        folder: where iuv is written; None: into the dataroot.

    Returns:
        the folder.

    Raises:
        UserError: the dataroot is not in order, or the network's pictures are missing.
    """
    root = Dataroot.open(dataroot)
    keypoints = root.path / "keypoints.json"
    frames = poses_of_frames(keypoints, root.frames)
    masks = complete_masks(root) if use_mask_images else {}
    layers = people_layers(root.metadata, keypoints, frames, masks)
    root.check_order(list(range(1, len(layers) + 1)))
    if source == "network":
        check_predictions(root, frames, layers)
    paint = {"network": paste_prediction, "drawn": draw_pose}[source]
    width, height = root.metadata.size
    place = folder_filled_atomically(folder) if folder else results_added(root.path, "make_iuv")
    folder = folder or root.path
    with place as temporary:
        for index, (frame, people) in enumerate(zip(tqdm(root.frames, desc="UV maps", unit="frame"), frames)):
            seen = {number: read_mask(files[frame], root.metadata.size) for number, files in masks.items()}
            in_front = np.zeros((height, width), bool)
            for number in reversed(root.composite_order(index, list(range(1, len(layers) + 1)))):
                layer = layers[number - 1]
                iuv = np.zeros((height, width, 4), np.uint8)
                for pose in sorted((p for p in people if p.person in layer), key=lambda p: layer.index(p.person)):
                    paint(root, frame, pose, iuv)
                if number in seen:
                    iuv = bounded_by_mask(iuv, seen[number], in_front, layer[0])
                    in_front |= seen[number]
                write_png(temporary / "iuv" / f"{number:02d}" / f"{frame}.png", iuv)
    return folder / "iuv"


def complete_masks(root: Dataroot) -> dict[int, dict[str, Path]]:
    """The masks of all frames by the number of the layer.

    Raises:
        UserError: some layer has no mask for some frame.
    """
    masks = mask_files(root.path)
    problems = [problem for number in masks for problem in root.require(f"mask/{number:02d}")]
    if problems:
        raise several(problems)
    return masks


def draw_pose(root: Dataroot, _frame: str, pose: TrackedPose, iuv: np.ndarray) -> None:
    """Draw a body on `iuv` [H, W, 4]."""
    part, u, v = draw_body(pose.keypoints, root.metadata.pose_size, root.metadata.size)
    iuv[part > 0] = encode_iuv(part, u, v, pose.person)[part > 0]


def paste_prediction(root: Dataroot, frame: str, pose: TrackedPose, iuv: np.ndarray) -> None:
    """Paste what the network predicted for a pose on `iuv` [H, W, 4]."""
    prediction = read_image(prediction_path(root, frame, pose), "RGB")
    paste_iuv(iuv, prediction, pose.keypoints, pose.person, root.metadata.pose_size)


def prediction_path(root: Dataroot, frame: str, pose: TrackedPose) -> Path:
    """Where test.py put the prediction for a pose."""
    return root.path / PREDICTIONS / f"{pose.person:02d}_{frame}_output_uv.png"


def check_predictions(root: Dataroot, frames: list[list[TrackedPose]], layers: list[list[int]]) -> None:
    """Refuse to begin while predictions are missing.

    Raises:
        UserError: for some pose there is no picture, or one of another size.
    """
    people = {person for layer in layers for person in layer}
    paths = [prediction_path(root, name, pose)
             for name, present in zip(root.frames, frames) for pose in present if pose.person in people]
    missing = [path for path in paths if not path.exists()]
    problems = wrong_sizes([p for p in paths if p.exists()], (CROP_SIZE, CROP_SIZE), "as the model kp2uv makes them")
    if missing:
        problems.insert(0, f"{missing[0]}: no such file, and {len(missing) - 1} more; expected a prediction for each "
                           f"of {len(paths)} poses. Run test.py --model kp2uv (see datasets/prepare_iuv.sh), or give "
                           "--source drawn")
    if problems:
        raise several(problems)
