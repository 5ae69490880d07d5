"""The caption as it is decided: a chip a token, its colour the draft's entropy, its shape the state.

`StripBuilder` folds events into one JSON value, `token_strip` is the component that shows it; the drawing itself is
``assets/web/token_strip.js``. A token stays where it was drafted: what the verifier refused is struck through and its
correction follows. Chips are addressed by block and position, never by text, and each carries everything an inspector
wants to show.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ugsd_core.gate import own_tau
from ugsd_core.messages import (
    DRAFTED_STATES,
    Alternative,
    BlockEscalated,
    BlockJudged,
    BlockKept,
    BlockUnverified,
    CaptionFinished,
    CaptionStarted,
    Event,
    Signals,
    TokenDecided,
    TokenDrafted,
)
from ui.assets import web_asset

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["LEGEND", "StripBuilder", "empty_strip", "strip_state", "token_strip"]

#: State -> (what it is called on the page, what it means), in the legend's order.
LEGEND: dict[str, tuple[str, str]] = {
    "drafted": ("drafted", "Proposed by the small model on this machine, not yet decided."),
    "waiting": ("waiting", "Its block was sent; the verifier has not answered yet."),
    "kept_local": ("kept here", "The draft was sure enough: committed without asking the verifier."),
    "accepted": ("accepted", "Sent to the verifier, which let it pass."),
    "rejected": ("rejected", "Sent to the verifier, and the first of its block that did not pass."),
    "corrected": ("corrected", "The verifier's own token, put in the rejected one's place."),
    "ignored": ("ignored", "Drafted after the rejected one; never judged, thrown away."),
    "bonus": ("bonus", "The verifier's extra token after a block that passed whole."),
    "unverified": ("unverified", "It should have been verified, but no answer came in time; kept as drafted."),
}

_HINT = "The caption appears here, word by word, while it is decided."


@dataclass(slots=True)
class _Chip:
    """A token on the page; `TokenDrafted` opens it, or `TokenDecided` where the edge drafted nothing."""

    position: int
    block: int
    revision: int
    token_id: int
    text: str
    state: str = "drafted"
    waiting: bool = False
    signals: Signals | None = None
    draft_top: tuple[Alternative, ...] = ()
    verifier_top: tuple[Alternative, ...] = ()
    rank: int | None = None
    probability: float | None = None
    drafted_s: float | None = None
    decided_s: float | None = None
    ends_caption: bool = False
    shown: dict[str, Any] | None = field(default=None, repr=False)


class StripBuilder:
    """Folds events one by one; `state` may be asked for at any time. Not safe for two threads at once."""

    def __init__(self, run: str = "") -> None:
        self._run = run
        self._chips: list[_Chip] = []
        self._drafts: dict[tuple[int, int], _Chip] = {}
        self._reasons: dict[int, str] = {}
        self._options: dict[str, Any] = {}
        self._language = "en"
        self._live = False

    def feed(self, event: Event) -> None:
        """Take the next event; those that do not touch a token pass by."""
        match event:
            case CaptionStarted():
                self._options, self._language, self._live = event.options, event.language, True
            case TokenDrafted():
                chip = _Chip(event.position, event.block, event.revision, event.token_id, event.text)
                chip.signals, chip.draft_top, chip.drafted_s = event.signals, event.top, event.t_s
                self._chips.append(chip)
                self._drafts[(event.block, event.position)] = chip
            case BlockKept():
                self._reasons[event.block] = f"Its block stayed here: {event.reason}."
            case BlockEscalated():
                self._reasons[event.block] = f"Its block was sent: {event.reason}."
                self._wait(event.block, True)
            case BlockUnverified():
                self._reasons[event.block] = f"Its block should have been verified, but {_clause(event.reason)}."
                self._wait(event.block, False)
            case BlockJudged():
                self._wait(event.block, False)
            case TokenDecided():
                self._decide(event)
            case CaptionFinished():
                self._live = False
                last = next((c for c in reversed(self._chips) if c.state not in ("rejected", "ignored")), None)
                if event.reason == "end_of_turn" and last is not None and not last.text:
                    last.ends_caption, last.shown = True, None
            case _:
                pass

    def end(self) -> None:
        """The stream is over, finished or not: nothing waits any more."""
        self._live = False
        for chip in self._chips:
            if chip.waiting:
                chip.waiting, chip.shown = False, None

    def _wait(self, block: int, waiting: bool) -> None:
        for chip in self._chips:
            if chip.block == block and chip.state == "drafted":
                chip.waiting, chip.shown = waiting, None

    def _decide(self, event: TokenDecided) -> None:
        # Corrected and bonus tokens stand where a draft may have stood, but are not that draft.
        chip = self._drafts.pop((event.block, event.position), None) if event.state in DRAFTED_STATES else None
        if chip is None:
            chip = _Chip(event.position, event.block, event.revision, event.token_id, event.text)
            self._chips.append(chip)
        # Bytes of an unfinished character have no text of their own; the last of them brings it.
        chip.text = event.text or chip.text
        chip.state, chip.waiting, chip.shown = event.state, False, None
        chip.rank, chip.probability = event.rank, event.probability
        chip.verifier_top, chip.decided_s = event.top, event.t_s

    def state(self) -> dict[str, Any]:
        """The component's value: plain JSON, complete in itself."""
        tau, scale = _tau_and_scale(self._options)
        only = "emotion words only" if self._options.get("gate") == "emotion_entropy" else ""
        for chip in self._chips:
            if chip.shown is None:
                chip.shown = self._show(chip, scale)
        counts = dict.fromkeys(LEGEND, 0)
        for chip in self._chips:
            counts["waiting" if chip.waiting else chip.state] += 1
        return {
            "run": self._run,
            "language": self._language,
            "mode": self._options.get("mode", "ugsd"),
            "live": self._live,
            "scale_nats": scale,
            "tau": tau,
            "tau_for": only if tau is not None else "",
            "tokens": [chip.shown for chip in self._chips],
            "counts": counts,
            "hint": _HINT,
        }

    def _show(self, chip: _Chip, scale: float) -> dict[str, Any]:
        entropy = chip.signals.entropy_nats if chip.signals else None
        body = chip.text.strip()
        lead, tail = (chip.text[: -len(chip.text.lstrip())], chip.text[len(chip.text.rstrip()) :]) if body else ("", "")
        if body and not chip.text[0].isspace():
            lead = ""
        return {
            "key": f"{chip.block}.{chip.position}.{'v' if chip.state in ('corrected', 'bonus') else 'd'}",
            "position": chip.position,
            "block": chip.block,
            "revision": chip.revision,
            "id": chip.token_id,
            "lead": lead,
            "text": body.replace("\n", "⏎") or ("∎" if chip.ends_caption else "·"),
            "tail": tail,
            "blank": not body,
            "state": chip.state,
            "waiting": chip.waiting,
            "heat": 0.0 if entropy is None else round(min(1.0, entropy / scale), 3),
            "entropy": entropy if entropy is None else round(entropy, 3),
            "margin": None if chip.signals is None else round(chip.signals.margin, 3),
            "rank": chip.rank,
            "draft_top": _pairs(chip.draft_top),
            "verifier_top": _pairs(chip.verifier_top),
            "note": self._note(chip),
        }

    def _note(self, chip: _Chip) -> str:
        name = f"“{chip.text.strip()}”" if chip.text.strip() else "The end of the caption"
        if not chip.text.strip() and not chip.ends_caption:
            name = "A token without text of its own"
        word = "waiting for the verifier" if chip.waiting else LEGEND[chip.state][0]
        parts = [f"{name}: {word}."]
        if chip.rank is not None:
            parts.append(f"For the verifier it was {_ordinal(chip.rank)}{_share(chip.probability)}.")
        if chip.state == "rejected" and chip.verifier_top:
            best = chip.verifier_top[0]
            parts.append(f"It preferred {_quoted(best.text)}{_share(best.probability)}.")
        if chip.signals is not None:
            parts.append(f"Entropy of the draft {chip.signals.entropy_nats:.2f} nats.")
        if chip.block in self._reasons:
            parts.append(self._reasons[chip.block])
        return " ".join(parts)


