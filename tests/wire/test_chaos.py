"""Short versions of the soak, the kill and the fuzz; the long ones are `make chaos` and `python -m tools.chaos…`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.chaos.checks import problems
from tools.chaos.fuzz import fuzz_parser, fuzz_server
from tools.chaos.kill import kill
from tools.chaos.soak import scripted_pair, soak
from ugsd_core.messages import BlockJudged, Event, TokenDecided
from ugsd_core.verifier import LocalLink
from ugsd_core.wire.faults import Faults

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_captions_under_faults_are_whole_and_hold_what_was_judged() -> None:
    faults = Faults(0.02, 0.03, 0.03, 0.03, 0.02, 0.01, 0.01, 0.005, 0.05)
    report = soak(scripted_pair(), 40, seed=5, edges=6, faults=faults)
    assert report.fine, report.problems
    assert report.captions == 40 and report.judged and report.unverified_blocks
    assert len(report.faults) >= 5, "there was something to get over"


def test_a_verifier_killed_under_live_captions_costs_no_token() -> None:
    report = kill(scripted_pair(token_s=0.05), 12)
    assert report["finished"] == 12 and report["problems"] == []
    assert report["blocks_judged"] and report["blocks_unverified"]


def test_the_checks_see_a_token_that_is_lost_doubled_or_another() -> None:
    pair = scripted_pair()
    calm = pair.write(0, LocalLink(pair.verifier), False)

    def found(events: list[Event]) -> list[str]:
        return problems(events, calm, lambda link: pair.write(0, link, False), pair.verifier)

    assert found(calm) == []
    token = next(n for n, event in enumerate(calm) if isinstance(event, TokenDecided))
    judged = next(n for n, event in enumerate(calm) if isinstance(event, BlockJudged))
    assert found([*calm[:token], *calm[token + 1 :]]) != []
    assert found([*calm[:token], calm[token], *calm[token:]]) != []
    assert found([*calm[:judged], calm[judged], *calm[judged:]]) != []
    assert found(calm[:-1]) != []


def test_wrong_frames_are_refused_by_type_and_nothing_else_happens() -> None:
    found = fuzz_parser(400, 7)
    assert found.wrong == {} and found.frames == 400
    found = fuzz_server(250, 7)
    assert found.wrong == {} and found.frames >= 250 and found.honest_verdicts
    found = fuzz_server(60, 7, token=True)
    assert found.wrong == {} and {kind.split()[0] for kind in found.answers} == {"Refused"}
