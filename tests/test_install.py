"""pip install of a clone: everything lies below one import name, and the whole way works where nobody expects it."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import ROOT, copy_program

EXAMPLE = ROOT / "docs" / "examples" / "whole_way.py"
ROOMS = sorted({path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} - {"video_people"})
VERBS = sorted({path.stem for path in ROOT.glob("*.py")} - {"setup"})


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the program was installed into."""
    clone = copy_program(tmp_path_factory.mktemp("clone"))
    folder = tmp_path_factory.mktemp("site")
    pip(clone, "--target", folder)
    return folder


def pip(clone, *options, status=0) -> str:
    result = subprocess.run([sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index",
                             *map(str, options), str(clone)], capture_output=True, text=True)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


def python(*arguments, folder, installed) -> str:
    """What a program says that finds the installed package, and no clone."""
    result = subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": str(installed)})
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def modules(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.py") if path.name != "setup.py"]


def test_one_import_name_holds_every_room_and_verb_with_what_they_need_at_run_time(installed):
    found = [path for path in installed.iterdir() if path.suffix != ".dist-info"]
    assert [path.name for path in found] == ["video_people"]
    package = found[0]
    assert {path.stem for path in (package / "verbs").glob("*.py")} == set(VERBS)
    kept = [room for room in ROOMS if room not in ("tests", "scripts")]
    assert {path.name for path in package.iterdir() if path.is_dir()} - {"__pycache__"} == {"verbs", *kept}
    for room in kept:
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".py", ".html", ".js", ".css", ".json") and "__pycache__" not in path.parts \
                    and not (room == "datasets" and path.suffix != ".py"):
                assert (package / path.relative_to(ROOT)).exists(), path


def test_no_installed_module_imports_by_a_clones_name_and_lines_stay_where_they_were(installed):
    for path in modules(installed):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else \
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {*ROOMS, *VERBS}, path
        inside = path.relative_to(installed / "video_people")
        clone = ROOT / (inside.name if inside.parts[0] == "verbs" else
                        "video_people/__init__.py" if inside == Path("__init__.py") else inside)
        assert source.count("\n") == clone.read_text(encoding="utf-8").count("\n")


def test_the_example_goes_the_whole_way_beside_modules_of_the_same_names(installed, tmp_path):
    for name in (*ROOMS, *VERBS):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('a user\\'s own {name}.py was imported')\n")
    (tmp_path / "notebook.py").write_text(EXAMPLE.read_text(encoding="utf-8"))
    said = python("notebook.py", folder=tmp_path, installed=installed)
    assert "reconstruction: " in said and "as expected: --epochs=3: no such option" in said
    assert (tmp_path / "results/whole_way/test_latest/retimed.mp4").exists()


def test_the_example_goes_the_whole_way_in_a_clone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLE))
    assert "reconstruction: " in capsys.readouterr().out


def test_installed_programs_start_by_their_module_and_start_each_other(installed, tmp_path):
    for module in ("verbs.train", "verbs.retime", "datasets.make_sample"):
        assert "--" in python("-m", f"video_people.{module}", "--help", folder=tmp_path, installed=installed)
    code = ("import subprocess\nfrom video_people.util.program import HOME, verb_command\nprint(HOME)\n"
            "print(subprocess.run([*verb_command('test'), '--help'], capture_output=True, text=True).stdout)")
    said = python("-c", code, folder=tmp_path, installed=installed)
    assert said.startswith(".\n") and "--results_dir" in said


def test_what_an_installation_has_is_the_version_of_the_clone(installed, tmp_path):
    code = "import video_people; print(video_people.__version__, video_people.__file__)"
    version, file = python("-c", code, folder=tmp_path, installed=installed).split()
    assert Path(file).is_relative_to(installed)
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_an_editable_installation_is_refused_in_words(tmp_path):
    said = pip(copy_program(tmp_path / "clone"), "--editable", status=1)
    assert "PYTHONPATH instead" in said
