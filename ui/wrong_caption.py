"""“This caption is wrong”, on the tab *Caption*: a visitor's word on a finished caption lands in the inbox campaign.

The recording is kept only if the visitor ticks that it may be; the box is empty at first. Without it the caption, the
run (which holds no sound) and what was written are kept, under a code by which the visitor can have it deleted.
"""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ugsd_core.acoustic import SAMPLE_RATE_HZ
from ugsd_core.annotations import inbox
from ugsd_core.annotations.events import new_event_id
from ugsd_core.annotations.media import Sound
from ugsd_core.annotations.taxonomy import default_taxonomy
from ugsd_core.errors import TraceError, UgsdError
from ugsd_core.trace_store import trace_name
from ui.annotation.desk import Desk
from ui.engine_words import told
from ui.language import LOCALES, Locale, label, say
from ui.shelf import Run, Shelf
from ui.visits import Visits

__all__ = ["build_wrong_caption", "kind_words"]

_log = logging.getLogger("ugsd.page")
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
_SAID = '<p class="status" role="status" aria-live="polite">${value}</p>'
#: Characters of each field; together with the kind they stay below the inbox' limit for a remark.
FIELD_LIMIT = 450


@dataclass(frozen=True, slots=True)
class Report:
    """What the form holds."""

    kind: str | None
    corrected: str
    note: str
    keep_audio: bool

    @property
    def remark(self) -> str:
        """As it is kept with the caption."""
        parts = (self.kind or "", self.corrected and f"should read: {self.corrected}", self.note)
        return "\n".join(part.strip()[:FIELD_LIMIT] for part in parts if part and part.strip())


def kind_words() -> dict[Locale, dict[str, str]]:
    """Names of the kinds of flags, for the words of the page."""
    return {
        locale: {f"wrong.kind.{kind.id}": kind.name.get(locale, kind.name["en"]) for kind in default_taxonomy().kinds}
        for locale in LOCALES
    }


def build_wrong_caption(desk: Desk, shelf: Shelf, visits: Visits, caption: gr.Textbox, locale: gr.Radio) -> None:
    """Put button and form into the open column and wire them up.

    Args:
        caption: The finished caption; the button is there while it has a text.
    """
    wrong = gr.Button(label("wrong.open"), size="sm", visible=False, elem_id="wrong-open", min_width=0)
    event_id = gr.State("")
    with gr.Column(visible=False, elem_id="wrong-card", min_width=0) as card:
        choices = [(gr.I18n()(f"wrong.kind.{kind.id}"), kind.id) for kind in default_taxonomy().kinds]
        kind = gr.Radio(choices, label=label("wrong.kind"), elem_id="wrong-kind")
        text: dict[str, Any] = {"lines": 2, "max_length": FIELD_LIMIT}
        corrected = gr.Textbox(label=label("wrong.corrected"), elem_id="wrong-corrected", **text)
        note = gr.Textbox(label=label("wrong.note"), elem_id="wrong-note", **text)
        consent = gr.Checkbox(
            False, label=label("wrong.consent"), info=label("wrong.consent.means"), elem_id="wrong-consent"
        )
        with gr.Row(elem_classes="actions"):
            send = gr.Button(label("wrong.send"), variant="primary", size="sm", elem_id="wrong-send", min_width=0)
            cancel = gr.Button(label("wrong.cancel"), size="sm", elem_id="wrong-cancel", min_width=0)
    said = gr.HTML(
        "", html_template=_SAID, apply_default_css=False, js_on_load=None, visible=False, elem_id="wrong-said"
    )
    fields, empty = [kind, corrected, note, consent], (None, "", "", False)

    def appeared(finished: str) -> tuple[Any, ...]:
        """Another caption, or none any more: what was begun for the last one goes."""
        return gr.update(visible=bool(finished)), gr.update(visible=False), gr.update(visible=False), *empty

    def opened() -> tuple[Any, ...]:
        return gr.update(visible=False), gr.update(visible=True), gr.update(visible=False), new_event_id()

    def sent(request: gr.Request, spoken: Locale, event: str, *values: Any) -> tuple[Any, ...]:
        try:
            code = _keep(desk, _last_run(shelf, visits, request.session_hash or ""), event, Report(*values))
        except UgsdError as error:
            reason = told(spoken, str(error)).text
            return gr.skip(), gr.skip(), gr.update(value=say(spoken, "wrong.failed", reason=reason), visible=True)
        key = "wrong.sent.audio" if values[-1] else "wrong.sent"
        line = say(spoken, key) + (" " if spoken == "en" else "") + say(spoken, "wrong.code", code=code)
        return gr.update(visible=False), gr.update(visible=False), gr.update(value=line, visible=True)

    caption.change(appeared, caption, [wrong, card, said, *fields], **_QUIET)
    wrong.click(opened, None, [wrong, card, said, event_id], **_QUIET)
    cancel.click(appeared, caption, [wrong, card, said, *fields], **_QUIET)
    send.click(sent, [locale, event_id, *fields], [wrong, card, said], trigger_mode="once", **_QUIET)


def _last_run(shelf: Shelf, visits: Visits, session: str) -> Run:
    """The finished run that stands on the visitor's page.

    Raises:
        TraceError: If there is none any more.
    """
    view = visits.of(session).view
    if view is None or not view.finished:
        raise TraceError("the caption is not here any more; make it again and then tell us")
    return shelf.find(session, trace_name(view.events))


def _keep(desk: Desk, run: Run, event_id: str, report: Report) -> str:
    """Put the caption into the inbox; returns the visitor's code.

    Raises:
        AnnotationError: If it can't be kept.
    """
    code = "visitor-" + hashlib.sha256(event_id.encode()).hexdigest()[:12]  # the same, should it be sent twice
    audio = _sound(run) if report.keep_audio and run.samples is not None else None
    inbox.add(
        desk.store,
        desk.media,
        event_id=event_id,
        caption=run.caption,
        language=run.start.language,
        events=run.events,
        remark=report.remark,
        system=str(run.start.mode),
        audio=audio,
        keep_audio=report.keep_audio,
        by=code,
    )
    _log.info("a visitor sent a caption in%s", " with the recording" if audio else "")
    return code


def _sound(run: Run) -> Sound:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, run.samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return Sound(file.getvalue(), ".wav")
