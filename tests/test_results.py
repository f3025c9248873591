"""Results of test.py: sequences in folders, names that stay inside, and nothing written twice."""

from argparse import Namespace

import pytest
import torch

from data.base_dataset import BaseDataset
from models.base_model import Export
from training import exporting
from util.errors import UserError

OPT = Namespace(aspect_ratio=1.0, display_winsize=64, num_test=float("inf"))


class Items(BaseDataset):
    """(sequence, stem) each; "" is no sequence."""

    def __init__(self, *items):
        super().__init__(None)
        self.items = items

    def __len__(self):
        return len(self.items)

    def item(self, index, rng, epoch):
        sequence, stem = self.items[index]
        return {"image_path": f"data/{stem}.png", **({"sequence": sequence} if sequence else {})}


class Model:
    """Exports what it is told."""

    next_steps = ()

    def __init__(self, **made):
        self.made = made

    def export(self, batch):
        return Export(**self.made)


def export(folder, items, **made):
    exporting.export(Model(**made), Items(*items), folder, "title", OPT)


def picture():
    return torch.zeros(1, 3, 16, 16)


def test_equal_names_of_two_sequences_have_folders_of_their_own(tmp_path):
    export(tmp_path, [("a", "0001"), ("a", "0002"), ("b/c", "0001")], images={"x": picture()},
           video_frames={"v": picture()})
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert made == {"index.html", "a/index.html", "b/c/index.html", "a/images/0001_x.png", "a/images/0002_x.png",
                    "b/c/images/0001_x.png", "a/videos/v.webm", "b/c/videos/v.webm"}
    assert "a/index.html" in (tmp_path / "index.html").read_text()


def test_files_have_the_names_that_the_model_gives_whatever_their_letters(tmp_path):
    export(tmp_path, [("", "1")], files={"fake\u202fB_1.jpg": picture(), "pose/1.txt": "text", "mesh.ply": b"ply"})
    assert (tmp_path / "pose/1.txt").read_text() == "text" and (tmp_path / "mesh.ply").read_bytes() == b"ply"
    assert (tmp_path / "fake\u202fB_1.jpg").exists()


@pytest.mark.parametrize("items, made, message", [
    ([("a", "1"), ("b", "1"), ("a", "2")], {"video_frames": {"v": picture()}},
     "data/2.png: sequence a goes on here after another one; expected the items of a sequence to follow each other"),
    ([("a", "1"), ("./a/", "1")], {}, "data/1.png: another item is called 1, too; expected other names"),
    ([("../a", "1")], {}, "data/1.png: its results would be written to '../a'; expected a name inside the folder"),
    ([("", "1")], {"files": {"/etc/x": "text"}}, "data/1.png: its results would be written to '/etc/x'; expected"),
    ([("", "1"), ("", "2")], {"files": {"one.txt": "text"}}, "data/2.png: its results would be written to one.txt, as"),
    ([("", "1")], {"files": {"index.html": "text"}}, "data/1.png: its results would be written to index.html, as"),
])
def test_mistakes_of_names_are_told_in_one_line(tmp_path, items, made, message):
    with pytest.raises(UserError) as error:
        export(tmp_path, items, **made)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
