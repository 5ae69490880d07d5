"""What an evaluation is to do: clips, systems, language; and what it needs of whoever captions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ugsd_core.corpora.clip import Corpus
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.messages import Event
from ugsd_core.options import DecodingOptions

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance

__all__ = ["CaptionSource", "EvaluationPlan", "Step", "System", "SystemKind"]

#: ``random`` is run after the others, because it sends as much as the system it is matched to; an ``oracle`` asks the
#: verifier beforehand.
SystemKind = Literal["plain", "random", "oracle"]


@dataclass(frozen=True, slots=True)
class System:
    """A way to caption, by the name that reports use.

    Attributes:
        matched: Of a random gate: the system whose transmission rate it takes over.
    """

    name: str
    options: DecodingOptions
    kind: SystemKind = "plain"
    matched: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """An evaluation, before it is run.

    Attributes:
        folder: The run folder; an evaluation that was stopped there goes on if the plan is the same.
        limit: At most so many clips, drawn with the seed; None takes all.
        traces: Keep every event stream.
    """

    corpus: Corpus
    language: Literal["en", "zh"]
    systems: tuple[System, ...]
    folder: Path
    seed: int = 0
    limit: int | None = None
    traces: bool = True


class CaptionSource(Protocol):
    """Whoever captions: the command line's own pair, or the page's engine between two visitors."""

    def stream(self, utterance: Utterance, system: System) -> Iterator[Event]:
        """Caption an utterance; closing the iterator cancels."""

    def describe(self) -> dict[str, Any]:
        """Checkpoints and devices, for the manifest."""

    def resources(self) -> dict[str, float | None]:
        """Now: ``edge_cpu_s``, ``verifier_cpu_s`` (processor seconds since each process began), ``edge_rss_mb``,
        ``verifier_rss_mb``, ``gpu_mb``; None where it cannot be measured, as with a verifier elsewhere."""


@dataclass(frozen=True, slots=True)
class Step:
    """One more clip is captioned by one more system.

    Attributes:
        done, total: Captions, those of an earlier run included.
        eta_s: Seconds left at the present speed; None before that can be said.
        line: What was appended; None for the first step, which says where a resumed run stands.
    """

    done: int
    total: int
    eta_s: float | None = None
    line: ClipLine | None = None
