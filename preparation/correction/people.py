"""The people of a dataroot while somebody corrects who is who: joined, split, left out, taken in again, named.

What is corrected is keypoints.json, the masks in mask/ and people_names of metadata.json, at once, so that the page and
every other program see the same. Whoever is left out lies in prepare/left_out/ with poses and masks, and loses nothing.
Each change can be undone for as long as the page is open. Frames count from 0 here.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from data.dataroot import list_images
from data.masks import mask_files, read_matte, survey
from data.tracked_poses import HIGHEST_PERSON, TrackedPose, poses_of_frames
from preparation import poses
from preparation.poses import keypoints_json
from preparation.steps import METADATA, adopt, fingerprint_of, last_cache, last_outcome, read_values, write_values
from preparation.tracks import DROPPED
from util.errors import UserError
from util.files import folder_replaced_atomically, link_or_copy, write_text
from util.images import image_size, write_png
from vision.people.drawn_body import draw_body

KEYPOINTS, NAMES, LAYERS = "keypoints.json", "people_names", "people_layers"
LONGEST_NAME = 40
MOST_UNDONE = 100
_PAINTED = "painted.json"
"""In mask/: the frames of each person that somebody has painted."""
_FACTS = "people.json"
"""In the folder of those who are left out: why, their names, and after which run of the step "poses"."""

Frames = list[list[TrackedPose]]


class ClipPeople:
    """Who is who in a clip, on disk.

    Args:
        root: a dataroot with keypoints.json.

    Raises:
        UserError: it is not in order.
    """

    def __init__(self, root: Path):
        self.root, self.left_out_folder = root, root / "prepare" / "left_out"
        self.undo_folder = root / "prepare" / "undo"
        shutil.rmtree(self.undo_folder, ignore_errors=True)
        self.files = list_images(root / "rgb_256")
        self.frames = list(self.files)
        values = read_values(root / METADATA)
        if any(layer != [number] for number, layer in enumerate(values.get(LAYERS) or [], 1)) and mask_files(root):
            raise UserError(f"{root / METADATA}: {LAYERS} is {values[LAYERS]}, and masks are numbered like layers; "
                            "expected a layer for each person. Leave people_layers out, correct the people, then join "
                            "layers")
        size = values.get("alphapose_input_size")
        if size is None:
            raise UserError(f"{root / METADATA}: no alphapose_input_size; expected the size that the poses were found "
                            f"on. Prepare the clip first: python prepare.py --dataroot {root}")
        self.pose_size: tuple[int, int] = tuple(size)
        self.done: list[Path] = []
        self.undone: list[Path] = []
        self.count = 0
        self._read()
        self._take_over_left_out()

    def names(self) -> dict[int, str]:
        """Names by number of the people who have one."""
        names = read_values(self.root / METADATA).get(NAMES)
        return {int(number): str(name) for number, name in names.items()} if isinstance(names, dict) else {}

    def numbers(self) -> list[int]:
        """Numbers of all people and things in the clip."""
        return sorted({pose.person for present in self.people for pose in present} | set(mask_files(self.root)))

    def painted(self, person: int) -> list[int]:
        """Frames in which somebody has painted a person's mask."""
        index = {name: number for number, name in enumerate(self.frames)}
        return sorted(index[name] for name in self._painted().get(str(person), []) if name in index)

    def join(self, first: int, second: int) -> None:
        """Make one person of two; where both are seen, the surer pose stays."""
        self._need(first, second)
        if first == second:
            raise UserError(f"person {first}: found once; expected two to be joined")
        keep, gone = sorted((first, second))
        with self._changing():
            for index, present in enumerate(self.people):
                both = [pose for pose in present if pose.person in (keep, gone)]
                if both:
                    surest = max(both, key=lambda pose: pose.keypoints[:, 2].mean())
                    self.people[index] = [pose for pose in present if pose not in both] + [replace(surest, person=keep)]
            self._make_plain(keep, gone)
            masks = mask_files(self.root)
            if gone in masks and keep in masks:
                for name in self.frames:
                    if name in masks[gone] and (more := read_matte(masks[gone][name])).any():
                        if name in masks[keep]:
                            matte = read_matte(masks[keep][name])
                            more = np.maximum(matte, more if more.shape == matte.shape else
                                              cv2.resize(more, matte.shape[::-1]))
                        self._put_mask(keep, name, more)
            elif gone in masks:
                self._folder(gone).rename(self._folder(keep))
            painted = self._painted()
            painted[str(keep)] = sorted({*painted.get(str(keep), []), *painted.pop(str(gone), [])})
            self._write_painted(painted)
            self._remove_number(gone, keep)

    def split(self, person: int, frame: int) -> int:
        """Make another person of what is somebody's from a frame on; returns the new number."""
        self._need(person)
        new = self._new_number()
        rest = [(index, pose) for index, present in enumerate(self.people) if index >= frame for pose in present
                if pose.person == person]
        if not rest or not any(pose.person == person for present in self.people[:frame] for pose in present):
            raise UserError(f"person {person}, frame {frame + 1}: found nobody before or from there on; expected a "
                            "frame between the first and the last in which this person is")
        with self._changing():
            self._add_layer(new)
            for index, pose in rest:
                self.people[index] = [replace(one, person=new) if one is pose else one for one in self.people[index]]
            self._make_plain(person)
            masks = mask_files(self.root).get(person)
            if masks:
                for index, name in enumerate(self.frames):
                    if name in masks:
                        matte = read_matte(masks[name])
                        self._put_mask(new, name, matte if index >= frame else np.zeros_like(matte))
                        if index >= frame:
                            self._put_mask(person, name, np.zeros_like(matte))
                painted = self._painted()
                later = [name for name in painted.get(str(person), []) if self.frames.index(name) >= frame]
                painted[str(new)] = later
                painted[str(person)] = [name for name in painted.get(str(person), []) if name not in later]
                self._write_painted(painted)
        return new

    def drop(self, person: int) -> None:
        """Leave somebody out, with his masks and name; he can be taken in again."""
        self._need(person)
        with self._changing():
            number = 1 + max((int(key) for key in self.why), default=0)
            for index, present in enumerate(self.people):
                self.left_out[index] += [replace(pose, person=number) for pose in present if pose.person == person]
                self.people[index] = [pose for pose in present if pose.person != person]
            self.why[str(number)] = {"why": DROPPED, "name": self.names().get(person, ""),
                                     "painted": self._painted().get(str(person), [])}
            if self._folder(person).is_dir():
                (self.left_out_folder / "mask").mkdir(parents=True, exist_ok=True)
                self._folder(person).rename(self.left_out_folder / "mask" / f"{number:02d}")
            self._remove_number(person)

    def take_in(self, number: int) -> int:
        """Take in somebody who was left out; returns the new number."""
        if str(number) not in self.why:
            raise UserError(f"{number}: found nobody left out under this number; load the page again")
        new = self._new_number()
        with self._changing():
            facts = self.why.pop(str(number))
            self._add_layer(new)
            for index, present in enumerate(self.left_out):
                self.people[index] += [replace(pose, person=new) for pose in present if pose.person == number]
                self.left_out[index] = [pose for pose in present if pose.person != number]
            kept = self.left_out_folder / "mask" / f"{number:02d}"
            if kept.is_dir():
                self._folder(new).parent.mkdir(exist_ok=True)
                kept.rename(self._folder(new))
            elif mask_files(self.root):
                self._draw_masks(new)
            if facts.get("name"):
                self._write_names({**self.names(), new: facts["name"]})
            if facts.get("painted"):
                self._write_painted({**self._painted(), str(new): facts["painted"]})
        return new

    def name(self, person: int, name: str) -> None:
        """Give somebody a name; an empty one takes it away."""
        self._need(person)
        if not isinstance(name, str) or len(name := " ".join(name.split())) > LONGEST_NAME:
            raise UserError(f"name: found {str(name)[:60]!r}; expected up to {LONGEST_NAME} characters")
        with self._changing():
            self._write_names({**self.names(), person: name})

    @contextmanager
    def painting(self, person: int, frame: int) -> Iterator[None]:
        """A block in which masks of somebody are written (`write_mask`), who was painted in a frame; can be undone.

        Raises:
            UserError: he has no masks.
        """
        self._need(person)
        if self.mask_path(person, frame) is None:
            raise UserError(f"{self.root / 'mask'}: none of person {person} in frame {frame + 1}; expected masks to "
                            f"correct. Make them first: python prepare.py --dataroot {self.root}")
        with self._changing(adopts=False):
            self._make_plain(person)
            yield
            painted = self._painted()
            painted[str(person)] = sorted({*painted.get(str(person), []), self.frames[frame]})
            self._write_painted(painted)

    def write_mask(self, person: int, frame: int, matte: np.ndarray) -> None:
        """Write a mask, uint8 [H, W]."""
        self._put_mask(person, self.frames[frame], matte)

    def undo(self) -> None:
        """Go back by one change."""
        self._go(self.done, self.undone, "undo")

    def redo(self) -> None:
        """Do again what was undone last."""
        self._go(self.undone, self.done, "do again")

    def mask_path(self, person: int, frame: int) -> Path | None:
        """The file of a mask; None: there is none."""
        return mask_files(self.root).get(person, {}).get(self.frames[frame])

    def close(self) -> None:
        """Forget what could be undone."""
        shutil.rmtree(self.undo_folder, ignore_errors=True)

    # What follows changes the files.

    @contextmanager
    def _changing(self, adopts: bool = True) -> Iterator[None]:
        """A change: what is there is kept before, and put back should anything go wrong.

        With `adopts`, masks that a step made still count as made by it, so that it makes them anew for the new people.
        """
        kept = self._snapshot()
        mark = fingerprint_of(self.root, "mask")
        try:
            yield
            self._write()
        except BaseException:
            self._restore(kept)
            shutil.rmtree(kept, ignore_errors=True)
            raise
        if adopts and mark is not None:
            adopt(self.root, "mask", mark)
        self.done.append(kept)
        for stale in (*self.undone, *self.done[:-MOST_UNDONE]):
            shutil.rmtree(stale, ignore_errors=True)
        self.undone, self.done = [], self.done[-MOST_UNDONE:]

    def _go(self, back: list[Path], forth: list[Path], what: str) -> None:
        if not back:
            raise UserError(f"found nothing to {what}")
        forth.append(self._snapshot())
        kept = back.pop()
        self._restore(kept)
        shutil.rmtree(kept, ignore_errors=True)

    def _snapshot(self) -> Path:
        """Keep all that can change; masks by a second name, as their files are only ever replaced."""
        kept = self.undo_folder / f"{self.count:05d}"
        self.count += 1
        link_or_copy(self.root / KEYPOINTS, kept / KEYPOINTS)
        values = read_values(self.root / METADATA)
        write_text(kept / METADATA, json.dumps({key: values[key] for key in (NAMES, LAYERS) if key in values}))
        for name, folder in (("mask", self.root / "mask"), ("left_out", self.left_out_folder)):
            for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
                if file.is_file():
                    link_or_copy(file, kept / name / file.relative_to(folder))
        return kept

    def _restore(self, kept: Path) -> None:
        link_or_copy(kept / KEYPOINTS, self.root / KEYPOINTS)
        values = {key: value for key, value in read_values(self.root / METADATA).items() if key not in (NAMES, LAYERS)}
        write_values(self.root / METADATA, values | read_values(kept / METADATA))
        for name, folder in (("mask", self.root / "mask"), ("left_out", self.left_out_folder)):
            if (kept / name).is_dir():
                with folder_replaced_atomically(folder) as new:
                    for file in sorted((kept / name).rglob("*")):
                        if file.is_file():
                            link_or_copy(file, new / file.relative_to(kept / name))
            else:
                shutil.rmtree(folder, ignore_errors=True)
        self._read()

    def _read(self) -> None:
        self.people: Frames = poses_of_frames(self.root / KEYPOINTS, self.frames)
        self.left_out: Frames = [[] for _ in self.frames]
        facts = read_values(self.left_out_folder / _FACTS)
        self.why: dict[str, dict] = facts.get("people", {})
        self.left_out_of: str | None = facts.get("of")
        if (self.left_out_folder / KEYPOINTS).exists():
            self.left_out = poses_of_frames(self.left_out_folder / KEYPOINTS, self.frames)

    def _write(self) -> None:
        for frames, folder in ((self.people, self.root), (self.left_out, self.left_out_folder)):
            for present in frames:
                present.sort(key=lambda pose: pose.person)
            write_text(folder / KEYPOINTS, keypoints_json(self.frames, frames))
        self._write_facts()

    def _write_facts(self) -> None:
        write_text(self.left_out_folder / _FACTS, json.dumps({"of": self.left_out_of, "people": self.why}))

    def _take_over_left_out(self) -> None:
        """Add whom the step "poses" has left out, if it ran since this was done last."""
        cache, outcome = last_cache(poses.STEP, self.root), last_outcome(poses.STEP, self.root)
        path = cache / poses.LEFT_OUT if cache is not None else None
        mark = fingerprint_of(path.parent, path.name) if path is not None else None
        if path is None or mark is None or mark == self.left_out_of or outcome is None:
            return
        first = max((int(key) for key in self.why), default=0)
        reasons = outcome.report.get("left_out", {})
        kept = {key: facts for key, facts in self.why.items() if facts["why"] == DROPPED}
        self.left_out = [[pose for pose in present if str(pose.person) in kept] for present in self.left_out]
        for index, present in enumerate(poses_of_frames(path, self.frames)):
            self.left_out[index] += [replace(pose, person=pose.person + first) for pose in present]
        self.why = {**kept, **{str(int(number) + first): {"why": why} for number, why in reasons.items()}}
        self.left_out_of = mark
        write_text(self.left_out_folder / KEYPOINTS, keypoints_json(self.frames, self.left_out))
        self._write_facts()

    def _remove_number(self, gone: int, into: int | None = None) -> None:
        """Close the gap that a number leaves: in poses, masks, names and layers."""
        def new(number: int) -> int | None:
            return into if number == gone else number - 1 if number > gone else number
        if any(pose.person == gone for present in self.people for pose in present):
            raise ValueError(f"person {gone} is still there")
        self.people = [[replace(pose, person=pose.person - (pose.person > gone)) for pose in present]
                       for present in self.people]
        shutil.rmtree(self._folder(gone), ignore_errors=True)
        for number in sorted(mask_files(self.root)):
            if number > gone:
                self._folder(number).rename(self._folder(number - 1))
        if (self.root / "mask").is_dir() and not mask_files(self.root):
            shutil.rmtree(self.root / "mask")
        names = self.names()
        if into is not None and gone in names:
            names.setdefault(into, names[gone])
        names.pop(gone, None)
        self._write_names({new(number): name for number, name in names.items()})
        painted = self._painted()
        painted.pop(str(gone), None)
        self._write_painted({str(new(int(number))): frames for number, frames in painted.items()})
        values = read_values(self.root / METADATA)
        if isinstance(layers := values.get(LAYERS), list):
            mapped = [list(dict.fromkeys(new(number) for number in layer)) for layer in layers]
            values[LAYERS] = [kept for layer in mapped if (kept := [number for number in layer if number is not None])]
            write_values(self.root / METADATA, values)

    def _add_layer(self, new: int) -> None:
        """Give somebody new a layer, where layers are listed."""
        values = read_values(self.root / METADATA)
        if isinstance(values.get(LAYERS), list):
            write_values(self.root / METADATA, {**values, LAYERS: [*values[LAYERS], [new]]})

    def _draw_masks(self, person: int) -> None:
        """Masks of somebody who has none: his body as it is drawn, to begin with."""
        width, height = image_size(next(iter(next(iter(mask_files(self.root).values())).values())))
        for name, present in zip(self.frames, self.people):
            body = np.zeros((height, width), np.uint8)
            for pose in present:
                if pose.person == person:
                    body = 255 * (draw_body(pose.keypoints, self.pose_size, (width, height))[0] > 0).astype(np.uint8)
            self._put_mask(person, name, body)

    def _need(self, *people: int) -> None:
        for person in people:
            if person not in self.numbers():
                raise UserError(f"person {person}: not in this clip; expected one of {self.numbers()}. Load the page "
                                "again")

    def _new_number(self) -> int:
        new = 1 + max(self.numbers(), default=0)
        if new > HIGHEST_PERSON:
            raise UserError(f"found {new - 1} people; expected at most {HIGHEST_PERSON}. Leave some out first")
        return new

    def _folder(self, person: int) -> Path:
        return self.root / "mask" / f"{person:02d}"

    def _put_mask(self, person: int, frame: str, matte: np.ndarray) -> None:
        """Write a mask in the place of the one that there is, whatever form that has."""
        folder = self._folder(person)
        for path in folder.glob(f"{frame}.*"):
            if path.suffix != ".png":
                path.unlink()
        write_png(folder / f"{frame}.png", matte)

    def _make_plain(self, *people: int) -> None:
        """Write masks that are not white on black anew as such: those of one folder have one form."""
        for person in people:
            files = mask_files(self.root).get(person, {})
            if files and survey(files.values()).reading_of_one(self._folder(person))[0] != "white on black":
                for frame, matte in {frame: read_matte(path) for frame, path in files.items()}.items():
                    self._put_mask(person, frame, matte)

    def _write_names(self, names: dict) -> None:
        values = {key: value for key, value in read_values(self.root / METADATA).items() if key != NAMES}
        named = {str(number): name for number, name in sorted(names.items()) if name}
        write_values(self.root / METADATA, {**values, **({NAMES: named} if named else {})})

    def _painted(self) -> dict[str, list[str]]:
        return read_values(self.root / "mask" / _PAINTED)

    def _write_painted(self, painted: dict[str, list[str]]) -> None:
        painted = {person: frames for person, frames in painted.items() if frames}
        if painted or (self.root / "mask" / _PAINTED).exists():
            write_text(self.root / "mask" / _PAINTED, json.dumps(painted))

