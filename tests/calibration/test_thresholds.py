from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.calibration.worlds import LENGTH, record, world
from ugsd_core.calibration.conformal import SEND_ALL, CaptionScores
from ugsd_core.calibration.fit import Score, fit, make_table
from ugsd_core.calibration.outcomes import RANK
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.calibration.thresholds import budget_threshold, caption_scores, check_budgets, check_promises

pytest.importorskip("sklearn")


def refit(records: Sequence[ClipRecord]) -> Score:
    return fit(make_table(records, RANK), ("head_doubt",))


def sent_share(captions: list[CaptionScores], threshold: float) -> float:
    return sum(value > threshold for c in captions for value in c.scores) / (LENGTH * len(captions))


def test_a_budgets_threshold_sends_as_much_as_it_allows_and_no_more() -> None:
    records = [r for r in world(400) if r.corpus == "big"]
    captions = caption_scores(records, refit(records), RANK)
    sent = []
    for budget in (0.0, 0.01, 0.02, 0.04, 0.05, 0.3):
        share = sent_share(captions, budget_threshold(records, captions, budget))
        assert share <= budget + 1e-9
        assert share >= min(budget, 1 / LENGTH) - 1 / (LENGTH * len(records)) - 1e-9
        sent.append(share)
    assert sent == sorted(sent)
    assert budget_threshold(records, captions, 0.3) == SEND_ALL


def test_corpora_share_a_budget_alike() -> None:
    big = [record(n) for n in range(30)]
    small = [record(n, corpus="small") for n in range(2)]
    captions = [CaptionScores("s", (score,), (True,)) for score in (*[0.2] * 30, *[0.8] * 2)]
    # Half of a mean token rate of 1/20 is the small corpus alone.
    assert budget_threshold(big + small, captions, 0.5 / LENGTH) == pytest.approx(0.5)


def test_budgets_and_promises_are_checked_on_speakers_left_out() -> None:
    records = world(900)
    budgets = check_budgets(records, refit, RANK, (0.02, 0.03))
    assert {check.speaker for check in budgets} == {r.speaker for r in records}
    assert all(abs(check.rho - check.budget) < 0.012 for check in budgets)
    promises = check_promises(records, refit, RANK, (0.001, 0.1))
    assert promises[0.001] == []  # too few captions to promise that
    # Six intervals of 95 %: one may miss by chance.
    assert len(promises[0.1]) == 6 and sum(found.fails for found in promises[0.1]) <= 1
    assert check_budgets(world(20)[1:2], refit, RANK, (0.1,)) == []
