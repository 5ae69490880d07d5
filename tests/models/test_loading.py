from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny
from ugsd_core.acoustic import FeatureSpec, encode_waveform
from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.models.loading import default_checkpoint, load_speech_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_checkpoint(tmp_path_factory.mktemp("saved") / "tiny", "qwen2_5_omni", seed=3)


@pytest.fixture
def checkpoint(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.mark.parametrize("family", tiny.FAMILY_NAMES)
def test_a_checkpoint_of_the_whole_model_gives_its_thinker(family: str, tmp_path: Path) -> None:
    """Released checkpoints hold thinker and talker: nested config, weights behind a prefix."""
    folder = tiny.save_checkpoint(tmp_path / "thinker", family)
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    config = json.loads((folder / "config.json").read_text())
    nested = {"model_type": family, "thinker_config": config, "enable_audio_output": False}
    (whole / "config.json").write_text(json.dumps(nested))
    weights = load_file(folder / "model.safetensors")
    save_file(
        {f"thinker.{key}": value for key, value in weights.items()}, whole / "model.safetensors", {"format": "pt"}
    )
    one, other = load_speech_model(folder), load_speech_model(whole)
    code = encode_waveform(tiny.utterance(0).samples, one.features)
    logits = [model.open(code, None, "en").next_logits() for model in (one, other)]
    np.testing.assert_allclose(*logits, atol=1e-4)


def test_other_checkpoints_get_the_familys_own_features_and_prompt(checkpoint: Path) -> None:
    model = load_speech_model(checkpoint)
    assert model.features == FeatureSpec(n_mels=128, level="as_recorded", bits=8)
    assert model.prompt == "paper"
    assert model.model.model.visual is None


def test_our_checkpoints_say_themselves_what_they_read(checkpoint: Path) -> None:
    own = {"prompt": "brief", "features": {"n_mels": 128, "level": "peak", "bits": 4}, "name": "own"}
    (checkpoint / "ugsd.json").write_text(json.dumps(own))
    model = load_speech_model(checkpoint)
    assert (model.features, model.prompt, model.name) == (FeatureSpec(128, "peak", 4), "brief", "own")


def test_bfloat16_is_loaded_as_asked(checkpoint: Path) -> None:
    model = load_speech_model(checkpoint, dtype="bfloat16")
    assert model.model.lm_head.weight.dtype == torch.bfloat16
    code = encode_waveform(tiny.utterance(0).samples, model.features)
    assert np.isfinite(model.open(code, None, "en").next_logits()).all()


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        load_speech_model(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="is a file; name the folder"):
        load_speech_model(checkpoint / "config.json")


def test_a_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        load_speech_model(tmp_path)


def test_a_model_of_another_kind(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="'bert' cannot be used here"):
        load_speech_model(checkpoint)


def test_a_damaged_config(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_speech_model(checkpoint)


def test_damaged_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(CheckpointError, match="weights cannot be loaded"):
        load_speech_model(checkpoint)


def test_missing_weights_are_not_filled_with_noise(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "audio_tower" not in k}, checkpoint / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(CheckpointError, match=r"lacks .* weights"):
        load_speech_model(checkpoint)


def test_damaged_own_file(checkpoint: Path) -> None:
    (checkpoint / "ugsd.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"ugsd\.json is damaged"):
        load_speech_model(checkpoint)
    (checkpoint / "ugsd.json").write_text('{"features": {"n_mels": 64}}')
    with pytest.raises(CheckpointError, match="features that do not exist"):
        load_speech_model(checkpoint)


def test_a_tokenizer_without_the_end_of_turn(checkpoint: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (checkpoint / name).read_text().replace("<|im_end|>", "<|other|>")
        (checkpoint / name).write_text(text)
    with pytest.raises(CheckpointError, match="could never end"):
        load_speech_model(checkpoint)


def test_impossible_device_and_dtype(checkpoint: Path) -> None:
    with pytest.raises(OptionError, match="dtype is one of"):
        load_speech_model(checkpoint, dtype="int3")
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="no CUDA device"):
            load_speech_model(checkpoint, device="cuda")


def test_a_missing_embedded_checkpoint_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ugsd_core.models import loading

    monkeypatch.setattr(loading, "assets_folder", lambda: tmp_path)
    with pytest.raises(CheckpointError, match="ugsd train edge"):
        default_checkpoint("edge")


def test_words_to_be_said_once_are_single_tokens(checkpoint: Path) -> None:
    (checkpoint / "ugsd.json").write_text(json.dumps({"say_once": [" a"]}))
    model = load_speech_model(checkpoint)
    assert model.say_once == set(model.tokenizer(" a")["input_ids"])
    for words, said in (([" several words"], "not one token"), ("high", "list of texts"), ([""], "list of texts")):
        (checkpoint / "ugsd.json").write_text(json.dumps({"say_once": words}))
        with pytest.raises(CheckpointError, match=said):
            load_speech_model(checkpoint)
