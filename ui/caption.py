"""The tab *Caption*: speech in, a caption that is seen being decided, and what it cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ugsd_core.errors import UgsdError
from ui.assets import ExampleClip
from ui.components.inspector import inspector
from ui.components.meter import meter
from ui.components.strip_wire import token_strip, wire_value
from ui.controls import language_and_mode, rests, setting_controls, wire_controls
from ui.language import Locale, label
from ui.link import LinkSetting, link_controls
from ui.runs import Runs
from ui.settings import Settings
from ui.shelf import Shelf
from ui.speech import Recordings, describe
from ui.view import RunView, Shown, error_line, figures, status_html
from ui.visits import Visit, Visits

__all__ = ["CaptionTab", "build_caption_tab"]

_log = logging.getLogger("ugsd.page")
_SHOW_RESULT = "() => { if (innerWidth <= 760) document.querySelector('#result-card').scrollIntoView(); }"
_STATUS = '<p class="status" role="status" aria-live="polite">${value}</p>'


@dataclass(frozen=True, slots=True)
class CaptionTab:
    """What other tabs take from this one.

    Attributes:
        recording: The recording, and whether only its first 30 s are wanted.
        settings: The controls in the order of `Settings`.
        caption: The finished caption.
        below: Room below it.
    """

    recording: list[Any]
    settings: list[Any]
    caption: gr.Textbox
    below: gr.Column


def build_caption_tab(
    runs: Runs,
    shelf: Shelf,
    visits: Visits,
    clips: list[ExampleClip],
    recordings: Recordings,
    locale: gr.Radio,
    link: LinkSetting | None = None,
) -> CaptionTab:
    """Put the tab's cards into the open Blocks and wire them up.

    Args:
        shelf: Where whole runs are put.
        locale: The switch of the page's language.
        link: What link is emulated until a visitor chooses another.
    """
    nothing = figures("en")
    with gr.Row(elem_id="caption-grid", equal_height=False):
        with gr.Column(elem_id="speech-card", elem_classes="card", min_width=0):
            audio, notice, first_30, taken = _speech(clips)
            language, mode = language_and_mode()
            with gr.Row(elem_classes="actions"):
                run = gr.Button(label("control.run"), variant="primary", interactive=False, elem_id="run", min_width=0)
                stop = gr.Button(label("control.stop"), variant="stop", interactive=False, elem_id="stop", min_width=0)
            controls, note = setting_controls()
            links = link_controls(setting=link)
        with gr.Column(elem_id="result-card", elem_classes="card", min_width=0):
            _text("result.title", "<h2>${value}</h2>")
            strip = token_strip("caption", elem_id="strip")
            status = _html(status_html(Visit().line("en")), "status", html_template=_STATUS)
            badge = _html("", "link-badge")
            caption = gr.Textbox(
                label=label("result.caption"),
                placeholder=label("result.caption.hint"),
                lines=2,
                interactive=False,
                buttons=["copy"],
                elem_id="caption-text",
            )
            with gr.Column(elem_id="below-caption", min_width=0) as below:
                pass
            tiles = _html(nothing["tiles"], "tiles")
            bars = _html(nothing["waterfall"], "waterfall")
            with gr.Accordion(label("result.help"), open=False, elem_id="help"):
                gr.Markdown(label("help"))
        with gr.Column(elem_id="side", min_width=0):
            with gr.Column(elem_id="inspector-card", elem_classes="card inspector-card", min_width=0):
                inspector("caption", elem_id="inspector")
            with gr.Column(elem_id="figures-card", elem_classes="card", min_width=0):
                numbers = _html(nothing["tables"], "tables")
                ledger = _html(nothing["ledger"], "ledger")

    settings = [language, mode, *controls, *links]
    drawn = [tiles, bars, numbers, ledger]
    _wire_speech(audio, notice, first_30, taken, run, status, locale, recordings, visits)
    wire_controls(controls, settings, note, badge, locale, runs, lambda session: visits.of(session).link)
    shown = [strip, status, *drawn, caption, badge, run, stop]
    _wire_run([audio, taken, locale, *settings], shown, runs, shelf, visits)
    _wire_locale(locale, language, [notice, status, *drawn], visits)

    return CaptionTab([audio, taken], settings, caption, below)


# ── The cards ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _html(value: str, elem_id: str, **settings: Any) -> gr.HTML:
    """Markup that is made here and will be made again."""
    return gr.HTML(value, apply_default_css=False, js_on_load=None, elem_id=elem_id, **settings)


def _text(key: str, template: str) -> gr.HTML:
    """A text that the browser puts into its language."""
    return gr.HTML(label(key), html_template=template, apply_default_css=False, js_on_load=None)


def _speech(clips: list[ExampleClip]) -> tuple[gr.Audio, gr.HTML, gr.Button, gr.State]:
    _text("speech.title", "<h2>${value}</h2>")
    audio = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        label=label("speech.audio"),
        show_label=False,
        editable=False,
        buttons=[],
        elem_id="audio",
        waveform_options=gr.WaveformOptions(
            waveform_color="#8b8f99", waveform_progress_color="#2f5d8a", show_recording_waveform=True
        ),
    )
    meter("#audio")
    notice = _html(Visit().speech.html("en"), "speech-note")
    first_30 = gr.Button(label("control.first_30"), visible=False, elem_id="first-30", size="sm")
    taken = gr.State(False)
    if clips:
        _text("speech.examples", '<p class="label">${value}</p>')
        with gr.Row(elem_classes="examples"):
            for clip in clips:
                # The titles come with the clips; `build_page` adds them to the words of the page.
                button = gr.Button(gr.I18n()(clip.key), size="sm", min_width=0, elem_classes="example")
                button.click(
                    lambda path=str(clip.path): path, None, audio, show_progress="hidden", api_visibility="private"
                )
    return audio, notice, first_30, taken


# ── What they do ──────────────────────────────────────────────────────────────────────────────────────────────────

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}


def _wire_speech(
    audio: gr.Audio,
    notice: gr.HTML,
    first_30: gr.Button,
    taken: gr.State,
    run: gr.Button,
    status: gr.HTML,
    locale: gr.Radio,
    recordings: Recordings,
    visits: Visits,
) -> None:
    def look(path: str | None, cut: bool, spoken: Locale, request: gr.Request) -> tuple[Any, ...]:
        visit = visits.of(request.session_hash or "")
        visit.hears(describe(path, first_30_s=cut))
        return (
            visit.speech.html(spoken),
            gr.update(visible=visit.speech.too_long),
            cut,
            gr.update(interactive=visit.speech.usable),
            status_html(visit.line(spoken)),
        )

    def arrived(path: str | None, spoken: Locale, request: gr.Request) -> tuple[Any, ...]:
        recordings.hold(request.session_hash or "", path)
        return look(path, False, spoken, request)

    def shortened(path: str | None, spoken: Locale, request: gr.Request) -> tuple[Any, ...]:
        return look(path, True, spoken, request)

    def gone(spoken: Locale, request: gr.Request) -> tuple[Any, ...]:
        return look(None, False, spoken, request)

    outputs = [notice, first_30, taken, run, status]
    # The button waits for the recording itself, not for the end of recording: it is still on its way then.
    audio.change(arrived, [audio, locale], outputs, **_QUIET)
    first_30.click(shortened, [audio, locale], outputs, **_QUIET)
    gr.on([audio.start_recording, audio.clear], gone, locale, outputs, **_QUIET)


def _wire_run(inputs: list[Any], shown: list[Any], runs: Runs, shelf: Shelf, visits: Visits) -> None:
    """Caption a recording; a whole run is put on the shelf.

    Args:
        inputs: The recording, whether its first 30 s are wanted, the page's language, and the settings.
        shown: What `_values` gives values for.
    """

    def start(
        request: gr.Request, path: str | None, cut: bool, spoken: Locale, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Caption a recording; yields the page's values while it is written."""
        session = request.session_hash or ""
        visit = visits.of(session)
        try:
            from ugsd_core.audio import load_utterance

            chosen = Settings(*values)
            options, link = chosen.options(), chosen.conditions()
            utterance = load_utterance(path or "", first_30_s=cut)
        except UgsdError as error:
            visit.line = partial(error_line, error=error)
            yield _values(Shown(status=status_html(visit.line(spoken))))
            return
        visit.view = view = RunView(spoken)
        yield _values(Shown(strip=view.strip.state(), caption=""), begins=True)
        for update in runs.caption(session, utterance, options, link):
            if update.error is not None and not isinstance(update.error, UgsdError):
                _log.error("a caption failed", exc_info=update.error)
            visit.shows(view)
            yield _values(view.feed(update))
        if view.finished:
            visit.latest = shelf.put(session, view.events, utterance.samples).name

    def cancel(request: gr.Request) -> None:
        runs.stop(request.session_hash or "")

    *_, run, stop = shown
    captioning = run.click(
        start,
        inputs,
        shown,
        show_progress="hidden",
        trigger_mode="once",
        concurrency_limit=16,  # runs take their turns themselves, and say how many are ahead
        api_visibility="private",  # programs call ui.api
    )
    rests(captioning, run, stop)
    # On a phone the result lies below the controls; go there.
    run.click(None, None, None, js=_SHOW_RESULT, api_visibility="private")
    stop.click(cancel, None, None, **_QUIET)


