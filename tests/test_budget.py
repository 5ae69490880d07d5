from __future__ import annotations

import numpy as np
import pytest

from ugsd_core.budget import BudgetKeeper

Caption = tuple[list[tuple[float, int]], int]


def speakers(seed: int, shapes: list[tuple[float, float]], captions: int = 150) -> list[Caption]:
    """Captions of groups of speakers, one shape of the Beta distribution of scores each, 20 tokens a caption."""
    random = np.random.default_rng(seed)
    return [
        ([(float(random.beta(*shape)), 2) for _ in range(int(random.integers(1, 3)))], int(random.integers(16, 25)))
        for shape in shapes
        for _ in range(captions)
    ]


def keep(keeper: BudgetKeeper, captions: list[Caption]) -> list[tuple[int, int]]:
    """(sent, drafted) of each caption under the keeper's threshold of the moment."""
    done = []
    for blocks, drafted in captions:
        sent = sum(tokens for score, tokens in blocks if score > keeper.threshold)
        keeper.observe(blocks, drafted, sent)
        done.append((sent, drafted))
    return done


def rate(done: list[tuple[int, int]]) -> float:
    return sum(sent for sent, _ in done) / sum(drafted for _, drafted in done)


def test_the_first_threshold_stands_until_captions_come() -> None:
    keeper = BudgetKeeper(0.1, 0.42)
    assert (keeper.threshold, keeper.rate, keeper.captions) == (0.42, None, 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("budget", [0.03, 0.06])
def test_the_budget_is_kept_when_speakers_change(seed: int, budget: float) -> None:
    captions = speakers(seed, [(2, 6), (5, 3), (1, 4)])
    done = keep(BudgetKeeper(budget, 0.4), captions)
    fixed = [(sum(n for score, n in blocks if score > 0.4), drafted) for blocks, drafted in captions]
    assert rate(done) == pytest.approx(budget, rel=0.1)
    for start in (0, 150, 300):
        assert rate(done[start : start + 150]) == pytest.approx(budget, rel=0.3)
    assert rate(fixed[150:300]) > 2 * budget, "what a fixed threshold does with the second group"


def test_a_bad_first_threshold_is_forgotten() -> None:
    for first in (0.0, 0.99):
        done = keep(BudgetKeeper(0.05, first), speakers(3, [(2, 4)], captions=300))
        assert rate(done[150:]) == pytest.approx(0.05, rel=0.1)


def test_the_same_captions_give_the_same_thresholds() -> None:
    captions = speakers(4, [(2, 6)])
    one, other = BudgetKeeper(0.05, 0.4), BudgetKeeper(0.05, 0.4)
    keep(one, captions)
    keep(other, captions)
    assert one.threshold == other.threshold


def test_scores_that_are_all_equal_are_sent_now_and_then_and_stay_within_the_budget() -> None:
    keeper = BudgetKeeper(0.05, 0.5, prior_captions=0)
    done = keep(keeper, [([(0.7, 2)], 20)] * 200)
    assert 0.02 <= rate(done) <= 0.05, "all of them would be a tenth of the tokens"
    roomy = BudgetKeeper(0.5, 0.5, prior_captions=0)
    assert rate(keep(roomy, [([(0.7, 2)], 20)] * 50)) == pytest.approx(0.1)


def test_what_another_rule_sends_is_paid_from_the_same_budget() -> None:
    keeper = BudgetKeeper(0.1, 0.5, prior_captions=0)
    for _ in range(20):
        keeper.observe([(float("inf"), 2), (0.6, 2)], 20, 2)
    assert keeper.threshold == 0.6
    assert keeper.rate == pytest.approx(0.1)


def test_a_caption_without_scores_or_tokens_changes_little_and_breaks_nothing() -> None:
    keeper = BudgetKeeper(0.1, 0.5)
    keeper.observe([], 0, 0)
    keeper.observe([], 20, 0)
    assert 0.0 <= keeper.threshold <= 0.5


def test_a_budget_of_nothing_and_of_everything() -> None:
    captions = speakers(5, [(2, 2)])
    assert rate(keep(BudgetKeeper(0.0, 1.0), captions)) <= 0.005
    assert rate(keep(BudgetKeeper(1.0, 0.0), captions)) == rate([(sum(n for _, n in b), d) for b, d in captions])
