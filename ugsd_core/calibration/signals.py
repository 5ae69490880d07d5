"""The signals of an emotion position by name; a larger value is always less sure."""

from __future__ import annotations

from ugsd_core.gate_card import CARD_SIGNALS
from ugsd_core.messages import Signals

__all__ = ["EXTRA_SIGNALS", "SIGNALS", "read_signals"]

#: Signals that a gate card may weigh.
SIGNALS: tuple[str, ...] = tuple(CARD_SIGNALS)
#: Signals that are collected to be compared, and never weighed: too dear (dropout samples), or of the whole block.
EXTRA_SIGNALS: tuple[str, ...] = ("mc_dropout", "instability")


def read_signals(signals: Signals) -> dict[str, float | None]:
    """All of `SIGNALS`; None where one has no meaning (a doubt where no label was drafted, a head that isn't there)."""
    return {name: read(signals) for name, read in CARD_SIGNALS.items()}
