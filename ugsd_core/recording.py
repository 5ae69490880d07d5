"""A recording being decoded: `open_recording` gives a `Recording`, whose blocks of samples are still to be pulled.

libsndfile decodes WAV, FLAC, Ogg, AIFF and their kin; FFmpeg decodes MP3, M4A, WebM, MP4 and what libsndfile declines.
MP3 goes to FFmpeg because libsndfile's MP3 decoder writes to stderr. FFmpeg reads from an open file and through a list
of plain audio and video containers, so that a playlist cannot make it open other files or addresses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import AudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

__all__ = ["BLOCK_LENGTH", "Blocks", "Recording", "Samples", "as_float", "check_file", "check_rate", "open_recording"]

BLOCK_LENGTH = 1 << 16
RATES_HZ = (4_000, 768_000)

Samples = NDArray[np.float32]
Blocks = Generator[tuple[int, Samples], None, None]

_UNKNOWN_BYTES = 0x7FFF_0000  # a header that promises more was written by a stream that did not know its length
_SHORTFALL = re.compile(r"(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)")
_SNDFILE_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b".snd", b"caff")
_CONTAINER_MAGIC = (b"\x1a\x45\xdf\xa3", b"ID3", b"\x30\x26\xb2\x75")  # Matroska/WebM, MP3, WMA
_CONTAINERS = (
    "wav,w64,aiff,caf,au,flac,ogg,mp3,aac,ac3,eac3,amr,ape,wv,tta,mov,mp4,m4a,3gp,matroska,webm,asf,avi,flv,mpeg,mpegts"
)


def _no_blocks() -> Blocks:
    yield from ()


@dataclass(slots=True)
class Recording:
    """A recording being decoded.

    Attributes:
        name: Subject of the sentences about it.
        blocks: Pairs (rate in Hz, samples of shape (n, channels) nominally in [-1, 1]), rate and channels constant.
        declared_s: The length its header promises, or None where nothing trustworthy is promised.
        packets, lost: Compressed packets read so far, and those of them that could not be decoded.
    """

    name: str
    blocks: Blocks = field(default_factory=_no_blocks)
    declared_s: float | None = None
    packets: int = 0
    lost: int = 0


def check_file(path: Path, name: str) -> None:
    """Raise the `AudioError` of a path that is no file with something in it."""
    if path.is_dir():
        raise AudioError(f"{name} is a folder; choose one sound file in it.", "is_directory")
    if not path.exists():
        raise AudioError(f"There is no file {name}; check the path and its spelling.", "missing")
    if not path.is_file():  # a pipe or device could block for ever
        raise AudioError(f"{name} is not a regular file; save the recording as one first.", "unreadable")
    if path.stat().st_size == 0:
        raise AudioError(f"{name} is empty (0 bytes); record or export it again.", "empty")


def open_recording(path: Path, file: BinaryIO, name: str) -> Recording:
    """Begin to decode a file.

    Args:
        path: The file.
        file: The same file, open; it must stay open until the blocks have been pulled.
        name: Subject of the sentences about it.

    Raises:
        AudioError: ``"not_audio"``, ``"no_audio_stream"``, ``"truncated"`` or ``"bad_rate"``; pulling the blocks may
            raise ``"damaged"``.
    """
    magic = file.read(12)
    file.seek(0)
    recording = _open_sndfile(path, name) if magic.startswith(_SNDFILE_MAGIC) else None
    return recording or _open_ffmpeg(file, name, magic)


def _open_sndfile(path: Path, name: str) -> Recording | None:
    """Open with libsndfile; None where it cannot or finds no samples, and FFmpeg should try."""
    import soundfile  # type: ignore[import-untyped]

    try:
        sound = soundfile.SoundFile(os.fspath(path))
    except soundfile.SoundFileError:
        return None
    # libsndfile quietly shortens a cut file to what is there; only its log keeps the promise.
    found = _SHORTFALL.search(sound.extra_info)
    promised, there = (int(found[1]), int(found[2])) if found else (0, 0)
    if sound.frames == 0:
        sound.close()
        if there < promised < _UNKNOWN_BYTES:
            raise AudioError(f"{name} is cut off right after its header; copy, export or record it again.", "truncated")
        return None
    rate_hz = check_rate(sound.samplerate, name)
    declared_s = sound.frames / rate_hz if sound.frames < 1 << 62 else None
    if declared_s and 0 < there < promised < _UNKNOWN_BYTES:
        declared_s *= promised / there

    def blocks() -> Blocks:
        length = max(BLOCK_LENGTH // sound.channels, 1)
        with sound:
            try:
                while len(block := sound.read(length, dtype="float32", always_2d=True)):
                    yield rate_hz, block
            except soundfile.SoundFileError:
                return  # what is missing shows against the declared length

    return Recording(name, blocks(), declared_s)


def _open_ffmpeg(file: BinaryIO, name: str, magic: bytes) -> Recording:
    import av

    try:
        container = av.open(file, mode="r", metadata_errors="replace", options={"format_whitelist": _CONTAINERS})
    except (av.error.FFmpegError, ValueError) as error:
        if magic.startswith(_SNDFILE_MAGIC + _CONTAINER_MAGIC) or magic[4:8] == b"ftyp":
            raise AudioError(
                f"{name} is cut off or damaged and cannot be decoded; copy, export or record it again.", "truncated"
            ) from error
        raise AudioError(
            f"{name} is not a sound file; choose a WAV, FLAC, MP3, Ogg, M4A or WebM recording.", "not_audio"
        ) from error
    if not container.streams.audio:
        container.close()
        raise AudioError(f"{name} has no sound in it; choose a recording or a video with sound.", "no_audio_stream")
    stream = container.streams.audio[0]
    recording = Recording(name, declared_s=_declared_s(container, stream, file))
    recording.blocks = _ffmpeg_blocks(container, stream, recording)
    return recording


def _declared_s(container: InputContainer, stream: AudioStream, file: BinaryIO) -> float | None:
    """The promised length, where FFmpeg read it from a header and did not estimate it from the file's size."""
    kind = container.format.name
    if "mp4" in kind or (kind == "mp3" and _has_xing_header(file)):
        return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
    if "matroska" in kind and not container.streams.video:
        return container.duration / 1e6 if container.duration else None
    return None


