"""The page builder."""

from html.parser import HTMLParser
from pathlib import Path

from util.html import Media, Page


class Reader(HTMLParser):
    """The tags, by name with their attributes, and the visible text of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if data.strip():
            self.text.append(data.strip())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    def pictures(self) -> list[str]:
        return [image["src"] for image in self.all("img") if not image["src"].startswith("data:")]


def test_a_page_of_results_has_videos_and_small_pictures_with_links_that_work_for_any_file_name(tmp_path):
    page = Page("Results")
    page.add_header("Layers")
    page.add_videos([Media("videos/layer #1.webm", "layer 1", "The person on the left.")], width=320)
    page.add_images([Media("images/0001 50%.png", "0001", link="images/large/0001.png"),
                     Media("images/0002.png", "0002")], width=128)
    page.add_table(["frame", "layers"], [["0001", "<2>"]])
    page.save(tmp_path / "index.html")
    found = Reader(tmp_path / "index.html")
    video, = found.all("video")
    assert video["src"] == "videos/layer%20%231.webm"
    assert {"controls", "loop", "muted", "playsinline"} <= video.keys()
    assert found.pictures() == ["images/0001%2050%25.png", "images/0002.png"]
    assert [link["href"] for link in found.all("a")] == ["images/large/0001.png", "images/0002.png"]
    assert [text for text in found.text if text == "<2>"] and "The person on the left." in found.text
