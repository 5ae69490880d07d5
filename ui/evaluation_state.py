"""What each visitor sees in the tab *Evaluate*, so that it can be said again in another language."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ui.language import Locale
from ui.run_rows import Asked
from ui.wording import Line

__all__ = ["EvaluationVisit", "EvaluationVisits", "Said"]

#: Says a line in a language.
Said = Callable[[Locale], Line]


@dataclass(slots=True)
class EvaluationVisit:
    """One visitor's tab.

    Attributes:
        drawn: The tab was opened, so that its components may be written.
        asked: What run is looked at and what rows of it are shown, and which question of the browser asked for them.
        metric, system: What its plots show.
        run_line, start_line, compare_line: What the cards say; None says nothing.
        checked: Key of what was checked last and may be started; None if nothing may.
        compared: The two systems that were compared last, each as a run's name and a system.
        plots_seen: The part with the plots is the one that is looked at.
        plotted: What the plots show; None if nothing is drawn.
        job: Number and phase of the job that was shown last.
        playing: Clip, system and run of the recording that is in the player.
    """

    drawn: bool = False
    asked: Asked = field(default_factory=Asked)
    metric: str = ""
    system: str = ""
    run_line: Said | None = None
    start_line: Said | None = None
    compare_line: Said | None = None
    checked: object = None
    compared: tuple[tuple[str, str], tuple[str, str]] | None = None
    plots_seen: bool = False
    plotted: object = None
    job: tuple[int, str] = (0, "")
    playing: tuple[str, str] | None = None

    @property
    def opened(self) -> str:
        """Name of the run that is looked at; empty before one is."""
        return self.asked.run


class EvaluationVisits:
    """All visits by session; a visit is forgotten when its page is left. Safe for many threads."""

    def __init__(self) -> None:
        self._visits: dict[str, EvaluationVisit] = {}
        self._lock = threading.Lock()

    def of(self, session: str) -> EvaluationVisit:
        """The visit of a session; a new one if it is not known."""
        with self._lock:
            return self._visits.setdefault(session, EvaluationVisit())

    def leave(self, session: str) -> None:
        """The visit is over."""
        with self._lock:
            self._visits.pop(session, None)
