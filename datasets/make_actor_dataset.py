"""Make an actor of one video: somebody who turns round before a camera, for `--model neural_actor`.

    python datasets/make_actor_dataset.py she_turns.mp4 --dataroot datasets/her_actor
    python datasets/make_actor_dataset.py datasets/her_clip --person 2 --dataroot datasets/her_actor

A video is prepared first (prepare.py, into DIR_clip); a clip that is prepared is taken as it is. A body whose data are
free (MakeHuman's base mesh) is fitted to the key points of all frames; then everything is written that
docs/neural_actor/data.md names, with one camera and one texture, and checked. docs/neural_actor/one_video.md says what
one camera cannot know.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.optimize import minimize_scalar
from tqdm import tqdm

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.actor_files import by_number
from data.actor_layers import NOTE
from data.dataroot import Dataroot, list_images
from data.decomposition import matte_reader
from data.tracked_poses import people_layers, poses_of_frames
from datasets.make_actor_sample import as_lines, as_transform, write_body
from datasets.make_vid2vid_sample import check_place
from datasets.synthetic.actor import HEAD, BodyFiles, Pose, body_files, posed
from preparation.actor_maps import TextureMaps, body_raster, make_one_texture
from preparation.actor_overlap import HEIGHT, View, body_in_view, share_of_both
from preparation.actor_page import MEANING
from prepare import MOST_TOLD, tell
from prepare import parse as parse_preparation
from prepare import prepare as prepare_clip
from util.clips import evenly_spread
from util.command_line import OneLineParser, float_at_least, int_at_least
from util.errors import UserError, reported_in_one_line
from util.files import folder_filled_atomically, write_text
from util.images import image_size, read_image, write_png
from vision.people.body_files import read_body
from vision.people.body_fitting import ClipFit, fitted
from vision.people.body_outlines import Outlines
from vision.people.jointed_body import PARENTS, Skeleton, resized

LEAST_SEEN, SHORTEST = 6, 10
"""Key points that make a frame of use; frames that make a clip of use."""
GIRTHS, COMPARED = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2), 8
"""How thick the body may be (a skirt is none), and in how many frames its outline is compared with the masks."""
UPRIGHT = 0.8
"""How much the person's ups agree from which on their mean is the world's."""
APART, CLEARLY, NO_TURN = 10, 0.6, 0.02
"""Frames between which a camera's turn is looked at; how much better a focal length must explain it than half and twice
as much; share of a frame's longer side from which on the camera did more than turn."""


class Source(NamedTuple):
    """A person of a clip.

    Attributes:
        root: the clip.
        layer: hers.
        frames: files of the pictures, all frames.
        size: (width, height) to which they are reduced.
        keypoints: [F, 17, 3], in pixels of that size.
    """

    root: Dataroot
    layer: int
    frames: list[Path]
    size: tuple[int, int]
    keypoints: np.ndarray


def main() -> None:
    """Make the actor, and say how well the body fits, and what comes next."""
    opt = parse()
    note = make_actor(opt)
    print(f"body:   {note['error_px']} pixels from the key points on average, {note['error_percent']} % of the height; "
          f"focal length {note['focal_px']} pixels ({note['focal_from']}), height {note['height_m']} m (--height)")
    print(f"texture: no frame shows {note['unseen_percent']} % of the body; colours there are continued from around")
    findings, page = prepare_clip(parse_preparation(["--dataroot", str(opt.dataroot)]))
    tell(findings, MEANING, MOST_TOLD)
    print(f"look at: {page}")
    print(f"then:    python train.py --model neural_actor --dataroot {opt.dataroot} --name {opt.dataroot.name}")


