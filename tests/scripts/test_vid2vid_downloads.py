"""Published data and weights: folders go where they belong, and nothing else does."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import vid2vid_downloads as downloads
from tests.program import ROOT
from util.errors import UserError

COMMANDS = ("download_datasets.py", "street/download_models.py", "street/download_models_g1.py",
            "face/download_models.py", "download_models_flownet2.py")


def zipped(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in files:
            archive.writestr(name, name)
    return content.getvalue()


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Makes Google Drive hold an archive of files with given names; the working folder is empty."""
    monkeypatch.chdir(tmp_path)

    def serve(*files):
        monkeypatch.setattr(downloads, "fetch", lambda url, path, instead: _written(path, zipped(files)))
    return serve


def _written(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)


def everything():
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


@pytest.mark.parametrize("top", ["", "checkpoints/", "face_weights/"])
def test_weights_go_into_checkpoints_however_they_are_packed(served, top):
    served(f"{top}edge2face_512/latest_net_G0.pth", f"{top}edge2face_single/features.npy", f"{top}readme.txt")
    downloads.fetch_archive("face")
    assert everything() == ["checkpoints/edge2face_512/latest_net_G0.pth", "checkpoints/edge2face_single/features.npy"]


def test_an_archive_of_one_experiment_keeps_its_folder(served):
    served("label2city_1024_g1/latest_net_G0.pth", "label2city_1024_g1/latest_net_G1.pth")
    downloads.fetch_archive("street_g1")
    assert len(everything()) == 2 and everything()[0] == "checkpoints/label2city_1024_g1/latest_net_G0.pth"


def test_what_is_there_is_left_alone(served, capsys):
    served("datasets/face/test_img/a/0.jpg")
    Path("datasets/pose").mkdir(parents=True)
    downloads.fetch_archive("data")
    assert not everything() and "already there" in capsys.readouterr().out


def test_example_data_do_not_touch_the_commands_beside_them(served):
    served("datasets/Cityscapes/test_A/a/0.png", "datasets/make_sample.py")
    downloads.fetch_archive("data")
    assert everything() == ["datasets/Cityscapes/test_A/a/0.png"]


def test_another_archive_is_told(served):
    served("cats/1.jpg", "dogs/2.jpg")
    with pytest.raises(UserError, match="holds cats, dogs; expected edge2face_512 or edge2face_single. Train a face"):
        downloads.fetch_archive("face")
    assert not everything()


def test_flownet2_goes_where_the_published_program_has_it(served):
    served("x")
    downloads.fetch_flownet2()
    assert everything() == ["models/flownet2_pytorch/FlowNet2_checkpoint.pth.tar"]


@pytest.mark.parametrize("command", COMMANDS)
def test_dead_links_say_what_to_do_instead(command, tmp_path):
    dead = {**os.environ, "https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "no_proxy": ""}
    done = subprocess.run([sys.executable, ROOT / "scripts" / command], cwd=tmp_path, capture_output=True, text=True,
                          env=dead)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "could not be fetched" in done.stderr
    assert "make_vid2vid_sample" in done.stderr or "--flow_net" in done.stderr
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
