"""Find the 68 landmarks of the face in every photograph of {phase}_img/, and write them into {phase}_keypoints/.

    python data/face_landmark_detection.py train --dataroot datasets/face

With dlib where its model, shape_predictor_68_face_landmarks.dat, is in the dataroot, as the published program does;
else with mediapipe's face mesh, whose points that lie nearest to dlib's are taken. Frames in which no face is found get
landmarks from the frames around them, and are told: a sequence needs a file for each frame.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

if not __package__:  # run by its path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.image_sequences import IMAGES, Sequence, find_sequences
from util.command_line import OneLineParser, folder_name
from util.errors import UserError, reported_in_one_line
from util.files import write_text
from util.images import read_image

MODEL = "shape_predictor_68_face_landmarks.dat"
MESH_POINTS = (
    127, 234, 93, 132, 58, 136, 149, 148, 152, 377, 378, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 75, 97, 2, 326, 305,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # mouth
    78, 82, 13, 312, 308, 317, 14, 87)  # inner mouth
"""Points of mediapipe's face mesh that lie where dlib's 68 landmarks do, in their order."""

Finder = Callable[[np.ndarray], "np.ndarray | None"]
"""uint8 RGB [H, W, 3] to landmarks float [68, 2] in pixels; None: there is no face."""


def main() -> None:
    """Find landmarks as the command line says, and say in which frames there were none."""
    parser = OneLineParser(description="Find the landmarks of faces in photographs.")
    add = parser.add_argument
    add("phase", type=folder_name, help="train or test: of {phase}_img")
    add("--dataroot", default="datasets/face", metavar="DIR", help="folder with {phase}_img (default: %(default)s)")
    add("--detector", choices=("auto", "dlib", "mediapipe"), default="auto",
        help=f"auto: dlib if {MODEL} is in the dataroot, else mediapipe (default: auto)")
    opt = parser.parse_args()
    root = Path(opt.dataroot)
    sequences = find_sequences(root, opt.phase, {"images": ("img", IMAGES)}, 1)
    use_dlib = opt.detector == "dlib" or opt.detector == "auto" and (root / MODEL).exists()
    find = dlib_finder(root / MODEL) if use_dlib else mediapipe_finder()
    for line in write_landmarks(root / f"{opt.phase}_keypoints", sequences, find):
        print(line)
    print(f"landmarks: {root / f'{opt.phase}_keypoints'}")


def write_landmarks(folder: Path, sequences: list[Sequence], find: Finder) -> list[str]:
    """Write a file of landmarks for each frame.

    Args:
        folder: <sequence>/<frame>.txt are made in it.
        sequences: with "images".
        find: finds a face.

    Returns:
        for each sequence in which some frames show no face, a line that says which.

    Raises:
        UserError: a sequence shows no face at all; all such sequences, a line each. Nothing was written then.
    """
    found = {}
    for sequence in sequences:
        paths = sequence.files["images"]
        found[sequence.name] = [find(read_image(path, "RGB")) for path in tqdm(paths, desc=sequence.name, unit="frame")]
    empty = [name for name, faces in found.items() if all(face is None for face in faces)]
    if empty:
        raise UserError("\n       ".join(f"{name}: no face in any frame; expected one that looks at the camera. Remove "
                                         "this sequence, or write its landmarks yourself" for name in empty))
    said = []
    for sequence in sequences:
        paths, faces = sequence.files["images"], found[sequence.name]
        missing = [path.name for path, face in zip(paths, faces) if face is None]
        if missing:
            said.append(f"{sequence.name}: no face in {len(missing)} of {len(paths)} frames ({', '.join(missing[:5])}"
                        f"{', ...' if len(missing) > 5 else ''}); they have landmarks from the frames around them")
        for path, face in zip(paths, filled(faces)):
            lines = "\n".join(f"{x},{y}" for x, y in np.round(face).astype(int))
            write_text(folder / sequence.name / f"{path.stem}.txt", lines + "\n")
    return said


def filled(faces: list[np.ndarray | None]) -> np.ndarray:
    """Landmarks of all frames [T, 68, 2], those that were not found between those that were, at the ends as these."""
    found = {k: face for k, face in enumerate(faces) if face is not None}
    known, tracks = list(found), np.stack(list(found.values())).reshape(len(found), -1)
    columns = [np.interp(np.arange(len(faces)), known, track) for track in tracks.T]
    return np.stack(columns, axis=1).reshape(len(faces), -1, 2)


def mediapipe_finder() -> Finder:
    """The face mesh that is inside the package mediapipe.

    Raises:
        UserError: the package is missing.
    """
    try:
        from mediapipe.python.solutions.face_mesh import FaceMesh
        mesh = FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=False)
    except ImportError as error:
        raise UserError(f"--detector mediapipe: the package is not usable ({error}); install it with: pip install -r "
                        f"requirements-mediapipe.txt (Python up to 3.12), or put dlib's {MODEL} into the dataroot"
                        ) from None

    def find(picture: np.ndarray) -> np.ndarray | None:
        faces = mesh.process(picture).multi_face_landmarks
        if not faces:
            return None
        marks = faces[0].landmark
        return np.array([(marks[k].x, marks[k].y) for k in MESH_POINTS]) * picture.shape[1::-1]
    return find


def dlib_finder(model: Path) -> Finder:
    """dlib's frontal detector, on pictures of twice the size, and its landmarks of the first face.

    Raises:
        UserError: the package or the model is missing.
    """
    try:
        import dlib
    except ImportError as error:
        raise UserError(f"--detector dlib: the package is not usable ({error}); install it (pip install dlib), or give "
                        "--detector mediapipe") from None
    if not model.exists():
        raise UserError(f"{model}: no such file; expected dlib's model of 68 landmarks. Fetch it from dlib.net/files, "
                        "or give --detector mediapipe")
    detector, predictor = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(model))

    def find(picture: np.ndarray) -> np.ndarray | None:
        faces = detector(picture, 1)
        if not faces:
            return None
        shape = predictor(picture, faces[0])
        return np.array([(shape.part(k).x, shape.part(k).y) for k in range(shape.num_parts)], np.float64)
    return find


if __name__ == "__main__":
    with reported_in_one_line():
        main()
