"""The whole way from Python: what the functions of video_people promise besides what the programs' tests show."""

import inspect
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import video_people
from datasets.make_sample import make_sample
from models.lnr_model import LnrModel
from tests.program import ROOT
from util.images import read_image
from video_people import UserError

SMALL = {"num_filters": 4, "batch_size": 1, "n_epochs": 2, "n_epochs_upsample": 0, "num_threads": 0, "gpu_ids": "-1",
         "display_id": 0, "no_html": True}


@pytest.fixture
def clip(golden, tmp_path, monkeypatch):
    """The golden clip, in the working folder."""
    shutil.copytree(golden / "clip", tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "clip"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("python") / "sample", frames=6, width=64, height=64, people=2)


def interrupted_at(monkeypatch, step, number):
    """Let a signal arrive in one of the steps."""
    optimize, steps = LnrModel.optimize_parameters, []

    def optimize_parameters(self, batch):
        steps.append(1)
        if len(steps) == step:
            signal.raise_signal(number)
        return optimize(self, batch)
    monkeypatch.setattr(LnrModel, "optimize_parameters", optimize_parameters)


def test_importing_it_is_light():
    code = ("import sys, video_people\n"
            "print({'torch', 'numpy', 'cv2', 'av'} & set(sys.modules), video_people.__version__)")
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == f"set() {video_people.__version__}\n", found.stderr


def test_every_argument_has_a_type_and_is_explained():
    for name in set(video_people.__all__) - {"UserError", "__version__"}:
        function = getattr(video_people, name)
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty
        for argument in signature.parameters.values():
            assert argument.annotation is not inspect.Parameter.empty
            assert f"    {argument.name}: " in inspect.cleandoc(function.__doc__), f"{name}: {argument.name}"
        assert "Returns:" in function.__doc__ and "UserError: " in function.__doc__


@pytest.mark.parametrize("value", [True, False, None, 3])
@pytest.mark.parametrize("call, option, nearest", [
    (partial(video_people.make_sample, "a"), "frame", "--frames"),
    (partial(video_people.prepare, None, "a"), "over_write", "--overwrite"),
    (partial(video_people.train, "a", name="a"), "bach_size", "--batch_size"),
    (partial(video_people.export, "a", dataroot="a"), "do_upsample", "--do_upsampling"),
    (partial(video_people.retime, "a.mp4", layers="a", dataroot="a"), "freez", "--freeze"),
    (partial(video_people.evaluate, layers="a", dataroot="a"), "lpips", "--no_lpips"),
])
def test_an_unknown_option_is_an_error_that_names_the_nearest_also_where_it_is_not_given(call, option, nearest, value):
    with pytest.raises(UserError, match=f"^--{option}.*: no such option; did you mean {nearest}\\?"):
        call(**{option: value})


def test_mistakes_are_errors_and_end_nothing(clip):
    with pytest.raises(UserError, match="--batch_size: found 'many'; expected"):
        video_people.train(clip, name="a", batch_size="many")
    with pytest.raises(UserError, match="--preset: invalid choice"):
        video_people.train(clip, name="a", preset="fastest")
    with pytest.raises(UserError, match="--dataroot: missing"):
        video_people.train(name="a")
    with pytest.raises(UserError, match="one of the two"):
        video_people.retime("a.mp4")
    with pytest.raises(UserError, match="--help: no such option here"):
        video_people.evaluate(name="a", help=True)
    shutil.rmtree(clip / "iuv")
    with pytest.raises(UserError, match="iuv"):
        video_people.prepare(None, clip, check=True)


def test_it_trains_and_exports_in_a_thread_and_leaves_signals_alone(clip):
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(video_people.train, clip, name="threaded", **SMALL).result()
        results = thread.submit(video_people.export, "threaded", gpu_ids="-1", num_test=1).result()
    assert run == Path("checkpoints/threaded") and (run / "latest_net_LNR.pth").exists()
    assert results == Path("results/threaded/test_latest") and (results / "index.html").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_saves_the_run_and_then_takes_its_usual_effect(clip, monkeypatch):
    interrupted_at(monkeypatch, 2, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        video_people.train(clip, name="stopped", save_latest_minutes=1000, **SMALL)
    monkeypatch.undo()
    monkeypatch.chdir(clip.parent)
    assert video_people.train(name="stopped", continue_train=True, gpu_ids="-1") == Path("checkpoints/stopped")

    came = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    try:
        interrupted_at(monkeypatch, 2, signal.SIGTERM)
        video_people.train(clip, name="ended", **SMALL)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [signal.SIGTERM]


def test_a_run_that_failed_may_be_trained_again_while_its_error_is_kept(clip, monkeypatch):
    monkeypatch.setattr(LnrModel, "optimize_parameters", lambda self, batch: 1 / 0)
    with pytest.raises(ZeroDivisionError) as kept:
        video_people.train(clip, name="again", **SMALL)
    monkeypatch.undo()
    monkeypatch.chdir(clip.parent)
    assert video_people.train(clip, name="again", **SMALL).name == "again" and kept.value.__traceback__


def test_an_edit_is_what_an_edit_file_holds_and_short_forms_keep_their_order(sample, tmp_path):
    layers = {"layers": sample / "gt", "dataroot": sample}
    edit = {"layers": {"1": {"time": [{"freeze": [2, 4]}, {"offset": 1}]}}}
    ways = [{"edit": edit}, {"freeze": "1:2-4", "offset": ["1:+1"]}, {"edit": edit | {"layers": {}}, "remove": "1"}]
    pictures = []
    for number, way in enumerate(ways):
        out = video_people.retime(tmp_path / str(number), **layers, **way)
        assert out == tmp_path / str(number)
        pictures.append([read_image(path, "RGB").tolist() for path in sorted(out.glob("*.png"))])
    assert pictures[0] == pictures[1] != pictures[2] and len(pictures[0]) == 6


def test_evaluating_returns_what_it_writes(sample, tmp_path):
    figures = video_people.evaluate(layers=sample / "gt", dataroot=sample, no_lpips=True, out=tmp_path / "measured")
    assert figures["total"]["reconstruction"]["psnr"] > 30 and len(figures["frames"]) == 6
    assert (tmp_path / "measured" / "index.html").exists()