def parse(argv: list[str] | None = None) -> Namespace:
    """The command line."""
    parser = OneLineParser(description="Make an actor for Neural Actor of one video (docs/neural_actor/one_video.md).")
    add = parser.add_argument
    add("source", type=Path, metavar="VIDEO|CLIP", help="a video, or the folder of a clip that prepare.py made")
    add("--dataroot", "--out", type=Path, required=True, metavar="DIR", help="folder to make (required)")
    add("--person", type=int_at_least(1), default=None, metavar="N", help="who, where several are in the clip")
    add("--focal", type=float_at_least(1), default=None, metavar="PX",
        help="focal length in pixels of the video (default: found with the body, near the longer side)")
    add("--height", type=float_at_least(0.5), default=1.7, metavar="M",
        help="how tall the person is, in metres: one camera cannot tell (default: 1.7)")
    add("--picture_height", type=int_at_least(32), default=512, metavar="PX",
        help="photographs are reduced to this height (default: 512)")
    add("--tex_resolution", type=int_at_least(16), default=256, metavar="PX", help="side of the texture (default: 256)")
    add("--overwrite", action="store_true", help="replace an actor that is there already")
    return parser.parse_args(argv)


def make_actor(opt: Namespace) -> dict:
    """Make the dataroot; its contents appear whole or not at all.

    Returns:
        what `one_video.json` says: the errors of the fit, the focal length, the body's measures.

    Raises:
        UserError: the clip has no such person, she is hardly seen, or there is something else in the folder.
    """
    check_place(opt.dataroot, opt.overwrite, NOTE, "actor of one video")
    source = opened(opt)
    seen = [k for k, frame in enumerate(source.keypoints) if (frame[:, 2] > 0).sum() >= LEAST_SEEN]
    if len(seen) < SHORTEST:
        raise UserError(f"{source.root.path}: {len(seen)} frames with {LEAST_SEEN} key points of this person; expected "
                        f"at least {SHORTEST}. See its page, prepare/index.html")
    size, body = source.size, body_files()
    skeleton = Skeleton(body.joints, PARENTS, face_points(body))
    # Pixels of the video become those of the photographs.
    focal = None if opt.focal is None else opt.focal * max(size) / max(image_size(source.frames[0]))
    cover = cut_out(source)
    fit, first, turned, known, missed = fitted_to(source, seen, focal, body, skeleton, cover)
    with folder_filled_atomically(opt.dataroot) as folder:
        camera, matrix = camera_of(fit, turned[first:seen[-1] + 1], size)
        kept = [k for k in seen if cover(k).max() > 127]
        if not kept:
            raise UserError(f"{source.root.path}: the masks of layer {source.layer} are empty; expected the person")
        place = {k: posed_in(fit, k - first, turned[k], matrix, body) for k in kept}
        girth, overlap = best_girth(body, skeleton, fit, first, place, cover, camera, matrix)
        tall = resized(body.vertices, body.weights, skeleton, fit.lengths, girth)[0]
        scale = opt.height / float(np.ptp(tall[:, 1]))
        body = scaled(body, skeleton, fit, girth, scale)
        matrix[:3, 3] *= scale
        write_body(folder, body)
        write_text(folder / "intrinsic/0000.txt", as_lines(camera, "%.8f"))
        write_text(folder / "pose/0000.txt", as_lines(matrix, "%.8f"))
        for k in tqdm(kept, desc="frames", unit="frame"):
            pose = posed(fit.pose[k - first], joints=body.joints)._replace(
                rotation=place[k][0], translation=scale * place[k][1])
            write_text(folder / f"transform/{k:06d}.json", json.dumps(as_transform(pose)))
            write_png(folder / f"rgb/{k:06d}/0000.png", np.dstack((picture(source, k), cover(k))))
        unseen = one_texture(folder, camera, matrix, opt.tex_resolution)
        error = float(np.nanmean(fit.errors))
        height = float(np.median([np.ptp(source.keypoints[k][source.keypoints[k][:, 2] > 0, 1]) for k in seen]))
        note = {"clip": str(source.root.path), "layer": source.layer, "frames": len(kept), "error_px": round(error, 2),
                "error_percent": round(100 * error / height, 2), "outline_overlap": round(overlap, 3),
                "focal_px": round(fit.focal, 1), "focal_from": "given" if opt.focal else "from how the camera turns"
                if known else "found with the body, near the longer side",
                "height_m": opt.height, "girth": girth, "camera_no_turn_px": round(missed, 2),
                "unseen_percent": round(100 * unseen), "lengths": {name: round(float(value), 3) for name, value in
                                                                   fit.lengths.items()}}
        write_text(folder / NOTE, json.dumps(note, indent=1) + "\n")
    if missed > NO_TURN * max(size):
        print(f"note: the camera does more than turn (homographies differ by {missed:.1f} pixels from what a turn "
              "does): it moves or zooms, and the body's path through the world is approximate")
    return note


