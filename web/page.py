"""Pages of local tools: a template with its styles, scripts and data, as files of their own or as one file.

A template is HTML with three comments, `<!-- head -->`, `<!-- data -->` and `<!-- scripts -->`, in the place of what
is put there; data come before scripts, so that these may read them at once.
"""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
STYLES = (FOLDER / "basics.css",)
SCRIPTS = (FOLDER / "basics.js", FOLDER / "timeline.js")
ONE_FILE_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


@dataclass(frozen=True)
class Template:
    """A page without its data.

    Attributes:
        html: the template.
        styles, scripts: in the order in which they are loaded; their file names differ.
    """

    html: Path
    styles: tuple[Path, ...]
    scripts: tuple[Path, ...]

    @property
    def files(self) -> dict[str, Path]:
        """Styles and scripts by the names that the page asks a server for."""
        return {path.name: path for path in (*self.styles, *self.scripts)}

    def page(self, data: dict[str, object]) -> str:
        """The page as a server gives it, which also has to give `files`.

        Args:
            data: JSON values by the id of the element that they stand in.
        """
        return self._filled("".join(f'<link rel="stylesheet" href="{path.name}">' for path in self.styles),
                            "\n".join(f'<script src="{path.name}"></script>' for path in self.scripts), data)

    def one_file(self, data: dict[str, object]) -> str:
        """The page with everything inside; it may load nothing else."""
        styles = "\n".join(path.read_text(encoding="utf-8") for path in self.styles)
        scripts = "\n".join(f"<script>{path.read_text(encoding='utf-8')}</script>" for path in self.scripts)
        policy = f'<meta http-equiv="Content-Security-Policy" content="{ONE_FILE_POLICY}">'
        return self._filled(f"{policy}<style>{styles}</style>", scripts, data)

    def _filled(self, head: str, scripts: str, data: dict[str, object]) -> str:
        # "<" would end the element that the values stand in.
        texts = {name: json.dumps(values, separators=(",", ":")).replace("<", "\\u003c")
                 for name, values in data.items()}
        elements = "\n".join(f'<script type="application/json" id="{name}">{text}</script>'
                             for name, text in texts.items())
        page = self.html.read_text(encoding="utf-8")
        for mark, content in (("<!-- head -->", head), ("<!-- scripts -->", scripts), ("<!-- data -->", elements)):
            page = page.replace(mark, content)
        return page
