"""Every recording a person may hand in: good ones arrive intact, bad ones end in one plain sentence."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from ugsd_core.audio import ERROR_CODES, Utterance, load_utterance, utterance_from_samples
from ugsd_core.errors import AudioError

EXAMPLES = Path(__file__).parent.parent / "assets" / "examples"
TONE_HZ = 440.0


def tone(duration_s: float = 1.0, rate_hz: int = 16_000, level: float = 0.3) -> np.ndarray:
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * TONE_HZ * t)).astype(np.float32)


def frequency_hz(utterance: Utterance) -> float:
    """The strongest frequency of the middle half, which no codec's padding reaches."""
    n = len(utterance.samples)
    middle = utterance.samples[n // 4 : 3 * n // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 17))
    return float(spectrum.argmax()) * 16_000 / (1 << 17)


def encode(
    path: Path, codec: str, samples: np.ndarray, rate_hz: int = 48_000, video: bool = False, **options: str
) -> Path:
    """Write mono samples with FFmpeg; with ``video`` a grey picture beside them."""
    with av.open(str(path), "w", options=options) as container:
        if video:
            picture = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        if codec:
            stream = container.add_stream(codec, rate=rate_hz, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
            frame.sample_rate = rate_hz
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        if video:
            for _ in range(10):
                image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, dtype=np.uint8), format="rgb24")
                container.mux(picture.encode(image))
            container.mux(picture.encode(None))
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def refused(path: Any, code: str, **options: bool) -> str:
    """The sentence of the `AudioError` that loading gives, with everything a sentence must have."""
    with pytest.raises(AudioError) as caught:
        load_utterance(path, **options)
    return checked(caught.value, code)


def checked(error: AudioError, code: str) -> str:
    sentence = str(error)
    assert error.code == code, sentence
    assert code in ERROR_CODES
    assert sentence[0].isprintable() and sentence.endswith(".") and "\n" not in sentence
    return sentence


# --- good recordings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rate_hz", "subtype", "channels"),
    [
        ("a.wav", 16_000, "PCM_16", 1),
        ("a.wav", 8_000, "ULAW", 1),
        ("a.wav", 44_100, "PCM_24", 2),
        ("a.wav", 48_000, "FLOAT", 8),
        ("a.wav", 192_000, "PCM_32", 1),
        ("a.wav", 22_050, "PCM_U8", 1),
        ("a.wav", 48_000, "DOUBLE", 1),
        ("a.flac", 96_000, "PCM_24", 2),
        ("a.ogg", 44_100, "VORBIS", 1),
        ("a.opus.ogg", 48_000, "OPUS", 2),
        ("a.aiff", 32_000, "PCM_16", 1),
        ("a.caf", 16_000, "PCM_16", 1),
        ("a.mp3", 44_100, "MPEG_LAYER_III", 2),
        ("Schrei 尖叫.mp3", 16_000, "MPEG_LAYER_III", 1),
    ],
)
def test_a_tone_survives_every_file_format(
    tmp_path: Path, name: str, rate_hz: int, subtype: str, channels: int
) -> None:
    path = tmp_path / name
    kind = {".mp3": "MP3", ".ogg": "OGG"}.get(path.suffix)
    soundfile.write(path, np.tile(tone(1.0, rate_hz)[:, None], channels), rate_hz, subtype=subtype, format=kind)
    expect_tone(load_utterance(path))


@pytest.mark.parametrize(
    ("name", "codec", "video"),
    [
        ("a.m4a", "aac", False),
        ("a.aac", "aac", False),
        ("a.webm", "libopus", False),
        ("a.mp4", "aac", True),
        ("a.mkv", "pcm_s16le", True),
        ("a.mka", "pcm_s16le", False),
    ],
)
def test_a_tone_survives_every_container(tmp_path: Path, name: str, codec: str, video: bool) -> None:
    expect_tone(load_utterance(encode(tmp_path / name, codec, tone(1.0, 48_000), video=video)))


