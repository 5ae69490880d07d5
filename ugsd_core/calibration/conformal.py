"""A promise: "in at most α of the captions an emotion stays that the verifier would have changed".

Conformal risk control (Angelopoulos et al., arXiv 2208.02814): the loss of a caption is 1 if an emotion position at
which the verifier would change the meaning was not escalated, else 0. It never falls as the threshold rises, so the
highest threshold t with

    n / (n + 1) · R̂(t) + 1 / (n + 1) ≤ α                                                            (their eq. 4, B = 1)

over n calibration captions keeps the expected loss of the next caption at α or below, **if that caption is exchangeable
with the calibration captions**. Captions of one speaker resemble each other more than those of another, so for a new
speaker the promise is not a theorem; `check_speakers` says how far it holds and where it fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "SEND_ALL",
    "CaptionScores",
    "Coverage",
    "check_speakers",
    "coverage",
    "loss_scores",
    "promise_threshold",
    "risk",
    "wilson",
]

#: A threshold below every score, since scores are above 0: every emotion position is escalated.
SEND_ALL = 0.0


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """The emotion positions of one caption.

    Attributes:
        scores: The gate's score of each.
        changed: Whether the verifier would change the meaning there.
    """

    speaker: str
    scores: tuple[float, ...]
    changed: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a promise fared on one speaker (or on all of them).

    Attributes:
        risk: Share of captions in which an emotion stayed that the verifier would have changed.
        low, high: 95 % Wilson interval of the risk over captions.
        fails: The whole interval lies above the promise.
    """

    speaker: str
    n: int
    risk: float
    low: float
    high: float
    fails: bool


def loss_scores(captions: Sequence[CaptionScores]) -> NDArray[np.float64]:
    """The lowest score at which each caption has something to lose, shape (n,): its loss is 1 from there on.

    Infinite for a caption in which the verifier changes no meaning.
    """
    return np.array(
        [
            min((s for s, changed in zip(c.scores, c.changed, strict=True) if changed), default=math.inf)
            for c in captions
        ]
    )


def risk(losses_from: ArrayLike, threshold: float) -> float:
    """R̂: share of captions whose loss is 1 when positions with a score above the threshold are escalated."""
    return float((np.asarray(losses_from, dtype=np.float64) <= threshold).mean())


def promise_threshold(captions: Sequence[CaptionScores], alpha: float) -> float | None:
    """The threshold that keeps the promise α with the fewest escalations.

    Returns:
        `SEND_ALL` if nothing less will do; None if not even that can be promised from so few captions (α < 1/(n+1)).
    """
    n = len(captions)
    allowed = math.floor(alpha * (n + 1) - 1 + 1e-9)  # captions that may lose: n·R̂ ≤ α(n+1) − 1
    if n == 0 or allowed < 0:
        return None
    losses = np.sort(loss_scores(captions))
    if allowed >= n or not math.isfinite(losses[allowed]):
        return max((score for caption in captions for score in caption.scores), default=1.0)
    # Everything from the first forbidden loss on must be sent; half way to the next lower score, so that a score
    # that differs in its last digit on another machine is still on the same side.
    first = float(losses[allowed])
    below = [score for caption in captions for score in caption.scores if score < first]
    return (max(below) + first) / 2 if below else SEND_ALL


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a share."""
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def coverage(captions: Sequence[CaptionScores], threshold: float, alpha: float, name: str) -> Coverage:
    """How a threshold fares on captions that it was not chosen on."""
    losses = loss_scores(captions)
    hits, n = int((losses <= threshold).sum()), len(captions)
    low, high = wilson(hits, n)
    return Coverage(name, n, hits / n if n else 0.0, low, high, low > alpha)


def check_speakers(captions: Sequence[CaptionScores], alpha: float) -> list[Coverage]:
    """Leave one speaker out: choose the threshold on the others, and look at what the promise is worth for that one.

    Speakers for whom the others are too few to promise anything are left out.
    """
    checked = []
    for speaker in dict.fromkeys(caption.speaker for caption in captions):
        others = [caption for caption in captions if caption.speaker != speaker]
        threshold = promise_threshold(others, alpha)
        if threshold is not None:
            own = [caption for caption in captions if caption.speaker == speaker]
            checked.append(coverage(own, threshold, alpha, speaker))
    return checked
