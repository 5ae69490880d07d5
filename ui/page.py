"""The whole page: its head, its tabs, and how it is launched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ugsd_core.trace_store import TraceStore, default_trace_folder
from ugsd_core.wire.emulated import Conditions
from ui.annotate import build_annotate_tab
from ui.annotation.inbox_rows import InboxRows
from ui.annotation.routes import Annotating, annotation_routes
from ui.annotation_hook import RunQueue
from ui.api import build_api
from ui.assets import ASSETS, ExampleClip, example_clips, web_asset
from ui.caption import build_caption_tab, example_folder
from ui.clip_sounds import ClipSounds
from ui.compare import build_compare_tab
from ui.corpus_places import CorpusPlaces
from ui.evaluation import build_evaluate_tab
from ui.evaluation_api import build_evaluation_api
from ui.evaluation_jobs import EvaluationJobs
from ui.evaluation_parts import Services
from ui.evaluation_state import EvaluationVisits
from ui.exports import Exports
from ui.inspect import build_inspect_tab
from ui.language import LOCALE_NAMES, LOCALES, Locale, i18n, label, words
from ui.link import LinkSetting
from ui.notice import NOTICE_KEY, build_notice
from ui.run_files import RunFiles
from ui.run_folders import RunFolders, default_runs_folder
from ui.runs import AS_IS, Engine, Runs
from ui.shelf import Shelf
from ui.speech import Recordings
from ui.theme import page_css, theme
from ui.visits import Visits
from ui.wrong_caption import build_wrong_caption, kind_words

__all__ = ["build_page", "launch_settings"]

TITLE = "UGSD Studio"
#: Uploaded files are looked at every … seconds and deleted after … seconds, should a session not have said goodbye.
CACHE_SWEEP_S, CACHE_AGE_S = 300, 3600


def build_page(
    engine: Engine | None,
    *,
    clips: list[ExampleClip] | None = None,
    upload_folder: Path | None = None,
    traces: Path | None = None,
    runs_folder: Path | None = None,
    corpora: Sequence[Path] = (),
    annotating: Annotating | None = None,
    notice: Mapping[Locale, str] | None = None,
    link: Conditions = AS_IS,
) -> gr.Blocks:
    """The page for an engine.

    Args:
        engine: None makes a page on which nothing can be captioned, but every recorded run be looked at.
        clips: Example clips; None takes those in ``assets/examples``.
        upload_folder: Where Gradio keeps uploads; recordings outside it are never deleted.
        traces: Where runs are kept that somebody wants to keep; None is `default_trace_folder`.
        runs_folder: Where evaluations are kept; None is `ui.run_folders.default_runs_folder`.
        corpora: Folders of this machine below which visitors may choose corpora.
        annotating: What the tab *Annotate* works on; None leaves the tab out.
        notice: What visitors are told first, as `ui.notice.read_notice` gives it.
        link: What link to the verifier is emulated until a visitor chooses another.
    """
    clips = example_clips() if clips is None else clips
    shelf, visits = Shelf(TraceStore(traces or default_trace_folder()), ASSETS / "traces"), Visits()
    exports, leaving = Exports(upload_folder), []
    runs = None if engine is None else Runs(engine)
    evaluation = Services(
        RunFolders(runs_folder or default_runs_folder()),
        CorpusPlaces(corpora, uploads=upload_folder),
        EvaluationVisits(),
        RunFiles(upload_folder),
        ClipSounds(upload_folder),
        shelf,
        visits,
        None if runs is None else EvaluationJobs(runs),
        RunQueue() if annotating is None or annotating.trial else InboxRows(annotating.desk),
    )
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(CACHE_SWEEP_S, CACHE_AGE_S), fill_width=True
    ) as page:
        locale = _head(page)
        if notice is not None:
            build_notice()
        with gr.Tabs(selected="caption" if engine else "inspect") as tabs:
            with _tab("caption") as captioning:
                pass
            with _tab("inspect") as inspecting:
                inspect = build_inspect_tab(shelf, visits, exports, locale)
            with _tab("compare") as comparing:
                pass
            with _tab("evaluate") as evaluating:
                evaluate = build_evaluate_tab(evaluation, locale, LinkSetting.of(link))
            if annotating is not None:
                with _tab("annotate"):
                    build_annotate_tab(annotating)
            if runs is None:
                _without_models(captioning, comparing)
            else:
                recordings = Recordings(upload_folder)
                leaving += [runs.stop, recordings.leave]
                with captioning:
                    caption = build_caption_tab(runs, shelf, visits, clips, recordings, locale, LinkSetting.of(link))
                if annotating is not None and not annotating.trial:
                    with caption.below:
                        build_wrong_caption(annotating.desk, shelf, visits, caption.caption, locale)
                with comparing:
                    build_compare_tab(runs, shelf, visits, locale, caption.recording, caption.settings)
        if runs is not None:
            build_api(runs, recordings)
        build_evaluation_api(evaluation, evaluate.start)
        evaluate.wire_page(page, evaluating)
        inspect.wire_page(page, tabs, inspecting, at_once=engine is None)
        _wire_leaving(page, [*leaving, shelf.leave, exports.leave, visits.leave, *evaluation.leaving])
    page.jobs = evaluation.jobs
    page.example_folders = example_folder(clips)
    page.routes = [] if annotating is None else annotation_routes(annotating)
    kinds = kind_words()
    told = {locale: {} if notice is None else {NOTICE_KEY: notice[locale]} for locale in LOCALES}
    page.words = i18n(
        {name: {clip.key: clip.titles[name] for clip in clips} | kinds[name] | told[name] for name in LOCALES}
    )
    return page


def _tab(name: str) -> gr.Tab:
    return gr.Tab(label(f"tab.{name}"), id=name, elem_id=f"tab-{name}")


def _without_models(*tabs: gr.Tab) -> None:
    """Fill tabs that need an engine, where there is none."""
    for tab in tabs:
        with tab, gr.Column(elem_classes="card", min_width=0):
            gr.HTML(
                label("page.no_models"),
                html_template='<p class="message">${value}</p>',
                apply_default_css=False,
                js_on_load=None,
                elem_id=f"no-models-{tab.id}",
            )


def _wire_leaving(page: gr.Blocks, forget: list[Callable[[str], None]]) -> None:
    """Forget a visitor who leaves, everywhere."""

    def leave(request: gr.Request) -> None:
        for part in forget:
            part(request.session_hash or "")

    page.unload(leave)


def _head(page: gr.Blocks) -> gr.Radio:
    """Title and subtitle, and the switch of the page's language, which it gives."""
    with gr.Row(elem_id="head", equal_height=False):
        gr.HTML(
            label("head.subtitle"),
            html_template=f'<header class="head"><h1>{TITLE}</h1><p>${{value}}</p></header>',
            apply_default_css=False,
            js_on_load=web_asset("words.js") + web_asset("gradio_words.js"),
            words=words("gradio.", "tab."),
        )
        locale = gr.Radio(
            LOCALE_NAMES,
            value="en",
            label=label("head.locale"),
            show_label=False,
            container=False,
            min_width=0,
            elem_id="locale",
        )
    page.load(None, None, locale, js="() => window.ugsdLocale.begin()", api_visibility="private")
    locale.input(None, locale, None, js="(locale) => window.ugsdLocale.choose(locale)", api_visibility="private")
    return locale


def launch_settings(page: gr.Blocks) -> dict[str, Any]:
    """What ``launch()`` must be told: our looks and words, and that nothing is recorded or sent anywhere."""
    return {
        "theme": theme(),
        "css": page_css(),
        "head": f"<script>{web_asset('locale.js')}</script>",
        "i18n": page.words,
        "app_kwargs": {"routes": page.routes},
        "footer_links": [],
        "run_history": False,
        "allowed_paths": [str(folder) for folder in page.example_folders],
        "show_error": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "max_file_size": "200mb",
        "quiet": True,
    }
