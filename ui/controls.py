"""The controls of the caption tab: who decides, and by what settings; and what they do to each other."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from ui.language import LOCALE_NAMES, Locale, label
from ui.link import link_note
from ui.runs import Runs
from ui.settings import (
    Settings,
    acceptance_choices,
    block_length_choices,
    changes_note,
    fusion_choices,
    gate_choices,
    limit_choices,
    limits_of,
    mode_choices,
    preset_choices,
    settings_note,
)

__all__ = ["language_and_mode", "rests", "setting_controls", "wire_controls"]

_PRESS_AGAIN = "() => [true, false].map((interactive) => ({ __type__: 'update', interactive }))"


def language_and_mode() -> tuple[gr.Radio, gr.Radio]:
    """The first two of `Settings`. The language is the caption's; the page's own is a switch in its head."""
    language = gr.Radio(LOCALE_NAMES, value="en", label=label("control.language"), elem_id="language")
    mode = gr.Radio(
        mode_choices(), value="ugsd", label=label("control.mode"), info=label("control.mode.means"), elem_id="mode"
    )
    return language, mode


def setting_controls() -> tuple[list[Any], gr.HTML]:
    """The controls in the order of `Settings` from ``preset`` on, and the note below the buttons."""
    values = iter(Settings.of_preset("default"))
    limit, budget, promise, tau, rank, gate, cut, acceptance, probability, fusion, block_length, k, bonus = values
    note = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="settings-note")
    name = _menu("preset", preset_choices(), "default")
    limiter = _menu("limit", limit_choices(), limit, info=label("control.limit.means"))
    sliders = [
        _slider("budget", 0, 50, 0.5, budget, visible=limit == "budget"),
        _slider("promise", 1, 50, 1, promise, visible=limit == "promise"),
        _slider("tau", 0, 4, 0.05, tau, visible=limit == "tau"),
    ]
    rank_slider = _slider("rank", 1, 50, 1, rank)
    with gr.Accordion(label("control.more"), open=False, elem_id="more-settings"):
        rest = [
            _menu("gate", gate_choices(), gate),
            gr.Checkbox(cut, label=label("control.cut"), info=label("setting.cut"), elem_id="cut"),
            _menu("acceptance", acceptance_choices(), acceptance),
            _slider("probability", 0.01, 1, 0.01, probability),
            _menu("fusion", fusion_choices(), fusion, info=label("setting.fusion")),
            _menu("block_length", block_length_choices(), block_length, info=label("control.block_length.means")),
            _slider("k", 1, 16, 1, k),
            gr.Checkbox(bonus, label=label("control.bonus"), info=label("control.bonus.means"), elem_id="bonus"),
        ]
    return [name, limiter, *sliders, rank_slider, *rest], note


def _menu(name: str, choices: list[tuple[Any, Any]], value: Any, **settings: Any) -> gr.Dropdown:
    identity = name.replace("_", "-")
    return gr.Dropdown(choices, value=value, label=label(f"control.{name}"), elem_id=identity, **settings)


def _slider(name: str, low: float, high: float, step: float, value: float, *, visible: bool = True) -> gr.Slider:
    """A slider with the engine's own help."""
    return gr.Slider(
        low,
        high,
        value=value,
        step=step,
        label=label(f"control.{name}"),
        info=label(f"setting.{name}"),
        elem_id=name,
        visible=visible,
    )


def wire_controls(
    controls: list[Any],
    settings: list[Any],
    note: gr.HTML,
    badge: gr.HTML,
    locale: gr.Radio,
    runs: Runs,
    link_shown: Callable[[str], str | None],
) -> None:
    """Make a preset move the controls, the limit show its slider, and the note say what is to be said.

    Args:
        controls: What `setting_controls` gave.
        settings: All controls in the order of `Settings`.
        badge: Says what link will be emulated, while that is not what the figures below it say.
        link_shown: The link of the run that a session is shown; None without one.
    """

    def remark(spoken: Locale, *values: Any) -> str:
        chosen = Settings(*values)
        said = settings_note(chosen, runs.engine.vocabulary_size, spoken)
        if said is not None:
            return f'<p class="message warn" role="status">{said.html}</p>'
        changed = changes_note(chosen, spoken)
        return f'<p class="soft">{escape(changed)}</p>' if changed else ""

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    name, limiter, *sliders = controls[:5]
    # Not `input`, which Gradio's lists tell of whenever they lose the focus: whoever went past this one with the
    # keyboard would lose all that they set. The same preset chosen again puts its settings back.
    chosen = [name.change, name.select]
    gr.on(chosen, Settings.of_preset, name, controls[1:], trigger_mode="always_last", **quiet)
    gate = next(control for control in controls if control.elem_id == "gate")
    gr.on([limiter.change, gate.change], _shown_slider, [limiter, gate], sliders, **quiet)
    gr.on([control.change for control in [locale, *settings]], remark, [locale, *settings], note, **quiet)

    def link(request: gr.Request, spoken: Locale, *values: Any) -> str:
        chosen = Settings(*values)
        shown = link_shown(request.session_hash or "")
        return "" if chosen.mode == "edge" else link_note(spoken, chosen.link_setting, shown=shown)

    mode = settings[1]
    links = [control for control in settings if (control.elem_id or "").startswith("link")]
    gr.on([control.change for control in [locale, mode, *links]], link, [locale, *settings], badge, **quiet)
    gr.context.Context.root_block.load(link, [locale, *settings], badge, **quiet)  # type: ignore[union-attr]


def rests(event: Any, start: gr.Button, stop: gr.Button) -> None:
    """Let the start button be pressed again, and the stop button no more, when an event has really ended.

    The event itself can't do it: the browser still takes it for running when its last values have arrived, and would
    drop a press at that moment without a word.
    """
    for ended in (event.then, event.failure):
        ended(None, None, [start, stop], js=_PRESS_AGAIN, show_progress="hidden", api_visibility="private")


def _shown_slider(limit: str, gate: str) -> list[Any]:
    """Show the slider of the limit in force; none for a gate without a score."""
    allowed = limits_of(gate)
    return [gr.update(visible=name == limit and name in allowed) for name in ("budget", "promise", "tau")]
