"""Tracked poses of a clip (keypoints.json), and who is in which layer (docs/layered_video/data.md).

The file may have any form that `vision.people.pose_formats` knows, as long as everybody in it has an id.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.dataroot import Metadata
from util.errors import UserError, several
from vision.people.pose_formats import Pose, printable, read_pose_file

HIGHEST_PERSON = 254
"""A person's id is stored as an alpha level, 255 - id, of a picture in which 0 is nobody."""


@dataclass(frozen=True, eq=False)
class TrackedPose(Pose):
    """A pose of a person who is known: 1 to `HIGHEST_PERSON`."""

    person: int


def read_poses(path: Path | str) -> dict[str, list[TrackedPose]]:
    """Read the tracked poses of a clip.

    Returns:
        For each frame of the file, by the stem of its name, its people in the file's order; may be none.

    Raises:
        UserError: see `read_pose_file`; or somebody has no id from 1 to 254, or is twice in a frame; names them all.
    """
    file = read_pose_file(path)
    if file.size == (1, 1):
        raise UserError(f"{path}: keypoints are fractions of the frame ({file.form}); expected pixels of "
                        f"alphapose_input_size. Let prepare.py scale them: --poses {path}")
    problems = []
    poses: dict[str, list[TrackedPose]] = {}
    for frame, people in file.poses.items():
        ids = [pose.person for pose in people]
        poses[frame] = [TrackedPose(pose.person, pose.keypoints, pose.score) for pose in people
                        if pose.person is not None]
        for number, person in enumerate(ids):
            where = f"{path}: frame {printable(file.names[frame])}, "
            if person is None:
                problems.append(f"{where}entry {number + 1}: no idx, so nobody was tracked; expected the person's "
                                f"number. Let prepare.py track them: --poses {path}")
            elif not 1 <= person <= HIGHEST_PERSON:
                problems.append(f"{where}person {person}: idx is {person}; expected the person's number, 1 to "
                                f"{HIGHEST_PERSON}. Let prepare.py number them: --poses {path}")
            elif person in ids[:number]:
                problems.append(f"{where}person {person}: a second pose of this id; expected each person once in a "
                                "frame. Drop one, or give it another idx")
    if problems:
        raise several(problems)
    return poses


def poses_of_frames(path: Path | str, frames: list[str]) -> list[list[TrackedPose]]:
    """Poses of each of `frames`, none where the file does not list a frame.

    Args:
        path: keypoints.json.
        frames: names without ending.

    Raises:
        UserError: see `read_poses`; or the file has poses, but in none of these frames.
    """
    poses = read_poses(path)
    found = [poses.get(frame, []) for frame in frames]
    if any(poses.values()) and not any(found):
        raise UserError(f"{path}: its frames are named like {printable(next(iter(poses)))}; the frames of the clip "
                        f"like {frames[0]}, and none is in both. Name them alike")
    return found


def people_layers(metadata: Metadata, path: Path | str, frames: Sequence[Sequence[TrackedPose]],
                  masks: Iterable[int] = ()) -> list[list[int]]:
    """Person ids of each layer, layer 1 first: those of metadata.json, else one layer for each person in the clip.

    With a list in metadata.json, people who are not in it belong to no layer.

    Args:
        metadata: of the clip.
        path: keypoints.json, for messages.
        frames: poses of each frame.
        masks: numbers of people and things that have masks, and need no poses.

    Raises:
        UserError: nobody is in the clip, a listed person is not, or the texture atlas has no tiles for someone.
    """
    seen = sorted({pose.person for people in frames for pose in people} | set(masks))
    if not seen:
        raise UserError(f"{path}: nobody in any frame; expected the poses of at least one person")
    if metadata.people_layers is not None:
        absent = sorted({person for layer in metadata.people_layers for person in layer} - set(seen))
        if absent:
            raise UserError(f"{metadata.path}: people_layers names person {absent[0]}, who is in no frame of {path}; "
                            f"expected some of {seen}")
        return metadata.people_layers
    if seen[-1] > metadata.n_people:
        raise UserError(f"{path}: shows person {seen[-1]}; n_textures {metadata.n_textures} of {metadata.path.name} "
                        f"has tiles for {metadata.n_people}. Number people from 1 without gaps, set n_textures to "
                        f"{24 * seen[-1] + 1}, or choose people with people_layers")
    return [[person] for person in seen]
