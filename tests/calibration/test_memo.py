"""Streams that remember give what plain ones give, and compute less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conftest import Pair
from tests.tiny import utterance
from ugsd_core.acoustic import encode_waveform
from ugsd_core.calibration.memo import CLIPS_KEPT, MemoModel
from ugsd_core.decoding import decode
from ugsd_core.drafter import StreamDrafter
from ugsd_core.messages import Event, TokenDecided, TokenDrafted
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.verifier import LocalLink, TorchVerifier

SETTINGS = [
    DecodingOptions(mode="edge", max_tokens=16),
    DecodingOptions(mode="cloud", max_tokens=16),
    preset("lossless", k=3, max_tokens=16),
    preset("paper", rank=60, tau=3.0, max_tokens=16),
    preset("proposal", tau=0.6, max_tokens=16),
    preset("default", gate="random", escalation_probability=0.5, k=1, max_tokens=16),
    preset("default", gate="random", escalation_probability=0.5, k=5, temperature=1.0, max_tokens=16),
    preset("default", gate="mc_dropout", mc_dropout_samples=4, tau=0.001, max_tokens=16),
]


def captions(pair: Pair, edge: SpeechModel, verifier: SpeechModel, options: DecodingOptions) -> list[list[Event]]:
    drafter, link = StreamDrafter(edge), LocalLink(TorchVerifier(verifier))
    clips = [utterance(seed) for seed in range(2)]
    codes = [encode_waveform(clip.samples, pair.edge.features) for clip in clips]
    return [list(decode(code, clip.id, drafter, link, options)) for clip, code in zip(clips, codes, strict=True)]


def decided(events: list[Event]) -> list[tuple[Any, ...]]:
    return [
        (e.position, e.revision, e.token_id, e.text, e.state, e.rank) for e in events if isinstance(e, TokenDecided)
    ]


def signals(events: list[Event]) -> list[float]:
    drafts = [e.signals for e in events if isinstance(e, TokenDrafted)]
    return [value for s in drafts for value in (s.entropy_nats, s.margin, s.nll_nats, s.mc_dropout_nats or 0.0)]


def test_every_setting_gives_the_same_captions_with_and_without_memory(pair: Pair) -> None:
    edge, verifier = MemoModel.of(pair.edge), MemoModel.of(pair.verifier)
    # In both orders, since what is remembered depends on who came first.
    for options in (*SETTINGS, *reversed(SETTINGS)):
        plain = captions(pair, pair.edge, pair.verifier, options)
        remembered = captions(pair, edge, verifier, options)
        for one, other in zip(plain, remembered, strict=True):
            assert decided(other) == decided(one)
            assert signals(other) == pytest.approx(signals(one), abs=2e-5)


def test_a_stream_walks_back_and_forth_as_a_plain_one_does(pair: Pair) -> None:
    random = np.random.default_rng(0)
    code = encode_waveform(utterance(0).samples, pair.edge.features)
    model = MemoModel.of(pair.edge)
    for _ in range(4):  # four captions of one clip, each on a stream of its own
        plain, memo = pair.edge.open(code, None, "en"), model.open(code, None, "en")
        assert memo.input_tokens == plain.input_tokens
        for _ in range(25):
            if random.random() < 0.3:
                length = int(random.integers(0, plain.length + 1))
                plain.truncate(length)
                memo.truncate(length)
            ids = random.integers(0, 6, random.integers(1, 5)).tolist()
            rows = int(random.integers(1, len(ids) + 2))
            np.testing.assert_allclose(memo.feed(ids, rows=rows), plain.feed(ids, rows=rows), atol=2e-4)
            np.testing.assert_allclose(memo.next_logits(), plain.next_logits(), atol=2e-4)
            assert memo.length == plain.length
    with pytest.raises(ValueError, match="cannot truncate"):
        memo.truncate(memo.length + 1)


def test_what_was_computed_once_is_not_computed_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    plain_hidden = SpeechModel.hidden

    def counted(self: SpeechModel, embeds: Any, start: int, cache: Any) -> Any:
        passes.append(embeds.shape[1])
        return plain_hidden(self, embeds, start, cache)

    monkeypatch.setattr(SpeechModel, "hidden", counted)
    edge, verifier = MemoModel.of(pair.edge), MemoModel.of(pair.verifier)
    first = captions(pair, edge, verifier, SETTINGS[2])
    assert passes
    passes.clear()
    again = captions(pair, edge, verifier, SETTINGS[2])
    assert [decided(events) for events in again] == [decided(events) for events in first]
    assert not passes
    captions(pair, edge, verifier, SETTINGS[0])
    assert len(passes) < 40  # edge-only drafts on from what it shares; the request is never read again
    assert max(passes, default=0) < 5


def test_memory_is_bounded_by_clips(pair: Pair) -> None:
    model = MemoModel.of(pair.edge)
    for seed in range(CLIPS_KEPT + 2):
        model.open(encode_waveform(utterance(seed).samples, pair.edge.features), None, "en")
    assert len(model._clips) == CLIPS_KEPT
