from __future__ import annotations

from dataclasses import replace

import pytest

from tests.wire.fakes import FakeVerifier, open_request, verify
from ugsd_core.wire.breaker import Backoff, CircuitBreaker
from ugsd_core.wire.deadline import ENOUGH, LearnedDeadline


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


VERDICT = FakeVerifier().open(open_request()).judge(verify("u", 0, (1,)))


def test_waits_double_up_to_the_longest_and_are_shortened_by_chance() -> None:
    backoff = Backoff(first_s=0.5, factor=2.0, most_s=3.0, jitter=0.5)
    assert [backoff.wait_s(n, 0.0) for n in (1, 2, 3, 4, 5, 5000)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    assert [backoff.wait_s(1, chance) for chance in (0.0, 0.5, 1.0)] == [0.5, 0.375, 0.25]


def test_a_breaker_opens_at_a_failure_lets_one_trial_through_and_closes_at_a_success() -> None:
    clock = Clock()
    breaker = CircuitBreaker(Backoff(first_s=1.0, jitter=0.0), clock=clock, chance=lambda: 0.0)
    assert breaker.state == "closed" and breaker.wait_s == 0.0
    breaker.failure()
    assert breaker.state == "open" and breaker.wait_s == 1.0
    clock.now += 1.0
    assert breaker.state == "half_open" and breaker.wait_s == 0.0
    breaker.failure()
    assert breaker.state == "open" and breaker.wait_s == 2.0, "the trial failed: open for longer"
    clock.now += 2.0
    breaker.success()
    assert breaker.state == "closed" and breaker.failures == 0
    breaker.failure(at_least_s=7.0)
    assert breaker.wait_s == 7.0


def seen(learned: LearnedDeadline, round_trip_s: float, verify_ms: float = 0.0, times: int = 50) -> float:
    for _ in range(times):
        learned.answered(replace(VERDICT, verify_ms=verify_ms, queued_ms=0.0), round_trip_s)
    return learned.deadline_s


def test_the_deadline_is_the_ceiling_until_enough_was_seen_and_the_floor_on_a_fast_link() -> None:
    learned = LearnedDeadline(floor_s=0.25, ceiling_s=4.0)
    assert seen(learned, 0.01, times=ENOUGH - 1) == 4.0
    assert seen(learned, 0.01) == 0.25


def test_the_deadline_follows_network_and_verifier() -> None:
    learned = LearnedDeadline(floor_s=0.1, ceiling_s=60.0)
    steady = seen(learned, 1.0, 600.0)
    assert 1.0 <= steady < 1.1
    jumpy = LearnedDeadline(floor_s=0.1, ceiling_s=60.0)
    for n in range(50):
        seen(jumpy, 1.0 if n % 2 else 0.2, times=1)
    assert jumpy.deadline_s > 1.5, "variation counts four times"


def test_a_missed_deadline_doubles_the_next_and_a_late_verdict_ends_that() -> None:
    learned = LearnedDeadline(floor_s=0.1, ceiling_s=60.0)
    before = seen(learned, 1.0, 100.0)
    learned.missed()
    assert learned.deadline_s == pytest.approx(2 * before)
    learned.late(replace(VERDICT, verify_ms=3000.0, queued_ms=0.0))
    assert before < learned.deadline_s < 6.0, "a late verdict says how long the verifier had it"
    for _ in range(99):
        learned.missed()
    assert learned.deadline_s == 60.0
