"""The tab *Inspect*: any run again, token by token, with its plots; bring one, take one away, link to one; the tour."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ugsd_core.errors import TraceError
from ui.components.inspector import inspector
from ui.components.strip_wire import token_strip, wire_value
from ui.components.token_strip import empty_strip
from ui.exports import Exports
from ui.language import Locale, label, say
from ui.run_view import PLOTS, RunFigures, about_run, plot_heading, plot_of, run_choices, run_strip
from ui.shelf import Run, Shelf
from ui.tour import Stop, load_tour, stop_text, stop_view, tour_invitation
from ui.view import error_line, status_html
from ui.visits import Visits
from ui.wording import Line

__all__ = ["InspectTab", "build_inspect_tab"]

#: The server knows a run's name; the visitor's own address makes a link of it.
_WHOLE_LINK = "(link) => (link && link.startsWith('?') ? location.origin + location.pathname + link : link)"
#: So the tab is drawn first: a component that is an output of anything before loses its other properties, and a plot
#: that was drawn while the tab was hidden does not know its width.
_DRAWN = """(locale) => new Promise((go) => setTimeout(() => {
  dispatchEvent(new Event("resize"));
  go(locale);
}, 60))"""
_LINE = '<p class="status" role="status" aria-live="polite">${value}</p>'
#: Values of components, by component; those that are not named stay as they are.
Values = dict[Any, Any]


def build_inspect_tab(shelf: Shelf, visits: Visits, exports: Exports, locale: gr.Radio) -> InspectTab:
    """Put the tab's cards into the open Blocks and wire them up; `InspectTab.wire_page` is for whoever has the tabs.

    Args:
        locale: The switch of the page's language.
    """
    with gr.Row(elem_id="inspect-grid", equal_height=False):
        with gr.Column(elem_classes="stack", min_width=0):
            with gr.Column(elem_id="tour-card", elem_classes="card", min_width=0):
                tour = _tour()
            with gr.Column(elem_id="runs-card", elem_classes="card", min_width=0):
                runs = _runs()
        with gr.Column(elem_classes="stack", min_width=0):
            with gr.Column(elem_id="run-card", elem_classes="card", min_width=0):
                about = _html("run-about")
                strip = token_strip("inspect", elem_id="inspect-strip")
            plots = {name: _plot(name) for name in PLOTS}
        with gr.Column(elem_classes="stack", min_width=0):
            with gr.Column(elem_classes="card inspector-card", min_width=0):
                inspector("inspect", elem_id="inspect-inspector")
            with gr.Column(elem_classes="card", min_width=0):
                figures = _html("inspect-tables")
    stops = load_tour(shelf.tour_folder)
    tab = InspectTab(shelf, visits, exports, stops, locale, about, strip, figures, plots, **tour, **runs)
    tab.wire()
    return tab


# ── The cards ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _html(elem_id: str, **settings: Any) -> gr.HTML:
    """Markup that will be made here."""
    return gr.HTML("", apply_default_css=False, js_on_load=None, elem_id=elem_id, **settings)


def _button(key: str, elem_id: str, **settings: Any) -> gr.Button:
    return gr.Button(label(key), size="sm", elem_id=elem_id, min_width=0, **settings)


def _tour() -> dict[str, Any]:
    text = _html("tour-text")
    with gr.Row(elem_classes="actions"):
        return {
            "tour": text,
            "start": _button("tour.start", "tour-start", variant="primary"),
            "back": _button("tour.back", "tour-back", visible=False),
            "on": _button("tour.next", "tour-next", variant="primary", visible=False),
            "end": _button("tour.end", "tour-end", visible=False),
        }


def _runs() -> dict[str, Any]:
    choice = gr.Dropdown([], label=label("runs.label"), elem_id="run-choice", filterable=False)
    with gr.Row(elem_classes="actions"):
        bring = gr.UploadButton(label("runs.bring"), file_types=[".jsonl"], size="sm", elem_id="run-bring", min_width=0)
        keep = _button("runs.keep", "run-keep", interactive=False)
    said = _html("run-said", html_template=_LINE)
    link = gr.Textbox(label=label("runs.link"), buttons=["copy"], visible=False, interactive=False, elem_id="run-link")
    forget = _button("runs.forget", "run-forget", visible=False)
    with gr.Row(elem_classes="actions"):
        take = gr.DownloadButton(label("runs.take"), size="sm", interactive=False, elem_id="run-take", min_width=0)
        table = gr.DownloadButton(label("runs.table"), size="sm", interactive=False, elem_id="run-table", min_width=0)
    return {
        "choice": choice,
        "bring": bring,
        "keep": keep,
        "said": said,
        "link": link,
        "forget": forget,
        "take": take,
        "table": table,
    }


def _plot(name: str) -> tuple[gr.HTML, gr.Plot]:
    """A card with heading and plot."""
    with gr.Column(elem_classes="card", min_width=0):
        heading = _html(f"plot-{name}-title")
        return heading, gr.Plot(show_label=False, container=False, visible=False, elem_id=f"plot-{name}")


# ── What they do ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class InspectTab:
    """The tab's components, and what they show each visitor. Which run that is, `ui.visits.Visit` remembers."""

    shelf: Shelf
    visits: Visits
    exports: Exports
    stops: tuple[Stop, ...]
    locale: gr.Radio
    about: gr.HTML
    strip: gr.HTML
    figures: gr.HTML
    plots: dict[str, tuple[gr.HTML, gr.Plot]]
    tour: gr.HTML
    start: gr.Button
    back: gr.Button
    on: gr.Button
    end: gr.Button
    choice: gr.Dropdown
    bring: gr.UploadButton
    keep: gr.Button
    said: gr.HTML
    link: gr.Textbox
    forget: gr.Button
    take: gr.DownloadButton
    table: gr.DownloadButton

    @property
    def outputs(self) -> list[Any]:
        """Everything that `show` may change."""
        plots = [part for pair in self.plots.values() for part in pair]
        runs = [self.choice, self.keep, self.said, self.link, self.forget, self.take, self.table]
        return [
            self.about,
            self.strip,
            self.figures,
            *plots,
            self.tour,
            self.start,
            self.back,
            self.on,
            self.end,
            *runs,
        ]

    # Wiring

    def wire(self) -> None:
        """Connect what happens in the tab."""
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
        choices = ((self.choice.input, self.chosen, [self.choice]), (self.bring.upload, self.brought, [self.bring]))
        steps = ((self.start, self.tour_starts), (self.back, self.tour_back), (self.on, self.tour_on))
        clicks = ((button.click, step, []) for button, step in (*steps, (self.end, self.tour_ends)))
        for happens, does, inputs in (*choices, *clicks):
            happens(does, [*inputs, self.locale], self.outputs, **quiet)
        # In two steps, so that nothing is sent to a tab that was not drawn yet (see `_DRAWN`). A change of a state is
        # told to the browser by the queue alone.
        turns = gr.State(0)
        self.locale.change(self.turned, turns, turns, **quiet | {"queue": True})
        turns.change(self.translated, self.locale, self.outputs, **quiet)
        kept = [self.said, self.link, self.forget]
        self.keep.click(self.kept, self.locale, kept, **quiet)
        deleted = self.forget.click(self.forgotten, self.locale, [*kept, self.choice], **quiet)
        # The button is gone, and the focus with it: to the one that takes the deletion back.
        deleted.then(None, None, None, js="() => document.querySelector('#run-keep').focus()", **quiet)
        self.link.change(None, self.link, self.link, js=_WHOLE_LINK, **quiet)

    def wire_page(self, page: gr.Blocks, tabs: gr.Tabs, tab: gr.Tab, *, at_once: bool) -> None:
        """Connect the tab to the page: it fills itself when it is opened, and opens itself for a link to a run.

        Args:
            at_once: The page begins with this tab.
        """

        def landed(locale: Locale, request: gr.Request) -> Any:
            session, name = request.session_hash or "", request.query_params.get("trace", "")
            if name:
                self.visits.of(session).latest = name
            return self.opened(locale, request) if at_once else name

        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
        if at_once:
            page.load(landed, self.locale, self.outputs, **quiet)
        else:
            # Only a link makes the tabs an output: with every later update of the page Gradio goes through all that is
            # inside a component that has ever been one.
            link = gr.State("")
            page.load(landed, self.locale, link, **quiet | {"queue": True})
            link.change(lambda: gr.Tabs(selected=tab.id), None, tabs, **quiet)
        tab.select(self.opened, self.locale, self.outputs, js=_DRAWN, **quiet)

    # What happens

    def opened(self, locale: Locale, request: gr.Request) -> Values:
        """The tab is opened: the list is brought up to date; a new caption is shown, or the newest run if none is."""
        session = request.session_hash or ""
        visit = self.visits.of(session)
        # Listed before the visit is asked: that takes a moment, in which the visitor may begin the tour.
        newest = "" if visit.latest else next((run.name for run in self.shelf.listed(session)), "")
        if not visit.opens(newest):
            return {self.choice: gr.update(choices=run_choices(self.shelf, session, locale))}
        return self.show(session, locale)

    def chosen(self, name: str | None, locale: Locale, request: gr.Request) -> Values:
        """A run was taken from the list, or the list was only passed with the keyboard: then all stays as it is."""
        session = request.session_hash or ""
        with contextlib.suppress(TraceError):
            if name == self._looked_at(session).name:
                return {self.choice: gr.skip()}
        self.visits.of(session).inspects(name or "")
        return self.show(session, locale)

    def brought(self, path: str, locale: Locale, request: gr.Request) -> Values:
        """A trace file was uploaded; it is read and deleted."""
        session = request.session_hash or ""
        try:
            run = self.shelf.add_file(session, path)
        except TraceError as error:
            return {self.said: status_html(error_line(locale, error))}
        finally:
            Path(path).unlink(missing_ok=True)
        self.visits.of(session).inspects(run.name)
        return self.show(session, locale)

    def kept(self, locale: Locale, request: gr.Request) -> Values:
        """The run that is shown is to be kept and linked to."""
        session = request.session_hash or ""
        try:
            run = self._looked_at(session)
            self.shelf.keep(session, run.name)
        except TraceError as error:
            return {self.said: status_html(error_line(locale, error))}
        return {self.said: status_html(Line(say(locale, "runs.linked")))} | self._link(session, run)

    def forgotten(self, locale: Locale, request: gr.Request) -> Values:
        """The kept file of the run that is shown is to be deleted; the run itself stays on the page."""
        session = request.session_hash or ""
        try:
            run = self._looked_at(session)
            self.shelf.forget(session, run.name)
        except TraceError as error:
            return {self.said: status_html(error_line(locale, error))}
        names = gr.update(choices=run_choices(self.shelf, session, locale), value=run.name)
        said = {self.said: status_html(Line(say(locale, "runs.forgotten"))), self.choice: names}
        return said | self._link(session, run)

    def turned(self, turns: int, request: gr.Request) -> int:
        """The page speaks another language; counted where the tab says something."""
        return turns + self.visits.of(request.session_hash or "").looks

    def translated(self, locale: Locale, request: gr.Request) -> Values:
        """All is said in another language."""
        return self.show(request.session_hash or "", locale)

    def tour_starts(self, locale: Locale, request: gr.Request) -> Values:
        """To the first stop."""
        return self._go(locale, request, lambda _: 0)

    def tour_back(self, locale: Locale, request: gr.Request) -> Values:
        """To the stop before."""
        return self._go(locale, request, lambda stop: max(stop - 1, 0))

    def tour_on(self, locale: Locale, request: gr.Request) -> Values:
        """To the next stop."""
        return self._go(locale, request, lambda stop: min(stop + 1, len(self.stops) - 1))

    def tour_ends(self, locale: Locale, request: gr.Request) -> Values:
        """The run of the last stop stays."""
        session = request.session_hash or ""
        self.visits.of(session).inspects(self._looked_at(session).name)
        return self.show(session, locale)

    def _go(self, locale: Locale, request: gr.Request, to: Callable[[int], int]) -> Values:
        session = request.session_hash or ""
        visit = self.visits.of(session)
        visit.stop = to(visit.stop or 0)
        return self.show(session, locale)

    # What is shown

    def _looked_at(self, session: str) -> Run:
        """The run that a visitor looks at.

        Raises:
            TraceError: If there is none of that name.
        """
        visit = self.visits.of(session)
        if visit.stop is not None:
            return stop_view(self.shelf.tour_folder, self.stops[visit.stop])[0]
        return self.shelf.find(session, visit.inspected)

    def show(self, session: str, locale: Locale) -> Values:
        """All of the tab; a run that is not there is a sentence, never an exception.

        Where the visitor has gone on while it was drawn, nothing is shown: what they went on to is on its way.
        """
        visit = self.visits.of(session)
        at = (visit.inspected, visit.stop)
        names = run_choices(self.shelf, session, locale)
        found = self._tour_card(visit.stop, locale) | {self.said: ""}
        try:
            run = self._looked_at(session) if visit.looks else None
        except TraceError as error:
            line = f'<p class="status" role="alert">{status_html(error_line(locale, error))}</p>'
            return found | {self.choice: gr.update(choices=names, value=None)} | self._nothing(line)
        if run is None:
            line = f'<p class="soft">{escape(say(locale, "runs.choose"))}</p>'
            return found | {self.choice: gr.update(choices=names, value=None)} | self._nothing(line)
        strip = run_strip(run) if visit.stop is None else stop_view(self.shelf.tour_folder, self.stops[visit.stop])[1]
        found |= {self.choice: gr.update(choices=names, value=run.name), self.strip: wire_value(strip)}
        found |= self._run(run, locale)
        return found | self._files(session, run) if at == (visit.inspected, visit.stop) else {self.tour: gr.skip()}

    def _run(self, run: Run, locale: Locale) -> Values:
        figures = RunFigures.of(run)
        found: Values = {self.about: about_run(run, locale), self.figures: figures.tables(locale)}
        for name, (heading, plot) in self.plots.items():
            drawn = plot_of(name, figures, locale)
            found[heading] = plot_heading(name, locale, drawn=drawn is not None)
            found[plot] = gr.update(value=drawn, visible=drawn is not None)
        return found

    def _files(self, session: str, run: Run) -> Values:
        files = self.exports.write(session, run)
        return {
            self.keep: gr.update(interactive=True),
            self.take: gr.update(value=str(files.trace), interactive=True),
            self.table: gr.update(value=str(files.table), interactive=True),
        } | self._link(session, run)

    def _link(self, session: str, run: Run) -> Values:
        """The link of a kept run, and for whoever kept it the button that deletes it."""
        kept = self.shelf.is_kept(run.name)
        return {
            self.link: gr.update(value=f"?trace={run.name}" if kept else "", visible=kept),
            self.forget: gr.update(visible=self.shelf.may_forget(session, run.name)),
        }

    def _nothing(self, about: str) -> Values:
        """Values where there is no run."""
        off = gr.update(interactive=False)
        plots: Values = {}
        for heading, plot in self.plots.values():
            plots |= {heading: "", plot: gr.update(value=None, visible=False)}
        buttons = {self.keep: off, self.take: off, self.table: off, self.link: gr.update(visible=False)}
        buttons[self.forget] = gr.update(visible=False)
        return {self.about: about, self.strip: wire_value(empty_strip()), self.figures: ""} | plots | buttons

    def _tour_card(self, stop: int | None, locale: Locale) -> Values:
        return {
            self.tour: tour_invitation(locale) if stop is None else stop_text(self.stops, stop, locale),
            self.start: gr.update(visible=stop is None and bool(self.stops)),
            self.back: gr.update(visible=stop is not None, interactive=bool(stop)),
            self.on: gr.update(visible=stop is not None, interactive=stop != len(self.stops) - 1),
            self.end: gr.update(visible=stop is not None),
        }
