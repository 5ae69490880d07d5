"""How long to wait for a verdict, learned from those that came.

As TCP does for its retransmission timer (RFC 6298): a smoothed mean, a smoothed deviation, and four deviations on top.
Network and verifier are learned apart, since a verdict says how long the verifier had it: a queue that grows at the
verifier says nothing of the network. After a missed deadline the next one is twice as long, until an answer came.
"""

from __future__ import annotations

from dataclasses import dataclass

from ugsd_core.messages import Verdict

__all__ = ["CEILING_S", "FLOOR_S", "LearnedDeadline", "Smoothed"]

#: As RFC 6298, 2.4: a shorter timer is spuriously missed for every pause of either machine.
FLOOR_S = 1.0
#: The longest wait for one block unless the options say otherwise.
CEILING_S = 5.0
#: Answers before the deadline is anything but the ceiling; the first waits for the prefill as well.
ENOUGH = 4


@dataclass(slots=True)
class Smoothed:
    """Mean and deviation of what was seen, the recent counting more (RFC 6298, 2.2 and 2.3)."""

    mean: float | None = None
    deviation: float = 0.0

    def see(self, value: float) -> None:
        """Take a value into account."""
        if self.mean is None:
            self.mean, self.deviation = value, value / 2
        else:
            self.deviation += (abs(value - self.mean) - self.deviation) / 4
            self.mean += (value - self.mean) / 8

    @property
    def most(self) -> float:
        """What is hardly ever exceeded: the mean and four deviations."""
        return (self.mean or 0.0) + 4 * self.deviation


class LearnedDeadline:
    """The deadline of the next block, in seconds. Not thread-safe.

    Args:
        floor_s, ceiling_s: It never leaves these.
    """

    def __init__(self, floor_s: float = FLOOR_S, ceiling_s: float = CEILING_S) -> None:
        self._floor_s = floor_s
        self._ceiling_s = ceiling_s
        self._network = Smoothed()
        self._verifier = Smoothed()
        self._seen = 0
        self._missed = 0

    @property
    def deadline_s(self) -> float:
        """How long to wait for the next verdict."""
        if self._seen < ENOUGH:
            return self._ceiling_s
        learned = (self._network.most + self._verifier.most) * 2.0 ** min(self._missed, 16)
        return min(self._ceiling_s, max(self._floor_s, learned))

    def answered(self, verdict: Verdict, round_trip_s: float) -> None:
        """A verdict came in time."""
        held_s = (verdict.verify_ms + verdict.queued_ms) / 1e3
        self._network.see(max(0.0, round_trip_s - held_s))
        self._verifier.see(held_s)
        self._seen += 1
        self._missed = 0

    def late(self, verdict: Verdict) -> None:
        """A verdict came after its deadline, nobody saw when: it tells how long the verifier had it."""
        self._verifier.see((verdict.verify_ms + verdict.queued_ms) / 1e3)
        self._missed = 0

    def missed(self) -> None:
        """A deadline passed without a verdict."""
        self._missed += 1
