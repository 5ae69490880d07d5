"""A headless Chromium with a fake microphone, and pages to look at with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.annotating import Annotator, Running

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "assets/examples/slow_low_en.flac"
START_S = 90
POLL_MS = 30
#: What a new window of Chromium would load for its address bar, at a third of what the page itself costs. The last
#: switch of this name counts, so what Playwright switches off stands here too.
FEATURES_OFF = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser."""
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


def find_chromium() -> str | None:
    """A Chromium on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("UGSD_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def speech_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is spoken into the fake microphone: an example clip."""
    import soundfile

    samples, rate = soundfile.read(CLIP)
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


@pytest.fixture(scope="package")
def browser(speech_wav: Path) -> Iterator[Browser]:
    """One browser for the tests of this package; each gets a fresh context.

    It must not outlive the package: playwright keeps an event loop running in this thread, in which the tests of the
    wire could not run theirs.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = find_chromium()
    if executable is None:
        pytest.skip("there is no Chromium on this machine")
    arguments = [
        "--no-sandbox",
        f"--disable-features={','.join(FEATURES_OFF)}",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech_wav}",
    ]
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield running
        running.close()


class Served(str):
    """The address of a page that runs in a process of its own; its temporary files lie in ``folder``."""

    pid: int
    folder: Path


@contextlib.contextmanager
def serving(command: list[str], log: Path) -> Iterator[Served]:
    """Run a page in a process of its own and end it politely."""
    folder = str(log.parent)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": folder, "XDG_DATA_HOME": folder}
    with log.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=environment
        )
        try:
            end = time.monotonic() + START_S
            while "UGSD Studio is at " not in log.read_text():
                assert child.poll() is None, f"the page did not start:\n{log.read_text()}"
                assert time.monotonic() < end, f"the page did not start in {START_S} s:\n{log.read_text()}"
                time.sleep(0.1)
            served = Served(log.read_text().split("UGSD Studio is at ")[1].split()[0])
            served.pid, served.folder = child.pid, log.parent
            yield served
        finally:
            child.terminate()
            try:
                code = child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise
    assert code == 0, f"the page ended with {code}:\n{log.read_text()}"
    assert not list(log.parent.glob("ugsd-uploads-*")), "uploads were left behind"
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="package")
def fake_page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Address of a page with a scripted engine, too quick for an eye."""
    log = tmp_path_factory.mktemp("fake") / "log"
    with serving(["-m", "tests.ui.fake_engine", "0", "english", "0.004"], log) as address:
        yield address


@pytest.fixture
def slow_page(fake_page: Served) -> Iterator[Served]:
    """The same page, while its engine is slow enough to be watched."""
    pace = fake_page.folder / "pace"
    pace.write_text("0.03")
    yield fake_page
    pace.unlink()


@pytest.fixture(scope="package")
def dying_page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page whose verifier is lost in the middle of every caption."""
    log = tmp_path_factory.mktemp("dying") / "log"
    with serving(["-m", "tests.ui.fake_engine", "0", "dying", "0.02"], log) as address:
        yield address


@pytest.fixture(scope="package")
def bare_page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Address of a page without models."""
    log = tmp_path_factory.mktemp("bare") / "log"
    with serving(["app.py", "--port", "0", "--no-browser", "--no-models"], log) as address:
        yield address


