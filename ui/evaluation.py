"""The tab *Evaluate*: a corpus captioned by several systems, and any run of it looked at, clip by clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.assets import web_asset
from ui.components.evaluation_plots import RUN_PLOTS
from ui.components.run_table import clip_player, run_table
from ui.corpus_places import EXAMPLES
from ui.evaluation_compare import CompareCard
from ui.evaluation_parts import QUIET, Services, Values, html_part, said_part, show_tab, small_button
from ui.evaluation_runs import RunCards
from ui.evaluation_start import POLL_S, StartCards, job_html, place_choices, system_choices, systems_means
from ui.language import LOCALE_NAMES, Locale, label, words
from ui.link import LinkSetting, link_controls
from ui.run_files import FILES

__all__ = ["EvaluateTab", "build_evaluate_tab"]

#: So the tab is drawn first: a component that is an output of anything before loses its other properties, and a plot
#: that was drawn while the tab was hidden does not know its width.
_DRAWN = """(locale) => new Promise((go) => setTimeout(() => {
  dispatchEvent(new Event("resize"));
  go(locale);
}, 60))"""
#: Systems that are chosen at first.
_SYSTEMS = ["edge", "cloud", "ugsd", "paper"]


def build_evaluate_tab(services: Services, locale: gr.Radio, link: LinkSetting | None = None) -> EvaluateTab:
    """Put the tab's cards into the open Blocks and wire them up; `EvaluateTab.wire_page` is for whoever has the tabs.

    Args:
        locale: The switch of the page's language.
        link: What link is emulated until a visitor chooses another.
    """
    with gr.Row(elem_id="evaluate-grid", equal_height=False):
        with gr.Column(elem_id="evaluate-side", elem_classes="stack", min_width=0):
            with gr.Column(elem_id="evaluate-runs", elem_classes="card", min_width=0):
                runs = _runs_card()
            with gr.Column(elem_id="evaluate-job", elem_classes="card", min_width=0):
                job = _job_card()
        with gr.Column(elem_id="evaluate-run", min_width=0):
            with gr.Column(elem_classes="card", min_width=0):
                runs["about"] = html_part("evaluate-about")
            runs["views"] = _views()
            with gr.Column(elem_id="evaluate-figures", elem_classes="card", min_width=0):
                runs["figures"] = html_part("evaluate-table")
            with gr.Column(elem_id="evaluate-clips", elem_classes="card", min_width=0):
                runs |= _clips_card()
            with gr.Row(elem_id="evaluate-plots", equal_height=False):
                runs |= _plots()
            with gr.Column(elem_id="evaluate-differences", elem_classes="stack", min_width=0):
                with gr.Column(elem_classes="card", min_width=0):
                    runs["pairs"] = html_part("evaluate-pairs")
                with gr.Column(elem_id="evaluate-compare", elem_classes="card", min_width=0):
                    compare = _compare_card()
        with gr.Column(elem_id="evaluate-start", elem_classes="card", min_width=0):
            start = _start_card(services, link) | job
    tab = EvaluateTab(
        services,
        locale,
        RunCards(services, locale, goes=gr.State(0), **runs),
        StartCards(services, locale, **start),
        CompareCard(services, locale, **compare),
    )
    tab.wire()
    return tab


# ── The cards ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _views() -> gr.HTML:
    """The switch between the parts of a run. Gradio's own tabs would not keep what is written into a hidden one."""
    return gr.HTML(
        "",
        html_template='<div class="views" role="tablist"></div>',
        js_on_load=web_asset("words.js") + web_asset("run_views.js"),
        apply_default_css=False,
        words=words("eval.view"),
        panels=[f"evaluate-{name}" for name in ("figures", "clips", "plots", "differences")],
        elem_id="evaluate-views",
    )


def _heading(key: str) -> None:
    gr.HTML(label(key), html_template="<h2>${value}</h2>", apply_default_css=False, js_on_load=None)


