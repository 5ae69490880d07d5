"""How long the next block is: one small class a rule, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from ugsd_core.errors import OptionError
from ugsd_core.options import DecodingOptions
from ugsd_core.pace import BlockTimes, Pace

__all__ = [
    "BLOCK_LENGTHS",
    "AdaptiveLength",
    "BlockLength",
    "BlockOutcome",
    "DelayLength",
    "FixedLength",
    "block_length",
]

BlockOutcome = Literal["kept", "accepted", "corrected", "unverified"]


class BlockLength(Protocol):
    """Chooses the number of tokens to draft before the gate looks at them."""

    def next_length(self) -> int:
        """Tokens of the next block, at least 1."""

    def observe(self, outcome: BlockOutcome, times: BlockTimes | None = None) -> None:
        """Learn what became of the block: kept locally, fully accepted, corrected, or left unverified.

        Args:
            outcome: Of the block.
            times: What was measured of it.
        """


class FixedLength:
    """Always k tokens."""

    def __init__(self, k: int) -> None:
        self._k = k

    def next_length(self) -> int:
        """k."""
        return self._k

    def observe(self, outcome: BlockOutcome, times: BlockTimes | None = None) -> None:
        """Nothing to learn."""


class AdaptiveLength:
    """The paper's three levels.

    The short length after a corrected block, the long one after two or more fully accepted blocks in a row, else k0.
    A block that was kept locally (or left unverified) is neither: it ends a row of accepted blocks.
    """

    def __init__(self, k: int, k_short: int, k_long: int) -> None:
        self._k, self._k_short, self._k_long = k, k_short, k_long
        self._last: BlockOutcome = "kept"
        self._accepted_in_a_row = 0

    def next_length(self) -> int:
        """Short, long or k0, by the outcomes so far."""
        if self._last == "corrected":
            return self._k_short
        return self._k_long if self._accepted_in_a_row >= 2 else self._k

    def observe(self, outcome: BlockOutcome, times: BlockTimes | None = None) -> None:
        """Count accepted blocks in a row and remember the last outcome."""
        self._last = outcome
        self._accepted_in_a_row = self._accepted_in_a_row + 1 if outcome == "accepted" else 0


class DelayLength:
    """Whatever length takes the least time per committed token, by what was measured so far (`ugsd_core.pace`).

    Block boundaries then follow from times, so that two runs of one clip may differ in them; not so with the other
    rules. A verdict that came from a busy machine teaches like any other. The loop teaches the pace.
    """

    def __init__(self, k: int, pace: Pace, *, bonus: bool, ahead: bool) -> None:
        self._k, self._pace, self._bonus, self._ahead = k, pace, bonus, ahead

    def next_length(self) -> int:
        """The best length known; k until a few blocks were sent."""
        return self._pace.best_length(self._k, bonus=self._bonus, ahead=self._ahead)

    def observe(self, outcome: BlockOutcome, times: BlockTimes | None = None) -> None:
        """Nothing: what was measured is in the pace."""


BLOCK_LENGTHS: dict[str, Callable[[DecodingOptions, Pace], BlockLength]] = {
    "fixed": lambda o, _: FixedLength(o.k),
    "adaptive": lambda o, _: AdaptiveLength(o.k, o.k_short, o.k_long),
    "delay": lambda o, pace: DelayLength(o.k, pace, bonus=o.bonus, ahead=o.ahead),
}


def block_length(options: DecodingOptions, pace: Pace | None = None) -> BlockLength:
    """The rule that the options name.

    Args:
        options: Name the rule.
        pace: What earlier captions taught; None begins anew.

    Raises:
        OptionError: If there is no such rule.
    """
    if options.block_length not in BLOCK_LENGTHS:
        raise OptionError(
            f"there is no block-length rule {options.block_length!r}; choose one of {', '.join(BLOCK_LENGTHS)}"
        )
    return BLOCK_LENGTHS[options.block_length](options, Pace() if pace is None else pace)
