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
from scripts.benchmark_quality import KINDS, SIZES, WAYS, Clip, parse, training, work_through
from scripts.quality_page import LAYER_MEASURES, PICTURE_MEASURES, Measure, Outcome, contests, table
from util.errors import UserError

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark_quality.py"
TINY = SIZES["tiny"][0]


def command(folder):
    return [sys.executable, SCRIPT, "--size", "tiny", "--seeds", "1", "--kinds", "pair", "--ways", "cut_out",
            "fast", "--work", folder / "work", "--out", folder / "page" / "quality.md"]


def clip(kind="pair", seed=1, work=Path("work"), size=TINY, budget=2, ways=("cut_out",), options=()):
    return Clip(kind, seed, work, size, budget, list(ways), list(options))


def rows(page, kind):
    """The rows of a kind in every table of figures."""
    lines = page.read_text().splitlines()
    return [lines[i:i + 2] for i, line in enumerate(lines) if line.startswith(f"| {kind} | cut-out |")]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """A benchmark of a clip that was interrupted in its second way and then continued."""
    folder = tmp_path_factory.mktemp("interrupted")
    made = folder / "work/tiny/pair_1"
    process = subprocess.Popen(command(folder), stderr=subprocess.PIPE, text=True)
    try:
        while not (made / "fast.log").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        said = process.communicate(timeout=60)[1]
        facts = {"status": process.returncode, "said": said, "seconds": time.monotonic() - started,
                 "left": sorted(path.name for path in made.iterdir()),
                 "made": (made / "cut_out/outcome.json").stat().st_mtime_ns, "page": (folder / "page").exists()}
        subprocess.run(command(folder), check=True)
    finally:
        process.kill()
    return folder, facts


def test_an_interrupted_benchmark_stops_at_once_and_keeps_what_is_whole(benchmark):
    _, facts = benchmark
    assert facts["status"] == 130 and facts["seconds"] < 20
    assert facts["said"].count("\n") == 1 and "Traceback" not in facts["said"]
    assert facts["left"] == ["clip", "clip.log", "cut_out", "cut_out.log", "fast.log"] and not facts["page"]


def test_a_second_start_does_what_is_missing_and_no_more(benchmark):
    folder, facts = benchmark
    made = folder / "work/tiny/pair_1"
    assert (made / "cut_out/outcome.json").stat().st_mtime_ns == facts["made"]
    assert (made / "fast/outcome.json").exists()


def test_the_page_has_a_figure_in_every_cell_that_applies_and_all_its_pictures(benchmark):
    folder, _ = benchmark
    page = (folder / "page/quality.md").read_text()
    assert "$" not in page
    for kind in ("pair", "all"):
        for lines, measures in zip(rows(folder / "page/quality.md", kind), (PICTURE_MEASURES, LAYER_MEASURES)):
            for line in lines:
                cells = [cell.strip(" *") for cell in line.strip("|").split("|")][2:]
                expected = [r"–" if measure.key == "shadow_on_people" else r"\d+\.\d+" for measure in measures]
                assert len(cells) == len(measures) and all(map(re.fullmatch, expected, cells))
    pictures = re.findall(r"\]\((.+?\.(?:jpg|svg))\)", page)
    assert pictures == ["quality/curves.svg", "quality/pair.jpg"]
    assert Image.open(folder / "page/quality/pair.jpg").width > 5 * 96
    assert "draft to fast" in (folder / "page/quality/curves.svg").read_text()


def test_an_outcome_of_other_options_is_not_taken_for_this_one(benchmark):
    folder, _ = benchmark
    work = folder / "work/tiny"
    fast = clip(work=work, ways=["fast"]).parts()[-1]
    assert fast.is_done()
    with pytest.raises(UserError, match="--num_filters 8.*--work"):
        clip(work=work, ways=["fast"], options=["--num_filters", "8"]).parts()[-1].is_done()
    (fast.folder / "outcome.json").unlink()
    with pytest.raises(UserError, match="not made by this benchmark; remove it"):
        fast.is_done()


