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
