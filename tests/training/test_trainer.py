"""Training on synthetic clips: it learns, it resumes exactly, and what it writes opens again."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ugsd_core.acoustic import encode_waveform
from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.models.loading import load_speech_model
from ugsd_core.training.batches import Item, Sampler, audio_tokens, collate, emotion_token_ids, item
from ugsd_core.training.build import ROLES, Size, build_model, save_checkpoint, size_of
from ugsd_core.training.corpora import Clip
from ugsd_core.training.cues import CUE_NAMES, Cues
from ugsd_core.training.data import FINE, SPEC, Copy, Example, FeatureCache
from ugsd_core.training.evaluate import caption_examples, evaluate_checkpoint, prompt_of, summarise
from ugsd_core.training.hearing import hear, sounds
from ugsd_core.training.tokenizer import build_tokenizer
from ugsd_core.training.tower import padded_tower
from ugsd_core.training.trainer import Recipe, Trainer, batch_loss

torch: Any = pytest.importorskip("torch")

TINY = Size("none", 1, 64, 2, 128, 1, 64)
RECIPE = Recipe(steps=8, batch_size=4, tower_lr=3e-3, decoder_lr=3e-3, evaluations=(1.0,), dropout=0.1)


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    return build_tokenizer()


@lru_cache(maxsize=1)
def cache() -> FeatureCache:
    rng = np.random.default_rng(0)
    examples = []
    for number in range(16):
        label = ("anger", "sadness")[number % 2]
        split = ("train", "train", "train", "dev")[number % 4] if number != 1 else "dev"
        tone = np.sin(np.arange(8000 + 640 * number) * (0.4 if label == "anger" else 0.05))
        samples = (0.3 * tone + 0.01 * rng.standard_normal(tone.size)).astype(np.float32)
        copies = (Copy(1.0, encode_waveform(samples, FINE)),) if split == "train" else ()
        clip = Clip(f"c{number}", "ravdess", Path("x"), f"s{number}", "f", label, False, "Kids.", split)
        cues = Cues(*(float(number % 2) * 10 for _ in CUE_NAMES))
        examples.append(Example(clip, cues, encode_waveform(samples, SPEC), copies))
    return FeatureCache(tuple(examples), {"f": {name: (1.0, 3.0, 5.0, 7.0, 9.0) for name in CUE_NAMES}})


def trainer(folder: Path, recipe: Recipe = RECIPE) -> Trainer:
    torch.manual_seed(0)
    model = build_model("edge", tokenizer(), None, TINY)
    return Trainer(
        model,
        tokenizer(),
        cache(),
        TINY,
        recipe,
        out=folder / "out",
        state_path=folder / "state.pt",
        name="tiny",
        report=lambda line: None,
    )


def as_recorded(example: Example, language: Any) -> Item:
    return item(example, hear(example, None), cache().thresholds, tokenizer(), language, 1)


def test_the_loss_falls(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(RECIPE, steps=60))
    losses = [run.train_step()[0] for _ in range(50)]
    assert np.mean(losses[-3:]) < 0.6 * losses[0]


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "a")
    for _ in range(6):
        whole.train_step()
    first = trainer(tmp_path / "b")
    for _ in range(3):
        first.train_step()
    first.save_state()
    second = trainer(tmp_path / "b")
    assert second.load_state() and second.step == 3
    for _ in range(3):
        second.train_step()
    for mine, other in zip(whole.averaged.parameters(), second.averaged.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_without_a_saved_state_there_is_nothing_to_resume(tmp_path: Path) -> None:
    assert not trainer(tmp_path).load_state()


def test_a_run_leaves_a_checkpoint_that_opens_whole(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration

    run = trainer(tmp_path, replace(RECIPE, steps=3))
    history = run.run()
    assert [row["step"] for row in history] == [3]
    out = tmp_path / "out"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "state.last", "state.pt"]
    assert (tmp_path / "state.last" / "model.safetensors").is_file()
    loaded, info = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(
        out, dtype=torch.float32, output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, value in run.averaged[0].state_dict().items():
        assert torch.equal(value.half().float(), loaded.state_dict()[name]), name
    captions = caption_examples(loaded.eval(), AutoTokenizer.from_pretrained(out), run.dev, ["en"] * len(run.dev))
    figures = summarise(captions)
    assert figures["n"] == len(run.dev) == sum(row["n"] for row in figures["corpora"].values())


def test_batched_greedy_captions_equal_those_written_one_by_one(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    for _ in range(8):
        run.train_step()
    model = run.model.eval()
    together = caption_examples(model, tokenizer(), run.dev, ["en", "zh"] * 2 + ["en"] * (len(run.dev) - 4))
    for one in together:
        assert caption_examples(model, tokenizer(), [one.example], [one.language])[0].text == one.text


def test_a_checkpoint_is_measured_as_it_is_used(tmp_path: Path) -> None:
    """The emotion head's say and what is said once are in the batched captions as they are in the stream's."""
    run = trainer(tmp_path)
    for _ in range(8):
        run.train_step()
    run.evaluate()
    speech = load_speech_model(tmp_path / "out")
    assert speech.head_weight > 0 and speech.say_once
    _, together = evaluate_checkpoint(tmp_path / "out", run.dev, "en")
    for one in together:
        stream = speech.open(one.example.code, prompt_of("worded", one.example), "en")
        ids: list[int] = []
        while len(ids) < 48 and speech.end_of_turn_id not in ids:
            ids.append(int((stream.feed(ids[-1:], rows=1)[0] if ids else stream.next_logits()).argmax()))
        assert speech.decode(ids) == one.text


def test_the_padded_tower_gives_what_the_model_gives() -> None:
    torch.manual_seed(1)
    model = build_model("edge", tokenizer(), None, TINY).eval()
    items = [as_recorded(example, "en") for example in cache().examples[:5]]
    batch = collate(items, tokenizer().pad_token_id, emotion_token_ids(tokenizer()))
    with torch.no_grad():
        vectors, heard = padded_tower(model.model.audio_tower, batch.features, batch.lengths)
        for row, one in enumerate(items):
            expected = model.get_audio_features(
                torch.from_numpy(one.features)[None], audio_feature_lengths=batch.lengths[row : row + 1],
                feature_attention_mask=torch.ones(1, one.features.shape[1], dtype=torch.long),
            ).last_hidden_state  # fmt: skip
            assert len(expected) == audio_tokens(one.features.shape[1])
            torch.testing.assert_close(vectors[row][heard[row]], expected, atol=1e-4, rtol=1e-4)


def test_a_batch_asks_for_the_caption_and_nothing_else() -> None:
    items = [as_recorded(example, "zh") for example in cache().examples[:3]]
    batch = collate(items, tokenizer().pad_token_id, emotion_token_ids(tokenizer()))
    for row, one in enumerate(items):
        answer = one.ids[one.n_request :]
        assert batch.targets[row, : len(answer)].tolist() == answer
        assert batch.ids[row, batch.asked[row] + 1][: len(answer)].tolist() == answer
        assert batch.weights[row].sum() == len(answer) + 5


def test_several_captions_of_a_clip_cost_one_tower_and_weigh_as_they_would_alone(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.model.eval()
    examples = cache().examples[:3]
    items = [as_recorded(e, language) for e in examples for language in ("en", "zh")]
    heard = [hear(e, None) for e in examples]
    pad, ids = tokenizer().pad_token_id, emotion_token_ids(tokenizer())
    together = collate(items, pad, ids, captions=2)
    assert len(together.features) == 3 and len(together.ids) == 6
    alone = collate(items, pad, ids)
    assert torch.equal(together.ids, alone.ids)
    twice = sounds([e for e in examples for _ in range(2)], [h for h in heard for _ in range(2)])
    with torch.no_grad():
        losses = [
            batch_loss(run.model, run.heads, batch, targets, RECIPE, run.audio_id)[1]
            for batch, targets in ((together, sounds(examples, heard)), (alone, twice))
        ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_step_draws_the_same_clips_whenever_it_is_asked() -> None:
    train = cache().split("train")
    ids = [[e.clip.id for e in Sampler(train, 4, 7).draw(step)] for step in (5, 5, 6)]
    assert ids[0] == ids[1] != ids[2]


def test_the_schedule_warms_up_and_ends_low() -> None:
    assert RECIPE.rate(0.0) < 0.05 < RECIPE.rate(0.03) < RECIPE.rate(0.06)
    assert RECIPE.rate(1.0) == pytest.approx(0.02)
    assert Recipe(minutes=2.0).progress(0, 60.0) == pytest.approx(0.5)


def test_a_missing_encoder_says_where_to_point(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--encoders"):
        build_model("edge", tokenizer(), tmp_path, TINY)


def test_an_encoder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "none").mkdir()
    save_file({"conv1.weight": torch.zeros(64, 80, 3)}, str(tmp_path / "none" / "encoder.safetensors"))
    with pytest.raises(CheckpointError, match="missing"):
        build_model("edge", tokenizer(), tmp_path, TINY)


def test_the_roles_are_edge_and_verifier() -> None:
    assert set(ROLES) == {"edge", "verifier"}
    with pytest.raises(OptionError, match="edge, verifier"):
        size_of("middle")


def test_saving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = build_model("edge", tokenizer(), None, TINY)
    save_checkpoint(model, None, tokenizer(), tmp_path, "tiny")
    assert model.lm_head.weight.dtype == torch.float32
    assert not (tmp_path / "emotion_head.safetensors").exists()
