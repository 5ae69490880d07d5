from __future__ import annotations

import numpy as np
import pytest

from ugsd_core.bootstrap import draw_weights, interval, macro_means, make_strata
from ugsd_core.calibration.measures import macro_mean


def test_every_draw_keeps_speakers_whole_in_number_and_corpora_in_speakers() -> None:
    strata = make_strata(["a"] * 6 + ["b"] * 3, ["s", "s", "s", "t", "t", "t", "u", "u", "u"])
    weights = draw_weights(strata, 200)
    assert weights.shape == (200, 9)
    assert set(weights[:, :3].sum(axis=1)) <= {0.0, 3.0, 6.0}  # speaker s was drawn 0, 1 or 2 times
    assert np.all(weights[:, :6].sum(axis=1) == 6) and np.all(weights[:, 6:].sum(axis=1) == 3)


def test_clips_of_unknown_speakers_are_drawn_one_by_one() -> None:
    strata = make_strata(["secap"] * 4, [""] * 4)
    assert len(strata.speakers[0]) == 4
    assert np.all(draw_weights(strata, 50).sum(axis=1) == 4)


def test_means_of_the_plain_weights_are_the_plain_means() -> None:
    corpora, values = ["a", "a", "b", "b", "b"], [1.0, 0.0, 1.0, np.nan, 0.0]
    strata = make_strata(corpora, ["s", "s", "t", "t", "u"])
    assert macro_means(values, strata, np.ones((1, 5)))[0] == pytest.approx(macro_mean(values, corpora))


def test_an_interval_covers_its_figure_and_is_wider_when_speakers_differ() -> None:
    corpora, speakers = ["a"] * 400, ["s"] * 200 + ["t"] * 200
    random = np.random.default_rng(0)
    alike = random.random(400) < 0.5
    unlike = random.random(400) < np.repeat([0.2, 0.8], 200)
    strata = make_strata(corpora, speakers)
    weights = draw_weights(strata, 500)
    narrow = interval(lambda w: macro_means(alike, strata, w), strata, weights)
    wide = interval(lambda w: macro_means(unlike, strata, w), strata, weights)
    for found in (narrow, wide):
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low < found.value < found.high and found.n == 400
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)  # type: ignore[operator]


def test_a_mean_over_many_speakers_of_equal_size_is_covered_as_often_as_promised() -> None:
    """Speakers differ; 95 % intervals over 20 of them hold the true mean in most of 60 worlds."""
    held = 0
    for world in range(60):
        random = np.random.default_rng(world)
        rates = random.beta(6, 4, 20)
        values = (random.random((20, 20)) < rates[:, None]).ravel()
        strata = make_strata(["a"] * 400, [f"s{n // 20}" for n in range(400)])
        found = interval(lambda w, v=values, s=strata: macro_means(v, s, w), strata, draw_weights(strata, 300, world))
        held += found.low <= 0.6 <= found.high  # type: ignore[operator]
    assert held >= 51


def test_paired_differences_use_the_same_draws() -> None:
    strata = make_strata(["a"] * 100, [f"s{n % 5}" for n in range(100)])
    base = np.random.default_rng(0).random(100)
    weights = draw_weights(strata, 200)
    shifted = interval(lambda w: macro_means(base + 0.1, strata, w) - macro_means(base, strata, w), strata, weights)
    assert shifted.low == pytest.approx(0.1) and shifted.high == pytest.approx(0.1)


def test_a_figure_that_is_undefined_has_no_interval() -> None:
    strata = make_strata(["a"] * 3, ["s"] * 3)
    none = interval(lambda w: macro_means([np.nan] * 3, strata, w), strata, draw_weights(strata, 10))
    assert none.to_dict() == {"value": None, "low": None, "high": None, "n": 3}
