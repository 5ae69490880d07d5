from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.conftest import Pair
from tests.tiny import utterance
from ugsd_core.acoustic import AcousticCode, encode_waveform
from ugsd_core.errors import CheckpointError
from ugsd_core.models.speech_model import SpeechModel


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
