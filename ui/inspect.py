"""The tab *Inspect*: any run again, token by token, with its plots; bring one, take one away, link to one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from ugsd_core.errors import TraceError
from ugsd_core.result import caption_result
from ugsd_core.trace_store import tokens_csv
from ugsd_core.traces import write_trace
from ui.components import plots
from ui.components.figures import Timeline, ledger_table
from ui.components.inspector import inspector
from ui.components.token_strip import empty_strip, frames, strip_state, token_strip
from ui.language import Locale, label, say
from ui.shelf import Run, Shelf
from ui.view import tables

__all__ = ["InspectTab", "build_inspect_tab", "run_choices"]

#: The plots in the order of the page, each with its heading ``plot.title.…``.
PLOTS = ("entropy", "sound", "time", "acceptance", "histogram", "bytes")


@dataclass(frozen=True, slots=True)
class InspectTab:
    """What the page needs to wire the tab to the rest.

    Attributes:
        choice: The dropdown of runs.
        outputs: What `show` gives values for.
        show: From a run's name, the locale and the session to those values.
    """

    choice: gr.Dropdown
    outputs: list[Any]
    show: Callable[[str | None, Locale, str], list[Any]]


def run_choices(shelf: Shelf, session: str, locale: Locale) -> list[tuple[str, str]]:
    """Names of the runs with what a person chooses them by."""
    found = []
    for run in shelf.listed(session):
        caption = run.caption or say(locale, "runs.unfinished")
        short = caption if len(caption) <= 60 else caption[:59] + "…"
        found.append(
            (f"{say(locale, f'runs.{run.origin}')} · {say(locale, f'runs.{run.start.mode}')} · {short}", run.name)
        )
    return found


def build_inspect_tab(shelf: Shelf, locale: gr.Radio) -> InspectTab:
    """Put the tab's cards into the open Blocks and wire them up."""
    with gr.Row(elem_id="inspect-grid", elem_classes="three", equal_height=False):
        with gr.Column(elem_classes="card", min_width=0):
            choice, keep, link, bring, take, table, said = _runs()
        with gr.Column(elem_classes="card", min_width=0):
            about = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="run-about")
            strip = token_strip("inspect", elem_id="inspect-strip")
            drawn = _plots()
        with gr.Column(elem_classes="side", min_width=0):
            with gr.Column(elem_classes="card inspector-card", min_width=0):
                inspector("inspect", elem_id="inspect-inspector")
            with gr.Column(elem_classes="card", min_width=0):
                figures = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="inspect-tables")

    exports = Exports()
    outputs = [about, strip, figures, *drawn, take, table, keep, link, said]

    def show(name: str | None, language: Locale, session: str) -> list[Any]:
        """Values of all outputs for a run; its absence is a sentence, never an exception."""
        if not name:
            return _nothing(say(language, "runs.choose"))
        try:
            run = shelf.find(session, name)
        except TraceError as error:
            return _nothing(f'<p class="message bad" role="alert">{escape(str(error))}</p>', plain=False)
        return [*_values(run, language), *exports.of(run), gr.update(interactive=run.origin != "kept"), _link(run), ""]

    def chosen(name: str | None, language: Locale, request: gr.Request) -> list[Any]:
        return show(name, language, request.session_hash or "")

    def brought(path: str, language: Locale, request: gr.Request) -> tuple[Any, str]:
        session = request.session_hash or ""
        try:
            run = shelf.add_file(session, path)
        except TraceError as error:
            return gr.update(), f'<p class="message bad" role="alert">{escape(str(error))}</p>'
        return gr.update(choices=run_choices(shelf, session, language), value=run.name), ""

    def kept(name: str | None, language: Locale, request: gr.Request) -> tuple[Any, str]:
        session = request.session_hash or ""
        try:
            found = shelf.keep(session, name or "")
        except TraceError as error:
            return gr.update(), f'<p class="message bad" role="alert">{escape(str(error))}</p>'
        return gr.update(
            value=f"?trace={found}", visible=True
        ), f'<p class="soft">{escape(say(language, "runs.linked"))}</p>'

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    choice.change(chosen, [choice, locale], outputs, **quiet)
    bring.upload(brought, [bring, locale], [choice, said], **quiet)
    # The server knows the name; the visitor's own address makes a link of it.
    keep.click(kept, [choice, locale], [link, said], **quiet).then(None, link, link, js=_WHOLE_LINK, **quiet)
    return InspectTab(choice, outputs, show)


_WHOLE_LINK = "(name) => (name && name.startsWith('?') ? location.origin + location.pathname + name : name)"


