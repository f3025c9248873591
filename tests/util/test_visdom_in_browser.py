"""visdom's page in a real browser: the scripts that scripts/install_visdom.py brings show curves and pictures.

Debian's packages chromium and chromium-driver are needed, and no network.
"""

import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import visdom

from scripts.install_visdom import in_npm
from tests.util.test_visdom import home, stop  # noqa: F401 (a fixture for all that is here)
from util.errors import UserError
from util.visdom_board import VisdomBoard, start_server

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PAGE = Path(visdom.__file__).parent / "static"


@pytest.mark.parametrize("url, place", [
    ("https://unpkg.com/bootstrap@3.3.7/dist/fonts/a.svg#b", ("bootstrap@3.3.7", "dist/fonts/a.svg")),
    ("https://unpkg.com/classnames@2.2.5", ("classnames@2.2.5", "index.js")),
    ("https://cdn.plot.ly/plotly-2.11.1.min.js", ("plotly.js-dist-min@2.11.1", "plotly.min.js")),
    ("http://d3js.org/d3.v3.min.js", ("d3@3", "d3.min.js")),
    ("https://d3js.org/d3-selection-multi.v1.js", ("d3-selection-multi@1", "build/d3-selection-multi.js")),
    ("https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.5/jax/output/SVG/jax.js?V=2.7.5",
     ("mathjax@2.7.5", "jax/output/SVG/jax.js"))])
def test_what_visdom_fetches_from_all_over_is_in_packages_of_npm(url, place):
    assert in_npm(url) == place


def test_an_address_that_is_not_known_is_named():
    with pytest.raises(UserError, match="https://elsewhere.example/x.js is of no known package"):
        in_npm("https://elsewhere.example/x.js")


@pytest.mark.skipif(not (CHROMIUM and DRIVER and shutil.which("npm")),
                    reason="chromium and chromium-driver (Debian's packages) or npm, which brings the scripts of "
                           "visdom's page, are not installed: the page is not tested")
def test_the_page_shows_a_curve_and_a_picture_without_the_internet(tmp_path):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    assert (PAGE / "js/plotly-plotly.min.js").exists(), "bash scripts/install_visdom.sh brings the page's scripts"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = start_server(port)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1280,900",
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        said = []
        board = VisdomBoard(server="localhost", port=port, env="main", name="run", width=256, columns=0,
                            instead="page", say=said.append)
        board.show_losses([{"epoch": epoch, "step": 1, "phase": "training", "time": 1, "losses": {"recon": 1 / epoch}}
                           for epoch in range(1, 9)])
        pixels = np.zeros((40, 60, 3), np.uint8)
        pixels[..., 0] = 255
        board.show_images(1, {"target": pixels})
        board.close()
        driver.get(f"http://localhost:{port}/env/main")
        curve = "document.querySelector('.js-plotly-plot .scatterlayer path.js-line')"
        picture = "[...document.images].find((image) => image.src.startsWith('data:image'))"
        end = time.monotonic() + 60
        while not driver.execute_script(f"return Boolean({curve} && {picture}?.naturalWidth)"):
            assert time.monotonic() < end, (said, driver.execute_script("return document.body.innerText"))
            time.sleep(0.1)
        line = driver.execute_script(f"return {curve}.getAttribute('d')")
        assert line.count("L") >= 7 or line.count(",") >= 7  # eight points
        colour = driver.execute_script(
            f"const image = {picture}, canvas = document.createElement('canvas');"
            "[canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];"
            "const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);"
            "return [...context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data];")
        assert colour[0] > 240 and max(colour[1:3]) < 15
        driver.save_screenshot(str(tmp_path / "page.png"))
    finally:
        driver.quit()
        stop(server)
