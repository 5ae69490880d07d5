"""What was measured of edge, verifier and the way between them, and the block length that follows from it.

The expected time per committed token of blocks of ``k`` tokens is

    T(k) = (k·c + e·w − h) / ((1 − e)·k + e·a)

with
    c       time to draft a token,
    w       time from asking for a verdict to having it: round trip, queue and the verifier's pass,
    e       chance that the block is sent: 1 − (1 − s)^k, if each token makes the gate send its block with chance s,
    a       tokens a verdict leaves: (1 − α^n) / (1 − α) with n = k, and n = k + 1 with the bonus token, if each token
            is accepted with chance α independently of the others,
    h       drafting hidden behind the wait: e·α^k·min(w, k·c) if the edge drafts ahead, else 0.

``a`` is equation (1) of Leviathan, Kalman and Matias, *Fast inference from transformers via speculative decoding*
(ICML 2023), which counts the verifier's token; without a bonus a block accepted whole leaves one token less. Their
speed-up has e = 1 and h = 0. Blocks that a gate keeps (1 − e) commit all their k tokens and wait for nothing.
``h`` is what drafting ahead saves: if the block is accepted whole (α^k), up to a block of the drafting that follows is
done when the verdict comes. One pass of the verifier is taken to last as long for any k, as it does up to a few dozen
tokens where memory is what it waits for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

__all__ = ["LONGEST", "SHORTEST_TRY", "BlockTimes", "Pace"]

#: Lengths that are weighed up.
LONGEST = 16
#: Blocks seen before anything but the first length is used.
SHORTEST_TRY = 2
#: How much of what was measured before a new value leaves in force.
_MEMORY = 0.9
#: The same of what was accepted, where a single block says little.
_LONG_MEMORY = 0.98
#: A token more accepted and one more rejected than were seen, so that no chance is 0 or 1 (Laplace).
_PRIOR = 1.0


@dataclass(frozen=True, slots=True)
class BlockTimes:
    """What became of a block, as far as a block length can learn from it.

    Attributes:
        length: Drafted tokens.
        draft_ms: Time to draft them; None if some had been drafted ahead.
        round_trip_ms: From asking to the verdict; None for a block that was not sent.
        accepted: Leading tokens that passed; None without a verdict.
        first: Whether it is the first that was sent of its caption: its verdict may wait for the verifier to read.
    """

    length: int
    draft_ms: float | None = None
    round_trip_ms: float | None = None
    accepted: int | None = None
    first: bool = False


class Pace:
    """Running estimates. Shared by captions that follow each other with the same settings; not thread-safe.

    A block length that learns reads them, and so does the edge that drafts ahead (`ugsd_core.lookout`).
    """

    def __init__(self) -> None:
        self._draft_ms: float | None = None
        self._wait_ms: float | None = None
        self._waits_ms: dict[bool, float] = {}  # for the first block of a caption, and for the others
        self._pass_ms: float | None = None
        self._accepted = self._rejected = 0.0
        self._kept_tokens = 0.0
        self._sent: Counter[int] = Counter()  # blocks sent, by length

    def learn(self, block: BlockTimes, *, sent: bool) -> None:
        """Take a block into account.

        Args:
            block: Its times.
            sent: Whether the gate wanted it judged.
        """
        if block.draft_ms is not None:
            self._draft_ms = _blended(self._draft_ms, block.draft_ms / block.length)
        if block.round_trip_ms is not None:
            self._wait_ms = _blended(self._wait_ms, block.round_trip_ms)
            self._waits_ms[block.first] = _blended(self._waits_ms.get(block.first), block.round_trip_ms)
        if block.accepted is not None:
            failed = block.accepted < block.length
            self._accepted = self._accepted * _LONG_MEMORY + block.accepted
            self._rejected = self._rejected * _LONG_MEMORY + failed
        if sent:
            self._sent[block.length] += 1
        else:
            self._kept_tokens += block.length

    def learn_pass(self, ms: float) -> None:
        """Take a single forward pass of the edge into account."""
        self._pass_ms = _blended(self._pass_ms, ms)

    @property
    def pass_ms(self) -> float | None:
        """A forward pass of the edge; None before one was measured.

        Drafting a token by drafting blocks is a second opinion, and the smaller one counts: where passes seem so long
        that none is begun ahead, none is measured any more.
        """
        known = [ms for ms in (self._pass_ms, self._draft_ms) if ms is not None]
        return min(known) if self._pass_ms is not None else None

    def wait_ms(self, first: bool) -> float | None:
        """From asking for a verdict to having it, for a caption's first block or another; None before one came."""
        return self._waits_ms.get(first)

    @property
    def acceptance(self) -> float:
        """α: the chance that a token that is judged passes."""
        return (self._accepted + _PRIOR) / (self._accepted + self._rejected + 2 * _PRIOR)

    @property
    def trigger(self) -> float:
        """s: the chance that a token makes the gate send its block; by maximum likelihood over kept and sent blocks."""
        sent = sum(self._sent.values())
        if not sent:
            return 0.0
        if not self._kept_tokens:
            return 1.0
        low, high = 0.0, 1.0
        for _ in range(30):  # the derivative of the likelihood falls with s: halve the interval around its zero
            middle = (low + high) / 2
            keep = 1.0 - middle
            gain = sum(n * k * keep ** (k - 1) / (1.0 - keep**k) for k, n in self._sent.items())
            low, high = (middle, high) if gain > self._kept_tokens / keep else (low, middle)
        return (low + high) / 2

    def time_per_token_ms(self, k: int, *, bonus: bool, ahead: bool) -> float | None:
        """T(k), milliseconds; None before drafting and waiting were both measured."""
        if self._draft_ms is None or self._wait_ms is None:
            return None
        c, w, alpha = self._draft_ms, self._wait_ms, self.acceptance
        sent = 1.0 - (1.0 - self.trigger) ** k
        left = (1.0 - alpha ** (k + bonus)) / (1.0 - alpha)
        hidden = sent * alpha**k * min(w, k * c) if ahead else 0.0
        return (k * c + sent * w - hidden) / ((1.0 - sent) * k + sent * left)

    def best_length(self, first: int, *, bonus: bool, ahead: bool) -> int:
        """The length with the least T(k); ``first`` before enough was seen. Of equals the shorter."""
        blocks = sum(self._sent.values())
        times = {k: self.time_per_token_ms(k, bonus=bonus, ahead=ahead) for k in range(1, LONGEST + 1)}
        known = {k: time for k, time in times.items() if time is not None}
        return first if blocks < SHORTEST_TRY or not known else min(known, key=lambda k: (known[k], k))


def _blended(before: float | None, value: float) -> float:
    return value if before is None else _MEMORY * before + (1.0 - _MEMORY) * value
