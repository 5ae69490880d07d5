"""The emulated link of a visitor: its controls, and the badge that says so wherever its figures are shown."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from ugsd_core.errors import OptionError, UgsdError
from ugsd_core.wire.emulated import CONDITIONS, Conditions
from ui.engine_words import problem
from ui.language import Locale, label, say

__all__ = ["OWN", "LinkSetting", "link_badge", "link_controls", "link_note", "link_words"]

#: The choice of figures of one's own; the others are names of `CONDITIONS`.
OWN = "own"
#: In the menu's order.
_NAMES = ("none", "wifi", "4g", "far", "satellite", OWN)


@dataclass(frozen=True, slots=True)
class LinkSetting:
    """The controls' values, in the order of `link_controls`.

    Attributes:
        choice: `OWN`, or a name of `CONDITIONS`.
        rtt_ms, jitter_ms: None counts as 0.
        up_mbps, down_mbps: None does not limit.
    """

    choice: str = "none"
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    up_mbps: float | None = None
    down_mbps: float | None = None

    def conditions(self) -> Conditions:
        """What the link is like.

        Raises:
            OptionError: If a value has no meaning.
        """
        if self.choice != OWN:
            if self.choice not in CONDITIONS:
                raise OptionError(f"a link is one of {', '.join(CONDITIONS)}, or {OWN}, not {self.choice!r}")
            return CONDITIONS[self.choice]
        rates = (None if rate is None else float(rate) for rate in (self.up_mbps, self.down_mbps))
        return Conditions(float(self.rtt_ms or 0), *rates, float(self.jitter_ms or 0))

    @classmethod
    def of(cls, conditions: Conditions) -> LinkSetting:
        """What the controls show for a link."""
        c = conditions
        name = next((name for name in _NAMES if CONDITIONS.get(name) == c), OWN)
        return cls(name) if name != OWN else cls(OWN, c.rtt_ms, c.jitter_ms, c.up_mbps, c.down_mbps)


def link_controls(prefix: str = "", setting: LinkSetting | None = None) -> list[Any]:
    """The controls in the order of `LinkSetting`, below a heading that unfolds them; wired to each other.

    Args:
        prefix: Of the components' names.
        setting: What they show at first.
    """
    import gradio as gr

    first = setting or LinkSetting()
    own = first.choice == OWN
    with gr.Accordion(label("link.title"), open=False, elem_id=f"{prefix}link-settings"):
        choice = gr.Dropdown(
            [(label(f"link.{name}"), name) for name in _NAMES],
            value=first.choice,
            label=label("link.choice"),
            info=label("link.choice.means"),
            elem_id=f"{prefix}link",
            filterable=False,
        )
        with gr.Row(visible=own, elem_id=f"{prefix}link-own") as row:
            numbers = [
                gr.Number(value, label=label(f"link.{name}"), min_width=110, elem_id=f"{prefix}link-{name}")
                for name, value in (
                    ("rtt", first.rtt_ms if own else 100.0),
                    ("jitter", first.jitter_ms if own else 10.0),
                    ("up", first.up_mbps if own else 5.0),
                    ("down", first.down_mbps if own else 20.0),
                )
            ]
    choice.change(
        lambda chosen: gr.update(visible=chosen == OWN), choice, row,
        show_progress="hidden", api_visibility="private", queue=False,
    )  # fmt: skip
    return [choice, *numbers]


def link_words(locale: Locale, link: str) -> str:
    """An emulated link in words; empty for none.

    Args:
        link: As `Conditions` writes it, such as a trace or a manifest has it.
    """
    if not link:
        return ""
    try:
        told = Conditions.parse(link).told
    except UgsdError:  # of a later version
        told = link
    return say(locale, "link.badge", told=told) if told else ""


def link_badge(locale: Locale, link: str, *, key: str = "link.badge.means") -> str:
    """The badge as markup, with what it means; empty for none.

    Args:
        key: Of the sentence behind it.
    """
    text = link_words(locale, link)
    if not text:
        return ""
    means = escape(say(locale, key))
    return f'<details class="link-badge"><summary>{escape(text)}</summary><p>{means}</p></details>'


def link_note(locale: Locale, setting: LinkSetting, *, key: str = "link.badge.next", shown: str | None = None) -> str:
    """The badge of what is chosen, or a sentence why it makes no sense; empty where nothing is emulated.

    Args:
        key: Of the sentence behind the badge.
        shown: A link that stands on the page already, with the figures that were taken over it; once is enough.
    """
    try:
        link = str(setting.conditions())
        return "" if link == shown else link_badge(locale, link, key=key)
    except UgsdError as error:
        return f'<p class="message warn" role="status">{problem(locale, error).html}</p>'
