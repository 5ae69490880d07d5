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
from ui.engine_words import told
from ui.language import Locale, count, say, sentences

__all__ = ["Line", "Narrator", "queue_line"]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence for the status line.

    Attributes:
        tone: ``"calm"``, ``"busy"``, ``"warn"`` or ``"bad"``.
        english: The part of the text that the engine said in English and that could not be put into another language.
    """

    text: str
    tone: str = "calm"
    english: str = ""


def queue_line(locale: Locale, ahead: int) -> Line:
    """What a visitor reads whose caption waits for others."""
    if ahead <= 0:
        return Line(say(locale, "status.starting"), "busy")
    return Line(say(locale, f"status.ahead.{'one' if ahead == 1 else 'many'}", number=ahead), "busy")


@dataclass(slots=True)
class Narrator:
    """Folds events into what the status line says; in which language is asked for at the end.

    Attributes:
        doing: What is being done, a key ``status.…`` of the tables.
        asked: The block that the verifier is being asked about.
    """

    mode: str = "ugsd"
    doing: str = "starting"
    asked: BlockEscalated | None = None
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
                self.mode, self.options, self.doing = event.mode, event.options, "listening"
            case FeaturesReady():
                self.doing = "reading" if self.mode == "edge" else "reaching"
            case VerifierReady() | VerifierLost() if not self.sent:
                self.doing = "reading"
                self.lost = getattr(event, "reason", None)
            case PrefillDone():
                self.doing = "writing" if self.mode == "cloud" else "drafting"
            case TokenDrafted():
                self.doing = "drafting"
            case BlockKept():
                self.kept += 1
                self._score(event.score, event.threshold)
            case BlockEscalated():
                self.sent += 1
                self._score(event.score, event.threshold)
                self.doing, self.asked = "asking", event
            case BlockJudged():
                self.changed += event.changed
                self.doing = "drafting"
            case BlockUnverified():
                self.missed = event.reason
            case TokenDecided(state="unverified"):
                self.unverified += 1
            case VerifierLost():
                self.lost = event.reason
            case VerifierReady():  # it is back; what it missed meanwhile stays said
                self.lost, self.missed = None, self.lost or self.missed
            case CaptionFinished():
                self.finished = event
            case _:
                pass

    def _score(self, score: float | None, threshold: float | None) -> None:
        if score is not None and threshold is not None:
            self.scores.append(score)
            self.threshold = threshold

    def line(self, locale: Locale) -> Line:
        """The line for the events so far."""
        trouble = self._trouble(locale)
        if self.finished is None:
            if trouble is None:
                return self._doing(locale)
            return Line(sentences(locale, trouble.text, say(locale, "status.goes_on")), "warn", trouble.english)
        said = trouble or Line(self._outcome(locale))
        cut = say(locale, "status.cut") if self.finished.reason == "max_length" else ""
        return Line(sentences(locale, said.text, cut), said.tone, said.english)

    def stopped(self, locale: Locale) -> Line:
        """The line after the Stop button."""
        return Line(sentences(locale, say(locale, "status.stopped"), say(locale, "status.unfinished")), "warn")

    def _doing(self, locale: Locale) -> Line:
        if self.doing != "asking" or self.asked is None:
            return Line(say(locale, f"status.{self.doing}"), "busy")
        block, tokens = self.asked, count(locale, self.asked.length, "token")
        # English has the gate's own words; other languages say the score, where there is one.
        if locale != "en" and block.score is not None and block.threshold is not None:
            score, threshold = f"{block.score:.2g}", f"{block.threshold:.2g}"
            return Line(say(locale, "status.asking.score", tokens=tokens, score=score, threshold=threshold), "busy")
        return _with_reason(locale, "status.asking", block.reason, "busy", tokens=tokens)

    def _trouble(self, locale: Locale) -> Line | None:
        some = "one" if self.unverified == 1 else "many"
        tokens = say(locale, f"status.unverified.{some}", number=self.unverified)
        if self.lost is not None:
            rest = tokens if self.unverified else say(locale, "status.alone")
            return _with_reason(locale, f"status.{'lost' if self.sent else 'unreached'}", self.lost, "warn", rest=rest)
        if self.unverified:
            return _with_reason(locale, "status.late", self.missed or "", "warn", rest=tokens)
        return None

    def _outcome(self, locale: Locale) -> str:
        if self.mode in ("edge", "cloud"):
            return say(locale, f"status.done.{self.mode}")
        if self.sent:
            blocks = count(locale, self.kept + self.sent, "block")
            return say(locale, "status.done.asked", sent=self.sent, blocks=blocks, changed=self._what_changed(locale))
        if self.scores and self.threshold is not None and self.options.get("gate") != "random":
            threshold, highest = f"{self.threshold:.2g}", f"{max(self.scores):.2g}"
            return say(locale, "status.done.below", threshold=threshold, highest=highest)
        if str(self.options.get("gate", "")).startswith("emotion"):
            return say(locale, "status.done.no_emotion")
        return say(locale, "status.done.none")

    def _what_changed(self, locale: Locale) -> str:
        if not self.changed:
            return say(locale, "status.changed.nothing")
        if self.changed == self.sent:
            return say(locale, f"status.changed.{'it' if self.sent == 1 else 'all'}")
        return say(locale, "status.changed.some", number=self.changed)


def _with_reason(locale: Locale, key: str, reason: str, tone: str, **values: str) -> Line:
    """A line with a reason of the engine inside: no line breaks, and no full stop of its own."""
    text, translated = told(locale, " ".join(reason.split()))
    text = text.rstrip(".。")
    return Line(say(locale, key, reason=text, **values), tone, "" if translated else text)
