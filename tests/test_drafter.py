"""The edge on real (tiny) models: what it sees at emotion positions, looking ahead, prompts and cards."""

from __future__ import annotations

import gc
import weakref
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Pair
from tests.tiny import utterance
from ugsd_core.acoustic import AcousticCode, encode_waveform
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDraft, StreamDrafter
from ugsd_core.errors import CheckpointError
from ugsd_core.gate_card import GateCard, GateCards
from ugsd_core.messages import TokenDrafted
from ugsd_core.models.caption_stream import CaptionStream
from ugsd_core.models.emotion_head import EmotionHead
from ugsd_core.models.emotion_tokens import COULD_HOLD, EmotionText, fuse_labels, label_entropy_nats, normalise_labels
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import caption_result, check_identities
from ugsd_core.verifier import LocalLink, TorchVerifier

EDGE = DecodingOptions(mode="edge", max_tokens=24)
HOT = EDGE.changed(temperature=1.5)
CARD = GateCard(signals=("entropy",), mean=(0.0,), scale=(1.0,), weights=(1.0,), bias=0.0)


def code_for(model: SpeechModel, seed: int = 0) -> AcousticCode:
    return encode_waveform(utterance(seed, 0.7).samples, model.features)


def with_head(model: SpeechModel) -> SpeechModel:
    width = model.embedding.weight.shape[1]
    random = np.random.default_rng(7)
    weight = random.normal(size=(9, width)).astype(np.float32)
    return replace(model, head=EmotionHead(weight, random.normal(size=9).astype(np.float32)))


@pytest.fixture
def mild(emotional_pair: Pair) -> SpeechModel:
    """The edge with emotion words now and then, instead of everywhere."""
    model = replace(emotional_pair.edge, model=deepcopy(emotional_pair.edge.model))
    with torch.no_grad():
        for label in range(9):
            model.model.lm_head.weight[torch.from_numpy(model.emotion_tokens("en").ids_of(label))] *= 0.35
    return with_head(model)


def drafted(model: SpeechModel, options: DecodingOptions = EDGE, seed: int = 0) -> list[TokenDrafted]:
    clip = utterance(seed, 0.7)
    return [e for e in Captioner(StreamDrafter(model)).stream(clip, options) if isinstance(e, TokenDrafted)]


def test_labels_are_looked_at_at_emotion_positions_and_nowhere_else(mild: SpeechModel) -> None:
    """Against the whole distribution, computed anew for every position."""
    model = mild
    tokens = model.emotion_tokens("en")
    seen = {"begins": 0, "could": 0, "none": 0}
    for seed in range(8):
        stream = model.open(code_for(model, seed), None, "en")
        head = stream.label_posterior
        assert head is not None
        read = EmotionText(tokens)
        for event in drafted(model, HOT, seed=seed):
            logits = stream.next_logits().astype(np.float64)
            probabilities = np.exp(logits - logits.max())
            masses = tokens.masses((probabilities / probabilities.sum()).astype(np.float32))
            label = tokens.label_of(event.token_id)
            place = read.place(event.token_id, event.text)
            named = place == "begins"
            s = event.signals
            if place == "continues":
                assert s.label_mass is None and s.text_doubt is None, "the word was chosen before"
            elif named and label is not None:
                seen["begins"] += 1
                assert s.text_doubt == pytest.approx(1.0 - normalise_labels(masses)[label], abs=1e-4)
                assert s.head_doubt == pytest.approx(1.0 - head[label], abs=1e-5)
                assert s.fused_doubt == pytest.approx(1.0 - fuse_labels((masses, 0.5), (head, 0.5))[label], abs=1e-4)
            else:
                assert (s.head_doubt, s.text_doubt, s.fused_doubt) == (None, None, None)
                seen["could"] += masses.sum() >= COULD_HOLD
            if named or (place is None and masses.sum() >= COULD_HOLD + 1e-4):
                assert s.label_mass == pytest.approx(masses.tolist(), abs=1e-5)
                assert s.label_entropy_nats == pytest.approx(label_entropy_nats(masses), abs=1e-4)
            elif masses.sum() < COULD_HOLD - 1e-4:
                seen["none"] += 1
                assert s.label_mass is None and s.label_entropy_nats is None
            stream.feed([event.token_id], rows=1)
            read.append(event.token_id, event.text)
    assert min(seen.values()) >= 3, f"the tiny models must show all: {seen}"


def test_without_a_head_the_text_speaks_alone(emotional_pair: Pair) -> None:
    doubts = [e.signals for e in drafted(emotional_pair.edge) if e.signals.text_doubt is not None]
    assert doubts
    assert all(s.head_doubt is None and s.fused_doubt == s.text_doubt for s in doubts)


def test_the_signals_change_no_token(emotional_pair: Pair) -> None:
    model = emotional_pair.edge
    stream = model.open(code_for(model), None, "en")
    ids = [int(stream.next_logits().argmax())]
    while len(ids) < EDGE.max_tokens and ids[-1] not in model.end_ids:
        ids.append(int(stream.feed(ids[-1:], rows=1)[0].argmax()))
    assert [event.token_id for event in drafted(with_head(model))] == ids


