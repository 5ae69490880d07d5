"""For reviewers: where annotators disagree, how long they take, and how they do on gold items."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.state import AnswerState

__all__ = ["DEFINITIONS", "IDLE_S", "Disagreement", "GoldScore", "Work", "disagreements", "gold_scores", "work"]

#: A pause longer than this is no work: nobody is at the screen.
IDLE_S = 120.0
#: A rate is said from so much active time on; before, it would be one of chance.
RATED_S = 30.0

#: What each figure means, for whoever shows it.
DEFINITIONS: dict[str, str] = {
    "active_s": f"time between an annotator's actions, pauses of more than {IDLE_S:.0f} s left out",
    "per_hour": "captions decided (submitted or skipped) in an hour of active time; one that is revised counts once",
    "median_s": "active time from one decision to the next: half of the captions took less",
    "listened_s": "time spent playing clips, repeats counted",
    "gold_right": "share of gold captions with the expected verdict",
    "gold_flags": "share of gold captions with exactly the expected kinds of flags",
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An item that annotators answered differently.

    Attributes:
        share: Of the pairs of answers, those that differ in the verdict or in a kind of flag; worst first.
        kinds: Flags that some gave and others did not.
        adjudicated: A reviewer has said what the answer is.
    """

    item: str
    answers: tuple[AnswerState, ...]
    verdicts: dict[str, int]
    kinds: tuple[str, ...]
    share: float
    adjudicated: bool


@dataclass(frozen=True, slots=True)
class Work:
    """What an annotator did, and how fast; `DEFINITIONS` says what the figures are.

    Attributes:
        submitted, skipped: In force now.
        flagged: Share of the submitted answers that flag the caption; None without one.
        per_hour, median_s: None before the first decision; the rate, until `RATED_S` of active time too.
    """

    annotator: str
    submitted: int
    skipped: int
    flagged: float | None
    active_s: float
    per_hour: float | None
    median_s: float | None
    listened_s: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GoldScore:
    """How an annotator did on gold items.

    Attributes:
        items: Gold items that the annotator answered.
    """

    annotator: str
    items: int
    gold_right: float
    gold_flags: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def disagreements(tx: Reader, campaign: str) -> list[Disagreement]:
    """Items with two submitted answers or more that differ, the worst first."""
    settled = {state.item for state in tx.golds(campaign) if state.answer is not None}
    by_item: dict[str, list[AnswerState]] = {}
    for state in tx.answers(campaign, status="submitted"):
        by_item.setdefault(state.item, []).append(state)
    found = []
    for item, states in by_item.items():
        said = [_said(state.answer) for state in states]
        pairs = [one != other for one, other in combinations(said, 2)]
        if not any(pairs):
            continue
        every, common = frozenset.union(*(kinds for _, kinds in said)), frozenset.intersection(*(k for _, k in said))
        verdicts = [verdict for verdict, _ in said]
        found.append(
            Disagreement(
                item=item,
                answers=tuple(states),
                verdicts={verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
                kinds=tuple(sorted(every - common)),
                share=sum(pairs) / len(pairs),
                adjudicated=item in settled,
            )
        )
    return sorted(found, key=lambda one: (one.adjudicated, -one.share, one.item))


def work(tx: Reader, campaign: str) -> list[Work]:
    """Time and rate of everybody who did something, by name."""
    deeds: dict[str, list[tuple[str, str]]] = {}
    for annotator, kind, at in tx.deeds(campaign):
        if kind not in ("campaign_created", "item_added", "adjudicated"):
            deeds.setdefault(annotator, []).append((kind, at))
    return [_work(name, deeds[name], tx.answers(campaign, annotator=name)) for name in sorted(deeds)]


def gold_scores(tx: Reader, campaign: str) -> list[GoldScore]:
    """How everybody did who answered a gold item, by name."""
    expected = {item: body["gold"] for item, body in tx.items(campaign) if body.get("gold") is not None}
    scores: dict[str, list[tuple[bool, bool]]] = {}
    for state in tx.answers(campaign, status="submitted"):
        if state.item in expected:
            verdict, kinds = _said(state.answer)
            right, flags = _said(expected[state.item])
            scores.setdefault(state.annotator, []).append((verdict == right, verdict == right and kinds == flags))
    return [
        GoldScore(
            annotator=name,
            items=len(found),
            gold_right=sum(right for right, _ in found) / len(found),
            gold_flags=sum(exact for _, exact in found) / len(found),
        )
        for name, found in sorted(scores.items())
    ]


def _said(answer: Any) -> tuple[str, frozenset[str]]:
    return str(answer["verdict"]), frozenset(flag["kind"] for flag in answer["flags"])


def _work(name: str, deeds: Iterable[tuple[str, str]], states: list[AnswerState]) -> Work:
    active_s, since_s, decisions = 0.0, 0.0, []
    before: datetime | None = None
    for kind, at in deeds:
        now = datetime.fromisoformat(at)
        gap_s = (now - before).total_seconds() if before is not None else 0.0
        before = now
        if 0.0 < gap_s <= IDLE_S:
            active_s += gap_s
            since_s += gap_s
        if kind in ("submitted", "skipped"):
            decisions.append(since_s)
            since_s = 0.0
    verdicts = [state.answer["verdict"] for state in states if state.status == "submitted" and state.answer]
    skipped = sum(state.status == "skipped" for state in states)
    decided = len(verdicts) + skipped
    return Work(
        annotator=name,
        submitted=len(verdicts),
        skipped=skipped,
        flagged=verdicts.count("flag") / len(verdicts) if verdicts else None,
        active_s=round(active_s, 3),
        per_hour=round(decided / active_s * 3_600, 1) if decided and active_s >= RATED_S else None,
        median_s=round(statistics.median(decisions), 3) if decisions else None,
        listened_s=round(sum(state.listened_s for state in states), 3),
    )
