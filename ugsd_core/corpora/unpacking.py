"""Unpack a corpus that somebody uploaded as a zip file, without trusting anything in it.

Sizes are counted while they are written, not believed; names that lead elsewhere, links and encrypted entries end it
before anything is kept.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from ugsd_core.corpora.recordings import is_junk
from ugsd_core.errors import OptionError

__all__ = ["UnpackLimits", "unpack"]

_CHUNK_BYTES = 1 << 20
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
_MAX_NESTED = 4

#: Bytes written so far, and those that the archive declares.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What an archive may become."""

    total_mb: float = 4_000.0
    files: int = 50_000


def unpack(
    archive: Path, folder: Path, *, limits: UnpackLimits | None = None, progress: Progress | None = None
) -> Path:
    """Unpack a zip file.

    Args:
        folder: Made if missing; it must be empty.
        progress: Called after each megabyte or so.

    Returns:
        The corpus folder: ``folder``, or the one folder in it if there is nothing else.

    Raises:
        OptionError: If the archive is damaged, encrypted, too large or holds what it must not; nothing is left behind.
    """
    limits = limits or UnpackLimits()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(f"{folder} is not empty; unpack into a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _checked(opened, archive.name, limits)
            _write(opened, entries, folder, archive.name, limits, progress)
    except OptionError:
        _clear(folder)
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        _clear(folder)
        raise OptionError(f"{archive.name} is no zip file, or a damaged one ({error}); pack it again") from error
    except (NotImplementedError, RuntimeError) as error:
        _clear(folder)
        raise OptionError(
            f"{archive.name} was packed in a way that is not read here ({error}); use plain zip"
        ) from error
    except OSError as error:
        _clear(folder)
        reason = error.strerror or type(error).__name__
        raise OptionError(
            f"{archive.name} cannot be unpacked ({reason.lower()}); check the disk and the names"
        ) from error
    except BaseException:
        _clear(folder)
        raise
    return _entered(folder)


def _checked(opened: zipfile.ZipFile, name: str, limits: UnpackLimits) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Files to write and where, after everything that can be known beforehand was checked."""
    infos = opened.infolist()
    if len(infos) > 2 * limits.files:  # before names are even looked at
        raise OptionError(f"{name} holds {len(infos):,} entries; at most {limits.files:,} files are unpacked")
    entries: list[tuple[zipfile.ZipInfo, PurePosixPath]] = []
    seen: set[str] = set()
    for info in infos:
        text = _name(info)
        path = PurePosixPath(text)
        if path.is_absolute() or PureWindowsPath(text).drive or ".." in path.parts:
            raise OptionError(f"{name} holds a file that would be put outside of its folder ({text}); pack it again")
        if not path.parts or any(is_junk(part) for part in path.parts):
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise OptionError(f"{name} holds a link ({text}); pack the file itself instead")
        if info.is_dir() or text.endswith("/"):
            continue
        if info.flag_bits & _ENCRYPTED:
            raise OptionError(f"{name} is encrypted; pack it without a password")
        if text.casefold() in seen:
            raise OptionError(f"{name} holds {text} twice; pack it again")
        seen.add(text.casefold())
        entries.append((info, path))
    if not entries:
        raise OptionError(f"{name} holds no file; pack the table and the recordings of a corpus")
    if len(entries) > limits.files:
        raise OptionError(f"{name} holds {len(entries):,} files; at most {limits.files:,} are unpacked")
    return entries


def _name(info: zipfile.ZipInfo) -> str:
    """The entry's name, with ``/``. Names without the UTF-8 flag are often UTF-8 or GBK all the same."""
    text = info.filename
    if not info.flag_bits & _UTF8_NAME:
        try:
            raw = text.encode("cp437")
            text = raw.decode("utf-8")
        except UnicodeEncodeError:
            pass
        except UnicodeDecodeError:
            try:
                text = raw.decode("gb18030")
            except UnicodeDecodeError:
                text = info.filename
    return text.replace("\\", "/")


def _write(
    opened: zipfile.ZipFile,
    entries: list[tuple[zipfile.ZipInfo, PurePosixPath]],
    folder: Path,
    name: str,
    limits: UnpackLimits,
    progress: Progress | None,
) -> None:
    declared = sum(info.file_size for info, _ in entries)
    most = int(limits.total_mb * 1e6)
    free = shutil.disk_usage(folder).free
    if declared > min(most, free):
        why = f"at most {limits.total_mb:,.0f} MB are unpacked" if declared > most else "the disk has no room for it"
        raise OptionError(f"{name} would become {declared / 1e6:,.0f} MB, and {why}; pack fewer recordings")
    written = 0
    for info, path in entries:
        target = folder.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as source, target.open("xb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > most:
                    raise OptionError(
                        f"{name} holds more than it declares and {limits.total_mb:,.0f} MB; pack it again"
                    )
                file.write(chunk)
                if progress is not None:
                    progress(written, declared)


def _clear(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _entered(folder: Path) -> Path:
    for _ in range(_MAX_NESTED):
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            break
        folder = inside[0]
    return folder
