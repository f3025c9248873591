"""The program's own files, for tests that read them or run a copy."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def program_files() -> list[Path]:
    """All files of the program but tests and docs, relative to ROOT: those that git knows or would add."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.splitlines()
    files = sorted(Path(name) for name in listed if (ROOT / name).exists())
    return [path for path in files if path.parts[0] not in ("tests", "docs")]


def copy_program(folder: Path) -> Path:
    """Copy the program into a folder, so that a test may change it; returns the folder."""
    for path in program_files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


def copy_program_of_toys(folder: Path) -> Path:
    """The same, with the toy models and datasets and without any other."""
    copy_program(folder)
    for kind, room in (("model", "models"), ("dataset", "data")):
        for path in (folder / room).glob(f"*_{kind}.py"):
            if not path.name.startswith("base_"):
                path.unlink()
        for path in (ROOT / "tests/toy").glob(f"*_{kind}.py"):
            shutil.copy(path, folder / room)
    return folder
