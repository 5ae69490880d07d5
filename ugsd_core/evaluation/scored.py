"""Runs with their figures, scored again where what is on disk is older than the captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import CLIPS_FILE, read_lines
from ugsd_core.evaluation.scoring import captions_sha256, read_manifest, read_scores, score_run

__all__ = ["ScoredRun", "load_run", "load_runs"]

DRAWS = 1000


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A run and its figures.

    Attributes:
        name: What reports call it: the folder's name, longer where two folders share it.
        metrics, timings: As `score_run` writes them.
    """

    name: str
    folder: Path
    manifest: dict[str, Any]
    metrics: dict[str, Any]
    timings: dict[str, Any]

    @property
    def language(self) -> str:
        """Of the captions."""
        return str(self.metrics["language"])

    @property
    def systems(self) -> list[str]:
        """In the order of tables."""
        return list(self.metrics["systems"])

    def definition(self, system: str) -> str:
        """What a system is, as the manifest says it; empty where it says nothing."""
        for entry in self.manifest.get("systems", []):
            if isinstance(entry, dict) and entry.get("name") == system:
                return str(entry.get("definition") or "")
        return ""


def load_run(
    folder: Path | str,
    name: str = "",
    *,
    draws: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> ScoredRun:
    """A run with figures that fit its captions.

    Args:
        name: The folder's own unless told.
        draws: Bootstrap draws; None takes what is there, or `DRAWS`.

    Raises:
        OptionError: If the folder holds no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise OptionError(f"there is no folder {folder}; name a run that ugsd evaluate wrote")
    found = read_scores(folder)
    if found is None or not _fresh(folder, found[0], draws):
        score_run(folder, draws=draws or DRAWS, seed=seed, progress=progress)
        found = read_scores(folder)
    if found is None:
        raise OptionError(f"the figures of {folder} can't be read again after they were written; is the disk full?")
    return ScoredRun(name or folder.resolve().name, folder, read_manifest(folder), *found)


def _fresh(folder: Path, metrics: dict[str, Any], draws: int | None) -> bool:
    if draws is not None and draws != metrics["draws"]:
        return False
    if metrics.get("missing_metrics"):
        from ugsd_core.metrics import METRICS

        # A plug-in's metric that failed would fail again, and no report should wait for that.
        if any(METRICS[name].missing is None for name in metrics["missing_metrics"] if name in METRICS.builtin):
            return False
    lines = read_lines(folder / CLIPS_FILE)
    return bool(metrics.get("captions_sha256") == captions_sha256(lines))


def load_runs(
    folders: Sequence[Path | str],
    *,
    draws: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[ScoredRun]:
    """Several runs, each with a name of its own.

    Raises:
        OptionError: If one is no run, or one is named twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    twice = {path for path in paths if paths.count(path) > 1}
    if twice:
        raise OptionError(f"{min(twice)} is named twice; name each run once")
    return [
        load_run(folder, name, draws=draws, seed=seed, progress=progress)
        for folder, name in zip(folders, _names(paths), strict=True)
    ]


def _names(paths: Sequence[Path]) -> list[str]:
    """As few parts of each path as tell it from the others."""
    parts = 1
    while True:
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names) or parts >= max(len(path.parts) for path in paths):
            return names
        parts += 1
