"""Vocal cues measured on a clip, when one of them is worth naming, and when a named one is supported.

The captions that the embedded pair learns from name cues that were *measured*, never guessed from the emotion label.
"High" and "low" are said of a voice among voices of its sex: a cue is *named* when it lies in the outer 15 % of the
training clips of that sex, and a caption that names it is *supported* when it lies in the outer third. Between the two
lies a margin, because two measurements of one voice differ too. Corpora count alike in these quantiles, whatever their
size. They are not fitted per corpus: a listener does not know which corpus a voice comes from.

How much the level varies (`dynamics`) is measured and learned, but not named: of voices that they had never heard,
models said it wrongly more often than not (`docs/training.md`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import SAMPLE_RATE_HZ

__all__ = [
    "CUE_NAMES",
    "NAMED_CUES",
    "QUANTILES",
    "Cues",
    "Thresholds",
    "fit_thresholds",
    "measure",
    "named_cues",
    "supports",
    "syllables",
]

FRAME = 400
HOP = 160
SPEECH_FLOOR_DB = -30.0  # relative to the loud frames of the clip (95th percentile)
MIN_PAUSE_FRAMES = 15
QUANTILES = (0.15, 1 / 3, 0.5, 2 / 3, 0.85)
"""Named below the first or above the last; supported below the second or above the fourth."""
MAX_NAMED = 3
LEAST_PAUSE = 0.05  # share of pause under which nobody would speak of pauses

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

    def changed(self, pitch: float = 1.0, tempo: float = 1.0, brightness_db: float = 0.0) -> Cues:
        """The cues of the same clip at another pitch and tempo (factors), through a brighter line (dB)."""
        return replace(
            self,
            pitch=self.pitch + 12 * float(np.log2(pitch)),
            rate=self.rate * tempo,
            brightness=self.brightness + brightness_db,
        )


CUE_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Cues))
NAMED_CUES: tuple[str, ...] = tuple(name for name in CUE_NAMES if name != "dynamics")
"""The cues that captions name."""

# sex -> cue -> its values at QUANTILES
Thresholds = Mapping[str, Mapping[str, tuple[float, ...]]]


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


def fit_thresholds(measured: Iterable[tuple[str, str, Cues]]) -> dict[str, dict[str, tuple[float, ...]]]:
    """Quantiles of every cue for each sex, every corpus with the same weight; feed it training clips only.

    Args:
        measured: Corpus, sex and cues of each clip.
    """
    rows = list(measured)
    fitted: dict[str, dict[str, tuple[float, ...]]] = {}
    for sex in sorted({sex for _, sex, _ in rows}):
        of_sex = [(corpus, cues) for corpus, its_sex, cues in rows if its_sex == sex]
        sizes = Counter(corpus for corpus, _ in of_sex)
        weights = np.array([1 / sizes[corpus] for corpus, _ in of_sex])
        fitted[sex] = {
            name: _quantiles(np.array([getattr(cues, name) for _, cues in of_sex]), weights) for name in CUE_NAMES
        }
    return fitted


def _quantiles(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, ...]:
    """Weighted quantiles at `QUANTILES`; values that could not be measured are left out."""
    known = np.isfinite(values)
    order = np.argsort(values[known])
    values, weights = values[known][order], weights[known][order]
    centres = (np.cumsum(weights) - weights / 2) / weights.sum()
    return tuple(round(float(np.interp(q, centres, values)), 4) for q in QUANTILES)


def named_cues(cues: Cues, table: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """The cues worth naming, as ``{name: "high" | "low"}`` in the order of `NAMED_CUES`.

    Of more than `MAX_NAMED` such cues the most extreme are kept, measured in spreads between the outer quantiles. Few
    pauses are not worth a word.
    """
    extremes: dict[str, float] = {}
    for name in NAMED_CUES:
        value = getattr(cues, name)
        low, _, median, _, high = table[name]
        if name == "pauses":
            low, high = -np.inf, max(high, LEAST_PAUSE)
        if np.isfinite(value) and not low <= value <= high:
            spread = table[name][-1] - table[name][0]
            extremes[name] = (value - median) / max(spread, 0.1 if name == "pauses" else 1e-3)
    kept = sorted(extremes, key=lambda name: -abs(extremes[name]))[:MAX_NAMED]
    return {name: "high" if extremes[name] > 0 else "low" for name in NAMED_CUES if name in kept}


def supports(cues: Cues, name: str, level: str, table: Mapping[str, Sequence[float]]) -> bool | None:
    """Whether the measurement supports a caption that calls a cue high or low.

    Args:
        cues: What was measured.
        name: One of `CUE_NAMES`.
        level: ``"high"`` or ``"low"``.
        table: The thresholds of the speaker's sex.

    Returns:
        ``None`` when the cue could not be measured on this clip (no voiced frame, no transcript).
    """
    value = getattr(cues, name)
    if not np.isfinite(value):
        return None
    _, lower, _, upper, _ = table[name]
    if name == "pauses":
        return bool(value >= min(upper, LEAST_PAUSE)) if level == "high" else bool(value <= LEAST_PAUSE)
    return bool(value >= upper) if level == "high" else bool(value <= lower)
