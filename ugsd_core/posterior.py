"""The edge's view of the emotion as it goes to the verifier: nine label probabilities of eight bits each.

Levels are relative to the most probable label: ``round(255 · p / max p)``, so the largest is always 255 and nothing
is lost where it matters, however flat the posterior. A level of 0 stands for anything below half a step. It is read
as a quarter of a step and never as "impossible": rounding on the edge must not veto what the verifier hears.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.lexicon import EMOTION_LABELS

__all__ = ["LEVEL_MAX", "N_LABELS", "dequantise", "is_posterior", "quantise"]

N_LABELS = len(EMOTION_LABELS)
LEVEL_MAX = 255
#: What a level of 0 is read as, in steps: the middle of what it stands for.
_ZERO_LEVEL = 0.25


def quantise(probabilities: NDArray[np.floating[Any]] | Sequence[float]) -> tuple[int, ...]:
    """Levels 0…255 of the label probabilities (9,), in the order of `EMOTION_LABELS`; they need not add up to 1.

    Raises:
        ValueError: If there are not nine of them, or they are negative, not finite or all zero.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (N_LABELS,) or not np.isfinite(values).all() or values.min() < 0.0 or values.max() <= 0.0:
        raise ValueError(f"a label posterior has {N_LABELS} probabilities, not all of them 0")
    return tuple(int(level) for level in np.rint(LEVEL_MAX * (values / values.max())))


def dequantise(levels: Sequence[int]) -> NDArray[np.float64]:
    """Label probabilities (9,) that add up to 1, from levels that `is_posterior` allows."""
    values = np.maximum(np.asarray(levels, dtype=np.float64), _ZERO_LEVEL)
    probabilities: NDArray[np.float64] = values / values.sum()
    return probabilities


def is_posterior(levels: object) -> bool:
    """Whether this is a tuple of nine whole numbers in 0…255, the largest of them 255."""
    return (
        type(levels) is tuple
        and len(levels) == N_LABELS
        and all(type(level) is int and 0 <= level <= LEVEL_MAX for level in levels)
        and max(levels) == LEVEL_MAX
    )
