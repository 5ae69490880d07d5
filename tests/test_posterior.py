"""Nine label probabilities in nine bytes, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ugsd_core.posterior import LEVEL_MAX, N_LABELS, dequantise, is_posterior, quantise


def test_the_most_probable_label_is_always_255_and_the_rest_are_relative_to_it() -> None:
    levels = quantise([0.5, 0.25, 0.05, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0])
    assert levels == (255, 128, 26, 0, 102, 0, 0, 0, 0)
    assert quantise([1 / 9] * 9) == (255,) * 9
    assert quantise(np.full(9, 1e-30, dtype=np.float32)) == (255,) * 9, "scale does not matter"


def test_the_way_there_and_back_costs_half_a_step_at_most() -> None:
    random = np.random.default_rng(4)
    for sharpness in (0.3, 1.0, 4.0):
        for probabilities in random.dirichlet([sharpness] * 9, size=200):
            levels = quantise(probabilities)
            assert is_posterior(levels)
            back = dequantise(levels)
            assert back.sum() == pytest.approx(1.0) and back.argmax() == probabilities.argmax()
            relative = np.abs(back / back.max() - probabilities / probabilities.max())
            assert relative.max() <= 0.5 / LEVEL_MAX + 1e-12


def test_a_label_rounded_to_0_is_unlikely_and_never_impossible() -> None:
    back = dequantise((255, *(0,) * 8))
    assert back[1] == pytest.approx(back[0] / 1020) and math.isfinite(math.log(back[1]))
    assert back[1] < dequantise((255, *(1,) * 8))[1], "0 and 1 stay apart"


@pytest.mark.parametrize(
    "probabilities", [[0.0] * 9, [0.1] * 8, [-0.1, *[0.1] * 8], [float("nan")] * 9, [float("inf")] * 9, [[0.1] * 9]]
)
def test_what_is_no_posterior_is_refused(probabilities: Any) -> None:
    with pytest.raises(ValueError, match=str(N_LABELS)):
        quantise(probabilities)


@pytest.mark.parametrize(
    "levels", [None, (), (255,) * 8, [255] * 9, (254,) * 9, (256,) * 9, (255.0,) * 9, (255, -1) * 4 + (0,), b"\xff" * 9]
)
def test_levels_that_mean_nothing_are_recognised(levels: Any) -> None:
    assert not is_posterior(levels)
    assert is_posterior((255,) * 9)
