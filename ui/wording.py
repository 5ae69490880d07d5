"""The status line: what happens, and why nothing or something went wrong, in one or two plain sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ugsd_core.messages import (
    BlockEscalated,
    BlockJudged,
    BlockKept,
    BlockUnverified,
    CaptionFinished,
    CaptionStarted,
    Event,
    FeaturesReady,
    PrefillDone,
    TokenDecided,
    TokenDrafted,
    VerifierLost,
    VerifierReady,
)

__all__ = ["Line", "Narrator", "plural", "queue_line", "reason_clause"]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence for the status line.

    Attributes:
        tone: ``"calm"``, ``"busy"``, ``"warn"`` or ``"bad"``.
    """

    text: str
    tone: str = "calm"


def plural(number: int, noun: str) -> str:
    """``1 block``, ``2 blocks``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def reason_clause(reason: str) -> str:
    """A reason as it may stand in brackets: no full stop, no line breaks."""
    return " ".join(reason.split()).rstrip(".")


def queue_line(ahead: int) -> Line:
    """What a visitor reads whose caption waits for others."""
    if ahead <= 0:
        return Line("Starting …", "busy")
    whose = "One caption is" if ahead == 1 else f"{ahead} captions are"
    return Line(f"{whose} being written before yours; it begins by itself.", "busy")


@dataclass(slots=True)
class Narrator:
    """Folds events into the status line."""

    mode: str = "ugsd"
    doing: str = "Starting …"
    options: dict[str, Any] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    threshold: float | None = None
    kept: int = 0
    sent: int = 0
    changed: int = 0
    unverified: int = 0
    lost: str | None = None
    missed: str | None = None
    finished: CaptionFinished | None = None

    def feed(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case CaptionStarted():
                self.mode, self.options, self.doing = event.mode, event.options, "Listening to the recording …"
            case FeaturesReady():
                self.doing = "Reading the recording …" if self.mode == "edge" else "Reaching the verifier …"
            case VerifierReady() | VerifierLost() if not self.sent:
                self.doing = "Reading the recording …"
                self.lost = getattr(event, "reason", None)
            case PrefillDone():
                self.doing = "The verifier is writing …" if self.mode == "cloud" else "Drafting on this machine …"
            case TokenDrafted():
                self.doing = "Drafting on this machine …"
            case BlockKept():
                self.kept += 1
                self._score(event.score, event.threshold)
            case BlockEscalated():
                self.sent += 1
                self._score(event.score, event.threshold)
                self.doing = f"Asking the verifier about {plural(event.length, 'token')}: {event.reason}."
            case BlockJudged():
                self.changed += event.changed
                self.doing = "Drafting on this machine …"
            case BlockUnverified():
                self.missed = event.reason
            case TokenDecided(state="unverified"):
                self.unverified += 1
            case VerifierLost():
                self.lost = event.reason
            case CaptionFinished():
                self.finished = event
            case _:
                pass

    def _score(self, score: float | None, threshold: float | None) -> None:
        if score is not None and threshold is not None:
            self.scores.append(score)
            self.threshold = threshold

    def line(self) -> Line:
        """The line for the events so far."""
        trouble = self._trouble()
        if self.finished is None:
            return Line(f"{trouble} The draft goes on.", "warn") if trouble else Line(self.doing, "busy")
        text = trouble or self._outcome()
        if self.finished.reason == "max_length":
            text += " The caption reached its greatest length and was cut there."
        return Line(text, "warn" if trouble else "calm")

    def stopped(self) -> Line:
        """The line after the Stop button."""
        return Line("Stopped. What stands here is not a finished caption.", "warn")

    def _trouble(self) -> str | None:
        tokens = f"{plural(self.unverified, 'token')} {'is' if self.unverified == 1 else 'are'} unverified"
        if self.lost is not None:
            verb = "stopped answering" if self.sent else "could not be reached"
            told = f"The verifier {verb}; {tokens if self.unverified else 'the rest is the draft alone'}"
            return f"{told} ({reason_clause(self.lost)})."
        if self.unverified:
            return f"The verifier did not answer in time; {tokens} ({reason_clause(self.missed or '')})."
        return None

    def _outcome(self) -> str:
        if self.mode == "edge":
            return "Finished on this machine alone; nothing was sent."
        if self.mode == "cloud":
            return "Finished. The verifier wrote the whole caption from the acoustic code."
        if self.sent:
            blocks = plural(self.kept + self.sent, "block")
            return f"Finished. The verifier was asked about {self.sent} of {blocks} and changed {self._what_changed()}."
        if self.scores and self.threshold is not None and self.options.get("gate") != "random":
            return (
                f"Finished. No block passed the threshold, {self.threshold:.2g}; the highest was "
                f"{max(self.scores):.2g}. Nothing was asked."
            )
        if str(self.options.get("gate", "")).startswith("emotion"):
            return "Finished. No block held an emotion word, so nothing was asked."
        return "Finished. No block asked for the verifier."

    def _what_changed(self) -> str:
        if not self.changed:
            return "nothing"
        if self.changed == self.sent:
            return "it" if self.sent == 1 else "all of them"
        return f"{self.changed} of them"
