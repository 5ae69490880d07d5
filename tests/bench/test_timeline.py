"""A forced share of the draft is sent to a verifier that only takes its time."""

from __future__ import annotations

import pytest
import torch

from tests.fakes import info
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.stand_in import StandIn
from ugsd_core.bench.timeline import ForcedGate, measure
from ugsd_core.draft_block import DraftBlock, DraftToken
from ugsd_core.errors import OptionError
from ugsd_core.messages import OpenedReply, Signals, VerifyRequest


def block(index: int, length: int = 4) -> DraftBlock:
    tokens = tuple(DraftToken(index * 4 + i, 0, "", Signals(0.0, 0.0, 0.0), ()) for i in range(length))
    return DraftBlock(index, 0, index * 4, tokens, "")


@pytest.mark.parametrize("rho", [0.05, 0.182, 0.5, 1.0])
def test_the_share_that_is_sent_is_the_one_asked_for(rho: float) -> None:
    gate = ForcedGate(rho)
    sent = sum(4 for index in range(100) if gate.decide(block(index)).escalate)
    assert sent / 400 == pytest.approx(rho, abs=0.011)


def test_the_stand_in_accepts_what_it_is_sent() -> None:
    verifier = StandIn(info(), verify_ms=0.0, prefill_ms=0.0)
    utterance = verifier.open(type("Request", (), {"utterance": "00"})())  # type: ignore[arg-type]
    assert utterance.opened == OpenedReply("00", 0, 0.0)
    verdict = utterance.judge(VerifyRequest("00", 3, 1, 0, (), (5, 6, 7), None))
    assert (verdict.sequence, verdict.revision, verdict.accepted, verdict.replacement) == (3, 1, 3, None)
    assert len(verdict.judged) == 3


def test_a_timeline_compares_each_round_trip_with_the_edge_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ugsd_core.bench.timeline.CAPTION", 12)
    settings = BenchSettings(
        size="tiny",
        layers=1,
        threads=1,
        rounds=1,
        precisions=("fp32",),
        timeline_rho=0.34,
        rtts_ms=(5.0,),
        verify_ms=1.0,
    )
    threads = torch.get_num_threads()
    found = measure(settings, lambda line: None)
    assert found["edge"]["median_s"] > 0 and found["rtt_5_ms"]["ugsd_over_edge"]["n"] == 1
    assert found["sent_share"] == pytest.approx(1 / 3)
    assert torch.get_num_threads() == threads


def test_a_timeline_wants_a_size_and_a_share() -> None:
    with pytest.raises(OptionError, match="--timeline"):
        measure(BenchSettings(size="tiny"), lambda line: None)
