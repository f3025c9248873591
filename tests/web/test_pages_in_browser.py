"""The pages that programs write, in a real browser: on a telephone and a screen, in light and dark."""

import json
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
from data.base_dataset import BaseDataset
from datasets.make_sample import make_sample
from models.base_model import Export
from preparation import actor_page
from preparation.page import make_page
from preparation.steps import Finding, Outcome
from training import exporting
from util.run_page import save_images, write_run_page

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("chromium and chromium-driver (Debian's packages) are not installed: pages are not looked at",
                allow_module_level=True)

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from tests.accessibility import grave_findings, ground, look, overflow  # noqa: E402

PAGES = ("results", "sequences", "training", "preparation", "actor", "evaluation")
FINDING = Finding(2, "keypoints.json: person 2 has no pose in frames 0012.png to 0031.png, a long sentence that has to "
                     "be broken on a narrow page; correct it with python prepare.py --dataroot datasets/clip --serve")


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1280,720"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of each kind, made by what makes it for users."""
    folder = tmp_path_factory.mktemp("pages")
    clip = make_sample(folder / "clip", frames=6, width=96, height=64, people=1, camera="moving")
    export_results(folder / "results", 9)
    export_results(folder / "sequences", 2, sequences=("street", "yard"))
    history = [{"epoch": epoch, "step": 1, "phase": phase, "time": 1, "losses": {"recon": 1 / epoch, "mask": 0.5}}
               for phase, epoch in (("first", 1), ("first", 2), ("second", 3), ("second", 4))]
    for epoch in (1, 4):
        save_images(folder / "run", epoch, {"target": np.full((64, 96, 3), 90, np.uint8)})
    (folder / "run/train_opt.txt").write_text("dataroot: " + "a_long_name/" * 20)
    write_run_page(folder / "run", history, {"recon": "How far the sum of the layers is from the frames."}, "Finished",
                   256, None, {"Export what it has learned:": "python test.py --name run"})
    metadata = json.loads((clip / "metadata.json").read_text())
    (clip / "metadata.json").write_text(json.dumps({**metadata, "people_names": {"1": "J\u00fcrgen"}}))
    camera = Outcome("registered", report={"residual_px": [0.5, 0.6, None], "unexplained": [0.1, 0.2, 0.1]})
    make_page(clip, {"frames": Outcome("6 frames"), "camera": camera}, [FINDING],
              {"correct": f"python prepare.py --dataroot {clip} --serve",
               "then": f"python train.py --name clip --dataroot {clip} --preset draft --export --use_homographies"})
    (folder / "actor").mkdir()
    actor_page.make_page(folder / "actor", [FINDING], [], {"then": "python train.py --model neural_actor --name actor"})
    evaluate.main(["--layers", str(clip / "gt"), "--dataroot", str(clip), "--no_lpips", "--out", str(folder / "eval")])
    return {"results": folder / "results/index.html", "sequences": folder / "sequences/index.html",
            "training": folder / "run/web/index.html", "preparation": clip / "prepare/index.html",
            "actor": folder / "actor/prepare/index.html", "evaluation": folder / "eval/index.html"}


class Items(BaseDataset):
    """Items as they are given."""

    def __init__(self, opt: Namespace, items: list[dict]):
        super().__init__(opt)
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def item(self, index: int, rng: np.random.Generator | None, epoch: int) -> dict:
        return self.items[index]


class Moving:
    """A model whose export is a light bar that moves to the right."""

    next_steps = (("Retime the people, in the browser:", "retime.py", "--serve"),)

    def export(self, batch: dict) -> Export:
        picture = torch.full((1, 4, 64, 96), -0.5)
        picture[..., 10 * int(batch["number"]):][..., :10] = 0.8
        return Export(images={"rgba_l0": picture[:, :3], "rgba_l1": picture},
                      video_frames={"original": picture[:, :3], "rgba_l1": picture[:, :3]},
                      captions={"original": "The frames that the network learned from."})


def export_results(folder: Path, count: int, sequences: tuple[str, ...] = ("",)) -> None:
    """What test.py writes for a model."""
    opt = Namespace(aspect_ratio=1, display_winsize=256, name="run", results_dir=folder, checkpoints_dir="checkpoints",
                    phase="test", epoch="latest", dataroot="datasets/clip", num_test=np.inf)
    items = [{"image_path": f"{number + 1:04d}.png", "number": number, **({"sequence": name} if name else {})}
             for name in sequences for number in range(count)]
    exporting.export(Moving(), Items(opt, items), folder, "run, test, epoch latest", opt)


def show(browser, page):
    browser.get(page.absolute().as_uri())


@pytest.mark.parametrize("kind", PAGES)
def test_pages_fit_a_telephone_are_dark_where_that_is_wished_and_accessible(browser, pages, kind):
    for scheme, width in (("light", 1280), ("dark", 390)):
        look(browser, scheme, width)
        show(browser, pages[kind])
        assert overflow(browser) <= 0
        assert (ground(browser) > 200) == (scheme == "light")
        browser.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert overflow(browser) <= 0
        assert not grave_findings(browser)


def test_videos_play_in_step_by_one_control_that_does_not_cover_them(browser, pages):
    look(browser, "light", 1280, 720)
    show(browser, pages["results"])
    read = ("return [...document.querySelectorAll('video')].map(({currentTime, paused, controls}) => "
            "[currentTime, paused, controls])")
    wait = WebDriverWait(browser, 15)
    wait.until(lambda _: browser.execute_script(
        "return [...document.querySelectorAll('video')].every((video) => video.readyState >= 1)"))
    button, slider = (browser.find_element("css selector", f".bar {name}") for name in ("button", "input"))
    assert len(browser.find_elements("css selector", ".bar")) == 1 and len(browser.execute_script(read)) == 2
    assert float(slider.get_attribute("max")) == pytest.approx(9 / 25, abs=0.05)
    button.click()
    wait.until(lambda _: all(time > 0.04 and not paused for time, paused, _ in browser.execute_script(read)))
    button.click()
    wait.until(lambda _: all(paused for _, paused, _ in browser.execute_script(read)))
    times = [time for time, _, _ in browser.execute_script(read)]
    assert max(times) - min(times) < 0.02
    browser.execute_script("arguments[0].value = 0.2; arguments[0].dispatchEvent(new Event('input'))", slider)
    assert [(time, controls) for time, _, controls in browser.execute_script(read)] == [(0.2, False)] * 2


def test_a_page_of_results_is_a_contact_sheet_and_says_what_comes_next(browser, pages):
    look(browser, "light", 1280, 720)
    show(browser, pages["results"])
    assert browser.execute_script("return document.documentElement.scrollHeight") < 1800
    seen = browser.execute_script("return [...document.querySelectorAll('main > .row img')].map((image) => image.alt)")
    assert seen == 2 * ["0001", "0003", "0004", "0006", "0007", "0009"]
    folded = browser.execute_script("return document.querySelectorAll('details img').length")
    assert folded == 18, "all of them are there to be opened"
    assert "python retime.py --name run --results_dir" in browser.find_element("tag name", "pre").text
    show(browser, pages["training"])
    assert browser.find_element("tag name", "pre").text == "python test.py --name run"


def test_the_page_of_a_dataroot_has_the_commands_that_prepare_prints(browser, pages):
    show(browser, pages["preparation"])
    assert "1 is J\u00fcrgen." in browser.find_element("tag name", "body").text
    correct, train = (element.text for element in browser.find_elements("tag name", "pre"))
    assert correct.endswith("--serve") and "--preset draft --export --use_homographies" in train
