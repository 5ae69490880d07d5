"""Which clips a training step sees, and the tensors it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.models.prompts import AudioMarkers, Language, prompt_ids
from ugsd_core.training.cues import Thresholds
from ugsd_core.training.data import Example
from ugsd_core.training.grammar import caption, emotion_choices

__all__ = [
    "ANSWER",
    "MARKERS",
    "Batch",
    "Item",
    "Sampler",
    "audio_tokens",
    "augment",
    "collate",
    "emotion_token_ids",
    "item",
]

MARKERS = AudioMarkers("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>")
# Share of each corpus in training. nEMO has most clips but five training speakers; EMO-DB has few clips.
CORPUS_SHARES = {"ravdess": 0.45, "nemo": 0.42, "emodb": 0.13}
REQUEST = 20  # tokens of the brief request without its audio placeholders, at most
ANSWER = 32  # caption tokens that a batch has room for, the end-of-turn token included
GROUP = 4  # batches that are drawn together and cut by length, which saves a third of the padding
EMOTION_WEIGHT = 6.0


@dataclass(frozen=True, slots=True)
class Item:
    """One clip as training text.

    Attributes:
        features: (80, n_frames), as the model will see them.
        ids: Request, caption and end-of-turn token.
        n_request: How many of the ids are the request.
        label: Index into `EMOTION_LABELS`.
    """

    features: NDArray[np.float32]
    ids: list[int]
    n_request: int
    label: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one step, padded on the right: a causal decoder needs no mask for that.

    Frames and ids are padded to round numbers, so that shapes repeat from batch to batch (see `training.tower`).

    Attributes:
        features: (batch, 80, frames) float32.
        lengths: (batch,) int64, frames of each clip.
        ids: (batch, length) int64.
        asked: (batch, ANSWER) int64, the positions that predict the caption's tokens.
        targets: (batch, ANSWER) int64, the tokens that they should predict.
        weights: (batch, ANSWER) float32, the loss weight of each; 0 beyond the caption.
        labels: (batch,) int64, index of the emotion label.
    """

    features: Any
    lengths: Any
    ids: Any
    asked: Any
    targets: Any
    weights: Any
    labels: Any


