"""Recordings in, `Utterance` out: decode, check, mix down and resample to 16-kHz mono.

    file ──► ugsd_core.recording ─┐
                                  ├─► _collect (to 16 kHz) ─► _finish ─► Utterance, or AudioError
    array (microphone) ───────────┘

Everything that can be wrong with a recording ends in one `AudioError`, whose message is a sentence that says what to
do and whose ``code`` is one of `ERROR_CODES`. What is merely bad for the caption becomes a sentence in
`Utterance.warnings`. Decoding stops just past 30 s, so that an hour of video costs no more than a clip.
"""

from __future__ import annotations

import hashlib
import math
import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import SAMPLE_RATE_HZ
from ugsd_core.errors import AudioError
from ugsd_core.recording import (
    BLOCK_LENGTH,
    Blocks,
    Recording,
    Samples,
    as_float,
    check_file,
    check_rate,
    open_recording,
)

__all__ = [
    "ERROR_CODES",
    "MAX_DURATION_S",
    "MIN_DURATION_S",
    "Utterance",
    "load_utterance",
    "utterance_from_samples",
]

MAX_DURATION_S = 30.0
MIN_DURATION_S = 0.3
PADDING_S = 0.1  # a 30-s clip leaves an MP3 or AAC encoder this much longer; it is cut without a word
SILENT_PEAK = 1e-4  # -80 dBFS
QUIET_DBFS = -45.0  # of the loudest 50 ms
PAUSE_DB = 35.0  # a 50-ms frame this far under the loudest one counts as silence
MOSTLY_SILENT = 0.75
FULL_SCALE = 0.99
CLIPPED_SHARE = 1e-3
MAX_FLOAT_PEAK = 8.0  # decoders overshoot 1.0 a little; integers kept as floats overshoot it by far

ERROR_CODES = {
    "missing": "there is no such file, or none was given",
    "is_directory": "the path is a folder",
    "no_permission": "the file may not be read",
    "unreadable": "the operating system cannot read it (not a regular file, input/output error)",
    "empty": "0 bytes",
    "truncated": "it holds clearly less than its header promises, or the part needed for decoding is cut off",
    "damaged": "more than a tenth of it cannot be decoded",
    "not_audio": "neither a sound nor a video file, or an array that is none",
    "no_audio_stream": "a video without sound",
    "zero_length": "a sound file without samples",
    "silent": "nothing above -80 dBFS",
    "too_short": "under 0.3 s",
    "too_long": "over 30 s, and the first 30 s were not asked for",
    "nan": "samples that are not numbers",
    "bad_scale": "floating-point samples far outside -1 to 1",
    "bad_rate": "a sample rate outside 4 to 768 kHz",
}


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """A checked recording, ready for `ugsd_core.acoustic.encode_waveform`. It never leaves the device.

    Attributes:
        id: Content address: the first 16 hex digits of the SHA-256 of `pcm16` (little-endian).
        samples: Shape (n,), float32 in [-1, 1], 16 kHz mono, read-only; 4,800 <= n <= 480,000. The level is as
            recorded.
        duration_s: Seconds, n / 16,000.
        level_dbfs: Root mean square without the DC offset, dB re full scale.
        peak_dbfs: Largest magnitude, dB re full scale.
        warnings: Plain sentences about what may harm the caption; empty for a good recording.
    """

    id: str
    samples: Samples = field(repr=False)
    duration_s: float
    level_dbfs: float
    peak_dbfs: float
    warnings: tuple[str, ...] = ()

    @property
    def pcm16(self) -> NDArray[np.int16]:
        """The samples as 16-bit integers, shape (n,)."""
        return _pcm16(self.samples)

    @property
    def waveform_bytes(self) -> int:
        """Size as 16-bit PCM (2 bytes a sample): the measure for what is not sent."""
        return 2 * len(self.samples)


def load_utterance(path: str | os.PathLike[str], *, first_30_s: bool = False) -> Utterance:
    """Read a sound file, or the sound of a video file.

    Args:
        path: WAV, FLAC, Ogg, MP3, M4A, WebM, MP4 or any other common container; any rate, depth and channel count.
        first_30_s: Take the first 30 s of a longer recording, with a warning, instead of refusing it.

    Raises:
        AudioError: The recording cannot be captioned; ``code`` is one of `ERROR_CODES`.
    """
    if not path:
        raise AudioError("No recording was given; choose a sound file or record one.", "missing")
    path = Path(path)
    name = "".join(c if c.isprintable() else "?" for c in path.name) or str(path)
    try:
        check_file(path, name)
        with path.open("rb") as file:
            return _finish(open_recording(path, file, name), first_30_s)
    except PermissionError as error:
        raise AudioError(
            f"{name} may not be read by this user; change its permissions or copy it elsewhere.", "no_permission"
        ) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise AudioError(f"{name} cannot be read ({reason}); copy it to another place.", "unreadable") from error


