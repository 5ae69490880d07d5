from __future__ import annotations

from typing import Any

import pytest

from tests import fakes
from tests.fakes import ScriptedDrafter, ScriptedVerifier
from tests.test_decoding import HIGH, LOW
from tests.test_drafter import CARD
from tests.tiny import utterance
from ugsd_core.captioner import KEEPERS, Captioner
from ugsd_core.messages import CaptionFinished, CaptionStarted, FeaturesReady, event_from_dict, event_to_dict
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import caption_result, check_identities
from ugsd_core.verifier import LocalLink


def captioner() -> Captioner:
    return Captioner(ScriptedDrafter(LOW, unsure={3: 2.0}), LocalLink(ScriptedVerifier(HIGH)))


def test_a_stream_opens_with_everything_needed_to_read_it() -> None:
    clip = utterance(0)
    events = list(captioner().stream(clip, DecodingOptions(gate="entropy", tau=1.0, seed=5)))
    started, features = events[0], events[1]
    assert isinstance(started, CaptionStarted) and isinstance(features, FeaturesReady)
    assert started.utterance_id == clip.id and started.waveform_bytes == clip.waveform_bytes == 32_000
    assert DecodingOptions.from_dict(started.options).seed == 5
    assert started.checkpoints["edge"]["name"] == "fake-edge"
    assert features.n_frames == 100 and features.code_bytes == 8_000
    assert isinstance(events[-1], CaptionFinished)


def test_every_event_survives_the_trace_and_folds_to_the_same_result() -> None:
    for options in (
        DecodingOptions(mode="edge"),
        DecodingOptions(mode="cloud"),
        DecodingOptions(gate="entropy", tau=1.0),
        preset("proposal", tau=0.4),
    ):
        events = list(captioner().stream(utterance(0), options))
        again = [event_from_dict(event_to_dict(event)) for event in events]
        assert again == events
        result = caption_result(events)
        assert caption_result(again).to_dict() == result.to_dict()
        assert check_identities(result) == []


def test_a_rank_that_cannot_reject_is_said_with_the_caption() -> None:
    started = next(iter(captioner().stream(utterance(0), preset("paper", rank=500))))
    assert isinstance(started, CaptionStarted)
    assert any("cannot reject anything" in warning for warning in started.warnings)
    assert len(fakes.VOCABULARY) < 500


def test_the_waveform_stays_here() -> None:
    """What the link is handed holds the code, ids and settings, and nothing as large as the waveform."""
    verifier = ScriptedVerifier(HIGH)
    list(Captioner(ScriptedDrafter(LOW), LocalLink(verifier)).stream(utterance(0), preset("lossless")))
    (opened,) = verifier.opened
    assert len(opened.code.payload) == 8_000
    assert not hasattr(opened, "samples")
    assert all(isinstance(i, int) for request in verifier.requests for i in (*request.committed, *request.draft))


def test_what_a_gate_cannot_do_on_this_edge_is_said_with_the_caption() -> None:
    def warnings(gate: str, **edge: Any) -> tuple[str, ...]:
        made = Captioner(ScriptedDrafter(LOW, **edge), LocalLink(ScriptedVerifier(HIGH)))
        started = next(iter(made.stream(utterance(0), DecodingOptions(gate=gate))))
        assert isinstance(started, CaptionStarted)
        return started.warnings

    assert any("no gate card" in warning for warning in warnings("calibrated"))
    assert any("no emotion head" in warning for warning in warnings("head_doubt"))
    assert not any("gate card" in warning for warning in warnings("calibrated", cards={"en": CARD}))
    assert not any("emotion head" in warning for warning in warnings("head_doubt", head=(1 / 9,) * 9))


def test_captions_of_one_kind_share_a_budget_and_others_have_their_own() -> None:
    made = captioner()
    options = DecodingOptions(gate="entropy", tau=1.0, budget=0.1)
    keeper = made.budget_keeper(options)
    assert keeper is not None and (keeper.budget, keeper.threshold) == (0.1, 1.0)
    assert made.budget_keeper(options.changed(seed=3, rank=4)) is keeper
    for change in ({"budget": 0.2}, {"language": "zh"}, {"gate": "margin"}, {"cut": "emotion"}, {"k": 8}):
        assert made.budget_keeper(options.changed(**change)) is not keeper
    assert made.budget_keeper(DecodingOptions(gate="entropy")) is None
    assert made.budget_keeper(options.changed(mode="edge")) is None
    assert made.budget_keeper(options.changed(gate="calibrated", promise=0.1)) is None, "a promise is no average"
    for _ in made.stream(utterance(0), options):
        pass
    assert keeper.captions == 1


def test_keepers_do_not_pile_up() -> None:
    made = captioner()
    options = DecodingOptions(gate="entropy", budget=0.5)
    kept = made.budget_keeper(options)
    for n in range(200):
        made.budget_keeper(options.changed(budget=n / 1000))
        assert made.budget_keeper(options) is kept, "what is in use stays"
    assert len(made._keepers) <= KEEPERS


def test_a_budget_holds_over_captions_that_a_fixed_threshold_would_overspend() -> None:
    made = Captioner(ScriptedDrafter(LOW, unsure={3: 2.0, 7: 1.5, 11: 1.2}), LocalLink(ScriptedVerifier(LOW)))
    options = DecodingOptions(gate="entropy", tau=1.0, budget=0.1, k=2)
    results = [caption_result(made.stream(utterance(0), options)) for _ in range(60)]
    sent = [sum(block.length for block in result.blocks if block.escalated) for result in results]
    assert sent[0] == 6, "the first caption goes by τ"
    rate = sum(sent[20:]) / (40 * len(LOW))
    assert rate == pytest.approx(0.1, rel=0.35)
    assert all(check_identities(result) == [] for result in results)
