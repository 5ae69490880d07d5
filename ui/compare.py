"""The tab *Compare*: one recording captioned by the edge alone, by both, and by the verifier alone, side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from html import escape
from typing import Any
from uuid import uuid4

import gradio as gr

from ugsd_core.audio import load_utterance
from ugsd_core.errors import UgsdError
from ugsd_core.lexicon import emotions_in
from ugsd_core.messages import Event, Mode
from ugsd_core.result import CaptionResult, caption_result
from ui.components.figures import percent, size
from ui.components.strip_wire import token_strip, wire_value
from ui.components.token_strip import StripBuilder, empty_strip, frames
from ui.components.word_diff import word_diff
from ui.controls import rests
from ui.language import Locale, label, listed, say
from ui.link import link_badge
from ui.runs import Runs, Update
from ui.settings import Settings
from ui.shelf import Shelf
from ui.view import error_line, status_html
from ui.visits import Visit, Visits
from ui.wording import Line, queue_line

__all__ = ["ORDER", "Column", "CompareTab", "build_compare_tab", "comparison"]

_SAID = '<p class="status" role="status" aria-live="polite">${value}</p>'
_log = logging.getLogger("ugsd.page")
#: The order of the columns, and that in which they are written.
ORDER: tuple[Mode, ...] = ("edge", "ugsd", "cloud")


@dataclass(slots=True)
class Column:
    """One mode's run, folded as it comes."""

    strip: StripBuilder = field(default_factory=lambda: StripBuilder(uuid4().hex))
    events: list[Event] = field(default_factory=list)
    error: Exception | None = None
    stopped: bool = False

    def feed(self, update: Update) -> dict[str, Any]:
        """Take an update; returns the strip's value."""
        for event in update.events:
            self.strip.feed(event)
            self.events.append(event)
        self.error, self.stopped = update.error or self.error, update.stopped or self.stopped
        if self.error is not None or self.stopped:
            self.strip.end()
        state = self.strip.state()
        if not state["live"] and self.events and self.finished:
            state["frames"] = frames(self.events)
        return state

    @property
    def finished(self) -> bool:
        """The caption came to its end."""
        return bool(self.events) and self.events[-1].kind == "caption_finished"

    @property
    def result(self) -> CaptionResult | None:
        """What came of it; None before its end."""
        return caption_result(self.events) if self.finished else None


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:,.0f} ms"


def _first_s(result: CaptionResult) -> float | None:
    return result.clocks.ttft_draft_s or result.clocks.ttft_commit_s


def _emotion(result: CaptionResult, locale: Locale) -> str:
    found = emotions_in(result.caption, result.language)
    return listed(locale, [say(locale, f"label.{name}") for name in found]) or "–"


#: Rows of the table: keys of name and definition, and how the figure is told. What is a ratio or a clock is named and
#: defined as everywhere else.
_ROWS: tuple[tuple[str, str, Callable[[CaptionResult, Locale], str]], ...] = (
    ("compare.emotion", "compare.emotion.means", _emotion),
    ("figure.transmission_rate", "ratio.transmission_rate", lambda r, _: percent(r.ratios.transmission_rate)),
    ("compare.trips", "compare.trips.means", lambda r, _: str(r.counts["escalations"])),
    ("figure.changed_rate", "ratio.changed_rate", lambda r, _: percent(r.ratios.changed_rate)),
    ("compare.first", "compare.first.means", lambda r, _: _milliseconds(_first_s(r))),
    ("figure.total_s", "clock.total_s", lambda r, _: _milliseconds(r.clocks.total_s)),
    ("compare.sent", "compare.sent.means", lambda r, _: size(int(r.ledger["up_wire_bytes"]))),
)


def comparison(results: Mapping[Mode, CaptionResult], locale: Locale) -> str:
    """Captions word against word with the edge's, then the figures; a dash where a run has not ended."""
    heads = "".join(f'<th scope="col">{escape(say(locale, f"runs.{mode}"))}</th>' for mode in ORDER)
    rows = [_row("compare.caption", [_caption(results, mode) for mode in ORDER], locale, css="captions")]
    for key, _, tell in _ROWS:
        cells = [f"<td>{escape(tell(results[mode], locale)) if mode in results else '–'}</td>" for mode in ORDER]
        rows.append(_row(key, cells, locale))
    means = "".join(
        f"<li><b>{escape(say(locale, key))}</b>: {escape(say(locale, defined))}</li>" for key, defined, _ in _ROWS
    )
    name = escape(say(locale, "compare.table"), quote=True)
    links = dict.fromkeys(result.link for result in results.values() if result.link)
    badges = "".join(link_badge(locale, link) for link in links)
    return (
        f'{badges}<div class="scroll" role="region" tabindex="0" aria-label="{name}"><table class="comparison">'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<details class="more"><summary>{escape(say(locale, "compare.means"))}</summary><ul>{means}</ul></details>'
    )


def _row(key: str, cells: list[str], locale: Locale, *, css: str = "") -> str:
    return f'<tr class="{css}"><th scope="row">{escape(say(locale, key))}</th>{"".join(cells)}</tr>'


def _caption(results: Mapping[Mode, CaptionResult], mode: Mode) -> str:
    if mode not in results:
        return "<td>–</td>"
    edge, result = results.get("edge"), results[mode]
    text = result.caption.strip()
    marked = escape(text) if mode == "edge" or edge is None else word_diff(edge.caption.strip(), text)
    return f'<td lang="{result.language}">{marked}</td>'