def utterance_from_samples(samples: NDArray[Any], sample_rate_hz: float, *, first_30_s: bool = False) -> Utterance:
    """Check samples that are already in memory, such as a microphone recording from the page.

    Args:
        samples: Shape (n,) or (n, channels); int16, int32, int8, uint8 (offset 128), or floats in [-1, 1]. An array
            with more columns than rows is taken as (channels, n).
        sample_rate_hz: Samples a second, 4,000 to 768,000.
        first_30_s: As for `load_utterance`.

    Raises:
        AudioError: As for `load_utterance`.
    """
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or (samples.dtype.kind not in "if" and samples.dtype != np.uint8):
        raise AudioError(
            f"An array of shape {samples.shape} and type {samples.dtype} is not a recording; "
            "give 16-bit integers or floats of shape (samples,) or (samples, channels).",
            "not_audio",
        )
    if samples.ndim == 1:
        samples = samples[:, None]
    elif 0 < samples.shape[0] < samples.shape[1]:
        samples = samples.T
    rate_hz = check_rate(sample_rate_hz, "The recording")

    def blocks() -> Blocks:
        for start in range(0, len(samples), BLOCK_LENGTH):
            yield rate_hz, as_float(samples[start : start + BLOCK_LENGTH])

    return _finish(Recording("The recording", blocks(), len(samples) / rate_hz), first_30_s)


# --- checking ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Collected:
    """What `_collect` decoded: ``samples`` (n, channels) at 16 kHz, the length in seconds, the clipped share."""

    samples: Samples
    duration_s: float
    clipped_share: float


def _collect(recording: Recording) -> _Collected:
    """Decode and resample, stopping just past 30 s."""
    import soxr  # type: ignore[import-untyped]

    resampler: Any = None
    pieces: list[Samples] = []
    n_read, rate_hz, full_scale = 0, SAMPLE_RATE_HZ, np.zeros(1, dtype=np.int64)
    with closing(recording.blocks):
        for rate_hz, block in recording.blocks:
            if resampler is None:
                check_rate(rate_hz, recording.name)
                full_scale = np.zeros(block.shape[1], dtype=np.int64)
                resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, block.shape[1], dtype="float32", quality="HQ")
            if not np.isfinite(block).all():
                raise AudioError(
                    f"{recording.name} holds values that are not numbers (NaN or infinity); export it again.", "nan"
                )
            magnitude = np.abs(block)
            if magnitude.size and magnitude.max() > MAX_FLOAT_PEAK:
                raise AudioError(
                    f"{recording.name} reaches {magnitude.max():.0f}, but floating-point sound runs from -1 to 1; "
                    "export it as 16-bit PCM.",
                    "bad_scale",
                )
            full_scale += (magnitude >= FULL_SCALE).sum(axis=0)
            n_read += len(block)
            pieces.append(resampler.resample_chunk(np.ascontiguousarray(block)))
            if n_read > (MAX_DURATION_S + PADDING_S) * rate_hz:
                break
    if resampler is None or n_read == 0:
        return _Collected(np.zeros((0, 1), dtype=np.float32), 0.0, 0.0)
    pieces.append(resampler.resample_chunk(np.zeros((0, len(full_scale)), dtype=np.float32), last=True))
    samples = np.concatenate([piece.reshape(-1, len(full_scale)) for piece in pieces])
    return _Collected(samples, n_read / rate_hz, float(full_scale.max()) / n_read)


def _mix_down(samples: Samples) -> tuple[Samples, bool]:
    """Mean of the channels that carry sound; the loudest alone (and True) where the mean cancels itself out."""
    energy = np.square(samples, dtype=np.float64).mean(axis=0)
    live = energy >= 1e-4 * energy.max()
    mono = samples[:, live].mean(axis=1, dtype=np.float64)
    expected = energy[live].sum() / live.sum() ** 2  # if the channels had nothing in common
    if np.square(mono).mean() < 0.1 * expected:
        return samples[:, int(energy.argmax())], True
    return mono.astype(np.float32), False


