"""The first phase: the tower learns to hear, and the second phase takes over exactly what it wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.test_trainer import RECIPE as TRAINING
from tests.training.test_trainer import TINY, cache, tokenizer, trainer
from ugsd_core.errors import CheckpointError
from ugsd_core.training.average import average_checkpoints
from ugsd_core.training.build import build_model, freeze_lowest, use_checkpoint, use_hearing, use_listened
from ugsd_core.training.hearing import CUE_SCALES, Heard, hear, sounds
from ugsd_core.training.listen import Heads, Listener, ListenRecipe, tower_groups

torch: Any = pytest.importorskip("torch")

RECIPE = ListenRecipe(steps=60, batch_size=6, tower_lr=3e-3, head_lr=1e-2)


def listener() -> Listener:
    torch.manual_seed(0)
    model = build_model("edge", tokenizer(), None, TINY)
    return Listener(model.model.audio_tower, TINY.width, cache(), RECIPE, report=lambda line: None)


def test_the_tower_learns_to_tell_two_tones_apart() -> None:
    run = listener()
    assert run.run()["macro"] > 0.9


def test_what_was_learnt_arrives_in_the_whole_model(tmp_path: Path) -> None:
    run = listener()
    for _ in range(2):
        run.train_step()
    run.save(tmp_path / "listened.safetensors")
    model, heads = build_model("edge", tokenizer(), None, TINY), Heads(TINY.width)
    use_listened(model, heads, tmp_path / "listened.safetensors")
    for name, value in run.averaged["tower"].state_dict().items():
        assert torch.equal(value, model.model.audio_tower.state_dict()[name]), name
    for name, value in run.averaged["heads"].state_dict().items():
        assert torch.equal(value, heads.state_dict()[name]), name


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model, heads = build_model("edge", tokenizer(), None, TINY), Heads(TINY.width)
    with pytest.raises(CheckpointError, match="first phase"):
        use_listened(model, heads, tmp_path / "none.safetensors")
    save_file({"tower.x": torch.zeros(1)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(CheckpointError, match="does not fit"):
        use_listened(model, heads, tmp_path / "other.safetensors")


def test_listening_goes_on_from_where_it_was(tmp_path: Path) -> None:
    run = listener()
    run.train_step()
    run.save(tmp_path / "listened.safetensors")
    again = listener()
    again.load(tmp_path / "listened.safetensors")
    for name, value in run.averaged.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[name]), name
        assert torch.equal(value, again.averaged.state_dict()[name]), name
    with pytest.raises(CheckpointError, match="what listening wrote"):
        again.load(tmp_path / "none.safetensors")


def test_listening_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    earlier = trainer(tmp_path, TRAINING)
    earlier.train_step()
    earlier.evaluate()
    run = listener()
    run.load(earlier.out)
    tower = earlier.averaged[0].model.audio_tower.state_dict()
    for name, value in run.module["tower"].state_dict().items():
        assert value == pytest.approx(tower[name], abs=1e-3), name
        assert torch.equal(value, run.averaged["tower"].state_dict()[name]), name
    wide = replace(TINY, width=2 * TINY.width)
    other = build_model("edge", tokenizer(), None, wide)
    with pytest.raises(CheckpointError, match="another size"):
        use_hearing(other.model.audio_tower, Heads(2 * TINY.width), earlier.out)


def test_frozen_layers_keep_what_they_know(tmp_path: Path) -> None:
    model = build_model("edge", tokenizer(), None, TINY)
    before = {name: value.clone() for name, value in model.model.audio_tower.state_dict().items()}
    freeze_lowest(model.model.audio_tower, 1)
    run = Listener(model.model.audio_tower, TINY.width, cache(), RECIPE, report=lambda line: None)
    for _ in range(3):
        run.train_step()
    after = run.module["tower"].state_dict()
    kept = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert {name for name in before if name.startswith(("conv", "layers.0."))} <= kept
    assert "proj.weight" not in kept


def test_two_runs_have_a_mean(tmp_path: Path) -> None:
    runs = [listener(), listener()]
    runs[1].train_step()
    for number, run in enumerate(runs):
        run.save(tmp_path / f"{number}.safetensors")
    average_checkpoints([tmp_path / "0.safetensors", tmp_path / "1.safetensors"], tmp_path / "mean.safetensors")
    mean = listener()
    mean.load(tmp_path / "mean.safetensors")
    one, other = (run.averaged.state_dict() for run in runs)
    for name, value in mean.module.state_dict().items():
        assert value == pytest.approx((one[name] + other[name]) / 2, abs=1e-5), name


def test_lower_layers_learn_slower() -> None:
    tower = build_model("edge", tokenizer(), None, TINY).model.audio_tower
    rates = {group["peak"] for group in tower_groups(tower, 1.0, 0.5, 4.0)}
    assert rates == {4.0, 1.0, 0.5}  # projection; top layer and what has no depth; convolutions


def test_what_was_not_measured_is_no_target() -> None:
    example = next(e for e in cache().examples if e.clip.split == "train")
    heard = hear(example, None)
    silent = Heard(heard.features, heard.cues.changed(pitch=1.0))
    batch = sounds([example, example], [heard, silent])
    assert batch.cues.shape == (2, len(CUE_SCALES))
    assert torch.isfinite(batch.cues).all()
    assert batch.strong.tolist() == [0.0, 0.0]


def test_a_change_moves_the_cues_along() -> None:
    example = next(e for e in cache().examples if e.clip.split == "train")
    rng = np.random.default_rng(3)
    heard = [hear(example, rng) for _ in range(60)]
    same = [one for one in heard if one.cues == example.cues]
    assert 15 < len(same) < 45, "half of them as recorded"
    assert all(np.array_equal(one.features, example.code.features()) for one in same)
    assert len({one.cues.pitch for one in heard}) > len(heard) / 3
    assert {one.features.shape[0] for one in heard} == {80}


def test_training_can_start_from_an_earlier_checkpoint(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(TRAINING, steps=2))
    run.run()
    model, heads = build_model("edge", tokenizer(), None, TINY), Heads(TINY.width)
    rows = use_checkpoint(model, tokenizer(), heads, tmp_path / "out")
    assert rows == len(tokenizer().get_vocab())
    for name, value in run.averaged[0].state_dict().items():
        if "visual" not in name:
            assert torch.equal(value.half().float(), model.state_dict()[name]), name
    assert torch.equal(heads["emotion"].bias, run.averaged[1]["emotion"].bias.half().float())
    other = build_model("edge", tokenizer(), None, replace(TINY, feed_forward=128))
    with pytest.raises(CheckpointError, match="another size"):
        use_checkpoint(other, tokenizer(), heads, tmp_path / "out")
