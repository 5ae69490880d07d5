"""Second phase of training: a text decoder learns to put into words what the tower has learned to hear.

One recipe for both models of the pair: AdamW with warm-up and cosine, bf16 autocast, the emotion word weighted
six-fold, the heads of the first phase (`ugsd_core.training.listen`) kept on as auxiliaries, an exponential moving
average of the weights, and the average that does best on development speakers kept. The tower goes on learning, more
slowly. The budget is wall-clock minutes (the schedule then follows the clock, so a busy machine costs steps, not the
end of the schedule) or a number of steps (then a run is reproducible and resumable exactly).
"""

from __future__ import annotations

import copy
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ugsd_core.models.prompts import WORDINGS, Language
from ugsd_core.training.batches import MARKERS, Batch, Sampler, collate, emotion_token_ids, item
from ugsd_core.training.build import Size, freeze, save_checkpoint
from ugsd_core.training.data import Example, FeatureCache
from ugsd_core.training.evaluate import caption_examples, summarise
from ugsd_core.training.hearing import Sounds, hear, sounds
from ugsd_core.training.listen import Heads, ListenRecipe, sound_loss, tower_groups
from ugsd_core.training.tower import padded_tower

__all__ = ["Recipe", "Trainer", "batch_loss", "dev_subset"]