def expect_tone(utterance: Utterance) -> None:
    assert frequency_hz(utterance) == pytest.approx(TONE_HZ, abs=0.5)
    assert utterance.duration_s == pytest.approx(1.0, abs=0.09)
    assert utterance.level_dbfs == pytest.approx(-13.5, abs=0.7)
    assert utterance.samples.dtype == np.float32 and utterance.samples.ndim == 1
    assert utterance.warnings == ()


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac", tone(1.0, 48_000))
    expect_tone(load_utterance(path.rename(tmp_path / "voice.wav")))


def test_16_khz_16_bit_samples_arrive_unchanged(tmp_path: Path) -> None:
    pcm = (np.random.default_rng(0).uniform(-0.5, 0.5, 8_000) * 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", pcm, 16_000)
    utterance = load_utterance(tmp_path / "a.wav")
    assert np.array_equal(utterance.pcm16, pcm)
    assert utterance.id == hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()[:16]
    assert utterance.waveform_bytes == 16_000
    assert utterance.id == utterance_from_samples(pcm, 16_000).id
    with pytest.raises(ValueError, match="read-only"):
        utterance.samples[0] = 0.0


def test_a_wav_stream_of_unknown_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16_000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    for promise in (0xFFFF_FFFF, 0x7FFF_FFDB, 0):
        data[at : at + 4] = struct.pack("<I", promise)
        path.write_bytes(data)
        expect_tone(load_utterance(path))


def test_thirty_seconds_and_a_codec_s_padding_are_accepted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", tone(30.0), 16_000)
    utterance = load_utterance(tmp_path / "a.mp3")
    assert len(utterance.samples) <= 480_000
    assert utterance.warnings == ()


def test_nothing_is_written_to_stderr(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", tone(2.0), 16_000)
    cut(tmp_path / "a.mp3")
    soundfile.write(tmp_path / "a.flac", tone(2.0), 16_000)
    cut(tmp_path / "a.flac")
    (tmp_path / "a.wav").write_bytes(b"RIFF" + bytes(100))
    script = (
        "import sys\nfrom ugsd_core.audio import load_utterance\nfrom ugsd_core.errors import AudioError\n"
        "for path in sys.argv[1:]:\n  try:\n    load_utterance(path)\n  except AudioError:\n    pass\n"
    )
    paths = sorted(str(path) for path in tmp_path.iterdir())
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", script, *paths], cwd=root, capture_output=True, check=True)
    assert done.stdout == b"" and done.stderr == b""


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "int32", "int8", "uint8", "float32", "float64"])
@pytest.mark.parametrize("layout", ["(n,)", "(n, 2)", "(2, n)"])
def test_every_kind_of_array_is_understood(dtype: str, layout: str) -> None:
    samples: np.ndarray = tone(1.0, 48_000)
    if dtype == "uint8":
        samples = (samples * 127 + 128).astype(np.uint8)
    elif dtype.startswith("int"):
        samples = (samples.astype(np.float64) * np.iinfo(dtype).max).astype(dtype)
    samples = samples.astype(dtype)
    if layout != "(n,)":
        samples = np.stack((samples, samples), axis=1 if layout == "(n, 2)" else 0)
    expect_tone(utterance_from_samples(samples, 48_000))


@pytest.mark.parametrize(
    ("samples", "rate_hz", "code"),
    [
        (np.zeros(0, dtype=np.int16), 16_000, "zero_length"),
        (np.zeros((0, 2), dtype=np.float32), 16_000, "zero_length"),
        (np.zeros(16_000, dtype=np.int16), 16_000, "silent"),
        (np.full(16_000, 0.2), 16_000, "silent"),
        (tone(0.1), 16_000, "too_short"),
        (tone(31.0), 16_000, "too_long"),
        (tone() * 32767, 16_000, "bad_scale"),
        (np.where(np.arange(16_000) == 9, np.nan, 0.1), 16_000, "nan"),
        (np.where(np.arange(16_000) == 9, np.inf, 0.1), 16_000, "nan"),
        (tone(), 0, "bad_rate"),
        (tone(), -16_000, "bad_rate"),
        (tone(), float("nan"), "bad_rate"),
        (tone(), None, "bad_rate"),
        (np.zeros((2, 2, 2)), 16_000, "not_audio"),
        (np.array("speech"), 16_000, "not_audio"),
        (np.zeros(16_000, dtype=np.complex64), 16_000, "not_audio"),
    ],
)
def test_arrays_that_are_no_recording(samples: Any, rate_hz: Any, code: str) -> None:
    with pytest.raises(AudioError) as caught:
        utterance_from_samples(samples, rate_hz)
    checked(caught.value, code)


