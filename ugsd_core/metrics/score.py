"""What every metric takes and gives.

A metric is a function of pairs and language. Beside its value it gives *statistics*: one row of numbers a clip, whose
sum over clips is all that the corpus value needs (`MetricScore.aggregate`). Resampling clips is then a matrix product,
and no text is ever read twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Aggregate", "CaptionPair", "FloatArray", "MetricScore", "mean_score"]

FloatArray = NDArray[np.float64]
#: Sums of statistics, shape (m, s), to corpus values, shape (m,); NaN where a value has no meaning.
Aggregate = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class CaptionPair:
    """A caption and what people wrote about the same recording.

    Attributes:
        references: At least one for metrics that compare texts; may be empty where there is a label.
        label: The recording's own emotion label, if its corpus has one.
    """

    id: str
    hypothesis: str
    references: tuple[str, ...]
    label: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MetricScore:
    """The value of a metric.

    Attributes:
        name: A key of `ugsd_core.metrics.METRICS`.
        corpus: None where the metric has no meaning on these pairs (too few clips, no labels …).
        per_clip: None for a clip on which it has no meaning.
        signature: Everything another needs to get the same number: library, version, tokenizer, smoothing …
        statistics: Shape (n, s); a clip on which the metric has no meaning is a row of zeros.
        aggregate: ``aggregate(statistics.sum(axis=0, keepdims=True))[0]`` is ``corpus``.
    """

    name: str
    corpus: float | None
    per_clip: tuple[float | None, ...]
    signature: str
    statistics: FloatArray
    aggregate: Aggregate


def _mean(sums: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: FloatArray = np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
    return mean


def mean_score(name: str, per_clip: tuple[float | None, ...], signature: str) -> MetricScore:
    """A metric whose corpus value is the mean over the clips on which it has a meaning."""
    statistics = np.array([(0.0, 0.0) if v is None else (v, 1.0) for v in per_clip], dtype=np.float64).reshape(-1, 2)
    value = _mean(statistics.sum(axis=0, keepdims=True))[0]
    return MetricScore(name, None if np.isnan(value) else float(value), per_clip, signature, statistics, _mean)