def _runs_card() -> dict[str, Any]:
    _heading("eval.runs")
    choice = gr.Dropdown([], label=label("eval.choice"), elem_id="evaluate-choice", filterable=False)
    with gr.Row(elem_classes="actions"):
        bring = gr.UploadButton(
            label("eval.bring_run"), file_types=[".zip"], size="sm", elem_id="evaluate-bring-run", min_width=0
        )
        score = small_button("eval.score", "evaluate-score", visible=False)
    said = said_part("evaluate-run-said")
    gr.HTML(
        label("eval.files"), html_template='<p class="label">${value}</p>', apply_default_css=False, js_on_load=None
    )
    with gr.Row(elem_classes="files"):
        downloads = {
            name: gr.DownloadButton(
                label(f"eval.file.{name}"), size="sm", visible=False, elem_id=f"evaluate-file-{name}", min_width=0
            )
            for name in FILES
        }
        pack = small_button("eval.pack", "evaluate-pack", interactive=False)
    return {"choice": choice, "bring": bring, "score": score, "said": said, "downloads": downloads, "pack": pack}


def _format_choices() -> list[tuple[Any, str]]:
    """Formats, those of plug-ins under their own names; the first is to recognise it."""
    from ugsd_core.corpora import FORMATS

    known = [(label(f"eval.format.{name or 'auto'}"), name) for name in ("", *FORMATS.builtin)]
    return [*known, *((name, name) for name in FORMATS.plugins())]


def _start_card(services: Services, link: LinkSetting | None) -> dict[str, Any]:
    _heading("eval.start.title")
    place = gr.Dropdown(
        place_choices(services, "", "en"),
        value=EXAMPLES if any(place.key == EXAMPLES for place in services.places.listed()) else None,
        label=label("eval.place"),
        elem_id="evaluate-place",
        filterable=False,
    )
    bring = gr.UploadButton(
        label("eval.bring_corpus"), file_types=[".zip"], size="sm", elem_id="evaluate-bring-corpus", min_width=0
    )
    language = gr.Radio(LOCALE_NAMES, value="en", label=label("control.language"), elem_id="evaluate-language")
    systems = gr.CheckboxGroup(
        system_choices("en"), value=_SYSTEMS, label=label("eval.systems"), elem_id="evaluate-systems"
    )
    means = html_part("evaluate-systems-means", value_html=systems_means("en"))
    with gr.Accordion(label("eval.more"), open=False, elem_id="evaluate-more"):
        form = gr.Dropdown(
            _format_choices(),
            value="",
            label=label("eval.format"),
            info=label("eval.format.means"),
            elem_id="evaluate-format",
            filterable=False,
        )
        limit = gr.Number(
            0,
            precision=0,
            minimum=0,
            label=label("eval.limit"),
            info=label("eval.limit.means"),
            elem_id="evaluate-limit",
        )
        anew = gr.Checkbox(False, label=label("eval.anew"), info=label("eval.anew.means"), elem_id="evaluate-anew")
    links = link_controls("evaluate-", link)
    with gr.Row(elem_classes="actions"):
        look = gr.Button(label("eval.check"), elem_id="evaluate-check", min_width=0)
        start = gr.Button(
            label("eval.start"), variant="primary", interactive=False, elem_id="evaluate-begin", min_width=0
        )
    said = said_part("evaluate-start-said")
    found = html_part("evaluate-found")
    return {
        "place": place, "bring": bring, "format": form, "language": language, "limit": limit, "systems": systems,
        "means": means, "anew": anew, "links": links, "look": look, "start": start, "said": said, "found": found,
    }  # fmt: skip


def _job_card() -> dict[str, Any]:
    job = html_part("evaluate-progress", value_html=job_html(None, "en"))
    with gr.Row(elem_classes="actions"):
        stop = gr.Button(
            label("control.stop"), variant="stop", size="sm", visible=False, elem_id="evaluate-stop", min_width=0
        )
        open_run = small_button("eval.open", "evaluate-open", visible=False)
    return {"job": job, "stop": stop, "open_run": open_run, "timer": gr.Timer(POLL_S, active=False)}


def _clips_card() -> dict[str, Any]:
    player = clip_player(elem_id="evaluate-player")
    said = said_part("evaluate-row-said")
    return {"player": player, "row_said": said, "table": run_table(elem_id="evaluate-rows")}


