from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import Pair
from tests.tiny import utterance
from ugsd_core.acoustic import AcousticCode, encode_waveform
from ugsd_core.errors import CheckpointError
from ugsd_core.models.speech_model import CaptionStream, SpeechModel


def code_for(model: SpeechModel, seed: int = 0, duration_s: float = 1.0) -> AcousticCode:
    return encode_waveform(utterance(seed, duration_s).samples, model.features)


def fresh_logits(model: SpeechModel, code: AcousticCode, ids: list[int]) -> np.ndarray:
    """Logits of every caption position by one plain forward pass without any cache."""
    with torch.inference_mode():
        embeds = model.request(code, None, "en")
        tokens = torch.tensor([ids], dtype=torch.long)
        both = torch.cat((embeds, model.model.get_input_embeddings()(tokens)), dim=1)
        positions = torch.arange(both.shape[1]).expand(3, 1, -1)
        output = model.model(inputs_embeds=both, position_ids=positions, use_cache=False)
    return output.logits[0, embeds.shape[1] - 1 :, : model.vocabulary_size].numpy()


def test_any_sequence_of_rollbacks_equals_a_fresh_forward(pair: Pair) -> None:
    for model in (pair.edge, pair.verifier):
        random = np.random.default_rng(5)
        code = code_for(model)
        stream = model.open(code, None, "en")
        held: list[int] = []
        for _ in range(25):
            block = [int(i) for i in random.integers(0, model.vocabulary_size, random.integers(1, 7))]
            rows = stream.feed(block, rows=len(block) + 1)
            expected = fresh_logits(model, code, held + block)
            np.testing.assert_allclose(rows, expected[len(held) :], atol=1e-4)
            held += block
            keep = int(random.integers(0, len(held) + 1)) if random.random() < 0.6 else len(held)
            stream.truncate(keep)
            del held[keep:]
            np.testing.assert_allclose(stream.next_logits(), expected[len(held)], atol=1e-4)
            assert stream.length == len(held)


def test_audio_reaches_the_logits_and_the_count_of_placeholders_fits_every_length(pair: Pair) -> None:
    model = pair.edge
    for n_frames in [*range(30, 60), 99, 100, 101, 199, 200, 201, 299, 350, 1000]:
        features = np.random.default_rng(n_frames).standard_normal((128, n_frames)).astype(np.float32)
        states = model.audio_embeddings(features)
        assert states.shape[0] == model.family.n_audio(n_frames, model.model.config.audio_config)
    one = model.open(code_for(model, 1), None, "en").next_logits()
    other = model.open(code_for(model, 2), None, "en").next_logits()
    assert np.abs(one - other).max() > 1e-3


def test_equals_the_models_own_forward_on_ids_and_features(pair: Pair) -> None:
    """Scattering audio embeddings ourselves gives what the model does with input_ids and input_features."""
    from ugsd_core.models.prompts import prompt_ids

    model = pair.verifier
    code = code_for(model, 3)
    n_audio = model.family.n_audio(code.n_frames, model.model.config.audio_config)
    ids = torch.tensor([prompt_ids(model.tokenizer, model.family.markers, "paper", "zh", n_audio)])
    features = torch.from_numpy(code.features()).unsqueeze(0)
    mask = torch.ones(1, code.n_frames, dtype=torch.long)
    with torch.inference_mode():
        output = model.model(
            input_ids=ids,
            input_features=features,
            feature_attention_mask=mask,
            attention_mask=torch.ones_like(ids),
            position_ids=torch.arange(ids.shape[1]).expand(3, 1, -1),
        )
    ours = model.open(code, None, "zh").next_logits()
    np.testing.assert_allclose(ours, output.logits[0, -1, : model.vocabulary_size].numpy(), atol=1e-4)


def test_streams_on_one_model_do_not_disturb_each_other_in_threads(pair: Pair) -> None:
    model = pair.verifier

    def write(seed: int) -> list[int]:
        stream: CaptionStream = model.open(code_for(model, seed, 0.5 + 0.1 * seed), None, "en")
        ids = [int(stream.next_logits().argmax())]
        for _ in range(11):
            ids.append(int(stream.feed(ids[-1:], rows=1)[0].argmax()))
        return ids

    alone = [write(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(8))) == alone


def test_logits_are_cut_to_the_shared_vocabulary(pair: Pair) -> None:
    assert pair.edge.model.lm_head.weight.shape[0] > pair.edge.vocabulary_size
    assert pair.edge.open(code_for(pair.edge), None, "en").next_logits().shape == (pair.edge.vocabulary_size,)
    assert pair.edge.vocabulary_size == pair.edge.end_of_turn_id + 1
    assert pair.edge.info.tokenizer_fingerprint == pair.verifier.info.tokenizer_fingerprint


def test_too_few_placeholders_are_an_error_not_a_misalignment(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pair.edge
    real = SpeechModel.audio_embeddings
    monkeypatch.setattr(SpeechModel, "audio_embeddings", lambda self, f: real(self, f)[:-1])
    with pytest.raises(CheckpointError, match="placeholders"):
        model.open(code_for(model), None, "en")


def test_a_code_of_another_kind_is_refused(pair: Pair) -> None:
    features = np.zeros((80, 50), dtype=np.float32)
    with pytest.raises(CheckpointError, match="128 mel bins"):
        pair.edge.open(AcousticCode.quantise(features, 8), None, "en")


def test_what_is_to_be_said_once_is_out_of_question_from_then_on(pair: Pair) -> None:
    ids = [5, 9, 6, 5]
    model = replace(pair.edge, say_once=frozenset({5, 6}))
    code = code_for(model, 3)
    plain, once = pair.edge.open(code, None, "en"), model.open(code, None, "en")
    before, rows = plain.feed(ids, rows=5), once.feed(ids, rows=5)
    said = [set(), {5}, {5}, {5, 6}, {5, 6}]
    for row, free, gone in zip(rows, before, said, strict=True):
        assert all(row[i] == -1e4 for i in gone)
        kept = [i for i in range(model.vocabulary_size) if i not in gone]
        np.testing.assert_allclose(row[kept], free[kept], atol=1e-4)
    once.truncate(1)
    assert once.next_logits()[6] != -1e4 and once.next_logits()[5] == -1e4
    part = once.feed([9, 6], rows=1)[0]
    np.testing.assert_allclose(part, rows[3], atol=1e-4)
