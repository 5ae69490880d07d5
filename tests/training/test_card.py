"""The model card says what was measured, and the shipped checkpoints keep their contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ugsd_core.errors import CheckpointError
from ugsd_core.models.eight_bit import is_eight_bit
from ugsd_core.training.card import IN_THE_LOOP, render_card, wilson, write_card

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
    assert "| test | en | 0.650 (78/120; 0.561–0.729) | 0.650 (0.561–0.729) |" in card
    assert "| test | zh | 0.650 (78/120; 0.561–0.729) | 0.650 (0.561–0.729) |" in card
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
    assert is_eight_bit(config) == (role == "edge")


def test_wilsons_interval_holds_the_share_and_stays_within_0_and_1() -> None:
    assert wilson(78, 120) == pytest.approx((0.5612, 0.7295), abs=1e-4)
    assert wilson(0, 10)[0] == pytest.approx(0) and wilson(10, 10)[1] == pytest.approx(1)


@pytest.mark.parametrize("role", ["edge", "verifier"])
def test_the_shipped_card_has_the_hubs_fields_and_its_figures_with_intervals(role: str) -> None:
    from huggingface_hub import ModelCard

    if not (CHECKPOINTS / role / "README.md").is_file():
        pytest.skip("the checkpoints are not here")
    card = ModelCard.load(CHECKPOINTS / role / "README.md")
    data = card.data
    assert data.license == "cc-by-nc-sa-4.0" and data.language == ["en", "zh"] and data.library_name == "transformers"
    assert data.pipeline_tag == "audio-text-to-text" and data.base_model.startswith("openai/whisper-")
    assert {"narad/ravdess", "amu-cai/nEMO"} == set(data.datasets) and data.metrics == ["accuracy"]
    assert len(data.eval_results) == 6
    for result in data.eval_results:
        right, n = result.metric_args["right"], result.metric_args["n"]
        low, high = wilson(right, n)
        assert result.metric_args["interval_95"] == pytest.approx((low, high), abs=1e-4)
        cell = f"{right / n:.3f} ({right}/{n}; {low:.3f}–{high:.3f})"
        assert cell in card.text
    for heading in ("## Use", "## Training data", "## Figures", "## Limits"):
        assert heading in card.text
    assert "from_pretrained(folder" in card.text and "ugsd_core.models.eight_bit" not in card.text


@pytest.mark.parametrize(("role", "setting"), [("edge", "edge-only"), ("verifier", "cloud-only")])
def test_the_cards_second_count_is_that_of_the_documentation(role: str, setting: str) -> None:
    page = (CHECKPOINTS.parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for language, figure in IN_THE_LOOP[role].items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {language} | {setting} |"))
        assert f"| {figure} |" in row
        assert figure in (CHECKPOINTS / role / "README.md").read_text(encoding="utf-8")


def test_the_shipped_pair_shares_one_tokenizer() -> None:
    paths = [CHECKPOINTS / role / "tokenizer.json" for role in LIMITS_MB]
    if not all(path.is_file() for path in paths):
        pytest.skip("the checkpoints are not here")
    assert paths[0].read_bytes() == paths[1].read_bytes()