def _finish(recording: Recording, first_30_s: bool) -> Utterance:
    """Decode, judge and measure a recording."""
    name = recording.name
    found = _collect(recording)
    warnings: list[str] = []
    if found.duration_s > MAX_DURATION_S + PADDING_S:
        known = recording.declared_s is not None and recording.declared_s > found.duration_s - 1.0
        length = f"{recording.declared_s:.1f} s" if known else "more than 30 s"
        if not first_30_s:
            raise AudioError(
                f"{name} is {length} long; only 30 s can be captioned. Take the first 30 s with --first-30-s.",
                "too_long",
            )
        warnings.append(f"Only the first 30 s were used: the recording is {length} long.")
    else:
        _check_complete(recording, found.duration_s)
    if found.duration_s < MIN_DURATION_S:
        raise AudioError(
            f"{name} is only {found.duration_s:.2f} s long; record at least {MIN_DURATION_S} s of speech.", "too_short"
        )
    if recording.lost > 1:
        warnings.append("Parts of the recording are damaged and were left out.")
    mono, cancelled = _mix_down(found.samples[: round(MAX_DURATION_S * SAMPLE_RATE_HZ)])
    if cancelled:
        warnings.append("The channels cancel each other out when mixed, so only the loudest one was used.")
    mono = np.clip(np.ascontiguousarray(mono), -1.0, 1.0)
    steady = mono - mono.mean(dtype=np.float64)
    if np.abs(steady).max() < SILENT_PEAK:
        raise AudioError(f"{name} is silent; check the microphone and record again.", "silent")
    warnings += _level_warnings(steady, found.clipped_share)
    mono.setflags(write=False)
    return Utterance(
        id=hashlib.sha256(_pcm16(mono).astype("<i2").tobytes()).hexdigest()[:16],
        samples=mono,
        duration_s=len(mono) / SAMPLE_RATE_HZ,
        level_dbfs=_dbfs(math.sqrt(float(np.square(steady, dtype=np.float64).mean()))),
        peak_dbfs=_dbfs(float(np.abs(mono).max())),
        warnings=tuple(warnings),
    )


def _check_complete(recording: Recording, duration_s: float) -> None:
    """Refuse half a recording: captioning it without a word would lose something."""
    promised_s = recording.declared_s or 0.0
    if recording.lost > max(1 if duration_s else 0, recording.packets // 10):
        raise AudioError(f"{recording.name} is damaged: much of it cannot be decoded; export it again.", "damaged")
    if promised_s - duration_s > max(0.3, 0.03 * promised_s):
        raise AudioError(
            f"{recording.name} is cut off: its header promises {promised_s:.1f} s, but only {duration_s:.1f} s can be "
            "decoded; copy or export it again, or save the part you want as a new file.",
            "truncated",
        )
    if not duration_s:
        raise AudioError(f"{recording.name} holds no sound at all (0 s); record or export it again.", "zero_length")


def _level_warnings(steady: NDArray[np.floating[Any]], clipped_share: float) -> list[str]:
    """Plain sentences about clipping, a low level and long silence, from samples (n,) without DC offset."""
    frame = SAMPLE_RATE_HZ // 20
    squares = np.square(steady[: len(steady) // frame * frame], dtype=np.float64).reshape(-1, frame)
    levels = 10.0 * np.log10(squares.mean(axis=1) + 1e-12)
    silence = float((levels < levels.max() - PAUSE_DB).mean())
    sentences = []
    if clipped_share > CLIPPED_SHARE:
        sentences.append(
            f"The recording is clipped: {clipped_share:.1%} of its samples are at full scale; record at a lower level."
        )
    if levels.max() < QUIET_DBFS:
        sentences.append(
            f"The recording is very quiet (at most {levels.max():.0f} dBFS); speak closer to the microphone."
        )
    if silence > MOSTLY_SILENT:
        sentences.append(f"The recording is mostly silence ({silence:.0%}); cut it to the speech.")
    return sentences


def _pcm16(samples: Samples) -> NDArray[np.int16]:
    levels: NDArray[np.int16] = np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767).astype(np.int16)
    return levels


def _dbfs(amplitude: float) -> float:
    return 20.0 * math.log10(max(amplitude, 1e-6))
