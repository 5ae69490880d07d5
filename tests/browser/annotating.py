"""What the tests of the tab *Annotate* share: one page for all of them, and the steps that they have in common."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.browser.conftest import Served, Visit, serving
from tests.ui.annotations import PASSWORD
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.store import open_store
from ui.demo import find_port

#: One store for all: *Voices*, in which nobody has to listen; one to work through, and one that has to be heard.
RULES = {
    "count": 6,
    "seconds": 0.4,
    "answered": {"Bob": [False, True], "Rae": [True, True]},
    "more": [
        {"name": "many", "count": 20},
        {"name": "heard", "count": 2, "seconds": 1.5, "must_listen": 0.9},
    ],
}


class Running:
    """A server that can be stopped and started again at its address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "store.db"
        self.port, self.started = find_port("127.0.0.1", 0), 0
        self._ending = ExitStack()

    def start(self) -> Served:
        """Start it; the store is made the first time."""
        self.started += 1
        command = ["-m", "tests.ui.annotations", str(self.store), str(self.port), json.dumps(RULES)]
        self.address = self._ending.enter_context(serving(command, self.folder / f"log{self.started}"))
        return self.address

    def stop(self) -> None:
        """End it politely."""
        self._ending.close()

    def state(self, name: str, item: str, campaign: str = "voices") -> AnswerState:
        """Where somebody's answer stands in the store."""
        with open_store(self.store) as kept, kept.reading() as tx:
            return tx.answer(campaign, item, name)


class Annotator:
    """A browser on the tab, in which one person after the other signs in."""

    def __init__(self, visit: Visit, running: Running) -> None:
        self.visit, self.page, self.running = visit, visit.page, running
        self.keys = visit.page.keyboard

    def come(self, name: str, campaign: str = "voices") -> Annotator:
        """Sign somebody in, in a browser that remembers nobody."""
        self.keys.press("Escape")  # a list of keys that is open
        self.page.get_by_role("tab", name="Annotate").click()
        if self.page.locator(".ann-desk").is_visible():
            self.page.locator(".ann-leave").click()
        self.page.wait_for_selector(".ann-name input:visible")
        self.page.context.clear_cookies()
        self.page.evaluate(f"localStorage.clear(); localStorage.setItem('ugsd-annotate-campaign', '{campaign}')")
        self.sign_in(name)
        self.page.wait_for_selector(".ann-item:visible")
        self.page.locator(".ann-item").focus()
        return self

    def sign_in(self, name: str, password: str = PASSWORD) -> None:
        """Type name and password."""
        self.page.wait_for_selector(".ann-name input:visible")
        self.page.locator(".ann-name input").fill(name)
        self.page.locator(".ann-secret input").fill(password)
        self.keys.press("Enter")

    def again(self) -> None:
        """Load the page anew."""
        self.page.reload()
        self.page.get_by_role("tab", name="Annotate").click()
        self.page.wait_for_selector(".ann-item:visible")
        self.page.locator(".ann-item").focus()

    @property
    def item(self) -> str:
        """The caption that is open."""
        return self.page.locator(".ann-item").get_attribute("data-item") or ""

    def text(self, selector: str) -> str:
        """What stands there."""
        return self.page.locator(selector).first.inner_text()

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.keys.press(key)

    def turn(self, *keys: str) -> str:
        """Press keys of which the last goes on to another caption; gives the one before."""
        before = self.item
        self.press(*keys)
        self.visit.wait(f"document.querySelector('.ann-item').dataset.item !== '{before}'")
        self.visit.wait("!document.querySelector('.ann-item').ariaBusy")
        return before

    def saved(self) -> None:
        """Wait until the server has everything."""
        self.visit.wait("document.querySelector('.ann-saved').dataset.state === 'saved'")
        self.visit.wait("Object.keys(localStorage).every((key) => !key.startsWith('ugsd-annotate/'))")

    def hears(self, text: str) -> None:
        """Wait until a screen reader was told this."""
        self.visit.wait(f"document.querySelector('.ann-live').textContent.includes({json.dumps(text)})")

    def state(self, item: str, campaign: str = "voices") -> AnswerState:
        """Where the own answer stands in the store."""
        return self.running.state(self.text(".ann-person"), item, campaign)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> int:
        """Ask the server from within the page; gives the status."""
        return int(self.page.evaluate(ASK, [path, body]))


ASK = """async ([path, body]) => {
  const settings = body ? {method: 'POST', body: JSON.stringify(body)} : {};
  settings.headers = {'X-UGSD-Annotate': '1', 'Content-Type': 'application/json'};
  return (await fetch('/annotate/' + path, settings)).status;
}"""
