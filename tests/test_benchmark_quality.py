"""The benchmark of the layers: what it decides by itself, and the whole of it at its tiniest."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from options.train_options import TrainOptions
from scripts.benchmark_quality import KINDS, PRESETS, Clip, Preset, parse, work_through
from scripts.quality_page import LAYER_MEASURES, PICTURE_MEASURES, Measure, Outcome, contests, table
from util.errors import UserError

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark_quality.py"


def command(folder, *options):
    return [sys.executable, SCRIPT, "--preset", "tiny", "--seeds", "1", "--jobs", "1", "--work", folder / "work",
            "--out", folder / "page" / "quality.md", *options]


def rows(page, kind):
    """The two rows of a kind in every table of figures."""
    lines = page.read_text().splitlines()
    return [lines[i:i + 2] for i, line in enumerate(lines) if line.startswith(f"| {kind} | method |")]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """A benchmark of two kinds that was interrupted after the first and then continued; beside it, of the first kind
    only, one that was not."""
    folder, other = tmp_path_factory.mktemp("interrupted"), tmp_path_factory.mktemp("uninterrupted")
    kinds = ("--kinds", "alone", "pair")
    uninterrupted = subprocess.Popen(command(other, "--kinds", "alone"))
    process = subprocess.Popen(command(folder, *kinds), stderr=subprocess.PIPE, text=True)
    try:
        while not (folder / "work/tiny/pair_1.log").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        said = process.communicate(timeout=60)[1]
        facts = {"status": process.returncode, "said": said, "seconds": time.monotonic() - started,
                 "left": sorted(path.name for path in (folder / "work/tiny").iterdir()),
                 "made": (folder / "work/tiny/alone_1/outcome.json").stat().st_mtime_ns,
                 "page": (folder / "page").exists()}
        subprocess.run(command(folder, *kinds), check=True)
        assert uninterrupted.wait(280) == 0
    finally:
        process.kill()
        uninterrupted.kill()
    return folder, other, facts


def test_an_interrupted_benchmark_stops_at_once_and_keeps_whole_clips_only(benchmark):
    _, _, facts = benchmark
    assert facts["status"] == 130 and facts["seconds"] < 20
    assert facts["said"].count("\n") == 1 and "Traceback" not in facts["said"]
    assert facts["left"] == ["alone_1", "alone_1.log", "pair_1.log"] and not facts["page"]


def test_a_second_start_does_what_is_missing_and_no_more(benchmark):
    folder, _, facts = benchmark
    assert (folder / "work/tiny/alone_1/outcome.json").stat().st_mtime_ns == facts["made"]
    assert (folder / "work/tiny/pair_1/outcome.json").exists()


def test_the_same_seeds_make_the_same_tables(benchmark):
    folder, other, _ = benchmark
    tables = rows(folder / "page/quality.md", "alone")
    assert len(tables) == 2 and tables == rows(other / "page/quality.md", "alone")


def test_the_page_has_a_figure_in_every_cell_that_applies_and_all_its_pictures(benchmark):
    folder, _, _ = benchmark
    page = (folder / "page/quality.md").read_text()
    assert "$" not in page
    tables = rows(folder / "page/quality.md", "pair")
    for lines, measures in zip(tables, (PICTURE_MEASURES, LAYER_MEASURES)):
        for line in lines:
            cells = [cell.strip(" *") for cell in line.strip("|").split("|")][2:]
            assert len(cells) == len(measures) and all(re.fullmatch(r"\d+\.\d+", cell) for cell in cells)
    pictures = re.findall(r"\]\((.+?\.jpg)\)", page)
    assert pictures == ["quality/alone.jpg", "quality/pair.jpg"]
    assert all(Image.open(folder / "page" / picture).width > 5 * 96 for picture in pictures)


def test_an_outcome_of_other_options_is_not_taken_for_this_one(benchmark):
    folder, _, _ = benchmark
    assert Clip("pair", 1, folder / "work/tiny", PRESETS["tiny"], []).is_done()
    with pytest.raises(UserError, match="--num_filters 8.*--work"):
        Clip("pair", 1, folder / "work/tiny", PRESETS["tiny"], ["--num_filters", "8"]).is_done()


@pytest.mark.parametrize("options, named", [
    (["--kinds", "nobody"], "--kinds"), (["--seeds", "0"], "--seeds"), (["--seed", "3"], "--seed"),
    (["--kinds", "pair", "--name=x"], "--name")])
def test_a_bad_option_is_refused(options, named):
    with pytest.raises(UserError, match=named):
        parse(options)


def test_a_clip_that_fails_leaves_its_log_and_nothing_else(tmp_path):
    with pytest.raises(UserError, match="make_sample.py failed: error: --width: 90 .*pair_1.log"):
        work_through([Clip("pair", 1, tmp_path, Preset("--width 90", ""), [])], jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["pair_1.log"]


def test_every_kind_says_how_its_camera_moves_to_the_training():
    for kind, options in KINDS.items():
        clip = Clip(kind, 2, Path("work"), PRESETS["quick"], ["--lr", "1"])
        assert ("--use_homographies" in clip.options()["train"]) == ("moving" in options)
        assert clip.options()["train"].endswith("--lr 1") and clip.options()["clip"].endswith("--seed 2")


def outcome(folder, seed, method, cut_out):
    for way, value in (("method", method), ("cut_out", cut_out)):
        path = folder / f"kind_{seed}" / "measured" / way / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"total": {
            "background": {"psnr": value}, "layer_1": {"shadow_own": value, "matte_mse": value},
            "layer_2": {"shadow_own": None, "matte_mse": value + 2}}}))
    return Outcome("kind", seed, folder / f"kind_{seed}")


def test_a_cell_is_mean_and_spread_over_seeds_and_bold_where_better(tmp_path):
    outcomes = [outcome(tmp_path, 1, 1.0, 2.0), outcome(tmp_path, 2, 3.0, 1.0)]
    more, less = Measure("more", "background", "psnr", +1), Measure("less", "layer_.*", "matte_mse", -1)
    lines = table([more, less, Measure("own", "layer_.*", "shadow_own", +1), Measure("none", "no", "no", +1)], ["kind"],
                  outcomes).splitlines()
    assert lines[2] == "| kind | method | **2.0 ± 1.4** | 3.0 ± 1.4 | **2.0 ± 1.4** | – |"
    assert lines[3] == "|  | cut-out | 1.5 ± 0.7 | 2.5 ± 0.7 | 1.5 ± 0.7 | – |"
    alike = [outcome(tmp_path / "alike", 1, 2.0, 2.0)]
    assert "**" not in table([more, less], ["kind"], alike) and contests(["kind"], alike) == ([], [])
    won, lost = contests(["kind"], outcomes)
    assert [measure.key for _, measure in won] == ["psnr", "shadow_own"]
    assert [measure.key for _, measure in lost] == ["matte_mse"]


def test_a_preset_is_made_of_options_that_train_py_knows():
    for preset in PRESETS.values():
        with pytest.raises(UserError, match="no/clip"):  # all are known: it gets as far as reading the clip
            TrainOptions().parse([*preset.train.split(), "--dataroot", "no/clip"])
