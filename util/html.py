"""Small self-contained web pages: headings, rows of pictures and videos, tables.

A page works from the file system: its stylesheet and its script are inside it, and pictures have relative paths. It is
dark where the browser asks for that, and readable at the width of a telephone. All text is escaped. Transparent
pictures stand on a checkerboard. The script plays the videos of a row in step, by one control above them; without it
each has its own.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import dominate
from dominate import tags
from dominate.util import raw

from util.files import write_text

STYLE = """
:root { --ink: #1c2530; --soft: #55626f; --line: #dfe4ea; --paper: #ffffff; --ground: #f4f6f8; --link: #1769aa;
        --squares: #c9ced4 0% 25%, #eef0f2 0% 50%; color-scheme: light; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d9dde2; --soft: #9aa4af; --line: #3a4048; --paper: #1e2125; --ground: #17191c; --link: #6db4ec;
          --squares: #3a3d42 0% 25%, #2c2f33 0% 50%; color-scheme: dark; }
  .drawing { filter: invert(0.88) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.45;
       font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 64px; }
h1 { margin: 0 0 4px; font-size: 26px; overflow-wrap: anywhere; }
h2 { margin: 34px 0 10px; font-size: 18px; overflow-wrap: anywhere; }
h3 { margin: 18px 0 8px; font-size: 14px; overflow-wrap: anywhere; }
p { margin: 0 0 10px; color: var(--soft); max-width: 75ch; }
a { color: var(--link); }
.row { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
figure { margin: 0; padding: 8px; max-width: 100%; background: var(--paper); border: 1px solid var(--line);
         border-radius: 8px; }
figure img, figure video { display: block; width: 100%; height: auto; border-radius: 4px;
    background: repeating-conic-gradient(var(--squares)) 0 0 / 16px 16px; }
figure img.drawing { background: none; }
figcaption { padding-top: 6px; font-size: 13px; font-weight: 600; overflow-wrap: anywhere; }
figcaption small { display: block; font-size: 12px; font-weight: 400; color: var(--soft); }
.bar { display: flex; align-items: center; gap: 12px; margin-bottom: 10px; max-width: 560px; }
.bar button { width: 76px; padding: 5px 0; font: inherit; color: inherit; background: var(--paper);
              border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
.bar input { flex: 1; min-width: 0; accent-color: var(--link); }
.bar output { min-width: 9ch; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.table { max-width: 100%; overflow-x: auto; }
table { border-collapse: collapse; background: var(--paper); border: 1px solid var(--line); font-size: 14px; }
th, td { padding: 6px 14px; text-align: left; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td { font-variant-numeric: tabular-nums; }
.long { min-width: 17em; }
details { margin-top: 34px; }
summary { cursor: pointer; font-weight: 600; }
pre { margin: 0 0 14px; padding: 12px 14px; background: var(--paper); border: 1px solid var(--line);
      border-radius: 8px; font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
details pre { margin-top: 12px; }
@media (max-width: 600px) {
  main { padding: 18px 14px 48px; }
  .row { gap: 10px; }
  th, td { padding: 5px 8px; }
}
"""

SCRIPT = """
for (const row of document.querySelectorAll(".videos")) {
  const videos = [...row.querySelectorAll("video")];
  for (const video of videos) Object.assign(video, {controls: false, loop: false});
  row.insertAdjacentHTML("beforebegin", `<div class="bar"><button type="button">Play</button>
    <input type="range" min="0" step="0.04" value="0" aria-label="Time in seconds"><output></output></div>`);
  const [button, slider, time] = row.previousElementSibling.children;
  const longest = () => videos.reduce((a, b) => (b.duration > (a.duration || 0) ? b : a));
  let playing = false;
  const show = () => {
    const {currentTime, duration} = longest();
    slider.max = duration || 0;
    slider.value = currentTime;
    time.textContent = `${currentTime.toFixed(2)} / ${(duration || 0).toFixed(2)} s`;
  };
  const seek = (seconds) => {
    for (const video of videos) video.currentTime = Math.min(seconds, video.duration || 0);
    show();
  };
  const tick = () => {
    if (!playing) return;
    const first = longest();
    if (first.ended) {
      seek(0);
      play();
    }
    for (const video of videos) {
      const expected = Math.min(first.currentTime, video.duration || 0);
      if (!video.seeking && Math.abs(video.currentTime - expected) > 0.06) video.currentTime = expected;
    }
    show();
    requestAnimationFrame(tick);
  };
  const play = () => videos.forEach((video) => video.play().catch(() => {}));
  const toggle = () => {
    playing = !playing;
    button.textContent = playing ? "Pause" : "Play";
    if (playing) {
      if (longest().ended) seek(0);
      play();
      requestAnimationFrame(tick);
    } else {
      videos.forEach((video) => video.pause());
      seek(longest().currentTime);
    }
  };
  button.addEventListener("click", toggle);
  slider.addEventListener("input", () => seek(Number(slider.value)));
  for (const video of videos) {
    video.addEventListener("click", toggle);
    video.addEventListener("loadedmetadata", show);
  }
  show();
}
"""


LONG = 60
"""Letters of a cell that is a sentence, and needs some width."""


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
        self._document["lang"] = "en"
        self._body = self._document.body.add(tags.main())
        self._body.add(tags.h1(title))
        self._has_videos = False

    def add_header(self, text: str) -> None:
        """Begin a section."""
        self._body.add(tags.h2(text))

    def add_subheader(self, text: str) -> None:
        """Begin a part of a section."""
        self._body.add(tags.h3(text))

    def add_text(self, text: str) -> None:
        """Add a paragraph."""
        self._body.add(tags.p(text))

    def add_link(self, path: str, text: str) -> None:
        """Add a line that leads to another page; `path` is relative to this one."""
        self._body.add(tags.p(tags.a(text, href=quote(path))))

    def add_command(self, text: str, command: str) -> None:
        """Add a sentence and the command that it speaks of, to be copied."""
        self._body.add(tags.p(text), tags.pre(command))

    def add_images(self, images: Iterable[Media], width: int) -> None:
        """Add a row of pictures, each `width` CSS pixels wide, that are loaded when they come into view."""
        row = self._body.add(tags.div(cls="row"))
        for image in images:
            picture = tags.img(src=quote(image.path), alt=image.title, loading="lazy")
            link = tags.a(picture, href=quote(image.link or image.path))
            row.add(_figure(link, image.title, image.note, width))

    def add_drawings(self, drawings: Iterable[tuple[str, str, str]], width: int) -> None:
        """Add a row of drawings, each `width` CSS pixels wide, that are inside the page.

        Args:
            drawings: SVG text (dark on nothing: a dark page shows it with its lightness turned round), title and note.
        """
        row = self._body.add(tags.div(cls="row"))
        for svg, title, note in drawings:
            data = base64.b64encode(svg.encode()).decode()
            row.add(_figure(tags.img(src=f"data:image/svg+xml;base64,{data}", alt=title,
                                        cls="drawing"), title, note, width))

    def add_videos(self, videos: Iterable[Media], width: int) -> None:
        """Add a row of silent, looping videos that play in step, each `width` CSS pixels wide. `link` is not used."""
        row = self._body.add(tags.div(cls="row videos"))
        self._has_videos = True
        for video in videos:
            player = tags.video(src=quote(video.path), controls=True, loop=True, muted=True, playsinline=True,
                                preload="metadata", aria_label=video.title)
            row.add(_figure(player, video.title, video.note, width))

    def add_table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table of texts, one sequence for each row; where it is too wide for the window, it scrolls."""
        box = self._body.add(tags.div(cls="table", tabindex="0", role="group", aria_label="table"))
        table = box.add(tags.table())
        table.add(tags.thead(tags.tr(tags.th(cell, scope="col") if cell else tags.td() for cell in head)))
        body = table.add(tags.tbody())
        for row in rows:
            body.add(tags.tr(tags.td(cell, cls="long") if len(cell) > LONG else tags.td(cell) for cell in row))

    def add_details(self, summary: str, text: str) -> None:
        """Add preformatted text that is folded away until `summary` is clicked."""
        self._body.add(tags.details(tags.summary(summary), tags.pre(text)))

    @contextmanager
    def folded(self, summary: str) -> Iterator[None]:
        """What is added inside `with` is folded away until `summary` is clicked; pictures are loaded only then."""
        around = self._body
        self._body = around.add(tags.details(tags.summary(summary)))
        yield
        self._body = around

    def save(self, path: Path | str) -> None:
        """Write the page as UTF-8, atomically."""
        if self._has_videos:
            self._document.body.add(tags.script(raw(SCRIPT)))
            self._has_videos = False
        write_text(path, self._document.render())


def _figure(content: tags.html_tag, title: str, note: str, width: int) -> tags.figure:
    caption = tags.figcaption(title)
    if note:
        caption.add(tags.small(note))
    # 18 px: the frame's padding and border on both sides.
    return tags.figure(content, caption, style=f"width: {width + 18}px")
