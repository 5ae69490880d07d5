"""Whether a pass ahead of a verdict is worth beginning: it cannot be broken off, and may end behind the verdict.

With *r* left until the verdict is expected, *c* a pass and *P* the chance that the block is accepted whole, a pass that
is begun gains min(r, c) if it is, and if not delays what follows the correction by c − r, where that is above 0. So it
is begun if r > (1 − P)·c. Otherwise the edge waits for the verdict, but no longer than a pass behind the time it was
expected at: of a verdict that is overdue nothing is known, and the edge drafts on until it is there.

Only when passes begin follows from this. What ends the work ahead is the verdict, as without it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from ugsd_core.pace import Pace

__all__ = ["Lookout"]


class Lookout:
    """Looks out for one verdict between the passes of the work ahead, and teaches a pace what a pass takes.

    Args:
        pace: What is known of passes, waits and what is accepted.
        length: Tokens of the block that was sent.
        bonus: Whether the verdict may bring one more token, which then has to be the edge's, too.
        first: Whether the block is the first that is sent of its caption.
        clock: Seconds; for tests.
    """

    def __init__(
        self, pace: Pace, length: int, *, bonus: bool, first: bool, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._pace = pace
        self._whole = pace.acceptance ** (length + bonus)
        self._wait_ms = pace.wait_ms(first)
        self._clock = clock
        self._asked_at = clock()
        self._pass_began: float | None = None
        self._overdue = False

    def is_there(self, answered: Callable[[float], bool]) -> bool:
        """Asked before each pass: whether the verdict is there.

        Waits for it, if the pass would be likely to end too long behind it.

        Args:
            answered: Waits for the verdict for at most so many seconds; whether it is there.
        """
        now = self._clock()
        if self._pass_began is not None:
            self._pace.learn_pass((now - self._pass_began) * 1e3)
            self._pass_began = None
        if answered(0.0) or answered(self._pause_s(now)):
            return True
        self._pass_began = self._clock()
        return False

    def _pause_s(self, now: float) -> float:
        """How long to wait before a pass; 0 for one that is worth beginning."""
        pass_ms = self._pace.pass_ms
        if self._overdue or self._wait_ms is None or pass_ms is None:
            return 0.0
        left_ms = self._wait_ms - (now - self._asked_at) * 1e3
        if left_ms > (1.0 - self._whole) * pass_ms:
            return 0.0
        self._overdue = True  # when the pause is over, if the verdict is not there by then
        return max(0.0, left_ms + pass_ms) / 1e3
