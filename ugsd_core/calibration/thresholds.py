"""Thresholds of a score for budgets and promises, and how they fare on speakers they were not chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ugsd_core.calibration.conformal import SEND_ALL, CaptionScores, Coverage, coverage, promise_threshold
from ugsd_core.calibration.fit import Score
from ugsd_core.calibration.measures import corpus_weights
from ugsd_core.calibration.outcomes import Acceptance, asked_everywhere
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.errors import OptionError

__all__ = [
    "BUDGETS",
    "PROMISES",
    "BudgetCheck",
    "budget_threshold",
    "caption_scores",
    "check_budgets",
    "check_promises",
]

BUDGETS: tuple[float, ...] = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2)
PROMISES: tuple[float, ...] = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2)


def caption_scores(records: Sequence[ClipRecord], score: Score, acceptance: Acceptance) -> list[CaptionScores]:
    """The escalations of every caption with their scores.

    An escalation that another leads to is made only if both pass, so its score is the lower one.
    """
    found = []
    for record in records:
        asked = asked_everywhere(record, acceptance)
        scores = tuple(min(score.of_signals(entry.signals) for entry in chain) for chain, _ in asked)
        found.append(CaptionScores(record.speaker or f"\0{record.id}", scores, tuple(flag for _, flag in asked)))
    return found


def budget_threshold(records: Sequence[ClipRecord], captions: Sequence[CaptionScores], budget: float) -> float:
    """The lowest threshold that sends at most a share ρ of the drafted tokens; corpora count alike.

    It lies half way between two scores. Where all positions together stay within the budget it is `SEND_ALL`.
    """
    weights = corpus_weights([record.corpus for record in records])
    drafted = np.array([len(record.tokens.token_id) for record in records], dtype=np.float64)
    left = budget * float(weights @ drafted) + 1e-9
    scores = sorted(
        ((value, float(weight)) for caption, weight in zip(captions, weights, strict=True) for value in caption.scores),
        reverse=True,
    )
    levels = sorted({value for value, _ in scores}, reverse=True)
    for number, level in enumerate(levels):
        left -= sum(weight for value, weight in scores if value == level)
        if left < 0.0:
            return (level + levels[number - 1]) / 2 if number else level
    return SEND_ALL


@dataclass(frozen=True, slots=True)
class BudgetCheck:
    """What a budget's threshold, chosen on the other speakers, sends of one speaker's tokens."""

    speaker: str
    budget: float
    rho: float


Refit = Callable[[Sequence[ClipRecord]], Score]


def _others(records: Sequence[ClipRecord]) -> list[tuple[str, list[ClipRecord], list[ClipRecord]]]:
    """Each speaker with the records of the others and its own; nothing where there is only one."""
    names = list(dict.fromkeys(record.speaker for record in records if record.speaker))
    found = []
    for name in names if len(names) > 1 else ():
        others = [record for record in records if record.speaker != name]
        found.append((name, others, [record for record in records if record.speaker == name]))
    return found


def check_budgets(
    records: Sequence[ClipRecord], refit: Refit, acceptance: Acceptance, budgets: Sequence[float]
) -> list[BudgetCheck]:
    """Leave one speaker out: fit and choose on the others, count what is sent of that one's tokens."""
    checks = []
    for name, others, own in _others(records):
        try:
            score = refit(others)
        except OptionError:  # nothing changes among the others
            continue
        seen, new = caption_scores(others, score, acceptance), caption_scores(own, score, acceptance)
        drafted = sum(len(record.tokens.token_id) for record in own)
        for budget in budgets:
            threshold = budget_threshold(others, seen, budget)
            sent = sum(value > threshold for caption in new for value in caption.scores)
            checks.append(BudgetCheck(name, budget, sent / drafted))
    return checks


def check_promises(
    records: Sequence[ClipRecord], refit: Refit, acceptance: Acceptance, promises: Sequence[float]
) -> dict[float, list[Coverage]]:
    """Leave one speaker out: fit and choose on the others, and see what the promise is worth for that one."""
    checks: dict[float, list[Coverage]] = {alpha: [] for alpha in promises}
    for name, others, own in _others(records):
        try:
            score = refit(others)
        except OptionError:
            continue
        seen, new = caption_scores(others, score, acceptance), caption_scores(own, score, acceptance)
        for alpha in promises:
            threshold = promise_threshold(seen, alpha)
            if threshold is not None:
                checks[alpha].append(coverage(new, threshold, alpha, name))
    return checks
