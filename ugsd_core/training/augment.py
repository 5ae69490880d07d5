"""Rooms, lines, noises and voices that the corpora lack.

Two kinds of change, because they cost differently. *Recorded variants* are made once, on the waveform, when the
feature cache is built: real codecs, a telephone band, a synthetic room. *Spectrogram changes* are drawn anew for every
training step: another tempo, another vocal tract, another microphone, noise, an echo, masks. Both end in the same 4-bit
code that the models read in use.

The unit of a spectrogram is Whisper's: one unit is four decades of power, so 1 dB is `DECIBEL`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import DYNAMIC_RANGE, PEAK_VALUE, SAMPLE_RATE_HZ

__all__ = ["DECIBEL", "Change", "change_spectrogram", "code_levels", "draw_change", "record_variant", "resample"]

Spectrogram = NDArray[np.float32]
DECIBEL = 1.0 / 40.0
CODECS: tuple[tuple[str, str], ...] = (("OGG", "OPUS"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"))


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to a spectrogram in one training step; the defaults leave it as it is.

    Attributes:
        tempo: Factor on the speaking rate.
        tract: Factor on all frequencies, pitch and formants alike: a shorter or longer vocal tract.
        tilt_db: Level of the highest mel bin against the lowest.
        bumps_db: Levels of eight points along the mel axis, joined by lines: a microphone.
        noise_db: Level of stationary noise under the clip's maximum; ``None`` without noise.
        noise_slope_db: Level of the noise in the highest bin against the lowest.
        echo_s: Time in which an echo falls by 60 dB; 0 without an echo.
        echo_db: Level of the echo under the direct sound.
        masks: How many bands and how many stretches of time are blanked out.
    """

    tempo: float = 1.0
    tract: float = 1.0
    tilt_db: float = 0.0
    bumps_db: tuple[float, ...] = ()
    noise_db: float | None = None
    noise_slope_db: float = 0.0
    echo_s: float = 0.0
    echo_db: float = 12.0
    masks: int = 0

    def curve_db(self, n_mels: int) -> NDArray[np.float64]:
        """Level that the microphone adds to each mel bin, dB, shape (n_mels,)."""
        curve = np.linspace(-self.tilt_db / 2, self.tilt_db / 2, n_mels)
        if self.bumps_db:
            curve += np.interp(np.linspace(0, 1, n_mels), np.linspace(0, 1, len(self.bumps_db)), self.bumps_db)
        return curve


def draw_change(rng: np.random.Generator) -> Change:
    """A random change. One clip in eight stays as recorded, so that the models know clean speech best."""
    if rng.random() < 0.125:
        return Change()
    noisy, echoing, coloured = rng.random(3) < (0.3, 0.2, 0.6)
    return Change(
        tempo=float(np.exp(rng.uniform(-0.1, 0.1))),
        tract=float(np.exp(rng.uniform(-0.09, 0.09))),
        tilt_db=float(rng.uniform(-5, 5)) if coloured else 0.0,
        bumps_db=tuple(float(b) for b in rng.normal(0, 2.0, 8)) if coloured else (),
        noise_db=float(rng.uniform(30, 60)) if noisy else None,
        noise_slope_db=float(rng.uniform(-25, 5)),
        echo_s=float(rng.uniform(0.15, 0.6)) if echoing else 0.0,
        echo_db=float(rng.uniform(8, 20)),
        masks=2,
    )


def change_spectrogram(spectrogram: Spectrogram, change: Change, rng: np.random.Generator) -> Spectrogram:
    """Apply a change.

    Args:
        spectrogram: (n_mels, n_frames), in Whisper's unit.
        change: From `draw_change`.
        rng: Draws the noise itself and where the masks lie.

    Returns:
        float32, (n_mels, about n_frames / tempo), its level peak-normalised and rounded as a 4-bit code would round it.
    """
    changed = _stretched(spectrogram, change.tempo)
    changed = _warped(changed, change.tract)
    if change.tilt_db or change.bumps_db:
        changed = changed + (change.curve_db(changed.shape[0]) * DECIBEL).astype(np.float32)[:, None]
    if change.echo_s:
        changed = _echoed(changed, change.echo_s, change.echo_db)
    if change.noise_db is not None:
        changed = _noisy(changed, change.noise_db, change.noise_slope_db, rng)
    changed = code_levels(changed)
    return _masked(changed, change.masks, rng) if change.masks else changed


def code_levels(spectrogram: Spectrogram, bits: int = 4) -> Spectrogram:
    """What is left of a spectrogram after `AcousticCode.quantise` with ``level="peak"``."""
    top = (1 << bits) - 1
    levels = np.rint((spectrogram - spectrogram.max() + DYNAMIC_RANGE) * (top / DYNAMIC_RANGE)).clip(0, top)
    rounded: Spectrogram = (levels * (DYNAMIC_RANGE / top) + (PEAK_VALUE - DYNAMIC_RANGE)).astype(np.float32)
    return rounded


def _stretched(spectrogram: Spectrogram, tempo: float) -> Spectrogram:
    """The same sound at another tempo: frames interpolated along time."""
    n_frames = spectrogram.shape[1]
    wanted = max(2, round(n_frames / tempo))
    if wanted == n_frames:
        return spectrogram
    return _read_at(spectrogram.T, np.linspace(0, n_frames - 1, wanted, dtype=np.float32)).T


