from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from ugsd_core.errors import CheckpointError
from ugsd_core.models.loading import load_speech_model
from ugsd_core.training.average import average_checkpoints
from ugsd_core.training.commands import main


def test_the_mean_of_two_checkpoints_opens_and_is_their_mean(tmp_path: Path) -> None:
    folders = [tiny.save_checkpoint(tmp_path / name, "qwen2_5_omni", seed=seed) for seed, name in enumerate("ab")]
    (folders[0] / "README.md").write_text("card of one of them")
    assert main(["average", *map(str, folders), "--out", str(tmp_path / "mean")]) == 0
    assert not (tmp_path / "mean" / "README.md").exists()
    one, other, mean = (load_speech_model(folder).model.state_dict() for folder in (*folders, tmp_path / "mean"))
    differ = 0
    for name, value in mean.items():
        assert value == pytest.approx((one[name] + other[name]) / 2, abs=1e-2), name
        differ += int(not (one[name] == other[name]).all())
    assert differ > 5


def test_what_has_no_mean_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = tiny.save_checkpoint(tmp_path / "one", "qwen2_5_omni")
    wider = tiny.save_checkpoint(tmp_path / "wider", "qwen2_5_omni", size=64)
    with pytest.raises(CheckpointError, match="two checkpoints"):
        average_checkpoints([one], tmp_path / "out")
    with pytest.raises(CheckpointError, match="not of one model"):
        average_checkpoints([one, wider], tmp_path / "out")
    with pytest.raises(CheckpointError, match="exists"):
        average_checkpoints([one, one], wider)
    with pytest.raises(CheckpointError, match="cannot be read"):
        average_checkpoints([one, tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hearing_alone_can_be_averaged_over_vocabularies(tmp_path: Path) -> None:
    one = tiny.save_checkpoint(tmp_path / "one", "qwen2_5_omni")
    other = tiny.save_checkpoint(tmp_path / "other", "qwen2_5_omni", seed=1, extra_sentence="Quite other words.")
    average_checkpoints([one, other], tmp_path / "out", hearing=True)
    first, second, mean = (load_speech_model(folder).model.state_dict() for folder in (one, other, tmp_path / "out"))
    for name, value in mean.items():
        expected = (first[name] + second[name]) / 2 if "audio_tower." in name else first[name]
        assert value == pytest.approx(expected, abs=1e-2), name