def audio_tokens(n_frames: int) -> int:
    """Audio vectors that the tower gives for so many frames (its ``_get_feat_extract_output_lengths``)."""
    return ((n_frames - 1) // 2 + 1 - 2) // 2 + 1


def emotion_token_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of the single tokens that name an emotion in captions of either language."""
    english = [f" {w}" for words in emotion_choices("en").values() for w in (words.main, words.other)]
    chinese = [w for words in emotion_choices("zh").values() for w in (words.main, words.other)]
    return frozenset(tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in english + chinese)


def augment(features: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """SpecAugment-like noise: two mel bands and two stretches of time at the clip's mean, and a little gain."""
    masked = features + np.float32(rng.uniform(-0.05, 0.05))
    n_mels, n_frames = masked.shape
    mean = masked.mean()
    for _ in range(2):
        width = int(rng.integers(0, 11))
        start = int(rng.integers(0, n_mels - width))
        masked[start : start + width] = mean
        width = int(rng.integers(0, max(2, n_frames // 8)))
        start = int(rng.integers(0, n_frames - width))
        masked[:, start : start + width] = mean
    return masked


def item(
    example: Example, thresholds: Thresholds, tokenizer: Any, language: Language, rng: np.random.Generator | None = None
) -> Item:
    """A clip with its reference caption.

    Args:
        example: From the feature cache.
        thresholds: The cue thresholds of the training split.
        tokenizer: The pair's tokenizer.
        language: Language of the caption.
        rng: Draws speed variant, wording variant and augmentation; ``None`` takes the clip as recorded.
    """
    variant, key = 0, example.clip.id
    if rng is not None:
        variant = int(rng.integers(len(example.codes))) if rng.random() < 0.5 else 0
        key = f"{key}/{rng.integers(8)}"
    features = example.codes[variant].features()
    if rng is not None:
        features = augment(features, rng)
    clip = example.clip
    text = caption(clip.label, clip.strong, example.named(thresholds, variant), language, key)
    request = prompt_ids(tokenizer, MARKERS, "brief", language, audio_tokens(features.shape[1]))
    answer = tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    return Item(features, request + answer, len(request), EMOTION_LABELS.index(clip.label))


def collate(items: Sequence[Item], pad_id: int, emotion_ids: frozenset[int]) -> Batch:
    """Pad items into one batch."""
    import torch

    lengths = [one.features.shape[1] for one in items]
    frames = _up(max(lengths), 64)
    # The number of ids follows from the padded frames alone, so that one length means one set of shapes.
    ids = np.full((len(items), _up(audio_tokens(frames) + REQUEST + ANSWER, 8)), pad_id, dtype=np.int64)
    features = np.zeros((len(items), items[0].features.shape[0], frames), dtype=np.float32)
    targets = np.full((len(items), ANSWER), pad_id, dtype=np.int64)
    weights = np.zeros((len(items), ANSWER), dtype=np.float32)
    for row, one in enumerate(items):
        answer = one.ids[one.n_request :]
        features[row, :, : lengths[row]] = one.features
        ids[row, : len(one.ids)] = one.ids
        targets[row, : len(answer)] = answer
        weights[row, : len(answer)] = [EMOTION_WEIGHT if token in emotion_ids else 1.0 for token in answer]
    starts = torch.tensor([one.n_request - 1 for one in items])
    return Batch(
        features=torch.from_numpy(features),
        lengths=torch.tensor(lengths),
        ids=torch.from_numpy(ids),
        asked=starts[:, None] + torch.arange(ANSWER),
        targets=torch.from_numpy(targets),
        weights=torch.from_numpy(weights),
        labels=torch.tensor([one.label for one in items]),
    )


def _up(number: int, step: int) -> int:
    """The next multiple of ``step``."""
    return -(-number // step) * step


class Sampler:
    """Draws batches balanced over corpora and, within a corpus, over labels.

    Every step depends on nothing but seed and step number, so that a resumed run sees what an uninterrupted one does.
    """

    def __init__(self, examples: Sequence[Example], batch_size: int, seed: int) -> None:
        self._examples = list(examples)
        self._batch_size = batch_size
        self._seed = seed
        cells = Counter((e.clip.corpus, e.clip.label) for e in self._examples)
        labels = Counter(corpus for corpus, _ in cells)
        share = {corpus: CORPUS_SHARES.get(corpus, 1.0) for corpus in labels}
        # The square root keeps rare cells (ten clips of disgust in EMO-DB) from being repeated endlessly.
        mass = {cell: count**0.5 for cell, count in cells.items()}
        total = {corpus: sum(m for cell, m in mass.items() if cell[0] == corpus) for corpus in labels}
        chances = [
            share[e.clip.corpus]
            * mass[(e.clip.corpus, e.clip.label)]
            / total[e.clip.corpus]
            / cells[(e.clip.corpus, e.clip.label)]
            for e in self._examples
        ]
        self._chances = np.array(chances) / sum(chances)

    def rng(self, step: int) -> np.random.Generator:
        """The step's own random numbers."""
        return np.random.default_rng([self._seed, 1, step])

    def draw(self, step: int) -> list[Example]:
        """The examples of a step, alike in length."""
        group = np.random.default_rng([self._seed, 0, step // GROUP])
        drawn = group.choice(len(self._examples), size=GROUP * self._batch_size, p=self._chances)
        by_length = sorted(drawn, key=lambda index: self._examples[index].codes[0].n_frames)
        part = int(group.permutation(GROUP)[step % GROUP])
        chosen = by_length[part * self._batch_size : (part + 1) * self._batch_size]
        return [self._examples[index] for index in chosen]