class Fitted(NamedTuple):
    """The body's fit, and what is known of the camera.

    Attributes:
        fit: of the frames from the first in which the person is seen to the last.
        first: the first of them.
        turned: [F, 3, 3], as of `camera_turns`.
        focal: in pixels, where it was not found with the body.
        missed: as of `camera_turns`.
    """

    fit: ClipFit
    first: int
    turned: np.ndarray
    focal: float | None
    missed: float


def fitted_to(source: Source, seen: list[int], focal: float | None, body: BodyFiles, skeleton: Skeleton,
              cover: Callable[[int], np.ndarray]) -> Fitted:
    """Fit the body to the frames in which the person is `seen`, and tell how it goes on."""
    first, last = seen[0], seen[-1] + 1
    turned, known, missed = camera_turns(source, focal)
    masks = [reduced(cover(k))[0] for k in range(first, last)]
    with tqdm(desc="body", unit="step") as bar:
        fit = fitted(skeleton, source.keypoints[first:last], source.size, float(source.root.metadata.frame_rate), known,
                     turned[first:last], lambda step, cost: bar.update(),
                     Outlines(body.vertices, body.faces, body.weights, masks))
    return Fitted(fit, first, turned, known, missed)


def opened(opt: Namespace) -> Source:
    """The clip, prepared first where it is a video, and the person."""
    clip = opt.source
    if not (clip / "metadata.json").exists():
        clip = opt.dataroot.with_name(f"{opt.dataroot.name}_clip")
        print(f"preparing {opt.source} in {clip}", flush=True)
        tell(prepare_clip(parse_preparation([str(opt.source), "--dataroot", str(clip)]))[0], most=MOST_TOLD)
    root = Dataroot.open(clip)
    path = root.path / "keypoints.json"
    people = poses_of_frames(path, root.frames)
    layers = people_layers(root.metadata, path, people)
    there = sorted({pose.person for frame in people for pose in frame})
    person = there[0] if opt.person is None and len(there) == 1 else opt.person
    if person not in there:
        found = "several people" if person is None else f"no person {person}"
        raise UserError(f"{path}: {found}; expected one of {there}. Say who: --person N")
    layer = next((number for number, together in enumerate(layers, start=1) if together == [person]), None)
    if layer is None:
        raise UserError(f"--person {person}: has no layer of her own in {root.metadata.path} (people_layers); "
                        "expected one. Say there who is in which layer, or let prepare.py find it")
    files = list_images(root.path / ("rgb" if root.own_size() else "rgb_256"))
    frames = [files[name] for name in root.frames if name in files]
    if len(frames) < len(root.frames):
        raise UserError(f"{root.path / 'rgb'}: {len(frames)} of the {len(root.frames)} frames of rgb_256/; expected "
                        "all. Prepare the clip again")
    width, height = image_size(frames[0])
    reduced = min(opt.picture_height, height)
    size = (round(width * reduced / height), reduced)
    scale = np.array(size) / root.metadata.pose_size
    keypoints = np.zeros((len(frames), 17, 3))
    for k, frame in enumerate(people):
        for pose in frame:
            if pose.person == person:
                keypoints[k] = pose.keypoints
    keypoints[..., :2] = (keypoints[..., :2] + 0.5) * scale - 0.5
    keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
    return Source(root, layer, frames, size, keypoints)


def picture(source: Source, k: int) -> np.ndarray:
    """A frame, uint8 [H, W, 3]."""
    return cv2.resize(read_image(source.frames[k], "RGB"), source.size, interpolation=cv2.INTER_AREA)


