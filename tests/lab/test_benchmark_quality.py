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
from scripts.lab.benchmark_quality import KINDS, SIZES, TIMED, WAYS, Clip, parse, work_through
from scripts.lab.quality_page import LAYER_MEASURES, PICTURE_MEASURES, Measure, Outcome, contests, table
from util.errors import UserError

SCRIPT = Path(__file__).parents[2] / "scripts" / "lab" / "benchmark_quality.py"
TINY = SIZES["tiny"][0]


def command(folder, *more):
    return [sys.executable, SCRIPT, "--size", "tiny", "--seeds", "1", "--kinds", "pair", "--ways", "cut_out",
            "fast", "--work", folder / "work", "--out", folder / "page" / "quality.md", *more]


def clip(kind="pair", seed=1, work=Path("work"), size=TINY, budgets=(2,), ways=("cut_out",), options=(), given=None):
    return Clip(kind, seed, work, size, list(budgets), list(ways), 1, list(options), given)


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
        while not (made / "fast_2s.log").exists():
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
    assert facts["left"] == ["clip", "clip.log", "cut_out", "cut_out.log", "fast_2s.log"] and not facts["page"]


def test_a_second_start_does_what_is_missing_and_no_more(benchmark):
    folder, facts = benchmark
    made = folder / "work/tiny/pair_1"
    assert (made / "cut_out/outcome.json").stat().st_mtime_ns == facts["made"]
    assert (made / "fast_2s/outcome.json").exists()


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
    (["--kinds", "pair", "--name=x"], "--name"), (["--ways", "draft"], "--ways"), (["--budgets", "0"], "--budgets"),
    (["--preset", "best"], "--preset"), (["--budget", "3s"], "--budget"),
    (["--clips", "docs"], "--clips: docs has no")])
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
            made, *layers = clip(kind, 2, budgets=[10, 40], ways=[way], options=["--lr", "1"]).parts()
            assert made.options.endswith("--seed 2")
            assert all(part.options.endswith("--seed 2 --lr 1") for part in layers)
            assert all(("--use_homographies" in part.options) == ("moving" in content) for part in layers)
            assert [part.folder.name for part in layers] == ([f"{way}_10s", f"{way}_40s"] if way in TIMED else [way])
            assert [f"--budget {part.folder.name[len(way) + 1:]} " in part.options for part in layers] == [
                way in TIMED] * len(layers)


def test_a_given_clip_is_measured_with_its_camera_and_the_page_names_no_place_of_this_machine(benchmark):
    folder, _ = benchmark
    given = folder / "work/tiny/pair_1/clip"
    assert all(str(given) in " ".join(part.commands[0]) for part in clip("clip", given=given).parts())
    subprocess.run(command(folder, "--clips", given, "--budgets", "2s", "1s"), check=True)
    assert {path.name for path in (folder / "work/given/clip_1").iterdir() if path.is_dir()} == {
        "cut_out", "fast_1s", "fast_2s"}
    page = (folder / "page/quality.md").read_text()
    assert str(folder) not in page and "--clips clip --budgets 2s 1s" in page and "| clip | cut-out |" in page
    curve = (folder / "page/quality/curves.svg").read_text()
    assert "draft to fast" in curve


def outcome(folder, seed, fast, cut_out):
    ways = {"cut_out": cut_out, "fast": fast}
    for way, value in ways.items():
        path = folder / f"kind_{seed}" / way / "measured" / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"total": {
            "background": {"psnr": value}, "layer_1": {"shadow_own": value, "matte_mse": value},
            "layer_2": {"shadow_own": None, "matte_mse": value + 2}}}))
    return Outcome("kind", seed, folder / f"kind_{seed}", folder, {way: [way] for way in ways})


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
        assert TrainOptions().parse([*WAYS[way].split(), "--dataroot", "no/clip"]).dataroot == "no/clip"
        with pytest.raises(UserError, match="--unknown: no such option"):
            TrainOptions().parse([*WAYS[way].split(), "--dataroot", "no/clip", "--unknown", "1"])
