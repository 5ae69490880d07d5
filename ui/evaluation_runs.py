"""The cards of the tab *Evaluate* that show a run: choose one, its figures, its clips, its plots, its files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ugsd_core.errors import TraceError, UgsdError
from ugsd_core.evaluation.records import ClipLine
from ui.components.evaluation_plots import run_plot
from ui.components.run_table import empty_table, player_value, table_value
from ui.evaluation_parts import QUIET, Services, Values, in_thread, show_tab, titled
from ui.evaluation_state import EvaluationVisit, Said
from ui.evaluation_view import about_run, corpus_table, metric_name, run_pairs, system_name
from ui.language import Locale, say
from ui.open_run import OpenRun
from ui.run_files import UNREADABLE
from ui.run_folders import RunEntry
from ui.run_rows import Query
from ui.view import error_line, status_html
from ui.wording import Line

__all__ = ["RunCards"]


@dataclass(frozen=True, slots=True)
class RunCards:
    """The components, and what they show each visitor."""

    services: Services
    locale: gr.Radio
    goes: gr.State
    choice: gr.Dropdown
    bring: gr.UploadButton
    score: gr.Button
    said: gr.HTML
    downloads: dict[str, gr.DownloadButton]
    pack: gr.Button
    about: gr.HTML
    figures: gr.HTML
    pairs: gr.HTML
    player: gr.HTML
    table: gr.HTML
    row_said: gr.HTML
    metric: gr.Dropdown
    system: gr.Dropdown
    plots: dict[str, tuple[gr.HTML, gr.Plot]]
    views: gr.HTML

    @property
    def _plot_parts(self) -> list[Any]:
        return [part for pair in self.plots.values() for part in pair]

    @property
    def outputs(self) -> list[Any]:
        """Everything that `show` may change."""
        return [
            self.choice, self.score, self.said, *self.downloads.values(), self.pack, self.about, self.figures,
            self.pairs, self.player, self.table, self.row_said, self.metric, self.system, *self._plot_parts,
        ]  # fmt: skip

    # Wiring

    def wire(self, shown: list[Any], show: Callable[[str, Locale], Values]) -> None:
        """Connect what happens in the cards.

        Args:
            shown, show: The components that a run is shown in, other cards' too, and what gives their values.
        """

        def then(steps: Callable[..., Iterator[Values | None]]) -> Callable[..., Iterator[Values]]:
            """A step that is None shows the run."""

            def stepping(value: Any, locale: Locale, request: gr.Request) -> Iterator[Values]:
                session = request.session_hash or ""
                for values in steps(value, session, locale):
                    yield show(session, locale) if values is None else values

            return stepping

        heavy = QUIET | {"concurrency_limit": 4}
        self.choice.input(then(self.chosen), [self.choice, self.locale], shown, **heavy)
        self.bring.upload(then(self.brought), [self.bring, self.locale], shown, **heavy)
        self.score.click(then(self.scored), [self.score, self.locale], shown, trigger_mode="once", **heavy)
        self.pack.click(self.packed, self.locale, [self.said, self.downloads["zip"]], trigger_mode="once", **heavy)
        quick = QUIET | {"queue": False}
        self.goes.change(None, None, None, js=show_tab("inspect"), **QUIET)
        # Gradio drops what is asked while an answer is awaited, unless told otherwise.
        every = {"trigger_mode": "multiple"}
        self.table.ask(self.asked, None, self.table, **every, **quick)
        self.views.seen(self.viewed, self.locale, self._plot_parts, **every, **heavy)
        # In the queue, which alone tells the browser that a state changed.
        acted = [self.player, self.table, self.row_said, self.goes]
        self.table.act(self.acted, [self.locale, self.goes], acted, **every, **QUIET, concurrency_limit=16)
        gr.on(
            [self.metric.input, self.system.input], self.replotted,
            [self.metric, self.system, self.locale], self._plot_parts,
            **heavy,
        )  # fmt: skip

    # What happens

    def chosen(self, name: str | None, session: str, locale: Locale) -> Iterator[Values | None]:
        """A run was taken from the list, or the list was only passed with the keyboard: then all stays as it is."""
        if (name or "") == self.services.visits.of(session).opened:
            yield {self.choice: gr.skip()}  # where nothing is yielded, Gradio empties every output
            return
        self.look_at(session, name or "")
        yield self._says(session, locale, lambda now: Line(say(now, "eval.opening"), "busy"))
        self.services.visits.of(session).run_line = None
        yield None

    def look_at(self, session: str, name: str) -> None:
        """Another run is shown from now on."""
        visit = self.services.visits.of(session)
        query = Query()
        if name:
            with contextlib.suppress(UgsdError):  # said when it is shown
                query = Query(sort=self.services.folders.open(name, session).first_sort)
        visit.asked, visit.metric, visit.system = visit.asked.anew(name, query), "", ""
        visit.run_line, visit.playing = None, None

    def brought(self, path: str, session: str, locale: Locale) -> Iterator[Values | None]:
        """A zip of a run was uploaded; it is unpacked for this visit."""
        yield self._says(session, locale, lambda now: Line(say(now, "eval.unpacking"), "busy"))
        try:
            name = self.services.files.unpack(session, Path(path), self.services.folders)
        except UgsdError as error:
            problem = error
            yield self._says(session, locale, lambda now: error_line(now, problem))
            return
        finally:
            Path(path).unlink(missing_ok=True)
        self.look_at(session, name)
        yield None

    def scored(self, _: Any, session: str, locale: Locale) -> Iterator[Values | None]:
        """The figures of the run are to be worked out again."""
        from ugsd_core.evaluation.scoring import score_run

        visit = self.services.visits.of(session)
        try:
            run = self.services.folders.open(visit.opened, session)
            for done, of, _ in in_thread(lambda tell: score_run(run.folder, progress=tell)):
                yield self._says(session, locale, _scoring(done, of))
        except UgsdError as error:
            problem = error
            yield self._says(session, locale, lambda now: error_line(now, problem))
            return
        visit.plotted = None
        visit.run_line = lambda now: Line(say(now, "eval.scored"))
        yield None

    def packed(self, locale: Locale, request: gr.Request) -> Iterator[Values]:
        """The whole run is to be taken away."""
        session = request.session_hash or ""
        visit = self.services.visits.of(session)
        yield self._says(session, locale, lambda now: Line(say(now, "eval.packing"), "busy"))
        try:
            run = self.services.folders.open(visit.opened, session)
            archive = self.services.files.pack(session, run)
        except UgsdError as error:
            problem = error
            yield self._says(session, locale, lambda now: error_line(now, problem))
            return
        found = self._says(session, locale, lambda now: Line(say(now, "eval.packed")))
        yield found | {self.downloads["zip"]: gr.update(value=str(archive), visible=True)}

    def asked(self, event: gr.EventData, request: gr.Request) -> str:
        """Another page of rows, or other rows."""
        session = request.session_hash or ""
        visit = self.services.visits.of(session)
        visit.asked = visit.asked.heard(event._data if isinstance(event._data, dict) else {})
        return self._rows(session, answer=True)

    def acted(self, locale: Locale, goes: int, event: gr.EventData, request: gr.Request) -> Values:
        """A row is to be heard, inspected, or sent to annotation."""
        session = request.session_hash or ""
        values = event._data if isinstance(event._data, dict) else {}
        clip, system = str(values.get("id", "")), str(values.get("system", ""))
        try:
            run = self.services.folders.open(self.services.visits.of(session).opened, session)
            match values.get("kind"):
                case "play":
                    return {self.player: self._play(session, run, clip, system, locale)}
                case "inspect":
                    return self._inspect(session, run, clip, system) | {self.goes: goes + 1}
                case _:
                    return self._annotate(session, run, clip, system, locale)
        except UgsdError as error:
            return {self.row_said: status_html(error_line(locale, error))}

    def _recording(self, session: str, run: OpenRun, line: ClipLine) -> Path | None:
        place = str((run.manifest.get("notes") or {}).get("place", ""))
        return self.services.places.recording(place, line.path, session)

    def _play(self, session: str, run: OpenRun, clip: str, system: str, locale: Locale) -> str:
        line = run.line(clip, system)
        recording = self._recording(session, run, line)
        self.services.visits.of(session).playing = (clip, system)
        if recording is None:
            return player_value(clip, problem=say(locale, "eval.no_sound"))
        try:
            sound = self.services.sounds.write(session, recording)
        except UgsdError as error:
            return player_value(clip, problem=error_line(locale, error).text)
        return player_value(clip, f"gradio_api/file={sound}")

    def _inspect(self, session: str, run: OpenRun, clip: str, system: str) -> Values:
        from ugsd_core.traces import read_trace

        path = run.trace(run.line(clip, system))
        if path is None:
            raise TraceError("no event stream was kept for this caption, so it can't be inspected")
        found = self.services.shelf.put(session, read_trace(path, allow_cut=True), origin="file")
        self.services.inspected.of(session).latest = found.name
        return {self.row_said: ""}

    def _annotate(self, session: str, run: OpenRun, clip: str, system: str, locale: Locale) -> Values:
        found = run.line(clip, system)
        new = self.services.queue.send_to_annotation(found, run, self._recording(session, run, found))
        key = "eval.annotated" if new else "eval.annotated.before"
        line = Line(say(locale, key, clip=clip, system=system_name(locale, system)))
        return {self.table: self._rows(session), self.row_said: status_html(line)}

    def viewed(self, locale: Locale, event: gr.EventData, request: gr.Request) -> Iterator[Values]:
        """Another part of the run is looked at; plots are drawn when they are."""
        session = request.session_hash or ""
        visit = self.services.visits.of(session)
        visit.plots_seen = isinstance(event._data, dict) and event._data.get("view") == "evaluate-plots"
        yield {next(iter(self.plots.values()))[0]: gr.skip()}  # where nothing is yielded, Gradio empties every output
        if not visit.plots_seen or not visit.opened:
            return
        with contextlib.suppress(UgsdError):  # said when it was opened
            run = self.services.folders.open(visit.opened, session)
            if visit.plotted is None:
                drawing = say(locale, "eval.plot.drawing")
                yield {
                    heading: titled(say(locale, f"eval.plot.title.{name}"), drawing, plain=True)
                    for name, (heading, _) in self.plots.items()
                }
            yield self._plots(run, visit, locale)

    def replotted(self, metric: str, system: str, locale: Locale, request: gr.Request) -> Values:
        """Another metric or system is plotted."""
        session = request.session_hash or ""
        visit = self.services.visits.of(session)
        visit.metric, visit.system = metric or "", system or ""
        return self._plots(self.services.folders.open(visit.opened, session), visit, locale)

    # What is shown

    def show(self, session: str, locale: Locale) -> Values:
        """All of the cards; a run that is not there is a sentence, never an exception."""
        visit = self.services.visits.of(session)
        listing = self.choices(session, locale)
        try:
            run = self.services.folders.open(visit.opened, session) if visit.opened else None
        except UgsdError as error:
            problem = error
            visit.run_line = lambda now: error_line(now, problem)
            run = None
        found = self._said(visit, locale)
        if run is None:
            return found | {self.choice: gr.update(choices=listing, value=None)} | self._nothing(visit, locale)
        found |= {self.choice: gr.update(choices=listing, value=run.name), self.about: about_run(run, locale)}
        return found | self._figures(run, locale) | self._clips(session, run, locale) | self._files(session, run)

    def choices(self, session: str, locale: Locale) -> list[tuple[str, str]]:
        """What a person chooses a run by, and its name."""
        return [(_choice(entry, locale), entry.name) for entry in self.services.folders.listed(session)]

    def _figures(self, run: OpenRun, locale: Locale) -> Values:
        try:
            table, pairs = corpus_table(run, locale), run_pairs(run, locale)
        except UNREADABLE:  # of another version, or of somebody else's making
            table = pairs = ""
        if not table:
            table = f'<p class="soft">{escape(say(locale, "eval.not_scored" if run.lines else "eval.no_captions"))}</p>'
        stale = bool(run.lines) and not (run.scored and table.startswith("<div"))
        return {
            self.figures: table,
            self.pairs: titled(say(locale, "eval.pairs"), pairs or say(locale, "eval.pairs.none"), plain=not pairs),
            self.score: gr.update(visible=stale, variant="primary"),
        }

    def _clips(self, session: str, run: OpenRun, locale: Locale) -> Values:
        visit = self.services.visits.of(session)
        run.warm()
        metrics = [(metric_name(locale, name), name) for name in run.sorts]
        if visit.metric not in run.sorts:
            visit.metric = run.first_sort if run.first_sort in run.sorts else next(iter(run.sorts), "")
        if visit.system not in run.systems:
            visit.system = "ugsd" if "ugsd" in run.systems else next(iter(run.systems), "")
        found: Values = {
            self.table: self._rows(session),
            self.player: player_value() if visit.playing is None else gr.skip(),
            self.row_said: "",
            self.metric: gr.update(choices=metrics, value=visit.metric or None, visible=bool(run.lines)),
            self.system: gr.update(
                choices=[(system_name(locale, name), name) for name in run.systems],
                value=visit.system or None,
                visible=bool(run.labels),
            ),
        }
        return found | self._plots(run, visit, locale)

    def _rows(self, session: str, *, answer: bool = False) -> str:
        asked = self.services.visits.of(session).asked  # once: what changes meanwhile is newer than these rows
        try:
            run = self.services.folders.open(asked.run, session)
        except UgsdError:
            return empty_table(asked)
        place = str((run.manifest.get("notes") or {}).get("place", ""))
        first = next((line.path for line in run.lines if line.path), "")
        audio = self.services.places.recording(place, first, session) is not None
        return table_value(run, asked, answer=answer, audio=audio, queued=self.services.queue.queued(run))

    def _plots(self, run: OpenRun, visit: EvaluationVisit, locale: Locale) -> Values:
        if not visit.plots_seen:
            visit.plotted = None
            return {}
        wanted = (run.name, id(run), visit.metric, visit.system, locale)
        if visit.plotted == wanted:
            return {next(iter(self.plots.values()))[0]: gr.skip()}
        visit.plotted = wanted
        found: Values = {}
        for name, (heading, plot) in self.plots.items():
            try:
                drawn = run_plot(name, run, visit.metric, visit.system, locale) if run.lines else None
            except UNREADABLE:
                drawn = None
            why = "" if drawn is not None else say(locale, f"eval.plot.none.{name}")
            found[heading] = titled(say(locale, f"eval.plot.title.{name}"), why, plain=True)
            found[plot] = gr.update(value=drawn, visible=drawn is not None)
        return found

    def _files(self, session: str, run: OpenRun) -> Values:
        there = self.services.files.write(session, run)
        found: Values = {
            button: gr.update(value=str(there[name]) if name in there else None, visible=name in there)
            for name, button in self.downloads.items()
        }
        return found | {self.pack: gr.update(interactive=bool(run.lines))}

    def _nothing(self, visit: EvaluationVisit, locale: Locale) -> Values:
        """Values where there is no run."""
        found: Values = {button: gr.update(value=None, visible=False) for button in self.downloads.values()}
        for heading, plot in self.plots.values():
            found |= {heading: "", plot: gr.update(value=None, visible=False)}
        return found | {
            self.score: gr.update(visible=False),
            self.pack: gr.update(interactive=False),
            self.about: titled(say(locale, "eval.run"), say(locale, "eval.choose"), plain=True),
            self.figures: "",
            self.pairs: "",
            self.player: player_value(),
            self.table: empty_table(visit.asked),
            self.row_said: "",
            self.metric: gr.update(visible=False),
            self.system: gr.update(visible=False),
        }

    def _says(self, session: str, locale: Locale, line: Said) -> Values:
        visit = self.services.visits.of(session)
        visit.run_line = line
        return self._said(visit, locale)

    def _said(self, visit: EvaluationVisit, locale: Locale) -> Values:
        return {self.said: status_html(visit.run_line(locale)) if visit.run_line else ""}


def _scoring(done: int, of: int) -> Said:
    return lambda now: Line(say(now, "eval.scoring", percent=f"{100 * done / max(of, 1):.0f}"), "busy")


def _choice(entry: RunEntry, locale: Locale) -> str:
    """A run in the list: its name, how far it came and when."""
    when = datetime.fromtimestamp(entry.changed_s).strftime("%Y-%m-%d %H:%M")
    parts = [entry.name, say(locale, "eval.choice.captions", number=f"{entry.done:,}"), when]
    if entry.total and entry.done < entry.total:
        parts.insert(1, say(locale, "eval.choice.part", percent=f"{100 * entry.done / entry.total:.0f}"))
    if entry.brought:
        parts.insert(1, say(locale, "eval.choice.brought"))
    return " · ".join(parts)
