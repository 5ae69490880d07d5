"""Eight-bit weights: small, close to what they were, and opened by the same loading path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny import save_checkpoint
from ugsd_core.errors import CheckpointError
from ugsd_core.models.eight_bit import dequantise, quantise, quantise_checkpoint
from ugsd_core.models.loading import load_speech_model

FAMILY = "qwen2_5_omni"


def test_each_row_is_within_half_a_step_of_what_it_was() -> None:
    matrix = torch.randn(8, 33) * torch.logspace(-3, 3, 8)[:, None]
    weights = {"m.weight": matrix, "v.weight": torch.randn(5), "c.weight": torch.randn(4, 3, 3)}
    back = dequantise(quantise(weights))
    assert set(back) == set(weights)
    for name in ("m.weight", "c.weight"):
        rows, found = weights[name].flatten(1), back[name].flatten(1)
        step = rows.abs().amax(dim=1, keepdim=True) / 127
        assert ((rows - found).abs() <= 0.501 * step).all()
    torch.testing.assert_close(back["v.weight"], weights["v.weight"], atol=1e-3, rtol=1e-3)


def test_rows_of_zeros_stay_zero() -> None:
    assert not dequantise(quantise({"z.weight": torch.zeros(2, 4)}))["z.weight"].any()


def test_a_quantised_folder_opens_as_the_same_model(tmp_path: Path) -> None:
    folder = tmp_path / "edge"
    save_checkpoint(folder, FAMILY)
    whole = load_speech_model(folder)
    before, after = quantise_checkpoint(folder)
    assert after < 0.7 * before
    small = load_speech_model(folder)
    assert small.info.tokenizer_fingerprint == whole.info.tokenizer_fingerprint
    for name, value in whole.model.state_dict().items():
        other = small.model.state_dict()[name]
        assert other.shape == value.shape and (other - value).abs().max() <= value.abs().max() / 120 + 1e-3, name


def test_what_cannot_be_quantised_or_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="to quantise"):
        quantise_checkpoint(tmp_path)
    folder = tmp_path / "edge"
    save_checkpoint(folder, FAMILY)
    quantise_checkpoint(folder)
    with pytest.raises(CheckpointError, match="already"):
        quantise_checkpoint(folder)
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        load_speech_model(folder)
