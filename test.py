"""Export what a trained model makes of its data.

    python test.py --name my_run

Data, model and network size are those of the training. Pictures, videos and a page to look at them are in
results/<name>/test_<epoch>/; where the data have several sequences, each has a folder and a page of its own there.
train.py --export does this when it has trained.
"""

from util import loading_torch  # noqa: F401 (before all that loads it)

# isort: split
from data.loading import resolved
from options.test_options import TestOptions
from training.exporting import export_run
from util.allocator import keep_freed_memory
from util.errors import reported_in_one_line


def main(argv: list[str] | None = None) -> None:
    """Export as the command line says, and say where the results are."""
    keep_freed_memory()
    options = TestOptions()
    opt = resolved(options.parse(argv))
    print(options.as_text(opt))
    print(f"results: {export_run(opt) / 'index.html'}")


if __name__ == "__main__":
    with reported_in_one_line():
        main()
