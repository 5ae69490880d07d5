"""What each gate would do at every threshold: closure against tokens sent and round trips, from records alone.

With ``cut="emotion"`` every emotion position is a block of one token, so that a gate is a score a position, and a
caption costs as many tokens, and as many round trips, as positions pass the threshold. The first escalated position
whose label changes decides the caption: what the edge had drafted behind it is gone. Scores are those of the edge's own
draft, so an escalation that changes only the wording is taken to change nothing after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ugsd_core.calibration.measures import gap_closure, macro_mean, unweighted_recall
from ugsd_core.calibration.outcomes import RANK, Acceptance, label_after
from ugsd_core.calibration.records import ClipRecord, PositionRecord
from ugsd_core.lexicon import EMOTION_LABELS

__all__ = ["Curve", "Gate", "Point", "World", "best_within", "curve", "oracle_gates", "random_gate", "signal_gate"]

FloatArray = NDArray[np.float64]
#: Score of a position under a gate; None never passes.
Gate = Callable[[ClipRecord, PositionRecord], float | None]


def signal_gate(name: str) -> Gate:
    """The gate that compares one signal with τ."""
    return lambda _record, entry: entry.signals.get(name)


def random_gate(seed: int) -> Gate:
    """Random numbers a position, the same for the same seed, clip and position."""

    def score(record: ClipRecord, entry: PositionRecord) -> float:
        key = f"{record.corpus}/{record.id}/{record.language}".encode()
        return float(np.random.default_rng([seed, entry.position, *key]).random())

    return score


def oracle_gates(acceptance: Acceptance) -> dict[str, Gate]:
    """Gates that know the verifier's answer, the ceiling of any other: one asks wherever the label changes, the other
    only where that mends a wrong one."""

    def changes(record: ClipRecord, entry: PositionRecord) -> float:
        return float(label_after(record, entry, acceptance) != record.edge_label)

    def repairs(record: ClipRecord, entry: PositionRecord) -> float:
        return float(changes(record, entry) > 0.0 and label_after(record, entry, acceptance) == record.label)

    return {"oracle: the label changes": changes, "oracle: a wrong label is mended": repairs}


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold of one gate.

    Attributes:
        rho: Tokens sent over tokens drafted, both added up over each corpus, then the mean over corpora.
        trips: Round trips a caption, mean over corpora.
        accuracy: Captions that name the clip's label, mean over corpora; None without labels.
        recall: Unweighted recall, mean over corpora.
        useful: Escalations that change the label, of all escalations.
        closure: Share of the edge-to-cloud gap in accuracy.
    """

    threshold: float
    rho: float
    trips: float
    accuracy: float | None
    recall: float | None
    useful: float | None
    closure: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """A gate at several thresholds, from few tokens sent to many."""

    gate: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What one threshold does to each clip, all shape (n,).

    Attributes:
        right: Whether the caption names the clip's label; NaN where the label is unknown.
        sent: Tokens sent, which here are round trips too.
        changed: How many of them changed the label.
    """

    right: FloatArray
    sent: FloatArray
    changed: FloatArray


class World:
    """Records laid out for one acceptance rule, so that a threshold costs a pass over arrays.

    Args:
        records: Of one language.
        acceptance: How escalated positions are judged.
    """

    def __init__(self, records: Sequence[ClipRecord], acceptance: Acceptance = RANK) -> None:
        self.records = tuple(records)
        self.acceptance = acceptance
        self.corpora = tuple(record.corpus for record in records)
        self.drafted = np.array([len(record.tokens.token_id) for record in records], dtype=np.float64)
        self._after = [[label_after(record, entry, acceptance) for entry in record.positions] for record in records]
        self.edge_right = _right([record.edge_label for record in records], records)
        self.cloud_right = _right([record.cloud_label for record in records], records)
        self.edge = macro_mean(self.edge_right, self.corpora)
        self.cloud = macro_mean(self.cloud_right, self.corpora)

    def oracles(self) -> dict[str, Gate]:
        """`oracle_gates` of the world's rule."""
        return oracle_gates(self.acceptance)

    def scores(self, gate: Gate) -> list[list[float]]:
        """The gate's score of every position of every clip; −∞ for what it never sends."""
        return [
            [-math.inf if (score := gate(record, entry)) is None else score for entry in record.positions]
            for record in self.records
        ]

    def run(self, scores: Sequence[Sequence[float]], threshold: float) -> Run:
        """Escalate every position whose score exceeds the threshold."""
        labels, sent, changed = [], np.zeros(len(self.records)), np.zeros(len(self.records))
        for n, (record, after, values) in enumerate(zip(self.records, self._after, scores, strict=True)):
            label = record.edge_label
            for value, new in zip(values, after, strict=True):
                if value > threshold:
                    sent[n] += 1
                    if new != record.edge_label:
                        label = new
                        changed[n] += 1
                        break
            labels.append(label)
        return Run(_right(labels, self.records), sent, changed)

    def point(self, run: Run, threshold: float) -> Point:
        """The figures of a run."""
        accuracy = macro_mean(run.right, self.corpora)
        closure = None
        if None not in (accuracy, self.edge, self.cloud):
            closure = gap_closure(accuracy, self.edge, self.cloud)  # type: ignore[arg-type]
        total = float(run.sent.sum())
        return Point(
            threshold,
            self.rate(run.sent),
            macro_mean(run.sent, self.corpora) or 0.0,
            accuracy,
            self.recall(run.right),
            float(run.changed.sum()) / total if total else None,
            closure,
        )

    def rate(self, sent: FloatArray) -> float:
        """ρ: mean over corpora of tokens sent over tokens drafted."""
        names = np.asarray(self.corpora, dtype=object)
        rates = [sent[names == name].sum() / self.drafted[names == name].sum() for name in dict.fromkeys(self.corpora)]
        return float(np.mean(rates))

    def recall(self, right: FloatArray) -> float | None:
        """Mean over corpora of the unweighted recall."""
        names = np.asarray(self.corpora, dtype=object)
        found = []
        for name in dict.fromkeys(self.corpora):
            inside = np.flatnonzero((names == name) & ~np.isnan(right))
            value = unweighted_recall(right[inside], [str(self.records[i].label) for i in inside])
            found += [] if value is None else [value]
        return float(np.mean(found)) if found else None


