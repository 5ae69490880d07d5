"""Log-mel front end, and the quantised acoustic code that crosses the wire.

The edge turns the waveform into a log-mel spectrogram, quantises it to 4 or 8 bits a value and keeps the waveform.
Both models read the *dequantised code*, the edge too, so that edge-only, cloud-only and UGSD differ in who decides
and in nothing else.

The spectrogram is Whisper's (25-ms Hann window, 10-ms hop, Slaney mel filters, log10, floor 8 decades under the
maximum, ``(x + 4) / 4``), as the Qwen-Omni families use it. With ``level="peak"`` it is then shifted so that its
maximum is `PEAK_VALUE`: recording level differs between corpora far more than between emotions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import OptionError, ProtocolError

__all__ = [
    "HOP_LENGTH",
    "MAX_FRAMES",
    "N_FFT",
    "PEAK_VALUE",
    "SAMPLE_RATE_HZ",
    "AcousticCode",
    "FeatureSpec",
    "encode_waveform",
    "log_mel",
]

SAMPLE_RATE_HZ = 16_000
N_FFT = 400
HOP_LENGTH = 160
MAX_FRAMES = 30 * SAMPLE_RATE_HZ // HOP_LENGTH
DYNAMIC_RANGE = 2.0  # Whisper floors at 8 decades under the maximum, then divides by 4
PEAK_VALUE = 1.5

Level = Literal["as_recorded", "peak"]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """What the acoustic code of a checkpoint looks like; two sides must agree on every field.

    Attributes:
        n_mels: Mel bins, 80 (Whisper tiny/base, the embedded pair) or 128 (Qwen-Omni).
        level: ``"as_recorded"`` keeps Whisper's absolute level, ``"peak"`` shifts the maximum to `PEAK_VALUE`.
        bits: Bits a value in the code, 4 or 8.
    """

    n_mels: int = 80
    level: Level = "as_recorded"
    bits: int = 8

    def __post_init__(self) -> None:
        if self.n_mels not in (80, 128):
            raise OptionError(f"mel bins must be 80 or 128, not {self.n_mels}")
        if self.level not in ("as_recorded", "peak"):
            raise OptionError(f"level must be 'as_recorded' or 'peak', not {self.level!r}")
        if self.bits not in (4, 8):
            raise OptionError(f"bits must be 4 or 8, not {self.bits}")

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over every constant that shapes the code; compared in the handshake."""
        facts: dict[str, Any] = asdict(self) | {
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "n_fft": N_FFT,
            "hop": HOP_LENGTH,
            "range": DYNAMIC_RANGE,
            "peak": PEAK_VALUE,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AcousticCode:
    """A quantised log-mel spectrogram.

    Attributes:
        n_mels: Mel bins.
        n_frames: Frames of 10 ms, at most `MAX_FRAMES`.
        bits: 4 or 8.
        high: The spectrogram's maximum; the lowest level of the code stands for ``high - DYNAMIC_RANGE``.
        payload: The levels, row-major (mel, frame); two to a byte, high nibble first, when ``bits`` is 4.
    """

    n_mels: int
    n_frames: int
    bits: int
    high: float
    payload: bytes

    def __post_init__(self) -> None:
        if self.n_mels not in (80, 128) or self.bits not in (4, 8) or not 0 < self.n_frames <= MAX_FRAMES:
            raise ProtocolError("the acoustic code has impossible dimensions", "bad_code")
        if not np.isfinite(self.high) or abs(self.high) > 8.0:
            raise ProtocolError("the acoustic code has an impossible level", "bad_code")
        if len(self.payload) != (self.n_mels * self.n_frames * self.bits + 7) // 8:
            raise ProtocolError("the acoustic code's length does not fit its dimensions", "bad_code")

    @classmethod
    def quantise(cls, features: NDArray[np.float32], bits: int) -> AcousticCode:
        """Quantise a (n_mels, n_frames) log-mel spectrogram uniformly over its `DYNAMIC_RANGE`."""
        high = float(np.float32(features.max()))
        top = (1 << bits) - 1
        scaled = (features - (high - DYNAMIC_RANGE)) * (top / DYNAMIC_RANGE)
        levels = np.clip(np.rint(scaled), 0, top).astype(np.uint8)
        if bits == 4:
            flat = levels.ravel()
            if flat.size % 2:
                flat = np.append(flat, np.uint8(0))
            packed = (flat[0::2] << 4) | flat[1::2]
        else:
            packed = levels
        return cls(features.shape[0], features.shape[1], bits, high, packed.tobytes())

    def features(self) -> NDArray[np.float32]:
        """The spectrogram both models read: float32, shape (n_mels, n_frames)."""
        packed = np.frombuffer(self.payload, dtype=np.uint8)
        count = self.n_mels * self.n_frames
        levels = np.stack((packed >> 4, packed & 15), axis=1).ravel()[:count] if self.bits == 4 else packed
        step = DYNAMIC_RANGE / ((1 << self.bits) - 1)
        values = levels.astype(np.float32) * np.float32(step) + np.float32(self.high - DYNAMIC_RANGE)
        return values.reshape(self.n_mels, self.n_frames)

    @property
    def sha256(self) -> str:
        """Content address (hex) of the code."""
        head = f"{self.n_mels},{self.n_frames},{self.bits},{self.high!r},".encode()
        return hashlib.sha256(head + self.payload).hexdigest()


@lru_cache(maxsize=2)
def _filters(n_mels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hann window (n_fft,) and Slaney mel filters (n_mels, n_fft // 2 + 1)."""
    window = np.hanning(N_FFT + 1)[:-1]
    corners = _hz_of(np.linspace(0.0, _mel_of(SAMPLE_RATE_HZ / 2), n_mels + 2))
    widths = np.diff(corners)
    distance = corners[None, :] - np.linspace(0, SAMPLE_RATE_HZ // 2, N_FFT // 2 + 1)[:, None]
    rising, falling = -distance[:, :-2] / widths[:-1], distance[:, 2:] / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    bank = triangles * (2.0 / (corners[2:] - corners[:-2]))  # each filter passes the same energy of white noise
    return window.astype(np.float32), np.ascontiguousarray(bank.T.astype(np.float32))


# Slaney's mel scale: linear up to 1 kHz, logarithmic above, a factor of 6.4 in 27 mels.
_LINEAR_HZ_A_MEL = 200.0 / 3.0
_KNEE_HZ = 1000.0
_KNEE_MEL = 15.0
_MEL_A_LOG = 27.0 / np.log(6.4)


def _mel_of(frequency_hz: float) -> float:
    if frequency_hz < _KNEE_HZ:
        return 3.0 * frequency_hz / 200.0
    return float(_KNEE_MEL + np.log(frequency_hz / _KNEE_HZ) * _MEL_A_LOG)


def _hz_of(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE_HZ * np.exp((np.log(6.4) / 27.0) * (mels - _KNEE_MEL))
    return np.where(mels >= _KNEE_MEL, above, _LINEAR_HZ_A_MEL * mels)


def log_mel(samples: NDArray[np.float32], spec: FeatureSpec) -> NDArray[np.float32]:
    """Log-mel spectrogram of a 16-kHz mono waveform.

    Args:
        samples: Shape (n,), float32 in [-1, 1], at least one hop long and at most 30 s.
        spec: Mel bins and level.

    Returns:
        float32, shape (n_mels, n // 160). Equal to Whisper's feature extractor on the unpadded clip when
        ``spec.level`` is ``"as_recorded"``.
    """
    window, bank = _filters(spec.n_mels)
    padded = np.pad(samples.astype(np.float32), N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH][:-1]
    frames = frames[:MAX_FRAMES]
    power = np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2
    log_spec: NDArray[np.float32] = np.log10(np.maximum(bank @ power.T, 1e-10)).astype(np.float32)
    log_spec = (np.maximum(log_spec, log_spec.max() - 4 * DYNAMIC_RANGE) + np.float32(4.0)) / np.float32(4.0)
    if spec.level == "peak":
        log_spec += np.float32(PEAK_VALUE) - log_spec.max()
    return log_spec


def encode_waveform(samples: NDArray[np.float32], spec: FeatureSpec) -> AcousticCode:
    """The acoustic code of a 16-kHz mono waveform: `log_mel`, then `AcousticCode.quantise`."""
    return AcousticCode.quantise(log_mel(samples, spec), spec.bits)