def _runs() -> tuple[Any, ...]:
    choice = gr.Dropdown([], label=label("runs.label"), elem_id="run-choice", filterable=False)
    with gr.Row(elem_classes="actions"):
        bring = gr.UploadButton(label("runs.bring"), file_types=[".jsonl"], size="sm", elem_id="run-bring", min_width=0)
        keep = gr.Button(label("runs.keep"), size="sm", interactive=False, elem_id="run-keep", min_width=0)
    link = gr.Textbox(label=label("runs.link"), buttons=["copy"], visible=False, interactive=False, elem_id="run-link")
    with gr.Row(elem_classes="actions"):
        take = gr.DownloadButton(label("runs.take"), size="sm", interactive=False, elem_id="run-take", min_width=0)
        table = gr.DownloadButton(label("runs.table"), size="sm", interactive=False, elem_id="run-table", min_width=0)
    said = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="run-said")
    return choice, keep, link, bring, take, table, said


def _plots() -> list[Any]:
    """A heading and a plot each."""
    found: list[Any] = []
    for name in PLOTS:
        found.append(gr.HTML("", apply_default_css=False, js_on_load=None))
        found.append(gr.Plot(show_label=False, container=False, visible=False, elem_id=f"plot-{name}"))
    return found


class Exports:
    """The files that a run can be taken away as, in a folder that goes with the program."""

    def of(self, run: Run) -> tuple[Any, Any]:
        """Updates of the two download buttons: the trace, and the table of tokens."""
        folder = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()) / f"run-{uuid4().hex}"
        folder.mkdir(parents=True)
        trace, table = folder / f"{run.name}.jsonl", folder / f"{run.name}.csv"
        write_trace(trace, run.events)
        table.write_text(tokens_csv(caption_result(run.events).tokens), encoding="utf-8", newline="")
        return gr.update(value=str(trace), interactive=True), gr.update(value=str(table), interactive=True)


def _link(run: Run) -> Any:
    return gr.update(value=f"?trace={run.name}" if run.origin == "kept" else "", visible=run.origin == "kept")


def _nothing(text: str, *, plain: bool = True) -> list[Any]:
    """Values of all outputs where there is no run."""
    about = f'<p class="soft">{escape(text)}</p>' if plain else text
    hidden = [value for _ in PLOTS for value in ("", gr.update(value=None, visible=False))]
    off = gr.update(interactive=False)
    return [about, empty_strip(), "", *hidden, off, off, off, gr.update(visible=False), ""]


def _values(run: Run, locale: Locale) -> list[Any]:
    """About, strip, figures, and the plots with their headings."""
    result, timeline = caption_result(run.events), Timeline()
    for event in run.events:
        timeline.feed(event)
    strip = strip_state(run.events, run.name)
    strip["live"] = False
    strip["frames"] = frames(run.events)
    drawn = {
        "entropy": plots.entropy_plot(result, locale),
        "time": plots.time_plot(timeline, locale),
        "acceptance": plots.acceptance_plot(result, locale) if result.counts["escalations"] else None,
        "histogram": plots.entropy_histogram(result, locale),
        "bytes": plots.bytes_plot(result, locale),
        "sound": None if run.samples is None else plots.sound_plot(run.samples, locale, plots.pitch_track(run.samples)),
    }
    if result.mode == "cloud":
        drawn["entropy"] = drawn["histogram"] = None
    shown: list[Any] = []
    for name in PLOTS:
        heading = f"<h2>{escape(say(locale, f'plot.title.{name}'))}</h2>"
        missing = "" if drawn[name] is not None else f'<p class="soft">{escape(say(locale, f"plot.none.{name}"))}</p>'
        shown += [heading + missing, gr.update(value=drawn[name], visible=drawn[name] is not None)]
    return [_about(run, locale), strip, tables(result) + ledger_table(result), *shown]


def _about(run: Run, locale: Locale) -> str:
    """Who wrote it, about how long a recording, with what gate."""
    start = run.start
    sides = " + ".join(escape(str(entry.get("name", "?"))) for entry in start.checkpoints.values())
    gate = escape(str(start.options.get("gate", "")))
    facts = say(locale, "runs.about", seconds=f"{start.duration_s:.1f}", mode=say(locale, f"runs.{start.mode}"))
    return (
        f"<h2>{escape(say(locale, f'runs.{run.origin}'))} · {run.name}</h2>"
        f'<p class="soft">{escape(facts)} {sides}' + (f" · {gate}" if start.mode == "ugsd" else "") + "</p>"
    )
