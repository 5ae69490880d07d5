"""Level and remaining time while the microphone records; it ends the recording at the cap.

All of it happens in the browser (``assets/web/meter.js``): nothing is sent while somebody speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ugsd_core.audio import MAX_DURATION_S
from ui.assets import web_asset
from ui.language import words

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["meter"]

#: Seconds before the longest length at which a recording is ended: the recorder began a moment before the meter.
MARGIN_S = 0.2


def meter(control: str) -> gr.HTML:
    """The meter of an audio control.

    Args:
        control: CSS selector of the control.
    """
    import gradio as gr

    return gr.HTML(
        value="",
        html_template=(
            '<p class="meter-live" role="timer" hidden><span class="meter-time"></span>'
            '<b class="meter" aria-hidden="true"><i></i></b></p>'
        ),
        js_on_load=web_asset("words.js") + web_asset("meter.js"),
        apply_default_css=False,
        words=words("meter."),
        control=control,
        cap_s=MAX_DURATION_S - MARGIN_S,
        elem_id="meter",
    )
