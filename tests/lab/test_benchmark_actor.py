import json

from datasets.make_actor_sample import make_sample
from scripts.lab import benchmark_actor


def test_quality_against_seconds_is_that_of_held_out_cameras_and_poses(tmp_path):
    make_sample(tmp_path / "actor", frames=2, test_frames=1, size=32, texture_size=64)
    out = tmp_path / "found.json"
    benchmark_actor.main(["--dataroot", str(tmp_path / "actor"), "--seconds", "2", "--out", str(out), "--frames", "1",
                          "--side", "16", "--", "--preset", "fast", "--pixel_per_view", "128"])
    found = json.loads(out.read_text())
    first, last = found["rows"][0], found["rows"][-1]
    assert last["seconds"] >= 2 and last["steps"] > first["steps"] and found["view_seconds"] > 0
    for kind in ("cameras", "motion"):
        assert 12 < first[kind]["psnr"] < last[kind]["psnr"] < 40 and 0.3 < last[kind]["ssim"] < 1
