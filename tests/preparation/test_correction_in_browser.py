"""The page on which people and masks are corrected, in a real browser, by keyboard and brush.

Debian's packages chromium and chromium-driver are needed, and no graphics card.
"""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.tracked_poses import read_poses
from preparation.steps import read_values
from tests.accessibility import grave_findings
from tests.preparation.correction_clip import make_clip
from util.images import read_image

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("chromium and chromium-driver (Debian's packages) are not installed: the page is not tested",
                allow_module_level=True)

from selenium import webdriver  # noqa: E402
from selenium.webdriver import ActionChains  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

ROOT = Path(__file__).parents[2]
SERVE = ("from pathlib import Path; from preparation.correction.server import Session; from web.server import serve; "
         "serve(Session(Path({!r})).site, 0, lambda address: print(address, flush=True))")


@pytest.fixture
def root(tmp_path):
    return make_clip(tmp_path / "clip")


@pytest.fixture
def page(root):
    server = subprocess.Popen([sys.executable, "-c", SERVE.format(str(root))], cwd=ROOT, stdout=subprocess.PIPE,
                              text=True)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--window-size=1280,720"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.get(server.stdout.readline().strip())
    yield Page(driver)
    assert not driver.get_log("browser")
    driver.quit()
    server.send_signal(signal.SIGINT)
    assert server.wait(20) == 0, "Ctrl-C does not end the server cleanly"


class Page:
    def __init__(self, driver):
        self.driver = driver

    def press(self, *keys):
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not self.driver.execute_script(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"never: {condition}"
            time.sleep(0.03)

    def says(self, words):
        self.until(f"document.querySelector('#message').textContent.includes('{words}')")


def test_people_are_joined_named_left_out_and_painted_by_keyboard_and_brush_and_all_is_on_disk(page, root):
    page.until("state.people.length === 3 && kept.get('picture/0')?.value && kept.get('mask/1/0')?.value")
    page.press(Keys.ARROW_DOWN, "j", Keys.ARROW_DOWN, Keys.ENTER)
    page.says("Person 2 and Person 3 are one")
    page.press("n", *"Anna", Keys.ENTER)
    page.says("Person 2 is Anna")
    assert read_values(root / "metadata.json")["people_names"] == {"2": "Anna"}
    page.press(Keys.ARROW_UP, Keys.DELETE)
    page.says("Person 1 is left out")
    assert {pose.person for people in read_poses(root / "keypoints.json").values() for pose in people} == {1}
    page.press(Keys.ARROW_DOWN, "t")
    page.says("is taken in")
    page.press("b")
    page.until("painting")
    box = page.driver.execute_script("const box = screen.getBoundingClientRect();"
                                     "return [box.left, box.top, box.width / 320]")
    actions = ActionChains(page.driver, duration=20)
    pointer = actions.w3c_actions.pointer_action
    pointer.move_to_location(round(box[0] + 10 * box[2]), round(box[1] + 60 * box[2])).pointer_down()
    pointer.move_to_location(round(box[0] + 25 * box[2]), round(box[1] + 60 * box[2])).pointer_up()
    actions.perform()
    page.says("carried on to frames 1 to 10")
    for name in ("0001", "0010"):
        assert read_image(root / f"mask/02/{name}.png", "L")[60, 18] > 200
    page.driver.find_element("id", "undo").click()
    page.says("Undone")
    assert read_image(root / "mask/02/0001.png", "L")[60, 18] == 0


def test_the_page_fits_a_telephone_in_light_and_dark(page):
    for scheme, ground in (("light", (200, 255)), ("dark", (0, 60))):
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True})
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        page.until("kept.get('picture/0')?.value && screen.clientWidth > 300")
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
        colour = page.driver.execute_script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert ground[0] <= int(colour) <= ground[1]
        for name in ("join", "drop", "brush", "play", "undo"):
            box = page.driver.execute_script("const box = document.getElementById(arguments[0])"
                                             ".getBoundingClientRect(); return [box.left, box.right, box.bottom]", name)
            assert 0 <= box[0] < box[1] <= 390 and box[2] <= 844
        assert not grave_findings(page.driver)
