"""The inspector: everything known of the token that is pointed at, in words, bars and figures.

It has no value of its own. The strip of the same *scope* tells it which token (an event in the browser), so that
looking at a token needs no request; the drawing is ``assets/web/inspector.js``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ugsd_core.lexicon import EMOTION_LABELS
from ui.assets import web_asset
from ui.language import words

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["inspector"]


def inspector(scope: str, **settings: Any) -> gr.HTML:
    """The component for the strip of a scope."""
    import gradio as gr

    return gr.HTML(
        value="",
        html_template='<div class="inspector" role="region" aria-live="polite"></div>',
        js_on_load=web_asset("words.js") + web_asset("inspector.js"),
        apply_default_css=False,
        words=words("state.", "inspect.", "label.", "strip."),
        labels=list(EMOTION_LABELS),
        scope=scope,
        **settings,
    )
