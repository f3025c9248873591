"""What `pip install .` installs: the rooms and verbs of this clone, below the one import name `video_people`.

In a clone the rooms are imported as `util`, `data`, ..., names that many projects have. Installed, `util` is
`video_people.util`, and `train.py` is `video_people.verbs.train`, for `video_people.train` is the function. The imports
inside are written anew when the package is built, each in its line, so that tracebacks fit the clone's files.
"""

import ast
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

PACKAGE = "video_people"
ROOMS = find_packages(exclude=["tests", "tests.*", "scripts", "scripts.*", PACKAGE])
VERBS = [path.stem for path in Path().glob("*.py") if path.name != "setup.py"]
INSTALLED_AS = {**{room: f"{PACKAGE}.{room}" for room in ROOMS if "." not in room},
                **{verb: f"{PACKAGE}.verbs.{verb}" for verb in VERBS}}


class BuildInstalled(build_py):
    """Copies the modules, with imports that find the others where they are installed."""

    def run(self):
        """Build from nothing: what an earlier build left may not be part of the program any more."""
        if self.editable_mode:
            raise SystemExit("error: pip install --editable: installed modules have other imports than the clone's "
                             "files. Put the clone's folder on PYTHONPATH instead, or install without --editable")
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()

    def find_package_modules(self, package, package_dir):
        """Find modules; this file is none of them, though it lies where the verbs do."""
        return [found for found in super().find_package_modules(package, package_dir) if found[1] != "setup"]

    def build_module(self, module, module_file, package):
        """Copy one module."""
        written, copied = super().build_module(module, module_file, package)
        path = Path(written)
        path.write_bytes(with_installed_imports(path.read_bytes(), module_file))
        return written, copied


def with_installed_imports(source: bytes, name: str) -> bytes:
    """The source of a module whose imports of rooms and verbs name them as they are installed.

    Raises:
        SyntaxError: `import room`, which would bind another name than it says, or an import over several lines.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            keyword, modules = "from", [node.module]
        elif isinstance(node, ast.Import):
            keyword, modules = "import", [alias.name for alias in node.names]
        else:
            continue
        if not any(module.split(".")[0] in INSTALLED_AS for module in modules):
            continue
        room, *inside = modules[0].split(".")
        line, start = node.lineno - 1, node.col_offset
        statement = re.match(rf"{keyword}\s+{re.escape(modules[0])}\b".encode(), lines[line][start:])
        if statement is None or isinstance(node, ast.Import) and (len(modules) > 1 or node.names[0].asname is None):
            raise SyntaxError(f"{name}, line {node.lineno}: expected `from {room} import ...`, all in one line")
        new = f"{keyword} {'.'.join([INSTALLED_AS[room], *inside])}".encode()
        lines[line] = lines[line][:start] + new + lines[line][start + statement.end():]
    return b"".join(lines)


setup(
    packages=[PACKAGE, f"{PACKAGE}.verbs", *(f"{PACKAGE}.{room}" for room in ROOMS)],
    package_dir={f"{PACKAGE}.verbs": ".", **{f"{PACKAGE}.{room}": room.replace(".", "/") for room in ROOMS}},
    package_data={"": ["*.html", "*.js", "*.css", "*.json", "*.npz"]},
    include_package_data=False,
    cmdclass={"build_py": BuildInstalled},
)
