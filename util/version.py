"""The program's version, whose only home is pyproject.toml: nothing has to be installed for it to be known."""

import re
from pathlib import Path

VERSION = re.search(r'^version = "(.+)"$', (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"),
                    re.MULTILINE)[1]
