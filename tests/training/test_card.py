"""The model card says what was measured, and the shipped checkpoints keep their contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ugsd_core.errors import CheckpointError
from ugsd_core.models.eight_bit import EIGHT_BIT_FILE
from ugsd_core.training.card import render_card, write_card

CHECKPOINTS = Path(__file__).resolve().parents[2] / "assets" / "checkpoints"
LIMITS_MB = {"edge": 10, "verifier": 70}
CONFIG = {"text_config": {"num_hidden_layers": 3, "hidden_size": 256}}


def figures(language: str) -> dict[str, object]:
    row = {"n": 120, "right": 78, "accuracy": 0.65}
    return {"split": "test", "language": language, "macro": 0.65, "corpora": {"ravdess": row}}


def test_the_card_has_front_matter_licence_and_every_figure() -> None:
    card = render_card("edge", CONFIG, 6_700_000, [figures("en"), figures("zh")])
    front = card.split("---")[1]
    assert "license: cc-by-nc-sa-4.0" in front and "base_model: openai/whisper-tiny.en" in front
    assert "| test | en | 0.650 (78/120) | 0.650 |" in card
    assert "| test | zh | 0.650 (78/120) | 0.650 |" in card
    assert "{" not in card


def test_a_folder_without_weights_gets_no_card(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train it first"):
        write_card(tmp_path, "edge", [])


def facts_of(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "ugsd.json").read_text(encoding="utf-8"))
    return facts


@pytest.mark.parametrize("role", ["edge", "verifier"])
def test_the_shipped_checkpoint_keeps_its_contract(role: str) -> None:
    folder = CHECKPOINTS / role
    if not list(folder.glob("*.safetensors")):
        pytest.skip("the checkpoints are not here")
    assert (folder / EIGHT_BIT_FILE).is_file() == (role == "edge")
    assert (folder / "gate.json").is_file() == (role == "edge")
    assert facts_of(folder)["head_weight"] > 0
    assert sum(path.stat().st_size for path in folder.iterdir()) < LIMITS_MB[role] * 1_000_000
    facts = facts_of(folder)
    assert facts["schema"] == 1 and facts["family"] == "qwen2_5_omni" and facts["prompt"] == "worded"
    assert facts["features"] == {"n_mels": 80, "level": "peak", "bits": 4}
    assert facts["licence"] == "CC-BY-NC-SA-4.0"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["Qwen2_5OmniThinkerForConditionalGeneration"]
    assert config["audio_config"]["n_window"] == 1500


def test_the_shipped_pair_shares_one_tokenizer() -> None:
    paths = [CHECKPOINTS / role / "tokenizer.json" for role in LIMITS_MB]
    if not all(path.is_file() for path in paths):
        pytest.skip("the checkpoints are not here")
    assert paths[0].read_bytes() == paths[1].read_bytes()
