"""The program's version, whose only home is pyproject.toml: nothing has to be installed for it to be known."""

import re
from importlib import metadata
from pathlib import Path

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"

VERSION: str = (re.findall(r'^version = "(.+)"$', _PROJECT.read_text(encoding="utf-8"), re.MULTILINE)[0]
                if _PROJECT.exists() else metadata.version("video-people"))
