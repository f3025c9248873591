"""How well people are removed: the figures of what is known."""

import numpy as np

from datasets.make_sample import make_sample
from scripts.lab import benchmark_removal
from scripts.lab.benchmark_removal import RemovalClip


def test_a_person_is_removed_with_the_shadow_and_the_grain_stays_alive(tmp_path, monkeypatch):
    clip = make_sample(tmp_path / "clip", frames=24, width=192, height=112, people=1, noise=3, seed=404,
                       shadow="hard")
    figures, picture = RemovalClip(clip).measured(1)
    assert picture.shape == (112, 5 * 192, 3)
    assert figures["ours"][0] > figures["median"][0] + 3 > figures["telea"][0] + 3 > figures["source"][0] + 3
    assert 0.6 < figures["ours"][1] < 1.4 and figures["median"][1] < 0.2 and figures["source"][1] > 2
    monkeypatch.setattr("sys.argv", ["benchmark_removal.py", "--clips", str(clip), "--out", str(tmp_path / "table.md"),
                                     "--picture", str(tmp_path / "removed.png")])
    benchmark_removal.main()
    assert f"| clip, person 1 | {figures['ours'][0]:.1f} dB, " in (tmp_path / "table.md").read_text()
    assert (tmp_path / "removed.png").exists()


def test_removing_the_true_layer_is_without_error(tmp_path):
    removal = RemovalClip(make_sample(tmp_path / "clip", frames=3, width=96, height=64, people=2))
    true = removal.true_without(1, 1)
    order = [number for number in removal.root.composite_order(1, [1, 2]) if number != 1]
    assert np.abs(true - removal.true.composite(1, order)).max() < 1e-6
