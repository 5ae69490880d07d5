"""The tab *Annotate*: people judge captions. All of it is one component; see `ui.annotation` for the server's side."""

from __future__ import annotations

import gradio as gr

from ui.annotation.opening import on_a_space
from ui.annotation.routes import Annotating
from ui.components.annotation_form import annotation_form

__all__ = ["build_annotate_tab"]


def build_annotate_tab(annotating: Annotating) -> None:
    """Put the tab's component into the open Blocks."""
    annotation_form()
    if annotating.entrance.way == "oauth" and on_a_space():
        # Never seen: that it is on the page makes Gradio serve /login/huggingface and keep who came in.
        gr.LoginButton(visible=False)
