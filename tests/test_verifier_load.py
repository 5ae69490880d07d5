"""A short run of `tools.verifier_load`'s edges; figures of long ones are in docs/verifier-service.md."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.wire.fakes import EDGE, FakeVerifier, open_request, serving, verify
from tests.wire.test_sharing import SharedVerifier
from tools.verifier_edges import drive, quantiles
from tools.verifier_load import compare
from tools.verifier_script import Recorder, Script
from ugsd_core.batching import BatchLimits


def recorded(seed: int) -> Script:
    """What an edge asked that drafts 1, 2 again and again."""
    recorder = Recorder(FakeVerifier())
    recorder.open(open_request("u", seed))
    ids: list[int] = []
    base = 0
    for sequence in range(4):
        verdict = recorder.judge(verify("u", sequence, (1, 2), base, tuple(ids[base:])), 1.0)
        base = len(ids)
        ids += [token for token in (verdict.replacement, verdict.bonus) if token is not None]
    return recorder.script()


def test_recorded_sessions_get_the_decisions_that_were_recorded() -> None:
    """Both kinds of load, with memory for few of them and a line that is often full."""
    scripts = [recorded(seed) for seed in range(3)]
    limits = BatchLimits(memory_mb=3.0, waiting=6)
    with serving(SharedVerifier(pass_s=0.002), limits=limits) as address:
        for workload in ("blocks", "captions"):
            found = asyncio.run(drive(address, scripts, EDGE, 8, 0.4, workload))
            assert found["ready"] == 8 and found["verdicts"] > 8 and found["captions"] > 0
            assert set(found["errors"]) <= {"busy"} and found["verdict_ms"]["p50"] > 0.0


def test_another_decision_is_noticed() -> None:
    script = recorded(0)
    other = replace(script, blocks=tuple(replace(block, decision=(9, None, None)) for block in script.blocks))
    with serving(FakeVerifier()) as address:
        found = asyncio.run(drive(address, [other], EDGE, 1, 0.2, "blocks"))
    assert found["errors"]["another decision than recorded"] >= found["verdicts"] > 0


def test_ratios_are_of_means() -> None:
    runs = [
        {"kind": kind, "sessions": 8, "verdicts_per_s": rate}
        for kind, rate in (("batched", 30.0), ("unbatched", 8.0), ("unbatched", 12.0), ("batched", 50.0))
    ]
    assert compare([*runs, {"kind": "batched", "sessions": 9, "verdicts_per_s": 1.0}]) == [
        {"sessions": 8, "batched_per_s": 40.0, "unbatched_per_s": 10.0, "ratio": 4.0}
    ]
    assert quantiles([]) == {} and quantiles([3.0, 1.0, 2.0])["p50"] == 2.0
