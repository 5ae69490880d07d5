"""What the caption tab shows of one run: the event stream folded into the values of its components."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any
from uuid import uuid4

from ugsd_core.errors import AudioError, UgsdError
from ugsd_core.messages import CaptionFinished, CaptionStarted, Event
from ugsd_core.result import CaptionResult, ResultBuilder
from ui.components.figures import Timeline, clock_table, fact_tiles, ledger_table, ratio_table, waterfall
from ui.components.token_strip import StripBuilder, frames
from ui.engine_words import Told, problem
from ui.language import Locale, say, sentences
from ui.runs import Update
from ui.wording import Line, Narrator, queue_line

__all__ = ["RunView", "Shown", "error_line", "figures", "status_html", "tables"]

#: Tiles, tables and bars are redrawn this often while a caption is written; the strip and the status line always.
FIGURES_PER_S = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """Values of the components; None means: leave it as it is.

    Attributes:
        strip: Value of the token strip.
        badge: Of the link that is chosen; empty once the figures say it.
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
    badge: str | None = None


def status_html(line: Line) -> str:
    """A status line as markup."""
    text = escape(line.text)
    if line.english:
        english = escape(line.english)
        text = text.replace(english, f'<span lang="en">{english}</span>', 1)
    return f'<span class="tone {line.tone}">{text}</span>'


def figures(locale: Locale, result: CaptionResult | None = None, timeline: Timeline | None = None) -> dict[str, str]:
    """Tiles, bars, tables and ledger of a run, or as they are before the first one; fields of `Shown`."""
    return {
        "tiles": fact_tiles(result, locale),
        "waterfall": waterfall(timeline or Timeline(), locale),
        "tables": tables(result, locale),
        "ledger": ledger_table(result, locale),
    }


@dataclass(slots=True)
class RunView:
    """Folds the updates of one run, and tells it in the language that the visitor has chosen. Safe for two threads.

    Attributes:
        locale: Of what `feed` gives from now on.
        link: The emulated link that the figures were taken over, as `CaptionStarted` has it; None before there are any.
    """

    locale: Locale = "en"
    clock: Callable[[], float] = time.monotonic
    strip: StripBuilder = field(default_factory=lambda: StripBuilder(uuid4().hex))
    narrator: Narrator = field(default_factory=Narrator)
    timeline: Timeline = field(default_factory=Timeline)
    results: ResultBuilder = field(default_factory=ResultBuilder)
    events: list[Event] = field(default_factory=list)
    _last: Update = field(default_factory=Update)
    link: str | None = None
    _begun: bool = False
    _finished: bool = False
    _figures_at: float = float("-inf")
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def feed(self, update: Update) -> Shown:
        """Take an update and say what to redraw."""
        with self._lock:
            self._last = update
            for event in update.events:
                for part in (self.strip, self.narrator, self.timeline, self.results):
                    part.feed(event)
                self.events.append(event)
                if isinstance(event, CaptionStarted):
                    self._begun, self.link = True, event.link
                self._finished = self._finished or isinstance(event, CaptionFinished)
            ended = self._finished or update.stopped or update.error is not None
            if ended:
                self.strip.end()
            return self._show(ended)

    @property
    def finished(self) -> bool:
        """The caption came to its end."""
        return self._finished

    def line(self, locale: Locale) -> Line:
        """The status line after the updates so far."""
        with self._lock:
            if self._last.ahead is not None:
                return queue_line(locale, self._last.ahead)
            if self._last.error is not None:
                return error_line(locale, self._last.error, cut_short=any(self.strip.state()["counts"].values()))
            return self.narrator.stopped(locale) if self._last.stopped else self.narrator.line(locale)

    def translate(self, locale: Locale) -> dict[str, str]:
        """Go on in another language; returns what has to be drawn again for that, as `figures` does."""
        with self._lock:
            self.locale = locale
            return figures(locale, self.results.result() if self._begun else None, self.timeline)

    def _show(self, ended: bool) -> Shown:
        now = self.clock()
        strip, status = self.strip.state(), status_html(self.line(self.locale))
        if not self._begun or (not ended and now - self._figures_at < 1 / FIGURES_PER_S):
            return Shown(strip=strip, status=status)
        first, self._figures_at = self._figures_at == float("-inf"), now
        result = self.results.result()
        if self._finished:
            strip["frames"] = frames(self.events)
        caption = result.caption.strip() if self._finished else None
        drawn = figures(self.locale, result, self.timeline)
        return Shown(strip=strip, status=status, caption=caption, badge="" if first else None, **drawn)


def tables(result: CaptionResult | None, locale: Locale = "en") -> str:
    """Ratios and clocks, one above the other."""
    return ratio_table(result, locale) + clock_table(result, locale)


def error_line(locale: Locale, error: Exception, *, cut_short: bool = False) -> Line:
    """An error in plain words; what is not meant for people stays in the log.

    Args:
        cut_short: Part of a caption stands on the page.
    """
    said, translated = problem(locale, error) if isinstance(error, UgsdError) else Told("")
    text = said.strip() or say(locale, "status.failed")
    if not text.endswith((".", "!", "?", "。")):
        text += "。" if translated and locale == "zh" else "."
    if not isinstance(error, AudioError):  # that may begin with the name of a file
        text = text[:1].upper() + text[1:]
    rest = say(locale, "status.unfinished") if cut_short else ""
    return Line(sentences(locale, text, rest), "bad", "" if translated else text)
