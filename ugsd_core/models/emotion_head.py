"""The auxiliary emotion head of a checkpoint: labels straight from the audio, before a word is written.

``emotion_head.safetensors`` beside a checkpoint holds one linear layer, ``weight`` (9, width) and ``bias`` (9,). Its
posterior is the softmax of that layer on the mean over time of the vectors that the audio tower gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import CheckpointError
from ugsd_core.lexicon import EMOTION_LABELS

__all__ = ["HEAD_FILE", "EmotionHead", "load_emotion_head"]

HEAD_FILE = "emotion_head.safetensors"


@dataclass(frozen=True, eq=False)
class EmotionHead:
    """A linear layer over labels, in the order of `EMOTION_LABELS`.

    Attributes:
        weight: Shape (9, width), float32.
        bias: Shape (9,), float32.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def posterior(self, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of each label: mean of the tower's vectors (width,) -> (9,) float32, summing to 1."""
        logits = self.weight @ mean + self.bias
        weights = np.exp(logits - logits.max())
        result: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
        return result


def load_emotion_head(folder: Path, width: int) -> EmotionHead | None:
    """The head of a checkpoint folder; None if it has none.

    Args:
        folder: The checkpoint.
        width: Of the tower's vectors.

    Raises:
        CheckpointError: If the file is damaged or does not fit the tower.
    """
    path = folder / HEAD_FILE
    if not path.is_file():
        return None
    from safetensors.numpy import load_file

    try:
        tensors = load_file(str(path))
        weight, bias = (np.asarray(tensors[name], dtype=np.float32) for name in ("weight", "bias"))
    except Exception as error:  # safetensors raises its own kinds; the person needs one sentence
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    expected = (len(EMOTION_LABELS), width)
    if weight.shape != expected or bias.shape != expected[:1]:
        raise CheckpointError(f"{path} holds a layer of shape {weight.shape} where {expected} was expected")
    return EmotionHead(weight, bias)
