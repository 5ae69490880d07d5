"""Which clips a training step sees, and the tensors it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.models.prompts import AudioMarkers, Language, prompt_ids
from ugsd_core.training.cues import Thresholds, named_cues
from ugsd_core.training.data import Example
from ugsd_core.training.grammar import caption, emotion_choices
from ugsd_core.training.hearing import Heard, pad_features, round_up

__all__ = [
    "ANSWER",
    "MARKERS",
    "Batch",
    "Item",
    "Sampler",
    "audio_tokens",
    "collate",
    "emotion_token_ids",
    "item",
]

MARKERS = AudioMarkers("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>")
# Share of each corpus in training. nEMO has most clips but five training speakers; EMO-DB has few clips.
CORPUS_SHARES = {"ravdess": 0.45, "nemo": 0.42, "emodb": 0.13}
REQUEST = 28  # tokens of the request without its audio placeholders, at most
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
    """

    features: NDArray[np.float32]
    ids: list[int]
    n_request: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one step, padded on the right: a causal decoder needs no mask for that.

    Frames and ids are padded to round numbers, so that shapes repeat from batch to batch (see `training.tower`). A clip
    may have several captions, in rows one after the other: the tower, which costs most, then hears it once for all.

    Attributes:
        features: (clips, 80, frames) float32.
        lengths: (clips,) int64, frames of each clip.
        ids: (captions, length) int64; as many rows a clip as any other.
        asked: (captions, ANSWER) int64, the positions that predict the caption's tokens.
        targets: (captions, ANSWER) int64, the tokens that they should predict.
        weights: (captions, ANSWER) float32, the loss weight of each; 0 beyond the caption.
    """

    features: Any
    lengths: Any
    ids: Any
    asked: Any
    targets: Any
    weights: Any


def audio_tokens(n_frames: int) -> int:
    """Audio vectors that the tower gives for so many frames (its ``_get_feat_extract_output_lengths``)."""
    return ((n_frames - 1) // 2 + 1 - 2) // 2 + 1


def emotion_token_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of the single tokens that name an emotion in captions of either language."""
    english = [f" {word}" for words in emotion_choices("en").values() for word in words.all]
    chinese = [word for words in emotion_choices("zh").values() for word in words.all]
    return frozenset(tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in english + chinese)


def item(
    example: Example,
    heard: Heard,
    thresholds: Thresholds,
    tokenizer: Any,
    language: Language,
    wording: int,
) -> Item:
    """A clip, as it was heard, with its reference caption.

    Args:
        example: From the feature cache.
        heard: What the model hears of it; the caption names the cues as they are after any change.
        thresholds: The cue thresholds of the training split.
        tokenizer: The pair's tokenizer.
        language: Language of the caption.
        wording: Which of the grammar's wordings.
    """
    clip = example.clip
    text = caption(clip.label, clip.strong, named_cues(heard.cues, thresholds[clip.sex]), language, wording)
    request = prompt_ids(tokenizer, MARKERS, f"worded-{wording}", language, audio_tokens(heard.features.shape[1]))
    answer = tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    return Item(heard.features, request + answer, len(request))


def collate(items: Sequence[Item], pad_id: int, emotion_ids: frozenset[int], captions: int = 1) -> Batch:
    """Pad items into one batch.

    Args:
        items: Captions; those of one clip stand together.
        pad_id: Fills the rows.
        emotion_ids: From `emotion_token_ids`.
        captions: How many each clip has.
    """
    import torch

    features, lengths = pad_features([one.features for one in items[::captions]])
    # The number of ids follows from the padded frames alone, so that one length means one set of shapes.
    longest = round_up(audio_tokens(features.shape[2]) + REQUEST + ANSWER, 8)
    ids = np.full((len(items), longest), pad_id, dtype=np.int64)
    targets = np.full((len(items), ANSWER), pad_id, dtype=np.int64)
    weights = np.zeros((len(items), ANSWER), dtype=np.float32)
    for row, one in enumerate(items):
        answer = one.ids[one.n_request :]
        ids[row, : len(one.ids)] = one.ids
        targets[row, : len(answer)] = answer
        weights[row, : len(answer)] = [EMOTION_WEIGHT if token in emotion_ids else 1.0 for token in answer]
    starts = torch.tensor([one.n_request - 1 for one in items])
    return Batch(
        features=features,
        lengths=lengths,
        ids=torch.from_numpy(ids),
        asked=starts[:, None] + torch.arange(ANSWER),
        targets=torch.from_numpy(targets),
        weights=torch.from_numpy(weights),
    )


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
        by_length = sorted(drawn, key=lambda index: self._examples[index].code.n_frames)
        part = int(group.permutation(GROUP)[step % GROUP])
        chosen = by_length[part * self._batch_size : (part + 1) * self._batch_size]
        return [self._examples[index] for index in chosen]