def cut_out(source: Source) -> Callable[[int], np.ndarray]:
    """What reads the person's matte in a frame, uint8 [H, W]."""
    layers, matte = matte_reader(source.root, source.size)
    if source.layer not in layers:
        raise UserError(f"{source.root.path}: no masks of layer {source.layer}; expected mask/{source.layer:02d}/. "
                        f"Make them: python prepare.py --dataroot {source.root.path}")
    return lambda k: matte(source.layer, k, source.size)


def reduced(matte: np.ndarray) -> tuple[np.ndarray, float]:
    """Where a person is, bool, at most HEIGHT pixels high, and how many times as large that is."""
    scale = min(1.0, HEIGHT / matte.shape[0])
    return cv2.resize(matte, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) > 127, scale


def camera_turns(source: Source, focal: float | None) -> tuple[np.ndarray, float | None, float]:
    """How a registered camera turned.

    Args:
        source: the clip.
        focal: in pixels of the photographs; None: that with which homographies are most like those of a camera that
            turns in its place, if they tell.

    Returns:
        [F, 3, 3], from the first frame's coordinates to each one's; the focal length, None where it is not known; and
        by how many pixels, in the mean over frames APART from each other, the camera did something else.
    """
    motion = source.root.camera_motion()
    count, (width, height) = len(source.frames), source.size
    if motion is None:
        return np.tile(np.eye(3), (count, 1, 1)), focal, 0.0
    there = np.linalg.inv(motion.to_world(source.size))
    apart = min(APART, count - 1)
    between = there[apart:] @ np.linalg.inv(there[:-apart])
    points = np.array([[0, width - 1, 0, width - 1, (width - 1) / 2], [0, 0, height - 1, height - 1, (height - 1) / 2],
                       [1, 1, 1, 1, 1]])

    def lens(length: float) -> np.ndarray:
        return np.array([[length, 0, (width - 1) / 2], [0, length, (height - 1) / 2], [0, 0, 1]])

    def missed(length: float) -> float:
        true, made = between @ points, lens(length) @ nearest_turns(between, lens(length)) @ np.linalg.inv(
            lens(length)) @ points
        return float(np.median(np.linalg.norm(true[:, :2] / true[:, 2:] - made[:, :2] / made[:, 2:], axis=1)))

    used = focal or float(max(source.size))
    if focal is None:
        tried = {max(source.size) * 2 ** (step / 8): 0.0 for step in range(-12, 17)}
        tried = {length: missed(length) for length in tried}
        best = min(tried, key=lambda length: tried[length])
        if all(tried[best] < CLEARLY * missed(best * factor) for factor in (0.5, 2)) and best not in (
                min(tried), max(tried)):
            finer = minimize_scalar(missed, bounds=(best / 2 ** (1 / 8), best * 2 ** (1 / 8)), method="bounded")
            used = focal = float(finer.x)
    return nearest_turns(there, lens(used)), focal, missed(used)


