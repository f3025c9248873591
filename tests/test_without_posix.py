"""What only POSIX has is neither imported nor called unguarded: the whole way of a clip with all of it hidden."""

import os
import shutil
import subprocess
import sys

from tests.program import ROOT, program_files

HIDDEN = """
import os, signal, sys
import av, cv2, dominate, matplotlib.figure, numpy, PIL.Image, scipy.sparse, skimage.measure, torch, torchmetrics, tqdm
import concurrent.futures, multiprocessing.synchronize, subprocess, tempfile, torch.utils.data, torch.utils.flop_counter
for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for name in ("chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getuid", "killpg",
             "mkfifo", "nice", "sched_getaffinity", "setpgid", "setpgrp", "setsid", "statvfs", "sysconf", "uname"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "alarm",
             "pthread_kill", "pthread_sigmask", "setitimer", "sigwait"):
    if hasattr(signal, name):
        delattr(signal, name)
"""


def run(folder, code):
    done = subprocess.run([sys.executable, "-c", HIDDEN + code], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_module_is_imported(tmp_path):
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in program_files()
               if path.suffix == ".py" and path.parts[0] not in ("scripts", "setup.py") and path.name != "setup.py"]
    assert "util.files" in modules and "retime" in modules and len(modules) > 150
    run(tmp_path, f"import importlib\nfor name in {modules}:\n    importlib.import_module(name)")


def test_a_clip_is_trained_exported_retimed_and_checked(tmp_path, golden):
    shutil.copytree(golden / "clip", tmp_path / "clip")
    run(tmp_path, """
import prepare, retime, test, train
common = ["--name", "a", "--gpu_ids", "-1", "--num_threads", "0"]
train.main([*common, "--dataroot", "clip", "--num_filters", "4", "--batch_size", "1", "--display_id", "0",
            "--n_epochs", "1", "--n_epochs_upsample", "0"])
train.main(["--name", "a", "--continue_train", "--n_epochs", "2"])
test.main(common)
retime.main(["--name", "a", "--dataroot", "clip", "--out", "a.gif"])
prepare.main(["--dataroot", "clip", "--check"])
""")
    assert (tmp_path / "a.gif").stat().st_size > 0 and (tmp_path / "checkpoints/a/web/index.html").exists()
