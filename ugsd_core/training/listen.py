"""First phase of training: the audio tower alone learns to hear emotions and cues, end to end.

No text is involved, so a step costs a third less than one with captions, and what the tower learns does not depend on
the wording that the decoder learns afterwards. Three linear heads read the mean of the tower's output: the emotion, the
measured cues, and whether the actor was asked for strong intensity.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ugsd_core.errors import CheckpointError
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.training.batches import Sampler
from ugsd_core.training.build import use_hearing
from ugsd_core.training.cues import CUE_NAMES
from ugsd_core.training.data import Example, FeatureCache
from ugsd_core.training.hearing import Heard, Sounds, hear, sounds
from ugsd_core.training.tower import padded_tower

__all__ = ["Heads", "ListenRecipe", "Listener", "sound_loss", "tower_groups"]


@dataclass(frozen=True, slots=True)
class ListenRecipe:
    """Hyper-parameters of the first phase.

    Attributes:
        minutes: Wall-clock budget; ignored when ``steps`` is given.
        steps: Number of steps, or ``None`` for the wall clock.
        batch_size: Clips a step.
        tower_lr: Peak learning rate of the tower's top layer.
        layer_decay: Factor on it from each layer to the one below: the lowest layers hear what Whisper heard.
        head_lr: Peak learning rate of the heads and of the tower's projection.
        smoothing: Label smoothing; actors do not always sound as asked.
        cue_weight: Weight of the cue regression.
        strong_weight: Weight of the intensity.
        dropout: Inside the tower, and before the heads.
        ema: Decay of the moving average of the weights.
        as_recorded: Share of clips that are heard exactly as recorded.
        seed: Seed of everything random.
    """

    minutes: float = 30.0
    steps: int | None = None
    batch_size: int = 24
    tower_lr: float = 1.5e-4
    layer_decay: float = 0.8
    head_lr: float = 1e-3
    smoothing: float = 0.05
    cue_weight: float = 0.3
    strong_weight: float = 0.1
    dropout: float = 0.1
    ema: float = 0.997
    as_recorded: float = 0.5
    seed: int = 0

    def progress(self, step: int, elapsed_s: float) -> float:
        """Share of the budget that is used up, 0 to 1."""
        used = step / self.steps if self.steps is not None else elapsed_s / (60 * self.minutes)
        return min(1.0, used)

    @staticmethod
    def rate(progress: float) -> float:
        """Factor on the learning rates: warm-up over 5 %, then cosine to 5 %."""
        if progress < 0.05:
            return max(progress, 1e-3) / 0.05
        return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))


def Heads(width: int) -> Any:
    """The linear heads: ``emotion`` (labels), ``cues`` (cues), ``strong`` (1), each on a vector of ``width``."""
    import torch

    sizes = {"emotion": len(EMOTION_LABELS), "cues": len(CUE_NAMES), "strong": 1}
    return torch.nn.ModuleDict({name: torch.nn.Linear(width, size) for name, size in sizes.items()})


def tower_groups(tower: Any, peak: float, layer_decay: float, proj_peak: float) -> list[dict[str, Any]]:
    """Optimiser groups of a tower: each layer learns slower than the one above it, the new projection fast."""
    layers = len(tower.layers)
    groups: dict[float, list[Any]] = {}
    for name, parameter in tower.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("proj."):
            rate = proj_peak
        elif name.startswith("layers."):
            rate = peak * layer_decay ** (layers - 1 - int(name.split(".")[1]))
        else:
            rate = peak * (layer_decay**layers if name.startswith("conv") else 1.0)
        groups.setdefault(rate, []).append(parameter)
    return [{"params": parameters, "lr": rate, "peak": rate} for rate, parameters in groups.items()]


def sound_loss(heads: Any, pooled: Any, batch: Sounds, recipe: ListenRecipe) -> tuple[Any, float]:
    """Loss of the three heads.

    Args:
        heads: From `Heads`.
        pooled: (batch, width) float32, the mean audio vector of each clip.
        batch: The targets.
        recipe: Weights and smoothing.

    Returns:
        The loss, and the share of emotions named right.
    """
    import torch
    from torch.nn import functional

    guess = heads["emotion"](pooled).float()
    loss = functional.cross_entropy(guess, batch.labels, label_smoothing=recipe.smoothing)
    known = torch.isfinite(batch.cues)
    cues = functional.smooth_l1_loss(heads["cues"](pooled).float()[known], batch.cues[known])
    loss = loss + recipe.cue_weight * cues
    said = torch.isfinite(batch.strong)
    if bool(said.any()):
        strong = heads["strong"](pooled).float()[said, 0]
        loss = loss + recipe.strong_weight * functional.binary_cross_entropy_with_logits(strong, batch.strong[said])
    return loss, float((guess.argmax(-1) == batch.labels).float().mean())


class Listener:
    """One run of the first phase.

    Args:
        tower: The audio tower, float32, from `ugsd_core.training.build.build_model`.
        width: Width of its output.
        cache: Features and cues.
        recipe: Hyper-parameters.
        report: Where progress lines go.
    """

    def __init__(
        self,
        tower: Any,
        width: int,
        cache: FeatureCache,
        recipe: ListenRecipe,
        report: Callable[[str], None] = print,
    ) -> None:
        import torch

        self.recipe, self.report = recipe, report
        self.module = torch.nn.ModuleDict({"tower": tower, "heads": Heads(width)})
        tower.audio_bos_eos_token.requires_grad_(False)
        groups = tower_groups(tower, recipe.tower_lr, recipe.layer_decay, recipe.head_lr)
        groups.append({"params": list(self.module["heads"].parameters()), "lr": recipe.head_lr, "peak": recipe.head_lr})
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.05)
        self.averaged: Any = copy.deepcopy(self.module).requires_grad_(False).eval()
        self.sampler = Sampler(cache.split("train"), recipe.batch_size, recipe.seed)
        self.dev = cache.split("dev")
        self.step, self.elapsed_s = 0, 0.0

    def train_step(self) -> float:
        """One update; returns the share of emotions that the head named right."""
        import torch

        torch.manual_seed(1_000_003 * self.recipe.seed + self.step)
        progress = self.recipe.progress(self.step, self.elapsed_s)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.recipe.rate(progress)
        rng = self.sampler.rng(self.step)
        drawn = self.sampler.draw(self.step)
        batch = sounds(drawn, [hear(example, rng, self.recipe.as_recorded) for example in drawn])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            pooled = self._pooled(self.module["tower"], batch, self.recipe.dropout)
        pooled = torch.nn.functional.dropout(pooled, self.recipe.dropout)
        loss, right = sound_loss(self.module["heads"], pooled, batch, self.recipe)
        loss.backward()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            means: list[Any] = list(self.averaged.parameters())
            torch._foreach_lerp_(means, list[Any](self.module.parameters()), 1 - decay)
        self.step += 1
        return right

    @staticmethod
    def _pooled(tower: Any, batch: Sounds, dropout: float) -> Any:
        audio, heard = padded_tower(tower, batch.features, batch.lengths, dropout)
        return (audio.float() * heard[..., None]).sum(1) / heard.sum(1, keepdim=True)

    def run(self) -> dict[str, float]:
        """Train until the budget is used up; returns the emotion head's accuracy on development speakers."""
        last_line, rights = time.monotonic(), []
        checks = [0.25, 0.5, 0.75]
        while (progress := self.recipe.progress(self.step, self.elapsed_s)) < 1.0:
            began = time.monotonic()
            rights.append(self.train_step())
            self.elapsed_s += time.monotonic() - began
            if time.monotonic() - last_line > 30:
                rate = self.step * self.recipe.batch_size / self.elapsed_s
                left = self.elapsed_s / 60 * (1 - progress) / max(progress, 1e-6)
                self.report(
                    f"listening: step {self.step}  {100 * progress:.0f} %  head {np.mean(rights):.2f}  "
                    f"{rate:.1f} clips/s  {left:.1f} min left"
                )
                last_line, rights = time.monotonic(), []
            if checks and progress >= checks[0]:
                checks.pop(0)
                self.evaluate()
        return self.evaluate()

    def evaluate(self) -> dict[str, float]:
        """Accuracy of the averaged emotion head on development speakers, per corpus and their mean."""
        rights: dict[str, list[bool]] = {}
        for example, guess in zip(self.dev, self.guesses(self.dev), strict=True):
            rights.setdefault(example.clip.corpus, []).append(EMOTION_LABELS[guess] == example.clip.label)
        figures = {corpus: float(np.mean(hits)) for corpus, hits in sorted(rights.items())}
        figures["macro"] = float(np.mean(list(figures.values())))
        self.report(f"listening: dev at step {self.step}: " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        return figures

    def guesses(self, examples: Sequence[Example], batch_size: int = 32) -> list[int]:
        """The label index that the averaged head names for each example, as recorded."""
        import torch

        order = sorted(range(len(examples)), key=lambda index: examples[index].code.n_frames)
        found = [0] * len(examples)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            part = [examples[index] for index in chosen]
            batch = sounds(part, [Heard(e.code.features(), e.cues) for e in part])
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
                pooled = self._pooled(self.averaged["tower"], batch, 0.0)
                guess = self.averaged["heads"]["emotion"](pooled).argmax(-1)
            for index, label in zip(chosen, guess.tolist(), strict=True):
                found[index] = label
        return found

    def load(self, path: Path) -> None:
        """Begin with what an earlier run of this phase wrote, or with tower and emotion head of a checkpoint folder.

        Optimiser and schedule begin anew.

        Raises:
            CheckpointError: If the file is missing or of another model.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if path.is_dir():
            use_hearing(self.module["tower"], self.module["heads"], path)
            self.averaged.load_state_dict(self.module.state_dict())
            return
        try:
            state = load_file(path)
            self.module.load_state_dict(state)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(
                f"{path} holds no tower and heads of this model; name what listening wrote"
            ) from error
        self.averaged.load_state_dict(state)

    def save(self, path: Path) -> None:
        """Write the averaged tower (``tower.…``) and heads (``heads.…``), float32."""
        from safetensors.torch import save_file

        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({name: value.contiguous() for name, value in self.averaged.state_dict().items()}, str(partial))
        os.replace(partial, path)
