"""Which settings no other beats: the Pareto front of one gain and any number of costs."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["front"]


def front(points: Mapping[str, tuple[float, ...]]) -> set[str]:
    """Names of the points that no other beats: none is at least as good in everything and better in something.

    Args:
        points: Name to (cost, …, gain): everything but the last is to be small, the last to be large.
    """

    def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        no_worse = all(a <= b for a, b in zip(one[:-1], other[:-1], strict=True)) and one[-1] >= other[-1]
        return no_worse and one != other

    return {name for name, point in points.items() if not any(beats(one, point) for one in points.values())}
