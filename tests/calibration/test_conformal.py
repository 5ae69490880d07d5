from __future__ import annotations

import math

import numpy as np
import pytest

from ugsd_core.calibration.conformal import (
    SEND_ALL,
    CaptionScores,
    check_speakers,
    coverage,
    loss_scores,
    promise_threshold,
    risk,
    wilson,
)


def captions(seed: int, n: int, shift: float = 0.0, speaker: str = "s") -> list[CaptionScores]:
    """Captions with one to three emotion positions, whose meaning changes the likelier the higher the score."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        scores = np.round(random.random(random.integers(1, 4)), 3)
        changed = random.random(scores.size) < 0.6 * np.clip(scores + shift, 0, 1)
        made.append(CaptionScores(speaker, tuple(scores.tolist()), tuple(changed.tolist())))
    return made


def test_the_loss_begins_at_the_lowest_score_whose_meaning_would_change() -> None:
    made = [
        CaptionScores("s", (0.2, 0.7, 0.5), (False, True, True)),
        CaptionScores("s", (0.9,), (False,)),
        CaptionScores("s", (), ()),
    ]
    assert loss_scores(made).tolist() == [0.5, math.inf, math.inf]
    assert risk(loss_scores(made), 0.49) == 0.0
    assert risk(loss_scores(made), 0.5) == pytest.approx(1 / 3)


def test_the_threshold_is_the_highest_that_the_bound_allows() -> None:
    for alpha in (0.02, 0.05, 0.1, 0.3):
        made = captions(0, 300)
        threshold = promise_threshold(made, alpha)
        assert threshold is not None
        losses, n = loss_scores(made), 300
        assert n / (n + 1) * risk(losses, threshold) + 1 / (n + 1) <= alpha
        higher = [s for c in made for s in c.scores if s > threshold]
        above = losses[losses > threshold].min()  # one loss more would break it
        assert n / (n + 1) * risk(losses, above) + 1 / (n + 1) > alpha and above in higher


def test_too_few_captions_can_promise_nothing_and_few_promise_little() -> None:
    assert promise_threshold([], 0.1) is None
    assert promise_threshold(captions(0, 8), 0.1) is None
    sure = [CaptionScores("s", (0.3,), (True,))] * 9
    assert promise_threshold(sure, 0.1) == SEND_ALL
    assert promise_threshold([CaptionScores("s", (0.3,), (False,))] * 9, 0.1) == 0.3


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_the_promise_holds_on_exchangeable_captions(alpha: float) -> None:
    """Over many calibration sets, the mean risk of new captions stays under α, up to the error of the simulation."""
    risks = []
    for world in range(300):
        made = captions(world, 120)
        threshold = promise_threshold(made[:80], alpha)
        assert threshold is not None
        risks.append(risk(loss_scores(made[80:]), threshold))
    error = float(np.std(risks)) / math.sqrt(len(risks))
    assert np.mean(risks) <= alpha + 3 * error
    assert np.mean(risks) >= alpha - 2 / 81 - 3 * error  # and it is not kept by sending everything


def test_a_speaker_unlike_the_others_is_where_it_fails() -> None:
    alike = [c for n in range(4) for c in captions(n, 200, speaker=f"s{n}")]
    odd = captions(9, 200, shift=0.8, speaker="odd")
    checked = {found.speaker: found for found in check_speakers(alike + odd, 0.1)}
    assert checked["odd"].fails and checked["odd"].risk > 0.15
    assert not any(checked[f"s{n}"].fails for n in range(4))
    assert all(found.low <= found.risk <= found.high and found.n == 200 for found in checked.values())


def test_coverage_counts_captions_and_not_positions() -> None:
    made = [CaptionScores("s", (0.1, 0.2), (True, True)), CaptionScores("s", (0.9,), (True,))]
    found = coverage(made, 0.5, 0.4, "all")
    assert found.risk == 0.5 and found.n == 2 and not found.fails


def test_wilson_intervals_by_hand() -> None:
    low, high = wilson(10, 100)
    assert low == pytest.approx(0.0552, abs=1e-4) and high == pytest.approx(0.1744, abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
