"""Figures of merit: pure functions of arrays, tested against scikit-learn and by hand.

*Weights* give each clip or position its say; `corpus_weights` makes corpora count alike, whatever their size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["auroc", "corpus_weights", "expected_calibration_error", "gap_closure", "macro_mean", "unweighted_recall"]

FloatArray = NDArray[np.float64]


def _floats(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def auroc(scores: ArrayLike, positive: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        scores: Shape (n,).
        positive: Shape (n,), true or false.
        weights: Shape (n,), none negative; all 1 by default.

    Returns:
        None if there are only positives or only negatives.
    """
    values, is_positive = _floats(scores), np.asarray(positive, dtype=bool)
    mass = np.ones_like(values) if weights is None else _floats(weights)
    _, level = np.unique(values, return_inverse=True)
    n_levels = int(level.max()) + 1 if level.size else 0
    up = np.bincount(level, weights=mass * is_positive, minlength=n_levels)
    down = np.bincount(level, weights=mass * ~is_positive, minlength=n_levels)
    pairs = float(up.sum() * down.sum())
    if pairs <= 0.0:
        return None
    below = np.cumsum(down) - down
    return float(np.dot(up, below + 0.5 * down)) / pairs


def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> float | None:
    """Mean gap between predicted and observed share over bins that hold equally many predictions (equal mass).

    Args:
        probabilities: Predicted, shape (n,), in 0…1.
        outcomes: What happened, shape (n,), true or false.
        bins: At most; fewer predictions make fewer bins.

    Returns:
        None without predictions.
    """
    predicted, happened = _floats(probabilities), _floats(outcomes)
    if predicted.size == 0:
        return None
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, min(bins, predicted.size))
    gaps = [abs(float(predicted[part].mean() - happened[part].mean())) * part.size for part in parts]
    return sum(gaps) / predicted.size


def corpus_weights(corpora: Sequence[str]) -> FloatArray:
    """One weight an entry, shape (n,): every corpus has the same sum, and the mean weight is 1."""
    names, which, counts = np.unique(np.asarray(corpora, dtype=object), return_inverse=True, return_counts=True)
    weights: FloatArray = len(corpora) / (len(names) * counts[which].astype(np.float64))
    return weights


def macro_mean(values: ArrayLike, corpora: Sequence[str]) -> float | None:
    """Mean over corpora of the means within them; undefined values (NaN) and corpora without any other are left out."""
    numbers, names = _floats(values), np.asarray(corpora, dtype=object)
    means = [numbers[(names == name) & ~np.isnan(numbers)] for name in dict.fromkeys(corpora)]
    known = [float(part.mean()) for part in means if part.size]
    return float(np.mean(known)) if known else None


def unweighted_recall(right: ArrayLike, labels: Sequence[str]) -> float | None:
    """Mean over labels of the share named right (UAR, balanced accuracy)."""
    return macro_mean(right, labels)


def gap_closure(value: float, edge: float, cloud: float) -> float | None:
    """``(value − edge) / (cloud − edge)``: 0 is the edge alone, 1 the verifier alone; None without a gap."""
    gap = cloud - edge
    return (value - edge) / gap if abs(gap) > 1e-12 else None
