"""Keeping a budget: a threshold that follows the speakers, so that no more is sent than was asked for.

A threshold that sends a tenth of the tokens of one group of speakers sends a seventh of another's: thresholds chosen
on development speakers overshot their budget by up to a third. `BudgetKeeper` watches the scores that really come and
takes the threshold from them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from itertools import groupby
from threading import Lock

__all__ = ["BudgetKeeper"]

#: Captions remembered.
WINDOW = 50
#: How many captions the first threshold counts as; its say fades as captions come, and is gone after `WINDOW`.
PRIOR_CAPTIONS = 10
#: How strongly the budget of the coming captions makes up for what the remembered ones spent too much or too little.
GAIN = 2.0


class BudgetKeeper:
    """A running quantile of scores, corrected by what was really sent.

    The threshold is the least one under which the remembered captions would have sent their share of tokens; the share
    is the budget, plus `GAIN` times what they left of it or less what they overdrew. Until the memory is full, it is
    averaged with the first threshold. The same captions in the same order always give the same thresholds.

    One keeper serves one gate in one language. Captions follow each other; a lock keeps two threads from mixing one.

    Args:
        budget: Wanted transmission rate ρ in 0…1: tokens sent to the verifier over tokens drafted.
        first_threshold: Threshold before any caption, such as one chosen on development speakers.
        window: Captions remembered.
        prior_captions: How many captions the first threshold counts as.
    """

    def __init__(
        self, budget: float, first_threshold: float, *, window: int = WINDOW, prior_captions: int = PRIOR_CAPTIONS
    ) -> None:
        self.budget = budget
        self.first_threshold = first_threshold
        self._prior = prior_captions
        self._window = window
        self._captions: deque[tuple[tuple[tuple[float, int], ...], int, int]] = deque(maxlen=window)
        self._seen = 0
        self._threshold = first_threshold
        self._lock = Lock()

    @property
    def threshold(self) -> float:
        """What a score must exceed to be sent in the next caption."""
        return self._threshold

    @property
    def captions(self) -> int:
        """Captions observed so far."""
        return self._seen

    @property
    def rate(self) -> float | None:
        """Transmission rate of the remembered captions; None before the first."""
        drafted = sum(entry[1] for entry in self._captions)
        return sum(entry[2] for entry in self._captions) / drafted if drafted else None

    def observe(self, blocks: Iterable[tuple[float, int]], drafted: int, sent: int) -> None:
        """Take a finished caption into account.

        Args:
            blocks: ``(score, tokens)`` of every block that had a score; ``inf`` for one that another rule sent.
            drafted: Tokens drafted in the caption.
            sent: How many of them were sent.
        """
        with self._lock:
            self._captions.append((tuple(blocks), drafted, sent))
            self._seen += 1
            prior = self._prior_weight()
            quantile = self._quantile(self._share())
            self._threshold = (prior * self.first_threshold + self._seen * quantile) / (prior + self._seen)

    def _prior_weight(self) -> float:
        """How many captions the first threshold still counts as."""
        return self._prior * max(0.0, 1.0 - self._seen / self._window)

    def _share(self) -> float:
        """Share of the tokens that the coming captions may send, in 0…1."""
        drafted = sum(entry[1] for entry in self._captions)
        sent = sum(entry[2] for entry in self._captions)
        # Captions before the first count as having kept the budget, so that one caption alone moves little.
        before = self._prior_weight() * drafted / len(self._captions)
        rate = (sent + before * self.budget) / (drafted + before) if drafted else self.budget
        return min(1.0, max(0.0, self.budget + GAIN * (self.budget - rate)))

    def _quantile(self, share: float) -> float:
        """The least threshold under which the remembered captions send at most this share; never below 0.

        Equal scores are sent together or not at all, as the strict comparison of a gate has it.
        """
        left = share * sum(entry[1] for entry in self._captions) + 1e-9
        blocks = sorted((block for entry in self._captions for block in entry[0]), reverse=True)
        for score, equals in groupby(blocks, key=lambda block: block[0]):
            left -= sum(tokens for _, tokens in equals)
            if left < 0.0 and not math.isinf(score):
                return float(max(0.0, score))
        return 0.0