def _warped(spectrogram: Spectrogram, tract: float) -> Spectrogram:
    """Frequencies multiplied by ``tract``; on the mel scale nearly a stretch, here a stretch of the bins."""
    if tract == 1.0:
        return spectrogram
    n_mels = spectrogram.shape[0]
    return _read_at(spectrogram, np.minimum(np.arange(n_mels, dtype=np.float32) / np.float32(tract), n_mels - 1))


def _read_at(rows: Spectrogram, where: Spectrogram) -> Spectrogram:
    """Rows at fractional indices, linearly interpolated."""
    below = np.minimum(where.astype(np.int64), rows.shape[0] - 2)
    share = (where - below)[:, None]
    between: Spectrogram = rows[below] * (1 - share) + rows[below + 1] * share
    return between


def _echoed(spectrogram: Spectrogram, echo_s: float, echo_db: float) -> Spectrogram:
    """Power smeared along time with an exponential tail, as late reverberation does."""
    from scipy.signal import lfilter

    power = 10.0 ** (4.0 * spectrogram)
    decay = 10.0 ** (-6.0 * 0.01 / echo_s)
    tail = lfilter([1 - decay], [1.0, -decay], power, axis=1)
    echoed: Spectrogram = (np.log10(power + tail * 10 ** (-echo_db / 10) + 1e-12) / 4).astype(np.float32)
    return echoed


def _noisy(spectrogram: Spectrogram, noise_db: float, slope_db: float, rng: np.random.Generator) -> Spectrogram:
    """Stationary noise of a sloping spectrum; its power in a bin fluctuates as that of noise does."""
    n_mels, n_frames = spectrogram.shape
    level = 4.0 * float(spectrogram.max()) + (np.linspace(0, slope_db, n_mels) - noise_db) / 10
    noise = 10.0 ** level[:, None] * rng.gamma(4.0, 0.25, (n_mels, n_frames))
    mixed: Spectrogram = (np.log10(10.0 ** (4.0 * spectrogram) + noise) / 4).astype(np.float32)
    return mixed


def _masked(spectrogram: Spectrogram, masks: int, rng: np.random.Generator) -> Spectrogram:
    """SpecAugment: mel bands and stretches of time set to the clip's mean."""
    n_mels, n_frames = spectrogram.shape
    mean = spectrogram.mean()
    for _ in range(masks):
        width = int(rng.integers(0, 11))
        start = int(rng.integers(0, n_mels - width))
        spectrogram[start : start + width] = mean
        width = int(rng.integers(0, max(2, n_frames // 8)))
        start = int(rng.integers(0, n_frames - width))
        spectrogram[:, start : start + width] = mean
    return spectrogram


def resample(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """The waveform resampled so that it plays ``speed`` times faster (and higher)."""
    if speed == 1.0:
        return samples
    from scipy.signal import resample_poly

    faster: NDArray[np.float32] = resample_poly(samples, 100, round(100 * speed)).astype(np.float32)
    return faster


def record_variant(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The clip as another room and another line would have delivered it.

    Args:
        samples: Shape (n,), 16 kHz.
        rng: Draws room, noise, level and codec.

    Returns:
        Shape (n,), 16 kHz, between -1 and 1.
    """
    heard = samples
    if rng.random() < 0.5:
        heard = _in_room(heard, rng)
    if rng.random() < 0.5:
        rms = float(np.sqrt(np.mean(heard**2))) + 1e-9
        heard = heard + rng.normal(0, rms * 10 ** (-rng.uniform(15, 35) / 20), heard.size).astype(np.float32)
    # Level is a corpus cue, not an emotion cue; a codec hears it, the peak-normalised spectrogram afterwards does not.
    heard = heard * (10 ** (rng.uniform(-25, -1) / 20) / max(float(np.abs(heard).max()), 1e-6))
    return _through_line(heard.astype(np.float32), rng)


def _in_room(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Convolved with a synthetic impulse response: a direct sound, then noise that decays by 60 dB in 0.15 to 0.6 s."""
    from scipy.signal import fftconvolve

    seconds = rng.uniform(0.15, 0.6)
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.normal(0, 1, time_s.size) * 10 ** (-3 * time_s / seconds)
    tail *= 10 ** (-rng.uniform(0, 12) / 20) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    heard: NDArray[np.float32] = fftconvolve(samples, tail)[: samples.size].astype(np.float32)
    return heard


def _through_line(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Through a lossy codec, or a telephone line of 8 kHz and eight bits."""
    import soundfile  # type: ignore[import-untyped]
    from scipy.signal import resample_poly

    if rng.random() < 0.25:
        narrow = resample_poly(samples, 1, 2)
        law = np.sign(narrow) * np.log1p(255 * np.abs(narrow).clip(0, 1)) / np.log(256)
        coarse = np.rint(law * 127) / 127
        narrow = np.sign(coarse) * np.expm1(np.abs(coarse) * np.log(256)) / 255
        telephone: NDArray[np.float32] = resample_poly(narrow, 2, 1)[: samples.size].astype(np.float32)
        return telephone
    container, codec = CODECS[int(rng.integers(len(CODECS)))]
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", SAMPLE_RATE_HZ, 1, subtype=codec, format=container, compression_level=float(rng.uniform(0.6, 1.0))
    ) as file:
        file.write(samples)
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    heard: NDArray[np.float32] = decoded[: samples.size]
    return heard