def strip_state(events: Iterable[Event], run: str = "") -> dict[str, Any]:
    """The component's value after these events."""
    builder = StripBuilder(run)
    for event in events:
        builder.feed(event)
    return builder.state()


def empty_strip(hint: str = _HINT) -> dict[str, Any]:
    """The value before anything was captioned."""
    return {**StripBuilder().state(), "hint": hint}


def token_strip(**settings: Any) -> gr.HTML:
    """The component. Its value is what `strip_state` gives; every later value is drawn over the one before."""
    import gradio as gr

    return gr.HTML(
        value=settings.pop("value", None) or empty_strip(),
        # The markup does not depend on the value, so that Gradio leaves it alone and the script draws into it.
        html_template=(
            '<div class="strip" role="list" aria-label="The caption, token by token"></div>'
            '<p class="strip-hint"></p><p class="strip-note"></p><div class="legend"></div>'
        ),
        js_on_load=web_asset("token_strip.js"),
        apply_default_css=False,
        legend=[{"state": state, "word": word, "means": means} for state, (word, means) in LEGEND.items()],
        **settings,
    )


def _tau_and_scale(options: dict[str, Any]) -> tuple[float | None, float]:
    """τ where the gate compares an entropy, and the entropy that gets the full colour."""
    names = [name for name in str(options.get("gate", "")).split("+") if name in ("entropy", "emotion_entropy")]
    if options.get("mode") == "ugsd" and names and options.get("budget") is None:
        tau = options.get("tau")
        tau = own_tau(names[0]) if tau is None else float(tau)
        return tau, max(2.0, 1.5 * tau)
    return None, 2.0


def _pairs(top: tuple[Alternative, ...]) -> list[list[Any]]:
    return [[entry.text, round(entry.probability, 4)] for entry in top]


def _quoted(text: str) -> str:
    return f"“{text.strip()}”" if text.strip() else "the end of the caption"


def _share(probability: float | None) -> str:
    return "" if probability is None else f" ({100 * probability:.0f} %)"


def _clause(sentence: str) -> str:
    text = sentence.strip().rstrip(".")
    return text[:1].lower() + text[1:] if text else "no answer came"


def _ordinal(number: int) -> str:
    if number == 1:
        return "the first choice"
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"the {number:,}{suffix} choice"
