"""Intervals of metrics, and two systems on the same clips."""

from __future__ import annotations

import numpy as np
import pytest

from tests.metrics.cases import recorded_pairs
from ugsd_core.bootstrap import draw_weights, make_strata
from ugsd_core.metrics import METRICS, CaptionPair, MetricScore, mean_score
from ugsd_core.paired import MDE_FACTOR, compare, score_interval


def scores(values: list[float | None]) -> MetricScore:
    return mean_score("length", tuple(values), "by hand")


def weights_of(n: int, draws: int = 2000) -> np.ndarray:
    return draw_weights(make_strata([""] * n, [""] * n), draws)


def test_the_interval_holds_the_value_and_counts_the_clips_that_have_one() -> None:
    values: list[float | None] = [*map(float, range(40)), None, None]
    found = score_interval(scores(values), weights_of(42))
    assert found.value == pytest.approx(19.5) and found.n == 40
    assert found.low is not None and found.high is not None and found.low < 19.5 < found.high


def test_without_a_value_there_is_no_interval() -> None:
    assert score_interval(scores([None, None]), weights_of(2)).to_dict() == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
    }


def test_a_system_is_not_different_from_itself() -> None:
    one = METRICS["paper_bleu4"].score(recorded_pairs("en"), "en")
    found = compare(one, one, weights_of(len(one.per_clip), 200))
    assert (found.difference, found.low, found.high, found.p, found.mde) == (0.0, 0.0, 0.0, 1.0, 0.0)


def test_a_large_difference_on_the_same_clips_is_found_and_a_small_one_is_not() -> None:
    random = np.random.default_rng(1)
    base = random.normal(50, 20, 200)
    near, far = base + random.normal(0.05, 3, 200), base + random.normal(2, 3, 200)
    weights = weights_of(200)
    same, better = (compare(scores(list(map(float, v))), scores(list(map(float, base))), weights) for v in (near, far))
    assert better.p is not None and better.p < 0.01 and better.low is not None and better.low > 0
    assert same.p is not None and same.p > 0.05


def test_the_minimum_detectable_effect_is_what_theory_says_for_a_mean() -> None:
    random = np.random.default_rng(2)
    ours, theirs = random.normal(0, 3, 400), np.zeros(400)
    found = compare(scores(list(map(float, ours))), scores(list(map(float, theirs))), weights_of(400, 4000))
    assert found.mde == pytest.approx(MDE_FACTOR * ours.std(ddof=1) / 20, rel=0.06)
    assert pytest.approx(2.8016, abs=1e-4) == MDE_FACTOR


def test_only_clips_with_a_value_in_both_are_compared() -> None:
    found = compare(scores([1.0, None, 3.0, 4.0]), scores([0.0, 9.0, None, 2.0]), weights_of(4))
    assert found.n == 2 and found.difference == pytest.approx(1.5)
    nothing = compare(scores([1.0, None]), scores([None, 1.0]), weights_of(2))
    assert nothing.n == 0 and nothing.difference is None and nothing.p is None


def test_other_clips_or_another_metric_can_not_be_compared() -> None:
    with pytest.raises(ValueError, match="same clips"):
        compare(scores([1.0]), scores([1.0, 2.0]), weights_of(1))


def test_p_is_that_of_sacrebleu_on_the_same_draws() -> None:
    pytest.importorskip("sacrebleu")
    from sacrebleu.significance import _compute_p_value

    ours = recorded_pairs("en")
    # The other system loses the end of every third caption.
    theirs = [
        CaptionPair(p.id, p.hypothesis[: len(p.hypothesis) * 4 // 5] if n % 3 == 0 else p.hypothesis, p.references)
        for n, p in enumerate(ours)
    ]
    a, b = (METRICS["paper_bleu4"].score(rows, "en") for rows in (ours, theirs))
    weights = weights_of(len(ours), 500)
    drawn = a.aggregate(weights @ a.statistics) - b.aggregate(weights @ b.statistics)
    assert a.corpus is not None and b.corpus is not None
    expected = _compute_p_value(np.abs(drawn - drawn.mean()), abs(a.corpus - b.corpus))
    assert compare(a, b, weights).p == pytest.approx(expected)


def test_speakers_that_differ_widen_the_interval() -> None:
    values = scores([*[0.0] * 50, *[10.0] * 50])
    clips = score_interval(values, weights_of(100))
    by_speaker = draw_weights(make_strata([""] * 100, ["a"] * 50 + ["b"] * 50), 2000)
    speakers = score_interval(values, by_speaker)
    assert (speakers.low, speakers.high) == (0.0, 10.0)
    assert clips.low is not None and clips.low > 0
