"""How well an actor is made of one video: the sample person turns round before one camera, so all is known.

    python -m scripts.lab.one_video make --clip datasets/turning            # a clip as prepare.py would make it
    python datasets/make_actor_dataset.py datasets/turning --dataroot datasets/turning_actor
    python -m scripts.lab.one_video measure --clip datasets/turning --actor datasets/turning_actor --held_out DIR

`make` writes frames, masks and key points (the true ones with noise), and the truth into truth.npz. `measure` prints
how far joints are from the true ones, and writes a dataroot of cameras that stand elsewhere, with true photographs, for
test.py and scripts.lab.measure_actor.
"""

import json
import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.actor_files import by_number, read_pose  # noqa: E402
from datasets.make_actor_dataset import face_points  # noqa: E402
from datasets.make_actor_sample import as_lines  # noqa: E402
from datasets.synthetic.actor import HEAD, LIGHT, Actor, Pose, body_files, cameras, posed, training_motion  # noqa: E402
from util.errors import reported_in_one_line  # noqa: E402
from util.files import write_text  # noqa: E402
from util.images import write_png  # noqa: E402
from vision.geometry.ground_shadow import Camera, GroundLight, cast_shadow  # noqa: E402
from vision.geometry.raster import projected  # noqa: E402
from vision.people.coco import JOINTS  # noqa: E402
from vision.people.iuv import atlas_tiles  # noqa: E402
from vision.people.jointed_body import COCO_JOINTS  # noqa: E402

WALL = 4.0
"""Metres from the person to the wall."""
SUN = GroundLight(0.0, (-LIGHT[0] / LIGHT[1], -LIGHT[2] / LIGHT[1]), 0.004, 0.5)
RATE, SECONDS = 12, 6
"""Frames per second of the clip, and seconds of a whole turn."""
UNSEEN_BY_COCO = (10, 11, 22, 23)
"""Feet and hands, of which no key point tells."""
VIEWS = (0, 45, 90, 180)
"""Degrees about the person's axis from the camera of the clip to those that are held out; 0: the clip's own."""


def main(argv: list[str] | None = None) -> None:
    """Make, or measure."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["make", "measure"])
    parser.add_argument("--clip", type=Path, required=True, metavar="DIR")
    parser.add_argument("--actor", type=Path, metavar="DIR", help="measure: what was made of the clip")
    parser.add_argument("--held_out", type=Path, metavar="DIR", help="measure: folder to write")
    parser.add_argument("--frames", type=int, default=RATE * SECONDS, metavar="N", help="make: a turn has so many")
    parser.add_argument("--size", type=int, default=256, metavar="PX", help="make: side of frames")
    parser.add_argument("--noise", type=float, default=2.0, metavar="PX", help="make: of key points")
    parser.add_argument("--sway", type=float, default=0.0, metavar="M", help="make: she walks so far to both sides")
    parser.add_argument("--seed", type=int, default=0)
    opt = parser.parse_args(argv)
    if opt.what == "make":
        make_clip(opt.clip, opt.frames, opt.size, opt.noise, opt.seed, opt.sway)
        return
    own, whole = joint_errors(opt.clip, opt.actor)
    print(f"joints, each frame aligned: {own.mean():.1f} mm, worst frame {own.mean(1).max():.1f} mm; the clip aligned "
          f"once: {whole.mean():.1f} mm")
    if opt.held_out is not None:
        write_held_out(opt.clip, opt.actor, opt.held_out)


def turning(share: float, sway: float = 0.0) -> Pose:
    """The sample's motion while the person turns round once, and walks `sway` metres to both sides: share 0 to 1."""
    pose = training_motion(share)
    aside = sway * np.sin(2 * np.pi * share)
    return posed(pose.angles, 0.3 + 2 * np.pi * share, (float(pose.translation[0]) + aside, 0,
                                                        float(pose.translation[2])))


