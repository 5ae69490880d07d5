"""The whole page: its head, its tabs, and how it is launched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui.assets import ExampleClip, example_clips
from ui.caption import build_caption_tab, example_folder
from ui.help import SUBTITLE, TITLE
from ui.runs import Engine, Runs
from ui.speech import Recordings
from ui.theme import page_css, theme

__all__ = ["build_page", "launch_settings"]

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
        gr.HTML(
            f'<header class="head"><h1>{TITLE}</h1><p>{SUBTITLE}</p></header>', apply_default_css=False, js_on_load=None
        )
        with gr.Tabs(), gr.Tab("Caption", id="caption"):
            build_caption_tab(runs, clips, recordings)
    page.example_folders = example_folder(clips)
    return page


def launch_settings(page: gr.Blocks) -> dict[str, Any]:
    """What ``launch()`` must be told: our looks, and that nothing is recorded or sent anywhere."""
    return {
        "theme": theme(),
        "css": page_css(),
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
