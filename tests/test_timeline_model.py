"""The arithmetic of a caption's time."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests import fakes
from tests.fakes import ScriptedDrafter, ScriptedVerifier, ids
from tests.streams import every_state
from ugsd_core.bench import ahead
from ugsd_core.bench.arithmetic import PACES, Played, arithmetic, foreseen
from ugsd_core.bench.timeline_model import Costs, caption_ms, least_ms
from ugsd_core.decoding import decode
from ugsd_core.messages import CaptionStarted
from ugsd_core.options import preset
from ugsd_core.pace import Pace
from ugsd_core.records import BlockRecord
from ugsd_core.result import CaptionResult, caption_result
from ugsd_core.verifier import LocalLink

COSTS = Costs(token_ms=10.0, verify_ms=30.0, edge_prefill_ms=100.0, verifier_prefill_ms=100.0)


def caption(*blocks: tuple[int, bool, bool]) -> CaptionResult:
    """Blocks as ``(length, sent, changed)``."""
    starts = [sum(length for length, *_ in blocks[:n]) for n in range(len(blocks))]
    records = tuple(
        BlockRecord(n, starts[n], length, escalated=sent, changed=changed if sent else None)
        for n, (length, sent, changed) in enumerate(blocks)
    )
    whole = caption_result(every_state())
    ids = tuple(range(sum(length for length, *_ in blocks)))
    return replace(whole, blocks=records, token_ids=ids, options={"cut": "none", "k": 4})


def test_the_edge_alone_takes_a_pass_for_each_token_but_the_first() -> None:
    assert caption_ms(caption((4, False, False), (4, False, False)), COSTS, ahead=True) == 100 + 7 * 10


@pytest.mark.parametrize("rtt_ms", [0.0, 60.0])
def test_a_wait_is_added_and_drafting_ahead_takes_off_what_it_hides(rtt_ms: float) -> None:
    blocks = caption((4, True, False), (4, False, False))
    waiting = caption_ms(blocks, COSTS.at(rtt_ms), ahead=False)
    assert waiting == 100 + 3 * 10 + rtt_ms + 30 + 4 * 10
    hidden = min(4 * 10, 30 + rtt_ms)
    assert caption_ms(blocks, COSTS.at(rtt_ms), ahead=True) == waiting - hidden


def test_a_correction_hides_nothing_and_delays_by_less_than_a_pass() -> None:
    blocks = caption((4, True, True), (4, False, False))
    waiting = caption_ms(blocks, COSTS.at(5.0), ahead=False)
    assert waiting <= caption_ms(blocks, COSTS.at(5.0), ahead=True) < waiting + 10


def test_the_first_block_waits_for_the_verifier_to_have_read() -> None:
    slow = replace(COSTS, verifier_prefill_ms=500.0)
    assert caption_ms(caption((4, True, False)), slow.at(20.0), ahead=True) == 500 + 30 + 20


@pytest.mark.parametrize("blocks", [((4, True, False), (4, False, False)), ((4, True, True), (4, True, False))])
@pytest.mark.parametrize("rtt_ms", [0.0, 35.0, 100.0])
def test_nothing_takes_less_than_the_least(blocks: tuple[tuple[int, bool, bool], ...], rtt_ms: float) -> None:
    made, costs = caption(*blocks), COSTS.at(rtt_ms)
    assert least_ms(made, costs) <= min(caption_ms(made, costs, ahead=ahead) for ahead in (False, True))


def test_a_longer_way_adds_a_round_trip_for_each_block_behind_which_nothing_can_be_hidden() -> None:
    corrected = caption((4, True, True), (4, True, True))
    assert least_ms(corrected, COSTS.at(100.0)) - least_ms(corrected, COSTS) == 2 * 100.0
    hidden = caption((4, True, False), (40, False, False))
    assert least_ms(hidden, COSTS.at(100.0)) == least_ms(hidden, COSTS)


def test_a_bonus_token_that_was_foreseen_leaves_what_was_drafted_behind_it() -> None:
    made = caption((4, True, True), (4, False, False))
    bonus = replace(made, blocks=(replace(made.blocks[0], accepted=4), made.blocks[1]), token_ids=tuple(range(9)))
    unforeseen = caption_ms(bonus, COSTS, ahead=True)
    assert unforeseen == 100 + 3 * 10 + 30 + 4 * 10
    # Three passes fit into the wait: the bonus token and two behind it.
    assert caption_ms(bonus, COSTS, ahead=True, foreseen={0}) == unforeseen - 2 * 10


def test_a_pass_that_would_be_likely_to_end_too_long_behind_a_correction_is_not_begun() -> None:
    blocks = caption((4, True, True), (4, False, False))
    waiting = caption_ms(blocks, COSTS.at(5.0), ahead=False)
    assert caption_ms(blocks, COSTS.at(5.0), ahead=True) == waiting + 5
    # Half a pass is left; of four tokens one in sixteen blocks is accepted whole as long as nothing is known.
    assert caption_ms(blocks, COSTS.at(5.0), ahead=True, pace=Pace()) == waiting


def test_what_the_edge_would_have_written_is_foreseen() -> None:
    script = ids("the", "voice", "is", "low", "and", "slow", ".", fakes.END)
    other = [*script[:4], script[0], *script[5:]]
    options = preset("lossless")

    def blocks(verifier: list[int]) -> frozenset[int]:
        drafter = ScriptedDrafter(script)
        began = CaptionStarted(0.0, "aa", 0.5, 16_000, "en", "ugsd", options.to_dict(), {}, 30)
        events = decode(fakes.code(), "aa", drafter, LocalLink(ScriptedVerifier(verifier)), options)
        return foreseen(caption_result([began, *events]), drafter, fakes.code(), "aa", options)

    assert blocks(script) == {0} and blocks(other) == frozenset()


def test_figures_say_what_the_way_must_cost_and_for_which_captions() -> None:
    asks, never = caption((4, True, True), (2, False, False)), caption((6, False, False))
    asks, never = (replace(made, counts=made.counts | {"escalations": n}) for made, n in ((asks, 1), (never, 0)))
    none: dict[str, frozenset[int]] = dict.fromkeys(("default", "lossless", "edge"), frozenset())
    clips = [Played({"default": made, "lossless": asks, "edge": never}, none) for made in (asks, never)]
    found = arithmetic(clips, rtts_ms=(0.0, 50.0, 100.0))
    assert found["asked_share"] == 0.5 and set(found["paces"]) == set(PACES)
    far = found["paces"]["embedded"]["far_over_near_asked"]
    assert far["round_trips_on_the_critical_path"] == pytest.approx(1.0)
    assert far["ahead"]["median"] >= far["at_least"]["median"] > 1.5
    assert found["paces"]["30_ms"]["default_over_edge"]["median"] > 1.0
    assert arithmetic(clips[1:], rtts_ms=(0.0, 100.0))["paces"]["paper"]["far_over_near_asked"] is None


def test_the_command_prints_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(ahead, "_examples", lambda: ["a clip"])
    monkeypatch.setattr(ahead, "by_arithmetic", lambda clips, **kw: told.update(kw, clips=clips) or {"asked": 1})
    assert ahead.main(["--arithmetic", "--language", "zh", "--rtt", "0", "80"]) == 0
    assert json.loads(capsys.readouterr().out) == {"asked": 1}
    assert told == {"clips": ["a clip"], "language": "zh", "rtts_ms": [0.0, 80.0]}
