"""All scores of a set of captions with intervals: what ``ugsd score`` prints and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ugsd_core.bootstrap import draw_weights, make_strata
from ugsd_core.metrics.registry import METRICS
from ugsd_core.metrics.score import CaptionPair, FloatArray, MetricScore
from ugsd_core.paired import compare, score_interval

__all__ = ["ScoreSheet", "clip_rows", "comparison", "metric_rows", "sheet_weights"]


@dataclass(frozen=True, slots=True)
class ScoreSheet:
    """Scores and how they were resampled.

    Attributes:
        by_speaker: Speakers were drawn, then their clips; otherwise clips.
    """

    language: str
    pairs: tuple[CaptionPair, ...]
    scores: Mapping[str, MetricScore]
    weights: FloatArray
    seed: int
    by_speaker: bool

    def to_dict(self, *, clips: bool) -> dict[str, Any]:
        """Plain values, with those of every clip if asked for."""
        found: dict[str, Any] = {
            "language": self.language,
            "n": len(self.pairs),
            "draws": int(self.weights.shape[0]),
            "seed": self.seed,
            "resampled": "speakers, then clips" if self.by_speaker else "clips",
            "metrics": metric_rows(self.scores, self.weights),
        }
        return found | ({"clips": list(clip_rows(self.pairs, self.scores))} if clips else {})


def sheet_weights(speakers: Sequence[str], draws: int, seed: int) -> FloatArray:
    """Counts of every clip in every draw, shape (draws, n); a clip of an unknown speaker counts as its own speaker."""
    return draw_weights(make_strata([""] * len(speakers), speakers), draws, seed)


def metric_rows(scores: Mapping[str, MetricScore], weights: FloatArray) -> dict[str, dict[str, Any]]:
    """Metric to ``value``, ``low``, ``high``, ``n``, ``unit``, ``better``, ``definition``, ``signature``, ``reason``.

    ``reason`` says why there is no value, and is None where there is one.
    """
    return {
        name: score_interval(score, weights).to_dict()
        | {
            "unit": METRICS[name].unit,
            "better": METRICS[name].better,
            "definition": METRICS[name].definition,
            "signature": score.signature,
            "reason": None if score.corpus is not None else f"n/a (needs {METRICS[name].needs})",
        }
        for name, score in scores.items()
    }


def clip_rows(pairs: Sequence[CaptionPair], scores: Mapping[str, MetricScore]) -> Iterator[dict[str, Any]]:
    """One object a clip: its id and its value of every metric, None where that has no meaning."""
    for number, pair in enumerate(pairs):
        yield {"id": pair.id} | {name: score.per_clip[number] for name, score in scores.items()}


def comparison(
    ours: Mapping[str, MetricScore], theirs: Mapping[str, MetricScore], weights: FloatArray
) -> dict[str, dict[str, Any]]:
    """Metric to both values and all of `ugsd_core.paired.Paired`, ours less theirs."""
    return {
        name: {"value": score.corpus, "against": theirs[name].corpus} | compare(score, theirs[name], weights).to_dict()
        for name, score in ours.items()
    }