def nearest_turns(homographies: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """Rotations [F, 3, 3] of a camera whose turns are most like homographies [F, 3, 3]."""
    left, _, right = np.linalg.svd(np.linalg.inv(lens) @ homographies @ lens
                                   / np.cbrt(np.linalg.det(homographies))[:, None, None])
    return left @ right


def face_points(body: BodyFiles) -> np.ndarray:
    """Nose, eyes and ears [5, 3] of the body at rest: its most forward vertex, and the nearest to where the others are
    on a face."""
    head = body.vertices[body.weights[:, HEAD] > 0.5]
    nose = head[head[:, 2].argmax()]
    eyes = [head[np.linalg.norm(head - nose - [side * 0.033, 0.04, -0.03], axis=1).argmin()] for side in (1, -1)]
    ears = [head[(side * head[:, 0] - 3 * abs(head[:, 1] - nose[1] - 0.01)).argmax()] for side in (1, -1)]
    return np.stack([nose, *eyes, *ears])


def camera_of(fit: ClipFit, turned: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics and camera-to-world [4, 4]; up is where the person's head is in the mean, or the pictures' where she
    lies or bends, the ground is at her lowest joint, and the origin in her middle.
    """
    camera = np.eye(4)
    camera[0, 0] = camera[1, 1] = fit.focal
    camera[:2, 2] = (np.array(size) - 1) / 2
    rise = (turned @ fit.rotation)[:, :, 1].mean(0)
    up = rise / np.linalg.norm(rise) if np.linalg.norm(rise) > UPRIGHT else np.array([0.0, -1, 0])
    away = np.array([0.0, 0, -1])
    away = away - (away @ up) * up
    away /= np.linalg.norm(away)
    to_world = np.stack((np.cross(up, away), up, away))
    joints = np.einsum("ij,fjk,fnk->fni", to_world, turned, fit.joints)
    middle = joints[:, 0].mean(0)
    matrix = np.eye(4)
    matrix[:3, :3] = to_world
    matrix[:3, 3] = -middle[0], -np.quantile(joints[..., 1].min(1), 0.1), -middle[2]
    return camera, matrix


def posed_in(fit: ClipFit, row: int, turned: np.ndarray, matrix: np.ndarray, body: BodyFiles
             ) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] and translation [3] of the body in the world, before it is scaled to the person's height."""
    to_world = matrix[:3, :3] @ turned
    rotation = to_world @ fit.rotation[row]
    return rotation, to_world @ fit.place[row] - rotation @ body.joints[0] + matrix[:3, 3]


def best_girth(body: BodyFiles, skeleton: Skeleton, fit: ClipFit, first: int,
               place: dict[int, tuple[np.ndarray, np.ndarray]], cover: Callable[[int], np.ndarray], camera: np.ndarray,
               matrix: np.ndarray) -> tuple[float, float]:
    """How thick the body is so that its outline is most like the masks', and their overlap then."""
    kept = sorted(place)
    frames = [kept[i] for i in evenly_spread(len(kept), COMPARED)]
    people = {k: reduced(cover(k)) for k in frames}
    means = {}
    for girth in GIRTHS:
        own = scaled(body, skeleton, fit, girth, 1.0)
        overlaps = []
        for k in frames:
            person, scale = people[k]
            vertices = in_world(own, posed(fit.pose[k - first], joints=own.joints)._replace(
                rotation=place[k][0], translation=place[k][1]))
            drawn = body_in_view(vertices, own.faces, View(camera, matrix, Path()), person.shape, scale)
            overlaps.append(share_of_both(drawn, person))
        means[girth] = float(np.mean(overlaps))
    best = max(means, key=lambda girth: means[girth])
    return best, means[best]


def scaled(body: BodyFiles, skeleton: Skeleton, fit: ClipFit, girth: float, scale: float) -> BodyFiles:
    """The body with the person's limbs and girth, `scale` times as large."""
    vertices, joints = resized(body.vertices, body.weights, skeleton, fit.lengths, girth)
    return body._replace(vertices=scale * vertices, joints=scale * joints)


def in_world(body: BodyFiles, pose: Pose) -> np.ndarray:
    """Vertices [V, 3] of a body in a pose."""
    blended = np.einsum("vj,jab->vab", body.weights, pose.transforms)
    moved = np.einsum("vab,vb->va", blended[:, :3, :3], body.vertices) + blended[:, :3, 3]
    return pose.in_world(moved)


def one_texture(folder: Path, camera: np.ndarray, matrix: np.ndarray, resolution: int) -> float:
    """Write tex/, one texture from all frames; returns the share of it that none shows."""
    body, transforms = read_body(folder, new_tpose="none"), by_number(folder / "transform", "*.json")
    files = {number: folder / f"tex/{number:06d}.png" for number in transforms}
    return make_one_texture(TextureMaps(body, transforms, body_raster(body, resolution), files,
                                        by_number(folder / "rgb", "*"), [folder / "pose/0000.txt"],
                                        {0: (camera, matrix)}))


if __name__ == "__main__":
    with reported_in_one_line():
        main()
