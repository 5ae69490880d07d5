from __future__ import annotations

import numpy as np
import pytest

from ugsd_core.calibration.measures import (
    auroc,
    corpus_weights,
    expected_calibration_error,
    gap_closure,
    macro_mean,
    unweighted_recall,
)


def test_auroc_counts_pairs_and_halves_ties() -> None:
    assert auroc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]) == pytest.approx(0.75)
    assert auroc([1.0, 1.0], [True, False]) == pytest.approx(0.5)
    assert auroc([1.0, 2.0], [True, True]) is None
    assert auroc([], []) is None


def test_auroc_agrees_with_scikit_learn_with_ties_and_weights() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    for _ in range(20):
        scores = random.integers(0, 12, 60) / 12
        positive = random.random(60) < 0.3 + 0.4 * scores
        weights = random.random(60)
        assert auroc(scores, positive) == pytest.approx(metrics.roc_auc_score(positive, scores))
        expected = metrics.roc_auc_score(positive, scores, sample_weight=weights)
        assert auroc(scores, positive, weights) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    # Two bins of two: predicted .15 and observed .5, predicted .85 and observed .5.
    assert expected_calibration_error([0.1, 0.9, 0.2, 0.8], [1, 0, 0, 1], bins=2) == pytest.approx(0.35)
    assert expected_calibration_error([0.5] * 4, [1, 0, 1, 0], bins=1) == pytest.approx(0.0)
    assert expected_calibration_error([], []) is None


def test_a_calibrated_prediction_has_a_small_calibration_error() -> None:
    random = np.random.default_rng(1)
    probabilities = random.random(20_000)
    outcomes = random.random(20_000) < probabilities
    error = expected_calibration_error(probabilities, outcomes)
    assert error is not None and error < 0.015
    skewed = expected_calibration_error(probabilities**2, outcomes)
    assert skewed is not None and skewed > 0.1


def test_corpora_weigh_alike_whatever_their_size() -> None:
    weights = corpus_weights(["a", "a", "a", "b"])
    assert weights.sum() == pytest.approx(4.0)
    assert weights[:3].sum() == pytest.approx(weights[3])


def test_means_over_corpora_leave_out_what_is_undefined() -> None:
    assert macro_mean([1, 0, 0, 0, 1], ["a", "a", "a", "a", "b"]) == pytest.approx(0.625)
    assert macro_mean([1.0, np.nan, np.nan], ["a", "a", "b"]) == pytest.approx(1.0)
    assert macro_mean([np.nan], ["a"]) is None
    assert unweighted_recall([1, 1, 1, 0], ["sad", "sad", "sad", "calm"]) == pytest.approx(0.5)


def test_closure_is_none_without_a_gap() -> None:
    assert gap_closure(0.7, 0.6, 0.8) == pytest.approx(0.5)
    assert gap_closure(0.9, 0.6, 0.8) == pytest.approx(1.5)
    assert gap_closure(0.7, 0.8, 0.8) is None
