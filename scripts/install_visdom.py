"""Install visdom, the optional live display, into this Python, and bring the scripts of its page.

    python scripts/install_visdom.py

visdom's server fetches its page's scripts from several places of the internet at its first start; where it cannot, the
page stays empty. Here they come from npm's registry, in the versions that visdom names, so that they are there at once,
also on a machine that reaches package registries alone.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from util.errors import UserError, reported_in_one_line

# visdom 0.2.4 is a source release whose build needs pkg_resources (gone from setuptools 81 on) and bdist_wheel inside
# setuptools (there from 70.1 on).
BUILT_BY = ["setuptools>=70.1,<81"]
# Its page links ../user/style.css, which tornado refuses from 6.6 on: the server would answer every visitor with 403.
PACKAGES = ["visdom>=0.2.4,<0.3", "tornado<6.6"]
PLACES = {
    r"unpkg\.com/([^/@]+@[^/]+)$": (r"\1", "index.js"),
    r"unpkg\.com/([^/@]+@[^/]+)/(.+)": (r"\1", r"\2"),
    r"cdn\.plot\.ly/plotly-([\d.]+)\.min\.js": (r"plotly.js-dist-min@\1", "plotly.min.js"),
    r"d3js\.org/d3\.v(\d+)\.min\.js": (r"d3@\1", "d3.min.js"),
    r"d3js\.org/d3-selection-multi\.v(\d+)\.js": (r"d3-selection-multi@\1", "build/d3-selection-multi.js"),
    r"cdnjs\.cloudflare\.com/ajax/libs/mathjax/([\d.]+)/(.+)": (r"mathjax@\1", r"\2"),
}
"""Addresses that visdom names: the package of npm, and the file in it."""


def main() -> None:
    """Install the packages, then the scripts of the page where npm is at hand."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    for packages in (BUILT_BY, ["--no-build-isolation", *PACKAGES]):
        if subprocess.run([*pip, *packages]).returncode:
            raise UserError("visdom: pip could not install it; its message is above")
    if shutil.which("npm") is None:
        print("npm is not installed: visdom's server fetches the scripts of its page from the internet when it starts")
        return
    bring_page()
    print("visdom: installed, with the scripts of its page")


def bring_page() -> None:
    """Let visdom put the scripts of its page into their places, but take them from npm's registry.

    Raises:
        UserError: some cannot be had; then the server will try for itself.
    """
    import requests
    from visdom.server import build
    wanted: list[str] = []

    def noting(request: object) -> SimpleNamespace:
        wanted.append(getattr(request, "full_url", str(request)))
        return SimpleNamespace(read=lambda: b"", content=b"")

    def from_npm(request: object) -> SimpleNamespace:
        data = found[getattr(request, "full_url", str(request))]
        return SimpleNamespace(read=lambda: data, content=data)

    def run(answer, folder: str | None = None) -> None:
        with mock.patch.object(build.request, "build_opener", lambda *_: SimpleNamespace(open=answer)), \
                mock.patch.object(build.request, "install_opener"), mock.patch.object(requests, "get", answer):
            build.download_scripts(install_dir=folder)

    with tempfile.TemporaryDirectory() as folder:
        run(noting, folder)
    found = fetched(wanted)
    run(from_npm)


def fetched(urls: list[str]) -> dict[str, bytes]:
    """What is at addresses that visdom names, out of packages of npm.

    Raises:
        UserError: an address is not known, npm cannot fetch a package, or a file is not in it.
    """
    places = {url: in_npm(url) for url in urls}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for package in sorted({package for package, _ in places.values()}):
            done = subprocess.run([shutil.which("npm"), "pack", package, "--silent"], cwd=folder, text=True,
                                  capture_output=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise UserError(f"visdom's page: npm could not fetch {package} ({done.stderr.strip()[-200:]}). Give "
                                "the command again where it can; the server also fetches its page's scripts itself")
            with tarfile.open(Path(folder, done.stdout.split()[-1])) as archive:
                for url, (of, name) in places.items():
                    if of == package:
                        found[url] = _file_in(archive, f"package/{name}", url)
    return found


def in_npm(url: str) -> tuple[str, str]:
    """The package, with its version, and the file in it that is what an address names.

    Raises:
        UserError: it is not known which.
    """
    parts = urlsplit(url)
    address = parts.netloc + parts.path
    for pattern, (package, name) in PLACES.items():
        if match := re.fullmatch(pattern, address):
            return match.expand(package), match.expand(name)
    raise UserError(f"visdom's page: {url} is of no known package. Expected visdom {PACKAGES[0]}")


def _file_in(archive: tarfile.TarFile, name: str, url: str) -> bytes:
    try:
        file = archive.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise UserError(f"visdom's page: there is no {name} in npm's package for {url}")
    return file.read()


if __name__ == "__main__":
    with reported_in_one_line():
        main()