def _has_xing_header(file: BinaryIO) -> bool:
    """Whether an MP3 file's first frame tells its length."""
    position = file.tell()
    file.seek(0)
    head = file.read(10)
    if head[:3] == b"ID3" and len(head) == 10:
        size = (head[6] << 21) | (head[7] << 14) | (head[8] << 7) | head[9]  # four 7-bit digits
        file.seek(size, os.SEEK_CUR)
        head = b""
    head += file.read(2048)
    file.seek(position)
    return any(tag in head for tag in (b"Xing", b"Info", b"VBRI"))


def _ffmpeg_blocks(container: InputContainer, stream: AudioStream, recording: Recording) -> Blocks:
    import av

    shape: tuple[int, int] | None = None
    with container:
        try:
            for packet in container.demux(stream):
                recording.packets += 1
                try:
                    frames = packet.decode()
                except (av.error.FFmpegError, ValueError):
                    recording.lost += 1
                    continue
                for frame in frames:
                    rate_hz, block = frame.sample_rate, _frame_samples(frame)
                    shape = shape or (rate_hz, block.shape[1])
                    if shape != (rate_hz, block.shape[1]):
                        raise AudioError(
                            f"{recording.name} changes its sample rate or channels midway; export it again as WAV.",
                            "damaged",
                        )
                    yield rate_hz, block
        except av.error.FFmpegError:
            recording.lost += 1  # the demuxer gave up; what is missing shows against the declared length


def _frame_samples(frame: AudioFrame) -> Samples:
    """A decoded frame as float32, shape (n, channels)."""
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    return as_float(values)


def as_float(values: NDArray[Any]) -> Samples:
    """Integers to float32 in [-1, 1); floats as they are."""
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128.0) / 128.0
    if values.dtype.kind == "i":
        return (values / -float(np.iinfo(values.dtype).min)).astype(np.float32)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite and is refused as such
        return values.astype(np.float32)


def check_rate(rate_hz: float, name: str) -> int:
    """The rate as an integer, or the `AudioError` ``"bad_rate"``."""
    if not isinstance(rate_hz, (int, float, np.number)) or not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise AudioError(
            f"{name} has a sample rate of {rate_hz} Hz; speech needs 4000 to 768000 Hz, so export it at 16000 Hz.",
            "bad_rate",
        )
    return round(float(rate_hz))
