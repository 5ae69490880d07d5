"""The files that belong to the program, the folder it keeps things in, and corpora that were named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ugsd_core.doctor.finding import Finding, State
from ugsd_core.errors import InstallationError, UgsdError
from ugsd_core.places import assets_folder, user_data_folder

__all__ = ["check_checkpoint", "check_corpora", "check_corpus", "check_data_folder", "check_files"]

GROUP = "files"
#: How a file begins that Git left in the place of a large one.
POINTER = b"version https://git-lfs"
AGAIN = "pip install --force-reinstall --no-deps ugsd-studio"
FREE_MB = 500


def check_files(assets: Path | None = None) -> list[Finding]:
    """Checkpoints, example clips, recorded runs, and what the page draws with."""
    try:
        assets = assets or assets_folder()
    except InstallationError as error:
        return [Finding(GROUP, "files of the program", "missing", str(error), AGAIN)]
    return [
        check_checkpoint(assets / "checkpoints/edge", "embedded edge"),
        check_checkpoint(assets / "checkpoints/verifier", "embedded verifier"),
        _counted(assets / "examples", "*.flac", "example clips"),
        _counted(assets / "traces", "*.jsonl", "recorded runs"),
        _counted(assets / "web", "*.js", "scripts of the page"),
    ]


def check_checkpoint(folder: Path, name: str) -> Finding:
    """Whether a checkpoint folder is whole, as far as names and sizes tell."""
    if not (folder / "config.json").is_file():
        return Finding(GROUP, name, "missing", f"nothing at {folder}", AGAIN)
    weights = sorted(folder.glob("model*.safetensors"))
    if not weights:
        return Finding(GROUP, name, "missing", f"no weights in {folder}", AGAIN)
    if any(_is_pointer(path) for path in weights):
        return Finding(GROUP, name, "missing", "Git LFS has left a pointer in place of the weights", "git lfs pull")
    size_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    details = {"folder": str(folder), "size_mb": round(size_mb, 1)}
    return Finding(GROUP, name, "ok", f"{size_mb:.1f} MB in {folder}", details=details)


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _counted(folder: Path, pattern: str, name: str) -> Finding:
    count = sum(1 for path in folder.glob(pattern) if path.is_file()) if folder.is_dir() else 0
    if not count:
        return Finding(GROUP, name, "missing", f"none in {folder}", AGAIN)
    return Finding(GROUP, name, "ok", str(count), details={"folder": str(folder), "count": count})


def check_data_folder(folder: Path | None = None) -> Finding:
    """Whether runs, traces and annotations can be kept; makes nothing."""
    folder = folder or user_data_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    kept = [path.name for path in sorted(folder.iterdir())] if folder.is_dir() else []
    name = "what you keep"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        mend = "name a folder that may be written to: export XDG_DATA_HOME=FOLDER"
        return Finding(GROUP, name, "missing", f"{folder} cannot be written", mend)
    free_mb = shutil.disk_usage(there).free // 1_000_000
    said = f"{folder} ({', '.join(kept) if kept else 'nothing yet'}), {free_mb / 1000:.0f} GB free"
    details = {"folder": str(folder), "kept": kept, "free_mb": free_mb}
    if free_mb < FREE_MB:
        return Finding(GROUP, name, "note", said, "make room, or set XDG_DATA_HOME to a larger disk", details)
    return Finding(GROUP, name, "ok", said, details=details)


def check_corpus(folder: Path) -> Finding:
    """How much of a corpus is usable."""
    from ugsd_core.corpora import main_language, preflight, read_corpus

    name = f"corpus {folder.name}"
    try:
        corpus = read_corpus(str(folder), confined=False)
        found = preflight(corpus, main_language(corpus))
    except UgsdError as error:
        return Finding(GROUP, name, "missing", str(error), f"ugsd corpus {folder}")
    state: State = "ok" if found.ready else "missing"
    mend = "" if found.ready else f"ugsd corpus {folder} says why"
    return Finding(GROUP, name, state, found.summary, mend, {"clips": found.clips, "with_audio": found.with_audio})


def check_corpora(folders: Iterable[Path]) -> list[Finding]:
    """One row a corpus."""
    return [check_corpus(folder) for folder in folders]