def _right(labels: Sequence[int | None], records: Sequence[ClipRecord]) -> FloatArray:
    return np.array(
        [math.nan if r.label is None else float(label == r.label) for label, r in zip(labels, records, strict=True)]
    )


def curve(name: str, gate: Gate, world: World, points: int = 40) -> Curve:
    """A gate at thresholds spread evenly over what it sends, from nothing to all it would ever send."""
    scores = world.scores(gate)
    finite = np.array([value for values in scores for value in values if value > -math.inf])
    levels = np.unique(finite)
    if levels.size == 0:
        return Curve(name, ())
    # Between two neighbouring scores lies one threshold for everything above; the lowest sends all.
    cuts = np.concatenate(([levels[0] - 1.0], (levels[1:] + levels[:-1]) / 2, [levels[-1]]))
    sent = np.array([(finite > cut).sum() for cut in cuts])
    wanted = np.linspace(0, finite.size, points + 1)
    chosen = sorted({int(np.abs(sent - n).argmin()) for n in wanted}, reverse=True)
    return Curve(name, tuple(world.point(world.run(scores, float(cuts[i])), float(cuts[i])) for i in chosen))


def best_within(found: Curve, budget: float) -> Point | None:
    """The point that sends the most within a budget ρ; None if even the least is too much."""
    inside = [point for point in found.points if point.rho <= budget + 1e-9]
    return max(inside, key=lambda point: point.rho, default=None)


def label_name(label: int | None) -> str | None:
    """A label's name."""
    return None if label is None else EMOTION_LABELS[label]