def coco_points(pose: Pose, face: np.ndarray) -> np.ndarray:
    """COCO's 17 points of the sample person in the world, [17, 3]."""
    on_head = face @ pose.transforms[HEAD, :3, :3].T + pose.transforms[HEAD, :3, 3]
    return pose.in_world(np.concatenate((on_head, pose.joints[[COCO_JOINTS[n] for n in range(5, JOINTS)]])))


def make_clip(folder: Path, frames: int, size: int, noise: float = 2.0, seed: int = 0, sway: float = 0.0) -> None:
    """Write a clip of the person who turns on paved ground in the sun, its true layers in gt/, and truth.npz: `joints`
    [F, 24, 3] and the camera."""
    actor, random, face = Actor(256), np.random.default_rng(seed), face_points(body_files())
    intrinsics, place = cameras(8, 0, size)[1]
    keypoints, joints, plate = {}, [], ground_plate(intrinsics, place, size)
    write_png(folder / "gt/bg.png", plate.round().astype(np.uint8))
    for k in tqdm(range(frames), desc="clip", unit="frame"):
        pose = turning(k / frames, sway)
        surface = actor.surface(pose)
        rgba = actor.photograph(surface, actor.texture(pose, surface), intrinsics, place, (size, size))
        name, alpha = f"{k + 1:04d}.png", rgba[..., 3:] / 255
        dark = cast_shadow(surface, actor.files.faces, SUN, Camera(intrinsics, place, (size, size)))[..., None]
        whole = 1 - (1 - alpha) * (1 - dark)
        write_png(folder / "rgb_256" / name,
                  (rgba[..., :3] * alpha + (1 - alpha) * (1 - dark) * plate).round().astype(np.uint8))
        write_png(folder / "mask/01" / name, rgba[..., 3])
        for part, mask in (("person_01", alpha), ("shadow_01", dark)):
            write_png(folder / "gt" / part / name, (255 * mask[..., 0]).round().astype(np.uint8))
        write_png(folder / "gt/layer_01" / name, np.concatenate(
            (rgba[..., :3] * alpha / whole.clip(1e-6), 255 * whole), -1).round().astype(np.uint8))
        pixels = projected(coco_points(pose, face), intrinsics, place)[0]
        pixels = pixels + random.normal(0, noise, pixels.shape)
        keypoints[f"{k + 1:04d}.png"] = [{"keypoints": np.c_[pixels, np.ones(JOINTS)].round(3).ravel().tolist(),
                                          "scores": 1.0, "idx": 1}]
        joints.append(pose.in_world(pose.joints))
    write_text(folder / "keypoints.json", json.dumps(keypoints))
    write_text(folder / "metadata.json", json.dumps({
        "alphapose_input_size": [size, size], "size_LR": [size, size], "n_textures": atlas_tiles(1),
        "frame_rate": f"{max(1, round(frames / SECONDS))}/1"}))
    np.savez(folder / "truth.npz", sway=sway, joints=np.stack(joints), intrinsics=intrinsics, camera_to_world=place)


def ground_plate(intrinsics: np.ndarray, place: np.ndarray, size: int) -> np.ndarray:
    """The scene without the person: ground of large stones before a plain wall, float64 [H, W, 3] in [0, 255]."""
    y, x = np.mgrid[:size, :size]
    ahead = np.stack(((x - intrinsics[0, 2]) / intrinsics[0, 0], (y - intrinsics[1, 2]) / intrinsics[1, 1],
                      np.ones((size, size))), -1) @ place[:3, :3].T
    depth = place[1, 3] / (-ahead[..., 1]).clip(1e-3)
    across, along = (place[i, 3] + depth * ahead[..., i] for i in (0, 2))
    stones = 12 * ((np.floor(across / 0.4) + np.floor(along / 0.4)) % 2) + 6 * np.sin(9 * across) * np.sin(7 * along)
    ground = (ahead[..., 1] < 0) & (np.hypot(across, along) < WALL)
    return np.where(ground[..., None], stones[..., None] + [150, 142, 128], [120, 130, 110])


