"""The tab *Caption*: speech in, a caption that is seen being decided, and what it cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ugsd_core.errors import AudioError, UgsdError
from ugsd_core.options import SETTING_HELP
from ui.assets import ExampleClip
from ui.components.figures import Timeline, fact_tiles, ledger_table, waterfall
from ui.components.inspector import inspector
from ui.components.token_strip import token_strip
from ui.help import WHAT_AM_I_LOOKING_AT
from ui.runs import Runs
from ui.settings import (
    BLOCK_LENGTHS,
    FUSIONS,
    LANGUAGES,
    LIMIT_HELP,
    LIMITS,
    MODES,
    MODES_HELP,
    Settings,
    acceptance_choices,
    changes_note,
    gate_choices,
    limits_of,
    preset_choices,
    settings_note,
)
from ui.speech import NO_SPEECH, Recordings, describe
from ui.view import RunView, Shown, status_html, tables
from ui.wording import Line

__all__ = ["build_caption_tab"]

_log = logging.getLogger("ugsd.page")
_READY = Line("Record, upload or choose an example, then press Caption.")
_LOADED = Line("Ready: press Caption.")
_SHOW_RESULT = "() => { if (innerWidth <= 760) document.querySelector('#result-card').scrollIntoView(); }"
_STATUS = '<p class="status" role="status" aria-live="polite">${value}</p>'


def build_caption_tab(runs: Runs, clips: list[ExampleClip], recordings: Recordings) -> None:
    """Put the tab's cards into the open Blocks and wire them up."""
    with gr.Row(elem_id="caption-grid", equal_height=False):
        with gr.Column(elem_id="speech-card", elem_classes="card", min_width=0):
            audio, notice, first_30, taken = _speech(clips)
            language, mode = _who()
            with gr.Row(elem_classes="actions"):
                run = gr.Button("Caption", variant="primary", interactive=False, elem_id="run", min_width=0)
                stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop", min_width=0)
            controls, note = _controls()
        with gr.Column(elem_id="result-card", elem_classes="card", min_width=0):
            gr.HTML("<h2>Caption, as it is decided</h2>", apply_default_css=False)
            strip = token_strip("caption", elem_id="strip")
            status = gr.HTML(
                status_html(_READY), html_template=_STATUS, apply_default_css=False, elem_id="status", js_on_load=None
            )
            caption = gr.Textbox(
                label="Finished caption",
                placeholder="Here it can be copied once it is final.",
                lines=2,
                interactive=False,
                buttons=["copy"],
                elem_id="caption-text",
            )
            tiles = gr.HTML(fact_tiles(None), apply_default_css=False, js_on_load=None, elem_id="tiles")
            bars = gr.HTML(waterfall(Timeline()), apply_default_css=False, js_on_load=None, elem_id="waterfall")
            with gr.Accordion("What am I looking at?", open=False, elem_id="help"):
                gr.Markdown(WHAT_AM_I_LOOKING_AT)
        with gr.Column(elem_id="side", min_width=0):
            with gr.Column(elem_id="inspector-card", elem_classes="card", min_width=0):
                inspector("caption", elem_id="inspector")
            figures, ledger = _figures()

    settings = [language, mode, *controls]
    shown = [strip, status, tiles, bars, figures, ledger, caption, run, stop]
    _wire_speech(audio, notice, first_30, taken, run, status, recordings)
    _wire_settings(controls, settings, note, runs)
    _wire_run(audio, taken, settings, shown, run, stop, runs)

    def leave(request: gr.Request) -> None:
        session = request.session_hash or ""
        runs.stop(session)
        recordings.leave(session)

    gr.context.Context.root_block.unload(leave)  # type: ignore[union-attr]


# ── The cards ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _speech(clips: list[ExampleClip]) -> tuple[gr.Audio, gr.HTML, gr.Button, gr.State]:
    gr.HTML("<h2>Speech</h2>", apply_default_css=False)
    audio = gr.Audio(
        sources=["microphone", "upload"],
        type="filepath",
        label="Your recording",
        show_label=False,
        editable=False,
        buttons=[],
        elem_id="audio",
        waveform_options=gr.WaveformOptions(
            waveform_color="#8b8f99", waveform_progress_color="#2f5d8a", show_recording_waveform=True
        ),
    )
    notice = gr.HTML(NO_SPEECH, apply_default_css=False, js_on_load=None, elem_id="speech-note")
    first_30 = gr.Button("Caption the first 30 seconds", visible=False, elem_id="first-30", size="sm")
    taken = gr.State(False)
    if clips:
        gr.HTML('<p class="label">Or try an example</p>', apply_default_css=False)
        with gr.Row(elem_classes="examples"):
            for clip in clips:
                button = gr.Button(clip.label, size="sm", min_width=0, elem_classes="example")
                button.click(
                    lambda path=str(clip.path): path, None, audio, show_progress="hidden", api_visibility="private"
                )
    return audio, notice, first_30, taken


