"""Files that people edit are read with the mark (BOM) that Windows' editors put in front of UTF-8 as without it."""

import codecs
import json
import pickle
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

from data.actor_files import read_matrix, read_pose
from data.actor_views import free_cameras
from data.dataroot import read_homographies, read_metadata
from data.face_dataset import read_landmarks
from data.pose_dataset import read_people
from options.saved import saved_options
from preparation.body_fits import read_fits
from preparation.mask_annotations import opened
from preparation.steps import facts_of_frames
from retime import read_edit
from retiming.edit import ClipFacts
from tests.golden_actor import OWN
from vision.people.body_files import read_obj, read_table, read_transforms
from vision.people.pose_formats import read_pose_file

TESTS = Path(__file__).parent
CLIP, ACTOR = TESTS / "golden/clip", OWN / "dataroot"
FACES, POSES = TESTS / "golden_vid2vid/data/face", TESTS / "golden_vid2vid/data/pose"


FILES = {
    "metadata.json": (CLIP / "metadata.json", lambda path: (read_metadata(path), facts_of_frames(path.parent))),
    "homographies.txt": (CLIP / "homographies.txt", read_homographies),
    "keypoints.json": (TESTS / "golden/keypoints/keypoints.json", read_pose_file),
    "edit.json": ({"range": [2, 5]}, lambda path: read_edit(
        Namespace(edit=path, changes=[]), ClipFacts(9, (1,), None))),
    "train_opt.json": ({"name": "a", "lr": 0.5}, lambda path: saved_options(path.parent)),
    "intrinsic.txt": (ACTOR / "intrinsic/0001.txt", lambda path: read_matrix(path, legacy=True).numpy()),
    "transform.json": (ACTOR / "transform/000001.json", lambda path: (
        read_transforms(path, 24), {name: tensor.numpy() for name, tensor in read_pose(path, 24).items()})),
    "skinning_weight.txt": (ACTOR / "skinning_weight.txt", read_table),
    "mesh.obj": (ACTOR / "uvmapping.obj", read_obj),
    "trajectory.txt": ("\n".join(" ".join("2.5" * (k % 5 == 0) or "0" for k in range(16)) for _ in range(2)),
                       lambda path: free_cameras(Namespace(render_camera_poses=str(path)), [0, 1], read_matrix)),
    "000000.json": ({"poses": [0.5] * 72, "shapes": [0.5] * 10, "Rh": [0, 1, 0], "Th": [0, 0, 1]},
                    lambda path: read_fits(path.parent, 24)),
    "landmarks.txt": (next(FACES.rglob("*.txt")), read_landmarks),
    "openpose.json": (next(POSES.rglob("*.json")), read_people),
    "annotations.json": ({"images": [{"id": 1, "file_name": "0001.png", "width": 8, "height": 8}], "annotations": [
        {"image_id": 1, "id": 1, "segmentation": [[1, 1, 6, 1, 6, 6]]}]},
        lambda path: opened(path, ["0001"], {})[2]("0001")),
}


@pytest.mark.parametrize("name", FILES)
def test_a_mark_in_front_changes_nothing(tmp_path, name):
    source, read = FILES[name]
    path = tmp_path / name
    if isinstance(source, Path):
        shutil.copy(source, path)
    else:
        path.write_text(source if isinstance(source, str) else json.dumps(source), encoding="utf-8")
    without = pickle.dumps(read(path))
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert pickle.dumps(read(path)) == without
