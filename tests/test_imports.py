"""Who may import whom: util knows nobody, data and models know util, the editor knows data, options their setters.

Scripts measure and compare what is in the rooms, so they may know all of them.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "util": {"util"},
    "data": {"data", "util"},
    "editor": {"editor", "data", "util"},
    "models": {"models", "util"},
    "options": {"options", "models", "data", "util"},
    "datasets": {"datasets", "data", "util"},
    "scripts": {"scripts", "options", "models", "data", "util"},
}
ROOMS = set(MAY_IMPORT) | {"train", "test", "evaluate", "retime"}


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    return modules


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room):
    files = sorted((ROOT / room).glob("*.py"))
    for path in files:
        ours = {module.split(".")[0] for module in imported_modules(path)} & ROOMS
        assert ours <= MAY_IMPORT[room], f"{room}/{path.name} imports {sorted(ours - MAY_IMPORT[room])}"


@pytest.mark.parametrize("path", [
    "train.py", "test.py", "models/base_model.py", "models/__init__.py", "data/__init__.py", "data/base_dataset.py",
    "options/base_options.py", "options/train_options.py", "options/test_options.py", "util/visualizer.py"])
def test_the_core_knows_no_model_and_no_dataset(path):
    known = {f"{room}.{file.stem}" for room, kind in (("models", "model"), ("data", "dataset"))
             for file in (ROOT / room).glob(f"*_{kind}.py") if not file.stem.startswith("base_")}
    known |= {"models.networks", "models.losses", "data.dataroot", "util.mattes", "util.iuv"}
    assert len(known) >= 7
    assert not imported_modules(ROOT / path) & known