def build_compare_tab(
    runs: Runs, shelf: Shelf, visits: Visits, locale: gr.Radio, recording: list[Any], settings: list[Any]
) -> None:
    """Put the tab's cards into the open Blocks and wire them up.

    Args:
        locale: The switch of the page's language.
        recording: The caption tab's recording, and whether only its first 30 s are wanted.
        settings: Its controls, in the order of `ui.settings.Settings`; only the mode is not taken from them.
    """
    with gr.Column(elem_id="compare-card", elem_classes="card", min_width=0):
        with gr.Row(elem_classes="actions compare-actions"):
            start = gr.Button(label("compare.start"), variant="primary", elem_id="compare-start", min_width=0)
            stop = gr.Button(
                label("control.stop"), variant="stop", interactive=False, elem_id="compare-stop", min_width=0
            )
        said = _html("compare-said", html_template=_SAID)
        with gr.Row(elem_id="compare-grid", equal_height=False):
            strips = {mode: _strip(mode) for mode in ORDER}
        table = _html("comparison")
    tab = CompareTab(runs, shelf, visits, strips, table, said, start, stop)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    comparing = start.click(
        tab.compare, [*recording, locale, *settings], tab.outputs, trigger_mode="once", concurrency_limit=16, **quiet
    )
    rests(comparing, start, stop)
    stop.click(tab.cancel, None, None, queue=False, **quiet)
    locale.change(tab.translated, locale, [said, table], queue=False, **quiet)


def _html(elem_id: str, **settings: Any) -> gr.HTML:
    return gr.HTML("", apply_default_css=False, js_on_load=None, elem_id=elem_id, **settings)


def _strip(mode: Mode) -> gr.HTML:
    """A column: its name, and a strip that takes little room."""
    with gr.Column(min_width=0):
        gr.HTML(label(f"runs.{mode}"), html_template="<h2>${value}</h2>", apply_default_css=False, js_on_load=None)
        return token_strip(f"compare-{mode}", elem_id=f"compare-{mode}", elem_classes="compact")


#: Values of components, by component; those that are not named stay as they are.
Values = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class CompareTab:
    """The tab's components, and what they show each visitor."""

    runs: Runs
    shelf: Shelf
    visits: Visits
    strips: dict[Mode, gr.HTML]
    table: gr.HTML
    said: gr.HTML
    start: gr.Button
    stop: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Everything that may change."""
        return [*self.strips.values(), self.table, self.said, self.start, self.stop]

    def compare(
        self, request: gr.Request, path: str | None, cut: bool, locale: Locale, *values: Any
    ) -> Iterator[Values]:
        """Caption a recording three times, one after the other."""
        session = request.session_hash or ""
        visit = self.visits.of(session)
        visit.begins_comparing(locale)
        try:
            if not path:
                yield self._says(visit, _missing)
                return
            chosen = Settings(*values)
            options, utterance = chosen.options(), load_utterance(path, first_30_s=cut)
            link = chosen.link_setting.conditions()
        except UgsdError as error:
            yield self._says(visit, partial(error_line, error=error))
            return
        empty = {self.table: "", **{strip: wire_value(empty_strip()) for strip in self.strips.values()}}
        begun = {self.start: gr.update(interactive=False), self.stop: gr.update(interactive=True)}
        yield empty | begun | self._says(visit, partial(_writing, ORDER[0]))
        column = Column()
        for mode in ORDER:
            column = Column()
            yield self._says(visit, partial(_writing, mode))
            for update in self.runs.caption(session, utterance, options.changed(mode=mode), link):
                waits = {} if update.ahead is None else self._says(visit, partial(queue_line, ahead=update.ahead))
                yield {self.strips[mode]: wire_value(column.feed(update)), **waits}
            if column.error is not None and not isinstance(column.error, UgsdError):
                _log.error("a comparison failed", exc_info=column.error)
            if column.result is None:
                break
            self.shelf.put(session, column.events, utterance.samples)
            visit.compared[mode] = column.result
            yield {self.table: comparison(visit.compared, visit.locale)}
        yield self._says(visit, partial(_ending, column))

    def cancel(self, request: gr.Request) -> None:
        """Stop the run that is being written, and those after it."""
        self.runs.stop(request.session_hash or "")

    def translated(self, locale: Locale, request: gr.Request) -> Values:
        """The page speaks another language."""
        visit = self.visits.of(request.session_hash or "")
        visit.locale = locale
        if visit.compare_line is None:
            return {self.said: gr.skip()}
        table = comparison(visit.compared, locale) if visit.compared else ""
        return {self.said: status_html(visit.compare_line(locale)), self.table: table}

    def _says(self, visit: Visit, line: Callable[[Locale], Line]) -> Values:
        """The line above; it can be said again in another language."""
        visit.compare_line = line
        return {self.said: status_html(line(visit.locale))}


def _missing(locale: Locale) -> Line:
    return Line(say(locale, "compare.missing"), "warn")


def _writing(mode: Mode, locale: Locale) -> Line:
    return Line(say(locale, "compare.writing", mode=say(locale, f"runs.{mode}")), "busy")


def _ending(last: Column, locale: Locale) -> Line:
    """What is said when the last column has ended."""
    if last.error is not None:
        return error_line(locale, last.error, cut_short=bool(last.events))
    return Line(say(locale, "compare.done")) if last.finished else Line(say(locale, "compare.stopped"), "warn")
