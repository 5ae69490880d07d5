"""The block length that learns from measured times."""

from __future__ import annotations

import random

import pytest

from tests import fakes
from tests.fakes import ScriptedDrafter, ScriptedVerifier
from tests.test_decoding import HIGH, LOW, check_identities, finished
from ugsd_core.block_length import DelayLength, block_length
from ugsd_core.captioner import Captioner
from ugsd_core.decoding import decode
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.pace import BlockTimes, Pace
from ugsd_core.verifier import LocalLink


def paced(*, draft_ms: float, wait_ms: float, accept: float, trigger: float = 1.0, blocks: int = 400) -> Pace:
    """Blocks of four as they would come with these chances."""
    chance, pace = random.Random(0), Pace()
    for _ in range(blocks):
        sent = any(chance.random() < trigger for _ in range(4))
        passed = next((n for n in range(4) if chance.random() >= accept), 4)
        verdict = (wait_ms, passed) if sent else (None, None)
        pace.learn(BlockTimes(4, 4 * draft_ms, *verdict), sent=sent)
    return pace


def best(pace: Pace, *, bonus: bool = False, ahead: bool = False) -> int:
    return pace.best_length(4, bonus=bonus, ahead=ahead)


def test_a_longer_way_makes_longer_blocks_and_worse_drafts_shorter_ones() -> None:
    near, far = (paced(draft_ms=2.0, wait_ms=wait, accept=0.8) for wait in (1.0, 100.0))
    assert best(near) < best(far)
    assert best(paced(draft_ms=2.0, wait_ms=100.0, accept=0.4)) < best(far)
    assert best(paced(draft_ms=20.0, wait_ms=100.0, accept=0.8)) < best(far), (
        "an edge that is slow drafts little in vain"
    )


def test_the_expected_time_is_what_playing_it_through_takes() -> None:
    draft, wait, k = 3.0, 50.0, 5
    pace = paced(draft_ms=draft, wait_ms=wait, accept=0.7, blocks=1_000)
    accept = pace.acceptance
    assert accept == pytest.approx(0.7, abs=0.1)
    chance = random.Random(1)
    for bonus in (False, True):
        spent = left = 0.0
        for _ in range(20_000):
            passed = next((n for n in range(k) if chance.random() >= accept), k)
            left += passed + (passed < k or bonus)
            spent += k * draft + wait
        estimate = pace.time_per_token_ms(k, bonus=bonus, ahead=False)
        assert estimate == pytest.approx(spent / left, rel=0.03)
        ahead = pace.time_per_token_ms(k, bonus=bonus, ahead=True)
        assert ahead is not None and estimate is not None and ahead < estimate


def test_how_often_a_gate_sends_is_learned_from_blocks_of_any_length() -> None:
    chance, pace = random.Random(2), Pace()
    for _ in range(4_000):
        k = chance.choice([1, 3, 8])
        pace.learn(BlockTimes(k), sent=any(chance.random() < 0.07 for _ in range(k)))
    assert pace.trigger == pytest.approx(0.07, abs=0.01)
    assert Pace().trigger == 0.0
    always = Pace()
    always.learn(BlockTimes(4), sent=True)
    assert always.trigger == 1.0


def test_the_first_length_stands_until_something_was_learned() -> None:
    pace = Pace()
    rule = block_length(DecodingOptions(block_length="delay", k=6), pace)
    assert isinstance(rule, DelayLength) and rule.next_length() == 6
    for _ in range(3):
        pace.learn(BlockTimes(6, 12.0, 1.0, 6), sent=True)
    assert rule.next_length() != 6
    rule.observe("kept")
    assert 1 <= rule.next_length() <= 16


@pytest.mark.parametrize("bonus", [False, True])
def test_whatever_it_learns_lossless_stays_lossless_and_captions_teach_the_next(bonus: bool) -> None:
    options = preset("lossless", block_length="delay", bonus=bonus)
    captioner = Captioner(ScriptedDrafter(LOW), LocalLink(ScriptedVerifier(HIGH)))
    pace = captioner._pace(options)
    assert pace is captioner._pace(options) is not captioner._pace(preset("lossless"))
    assert captioner._pace(preset("lossless", ahead=False)) is captioner._pace(preset("default", mode="edge")) is None
    for _ in range(4):
        events = list(decode(fakes.code(), "aa", captioner.drafter, captioner.link, options, pace=pace))
        assert finished(events).token_ids == tuple(HIGH)
        check_identities(events)
    assert pace is not None and 0.0 < pace.acceptance < 1.0 and pace.trigger == 1.0