LANGUAGES: tuple[Language, Language] = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyper-parameters.

    Attributes:
        minutes: Wall-clock budget; ignored when ``steps`` is given.
        steps: Number of steps, or ``None`` for the wall clock.
        batch_size: Clips a step.
        captions: Captions of each clip in a step, in languages and wordings of their own.
        tower_lr: Peak learning rate of the tower's top layer.
        layer_decay: Factor on it from each layer to the one below.
        decoder_lr: Peak learning rate of everything else.
        smoothing: Label smoothing.
        aux_weight: Weight of the heads' loss.
        dropout: Dropout inside the tower, on the audio vectors that the decoder reads, and before the heads.
        ema: Decay of the moving average of the weights.
        as_recorded: Share of clips that are heard exactly as recorded.
        evaluations: Shares of the budget after which development speakers are captioned.
        save_every_s: Seconds between saves of the training state.
        seed: Seed of everything random.
    """

    minutes: float = 10.0
    steps: int | None = None
    batch_size: int = 16
    captions: int = 3
    tower_lr: float = 5e-5
    layer_decay: float = 0.8
    decoder_lr: float = 1e-3
    smoothing: float = 0.01
    aux_weight: float = 0.3
    dropout: float = 0.1
    ema: float = 0.995
    as_recorded: float = 0.5
    evaluations: tuple[float, ...] = (0.5, 0.8, 1.0)
    save_every_s: float = 180.0
    seed: int = 0

    def progress(self, step: int, elapsed_s: float) -> float:
        """Share of the budget that is used up, 0 to 1."""
        used = step / self.steps if self.steps is not None else elapsed_s / (60 * self.minutes)
        return min(1.0, used)

    def rate(self, progress: float) -> float:
        """Factor on the learning rates: warm-up over 5 %, then cosine to 2 %."""
        if progress < 0.05:
            return max(progress, 1e-3) / 0.05
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))


def batch_loss(
    model: Any, heads: Any, batch: Batch, targets: Sounds, recipe: Recipe, audio_id: int
) -> tuple[Any, float, float]:
    """Loss of one batch.

    Args:
        model: The whole model.
        heads: From `ugsd_core.training.listen.Heads`.
        batch: Features and text.
        targets: What the heads should say; its features are the batch's.
        recipe: Weights.
        audio_id: The audio placeholder.

    Returns:
        The loss to differentiate, the caption part (nats, weighted mean), and the emotion head's accuracy.
    """
    import torch
    from torch.nn import functional

    dropout = recipe.dropout if model.training else 0.0
    audio, heard = padded_tower(model.model.audio_tower, batch.features, batch.lengths, dropout)
    pooled = functional.dropout((audio.float() * heard[..., None]).sum(1) / heard.sum(1, keepdim=True), dropout)
    inputs = model.get_input_embeddings()(batch.ids)
    captions = len(batch.ids) // len(batch.lengths)
    audio, heard = audio.repeat_interleave(captions, 0), heard.repeat_interleave(captions, 0)
    audio = functional.dropout(audio[heard], dropout)
    inputs = inputs.masked_scatter((batch.ids == audio_id)[..., None], audio.to(inputs.dtype))
    positions = torch.arange(inputs.shape[1]).expand(3, inputs.shape[0], -1)
    hidden = model.model.language_model(inputs_embeds=inputs, position_ids=positions, use_cache=False).last_hidden_state
    # Logits only where a caption token is predicted: two thirds of the positions are audio and request.
    rows = torch.arange(len(batch.ids))[:, None]
    logits = model.lm_head(hidden[rows, batch.asked]).float()
    losses = functional.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), reduction="none", label_smoothing=recipe.smoothing
    )
    weights = batch.weights.flatten()
    text = (losses * weights).sum() / weights.sum()
    aux, right = sound_loss(heads, pooled, targets, ListenRecipe())
    return text + recipe.aux_weight * aux, float(text.detach()), right


def dev_subset(examples: Sequence[Example], per_corpus: int, seed: int) -> list[Example]:
    """At most so many development clips of each corpus, drawn without regard to the label."""
    chosen: list[Example] = []
    for corpus in sorted({e.clip.corpus for e in examples}):
        rows = [e for e in examples if e.clip.corpus == corpus]
        picks = np.random.default_rng(seed).permutation(len(rows))[:per_corpus]
        chosen += [rows[index] for index in sorted(picks)]
    return chosen


class Trainer:
    """One run: holds model, head, optimiser and moving averages, and writes checkpoint and training state.

    Args:
        model: From `build_model`, float32.
        tokenizer: The pair's tokenizer.
        cache: Features, cues and thresholds.
        size: The model's dimensions.
        recipe: Hyper-parameters.
        out: Folder of the checkpoint.
        state_path: File of the training state, outside the repository.
        name: The checkpoint's own name.
        heads: Heads of the first phase; ``None`` for new ones.
        report: Where progress lines go.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        cache: FeatureCache,
        size: Size,
        recipe: Recipe,
        *,
        out: Path,
        state_path: Path,
        name: str,
        heads: Any = None,
        report: Callable[[str], None] = print,
    ) -> None:
        import torch

        self.model, self.tokenizer, self.cache, self.recipe = model, tokenizer, cache, recipe
        self.out, self.state_path, self.name, self.report = out, state_path, name, report
        # On a CPU plain attention trains a quarter faster than the fused kernel, at these lengths.
        model.set_attn_implementation("eager")
        freeze(model)
        self.heads = heads if heads is not None else Heads(size.width)
        self.optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.98), weight_decay=0.05)
        self.averaged: Any = copy.deepcopy(torch.nn.ModuleList([model, self.heads])).requires_grad_(False)
        self.averaged.eval()
        self.sampler = Sampler(cache.split("train"), recipe.batch_size, recipe.seed)
        self.dev = dev_subset(cache.split("dev"), 100, 0)
        self.emotion_ids = emotion_token_ids(tokenizer)
        self.audio_id = tokenizer.convert_tokens_to_ids(MARKERS.pad)
        self.step, self.elapsed_s, self.best, self.evaluated = 0, 0.0, -1.0, 0
        self.history: list[dict[str, float]] = []

    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups: the tower learns slowly, what starts at random learns fast."""
        recipe = self.recipe
        groups = tower_groups(self.model.model.audio_tower, recipe.tower_lr, recipe.layer_decay, recipe.tower_lr)
        fresh = [p for name, p in self.model.named_parameters() if p.requires_grad and "audio_tower" not in name]
        fresh += list(self.heads.parameters())
        return [*groups, {"params": fresh, "lr": recipe.decoder_lr, "peak": recipe.decoder_lr}]

    def _batch(self, step: int) -> tuple[Batch, Sounds]:
        rng = self.sampler.rng(step)
        drawn = self.sampler.draw(step)
        heard = [hear(example, rng, self.recipe.as_recorded) for example in drawn]
        captions = self.recipe.captions
        items = [
            item(example, one, self.cache.thresholds, self.tokenizer, LANGUAGES[choice % 2], 1 + choice // 2)
            for example, one in zip(drawn, heard, strict=True)
            for choice in rng.choice(2 * WORDINGS, size=captions, replace=False).tolist()
        ]
        return collate(items, self.tokenizer.pad_token_id, self.emotion_ids, captions), sounds(drawn, heard)

    def train_step(self) -> tuple[float, float]:
        """One update of weights and averages; returns caption loss and head accuracy."""
        import torch

        torch.manual_seed(1_000_003 * self.recipe.seed + self.step)  # dropout, the same after a resume
        progress = self.recipe.progress(self.step, self.elapsed_s)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.recipe.rate(progress)
        self.model.train()
        batch, targets = self._batch(self.step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, text, right = batch_loss(self.model, self.heads, batch, targets, self.recipe, self.audio_id)
        loss.backward()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._average()
        self.step += 1
        return text, right

    def _average(self) -> None:
        import torch

        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        pairs = [
            (mean, now)
            for mean, now in zip(
                self.averaged.parameters(), [*self.model.parameters(), *self.heads.parameters()], strict=True
            )
            if now.requires_grad
        ]
        with torch.no_grad():
            torch._foreach_lerp_([mean for mean, _ in pairs], [now for _, now in pairs], 1 - decay)

    def run(self) -> list[dict[str, float]]:
        """Train until the budget is used up; returns what every evaluation found."""
        last_save = last_line = time.monotonic()
        sums = np.zeros(3)
        while (progress := self.recipe.progress(self.step, self.elapsed_s)) < 1.0:
            began = time.monotonic()
            sums += (*self.train_step(), 1)
            if self._due(progress):
                self.evaluate()
            now = time.monotonic()
            self.elapsed_s += now - began
            if now - last_line > 20:
                self._line(sums)
                sums[:], last_line = 0, now
            if now - last_save > self.recipe.save_every_s:
                self.save_state()
                last_save = time.monotonic()
        self.evaluate()
        self.save_state()
        # The best on development speakers may be an early one; `ugsd train average` joins it with the last.
        self._write(self.averaged[0], self.averaged[1]["emotion"], self.state_path.with_suffix(".last"))
        return self.history

    def _due(self, progress: float) -> bool:
        passed = sum(progress >= share for share in self.recipe.evaluations if share < 1.0)
        due, self.evaluated = passed > self.evaluated, max(passed, self.evaluated)
        return due

    def _line(self, sums: Any) -> None:
        progress = self.recipe.progress(self.step, self.elapsed_s)
        left_s = self.elapsed_s * (1 - progress) / max(progress, 1e-6)
        loss, right = sums[0] / sums[2], sums[1] / sums[2]
        self.report(
            f"step {self.step}  {100 * progress:.0f} %  loss {loss:.3f}  head {right:.2f}  "
            f"{self.step * self.recipe.batch_size / self.elapsed_s:.1f} clips/s  {left_s / 60:.1f} min left"
        )

    def evaluate(self) -> None:
        """Caption development speakers with the averaged weights; write the checkpoint if it is the best yet."""
        began = time.monotonic()
        model, head = self.averaged[0], self.averaged[1]["emotion"]
        languages = [LANGUAGES[index % 2] for index in range(len(self.dev))]
        figures = summarise(caption_examples(model, self.tokenizer, self.dev, languages))
        score = figures["macro"]
        corpora = "  ".join(f"{name} {row['accuracy']:.3f}" for name, row in figures["corpora"].items())
        better = score >= self.best
        self.history.append({"step": self.step, "elapsed_s": round(self.elapsed_s, 1), "dev_macro": score})
        self.report(
            f"dev at step {self.step}: macro {score:.3f}  {corpora}  {'kept' if better else 'not better'}  "
            f"({time.monotonic() - began:.0f} s)"
        )
        if better:
            self.best = score
            self._write(model, head, self.out)

    def _write(self, model: Any, head: Any, out: Path) -> None:
        """Write the checkpoint beside its place and move it there file by file: readers never see half a file."""
        partial = out.parent / f".{out.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        save_checkpoint(model, head, self.tokenizer, partial, self.name)
        self.cache.write_thresholds(partial)
        out.mkdir(parents=True, exist_ok=True)
        for path in sorted(partial.iterdir()):
            path.chmod(0o644)  # safetensors writes files for their owner alone
            os.replace(path, out / path.name)
        partial.rmdir()

    def save_state(self) -> None:
        """Write everything that `load_state` needs, replacing the last state only when complete."""
        import torch

        state = {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "counters": (self.step, self.elapsed_s, self.best, self.evaluated),
            "history": self.history,
        }
        self.state_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.state_path.with_suffix(".partial")
        torch.save(state, temporary)
        os.replace(temporary, self.state_path)

    def load_state(self) -> bool:
        """Go on from the saved state, if there is one."""
        import torch

        if not self.state_path.is_file():
            return False
        state = torch.load(self.state_path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed_s, self.best, self.evaluated = state["counters"]
        self.history = state["history"]
        return True
