from __future__ import annotations

from tests import fakes
from tests.fakes import ScriptedDrafter, ScriptedVerifier
from tests.test_decoding import HIGH, LOW
from tests.tiny import utterance
from ugsd_core.captioner import Captioner
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
