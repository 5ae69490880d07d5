"""How long an annotator waits for the machine: ``python -m tests.browser.annotation_speed [ITEMS]``.

300 captions are judged by keyboard alone, in a headless Chromium, against a store on disk with full fsync. Measured in
the browser: from the Enter that submits to the next clip that can be played, with its form empty and the keys alive. A
measurement, and no test: these figures belong to a machine. A short run without figures is in ``test_annotate_tab``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.browser.conftest import find_chromium, serving
from tests.ui.annotations import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

TURNS = "document.querySelector('#annotate [data-turns]')"


def enter(page: Page, address: str, name: str = "Ann", password: str = PASSWORD) -> None:
    """Open the tab and sign in, by keyboard."""
    page.goto(address)
    page.get_by_role("tab", name="Annotate").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".ann-name input:visible")
    page.locator(".ann-name input").focus()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_selector(".ann-item:visible")


def judge(page: Page, turn: int, before: int = 0) -> float:
    """One caption by keyboard, every fifth with flags, every tenth with a correction; milliseconds of machine time.

    ``before`` is how many the page had judged when this began.
    """
    keys = page.keyboard
    if turn % 5 == 0:
        for key in ("f", str(1 + turn % 6), "w"):
            keys.press(key)
        if turn % 10 == 0:
            keys.press("c")
            keys.type(" Well,")
            keys.press("Escape")
    else:
        keys.press("a")
    keys.press("Enter")
    page.wait_for_function(f"Number({TURNS}?.dataset.turns ?? 0) > {before + turn}")
    return float(page.evaluate(f"{TURNS}.dataset.turnMs"))


def measure(page: Page, address: str, items: int) -> dict[str, Any]:
    """Judge all captions of a campaign."""
    enter(page, address)
    began = time.monotonic()
    waits = [judge(page, turn) for turn in range(items)]
    spent_s = time.monotonic() - began
    page.wait_for_selector(".ann-nothing:visible")
    quantiles = np.quantile(waits, (0.5, 0.95, 1.0)).round(1).tolist()
    return {
        "items": items,
        "submit_to_next_ms": dict(zip(("median", "p95", "worst"), quantiles, strict=True)),
        "seconds": round(spent_s, 1),
        "items_per_minute": round(60 * items / spent_s, 1),
        "shown": page.locator(".ann-progress-text").inner_text(),
    }


def main(argv: list[str]) -> int:
    """Print the figures as JSON."""
    from playwright.sync_api import sync_playwright

    items = int(argv[0]) if argv else 300
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        rules = json.dumps({"count": items, "seconds": 1.0})
        command = ["-m", "tests.ui.annotations", f"{folder}/store.db", "0", rules]
        with serving(command, Path(folder) / "log") as address:
            page = browser.new_page(viewport={"width": 1360, "height": 900})
            print(json.dumps(measure(page, address, items), indent=1))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
