from __future__ import annotations

import math

import numpy as np
import pytest

from ugsd_core import uncertainty as u


def logits(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_entropy_of_known_distributions() -> None:
    assert u.entropy_nats(u.log_softmax(np.zeros(8, dtype=np.float32))) == pytest.approx(math.log(8))
    assert u.entropy_nats(u.log_softmax(logits(100, 0, 0))) == pytest.approx(0.0, abs=1e-6)
    half = np.log(logits(0.5, 0.25, 0.25))
    assert u.entropy_nats(u.log_softmax(half)) == pytest.approx(1.5 * math.log(2), rel=1e-5)


def test_masked_logits_are_finite_and_count_for_nothing() -> None:
    log_probs = u.log_softmax(logits(0.0, 0.0, -np.inf))
    assert np.isfinite(log_probs).all()
    assert u.entropy_nats(log_probs) == pytest.approx(math.log(2), rel=1e-5)


def test_margin_and_nll() -> None:
    log_probs = u.log_softmax(np.log(logits(0.2, 0.7, 0.1)))
    assert u.margin(log_probs) == pytest.approx(0.5, rel=1e-5)
    assert u.nll_nats(log_probs, 0) == pytest.approx(-math.log(0.2), rel=1e-5)


def test_mutual_information_is_zero_when_samples_agree_and_ln2_when_two_are_opposed() -> None:
    flat = u.log_softmax(np.zeros((4, 8), dtype=np.float32))
    assert u.mutual_information_nats(flat) == pytest.approx(0.0, abs=1e-5)
    opposed = u.log_softmax(np.array([[50, 0], [0, 50]], dtype=np.float32))
    assert u.mutual_information_nats(opposed) == pytest.approx(math.log(2), rel=1e-4)


def test_top_k_is_sorted_and_breaks_ties_by_id() -> None:
    assert [i for i, _ in u.top_k(u.log_softmax(logits(1, 3, 2, 3)), 3)] == [1, 3, 2]
    assert len(u.top_k(u.log_softmax(logits(1, 2)), 10)) == 2


def test_ranks_are_a_permutation_and_rank_1_is_the_argmax_even_in_ties() -> None:
    row = np.round(np.random.default_rng(0).standard_normal(50), 1).astype(np.float32)
    seen = u.distribution(row, 5)
    assert sorted(seen.rank(i) for i in range(50)) == list(range(1, 51))
    assert seen.best == int(row.argmax())
    assert seen.rank(seen.best) == 1
    flat = u.distribution(np.zeros(30, dtype=np.float32), 3)
    assert flat.best == 0 and flat.rank(0) == 1


def test_distribution_agrees_with_the_single_functions() -> None:
    row = np.random.default_rng(1).standard_normal(700).astype(np.float32)
    seen = u.distribution(row, 5)
    log_probs = u.log_softmax(row)
    assert seen.entropy_nats == pytest.approx(u.entropy_nats(log_probs), rel=1e-5)
    assert seen.margin == pytest.approx(u.margin(log_probs), rel=1e-5)
    assert [i for i, _ in seen.top] == [i for i, _ in u.top_k(log_probs, 5)]
    assert [p for _, p in seen.top] == pytest.approx([p for _, p in u.top_k(log_probs, 5)], rel=1e-4)
    assert seen.probability(3) == pytest.approx(float(np.exp(log_probs[3])))


def test_sampling_repeats_for_a_seed_and_follows_the_temperature() -> None:
    row = logits(2, 1, 0)
    draws = [u.sample(row, 1.0, (7, i)) for i in range(300)]
    assert draws == [u.sample(row, 1.0, (7, i)) for i in range(300)]
    assert 0.5 < draws.count(0) / 300 < 0.8  # softmax says .665
    assert {u.sample(row, 0.01, (7, i)) for i in range(50)} == {0}