@pytest.fixture(scope="package")
def real_page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Address of the real page: the embedded pair, the verifier in a process of its own."""
    if not all((ROOT / "assets/checkpoints" / side / "config.json").is_file() for side in ("edge", "verifier")):
        pytest.skip("the embedded pair is not in assets/checkpoints")
    log = tmp_path_factory.mktemp("real") / "log"
    with serving(["app.py", "--port", "0", "--no-browser"], log) as address:
        yield address


class Visit:
    """A visitor's page: what it asked for, what it complained of, and the steps that tests share."""

    def __init__(self, page: Page, address: str, strip: str = "strip") -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector(f"#{strip} .legend-state", state="attached")  # a link may open another tab at once
        page.evaluate(WATCH, f"#{strip}")

    def example(self, index: int = 0) -> None:
        self.page.locator(".example").nth(index).click()
        self.wait("!document.querySelector('#run').disabled")

    def caption(self) -> None:
        """Press the button, and wait until the caption has begun."""
        self.press("#run", "document.querySelector('#run').disabled")

    def press(self, button: str, condition: str) -> None:
        """Press a button, and wait until a condition has been met, however briefly."""
        self.page.evaluate(MEET, condition)
        self.page.locator(button).click()
        self.wait("window.met")

    def finished(self) -> str:
        self.wait("!document.querySelector('#run').disabled")
        return self.status()

    def status(self) -> str:
        return self.page.locator("#status [role=status]").inner_text()

    def states(self) -> dict[str, float]:
        return self.page.evaluate("Object.fromEntries(window.seen)")

    def chips(self) -> list[dict[str, Any]]:
        return self.page.eval_on_selector_all(
            "#strip .strip .tok", "all => all.map(c => ({text: c.textContent, state: c.dataset.state}))"
        )

    def wait(self, condition: str, timeout_s: float = 40) -> None:
        # Not with every frame, which would have the browser draw all the time.
        self.page.wait_for_function(condition, timeout=1000 * timeout_s, polling=POLL_MS)

    def fits(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


#: Notes every state that a chip has ever shown, with the time it was first seen. What a slow browser is shown in one
#: update is seen at one time.
WATCH = """(strip) => {
  window.seen = new Map();
  const chips = () => document.querySelectorAll(`${strip} .strip .tok`);
  const look = () => { const now = performance.now(); chips().forEach(chip => {
    const state = chip.dataset.waiting === 'true' ? 'waiting' : chip.dataset.state;
    if (!window.seen.has(state)) window.seen.set(state, now);
  }); };
  const all = {subtree: true, childList: true, attributes: true};
  new MutationObserver(look).observe(document.querySelector(strip), all);
}"""

#: Notes in ``window.met`` whether a condition was ever met since.
MEET = """(condition) => {
  const holds = new Function(`return ${condition}`);
  window.met = false;
  const observer = new MutationObserver(() => {
    if (!holds()) return;
    window.met = true;
    observer.disconnect();
  });
  observer.observe(document.documentElement, {subtree: true, childList: true, attributes: true});
}"""


Open = Callable[..., Visit]


@contextlib.contextmanager
def _visiting(browser: Browser) -> Iterator[Open]:
    contexts = []

    def open_page(address: str, *, before: str | None = None, strip: str = "strip", **settings: Any) -> Visit:
        settings.setdefault("viewport", {"width": 1360, "height": 900})
        context = browser.new_context(permissions=["microphone"], **settings)
        contexts.append(context)
        if before is not None:
            context.add_init_script(before)
        return Visit(context.new_page(), address, strip)

    try:
        yield open_page
    finally:
        for context in contexts:
            context.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open an address as a new visitor.

    ``before`` is a script that runs before those of the page, ``strip`` the strip that is there at first; other keyword
    arguments go to the browser context.
    """
    with _visiting(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def finished(browser: Browser, fake_page: str) -> Iterator[Visit]:
    """A page with a finished caption, for tests that only look at it."""
    with _visiting(browser) as open_page:
        page = open_page(fake_page, has_touch=True)
        page.example()
        page.caption()
        page.finished()
        yield page


@pytest.fixture(scope="package")
def annotating(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A page with campaigns, in a process that a test may stop and start again."""
    from tests.browser.annotating import Running

    running = Running(tmp_path_factory.mktemp("annotations"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="package")
def annotator(browser: Browser, annotating: Running) -> Iterator[Annotator]:
    """One browser for all annotators; each test signs in somebody of its own."""
    from tests.browser.annotating import Annotator

    with _visiting(browser) as open_page:
        page = Annotator(open_page(annotating.address), annotating)
        yield page
        assert page.visit.complaints == []
