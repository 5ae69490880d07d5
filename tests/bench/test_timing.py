"""Times that can be compared."""

from __future__ import annotations

import pytest

from ugsd_core.bench.timing import interleaved, ratio, spread


def test_a_spread_has_the_median_and_the_middle_half_in_its_unit() -> None:
    found = spread([0.001, 0.002, 0.003, 0.004, 0.005])
    assert found == pytest.approx({"median_ms": 3.0, "p25_ms": 2.0, "p75_ms": 4.0, "n": 5})


def test_one_value_is_its_own_middle_half() -> None:
    assert spread([2.0], "", 1.0) == {"median": 2.0, "p25": 2.0, "p75": 2.0, "n": 1}


def test_without_values_there_is_no_spread() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])


def test_ratios_are_taken_pair_by_pair() -> None:
    assert ratio([2.0, 30.0, 400.0], [1.0, 10.0, 100.0])["median"] == pytest.approx(3.0)


def test_rounds_go_there_and_back_and_the_first_is_not_counted() -> None:
    order: list[str] = []
    clock = iter(range(1, 100))

    def took(run: object) -> float:
        run()  # type: ignore[operator]
        return float(next(clock))

    times = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, clock=took)
    assert "".join(order) == "abba" * 3
    # Round 1 takes 5, 6, 7, 8: a has the mean of 5 and 8, b that of 6 and 7. A steady drift cancels.
    assert times == {"a": [6.5, 10.5], "b": [6.5, 10.5]}
