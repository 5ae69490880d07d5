"""Intervals of a metric, and two systems compared on the same clips.

Everything here resamples the cached statistics of a `MetricScore` with the counts of
`ugsd_core.bootstrap.draw_weights`: clips, or speakers and then their clips. No text is read again, and all metrics and
systems are read with the same draws.

The paired bootstrap is the one of sacreBLEU (Koehn 2004, with the p-value of Riezler and Maxwell 2005): in every draw
the difference of the two systems is taken, the differences are shifted so that their mean is zero, and *p* is the
share of draws whose shifted difference is at least as large as the observed one, either way:
``(count + 1) / (draws + 1)``. sacreBLEU counts only what is strictly larger, which calls a system significantly
different from itself.

The minimum detectable effect is the true difference that such a test (two-sided, α = .05) finds with probability .8:
``(z(.975) + z(.8)) · s = 2.802 · s`` with *s* the standard deviation of the drawn differences.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ugsd_core.bootstrap import Interval
from ugsd_core.metrics.score import FloatArray, MetricScore

__all__ = ["MDE_FACTOR", "Paired", "compare", "drawn_values", "score_interval"]

#: z(.975) + z(.8) of the standard normal distribution.
MDE_FACTOR = 1.959963984540054 + 0.8416212335729143


@dataclass(frozen=True, slots=True)
class Paired:
    """System *a* less system *b* on the clips where the metric has a meaning for both.

    Attributes:
        difference: Of the corpus values; None where one of them has none.
        low, high: The middle 95 % of the drawn differences; None where no draw gave one.
        p: Two-sided; small if the clips as a sample make a difference of zero unlikely.
        n: Clips that were compared.
        mde: The smallest true difference that this many clips show with probability .8 at α = .05.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    mde: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values."""
        return asdict(self)


def drawn_values(score: MetricScore, weights: FloatArray) -> FloatArray:
    """The corpus value in every draw, shape (draws,); NaN where a draw has none.

    Args:
        weights: How often each clip was drawn, shape (draws, n).
    """
    return score.aggregate(weights @ score.statistics)


def score_interval(score: MetricScore, weights: FloatArray) -> Interval:
    """The corpus value with the middle 95 % of its values over the draws; ``n`` is the clips that have a value."""
    n = sum(value is not None for value in score.per_clip)
    if score.corpus is None:
        return Interval(None, None, None, n)
    low, high = _middle(drawn_values(score, weights))
    return Interval(score.corpus, low, high, n)


def compare(a: MetricScore, b: MetricScore, weights: FloatArray) -> Paired:
    """The difference ``a - b`` of two systems on the same clips, in the same order.

    Args:
        weights: How often each clip was drawn, shape (draws, n); the same for all comparisons of a report.

    Raises:
        ValueError: If the two are not of one metric, or not of the same clips.
    """
    if a.name != b.name or len(a.per_clip) != len(b.per_clip):
        raise ValueError(f"only one metric of the same clips can be compared, not {a.name} with {b.name}")
    shared = np.array(
        [x is not None and y is not None for x, y in zip(a.per_clip, b.per_clip, strict=True)], dtype=bool
    )
    n = int(shared.sum())
    own = (weights * shared) if n < shared.size else weights
    real = float((_sum(a, shared) - _sum(b, shared))[0])
    if not np.isfinite(real):
        return Paired(None, None, None, None, n, None)
    drawn = drawn_values(a, own) - drawn_values(b, own)
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size < 2:
        return Paired(real, None, None, None, n, None)
    low, high = _middle(drawn)
    # A tolerance, because two ways to the same number may differ in its last bits.
    larger = np.abs(drawn - drawn.mean()) >= abs(real) - 1e-12
    p = (int(larger.sum()) + 1) / (drawn.size + 1)
    return Paired(real, low, high, p, n, MDE_FACTOR * float(drawn.std(ddof=1)))


def _sum(score: MetricScore, shared: FloatArray) -> FloatArray:
    return score.aggregate(shared.astype(np.float64)[None, :] @ score.statistics)


def _middle(drawn: FloatArray) -> tuple[float | None, float | None]:
    """The middle 95 % of what is a number."""
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        return None, None
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
