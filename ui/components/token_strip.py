"""The caption as it is decided: a chip a token, its colour the draft's entropy, its shape the state.

`StripBuilder` folds events into one value of plain JSON; `ui.components.strip_wire` has the component that shows it,
and ``assets/web/token_strip.js`` draws. A token stays where it was drafted: what the verifier refused is struck through
and its correction follows. Chips are addressed by block and position, never by text, and each carries everything the
inspector shows. The value holds figures and texts of the run, and the gate's reasons in every language of the page;
sentences are put together where they are drawn.

`frames` cuts a run into what each of its events changed, so that a replay is drawn from the same values as the live
run and ends with the same chips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    PrefillDone,
    Signals,
    TokenDecided,
    TokenDrafted,
)
from ui.engine_words import told
from ui.language import LOCALES

__all__ = ["STATES", "StripBuilder", "empty_strip", "frames", "strip_state"]

#: What a chip can be, in the legend's order. Words and meanings: ``state.…`` in `ui.language`.
STATES: tuple[str, ...] = (
    "drafted", "waiting", "kept_local", "accepted", "rejected", "corrected", "ignored", "bonus", "unverified"
)  # fmt: skip


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
        self._blocks: dict[int, dict[str, Any]] = {}
        self._options: dict[str, Any] = {}
        self._language = "en"
        self._vocabulary = 0
        self._posterior: list[float] | None = None
        self._live = False

    def feed(self, event: Event) -> None:
        """Take the next event; those that do not touch a token pass by."""
        match event:
            case CaptionStarted():
                self._options, self._language, self._live = event.options, event.language, True
                self._vocabulary = event.vocabulary_size
            case PrefillDone(label_posterior=posterior) if posterior is not None:
                self._posterior = [round(value, 4) for value in posterior]
            case TokenDrafted():
                chip = _Chip(event.position, event.block, event.revision, event.token_id, event.text)
                chip.signals, chip.draft_top, chip.drafted_s = event.signals, event.top, event.t_s
                self._chips.append(chip)
                self._drafts[(event.block, event.position)] = chip
            case BlockKept() | BlockEscalated():
                self._blocks[event.block] = _block(event)
                if isinstance(event, BlockEscalated):
                    self._wait(event.block, True)
            case BlockUnverified():
                self._tell(event.block, outcome="unverified", reason=_reason(event.reason))
                self._wait(event.block, False)
            case BlockJudged():
                self._tell(
                    event.block,
                    outcome="judged",
                    changed=event.changed,
                    network=round(event.network_ms, 1),
                    queued=round(event.queued_ms, 1),
                    verify=round(event.verify_ms, 1),
                    merge=round(event.merge_ms, 1),
                )
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

    def _tell(self, block: int, **news: Any) -> None:
        """A block's record is replaced, never changed: an earlier state may still hold the old one."""
        known = self._blocks.get(block) or {"n": block, "start": 0, "length": 0, "score": None, "threshold": None,
                                            "sent": False, "outcome": "open", "reason": _reason(""),
                                            **_NO_TIMES}  # fmt: skip
        self._blocks[block] = known | news

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
        """What is shown: plain JSON, complete in itself. Its tokens and blocks must not be changed.

        ``frames`` is for whoever wants the run to be replayed, ``at`` the frame that is shown first, and ``pin`` the
        key of a token that the inspector shows at once.
        """
        tau, scale = _tau_and_scale(self._options)
        for chip in self._chips:
            if chip.shown is None:
                chip.shown = _show(chip, scale)
        counts = dict.fromkeys(STATES, 0)
        for chip in self._chips:
            counts["waiting" if chip.waiting else chip.state] += 1
        return {
            "run": self._run,
            "language": self._language,
            "mode": self._options.get("mode", "ugsd"),
            "live": self._live,
            "scale_nats": scale,
            "tau": tau,
            "vocabulary": self._vocabulary,
            "posterior": self._posterior,
            "tokens": [chip.shown for chip in self._chips],
            "blocks": {str(number): block for number, block in self._blocks.items()},
            "counts": counts,
            "frames": None,
            "at": None,
            "pin": None,
        }


