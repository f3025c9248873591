"""Small self-contained web pages: headings, rows of pictures and videos, tables.

A page works from the file system: its stylesheet is inside it, it has no scripts, and pictures have relative paths.
All text is escaped. Transparent pictures stand on a checkerboard.
"""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import dominate
from dominate import tags
from dominate.util import raw

from util.files import write_text

STYLE = """
:root { --ink: #1c2530; --soft: #5d6b7a; --line: #dfe4ea; --paper: #ffffff; --ground: #f4f6f8; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.45;
       font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 64px; }
h1 { margin: 0 0 4px; font-size: 26px; }
h2 { margin: 34px 0 10px; font-size: 18px; }
p { margin: 0 0 10px; color: var(--soft); max-width: 75ch; }
.row { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
figure { margin: 0; padding: 8px; max-width: 100%; background: var(--paper); border: 1px solid var(--line);
         border-radius: 8px; }
figure img, figure video { display: block; width: 100%; height: auto; border-radius: 4px;
    background: repeating-conic-gradient(#c9ced4 0% 25%, #eef0f2 0% 50%) 0 0 / 16px 16px; }
figcaption { padding-top: 6px; font-size: 13px; font-weight: 600; overflow-wrap: anywhere; }
figcaption small { display: block; font-size: 12px; font-weight: 400; color: var(--soft); }
table { border-collapse: collapse; background: var(--paper); border: 1px solid var(--line); font-size: 14px; }
th, td { padding: 6px 14px; text-align: left; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td { font-variant-numeric: tabular-nums; }
details { margin-top: 34px; }
summary { cursor: pointer; font-weight: 600; }
pre { padding: 12px 14px; overflow-x: auto; background: var(--paper); border: 1px solid var(--line);
      border-radius: 8px; font-size: 12px; }
"""


class Media(NamedTuple):
    """A picture or video on a page.

    `path` and `link` are relative to the page, with `/`. A click on a picture opens `link`, by default the picture
    itself. `title` stands below it and `note`, a sentence that explains it, below that.
    """

    path: str
    title: str
    note: str = ""
    link: str = ""


class Page:
    """A page that is put together from top to bottom and then saved.

    Args:
        title: heading and name of the page.
        refresh: seconds after which a browser loads the page again; None: never.
    """

    def __init__(self, title: str, refresh: int | None = None):
        self._document = dominate.document(title=title)
        with self._document.head:
            tags.meta(charset="utf-8")
            tags.meta(name="viewport", content="width=device-width, initial-scale=1")
            if refresh is not None:
                tags.meta(http_equiv="refresh", content=str(refresh))
            tags.style(raw(STYLE))
        self._body = self._document.body.add(tags.main())
        self._body.add(tags.h1(title))

    def add_header(self, text: str) -> None:
        """Begin a section."""
        self._body.add(tags.h2(text))

    def add_text(self, text: str) -> None:
        """Add a paragraph."""
        self._body.add(tags.p(text))

    def add_link(self, path: str, text: str) -> None:
        """Add a line that leads to another page; `path` is relative to this one."""
        self._body.add(tags.p(tags.a(text, href=quote(path))))

    def add_images(self, images: Iterable[Media], width: int) -> None:
        """Add a row of pictures, each `width` CSS pixels wide, that are loaded when they come into view."""
        row = self._body.add(tags.div(cls="row"))
        for image in images:
            picture = tags.img(src=quote(image.path), alt=image.title, loading="lazy")
            link = tags.a(picture, href=quote(image.link or image.path))
            row.add(_figure(link, image.title, image.note, width))

    def add_drawings(self, drawings: Iterable[tuple[str, str, str]], width: int) -> None:
        """Add a row of drawings (SVG text, title, note), each `width` CSS pixels wide, that are inside the page."""
        row = self._body.add(tags.div(cls="row"))
        for svg, title, note in drawings:
            data = base64.b64encode(svg.encode()).decode()
            row.add(_figure(tags.img(src=f"data:image/svg+xml;base64,{data}", alt=title), title, note, width))

    def add_videos(self, videos: Iterable[Media], width: int) -> None:
        """Add a row of silent, looping videos with controls, each `width` CSS pixels wide. `link` is not used."""
        row = self._body.add(tags.div(cls="row"))
        for video in videos:
            player = tags.video(src=quote(video.path), controls=True, loop=True, muted=True, playsinline=True,
                                preload="metadata")
            row.add(_figure(player, video.title, video.note, width))

    def add_table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table of texts, one sequence for each row."""
        table = self._body.add(tags.table())
        table.add(tags.tr(tags.th(cell) for cell in head))
        for row in rows:
            table.add(tags.tr(tags.td(cell) for cell in row))

    def add_details(self, summary: str, text: str) -> None:
        """Add preformatted text that is folded away until `summary` is clicked."""
        self._body.add(tags.details(tags.summary(summary), tags.pre(text)))

    def save(self, path: Path | str) -> None:
        """Write the page as UTF-8, atomically."""
        write_text(path, self._document.render())


def _figure(content: tags.html_tag, title: str, note: str, width: int) -> tags.figure:
    caption = tags.figcaption(title)
    if note:
        caption.add(tags.small(note))
    # 18 px: the frame's padding and border on both sides.
    return tags.figure(content, caption, style=f"width: {width + 18}px")
