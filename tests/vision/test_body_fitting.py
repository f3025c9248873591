import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from datasets.make_actor_dataset import face_points, in_world
from datasets.synthetic.actor import HEAD, PARENTS, body_files, posed, training_motion
from scripts.lab.one_video import UNSEEN_BY_COCO, similarity
from vision.geometry.raster import rasterised
from vision.people.body_fitting import fitted
from vision.people.body_model import joint_transforms
from vision.people.body_outlines import Outlines
from vision.people.jointed_body import COCO_JOINTS, LIMBS, Skeleton, resized

SIZE, FOCAL, RATE = (240, 320), 400.0, 8
USED = [joint for joint in range(24) if joint not in UNSEEN_BY_COCO]
LENGTHS = dict.fromkeys(LIMBS, 1.0) | {"thighs": 1.1, "torso": 0.93, "forearms": 1.08}


def skeleton():
    body = body_files()
    return Skeleton(body.joints, PARENTS, face_points(body))


def filmed(frames, turned=None, masks=None):
    """Joints [F, 24, 3] in the camera's coordinates and key points [F, 17, 3] of one with other limbs who turns; her
    masks are put into `masks`."""
    body, known = body_files(), skeleton()
    vertices, joints = resized(body.vertices, body.weights, known, LENGTHS)
    face = joints[HEAD] + known.face - known.joints[HEAD]
    random, places, keypoints = np.random.default_rng(3), [], []
    for k in range(frames):
        pose = posed(training_motion(0.1 + 0.3 * k / frames).angles, -0.6 + 2.2 * k / frames, joints=joints)
        on_head = face @ pose.transforms[HEAD, :3, :3].T + pose.transforms[HEAD, :3, 3]
        points = np.concatenate((pose.in_world(pose.joints), pose.in_world(on_head)))
        points = points * [1, -1, -1] + [0.05 * k, 0.9, 3.2]
        seen = points if turned is None else points @ turned[k].T
        pixels = seen[:, :2] / seen[:, 2:] * FOCAL + (np.array(SIZE) - 1) / 2
        keypoints.append(pixels[[*range(24, 29), *(COCO_JOINTS[n] for n in range(5, 17))]])
        places.append(points[:24])
        if masks is not None:
            skin = in_world(body._replace(vertices=vertices), pose) * [1, -1, -1] + [0.05 * k, 0.9, 3.2]
            corners = (skin[:, :2] / skin[:, 2:] * FOCAL + (np.array(SIZE) - 1) / 2)[body.faces]
            masks.append(rasterised(corners, SIZE[::-1]).face >= 0)
    noisy = np.stack(keypoints) + random.normal(0, 1.0, (frames, 17, 2))
    return np.stack(places), np.concatenate((noisy, np.ones((frames, 17, 1))), -1)


def apart(made, true):
    """Mean distance in mm after a similarity of each frame."""
    errors = []
    for one, other in zip(made[:, USED], true[:, USED]):
        scale, rotation, moved = similarity(one, other)
        errors.append(1000 * np.linalg.norm(scale * one @ rotation + moved - other, axis=-1).mean())
    return float(np.mean(errors))


def test_joints_of_a_person_with_other_limbs_are_found_from_one_camera():
    true, keypoints = filmed(12)
    keypoints[5, 9] = [10, 10, 1]  # a hand that was found elsewhere
    keypoints[7, :, 2] = 0  # and nobody
    fit = fitted(skeleton(), keypoints, SIZE, RATE, FOCAL)
    assert apart(fit.joints, true) < 45
    assert np.nanmedian(fit.errors) < 2 and fit.errors[5, 9] > 50 and np.isnan(fit.errors[7]).all()
    assert fit.lengths["thighs"] / fit.lengths["torso"] > 1.08
    # What is written, angles at joints, gives these joints.
    joints = resized(body_files().vertices, body_files().weights, skeleton(), fit.lengths)[1]
    for k in (0, 7, 11):
        places = joint_transforms(joints, np.array(PARENTS), fit.pose[k])[1]
        again = (places - joints[0]) @ fit.rotation[k].T + fit.place[k]
        assert abs(again - fit.joints[k])[USED].max() < 1e-4


def test_outlines_tell_better_than_key_points_alone_how_somebody_stands():
    masks, body = [], body_files()
    true, keypoints = filmed(12, masks=masks)
    by_points = fitted(skeleton(), keypoints, SIZE, RATE, FOCAL)
    masks[4][:] = False  # nothing is known
    masks[7][40:60] = True  # somebody's umbrella
    refined = fitted(skeleton(), keypoints, SIZE, RATE, FOCAL,
                     outlines=Outlines(body.vertices, body.faces, body.weights, masks))
    assert apart(refined.joints, true) < 0.65 * apart(by_points.joints, true)
    assert refined.lengths["thighs"] / refined.lengths["torso"] == pytest.approx(1.1 / 0.93, abs=0.02)


def test_a_camera_that_turns_sees_the_same_person():
    turned = Rotation.from_rotvec([[0.01 * k, 0.03 * k, 0] for k in range(12)]).as_matrix()
    true, keypoints = filmed(12, turned)
    fit = fitted(skeleton(), keypoints, SIZE, RATE, FOCAL, turned)
    assert apart(fit.joints, true) < 45
    scale, rotation, moved = similarity(fit.joints[:, 0], true[:, 0])  # one path through the world
    assert np.linalg.norm(scale * fit.joints[:, 0] @ rotation + moved - true[:, 0], axis=-1).mean() < 0.08


def test_a_body_that_is_not_changed_stays_as_it_is_and_a_longer_one_keeps_its_joints_inside():
    body = body_files()
    same, joints = resized(body.vertices, body.weights, skeleton(), dict.fromkeys(LIMBS, 1.0))
    assert abs(same - body.vertices).max() < 1e-9 and abs(joints - body.joints).max() < 1e-9
    longer, moved = resized(body.vertices, body.weights, skeleton(), LENGTHS, 1.1)
    assert moved[4, 1] - moved[1, 1] == pytest.approx(1.1 * (body.joints[4, 1] - body.joints[1, 1]))
    near = body.weights[:, 4] > 0.9
    assert np.linalg.norm(longer[near].mean(0) - moved[4]) < 1.3 * np.linalg.norm(same[near].mean(0) - joints[4])


def test_too_little_is_refused():
    with pytest.raises(ValueError, match="2 frames"):
        fitted(skeleton(), np.zeros((2, 17, 3)), SIZE, RATE)
