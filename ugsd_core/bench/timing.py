"""Times that can be compared: everything interleaved, medians with the middle half, ratios pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

__all__ = ["interleaved", "middle_half", "ratio", "seconds", "spread"]


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run, seconds."""
    began = perf_counter()
    run()
    return perf_counter() - began


def middle_half(values: Sequence[float]) -> tuple[float, float, float]:
    """p25, median and p75; of one value, that value three times."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def spread(values: Sequence[float], unit: str = "ms", scale: float = 1e3) -> dict[str, float]:
    """Median and middle half, as ``median_ms``, ``p25_ms``, ``p75_ms`` and ``n``.

    Args:
        values: At least one; seconds, unless ``scale`` says otherwise.
        unit: Suffix of the names; "" for ratios.
        scale: What values are multiplied by to be in that unit.

    Raises:
        ValueError: Without any value.
    """
    if not values:
        raise ValueError("there is nothing to take a median of")
    low, middle, high = (value * scale for value in middle_half(values))
    tail = f"_{unit}" if unit else ""
    return {f"median{tail}": middle, f"p25{tail}": low, f"p75{tail}": high, "n": len(values)}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Spread of the ratios of two rows of times that were taken side by side."""
    return spread([a / b for a, b in zip(above, below, strict=True)], "", 1.0)


def interleaved(
    runs: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    warm_up: int = 1,
    clock: Callable[[Callable[[], Any]], float] = seconds,
) -> dict[str, list[float]]:
    """Times of several things, each round in order and back again (A-B-B-A), which cancels a drift of the machine.

    Args:
        runs: Name to what is run.
        rounds: How many are counted; each gives one value a name, the mean of its two runs.
        warm_up: Rounds before them that are not counted.
        clock: Runs one of them and says how long it took, seconds.

    Returns:
        ``rounds`` values a name, in the same order, so that ratios can be taken pair by pair.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-warm_up, rounds):
        sums = dict.fromkeys(runs, 0.0)
        for name in [*runs, *reversed(list(runs))]:
            sums[name] += clock(runs[name])
        if number >= 0:
            for name, total in sums.items():
                times[name].append(total / 2)
    return times
