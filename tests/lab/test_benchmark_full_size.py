"""Layers at the size of the video beside enlarged ones and cut-outs."""

from datasets.make_sample import make_sample
from scripts.lab import benchmark_full_size


def test_layers_of_full_size_are_better_than_enlarged_ones_and_the_table_says_so(tmp_path, monkeypatch):
    clip = make_sample(tmp_path / "clip", frames=6, width=96, height=64, people=1, own_scale=3)
    monkeypatch.setattr("sys.argv", ["benchmark_full_size.py", "--clips", str(clip), "--out",
                                     str(tmp_path / "table.md"), "--every", "2"])
    benchmark_full_size.main()
    figures, costs = (tmp_path / "table.md").read_text().split("\n\n")
    own, enlarged, cut_out = (row.split(" | ") for row in figures.splitlines()[2:])
    assert [row[:2] for row in (own, enlarged, cut_out)] == [["| clip", name] for name in (
        "own size", "enlarged", "cut-out")]
    for better, worse in zip(own[2:6], enlarged[2:6]):
        assert float(better.split()[0]) > float(worse.split()[0]) + 2
    assert float(own[6].split()[0]) < 0.7 * float(enlarged[6].split()[0])
    seconds = [float(row.split(" | ")[2]) for row in costs.splitlines()[2:]]
    assert len(seconds) == 4 and min(seconds) > 0.1


def test_the_truth_is_without_error(tmp_path):
    clip = make_sample(tmp_path / "clip", frames=3, width=64, height=64, own_scale=2)
    truth = benchmark_full_size.LayerFolder.open(clip / "gt")
    figures = benchmark_full_size.measured(clip, truth, 1)
    assert figures["edges"] == 0 and figures["background"] >= 90 and figures["frames"] > 45