def _values(shown: Shown, *, begins: bool = False) -> tuple[Any, ...]:
    """Values of all that `_wire_run` shows; the buttons turn at the beginning, and back when all has ended."""
    strip = None if shown.strip is None else wire_value(shown.strip)
    parts = (strip, shown.status, shown.tiles, shown.waterfall, shown.tables, shown.ledger, shown.caption, shown.badge)
    run, stop = (gr.update(interactive=False), gr.update(interactive=True)) if begins else (gr.skip(), gr.skip())
    return (*(gr.skip() if part is None else part for part in parts), run, stop)


def _wire_locale(locale: gr.Radio, language: gr.Radio, outputs: list[gr.HTML], visits: Visits) -> None:
    """Say again in another language what was put into words here.

    Args:
        language: That of the caption; at first the page's.
        outputs: The recording's note, the status line, and what `figures` makes.
    """

    def translate(spoken: Locale, request: gr.Request) -> tuple[str, ...]:
        visit = visits.of(request.session_hash or "")
        drawn = figures(spoken) if visit.view is None else visit.view.translate(spoken)
        return visit.speech.html(spoken), status_html(visit.line(spoken)), *drawn.values()

    locale.change(translate, locale, outputs, **_QUIET)
    root = gr.context.Context.root_block
    root.load(None, None, language, js="() => window.ugsdLocale.current()", api_visibility="private")  # type: ignore[union-attr]


def example_folder(clips: list[ExampleClip]) -> list[Path]:
    """Folders that the page must be allowed to serve for the clips."""
    return sorted({clip.path.parent for clip in clips})
