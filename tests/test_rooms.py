"""Who may import whom. Every folder with Python code is a room; one that is not listed here fails.

Rooms lie on floors: a room imports what is below it, never its neighbours, and no file of the core knows a model.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program import ROOT, program_files

VISION = {"vision.geometry", "vision.people", "vision.layers"}
VERBS = {"train", "test", "evaluate", "prepare", "retime"}
MAY_IMPORT = {
    "util": set(),
    "vision": set(),
    "vision.geometry": {"util"},
    "vision.people": {"util", "vision.geometry"},
    "vision.layers": {"util", "vision.geometry", "vision.people"},
    "data": {"util", *VISION},
    "models": {"util", *VISION},
    "training": {"util", "data", "models", "options"},
    "options": {"util", "data", "models"},
    "web": {"util"},
    "retiming": {"util", *VISION, "data", "web"},
    "retiming.editor": {"util", *VISION, "data", "web", "retiming"},
    "evaluation": {"util", *VISION, "data", "web"},
    "preparation": {"util", *VISION, "data", "web"},
    "preparation.correction": {"util", *VISION, "data", "web", "preparation"},
    "datasets": {"util", *VISION, "data", "datasets.synthetic", "preparation", "prepare"},
    "datasets.synthetic": {"util", "vision.geometry", "vision.people"},
    "video_people": {"util", "data", "options", "preparation", "datasets", *VERBS},
}
"""Room to the rooms that it may import, besides itself."""
MAY_IMPORT_ALL = {"scripts", "scripts.lab", "scripts.street", "scripts.face"}
"""They call, measure and compare what is in the rooms; nobody imports them."""
CORE = ["train.py", "test.py", "models/base_model.py", "models/__init__.py", "models/checkpoints.py",
        "data/loading.py", "data/sampler.py", "data/base_dataset.py", "options/base_options.py",
        "options/train_options.py", "options/test_options.py", "util/visualizer.py", "training/*.py"]


def python_files() -> list[Path]:
    return [ROOT / path for path in program_files() if path.suffix == ".py"]


def room_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


def imported_modules(path: Path) -> set[str]:
    """Modules that a file imports anywhere in it, with their full names."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def rooms_imported(path: Path) -> set[str]:
    """Rooms and verbs that a file imports something from."""
    known = set(MAY_IMPORT) | MAY_IMPORT_ALL | VERBS
    parts = [module.split(".") for module in imported_modules(path)]
    prefixes = [[".".join(words[:n]) for n in range(len(words), 0, -1)] for words in parts]
    return {next(name for name in names if name in known) for names in prefixes if known & set(names)}


def test_every_folder_with_python_code_is_a_room():
    rooms = {room_of(path) for path in python_files()} - {""}
    assert rooms == set(MAY_IMPORT) | MAY_IMPORT_ALL
    assert {path.stem for path in python_files() if path.parent == ROOT} - {"setup"} == VERBS


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room):
    files = [path for path in python_files() if room_of(path) == room]
    assert files
    for path in files:
        wrong = rooms_imported(path) - MAY_IMPORT[room] - {room}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_verbs_import_no_laboratory_and_no_other_verb():
    for verb in VERBS:
        assert not rooms_imported(ROOT / f"{verb}.py") & (VERBS | MAY_IMPORT_ALL)


@pytest.mark.parametrize("pattern", CORE)
def test_the_core_knows_no_model_and_no_dataset(pattern):
    systems = {f"{room}.{file.stem}" for room in ("models", "data") for file in (ROOT / room).glob("*.py")}
    systems -= {f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}" for name in CORE
                for path in ROOT.glob(name)}
    systems -= {"models.parallel", "models.schedules", "data.__init__"}
    assert {"models.lnr_model", "data.dataroot"} <= systems
    files = list(ROOT.glob(pattern))
    assert files
    for path in files:
        known = {module for module in imported_modules(path) if any(
            module == name or module.startswith(name + ".") for name in systems)}
        assert not known and not rooms_imported(path) & VISION, f"{path.relative_to(ROOT)}: {sorted(known)}"


@pytest.mark.parametrize("room", ["retiming", "web", "data", "retime"])
def test_a_room_for_tools_loads_no_torch(room):
    modules = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                     for path in python_files() if room_of(path).split(".")[0] == room)
    if room in VERBS:
        modules = [room]
    if room == "data":
        modules = ["data", "data.dataroot", "data.layer_folder", "data.tracked_poses", "data.masks"]
    code = f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'matplotlib'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr
