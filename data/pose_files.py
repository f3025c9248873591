"""Poses of one person, from the files of a clip or of OpenPose, for whoever needs no pictures with them."""

import json
from pathlib import Path

import numpy as np

from data.dataroot import Dataroot
from data.pose_dataset import read_people
from data.tracked_poses import poses_of_frames
from util.errors import UserError
from vision.people.body25 import Person, as_openpose, person_of_coco

ENDING = "_keypoints"


def skeletons_in(folder: Path) -> dict[str, np.ndarray]:
    """By the name of a frame, the COCO-17 skeleton [17, 3] of the only person in it.

    Args:
        folder: a clip that prepare.py made, in pixels of its low resolution; or OpenPose's files, also in folders
            within it, which are part of a name.

    Raises:
        UserError: there are no poses, or several people.
    """
    if (folder / "keypoints.json").exists():
        return {frame: person.coco for frame, person in zip(Dataroot.open(folder).frames,
                                                            poses_of_person(folder, None))}
    files = sorted(folder.rglob(f"*{ENDING}.json"))
    if not files:
        raise UserError(f"--poses {folder}: neither keypoints.json nor files *{ENDING}.json; expected the poses of a "
                        "clip, or OpenPose's")
    return {path.relative_to(folder).with_name(path.stem.removesuffix(ENDING)).as_posix(): read_one(path).coco
            for path in files}


def poses_of_person(clip: Path, number: int | None) -> list[Person]:
    """One person of a clip that prepare.py made, in each of its frames; without points where she is not found.

    Args:
        clip: the dataroot.
        number: who; None: the only one.

    Raises:
        UserError: there is no such person, or there are several and none is named.
    """
    root = Dataroot.open(clip)
    frames = poses_of_frames(clip / "keypoints.json", root.frames)
    there = sorted({pose.person for people in frames for pose in people})
    if number is None and len(there) == 1:
        number = there[0]
    if number not in there:
        found = "several people" if number is None else f"no person {number}"
        raise UserError(f"{clip / 'keypoints.json'}: {found}; expected one of {there}. Say who: --driver_person N, or "
                        "--person N of datasets/make_pose_dataset.py")
    scale = np.array(root.metadata.size) / root.metadata.pose_size
    nobody = person_of_coco(np.zeros((17, 3)))
    result = []
    for people in frames:
        pose = next((pose for pose in people if pose.person == number), None)
        if pose is not None:
            keypoints = pose.keypoints.copy()
            keypoints[:, :2] = (keypoints[:, :2] + 0.5) * scale - 0.5
        result.append(nobody if pose is None else person_of_coco(keypoints))
    return result


def read_one(path: Path) -> Person:
    """The only person in a file of OpenPose; without points where there is none.

    Raises:
        UserError: there are several, or it is no such file.
    """
    people = read_people(path)
    if len(people) > 1:
        raise UserError(f"{path}: {len(people)} people; expected one, the one who dances. Make the dataset again: "
                        "python datasets/make_pose_dataset.py --person N")
    return people[0] if people else person_of_coco(np.zeros((17, 3)))


def openpose_text(person: Person) -> str:
    """The content of a file of OpenPose with one person in it."""
    return json.dumps({"version": 1.3, "people": [as_openpose(person)]}) + "\n"