def _figures() -> tuple[gr.HTML, gr.HTML]:
    """The tables of ratios and clocks, and the ledger."""
    with gr.Column(elem_id="figures-card", elem_classes="card", min_width=0):
        figures = gr.HTML(tables(None), apply_default_css=False, js_on_load=None, elem_id="tables")
        ledger = gr.HTML(ledger_table(None), apply_default_css=False, js_on_load=None, elem_id="ledger")
    return figures, ledger


def _who() -> tuple[gr.Radio, gr.Radio]:
    language = gr.Radio(LANGUAGES, value="en", label="Caption language", elem_id="language")
    mode = gr.Radio(MODES, value="ugsd", label="Who decides", info=MODES_HELP, elem_id="mode")
    return language, mode


def _controls() -> tuple[list[Any], gr.HTML]:
    """The controls in the order of `Settings` from ``preset`` on, and the note below the buttons."""
    values = iter(Settings.of_preset("default"))
    limit, budget, promise, tau, rank, gate, cut, acceptance, probability, fusion, block_length, k, bonus = values
    note = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="settings-note")
    name = gr.Dropdown(preset_choices(), value="default", label="Preset", elem_id="preset")
    limiter = gr.Dropdown(LIMITS, value=limit, label="What limits the asking", info=LIMIT_HELP, elem_id="limit")
    sliders = _limit_sliders(limit, budget, promise, tau)
    rank_slider = gr.Slider(
        1, 50, value=rank, step=1, label="Accept within top r", info=SETTING_HELP["rank"], elem_id="rank"
    )
    with gr.Accordion("More settings", open=False, elem_id="more-settings"):
        rest = [
            gr.Dropdown(gate_choices(), value=gate, label="Which blocks are sent", elem_id="gate"),
            gr.Checkbox(cut, label="Emotion words alone", info=SETTING_HELP["cut"], elem_id="cut"),
            gr.Dropdown(acceptance_choices(), value=acceptance, label="A token passes if it is", elem_id="acceptance"),
            gr.Slider(0.01, 1, value=probability, step=0.01, label="p", info=SETTING_HELP["probability"]),
            gr.Dropdown(
                FUSIONS, value=fusion, label="In a fused verdict", info=SETTING_HELP["fusion"], elem_id="fusion"
            ),
            gr.Dropdown(BLOCK_LENGTHS, value=block_length, label="Block length", elem_id="block-length"),
            gr.Slider(1, 16, value=k, step=1, label="k, tokens in a block", info=SETTING_HELP["k"], elem_id="k"),
            gr.Checkbox(bonus, label="Bonus token", info="Take one more token after a block that passed whole."),
        ]
    return [name, limiter, *sliders, rank_slider, *rest], note


def _limit_sliders(limit: str, budget: float, promise: float, tau: float) -> list[gr.Slider]:
    """Budget, promise and τ, of which the one is shown that is in force."""
    return [
        gr.Slider(
            0, 50, value=budget, step=0.5, label="Send at most, % of the drafted tokens", info=SETTING_HELP["budget"],
            elem_id="budget", visible=limit == "budget",
        ),
        gr.Slider(
            1, 50, value=promise, step=1, label="Wrong at most, % of the captions", info=SETTING_HELP["promise"],
            elem_id="promise", visible=limit == "promise",
        ),
        gr.Slider(
            0, 4, value=tau, step=0.05, label="Ask above τ", info=SETTING_HELP["tau"], elem_id="tau",
            visible=limit == "tau",
        ),
    ]  # fmt: skip


# ── What the controls do ──────────────────────────────────────────────────────────────────────────────────────────