def similarity(points: np.ndarray, others: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation and translation that bring points [N, 3] nearest to others: scale * points @ rotation + ..."""
    middle, other = points.mean(0), others.mean(0)
    left, values, right = np.linalg.svd((points - middle).T @ (others - other))
    signs = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    rotation = left * signs @ right
    scale = float((values * signs).sum() / ((points - middle)**2).sum())
    return scale, rotation, other - scale * middle @ rotation


def fitted_joints(actor: Path) -> dict[int, np.ndarray]:
    """Joints [24, 3] of each frame of an actor, in its world."""
    return {number: read_pose(path, 24)["joints"].numpy().astype(float)
            for number, path in by_number(actor / "transform", "*.json").items()}


def joint_errors(clip: Path, actor: Path) -> tuple[np.ndarray, np.ndarray]:
    """Millimetres from the true joints [F, 20], each frame aligned by a similarity, and the clip by one."""
    found = fitted_joints(actor)
    used = [joint for joint in range(24) if joint not in UNSEEN_BY_COCO]
    true = np.load(clip / "truth.npz")["joints"][sorted(found)][:, used]
    made = np.stack([found[number] for number in sorted(found)])[:, used]

    def apart(points: np.ndarray, others: np.ndarray) -> np.ndarray:
        scale, rotation, moved = similarity(points, others)
        return 1000 * np.linalg.norm(scale * points @ rotation + moved - others, axis=-1)

    return (np.stack([apart(*both) for both in zip(made, true)]),
            apart(made.reshape(-1, 3), true.reshape(-1, 3)).reshape(made.shape[:2]))


def write_held_out(clip: Path, actor: Path, folder: Path, views: tuple[int, ...] = VIEWS, frames: int = 4) -> None:
    """Write the actor in a few frames with cameras that stand elsewhere, and what these really see."""
    person, truth, found = Actor(256), np.load(clip / "truth.npz"), fitted_joints(actor)
    numbers = sorted(found)
    scale, rotation, moved = similarity(truth["joints"][numbers].reshape(-1, 3),
                                        np.stack([found[number] for number in numbers]).reshape(-1, 3))
    for name in ("canonical.obj", "uvmapping.obj", "skinning_weight.txt", "transform_tpose.json"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(actor / name, folder / name)
    places = []
    for number, degrees in enumerate(views):
        angle = np.radians(degrees)
        about = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        place = np.eye(4)
        place[:3] = about @ truth["camera_to_world"][:3]
        places.append(place)
        own = np.eye(4)
        own[:3, :3], own[:3, 3] = rotation.T @ place[:3, :3], scale * place[:3, 3] @ rotation + moved
        write_text(folder / f"pose/{number:04d}.txt", as_lines(own, "%.8f"))
    size = person_size(actor)
    intrinsics = truth["intrinsics"] * 1.0
    factor = size[0] / (2 * intrinsics[1, 2] + 1)
    intrinsics[:2] *= factor
    intrinsics[:2, 2] += (factor - 1) / 2
    for number in range(len(views)):
        write_text(folder / f"intrinsic/{number:04d}.txt", as_lines(intrinsics, "%.8f"))
    for number in numbers[::max(1, len(numbers) // frames)][:frames]:
        for name in (f"transform/{number:06d}.json", f"tex/{number:06d}.png"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(actor / name, folder / name)
        pose = turning(number / len(truth["joints"]), float(truth["sway"]) if "sway" in truth else 0.0)
        surface = person.surface(pose)
        texture = person.texture(pose, surface)
        for camera, place in enumerate(places):
            write_png(folder / f"rgb/{number:06d}/{camera:04d}.png",
                      person.photograph(surface, texture, intrinsics, place, size))


def person_size(actor: Path) -> tuple[int, int]:
    """(height, width) of an actor's photographs."""
    from util.images import image_size
    width, height = image_size(next(iter(sorted((actor / "rgb").rglob("*.png")))))
    return height, width


if __name__ == "__main__":
    with reported_in_one_line():
        main()