def _plots() -> dict[str, Any]:
    plots = {}
    with gr.Row(elem_id="evaluate-plot-tools", elem_classes="card actions"):
        metric = gr.Dropdown([], label=label("eval.plot.metric"), elem_id="evaluate-metric", visible=False)
        system = gr.Dropdown([], label=label("eval.plot.system"), elem_id="evaluate-system", visible=False)
    for name in RUN_PLOTS:
        with gr.Column(elem_classes="card", min_width=0):
            heading = html_part(f"evaluate-plot-{name}-title")
            plots[name] = (
                heading,
                gr.Plot(show_label=False, container=False, visible=False, elem_id=f"evaluate-plot-{name}"),
            )
    return {"metric": metric, "system": system, "plots": plots}


def _compare_card() -> dict[str, Any]:
    _heading("eval.compare.title")
    with gr.Row(elem_classes="actions compare-two"):
        first = gr.Dropdown([], label=label("eval.compare.first"), elem_id="evaluate-first", min_width=0)
        second = gr.Dropdown([], label=label("eval.compare.second"), elem_id="evaluate-second", min_width=0)
        metric = gr.Dropdown([], label=label("eval.compare.metric"), elem_id="evaluate-compare-metric", min_width=0)
    with gr.Row(elem_classes="actions"):
        compare = small_button("eval.compare", "evaluate-compare-go")
    said = said_part("evaluate-compare-said")
    return {
        "first": first, "second": second, "metric": metric, "compare": compare, "said": said,
        "table": html_part("evaluate-compare-table"),
    }  # fmt: skip


# ── The tab ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class EvaluateTab:
    """The tab's cards together."""

    services: Services
    locale: gr.Radio
    runs: RunCards
    start: StartCards
    compare: CompareCard

    @property
    def outputs(self) -> list[Any]:
        """Everything that `show` may change."""
        return [*self.runs.outputs, *self.start.outputs, self.start.language, *self.compare.outputs]

    def wire(self) -> None:
        """Connect what happens in the tab."""
        self.runs.wire([*self.runs.outputs, *self.compare.outputs], self._run_shown)
        self.start.wire([*self.runs.outputs, *self.compare.outputs], self._run_shown, self.runs.look_at)
        self.compare.wire()
        # In two steps, so that nothing is sent to a tab that was not drawn yet. A change of a state is told to the
        # browser by the queue alone.
        turns = gr.State(0)
        self.locale.change(self.turned, turns, turns, **QUIET)
        turns.change(self.translated, self.locale, self.outputs, **QUIET)

    def wire_page(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Connect the tab to the page: it fills itself when it is opened, and opens itself for a link to a run."""

        def landed(request: gr.Request) -> str:
            name = request.query_params.get("run", "")
            if name:
                self.runs.look_at(request.session_hash or "", name)
            return name

        link = gr.State("")
        page.load(landed, None, link, **QUIET)
        link.change(None, None, None, js=show_tab("evaluate"), **QUIET)
        tab.select(self.opened, self.locale, self.outputs, js=_DRAWN, **QUIET, concurrency_limit=4)

    # What happens

    def opened(self, locale: Locale, request: gr.Request) -> Values:
        """The tab is opened: lists are brought up to date; the newest run is shown if none is."""
        session = request.session_hash or ""
        visit = self.services.visits.of(session)
        fresh = not visit.drawn
        visit.drawn = True
        if not fresh:
            choices = self.runs.choices(session, locale)
            return {self.runs.choice: gr.update(choices=choices)} | self.start.show(session, locale)
        if not visit.opened:
            newest = next((entry.name for entry in self.services.folders.listed(session)), "")
            self.runs.look_at(session, newest)
        # Captions begin with the page's language, as those of the tab Caption do.
        return self._all(session, locale) | {self.start.language: locale}

    def turned(self, turns: int, request: gr.Request) -> int:
        """The page speaks another language; counted where the tab was opened."""
        return turns + self.services.visits.of(request.session_hash or "").drawn

    def translated(self, locale: Locale, request: gr.Request) -> Values:
        """All is said in another language."""
        return self._all(request.session_hash or "", locale)

    def _all(self, session: str, locale: Locale) -> Values:
        return self._run_shown(session, locale) | self.start.show(session, locale)

    def _run_shown(self, session: str, locale: Locale) -> Values:
        return self.runs.show(session, locale) | self.compare.show(session, locale)
