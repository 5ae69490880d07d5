"""What each gate would do at every threshold: closure against tokens sent and round trips, from records alone.

With ``cut="emotion"`` every emotion position is a block of one token, so that a gate is a score a position, and a
caption costs as many tokens, and as many round trips, as positions pass the threshold. What the edge drafts behind a
replaced token was drafted when the record was made, so that with rank 1 this is what the loop does, position by
position. Under the fused rule a replaced emotion word is taken to be the last word on the matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ugsd_core.calibration.measures import gap_closure, macro_mean, unweighted_recall
from ugsd_core.calibration.outcomes import RANK, Acceptance, Step, steps
from ugsd_core.calibration.records import ClipRecord, PositionRecord

__all__ = ["Curve", "Gate", "Point", "World", "best_within", "curve", "random_gate", "signal_gate"]

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


@dataclass(frozen=True, slots=True)
class _Node:
    """A step of a clip, and the numbers of the steps behind it."""

    clip: int
    step: Step
    then: tuple[int, ...]


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
        self._nodes: list[_Node] = []
        self._roots = [self._lay_out(n, steps(record, acceptance)) for n, record in enumerate(records)]
        self.edge_right = _right([record.edge_label for record in records], records)
        self.cloud_right = _right([record.cloud_label for record in records], records)
        self.edge = macro_mean(self.edge_right, self.corpora)
        self.cloud = macro_mean(self.cloud_right, self.corpora)

    def _lay_out(self, clip: int, left: Sequence[Step]) -> tuple[int, ...]:
        """Number the steps of a clip, those behind replacements too."""
        numbers = []
        for step in left:
            numbers.append(len(self._nodes))
            self._nodes.append(_Node(clip, step, ()))
            self._nodes[numbers[-1]] = _Node(clip, step, self._lay_out(clip, step.then))
        return tuple(numbers)

    def oracles(self) -> dict[str, FloatArray]:
        """Scores of gates that know the verifier's answer, the ceiling of any other: 1 wherever the label changes, or
        only where that mends a wrong one. Their threshold is ½."""
        changes = np.array([node.step.changes for node in self._nodes], dtype=np.float64)
        gold = [self.records[node.clip].label for node in self._nodes]
        mends = [node.step.final == label and label is not None for node, label in zip(self._nodes, gold, strict=True)]
        return {"oracle: the label changes": changes, "oracle: a wrong label is mended": changes * np.array(mends)}

    def scores(self, gate: Gate) -> FloatArray:
        """The gate's score of every position, those behind replacements included; −∞ for what it never sends."""
        found = (gate(self.records[node.clip], node.step.entry) for node in self._nodes)
        return np.array([-math.inf if score is None else score for score in found])

    def run(self, scores: FloatArray, threshold: float) -> Run:
        """Escalate every position whose score exceeds the threshold."""
        passes = (scores > threshold).tolist()
        labels, sent, changed = [], np.zeros(len(self.records)), np.zeros(len(self.records))
        for n, (record, left) in enumerate(zip(self.records, self._roots, strict=True)):
            label, numbers = record.edge_label, list(left)
            while numbers:
                node = self._nodes[number := numbers.pop(0)]
                if not passes[number]:
                    continue
                sent[n] += 1
                if node.step.replaced:
                    changed[n] += node.step.after != label
                    label, numbers = node.step.after, list(node.then)
            labels.append(label)
        return Run(_right(labels, self.records), sent, changed)

    def everything(self) -> Run:
        """Escalate every emotion position."""
        return self.run(np.zeros(len(self._nodes)), -1.0)

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
    finite = scores[scores > -math.inf]
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
