"""What each visitor's page says that was put into words here, so that it can be said again in another language."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ugsd_core.messages import Mode
from ugsd_core.result import CaptionResult
from ui.language import Locale, say
from ui.speech import Speech
from ui.view import RunView
from ui.wording import Line

__all__ = ["Visit", "Visits"]


def _ready(locale: Locale) -> Line:
    return Line(say(locale, "status.ready"))


def _loaded(locale: Locale) -> Line:
    return Line(say(locale, "status.loaded"))


@dataclass(slots=True)
class Visit:
    """One visitor's page.

    Attributes:
        speech: What became of the recording.
        view: The last run, finished or not; None before the first.
        line: What the status line says.
        latest: Name of the run that the tab *Inspect* shows when it is opened: a finished caption, or one linked to.
        inspected: Name of the run that it shows, found or not; empty until one is chosen.
        stop: Stop of the tour, counted from 0; None outside it.
        locale: The language in which the tab *Compare* goes on.
        compared: What it has in its table, by mode.
        compare_line: What it says above.
    """

    speech: Speech = field(default_factory=Speech)
    view: RunView | None = None
    line: Callable[[Locale], Line] = _ready
    latest: str = ""
    inspected: str = ""
    stop: int | None = None
    locale: Locale = "en"
    compared: dict[Mode, CaptionResult] = field(default_factory=dict)
    compare_line: Callable[[Locale], Line] | None = None

    @property
    def link(self) -> str | None:
        """The emulated link that the run's figures were taken over; None where none are shown."""
        return None if self.view is None else self.view.link

    def hears(self, speech: Speech) -> None:
        """There is another recording, or none any more."""
        self.speech, self.line = speech, _loaded if speech.usable else _ready

    def shows(self, view: RunView) -> None:
        """A run has news; they stand on the page from now on."""
        self.view, self.line = view, view.line

    def begins_comparing(self, locale: Locale) -> None:
        """The table of the last comparison goes."""
        self.locale, self.compared = locale, {}

    @property
    def looks(self) -> bool:
        """The tab *Inspect* shows a run, or says of one that it is not there."""
        return bool(self.inspected) or self.stop is not None

    def opens(self, newest: str) -> bool:
        """The tab *Inspect* is opened: a new caption is looked at, or the newest run if none is.

        Returns:
            Whether another run is looked at than before.
        """
        if not self.latest and self.looks:
            return False
        self.inspects(self.latest or newest)
        return True

    def inspects(self, name: str) -> None:
        """A run is looked at, which ends the tour."""
        self.inspected, self.stop, self.latest = name, None, ""


class Visits:
    """All visits by session; a visit is forgotten when its page is left. Safe for many threads."""

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}
        self._lock = threading.Lock()

    def of(self, session: str) -> Visit:
        """The visit of a session; a new one if it is not known."""
        with self._lock:
            return self._visits.setdefault(session, Visit())

    def leave(self, session: str) -> None:
        """The visit is over."""
        with self._lock:
            self._visits.pop(session, None)
