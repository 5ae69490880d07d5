from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from tests import tiny
from ugsd_core.acoustic import encode_waveform
from ugsd_core.errors import CheckpointError
from ugsd_core.models.emotion_head import HEAD_FILE, EmotionHead, load_emotion_head
from ugsd_core.models.loading import default_checkpoint, load_speech_model

WIDTH = 32


def tensors(width: int = WIDTH) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {"weight": random.normal(size=(9, width)).astype(np.float32), "bias": np.zeros(9, dtype=np.float32)}


def test_the_posterior_is_a_softmax_of_one_layer() -> None:
    head = EmotionHead(tensors()["weight"], np.arange(9, dtype=np.float32))
    mean = np.ones(WIDTH, dtype=np.float32)
    expected = torch.softmax(torch.from_numpy(head.weight @ mean + head.bias), dim=0).numpy()
    np.testing.assert_allclose(head.posterior(mean), expected, rtol=1e-5)
    assert head.posterior(mean * 1e4).sum() == pytest.approx(1.0), "large logits do not overflow"


def test_a_folder_without_a_head_and_one_with(tmp_path: Path) -> None:
    assert load_emotion_head(tmp_path, WIDTH) is None
    save_file(tensors(), tmp_path / HEAD_FILE)
    head = load_emotion_head(tmp_path, WIDTH)
    assert head is not None and head.weight.shape == (9, WIDTH) and head.bias.dtype == np.float32


@pytest.mark.parametrize("damage", ["width", "name", "bytes"])
def test_a_head_that_does_not_fit_is_refused(tmp_path: Path, damage: str) -> None:
    held = tensors(48) if damage == "width" else tensors()
    if damage == "name":
        held["weights"] = held.pop("weight")
    save_file(held, tmp_path / HEAD_FILE)
    if damage == "bytes":
        (tmp_path / HEAD_FILE).write_bytes(b"\0" * 50)
    with pytest.raises(CheckpointError, match=HEAD_FILE):
        load_emotion_head(tmp_path, WIDTH)


@pytest.mark.parametrize("family", tiny.FAMILY_NAMES)
def test_a_stream_hears_with_the_checkpoints_head(tmp_path: Path, family: str) -> None:
    folder = tiny.save_checkpoint(tmp_path / "tiny", family, size=WIDTH)
    bare = load_speech_model(folder)
    assert bare.head is None and bare.folder == folder
    save_file(tensors(), folder / HEAD_FILE)
    model = load_speech_model(folder)
    code = encode_waveform(tiny.utterance(1).samples, model.features)
    stream = model.open(code, None, "en")
    with torch.inference_mode():
        audio = model.audio_embeddings(code.features())
    expected = torch.softmax(torch.from_numpy(tensors()["weight"]) @ audio.mean(dim=0), dim=0)
    np.testing.assert_allclose(stream.label_posterior, expected.numpy(), atol=1e-5)
    np.testing.assert_array_equal(stream.next_logits(), bare.open(code, None, "en").next_logits())
    assert bare.open(code, None, "en").label_posterior is None


def test_wordings_are_prompts_with_numbers(tmp_path: Path) -> None:
    folder = tiny.save_checkpoint(tmp_path / "tiny", "qwen2_5_omni")
    (folder / "ugsd.json").write_text(json.dumps({"prompt": "worded", "wordings": 6}))
    model = load_speech_model(folder)
    assert model.wordings == tuple(f"worded-{n}" for n in range(1, 7)) and model.prompt == "worded-1"
    assert [model.wording(f"{n:08x}") for n in (0, 5, 6)] == ["worded-1", "worded-6", "worded-1"]
    for own in ({"prompt": "worded", "wordings": 7}, {"prompt": "worded"}, {"prompt": "brief", "wordings": "six"}):
        (folder / "ugsd.json").write_text(json.dumps(own))
        with pytest.raises(CheckpointError, match=r"ugsd\.json"):
            load_speech_model(folder)
    plain = load_speech_model(Path(shutil.copytree(folder, tmp_path / "plain", ignore=lambda *_: ["ugsd.json"])))
    assert plain.wordings == () and plain.wording("00000000") is None


def test_the_embedded_checkpoints_have_a_head() -> None:
    for side in ("edge", "verifier"):
        folder = default_checkpoint(side)  # type: ignore[arg-type]
        width = json.loads((folder / "config.json").read_text())["audio_config"]["output_dim"]
        assert load_emotion_head(folder, width) is not None


def test_the_head_has_its_say_in_which_emotion_is_named(tmp_path: Path) -> None:
    folder = tiny.save_checkpoint(tmp_path / "tiny", "qwen2_5_omni", size=WIDTH)
    save_file(tensors(), folder / HEAD_FILE)
    bare = load_speech_model(folder)
    (folder / "ugsd.json").write_text(json.dumps({"head_weight": 0.5}))
    model = load_speech_model(folder)
    code = encode_waveform(tiny.utterance(1).samples, model.features)
    for language in ("en", "zh"):
        before, stream = bare.open(code, None, language), model.open(code, None, language)
        added = stream.next_logits() - before.next_logits()
        tokens, posterior = model.emotion_tokens(language), stream.label_posterior
        named = [i for i in range(model.vocabulary_size) if tokens.label_of(i) is not None]
        for token_id in named:
            odds = posterior[tokens.label_of(token_id)] / posterior.max()
            assert added[token_id] == pytest.approx(0.5 * np.log(odds), abs=1e-4)
        np.testing.assert_array_equal(np.delete(added, named), 0.0)
        ids = [5, 6, 7]
        rows = stream.feed(ids, rows=4) - before.feed(ids, rows=4)
        np.testing.assert_allclose(rows, np.tile(added, (4, 1)), atol=1e-4)


@pytest.mark.parametrize("weight", [-1, 11, "1", True, None])
def test_an_impossible_weight_of_the_head_is_refused(tmp_path: Path, weight: object) -> None:
    folder = tiny.save_checkpoint(tmp_path / "tiny", "qwen2_5_omni", size=WIDTH)
    (folder / "ugsd.json").write_text(json.dumps({"head_weight": weight}))
    with pytest.raises(CheckpointError, match="emotion head a weight"):
        load_speech_model(folder)
