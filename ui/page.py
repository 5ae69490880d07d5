"""The whole page: its head, its tabs, and how it is launched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui.api import build_api
from ui.assets import ExampleClip, example_clips, web_asset
from ui.caption import build_caption_tab, example_folder
from ui.language import LOCALE_NAMES, LOCALES, i18n, label, words
from ui.runs import Engine, Runs
from ui.speech import Recordings
from ui.theme import page_css, theme

__all__ = ["build_page", "launch_settings"]

TITLE = "UGSD Studio"
#: Uploaded files are looked at every … seconds and deleted after … seconds, should a session not have said goodbye.
CACHE_SWEEP_S, CACHE_AGE_S = 300, 3600


def build_page(
    engine: Engine, *, clips: list[ExampleClip] | None = None, upload_folder: Path | None = None
) -> gr.Blocks:
    """The page for an engine.

    Args:
        clips: Example clips; None takes those in ``assets/examples``.
        upload_folder: Where Gradio keeps uploads; recordings outside it are never deleted.
    """
    clips = example_clips() if clips is None else clips
    runs, recordings = Runs(engine), Recordings(upload_folder)
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(CACHE_SWEEP_S, CACHE_AGE_S), fill_width=True
    ) as page:
        locale = _head(page)
        with gr.Tabs(), gr.Tab(label("tab.caption"), id="caption"):
            build_caption_tab(runs, clips, recordings, locale)
        build_api(runs, recordings)
    page.example_folders = example_folder(clips)
    page.words = i18n({locale: {clip.key: clip.titles[locale] for clip in clips} for locale in LOCALES})
    return page


def _head(page: gr.Blocks) -> gr.Radio:
    """Title and subtitle, and the switch of the page's language, which it gives."""
    with gr.Row(elem_id="head", equal_height=False):
        gr.HTML(
            label("head.subtitle"),
            html_template=f'<header class="head"><h1>{TITLE}</h1><p>${{value}}</p></header>',
            apply_default_css=False,
            js_on_load=web_asset("words.js") + web_asset("gradio_words.js"),
            words=words("gradio."),
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
