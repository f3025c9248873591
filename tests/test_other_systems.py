"""What only POSIX has is not needed: everything is imported, and files are written, with it hidden."""

import os
import subprocess
import sys

from tests.program import ROOT

HIDDEN = """
import os, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix_ipc", "syslog"):
    sys.modules[name] = None
import subprocess, torch, cv2, scipy, tqdm, matplotlib.pyplot, torchmetrics, av, dominate, multiprocessing.pool
for name in ("getuid", "geteuid", "getpgrp", "setpgrp", "killpg", "statvfs", "sysconf", "sched_getaffinity", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGQUIT"):
    if hasattr(signal, name):
        delattr(signal, name)
"""
EVERYTHING = """
import importlib
from pathlib import Path
rooms = ("data", "datasets", "evaluation", "models", "options", "preparation", "retiming", "training", "util", "vision",
         "web", "video_people", "scripts")
files = [path for room in rooms for path in sorted(Path(room).rglob("*.py"))] + sorted(Path().glob("*.py"))
for path in files:
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    if module != "setup":
        importlib.import_module(module)
print(len(files))
"""
WORK = """
from data.loading import shared_memory_left
from util.errors import UserError, reported_in_one_line
from util.files import folder_filled_atomically, locked, results_added, write_text
from util.interruption import StopRequest
lock = locked("lock")
for fill in (lambda: folder_filled_atomically("a"), lambda: results_added("b", "test", own=True)):
    for _ in range(2):
        with fill() as made:
            write_text(made / "images/1.txt", "1")
with StopRequest():
    pass
assert shared_memory_left() is None
with reported_in_one_line():
    raise UserError("told")
"""


def under_another_system(script, folder):
    return subprocess.run([sys.executable, "-c", HIDDEN + script], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"})


def test_all_that_there_is_can_be_imported():
    done = under_another_system(EVERYTHING, ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 100


def test_files_folders_locks_and_signals_work(tmp_path):
    done = under_another_system(WORK, tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: told\n"), done.stderr
    assert (tmp_path / "a/images/1.txt").read_text() == (tmp_path / "b/images/1.txt").read_text() == "1"
