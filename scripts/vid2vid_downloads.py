"""What the authors of vid2vid published: example data, weights, and FlowNet2's weights, from Google Drive.

The commands that fetch them are download_datasets.py, street/download_models.py, street/download_models_g1.py,
face/download_models.py and download_models_flownet2.py, as in the published guide.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.download import fetch, unpack
from util.errors import UserError
from util.files import folder_filled_atomically

URL = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
SAMPLES = "make sample data (python datasets/make_vid2vid_sample.py street|face|dancer)"


@dataclass(frozen=True)
class Archive:
    """A zip archive on Google Drive.

    Attributes:
        id: of the file there.
        place: where its folders go.
        folders: their names; nothing else is taken.
        instead: what to do when it cannot be had.
    """

    id: str
    place: str
    folders: tuple[str, ...]
    instead: str


ARCHIVES = {
    "data": Archive("1rPcbnanuApZeo2uc7h55OneBkbcFCnnf", "datasets", ("Cityscapes", "face", "pose"),
                    f"{SAMPLES}, or use data of your own (docs/vid2vid/data.md)"),
    "street": Archive("1MKtImgtnGC28EPU7Nh9DfFpHW6okNVkl", "checkpoints",
                      ("label2city_2048", "label2city_1024", "label2city_512", "label2city_single"),
                      f"train a street yourself (scripts/street), or {SAMPLES}"),
    "street_g1": Archive("1QoE1p3QikxNVbbTBWWRDtIspg-RcLE8y", "checkpoints",
                         ("label2city_1024_g1", "label2city_512_g1", "label2city_256_g1", "label2city_single"),
                         f"train a street yourself (scripts/street), or {SAMPLES}"),
    "face": Archive("10LvNw-2lrh-6sPGkWbQDfHspkqz5AKxb", "checkpoints", ("edge2face_512", "edge2face_single"),
                    f"train a face yourself (scripts/face), or {SAMPLES}"),
}
FLOWNET2 = "1E8re-b6csNuo-abg1vJKCDjCzlIam50F"
FLOWNET2_FILE = Path("models/flownet2_pytorch/FlowNet2_checkpoint.pth.tar")


def fetch_archive(name: str, url: str = URL) -> None:
    """Fetch one of `ARCHIVES` and put its folders into their places, unless they are there.

    Args:
        name: of the archive.
        url: with {} for the file's id.

    Raises:
        UserError: it cannot be had, is no safe archive, or holds other folders.
    """
    archive = ARCHIVES[name]
    place = Path(archive.place)
    there = [folder for folder in archive.folders if (place / folder).exists()]
    if there:
        print(f"{place / there[0]}: already there; remove it to fetch it again")
        return
    address = url.format(archive.id)
    with tempfile.TemporaryDirectory() as scratch:
        fetch(address, Path(scratch, "archive.zip"), archive.instead)
        unpack(Path(scratch, "archive.zip"), Path(scratch, "new"), address, inside=archive.place)
        found = {path.name: path for path in Path(scratch, "new").rglob("*")
                 if path.is_dir() and path.name in archive.folders and len(path.relative_to(scratch).parts) <= 3}
        if not found:
            holds = ", ".join(sorted(path.name for path in Path(scratch, "new").iterdir())[:5])
            raise UserError(f"{address}: holds {holds}; expected {' or '.join(archive.folders)}. "
                            f"{archive.instead[0].upper()}{archive.instead[1:]}")
        for folder, path in sorted(found.items()):
            with folder_filled_atomically(place / folder) as new:
                shutil.copytree(path, new, dirs_exist_ok=True)
            print(f"unpacked: {place / folder}")


def fetch_flownet2(url: str = URL) -> None:
    """Fetch FlowNet2's weights, unless they are there.

    Raises:
        UserError: they cannot be had.
    """
    if FLOWNET2_FILE.exists():
        print(f"{FLOWNET2_FILE}: already there; remove it to fetch it again")
        return
    fetch(url.format(FLOWNET2), FLOWNET2_FILE, "use --flow_net raft, dis or still instead")
    print(f"saved: {FLOWNET2_FILE}")
