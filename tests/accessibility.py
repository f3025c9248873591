"""What axe-core finds on a page in a browser, and how pages are looked at: window sizes, light and dark."""

from pathlib import Path

import axe_core_python

GRAVE = ("serious", "critical")
AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def look(driver, scheme: str, width: int, height: int = 844) -> None:
    """Give the window a size in CSS pixels, and the page the wish for light or dark."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                           {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def grave_findings(driver, part: str = "html", impacts: tuple[str, ...] = GRAVE) -> list[str]:
    """What axe-core finds of these impacts in a part of the page, a CSS selector; a line each."""
    driver.execute_script(f"if (!window.axe) {{ {AXE} }}")
    found = driver.execute_async_script("axe.run(arguments[0]).then(arguments[1], arguments[1])", part)
    return [f"{finding['id']}: {node['html'][:120]} ({node['failureSummary']})" for finding in found["violations"]
            if finding["impact"] in impacts for node in finding["nodes"]]


def overflow(driver) -> int:
    """By how many CSS pixels the page is wider than the window."""
    return driver.execute_script("return document.documentElement.scrollWidth - innerWidth")


def ground(driver) -> float:
    """How light the page's background is, from 0 to 255."""
    return driver.execute_script("const found = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g);"
                                 "return found.slice(0, 3).reduce((sum, value) => sum + Number(value), 0) / 3")