_NO_TIMES: dict[str, Any] = dict.fromkeys(("draft", "network", "queued", "verify", "merge", "changed"))


def _block(event: BlockKept | BlockEscalated) -> dict[str, Any]:
    sent = isinstance(event, BlockEscalated)
    return {
        "n": event.block,
        "start": event.start,
        "length": event.length,
        "score": event.score if event.score is None else round(event.score, 6),
        "threshold": event.threshold if event.threshold is None else round(event.threshold, 6),
        "sent": sent,
        "outcome": "sent" if sent else "kept",
        "reason": _reason(event.reason),
        **_NO_TIMES,
        "draft": round(event.draft_ms, 1),
    }


def _reason(sentence: str) -> dict[str, str]:
    """What the engine said, in every language of the page."""
    return {locale: told(locale, sentence).text for locale in LOCALES}


def _show(chip: _Chip, scale: float) -> dict[str, Any]:
    signals, body = chip.signals, chip.text.strip()
    lead, tail = (chip.text[: -len(chip.text.lstrip())], chip.text[len(chip.text.rstrip()) :]) if body else ("", "")
    if body and not chip.text[0].isspace():
        lead = ""
    mass = signals.label_mass if signals else None
    return {
        "key": f"{chip.block}.{chip.position}.{'v' if chip.state in ('corrected', 'bonus') else 'd'}",
        "position": chip.position,
        "block": chip.block,
        "revision": chip.revision,
        "id": chip.token_id,
        "raw": chip.text,
        "lead": lead,
        "text": body.replace("\n", "⏎") or ("∎" if chip.ends_caption else "·"),
        "tail": tail,
        "blank": not body,
        "ends": chip.ends_caption,
        "state": chip.state,
        "waiting": chip.waiting,
        "heat": round(min(1.0, signals.entropy_nats / scale), 3) if signals else 0.0,
        "entropy": _rounded(signals and signals.entropy_nats),
        "margin": _rounded(signals and signals.margin),
        "nll": _rounded(signals and signals.nll_nats),
        "mc": _rounded(signals and signals.mc_dropout_nats),
        "label_entropy": _rounded(signals and signals.label_entropy_nats),
        "mass": None if mass is None else [round(value, 4) for value in mass],
        "rank": chip.rank,
        "p": chip.probability if chip.probability is None else round(chip.probability, 4),
        "draft_top": _pairs(chip.draft_top),
        "verifier_top": _pairs(chip.verifier_top),
        "drafted_ms": _milliseconds(chip.drafted_s),
        "decided_ms": _milliseconds(chip.decided_s),
    }


def strip_state(events: Iterable[Event], run: str = "") -> dict[str, Any]:
    """What is shown after these events."""
    builder = StripBuilder(run)
    for event in events:
        builder.feed(event)
    return builder.state()


def frames(events: Sequence[Event]) -> list[dict[str, Any]]:
    """A run for replay: what each event changed, at its own time.

    Returns:
        A frame an event: ``t`` in seconds, ``kind``, ``live``, and the ``tokens`` (by place in the strip) and
        ``blocks`` that are new or other than before. Laid over one another they are `strip_state`.
    """
    builder = StripBuilder()
    tokens: list[dict[str, Any]] = []
    blocks: dict[str, dict[str, Any]] = {}
    found = []
    for event in events:
        builder.feed(event)
        now = builder.state()
        new = {
            str(place): token
            for place, token in enumerate(now["tokens"])
            if place >= len(tokens) or tokens[place] is not token
        }
        told = {number: block for number, block in now["blocks"].items() if blocks.get(number) is not block}
        tokens, blocks = now["tokens"], now["blocks"]
        found.append({"t": event.t_s, "kind": event.kind, "live": now["live"], "tokens": new, "blocks": told})
    return found


def empty_strip() -> dict[str, Any]:
    """The value before anything was captioned."""
    return StripBuilder().state()


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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
