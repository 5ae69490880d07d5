"""The Pareto front."""

from __future__ import annotations

from ugsd_core.evaluation.pareto import front


def test_a_front_holds_what_nothing_beats() -> None:
    points = {
        "cheap": (0.01, 0.6),
        "dear": (0.05, 0.8),
        "worse": (0.05, 0.7),
        "dearer": (0.06, 0.8),
        "none": (0.0, 0.5),
    }
    assert front(points) == {"none", "cheap", "dear"}


def test_a_slower_point_stays_if_it_sends_less() -> None:
    points = {"slow": (0.1, 3.0, 0.7), "fast": (0.2, 1.0, 0.7), "neither": (0.2, 3.0, 0.7)}
    assert front(points) == {"slow", "fast"}


def test_equal_points_are_both_on_the_front() -> None:
    assert front({"one": (0.1, 0.7), "other": (0.1, 0.7)}) == {"one", "other"}
