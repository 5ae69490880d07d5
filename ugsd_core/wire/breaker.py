"""When to try a verifier again: exponential back-off with jitter, and a circuit breaker around it.

Nothing here waits, sends, or knows what a verifier is; clock and chance are given, so that tests hold them.

    closed ──a failure──► open ──its time has come──► half open ──a success──► closed
                            ▲                             │
                            └─────────a failure───────────┘  (for longer)
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Backoff", "BreakerState", "CircuitBreaker"]

BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after each failure in a row.

    The wait doubles from ``first_s`` up to ``most_s``; of each, a random part between ``1 − jitter`` and all is
    taken, so that edges that lost one verifier at one moment do not come back to it at one moment.
    """

    first_s: float = 0.25
    factor: float = 2.0
    most_s: float = 30.0
    jitter: float = 0.5

    def wait_s(self, failures: int, chance: float) -> float:
        """The wait after so many failures in a row (1 is the first), for a chance in 0…1."""
        exponent = min(max(failures, 1) - 1, 64)
        return min(self.most_s, self.first_s * self.factor**exponent) * (1.0 - self.jitter * chance)


class CircuitBreaker:
    """Closed lets everything pass, open nothing, half open one trial. Safe to use from several threads.

    Args:
        backoff: How long it stays open.
        clock: Monotonic seconds.
        chance: Numbers in 0…1, for the jitter.
    """

    def __init__(
        self,
        backoff: Backoff | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._failures = 0
        self._until: float | None = None

    @property
    def state(self) -> BreakerState:
        """Where it stands now."""
        with self._lock:
            if self._until is None:
                return "closed"
            return "half_open" if self._clock() >= self._until else "open"

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    @property
    def wait_s(self) -> float:
        """Seconds until a trial is due; 0 if one is."""
        with self._lock:
            return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def failure(self, at_least_s: float = 0.0) -> None:
        """Something failed: open, for longer than the last time."""
        with self._lock:
            self._failures += 1
            wait_s = self._backoff.wait_s(self._failures, self._chance())
            self._until = self._clock() + max(wait_s, at_least_s)

    def success(self) -> None:
        """Something worked: closed, and the next failure is a first one again."""
        with self._lock:
            self._failures, self._until = 0, None
