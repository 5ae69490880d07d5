"""The tab *Compare*: one recording captioned by the edge alone, by both, and by the verifier alone, side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any
from uuid import uuid4

import gradio as gr

from ugsd_core.audio import Utterance, load_utterance
from ugsd_core.errors import AudioError, UgsdError
from ugsd_core.lexicon import emotions_in
from ugsd_core.messages import Event, Mode
from ugsd_core.options import DecodingOptions
from ugsd_core.result import CaptionResult, caption_result
from ui.components.figures import size
from ui.components.token_strip import StripBuilder, frames, token_strip
from ui.components.word_diff import word_diff
from ui.language import Locale, label, say
from ui.runs import Runs, Update
from ui.shelf import Shelf

__all__ = ["ORDER", "Column", "build_compare_tab", "comparison"]

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


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:,.0f} ms"


def _emotion(result: CaptionResult, locale: Locale) -> str:
    found = emotions_in(result.caption, result.language)
    return "–" if not found else ", ".join(say(locale, f"label.{name}") for name in found)


#: Rows of the table: key of the name, and how the figure is told.
_ROWS: tuple[tuple[str, Callable[[CaptionResult, Locale], str]], ...] = (
    ("compare.emotion", _emotion),
    ("compare.rho", lambda r, _: _percent(r.ratios.transmission_rate)),
    ("compare.trips", lambda r, _: str(r.counts["escalations"])),
    ("compare.changed", lambda r, _: _percent(r.ratios.changed_rate)),
    ("compare.first", lambda r, _: _milliseconds(r.clocks.ttft_draft_s or r.clocks.ttft_commit_s)),
    ("compare.total", lambda r, _: _milliseconds(r.clocks.total_s)),
    ("compare.sent", lambda r, _: size(int(r.ledger["up_wire_bytes"]))),
)


def comparison(results: dict[Mode, CaptionResult | None], locale: Locale) -> str:
    """Captions word against word with the edge's, then the figures; a dash where a run has not ended."""
    edge = results.get("edge")
    heads = "".join(f'<th scope="col">{escape(say(locale, f"runs.{mode}"))}</th>' for mode in ORDER)
    rows = []
    cells = []
    for mode in ORDER:
        result = results.get(mode)
        if result is None:
            cells.append("<td>–</td>")
        elif mode == "edge" or edge is None:
            cells.append(f'<td lang="{result.language}">{escape(result.caption.strip())}</td>')
        else:
            cells.append(f'<td lang="{result.language}">{word_diff(edge.caption.strip(), result.caption.strip())}</td>')
    rows.append(
        f'<tr class="captions"><th scope="row">{escape(say(locale, "compare.caption"))}</th>{"".join(cells)}</tr>'
    )
    for key, tell in _ROWS:
        cells = [f"<td>{escape(tell(r, locale)) if (r := results.get(mode)) else '–'}</td>" for mode in ORDER]
        means = escape(say(locale, f"{key}.means"), quote=True)
        rows.append(f'<tr><th scope="row" title="{means}">{escape(say(locale, key))}</th>{"".join(cells)}</tr>')
    means = "".join(f"<li><b>{escape(say(locale, k))}</b>: {escape(say(locale, f'{k}.means'))}</li>" for k, _ in _ROWS)
    return (
        f'<div class="scroll"><table class="comparison"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<details class="more"><summary>{escape(say(locale, "compare.means"))}</summary><ul>{means}</ul></details>'
    )


def build_compare_tab(
    runs: Runs,
    shelf: Shelf,
    locale: gr.Radio,
    audio: gr.Audio,
    taken: gr.State,
    settings: list[Any],
    options_of: Callable[..., DecodingOptions],
) -> None:
    """Put the tab's cards into the open Blocks and wire them up.

    Args:
        audio, taken: The recording of the caption tab, and whether only its first 30 s are wanted.
        settings: The caption tab's controls.
        options_of: From their values to options.
    """
    with gr.Column(elem_classes="card", min_width=0):
        with gr.Row(elem_classes="actions compare-actions"):
            start = gr.Button(label("compare.start"), variant="primary", elem_id="compare-start", min_width=0)
            stop = gr.Button(
                label("compare.stop"), variant="stop", interactive=False, elem_id="compare-stop", min_width=0
            )
        said = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="compare-said")
        with gr.Row(elem_id="compare-grid", equal_height=False):
            strips = [_column(mode) for mode in ORDER]
        table = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="comparison")
    outputs = [*strips, table, said, start, stop]

    def compare(
        request: gr.Request, path: str | None, cut: bool, language: Locale, *values: Any
    ) -> Iterator[list[Any]]:
        """Caption a recording three times; yields the values of strips, table, line and buttons."""
        session = request.session_hash or ""
        try:
            if not path:
                raise AudioError(say(language, "compare.missing"), "missing")
            options, utterance = options_of(*values), load_utterance(path, first_30_s=cut)
        except UgsdError as error:
            yield _shown(line=_line(str(error), "bad"), running=False)
            return
        columns: dict[Mode, Column] = {}
        for mode in ORDER:
            columns[mode] = column = Column()
            line = _line(say(language, "compare.writing", mode=say(language, f"runs.{mode}")))
            for strip in _write(runs, session, utterance, options.changed(mode=mode), column):
                yield _shown({mode: strip}, line=line, running=True)
            if column.error is not None or column.stopped:
                break
            shelf.put(session, column.events, utterance.samples)
            results = {name: one.result for name, one in columns.items()}
            yield _shown(table=comparison(results, language), running=True)
        yield _shown(line=_ending(columns, language), running=False)

    def cancel(request: gr.Request) -> None:
        runs.stop(request.session_hash or "")

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    start.click(compare, [audio, taken, locale, *settings], outputs, trigger_mode="once", concurrency_limit=16, **quiet)
    stop.click(cancel, None, None, queue=False, **quiet)


def _write(
    runs: Runs, session: str, utterance: Utterance, options: DecodingOptions, column: Column
) -> Iterator[dict[str, Any]]:
    for update in runs.caption(session, utterance, options):
        yield column.feed(update)


def _ending(columns: dict[Mode, Column], locale: Locale) -> str:
    """What the line says at the end."""
    error = next((column.error for column in columns.values() if column.error is not None), None)
    if error is not None:
        if not isinstance(error, UgsdError):
            _log.error("a comparison failed", exc_info=error)
            return _line(say(locale, "compare.failed"), "bad")
        return _line(str(error), "bad")
    if any(column.stopped for column in columns.values()):
        return _line(say(locale, "compare.stopped"), "warn")
    return _line(say(locale, "compare.done"), "calm")


def _column(mode: Mode) -> gr.HTML:
    with gr.Column(min_width=0):
        gr.Markdown(label(f"runs.{mode}"), elem_classes="column-name")
        return token_strip(f"compare-{mode}", elem_id=f"compare-{mode}")


def _line(text: str, tone: str = "busy") -> str:
    return f'<p class="status" role="status"><span class="tone {tone}">{escape(text)}</span></p>'


def _shown(
    strips: dict[Mode, dict[str, Any]] | None = None,
    *,
    table: str | None = None,
    line: str | None = None,
    running: bool,
) -> list[Any]:
    """Values of the outputs; what is not named stays as it is."""
    values = [(strips or {}).get(mode, gr.skip()) for mode in ORDER]
    rest = [gr.skip() if value is None else value for value in (table, line)]
    return [*values, *rest, gr.update(interactive=not running), gr.update(interactive=running)]
