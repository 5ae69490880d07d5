"""Which recordings can be read."""

from __future__ import annotations

from importlib.util import find_spec

from ugsd_core.doctor.finding import Finding
from ugsd_core.parts import install_line

__all__ = ["check_audio"]

GROUP = "audio"
#: What libsndfile reads, by its names; and what PyAV's FFmpeg must decode, with the files it is found in.
SNDFILE = ("WAV", "FLAC", "OGG", "MP3")
FFMPEG = {"aac": "M4A, MP4", "opus": "WebM, Opus", "vorbis": "Ogg", "mp3": "MP3"}


def check_audio() -> list[Finding]:
    """A row for each of the two libraries."""
    return [_sndfile(), _ffmpeg()]


def _sndfile() -> Finding:
    if find_spec("soundfile") is None:
        return Finding(GROUP, "soundfile", "missing", "not installed", install_line("edge"))
    try:
        import soundfile  # type: ignore[import-untyped, unused-ignore]
    except OSError as error:  # the wheel of this platform has no library in it
        mend = (
            "apt-get install libsndfile1, or install soundfile from a wheel: pip install --only-binary :all: soundfile"
        )
        return Finding(GROUP, "soundfile", "missing", f"its library cannot be loaded ({error})", mend)
    return _codecs("soundfile", {name: name for name in SNDFILE}, set(soundfile.available_formats()))


def _ffmpeg() -> Finding:
    if find_spec("av") is None:
        return Finding(GROUP, "PyAV (FFmpeg)", "missing", "not installed", install_line("edge"))
    import av

    return _codecs("PyAV (FFmpeg)", FFMPEG, set(av.codecs_available))


def _codecs(name: str, wanted: dict[str, str], there: set[str]) -> Finding:
    lacking = [files for codec, files in wanted.items() if codec not in there]
    reads = [files for codec, files in wanted.items() if codec in there]
    details = {"codecs": [codec for codec in wanted if codec in there]}
    if lacking:
        mend = f"pip install --only-binary :all: --force-reinstall --no-deps {'av' if 'AV' in name else name}"
        return Finding(GROUP, name, "missing", f"cannot read {', '.join(lacking)}", mend, details)
    return Finding(GROUP, name, "ok", f"reads {', '.join(reads)}", details=details)
