"""Vocal cues measured on a clip, and when one of them is worth naming.

The captions that the embedded pair learns from name cues that were *measured*, never guessed from the emotion label.
A cue is named only when it is clearly high or clearly low: outside the middle half of the training clips of the same
corpus and sex, because recording conditions and voices differ more than emotions do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import SAMPLE_RATE_HZ

__all__ = [
    "CUE_NAMES",
    "HIGH_QUANTILE",
    "LOW_QUANTILE",
    "Cues",
    "Thresholds",
    "fit_thresholds",
    "measure",
    "named_cues",
    "syllables",
]

FRAME = 400
HOP = 160
SPEECH_FLOOR_DB = -30.0  # relative to the loud frames of the clip (95th percentile)
MIN_PAUSE_FRAMES = 15
LOW_QUANTILE, HIGH_QUANTILE = 0.25, 0.75
MAX_NAMED = 3

_VOWELS = re.compile(r"[aeiouyàâäáąæèéêëęîïíìôöóòøùûüúœ]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cues:
    """What was measured on one clip.

    Attributes:
        pitch: Median fundamental frequency of the voiced frames, semitones over 55 Hz; NaN without any.
        pitch_range: 10th to 90th percentile of the same, semitones; NaN without voiced frames.
        rate: Vowel groups of the transcript per second of speech, pauses left out; NaN without a transcript.
        pauses: Share of the time between the first and last sound that lies in gaps of at least 150 ms.
        brightness: Energy in 1-5 kHz over energy under 1 kHz, dB, speech frames only (the "alpha ratio").
        dynamics: Standard deviation of the frame level, dB, speech frames only.
    """

    pitch: float
    pitch_range: float
    rate: float
    pauses: float
    brightness: float
    dynamics: float

    def sped_up(self, factor: float) -> Cues:
        """The cues of the same clip played ``factor`` times faster: pitch and pace move, the rest hardly does."""
        return replace(self, pitch=self.pitch + 12 * float(np.log2(factor)), rate=self.rate * factor)


CUE_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Cues))

# (corpus, sex) joined by a slash -> cue -> (lower quartile, median, upper quartile)
Thresholds = Mapping[str, Mapping[str, tuple[float, float, float]]]


def syllables(transcript: str) -> int:
    """Vowel groups of a text, a language-independent stand-in for its syllables."""
    return len(_VOWELS.findall(transcript))


def _spectra(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power spectra, shape (n_frames, FRAME // 2 + 1)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    window = np.hanning(FRAME).astype(np.float32)
    spectra: NDArray[np.float32] = (np.abs(np.fft.rfft(frames * window, axis=1)) ** 2).astype(np.float32)
    return spectra


def _pause_share(speech: NDArray[np.bool_]) -> tuple[float, int]:
    """Share of pause in the span from first to last speech frame, and the span's frames without pauses."""
    where = np.flatnonzero(speech)
    if where.size < 2:
        return 0.0, int(where.size)
    gaps = np.diff(where) - 1
    paused = int(gaps[gaps >= MIN_PAUSE_FRAMES].sum())
    span = int(where[-1] - where[0] + 1)
    return paused / span, span - paused


def _pitch(samples: NDArray[np.float32], tracker: Any) -> tuple[float, float]:
    """Median pitch and pitch range, semitones; NaN when fewer than five frames are voiced."""
    track = tracker.detect(samples, SAMPLE_RATE_HZ, fmin=65.0, fmax=600.0)
    voiced = np.asarray(track.pitch_hz)[np.asarray(track.confidence) >= 0.6]
    if voiced.size < 5:
        return float("nan"), float("nan")
    semitones = 12 * np.log2(voiced / 55.0)
    low, median, high = np.quantile(semitones, (0.1, 0.5, 0.9))
    return float(median), float(high - low)


def measure(samples: NDArray[np.float32], transcript: str, tracker: Any) -> Cues:
    """Measure all cues of a clip.

    Args:
        samples: Shape (n,), 16 kHz, at least 50 ms; any level.
        transcript: What is said, for the pace; may be empty.
        tracker: A `swift_f0.SwiftF0` (or anything with its ``detect``).
    """
    # The tracker treats frames under an absolute level as silence, and some corpora are recorded that quietly.
    samples = samples * np.float32(0.9 / max(float(np.abs(samples).max()), 1e-6))
    spectra = _spectra(samples)
    level_db = 10 * np.log10(spectra.sum(axis=1) + 1e-10)
    speech = level_db > np.quantile(level_db, 0.95) + SPEECH_FLOOR_DB
    pauses, frames = _pause_share(speech)
    hertz = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE_HZ)
    low = spectra[speech][:, (hertz >= 50) & (hertz < 1000)].sum()
    high = spectra[speech][:, (hertz >= 1000) & (hertz < 5000)].sum()
    pitch, pitch_range = _pitch(samples, tracker)
    count = syllables(transcript)
    return Cues(
        pitch=pitch,
        pitch_range=pitch_range,
        rate=count / (frames * HOP / SAMPLE_RATE_HZ) if count and frames else float("nan"),
        pauses=pauses,
        brightness=float(10 * np.log10((high + 1e-10) / (low + 1e-10))),
        dynamics=float(level_db[speech].std()),
    )


def fit_thresholds(measured: Iterable[tuple[str, Cues]]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Quartiles of every cue for every group; feed it training clips only.

    Args:
        measured: Pairs of group (``"corpus/sex"``) and the cues of one clip.
    """
    groups: dict[str, list[Cues]] = {}
    for group, cues in measured:
        groups.setdefault(group, []).append(cues)
    fitted: dict[str, dict[str, tuple[float, float, float]]] = {}
    for group, rows in sorted(groups.items()):
        table = {name: np.array([getattr(row, name) for row in rows]) for name in CUE_NAMES}
        fitted[group] = {
            name: tuple(round(float(q), 4) for q in np.nanquantile(values, (LOW_QUANTILE, 0.5, HIGH_QUANTILE)))  # type: ignore[misc]
            for name, values in table.items()
        }
    return fitted


def named_cues(cues: Cues, quartiles: Mapping[str, tuple[float, float, float]]) -> dict[str, str]:
    """The cues worth naming, as ``{name: "high" | "low"}`` in the order of `CUE_NAMES`.

    A cue must lie outside the middle half; of more than `MAX_NAMED` such cues the most extreme are kept. Few pauses
    are not worth a word.
    """
    extremes: dict[str, float] = {}
    for name, value in asdict(cues).items():
        low, median, high = quartiles[name]
        outside = (value > high) or (value < low and name != "pauses")
        if outside and np.isfinite(value):
            extremes[name] = (value - median) / max(high - low, 1e-3)
    kept = sorted(extremes, key=lambda name: -abs(extremes[name]))[:MAX_NAMED]
    return {name: "high" if extremes[name] > 0 else "low" for name in CUE_NAMES if name in kept}
