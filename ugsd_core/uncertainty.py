"""How unsure a draft is: pure functions of a distribution over the shared vocabulary.

All logarithms are natural, so entropies and log-likelihoods are in nats. Arrays are numpy: at the sizes of one token
position numpy costs less than a torch dispatch, and the same numbers come out whatever back end drafted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Distribution",
    "distribution",
    "entropy_nats",
    "log_softmax",
    "margin",
    "mutual_information_nats",
    "nll_nats",
    "sample",
    "top_k",
]

FloatArray = NDArray[np.floating[Any]]
_FLOOR = -1e4  # stands for log 0, so that p·log p is 0 and never NaN


def log_softmax(logits: FloatArray) -> FloatArray:
    """Log-probabilities along the last axis; ``-inf`` logits become `_FLOOR`-like finite values."""
    shifted = np.maximum(logits - logits.max(axis=-1, keepdims=True), _FLOOR)
    result: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def entropy_nats(log_probs: FloatArray) -> float:
    """Shannon entropy −Σ p·ln p of one distribution (V,), in 0…ln V."""
    return max(0.0, -float(np.dot(np.exp(log_probs), log_probs)))


def margin(log_probs: FloatArray) -> float:
    """Probability of the best token less that of the second best, of one distribution (V,), V ≥ 2."""
    second, first = np.partition(log_probs, -2)[-2:]
    return float(np.exp(first) - np.exp(second))


def nll_nats(log_probs: FloatArray, token_id: int) -> float:
    """Negative log-likelihood of a token under one distribution (V,)."""
    return max(0.0, -float(log_probs[token_id]))


def mutual_information_nats(log_probs: FloatArray) -> float:
    """Disagreement of S dropout samples (S, V): entropy of the mean less mean of the entropies (BALD).

    Zero when all samples agree, however flat they are; this is the part of the uncertainty that is the model's own.
    """
    probs = np.exp(log_probs)
    mean = probs.mean(axis=0)
    of_mean = -float(np.dot(mean, np.log(np.maximum(mean, 1e-38))))
    mean_of = -float((probs * log_probs).sum(axis=-1).mean())
    return max(0.0, of_mean - mean_of)


def top_k(log_probs: FloatArray, k: int) -> list[tuple[int, float]]:
    """The k most probable tokens of one distribution (V,) as (id, probability), best first, ties by lower id."""
    k = min(k, log_probs.shape[0])
    best = np.argpartition(log_probs, -k)[-k:]
    best = best[np.lexsort((best, -log_probs[best]))]
    return [(int(i), float(p)) for i, p in zip(best, np.exp(log_probs[best]), strict=True)]


@dataclass(frozen=True, slots=True)
class Distribution:
    """One position's distribution with everything the loop reads from it, computed in one pass.

    Attributes:
        scores: Log-probabilities up to a constant, shape (V,); none is above 0.
        log_total: That constant: ``log_probs = scores − log_total``.
        top: (id, probability), best first, at least two.
        entropy_nats: Of the full distribution.
    """

    scores: FloatArray
    log_total: float
    top: tuple[tuple[int, float], ...]
    entropy_nats: float

    @property
    def best(self) -> int:
        """The most probable token; the lower id wins a tie, as in ``argmax``."""
        return self.top[0][0]

    @property
    def margin(self) -> float:
        """Probability of the best token less that of the second best."""
        return self.top[0][1] - self.top[1][1]

    def rank(self, token_id: int) -> int:
        """Rank of a token, 1 for `best`; ties are ranked by id, so that exactly one token has each rank."""
        score = self.scores[token_id]
        above = int(np.count_nonzero(self.scores > score))
        return 1 + above + int(np.count_nonzero(self.scores[:token_id] == score))

    def nll_nats(self, token_id: int) -> float:
        """Negative log-likelihood of a token."""
        best, probability = self.top[0]
        if token_id == best:  # nearly always the one that is asked about
            return max(0.0, -math.log(probability))
        return max(0.0, self.log_total - self.scores.item(token_id))

    def probability(self, token_id: int) -> float:
        """Probability of a token."""
        return math.exp(-self.nll_nats(token_id))


def distribution(logits: FloatArray, k: int) -> Distribution:
    """Read one row of logits (V,): probabilities, top k and entropy.

    Between two forward passes the caches hold the model's weights and nothing of ours, so that the *number* of array
    operations counts, not their length at V = 861; hence one exponentiation and two dot products.
    """
    best = _best(logits, min(max(2, k), logits.shape[0]))
    peak = best[0][0]
    scores = logits - logits.dtype.type(peak)
    weights = np.exp(scores)
    entropy_sum = float(np.dot(weights, scores))
    if not math.isfinite(entropy_sum):  # masked logits: 0 · −inf
        scores = np.maximum(scores, _FLOOR)
        entropy_sum = float(np.dot(weights, scores))
    total = float(np.dot(weights, _ones(len(weights))))
    log_total = math.log(total)
    entropy = max(0.0, log_total - entropy_sum / total)
    top = tuple([(i, math.exp(value - peak) / total) for value, i in best])
    return Distribution(scores, log_total, top, entropy)


def _best(logits: FloatArray, k: int) -> list[tuple[float, int]]:
    """The k largest logits and their ids, best first, ties by lower id.

    ``argmax`` reads a row in a small part of the time that partitioning it takes; k is a handful.
    """
    left = logits.copy()
    best: list[tuple[float, int]] = []
    for _ in range(k):
        i = int(left.argmax())
        best.append((left.item(i), i))
        left[i] = -np.inf
    if best[-1][0] == -np.inf:  # fewer than k tokens are possible at all
        return [(float(logits[i]), int(i)) for i in np.argsort(-logits, kind="stable")[:k]]
    return best


@lru_cache(maxsize=4)
def _ones(size: int) -> NDArray[np.float32]:
    return np.ones(size, dtype=np.float32)


def sample(logits: FloatArray, temperature: float, seed: Sequence[int]) -> int:
    """Draw a token from one row of logits (V,) at a temperature above 0; the same seed draws the same token."""
    probs = np.exp(log_softmax(logits.astype(np.float64) / temperature))
    return int(np.random.default_rng(list(seed)).choice(len(probs), p=probs / probs.sum()))
