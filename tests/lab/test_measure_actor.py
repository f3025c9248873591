import numpy as np

from scripts.lab.measure_actor import measured
from util.images import write_png


def test_only_the_person_counts_and_the_nearest_photograph_is_found(tmp_path):
    rng = np.random.default_rng(0)
    photographs = rng.integers(0, 256, (3, 16, 16, 4), dtype=np.uint8)
    photographs[..., 3] = 0
    photographs[:, 4:12, 4:12, 3] = 255
    true = photographs[1].copy()
    true[4:12, 4:12, :3] = (true[4:12, 4:12, :3].astype(int) + 12).clip(0, 255)
    for number, picture in enumerate(photographs):
        write_png(tmp_path / f"training/rgb/{number:06d}/0000.png", picture)
    write_png(tmp_path / "held_out/rgb/000004/0002.png", true)
    made = np.full((16, 16, 3), 7, dtype=np.uint8)  # wrong outside the person, where nobody looks
    made[4:12, 4:12] = true[4:12, 4:12, :3] - np.minimum(true[4:12, 4:12, :3], 4)
    for name in ("color", "target"):
        write_png(tmp_path / f"results/{name}/v002_f000004.png", made)
    found = measured(tmp_path / "results", tmp_path / "held_out", tmp_path / "training")
    assert found["rendered"][0] > 35 and 25 < found["nearest photograph"][0] < 29
