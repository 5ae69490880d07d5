"""What a model hears of a training clip in one step: a changed spectrogram, and the cues as they then are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.training.augment import change_spectrogram, draw_change
from ugsd_core.training.cues import CUE_NAMES, Cues
from ugsd_core.training.data import Example

__all__ = ["Heard", "Sounds", "hear", "pad_features", "round_up", "sounds"]

# The bins of an 80-bin Slaney mel scale that lie under 1 kHz, and from 1 to 5 kHz: what brightness compares.
DARK_BINS, BRIGHT_BINS = slice(0, 27), slice(27, 68)
# Centre and spread of each cue, so that all weigh alike in a regression: semitones, semitones, syllables per second,
# share, dB, dB.
CUE_SCALES = np.array([(19.0, 6.0), (7.5, 3.5), (4.8, 1.3), (0.05, 0.08), (-10.0, 5.0), (8.0, 1.0)], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Heard:
    """One clip in one step.

    Attributes:
        features: (80, n_frames), as the model sees them.
        cues: The measured cues, moved along with tempo, pitch and microphone.
    """

    features: NDArray[np.float32]
    cues: Cues


def hear(example: Example, rng: np.random.Generator | None, as_recorded: float = 0.5) -> Heard:
    """A training clip in one of its copies and changed at random.

    Args:
        rng: None hears the clip as recorded.
        as_recorded: Share of draws that hear it so: what was changed is harder, and there is little time.
    """
    if rng is None or rng.random() < as_recorded:
        return Heard(example.code.features(), example.cues)
    # The copy as recorded, the slower, the faster and those from other rooms, each as often as any other.
    which = int(rng.integers(len(example.copies)))
    copy, change = example.copies[which], draw_change(rng)
    curve = change.curve_db(example.code.n_mels)
    cues = example.cues.changed(
        pitch=copy.speed * change.tract,
        tempo=copy.speed * change.tempo,
        brightness_db=float(curve[BRIGHT_BINS].mean() - curve[DARK_BINS].mean()),
    )
    return Heard(change_spectrogram(copy.code.features(), change, rng), cues)


def round_up(number: int, step: int) -> int:
    """The next multiple of ``step``."""
    return -(-number // step) * step


def pad_features(features: Sequence[NDArray[np.float32]]) -> tuple[Any, Any]:
    """Spectrograms in one tensor (batch, n_mels, frames), its frames a multiple of 64, and their lengths (batch,)."""
    import torch

    lengths = [one.shape[1] for one in features]
    padded = np.zeros((len(features), features[0].shape[0], round_up(max(lengths), 64)), dtype=np.float32)
    for row, one in enumerate(features):
        padded[row, :, : one.shape[1]] = one
    return torch.from_numpy(padded), torch.tensor(lengths)


@dataclass(frozen=True, slots=True)
class Sounds:
    """Tensors of a step that reads no text.

    Attributes:
        features: (batch, n_mels, frames) float32, padded on the right.
        lengths: (batch,) int64, frames of each clip.
        labels: (batch,) int64, index of the emotion label.
        cues: (batch, cues) float32, the scaled cues in the order of `CUE_NAMES`; NaN where unmeasured.
        strong: (batch,) float32, 1 strong, 0 not, NaN where the corpus does not say.
    """

    features: Any
    lengths: Any
    labels: Any
    cues: Any
    strong: Any


def sounds(examples: Sequence[Example], heard: Sequence[Heard]) -> Sounds:
    """Collate what was heard of some clips."""
    import torch

    features, lengths = pad_features([one.features for one in heard])
    cues = np.array([[getattr(one.cues, name) for name in CUE_NAMES] for one in heard], dtype=np.float32)
    strong = [float(e.clip.strong) if e.clip.corpus == "ravdess" else float("nan") for e in examples]
    return Sounds(
        features,
        lengths,
        torch.tensor([EMOTION_LABELS.index(e.clip.label) for e in examples]),
        torch.from_numpy(((cues - CUE_SCALES[:, 0]) / CUE_SCALES[:, 1]).clip(-3, 3)),
        torch.tensor(strong),
    )
