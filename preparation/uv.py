"""The step "uv": UV maps, iuv/, from poses and masks.

With the published weights (scripts/download_kp2uv_model.sh) the network kp2uv predicts them, else they are drawn.
"""

import subprocess
import sys
from pathlib import Path

from data.dataroot import Dataroot
from data.tracked_poses import poses_of_frames
from datasets.keypoints_to_iuv import make_iuv
from preparation.steps import METADATA, Job, Outcome, Step
from util.errors import UserError

PROGRAM = Path(__file__).resolve().parents[1]
WEIGHTS = Path("kp2uv", "latest_net_Kp2uv.pth")


def add_options(group) -> None:
    """Where UV maps come from."""
    group.add_argument("--uv", choices=("network", "drawn"),
                       help="network: as the model kp2uv predicts them; drawn: from the poses alone (default: "
                            f"network if checkpoints/{WEIGHTS} is there)")


def run(job: Job) -> Outcome:
    """Predict if need be, and make the maps."""
    root = Dataroot.open(job.root)
    poses = poses_of_frames(job.root / "keypoints.json", root.frames)
    weights = PROGRAM / "checkpoints" / WEIGHTS
    source = job.opt.uv or ("network" if weights.exists() and any(poses) else "drawn")
    if source == "network":
        predict(job.root, weights)
    masks = (job.root / "mask").is_dir()
    make_iuv(job.root, source, use_mask_images=masks, folder=job.made)
    count = len(list((job.made / "iuv").iterdir()))
    return Outcome(f"{count} layer{'s' * (count > 1)} {'predicted' if source == 'network' else 'drawn from the poses'}"
                   f"{', bounded by the masks' if masks else ''}")


def predict(root: Path, weights: Path) -> None:
    """Let the model kp2uv predict a UV map for each pose.

    Raises:
        UserError: there are no weights, or the model fails.
    """
    if not weights.exists():
        raise UserError(f"--uv network: no weights in {weights}; get them with scripts/download_kp2uv_model.sh, or "
                        "give --uv drawn")
    command = [sys.executable, PROGRAM / "test.py", "--model", "kp2uv", "--dataset_mode", "kpuv", "--name", "kp2uv",
               "--checkpoints_dir", weights.parents[1], "--dataroot", root, "--results_dir", root]
    if subprocess.run(command, check=False).returncode:
        raise UserError("--uv network: the model kp2uv failed, see above; --uv drawn needs no model")


STEP = Step("uv", run, ("rgb_256", "keypoints.json", "mask",
                        *(f"{METADATA}#{key}" for key in ("alphapose_input_size", "size_LR", "n_textures",
                                                          "people_layers", "composite_order"))), ("iuv",), add_options)
