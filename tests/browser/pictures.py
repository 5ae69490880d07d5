"""Takes the pictures in ``docs/images`` anew, with the real pair: ``python -m tests.browser.pictures``.

The clip shown is the first example of which the verifier, asked wherever the draft's entropy passes τ = 0.8, accepts
something and corrects something; else the last one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.conftest import ROOT, Visit, find_chromium, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = ROOT / "docs/images"
TAU = "0.8"
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1360, "height": 900}},
    "dark": {"viewport": {"width": 1360, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}


def visit(browser: Browser, address: str, settings: dict[str, Any]) -> Visit:
    """A page with the gate of the paper, whose settings are folded away again."""
    page = Visit(browser.new_context(**settings).new_page(), address)
    more = page.page.locator("#more-settings button").first
    more.click()
    page.page.locator("#gate input").click()
    page.page.get_by_role("option", name="entropy of any token").click()
    more.click()
    page.page.locator("#limit input").click()
    page.page.get_by_role("option", name="τ").click()
    number = page.page.locator("#tau input[type=number]")
    number.fill(TAU)
    number.press("Tab")
    page.page.wait_for_timeout(500)
    return page


def caption(page: Visit, clip: int) -> set[str]:
    """Caption an example; the states its tokens ended in."""
    page.example(clip)
    page.page.wait_for_timeout(800)
    page.caption()
    page.finished()
    page.page.wait_for_timeout(800)
    return {chip["state"] for chip in page.chips()}


def main() -> int:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        with serving(["app.py", "--port", "0", "--no-browser"], Path(folder) / "log") as address:
            trial = visit(browser, address, SCREENS["light"])
            clips = range(trial.page.locator(".example").count())
            clip = next((i for i in clips if {"accepted", "corrected"} <= caption(trial, i)), clips[-1])
        for name, settings in SCREENS.items():
            # A fresh verifier each time, so that the ledger shows the acoustic code; another clip warms it up.
            with serving(["app.py", "--port", "0", "--no-browser"], Path(folder) / "log") as address:
                page = visit(browser, address, settings)
                caption(page, (clip + 1) % len(clips))
                caption(page, clip)
                page.page.screenshot(path=IMAGES / f"caption-{name}.png", full_page=True)
                print(f"{name}: {page.status()}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
