"""Proves a Space's folder: builds it, installs it alone in a clean environment, and uses its page in headless Chromium.

    python -m tools.prove_space [--venv DIR] [--report FILE.json]

Nothing but the folder's own requirements.txt, and what the hub adds to it, is installed. Its entry is started in a
folder of its own, with no path to the checkout, as the hub's container does. Then, as a visitor would: read the
notice, caption an example, evaluate the six example clips by four systems, sign in and judge a caption; stop the
container, start it again, and find the answer. Needs playwright and a Chromium here, on the visitor's side.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space_config.build import build_space
from space_config.card import VARIANTS
from space_config.pins import HUB_ADDS
from tools.clean_room import CleanRoom, megabytes, timed
from ugsd_core.doctor.machine import find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

NAME, PASSWORD = "ann", "a password for a proof"
PORT = 7861
START_S, WAIT_MS = 300, 180_000


@contextmanager
def container(room: CleanRoom, folder: Path, data: Path, log: Path) -> Iterator[str]:
    """The Space's entry as the hub starts it: in its folder, told everything by variables."""
    variables = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(PORT),
        "UGSD_DATA": str(data),
        "UGSD_PEOPLE": f"{NAME} annotator {PASSWORD}\nrae reviewer {PASSWORD}",
        "HF_HUB_OFFLINE": "1",
    }
    address = f"http://127.0.0.1:{PORT}/"
    with log.open("a") as out:
        child = subprocess.Popen(
            [room.python, "app.py"], cwd=folder, env=room.environ(**variables), stdout=out, stderr=subprocess.STDOUT
        )
        try:
            end = time.monotonic() + START_S
            while not _answers(address):
                if child.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"the Space did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.2)
            yield address
        finally:
            child.terminate()
            code = child.wait(30)
    assert code == 0 and "Traceback" not in log.read_text(), log.read_text()[-3000:]


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _as_the_hub(folder: Path) -> list[str]:
    """What the hub installs beside the requirements."""
    found = re.search(r'^sdk_version: "?([\d.]+)', (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return [line.format(gradio=found[1]) for line in HUB_ADDS]


def text_of(page: Page, selector: str) -> str:
    """What is read there."""
    return page.locator(selector).first.inner_text()


def caption(page: Page, found: dict[str, Any]) -> None:
    """An example, captioned; its tokens come one after the other."""
    page.locator(".example").first.click()
    page.wait_for_function("!document.querySelector('#run').disabled", timeout=WAIT_MS)
    page.evaluate(
        "() => { window.counts = []; new MutationObserver(() => {"
        " const n = document.querySelectorAll('#strip .strip .tok').length;"
        " if (window.counts.at(-1) !== n) window.counts.push(n);"
        "}).observe(document.querySelector('#strip'), {subtree: true, childList: true}); }"
    )
    page.locator("#run").click()
    done = "!document.querySelector('#run').disabled && document.querySelector('#caption-text textarea').value"
    page.wait_for_function(done, timeout=WAIT_MS)
    found["caption"] = page.locator("#caption-text textarea").input_value()
    found["tokens"] = page.locator("#strip .strip .tok").count()
    found["steps_seen"] = page.evaluate("window.counts.filter((n) => n > 0).length")
    assert found["tokens"] > 5 and len(found["caption"]) > 20, found
    assert found["steps_seen"] > 2, "the caption came at once and was not streamed"


def evaluate(page: Page, found: dict[str, Any]) -> None:
    """The manifest of the example clips, through the tab *Evaluate*."""
    page.get_by_role("tab", name="Evaluate").click()
    page.locator("#evaluate-place input").click()
    page.get_by_role("option", name="example clips").first.click()
    page.locator("#evaluate-check").click()
    page.wait_for_function("document.querySelectorAll('#evaluate-found .check').length > 0", timeout=WAIT_MS)
    page.locator("#evaluate-begin").click()
    done = "document.querySelector('#evaluate-progress')?.textContent.includes('Finished: 24 of 24')"
    page.wait_for_function(done, timeout=2 * WAIT_MS)
    page.locator("#evaluate-open").click()
    page.wait_for_function("document.querySelector('#evaluate-table').textContent.includes('ROUGE-L')", timeout=WAIT_MS)
    found["evaluation"] = "24 of 24 captions of 6 clips"


def judge(page: Page, found: dict[str, Any]) -> None:
    """Sign in, hear the first clip to its end, accept its caption."""
    page.get_by_role("tab", name="Annotate").click()
    page.locator(".ann-name input").fill(NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".ann-item:visible", timeout=WAIT_MS)
    first = page.locator(".ann-item").get_attribute("data-item")
    page.wait_for_function("Number(document.querySelector('[data-heard]')?.dataset.heard ?? 0) > 0.95", timeout=WAIT_MS)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelector('.ann-item').dataset.item !== {json.dumps(first)}", timeout=WAIT_MS)
    page.wait_for_function("document.querySelector('.ann-saved').dataset.state === 'saved'", timeout=WAIT_MS)
    found["annotated"] = text_of(page, ".ann-progress-text")
    assert found["annotated"].startswith("1 of"), found


def found_again(page: Page, found: dict[str, Any]) -> None:
    """After a restart: still signed in, the answer still counted."""
    page.get_by_role("tab", name="Annotate").click()
    page.wait_for_selector(".ann-item:visible", timeout=WAIT_MS)
    found["annotated_after_restart"] = text_of(page, ".ann-progress-text")
    assert found["annotated_after_restart"] == found["annotated"], found


@contextmanager
def visitor(chromium: Browser, state: Path) -> Iterator[tuple[Page, BrowserContext, list[str]]]:
    """A visitor's page, what it complained of, and the cookies of an earlier visit, if there was one."""
    context = chromium.new_context(
        viewport={"width": 1360, "height": 900}, locale="en-GB", storage_state=state if state.exists() else None
    )
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page, context, complaints
    context.close()


def use(room: CleanRoom, folder: Path, seconds: dict[str, float]) -> dict[str, Any]:
    """Everything a visitor does, over two lives of the container."""
    from playwright.sync_api import sync_playwright

    found: dict[str, Any] = {}
    data, log, state = room.home / "data", room.home / "log", room.home / "visitor.json"
    data.mkdir()
    flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_browser(), args=flags)
        with timed("starting the entry, until the page answers", seconds):
            first = container(room, folder, data, log)
            address = first.__enter__()
        try:
            with visitor(chromium, state) as (page, context, complaints):
                page.goto(address)
                page.wait_for_selector("#strip .legend-state", state="attached", timeout=WAIT_MS)
                assert "what happens to your voice" in text_of(page, "#notice summary")
                assert "By recording" in text_of(page, "#notice")
                found["notice"] = text_of(page, "#notice summary")
                with timed("captioning an example", seconds):
                    caption(page, found)
                with timed("evaluating the example clips", seconds):
                    evaluate(page, found)
                with timed("judging a caption", seconds):
                    judge(page, found)
                context.storage_state(path=state)
                assert complaints == [], complaints
        finally:
            first.__exit__(None, None, None)
        with (
            timed("restarting, and finding the answer", seconds),
            container(room, folder, data, log) as address,
            visitor(chromium, state) as (page, _, complaints),
        ):
            page.goto(address)
            found_again(page, found)
            assert complaints == [], complaints
        chromium.close()
    found["kept"] = sorted(path.name for path in data.iterdir())
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tools.prove_space", description=__doc__.splitlines()[0])
    parser.add_argument("--venv", metavar="DIR", type=Path, help="an environment to make or use again (a new one)")
    parser.add_argument("--report", metavar="FILE.json", type=Path, help="write the figures there, too")
    args = parser.parse_args(argv)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="ugsd-space-") as name:
        folder = Path(name) / "space"
        with timed("making the folder", seconds):
            build_space(folder, VARIANTS["cpu"])
        room = CleanRoom(Path(name), (args.venv or Path(name) / "venv").absolute())
        if room.fresh:
            with timed("installing requirements.txt", seconds):
                room.install("-r", str(folder / "requirements.txt"), *_as_the_hub(folder), tested=False)
        else:  # a folder that is alone: whatever was installed of ours goes
            uninstall = [room.python, "-m", "pip", "uninstall", "--quiet", "--yes", "ugsd-studio"]
            subprocess.run(uninstall, check=True, env=dict(os.environ))
        size = megabytes(folder)
        found = use(room, folder, seconds)
        report = {"seconds": seconds, "folder_mb": size, "installed_mb": room.packages_mb, **found}
    text = json.dumps(report, ensure_ascii=False)
    if args.report is not None:
        args.report.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
