"""Intervals by resampling speakers, and clips within speakers.

A corpus stands for speakers that nobody has heard yet, so its speakers are resampled first (with replacement), then
the clips of each drawn speaker. Corpora are fixed: the macro mean over them is the figure. Every system is read with
the same draws, so that differences are *paired*.

With only two speakers a corpus, as in the development and test splits here, half of the draws take one of them
twice. The interval then shows how unlike the two are, and little of how unlike a third would be: the spread between
k speakers is underestimated by about (k − 1)/k, here by half. Such intervals are a lower bound on what is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "Strata", "draw_weights", "interval", "macro_means", "macro_ratios", "make_strata"]

FloatArray = NDArray[np.float64]
#: Figures of all draws at once: weights (draws, clips) in, values (draws,) out.
Statistic = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class Strata:
    """Which clip belongs to which speaker and corpus.

    Attributes:
        corpora: Names, in order of first appearance.
        corpus: Index into ``corpora`` of each clip, shape (n,).
        speakers: The clips of each speaker, by corpus: ``speakers[c][s]`` are clip numbers.
    """

    corpora: tuple[str, ...]
    corpus: NDArray[np.intp]
    speakers: tuple[tuple[NDArray[np.intp], ...], ...]

    @property
    def n(self) -> int:
        """Clips."""
        return int(self.corpus.size)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval; the bounds are None where no draw gave a figure."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def make_strata(corpora: Sequence[str], speakers: Sequence[str]) -> Strata:
    """Sort clips by corpus and speaker; a clip whose speaker is unknown (an empty name) counts as its own speaker."""
    names = tuple(dict.fromkeys(corpora))
    groups: dict[str, dict[str, list[int]]] = {name: {} for name in names}
    for clip, (corpus, speaker) in enumerate(zip(corpora, speakers, strict=True)):
        groups[corpus].setdefault(speaker or f"\0{clip}", []).append(clip)
    return Strata(
        names,
        np.array([names.index(corpus) for corpus in corpora], dtype=np.intp),
        tuple(tuple(np.array(clips, dtype=np.intp) for clips in groups[name].values()) for name in names),
    )


def draw_weights(strata: Strata, draws: int = 1000, seed: int = 0) -> FloatArray:
    """How often each clip was drawn, shape (draws, n): speakers with replacement, then clips within speakers."""
    random = np.random.default_rng(seed)
    weights = np.zeros((draws, strata.n))
    for speakers in strata.speakers:
        taken = random.multinomial(len(speakers), np.full(len(speakers), 1 / len(speakers)), size=draws)
        for number, clips in enumerate(speakers):
            if clips.size == 1:  # nothing to draw, and corpora of unknown speakers have thousands of these
                weights[:, clips[0]] = taken[:, number]
                continue
            share = np.full(clips.size, 1 / clips.size)
            weights[:, clips] = random.multinomial(taken[:, number] * clips.size, share)
    return weights


def macro_means(values: ArrayLike, strata: Strata, weights: FloatArray) -> FloatArray:
    """Mean over corpora of the weighted means within them, shape (draws,).

    Undefined values (NaN) are left out; a corpus without any defined value in a draw is left out of that draw.
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(numbers)
    filled = np.where(known, numbers, 0.0)
    means = np.full((len(strata.corpora), weights.shape[0]), np.nan)
    for number in range(len(strata.corpora)):
        inside = strata.corpus == number
        total = weights[:, inside] @ known[inside].astype(np.float64)
        drawn = total > 0
        means[number, drawn] = (weights[:, inside] @ filled[inside])[drawn] / total[drawn]
    return _mean_of_known(means)


def macro_ratios(parts: ArrayLike, wholes: ArrayLike, strata: Strata, weights: FloatArray) -> FloatArray:
    """Mean over corpora of ``Σ parts / Σ wholes`` within them (a *pooled* ratio), shape (draws,).

    Undefined entries (NaN) are left out, and so is a corpus whose wholes add up to nothing.
    """
    top, bottom = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    known = ~(np.isnan(top) | np.isnan(bottom))
    ratios = np.full((len(strata.corpora), weights.shape[0]), np.nan)
    for number in range(len(strata.corpora)):
        inside = known & (strata.corpus == number)
        total = weights[:, inside] @ bottom[inside]
        drawn = total > 0
        ratios[number, drawn] = (weights[:, inside] @ top[inside])[drawn] / total[drawn]
    return _mean_of_known(ratios)


def _mean_of_known(rows: FloatArray) -> FloatArray:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(rows)
    count = defined.sum(axis=0)
    means: FloatArray = np.where(count > 0, np.where(defined, rows, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    return means


def interval(statistic: Statistic, strata: Strata, weights: FloatArray) -> Interval:
    """The figure on the clips as they are, and the middle 95 % of its values over the draws."""
    value = float(statistic(np.ones((1, strata.n)))[0])
    drawn = statistic(weights)
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value):
        return Interval(None, None, None, strata.n)
    if drawn.size == 0:
        return Interval(value, None, None, strata.n)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(value, float(low), float(high), strata.n)