def draft(model: SpeechModel, **changes: object) -> StreamDraft:
    return StreamDrafter(model).begin(code_for(model), EDGE.changed(**changes), "0a1b2c3d4e5f6071")


def test_looking_ahead_costs_no_forward_pass_and_changes_nothing(
    emotional_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[int] = []
    real = CaptionStream._feed_hidden
    for temperature in (0.0, 1.0):
        blind = draft(emotional_pair.edge, temperature=temperature)
        looking = draft(emotional_pair.edge, temperature=temperature)
        expected = [blind.next(0, last=False) for _ in range(10)]
        fed.clear()
        with monkeypatch.context() as patch:
            patch.setattr(CaptionStream, "_feed_hidden", lambda self, ids: fed.extend(ids) or real(self, ids))  # type: ignore[func-returns-value]
            for token in expected:
                assert looking.peek_emotion(0) == looking.peek_emotion(0) == token.emotion
                assert looking.next(0, last=False) == token
        assert fed == [token.token_id for token in expected[:-1]]


def test_a_look_ahead_is_forgotten_with_what_it_was_behind(emotional_pair: Pair) -> None:
    looking, blind = draft(emotional_pair.edge), draft(emotional_pair.edge)
    for one in (looking, blind):
        for _ in range(6):
            one.next(0, last=False)
    looking.peek_emotion(0)
    for one in (looking, blind):
        one.rollback(3)
        one.append(5, last=False)
    looking.peek_emotion(1)
    assert [looking.next(1, last=False) for _ in range(4)] == [blind.next(1, last=False) for _ in range(4)]
    looking.peek_emotion(1)
    looking.rollback(8)  # an accepted block: nothing is forgotten, and nothing need be read again
    assert looking.next(1, last=False) == blind.next(1, last=False)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_cut_captions_of_real_models_are_lossless_and_whole(emotional_pair: Pair, k: int) -> None:
    captioner = Captioner(
        StreamDrafter(with_head(emotional_pair.edge)), LocalLink(TorchVerifier(emotional_pair.verifier))
    )
    for seed in range(3):
        clip = utterance(seed, 0.7)
        cloud = caption_result(captioner.stream(clip, DecodingOptions(mode="cloud", max_tokens=24)))
        cut = caption_result(captioner.stream(clip, preset("lossless", cut="emotion", k=k, max_tokens=24)))
        assert check_identities(cut) == []
        assert cut.token_ids == cloud.token_ids
        fused = preset("default", gate="always", acceptance="fused", cut="emotion", k=k, max_tokens=24)
        assert check_identities(caption_result(captioner.stream(clip, fused))) == []


# ── Prompts and cards ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_wording_follows_the_utterance_and_a_prompt_that_was_asked_for_comes_first(pair: Pair) -> None:
    drafter = StreamDrafter(replace(pair.edge, wordings=("brief", "paper")))
    names = [drafter.prompt_name(EDGE, f"{n:08x}ffffffff") for n in range(4)]
    assert names == ["brief", "paper", "brief", "paper"]
    assert drafter.prompt_name(EDGE.changed(prompt="paper"), "00000000") == "paper"
    assert StreamDrafter(pair.edge).prompt_name(EDGE, "00000000") is None


def test_the_prompt_of_the_wording_is_what_the_model_reads(pair: Pair) -> None:
    worded = StreamDrafter(replace(pair.edge, wordings=("brief", "paper")))
    for utterance_id, prompt in (("00000000", "brief"), ("00000001", "paper")):
        own = worded.begin(code_for(pair.edge), EDGE, utterance_id)
        plain = StreamDrafter(pair.edge).begin(code_for(pair.edge), EDGE.changed(prompt=prompt), utterance_id)
        assert own.input_tokens == plain.input_tokens
        assert own.next(0, last=False).signals == plain.next(0, last=False).signals


def test_a_card_is_read_with_the_checkpoint(pair: Pair, tmp_path: Path) -> None:
    assert StreamDrafter(pair.edge).gate_card("en") is None
    GateCards("edge", "verifier", {"zh": CARD}).write(tmp_path)
    drafter = StreamDrafter(replace(pair.edge, folder=tmp_path))
    assert drafter.gate_card("zh") == CARD and drafter.gate_card("en") is None
    (tmp_path / "gate.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        StreamDrafter(replace(pair.edge, folder=tmp_path))


def test_a_finished_draft_is_forgotten_without_the_collector(mild: SpeechModel) -> None:
    drafter, code = StreamDrafter(mild), code_for(mild)
    gc.disable()  # what stands in no circle goes as soon as nobody holds it, keys and values with it
    try:
        draft = drafter.begin(code, EDGE, "00")
        draft.next(0, last=False)
        gone = weakref.ref(draft)
        del draft
        assert gone() is None
    finally:
        gc.enable()