@pytest.mark.parametrize("options, named", [
    (["--kinds", "nobody"], "--kinds"), (["--seeds", "0"], "--seeds"), (["--seed", "3"], "--seed"),
    (["--kinds", "pair", "--name=x"], "--name"), (["--ways", "draft"], "--ways"), (["--budget", "0"], "--budget"),
    (["--preset", "best"], "--preset")])
def test_a_bad_option_is_refused(options, named):
    with pytest.raises(UserError, match=named):
        parse(options)


def test_a_clip_that_fails_leaves_its_log_and_nothing_else(tmp_path):
    with pytest.raises(UserError, match="make_sample.py failed: error: --width: 90 .*clip.log"):
        work_through([clip(work=tmp_path, size="--width 90")], jobs=1)
    assert [path.name for path in (tmp_path / "pair_1").iterdir()] == ["clip.log"]


def test_every_way_gets_the_camera_the_seed_its_time_and_the_users_options():
    for kind, content in KINDS.items():
        for way in set(WAYS) - {"cut_out"}:
            one = clip(kind, 2, budget=40, ways=[way], options=["--lr", "1"])
            made, layers = one.parts()
            assert made.options.endswith("--seed 2") and layers.options.endswith("--seed 2 --lr 1")
            assert ("--use_homographies" in layers.options) == ("moving" in content)
            seconds = {"draft": "", "fast_quarter": "--budget 10s", "fast_half": "--budget 20s"}
            assert seconds.get(way, "--budget 40s") in layers.options


def outcome(folder, seed, fast, cut_out):
    ways = {"cut_out": cut_out, "fast": fast}
    for way, value in ways.items():
        path = folder / f"kind_{seed}" / way / "measured" / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"total": {
            "background": {"psnr": value}, "layer_1": {"shadow_own": value, "matte_mse": value},
            "layer_2": {"shadow_own": None, "matte_mse": value + 2}}}))
    return Outcome("kind", seed, folder / f"kind_{seed}", list(ways))


def test_a_cell_is_mean_and_spread_over_seeds_and_bold_where_best(tmp_path):
    outcomes = [outcome(tmp_path, 1, 1.0, 2.0), outcome(tmp_path, 2, 3.0, 1.0)]
    more, less = Measure("more", "background", "psnr", +1), Measure("less", "layer_.*", "matte_mse", -1)
    given = Measure("given", "layer_.*", "matte_mse", -1, given=True)
    lines = table([more, less, Measure("own", "layer_.*", "shadow_own", +1), Measure("none", "no", "no", +1), given],
                  ["kind"], outcomes, ["cut_out", "fast"]).splitlines()
    for first in (2, 4):  # the mean of all kinds, and the one kind that there is
        assert lines[first].endswith("| cut-out | 1.5 ± 0.7 | **2.5 ± 0.7** | 1.5 ± 0.7 | – | 2.5 ± 0.7 |")
        assert lines[first + 1] == "|  | fast | **2.0 ± 1.4** | 3.0 ± 1.4 | **2.0 ± 1.4** | – | 3.0 ± 1.4 |"
    alike = [outcome(tmp_path / "alike", 1, 2.0, 2.0)]
    assert "**" not in table([more, less], ["kind"], alike, ["cut_out", "fast"])
    assert contests(["kind"], alike, "cut_out") == ([], [])
    won, lost = contests(["kind"], outcomes, "cut_out")
    assert [measure.key for _, measure in won] == ["psnr", "shadow_own"]
    assert [measure.key for _, measure in lost] == ["matte_mse"]


def test_every_way_is_made_of_options_that_train_py_knows():
    for way in set(WAYS) - {"cut_out"}:
        with pytest.raises(UserError, match="no/clip"):  # all are known: it gets as far as reading the clip
            TrainOptions().parse([*training(way, 60).split(), "--dataroot", "no/clip"])