def test_one_live_channel_of_eight_keeps_its_level() -> None:
    samples = np.zeros((16_000, 8), dtype=np.float32)
    samples[:, 5] = tone()
    expect_tone(utterance_from_samples(samples, 16_000))


def test_channels_that_cancel_are_not_lost() -> None:
    utterance = utterance_from_samples(np.stack((tone(), -tone()), axis=1), 16_000)
    assert frequency_hz(utterance) == pytest.approx(TONE_HZ, abs=0.5)
    assert "cancel" in utterance.warnings[0]


# --- warnings ---------------------------------------------------------------------------------------------------------


def test_clipping_is_named() -> None:
    (warning,) = utterance_from_samples(np.clip(tone(level=2.0), -1, 1), 16_000).warnings
    assert warning.startswith("The recording is clipped: 6")


def test_a_low_level_is_named() -> None:
    (warning,) = utterance_from_samples(tone(level=0.003), 16_000).warnings
    assert "very quiet (at most -53 dBFS)" in warning


def test_long_silence_is_named() -> None:
    (warning,) = utterance_from_samples(np.concatenate((np.zeros(80_000), tone())), 16_000).warnings
    assert "mostly silence (83%)" in warning


def test_an_offset_is_no_sound() -> None:
    utterance = utterance_from_samples(tone(level=0.003) + 0.2, 16_000)
    assert utterance.level_dbfs == pytest.approx(-53.5, abs=0.1)
    assert utterance.samples.mean() == pytest.approx(0.2, abs=1e-3)


# --- bad files --------------------------------------------------------------------------------------------------------


def test_no_file(tmp_path: Path) -> None:
    assert "gone.wav" in refused(tmp_path / "gone.wav", "missing")
    refused("", "missing")
    refused(None, "missing")
    refused(tmp_path / ("x" * 300), "unreadable")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, "is_directory")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    refused(tmp_path / "pipe.wav", "unreadable")


@pytest.mark.parametrize(("error", "code"), [(PermissionError, "no_permission"), (OSError, "unreadable")])
def test_a_file_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError], code: str
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)

    def fail(*_: Any, **__: Any) -> None:
        raise error(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    refused(tmp_path / "a.wav", code)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"This is no recording, whatever its name says.\n" * 50, "not_audio"),
        (np.random.default_rng(1).bytes(50_000), "not_audio"),
        (b"\x00" * 5_000, "not_audio"),
        (b"R", "not_audio"),
        (b"RIFF" + bytes(100), "truncated"),
        (b"OggS" + bytes(100), "truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_audio"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "not_audio"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_audio"),
    ],
)
def test_files_that_hold_no_sound(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "speech.wav"
    path.write_bytes(content)
    assert "speech.wav" in refused(path, code)


def test_a_header_alone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, dtype=np.float32), 16_000)
    refused(tmp_path / "a.wav", "zero_length")
    soundfile.write(tmp_path / "b.wav", tone(), 16_000)
    (tmp_path / "b.wav").write_bytes((tmp_path / "b.wav").read_bytes()[:44])
    refused(tmp_path / "b.wav", "truncated")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.aiff"])
def test_half_a_file_is_not_captioned_without_a_word(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, tone(4.0), 16_000)
    sentence = refused(cut(tmp_path / name), "truncated")
    assert "promises 4.0 s" in sentence
    refused(tmp_path / name, "truncated", first_30_s=True)


def test_half_a_container_is_not_captioned_without_a_word(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).uniform(-0.3, 0.3, 4 * 48_000).astype(np.float32)
    refused(cut(encode(tmp_path / "a.m4a", "aac", noise)), "truncated")
    refused(cut(encode(tmp_path / "b.m4a", "aac", noise, movflags="faststart")), "truncated")
    refused(cut(encode(tmp_path / "c.webm", "libopus", noise)), "truncated")


