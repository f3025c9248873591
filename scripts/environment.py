"""Find the Python environment that has all that is needed, or make it.

    python scripts/environment.py        prints the path of its Python; scripts/environment.sh takes it from there

That is the Python that PYTHON in the environment names; else this one, where it is that of an active environment (venv
or conda) that has the packages; else .venv, which is made, and brought up to date when a requirements file has changed.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt",)
FOR_TESTS = ("requirements.txt", "requirements-test.txt")
MODULES = {
    "requirements.txt": ("torch", "numpy", "cv2", "PIL", "matplotlib", "av", "dominate", "scipy", "tqdm",
                         "torchmetrics", "skimage", "ai_edge_litert"),
    "requirements-test.txt": ("pytest", "pytest_timeout", "xdist", "hypothesis", "selenium", "visdom", "ruff", "mypy",
                              "OpenEXR", "opentimelineio", "py_mini_racer", "tensorboard", "axe_core_python"),
}
OLDEST_PYTHON = (3, 10)


def found_or_made(files=FILES, oldest=False):
    """The path of a Python that has what these requirements files name.

    Args:
        files: their names.
        oldest: in an environment of its own, with the lowest versions that the files allow, and Python 3.10 where it
            is installed.
    """
    if not oldest and os.environ.get("PYTHON"):
        return os.environ["PYTHON"]
    if not oldest and _is_active() and all(
            importlib.util.find_spec(module) for name in files for module in MODULES[name]):
        return sys.executable
    folder = ROOT / (".venv-oldest" if oldest else ".venv")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    contents = b"".join((ROOT / name).read_bytes() for name in (*files, "scripts/install_visdom.py"))
    stamp = folder / f"installed-{zlib.crc32(contents):08x}"
    if stamp.exists():
        return str(python)
    if not python.exists():
        _make(folder, oldest_python() if oldest else sys.executable)
    _say(f"installing the requirements into {folder.name} (once; several GB with torch)")
    wanted = [word for name in files for word in ("-r", name)]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if oldest:  # pip can only take the newest; uv takes the lowest of what the files name themselves
        _run([*pip, "uv"], "pip could not install uv; its message is above")
        _run([python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--resolution", "lowest-direct",
              *wanted], "uv could not install the requirements; its message is above")
    else:
        _run([*pip, *wanted], "pip could not install the requirements; its message is above")
    if subprocess.run([python, ROOT / "scripts/install_visdom.py"], stdout=subprocess.DEVNULL).returncode:
        _say("visdom could not be installed: training goes on without its dashboard")
    stamp.touch()
    return str(python)


def oldest_python():
    """Python 3.10 where it is installed, by its name or by pyenv; else this one."""
    version = ".".join(map(str, OLDEST_PYTHON))
    known = [shutil.which(f"python{version}"), *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for python in filter(None, known):
        told = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
        if told.stdout.strip() == str(OLDEST_PYTHON):  # pyenv has names also for what is not chosen
            return str(python)
    _say(f"Python {version} is not installed; the oldest packages are tested with {sys.version.split()[0]}")
    return sys.executable


def run(python, *command):
    """Run a program of the project with a Python; ends this one where that fails."""
    status = subprocess.run([python, *map(str, command)], cwd=ROOT).returncode
    if status:
        sys.exit(status)


def _is_active():
    return sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ


def _make(folder, python):
    told = subprocess.run([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
                          capture_output=True, text=True).stdout.strip()
    if tuple(map(int, told.split(".")[:2])) < OLDEST_PYTHON:
        _fail(f"{python}: found Python {told}; expected 3.10 or later. Install it")
    _run([python, "-m", "venv", folder], "python -m venv failed; install Python's venv (apt install python3-venv)")


def _run(command, failure):
    if subprocess.run(list(map(str, command)), cwd=ROOT, stdout=sys.stderr).returncode:
        _fail(failure)


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _fail(text):
    _say(f"error: {text}")
    sys.exit(2)


if __name__ == "__main__":
    print(found_or_made())
