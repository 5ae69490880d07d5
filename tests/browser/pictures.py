"""Takes the pictures in ``docs/images`` anew, with the real pair: ``python -m tests.browser.pictures [annotate]``.

``annotate`` takes those of the tab Annotate alone, in its trial, which needs no models.

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


def pin(page: Visit) -> None:
    """Put what the verifier corrected into the inspector, if there is such a token; else the last word."""
    chips = page.page.locator("#strip .strip .tok.corrected")
    (chips.first if chips.count() else page.page.locator("#strip .strip .tok").nth(-2)).click()
    page.page.wait_for_timeout(300)


def tabs(page: Visit) -> None:
    """The other tabs: a run in the middle of its replay with its plots, and three modes side by side."""
    page.page.get_by_role("tab", name="Compare").click()
    page.page.locator("#compare-start").click()
    page.wait("!document.querySelector('#compare-stop').disabled")
    page.wait("!document.querySelector('#compare-start').disabled")
    page.page.wait_for_timeout(800)
    page.page.screenshot(path=IMAGES / "compare-light.png", full_page=True)
    page.page.get_by_role("tab", name="Inspect").click()
    page.wait("document.querySelectorAll('#inspect-strip .strip .tok').length > 0")
    page.page.wait_for_timeout(2500)
    page.page.evaluate(MIDDLE)
    page.page.wait_for_timeout(300)
    page.page.screenshot(path=IMAGES / "inspect-light.png")
    page.page.get_by_role("tab", name="Caption").click()
    page.page.locator("#locale input[value=zh]").check()
    page.page.wait_for_timeout(1500)
    page.page.screenshot(path=IMAGES / "caption-chinese.png", full_page=True)


def annotate(browser: Browser) -> None:
    """The tab Annotate with a caption that is being flagged."""
    for name, settings in SCREENS.items():
        if name == "dark":
            continue
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with serving(["app.py", "--port", "0", "--no-browser", "--no-models"], log) as address:
                page = browser.new_context(**settings).new_page()
                page.goto(address)
                page.get_by_role("tab", name="Annotate").click()
                page.locator(".ann-name input").fill("Ann")
                page.locator(".ann-enter").click()
                page.wait_for_selector(".ann-item:visible")
                for key in ("t", "End", "ArrowLeft", "ArrowLeft", "ArrowLeft", "Shift+ArrowRight", "1", "w", "Escape"):
                    page.keyboard.press(key)
                page.wait_for_timeout(2500)
                # A picture of the whole page would have its buttons in the middle.
                page.screenshot(path=IMAGES / f"annotate-{name}.png")


def evaluate(browser: Browser, address: str) -> None:
    """The tab Evaluate: the example clips by four systems, the figures in light and the clips in dark."""
    page = Visit(browser.new_context(**SCREENS["light"]).new_page(), address)
    page.page.get_by_role("tab", name="Evaluate").click()
    page.page.locator("#evaluate-check").click()
    page.wait("!document.querySelector('#evaluate-begin').disabled")
    page.page.locator("#evaluate-begin").click()
    page.wait("document.querySelector('#evaluate-progress').textContent.includes('Finished')", 120)
    page.page.locator("#evaluate-open").click()
    page.wait("document.querySelector('#evaluate-about code')?.textContent.startsWith('examples')")
    page.page.wait_for_timeout(1000)
    page.page.evaluate("scrollTo(0, 0)")
    page.page.screenshot(path=IMAGES / "evaluate-light.png")
    run = page.page.locator("#evaluate-about code").inner_text()
    page = Visit(browser.new_context(**SCREENS["dark"]).new_page(), f"{address}?run={run}")
    page.page.wait_for_selector(".rows tbody tr", state="attached")
    page.page.locator("#evaluate-clips-tab").click()
    page.page.locator(".row-act.play").first.click()
    page.wait("document.querySelector('.clip-player audio').duration > 1")
    page.page.wait_for_timeout(1000)
    page.page.screenshot(path=IMAGES / "evaluate-clips-dark.png")


#: Moves the replay to the middle of the run.
MIDDLE = """() => {
  const time = document.querySelector('#inspect-strip .replay-time');
  time.value = 0.6 * time.max;
  time.dispatchEvent(new Event('input'));
}"""


def main(argv: list[str]) -> int:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        annotate(browser)
        if argv:
            return 0
        with serving(["app.py", "--port", "0", "--no-browser"], Path(folder) / "log") as address:
            trial = visit(browser, address, SCREENS["light"])
            clips = range(trial.page.locator(".example").count())
            clip = next((i for i in clips if {"accepted", "corrected"} <= caption(trial, i)), clips[-1])
        for name, settings in SCREENS.items():
            # A fresh verifier each time, so that the ledger shows the acoustic code; another clip warms it up.
            with serving(["app.py", "--port", "0", "--no-browser", "--runs", folder], Path(folder) / "log") as address:
                page = visit(browser, address, settings)
                caption(page, (clip + 1) % len(clips))
                caption(page, clip)
                pin(page)
                page.page.screenshot(path=IMAGES / f"caption-{name}.png", full_page=name != "phone")
                print(f"{name}: {page.status()}")
                if name == "light":
                    tabs(page)
                    evaluate(browser, address)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
