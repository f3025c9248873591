"""The pages in docs and the README: what they name and link to is there, and the map of the code is whole."""

import ast
import re
from pathlib import Path

import pytest

from tests.program import ROOT, program_files

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
IN_A_PAGE = {"quality": "quality.md"}
"""Folders whose pages are parts of the page beside them: their links begin there."""
BY_FOLDER = ("datasets/synthetic/", "scripts/lab/", "scripts/street/", "scripts/face/", "scripts/pose/")
"""Folders that the map names as one."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| `([\w./*-]+)` \|", re.MULTILINE)
FOLDERS = "|".join(sorted({path.parts[0] for path in program_files() if len(path.parts) > 1} - {".ci"} | {
    "docs", "tests"}))
NAMED = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./*<>-]*[\w/>*]")
USERS = ("datasets/", "checkpoints/", "web/")
"""Folders of the user or of a run are called so too; there, only the program's code is looked for."""
CODE = (".py", ".js", ".sh", ".slurm")
COMMAND = re.compile(r"(?:^|[\s`])(?:python|bash) ([\w./]+\.(?:py|sh))")


def readable(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named_paths(text: str) -> set[str]:
    """Paths of the program that a text names; * stands for what the reader fills in."""
    found = {re.sub(r"<\w+>|\b(?:NAME|SYSTEM|NN)(?=[_./])", "*", name) for name in NAMED.findall(text)}
    return {name for name in found if not name.startswith(USERS) or name.endswith(CODE)}


@pytest.mark.parametrize("page", PAGES, ids=readable)
def test_links_lead_somewhere(page):
    here = page.parent.parent if page.parent.name in IN_A_PAGE else page.parent
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        place = here / target if target else page
        assert place.exists(), f"{readable(page)}: {link}"
        assert not anchor or anchor in anchors(place), f"{readable(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=readable)
def test_paths_and_commands_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    for name in named_paths(text) | set(COMMAND.findall(text)):
        assert list(ROOT.glob(name)), f"{readable(page)}: {name}"


def test_pages_that_the_program_names_are_there():
    for path in program_files():
        if path.suffix in CODE:
            for name in named_paths((ROOT / path).read_text(encoding="utf-8")):
                assert not name.startswith("docs/") or list(ROOT.glob(name)), f"{path}: {name}"


def test_the_map_has_every_file_of_the_program_once():
    rows = ROW.findall((ROOT / "docs/core.md").read_text(encoding="utf-8"))
    rows = [row for row in rows if row.endswith((*CODE, *BY_FOLDER))]
    files = [str(path) for path in program_files() if path.suffix in CODE and not is_a_sentence_only(ROOT / path)]
    for file in files:
        named = [row for row in rows if row == file or row in BY_FOLDER and file.startswith(row)]
        assert len(named) == 1, f"docs/core.md, section Rooms: {file} has {len(named)} rows; expected one"
    assert not {*rows} - {*files, *BY_FOLDER}, "docs/core.md, section Rooms: rows without a file"


def is_a_sentence_only(path: Path) -> bool:
    """Whether a file is the `__init__.py` of a room with nothing but its docstring."""
    return path.name == "__init__.py" and len(ast.parse(path.read_text(encoding="utf-8")).body) == 1