def _wire_speech(
    audio: gr.Audio,
    notice: gr.HTML,
    first_30: gr.Button,
    taken: gr.State,
    run: gr.Button,
    status: gr.HTML,
    recordings: Recordings,
) -> None:
    def look(path: str | None, cut: bool) -> tuple[Any, ...]:
        speech = describe(path, first_30_s=cut)
        line = _LOADED if speech.usable else _READY
        return (
            speech.html,
            gr.update(visible=speech.too_long),
            cut,
            gr.update(interactive=speech.usable),
            status_html(line),
        )

    def arrived(path: str | None, request: gr.Request) -> tuple[Any, ...]:
        recordings.hold(request.session_hash or "", path)
        return look(path, False)

    outputs = [notice, first_30, taken, run, status]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    # The button waits for the recording itself, not for the end of recording: it is still on its way then.
    audio.change(arrived, audio, outputs, **quiet)
    first_30.click(lambda path: look(path, True), audio, outputs, **quiet)
    gr.on(
        [audio.start_recording, audio.clear],
        lambda: (NO_SPEECH, gr.update(visible=False), False, gr.update(interactive=False), status_html(_READY)),
        None,
        outputs,
        **quiet,
    )


def _wire_settings(controls: list[Any], settings: list[Any], note: gr.HTML, runs: Runs) -> None:
    def remark(*values: Any) -> str:
        chosen = Settings(*values)
        said = settings_note(chosen, runs.engine.vocabulary_size)
        if said:
            return f'<p class="message warn" role="status">{escape(said)}</p>'
        changed = changes_note(chosen)
        return f'<p class="soft">{escape(changed)}</p>' if changed else ""

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    name, limiter, *sliders = controls[:5]
    name.input(Settings.of_preset, name, controls[1:], **quiet)
    gate = next(control for control in controls if control.elem_id == "gate")
    gr.on([limiter.change, gate.change], _shown_slider, [limiter, gate], sliders, **quiet)
    gr.on([control.change for control in settings], remark, settings, note, **quiet)


def _shown_slider(limit: str, gate: str) -> list[Any]:
    """Show the slider of the limit in force; none for a gate without a score."""
    allowed = limits_of(gate)
    return [gr.update(visible=name == limit and name in allowed) for name in ("budget", "promise", "tau")]


def _wire_run(
    audio: gr.Audio,
    taken: gr.State,
    settings: list[Any],
    shown: list[Any],
    run: gr.Button,
    stop: gr.Button,
    runs: Runs,
) -> None:
    def start(request: gr.Request, path: str | None, cut: bool, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Caption a recording; yields the page's values while it is written."""
        session = request.session_hash or ""
        try:
            from ugsd_core.audio import load_utterance

            if not path:
                raise AudioError("There is no recording yet; record, upload or choose one.", "missing")
            options = Settings(*values).options()
            utterance = load_utterance(path, first_30_s=cut)
        except UgsdError as error:
            yield _values(Shown(status=status_html(Line(str(error), "bad"))), running=False)
            return
        view = RunView()
        yield _values(Shown(strip=view.strip.state(), caption=""), running=True)
        for update in runs.caption(session, utterance, options):
            if update.error is not None and not isinstance(update.error, UgsdError):
                _log.error("a caption failed", exc_info=update.error)
            yield _values(view.feed(update), running=True)
        yield _values(Shown(), running=False)

    def cancel(request: gr.Request) -> None:
        runs.stop(request.session_hash or "")

    run.click(
        start,
        [audio, taken, *settings],
        shown,
        show_progress="hidden",
        trigger_mode="once",
        concurrency_limit=16,  # runs take their turns themselves, and say how many are ahead
        api_name="caption",
    )
    # On a phone the result lies below the controls; go there.
    run.click(None, None, None, js=_SHOW_RESULT, api_visibility="private")
    stop.click(cancel, None, None, queue=False, show_progress="hidden", api_visibility="private")


def _values(shown: Shown, *, running: bool) -> tuple[Any, ...]:
    parts = (shown.strip, shown.status, shown.tiles, shown.waterfall, shown.tables, shown.ledger, shown.caption)
    buttons = (gr.update(interactive=not running), gr.update(interactive=running))
    return (*(gr.skip() if part is None else part for part in parts), *buttons)


def example_folder(clips: list[ExampleClip]) -> list[Path]:
    """Folders that the page must be allowed to serve for the clips."""
    return sorted({clip.path.parent for clip in clips})
