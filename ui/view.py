"""What the caption tab shows of one run: the event stream folded into the values of its components."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any
from uuid import uuid4

from ugsd_core.errors import UgsdError
from ugsd_core.messages import CaptionFinished, CaptionStarted, Event
from ugsd_core.result import CaptionResult, ResultBuilder
from ui.components.figures import Timeline, clock_table, fact_tiles, ledger_table, ratio_table, waterfall
from ui.components.token_strip import StripBuilder, frames
from ui.runs import Update
from ui.wording import Line, Narrator, queue_line

__all__ = ["RunView", "Shown", "status_html"]

#: Tiles, tables and bars are redrawn this often while a caption is written; the strip and the status line always.
FIGURES_PER_S = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """Values of the components; None means: leave it as it is.

    Attributes:
        strip: Value of the token strip.
        status, tiles, waterfall, tables, ledger: Markup.
        caption: The finished caption.
    """

    strip: dict[str, Any] | None = None
    status: str | None = None
    tiles: str | None = None
    waterfall: str | None = None
    tables: str | None = None
    ledger: str | None = None
    caption: str | None = None


def status_html(line: Line) -> str:
    """A status line as markup."""
    return f'<span class="tone {line.tone}">{escape(line.text)}</span>'


@dataclass(slots=True)
class RunView:
    """Folds the updates of one run."""

    clock: Callable[[], float] = time.monotonic
    strip: StripBuilder = field(default_factory=lambda: StripBuilder(uuid4().hex))
    narrator: Narrator = field(default_factory=Narrator)
    timeline: Timeline = field(default_factory=Timeline)
    results: ResultBuilder = field(default_factory=ResultBuilder)
    events: list[Event] = field(default_factory=list)
    _begun: bool = False
    _finished: bool = False
    _figures_at: float = float("-inf")

    def feed(self, update: Update) -> Shown:
        """Take an update and say what to redraw."""
        if update.ahead is not None:
            return Shown(strip=self.strip.state(), status=status_html(queue_line(update.ahead)))
        for event in update.events:
            for part in (self.strip, self.narrator, self.timeline, self.results):
                part.feed(event)
            self.events.append(event)
            self._begun = self._begun or isinstance(event, CaptionStarted)
            self._finished = self._finished or isinstance(event, CaptionFinished)
        line, ended = self.narrator.line(), self._finished
        if update.error is not None:
            line, ended = _failure(update.error, self.strip.state()["counts"]), True
        elif update.stopped:
            line, ended = self.narrator.stopped(), True
        if ended:
            self.strip.end()
        return self._show(status_html(line), ended)

    def _show(self, status: str, ended: bool) -> Shown:
        now = self.clock()
        if not self._begun:
            return Shown(strip=self.strip.state(), status=status)
        if not ended and now - self._figures_at < 1 / FIGURES_PER_S:
            return Shown(strip=self.strip.state(), status=status)
        self._figures_at = now
        result = self.results.result()
        strip = self.strip.state()
        if self._finished:
            strip["frames"] = frames(self.events)
        return Shown(
            strip=strip,
            status=status,
            tiles=fact_tiles(result),
            waterfall=waterfall(self.timeline),
            tables=tables(result),
            ledger=ledger_table(result),
            caption=result.caption.strip() if self._finished else None,
        )


def tables(result: CaptionResult | None) -> str:
    """Ratios and clocks, one above the other."""
    return ratio_table(result) + clock_table(result)


def _failure(error: Exception, counts: dict[str, int]) -> Line:
    """An error in plain words; what is not meant for people stays in the log."""
    said = str(error) if isinstance(error, UgsdError) else ""
    text = said.strip() or "Something went wrong in the program; its log says what. Please try again."
    text = text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
    if any(counts.values()):
        text += " What stands here is not a finished caption."
    return Line(text, "bad")
