"""The Python environment of the commands, and the commands that need no bash."""

import re
import subprocess
import sys

import pytest

from scripts import environment
from tests.program import ROOT

IMPORTED_AS = {"opencv-python-headless": "cv2", "pillow": "PIL", "scikit-image": "skimage",
               "pytest-timeout": "pytest_timeout", "pytest-xdist": "xdist", "ai-edge-litert": "ai_edge_litert",
               "mini-racer": "py_mini_racer", "axe-core-python": "axe_core_python",
               "setuptools": None, "torchvision": None}
"""The last two come with others, and with every environment."""


def test_an_environment_is_known_by_all_packages_that_the_files_name():
    for name, modules in environment.MODULES.items():
        packages = re.findall(r"^([\w-]+)>=", (ROOT / name).read_text(), re.MULTILINE)
        wanted = [IMPORTED_AS.get(package, package) for package in packages]
        assert set(filter(None, wanted)) <= set(modules)


def test_the_environment_that_is_named_or_active_is_taken(monkeypatch):
    monkeypatch.setenv("PYTHON", "/my/python")
    assert environment.found_or_made(environment.FOR_TESTS) == "/my/python"
    monkeypatch.delenv("PYTHON")
    monkeypatch.setenv("CONDA_PREFIX", "/somewhere")
    monkeypatch.setattr(environment, "MODULES", {"requirements.txt": ("torch", "av")})
    assert environment.found_or_made() == sys.executable


def test_the_oldest_python_is_3_10_where_it_is_there():
    python = environment.oldest_python()
    told = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2] == (3, 10))"], capture_output=True,
                          text=True, check=True).stdout
    assert python == sys.executable or told == "True\n"


@pytest.mark.parametrize("command", [[sys.executable, "scripts/run_tests.py"], ["bash", "scripts/run_tests.sh"]])
@pytest.mark.parametrize(("test", "status", "words"), [
    ("tests/util/test_clips.py", 0, "passed"), ("tests/util/no_such_file.py", 4, "no tests ran")])
def test_all_tests_are_run_with_and_without_bash(monkeypatch, command, test, status, words):
    monkeypatch.setenv("PYTHON", sys.executable)
    done = subprocess.run([*command, test, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status and words in done.stdout, done.stdout + done.stderr
