"""The whole way on a clip that the program makes itself; the environment is made if it is missing.

    python scripts/run_demo.py [options of train.py]            layers in seconds, better ones in two minutes, retimed
    python scripts/run_demo.py published [options of train.py]  layers by the published method: ten minutes of training
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.environment import ROOT, found_or_made, run

SAMPLE = "datasets/sample"
# A small clip, a small network and a short schedule: the published one is made for hours on GPUs. The masks rule while
# the background takes shape (or layers help to paint it), then shadows find their way into the layers.
PUBLISHED = [
    "--num_threads", 0, "--num_filters", 16, "--batch_size", 4, "--batch_size_upsample", 4, "--n_epochs", 400,
    "--n_epochs_upsample", 12, "--lr", 0.003, "--trimap_width", 10, "--mask_loss_rolloff_epoch", 20,
    "--alpha_l1_rolloff_epoch", 40, "--lambda_alpha_l0", 0.001, "--jitter_epochs", 8, "--update_html_freq", 20,
    "--save_latest_freq", 20]


def main(words):
    """Make the clip, its layers and three retimed videos, and say where they are."""
    published = words[:1] == ["published"]
    name, more = ("demo_published", words[1:]) if published else ("demo", words)
    python = found_or_made()
    do = partial(run, python)
    if not (ROOT / SAMPLE).is_dir():
        do("datasets/make_sample.py", "--dataroot", SAMPLE, "--frames", 24, "--width", 224, "--height", 128)
        do("datasets/keypoints_to_iuv.py", "--dataroot", SAMPLE, "--source", "auto")
    results = ROOT / "results"
    draft = f"A draft:       {results / 'demo_draft/test_latest/index.html'}"

    def train(run_name, *options):
        do("train.py", "--name", run_name, "--overwrite", "--dataroot", SAMPLE, "--display_id", 0, *options)

    if published:
        train(name, *PUBLISHED, *more)
        do("test.py", "--name", name, "--do_upsampling")
    else:
        # Something to look at within seconds: layers without training.
        train("demo_draft", "--preset", "draft", "--export")
        print(f"{draft} (open it now; training goes on)", flush=True)
        train(name, "--preset", "fast", "--budget", "2m", *more)
        do("test.py", "--name", name)
    do("evaluate.py", "--name", name, "--no_lpips")
    for edit in ("freeze", "align", "remove"):
        do("retime.py", "--name", name, "--edit", f"docs/examples/{edit}.json", "--out", f"results/{name}/{edit}.mp4")
    page = results / name / "test_latest"
    lines = [f"\nThe training:  {ROOT / 'checkpoints' / name / 'web/index.html'}", *([] if published else [draft]),
             f"The layers:    {page / 'index.html'}", f"How good:      {page / 'evaluation/index.html'}",
             f"Retimed:       {results / name / 'freeze.mp4'}, align.mp4, remove.mp4",
             f"The editor:    {python} retime.py --name {name} --serve"]
    if not published:
        lines.append("As published:  python scripts/run_demo.py published")
    print("\n".join([*lines, 'Open them in a browser. Then try your own video: README.md, "Your own video".']))


if __name__ == "__main__":
    main(sys.argv[1:])