def test_a_damaged_middle_is_named_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = encode(tmp_path / "a.m4a", "aac", rng.uniform(-0.3, 0.3, 4 * 48_000).astype(np.float32))
    whole = path.read_bytes()
    start = whole.index(b"mdat") + 4
    size = whole.index(b"moov") - start
    for share, code in ((0.06, None), (0.5, "damaged")):
        data = bytearray(whole)
        length = int(size * share)
        data[start + size // 4 : start + size // 4 + length] = rng.bytes(length)
        path.write_bytes(data)
        if code:
            refused(path, code)
        else:
            assert load_utterance(path).warnings == ("Parts of the recording are damaged and were left out.",)


def test_random_damage_never_gives_a_traceback(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    sources = [encode(tmp_path / name, "aac", tone(0.5, 48_000)) for name in ("a.m4a", "a.aac", "a.mkv")]
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.caf"):
        soundfile.write(tmp_path / name, tone(0.5), 16_000)
        sources.append(tmp_path / name)
    for source in sources:
        whole = source.read_bytes()
        for _ in range(8):
            data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
            for at in rng.integers(0, min(len(data), 400), 6):
                data[at] = rng.integers(256)
            source.write_bytes(data)
            try:
                load_utterance(source)
            except AudioError as error:
                checked(error, error.code)


def test_a_video_without_sound(tmp_path: Path) -> None:
    refused(encode(tmp_path / "a.mp4", "", tone(), video=True), "no_audio_stream")


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.webm"])
def test_too_short_and_too_long(tmp_path: Path, name: str) -> None:
    def write(duration_s: float) -> Path:
        if name == "a.webm":
            return encode(tmp_path / name, "libopus", tone(duration_s, 48_000))
        soundfile.write(tmp_path / name, tone(duration_s), 16_000)
        return tmp_path / name

    refused(write(0.1), "too_short")
    path = write(41.2)
    sentence = refused(path, "too_long")
    assert sentence.startswith(f"{name} is 41.2 s long; only 30 s can be captioned.")
    utterance = load_utterance(path, first_30_s=True)
    assert utterance.duration_s == 30.0
    assert utterance.warnings == ("Only the first 30 s were used: the recording is 41.2 s long.",)


def test_an_unknown_length_is_called_more_than_30_s(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.aac", "aac", tone(33.0, 48_000))
    assert "more than 30 s long" in refused(path, "too_long")


def test_a_long_file_is_not_decoded_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "hour.flac", np.zeros(600 * 4_000, dtype=np.int16), 4_000)
    read = soundfile.SoundFile.read
    seen: list[int] = []

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        block = read(self, *args, **options)
        seen.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    assert "600.0 s" in refused(tmp_path / "hour.flac", "too_long")
    assert sum(seen) < 60 * 4_000


def test_bad_samples_in_a_file(tmp_path: Path) -> None:
    samples = tone()
    samples[100] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    refused(tmp_path / "nan.wav", "nan")
    soundfile.write(tmp_path / "zero.wav", np.zeros(16_000), 16_000)
    refused(tmp_path / "zero.wav", "silent")
    soundfile.write(tmp_path / "slow.wav", tone(), 100)
    refused(tmp_path / "slow.wav", "bad_rate")
    soundfile.write(tmp_path / "scale.wav", tone() * 32767, 16_000, subtype="FLOAT")
    refused(tmp_path / "scale.wav", "bad_scale")


# --- example clips ----------------------------------------------------------------------------------------------------


def test_the_example_clips_are_good_recordings() -> None:
    examples = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    assert len(examples) == 6
    assert {example["file"] for example in examples} == {path.name for path in EXAMPLES.glob("*.flac")}
    assert sum(path.stat().st_size for path in EXAMPLES.glob("*.flac")) < 600_000
    for example in examples:
        utterance = load_utterance(EXAMPLES / example["file"])
        assert 2.0 <= utterance.duration_s <= 5.0
        assert utterance.warnings == ()
        assert utterance.id == example["pcm_sha256"][:16]
        assert example["title"]["en"] and example["title"]["zh"] and example["sentence"]
