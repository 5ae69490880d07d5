"""The figures of a run, recomputed from ``clips.jsonl`` alone: ``metrics.json``, ``timings.json``, per-clip scores.

What depends on the captions (metrics, ratios, bytes, comparisons) is kept apart from what depends on the machine and
the day (clocks, resources), so that the same captions give the same ``metrics.json``, byte by byte: clips are sorted by
id, systems stand in the manifest's order, draws are seeded, and numbers are cut to ten digits. The schema is in
`docs/reports.md`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, METRICS_FILE, TIMINGS_FILE, ClipLine, read_lines

__all__ = [
    "CLIP_SCORES_FILE",
    "SCORE_SCHEMA",
    "captions_sha256",
    "read_manifest",
    "read_scores",
    "score_run",
    "sorted_systems",
]

SCORE_SCHEMA = 1
#: One line a caption: ``id``, ``system`` and the value of every metric on this clip alone.
CLIP_SCORES_FILE = "clip_scores.jsonl"
#: Where the manifest does not say: the ends first, then ours.
FIRST = ("edge", "cloud", "ugsd")

Report = Callable[[int, int, str], None]


def score_run(
    folder: Path | str, *, draws: int = 1000, seed: int = 0, progress: Report | None = None
) -> dict[str, Any]:
    """Recompute all figures of a run and write them; returns what is in ``metrics.json``.

    Args:
        draws: Bootstrap draws of every interval.
        progress: Called with steps done, steps in all and what comes next.

    Raises:
        OptionError: If the folder holds no run, or captions of several languages.
    """
    from ugsd_core.evaluation.sheet import Sheet, clip_scores, paired_rows, system_figures
    from ugsd_core.evaluation.timings import timing_figures

    folder = Path(folder)
    lines = read_lines(folder / CLIPS_FILE)
    if not lines:
        raise OptionError(f"there are no captions in {folder}; point at a folder that ugsd evaluate wrote")
    if draws < 2:
        raise OptionError(f"an interval needs at least 2 draws, not {draws}")
    manifest = read_manifest(folder)
    language = _language(lines, folder)
    systems = sorted_systems(lines, manifest)
    steps = len(systems) * 2 + 1

    def tell(done: int, what: str) -> None:
        if progress is not None:
            progress(done, steps, what)

    tell(0, "drawing clips")
    sheet = Sheet.of(lines, systems, language, draws, seed)
    for number, system in enumerate(systems):
        tell(1 + number, f"scoring {system}")
        sheet.score(system)
    figures = {}
    paired = []
    for number, system in enumerate(systems):
        tell(1 + len(systems) + number, f"comparing {system}")
        figures[system] = system_figures(sheet, system)
        paired += paired_rows(sheet, system)
    metrics: dict[str, Any] = {
        "schema": SCORE_SCHEMA,
        "language": language,
        "corpus": sorted({line.corpus for line in lines}),
        "clips": len(sheet.ids),
        "speakers": sheet.speakers,
        "labelled": sum(label is not None for label in sheet.labels),
        "draws": draws,
        "seed": seed,
        "resampled": sheet.resampled,
        "reference_note": sheet.reference_note,
        "captions_sha256": captions_sha256(lines),
        "missing_metrics": sheet.missing,
        "systems": figures,
        "paired": paired,
    }
    metrics = dict(_cut(metrics))
    _write(folder / CLIP_SCORES_FILE, "".join(_line(entry) for entry in clip_scores(sheet)))
    timings = _cut({"schema": SCORE_SCHEMA, **timing_figures(lines, systems, manifest)})
    _write(folder / TIMINGS_FILE, json.dumps(timings, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    # Last, because whoever looks for fresh figures looks at this file.
    _write(folder / METRICS_FILE, json.dumps(metrics, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    tell(steps, "done")
    return metrics


def read_scores(folder: Path | str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """``metrics.json`` and ``timings.json`` as they stand; None if there are none that can be read."""
    try:
        metrics, timings = (
            json.loads((Path(folder) / name).read_text("utf-8")) for name in (METRICS_FILE, TIMINGS_FILE)
        )
    except (OSError, ValueError):
        return None
    both = (metrics, timings)
    return both if all(isinstance(one, dict) and one.get("schema") == SCORE_SCHEMA for one in both) else None


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """``manifest.json``; empty where there is none, because the captions alone can be scored too.

    Raises:
        OptionError: If it is damaged.
    """
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OptionError(f"{path} is damaged ({error}); evaluate again into another folder") from error
    if not isinstance(values, dict):
        raise OptionError(f"{path} is no manifest; evaluate again into another folder")
    return values


def sorted_systems(lines: Iterable[ClipLine], manifest: dict[str, Any]) -> list[str]:
    """Names of the systems that have lines: in the manifest's order, what it does not name behind it."""
    found = {line.system for line in lines}
    named = [entry.get("name") if isinstance(entry, dict) else entry for entry in manifest.get("systems", [])]
    known = [*dict.fromkeys(name for name in [*named, *FIRST] if name in found)]
    return [*known, *sorted(found - set(known))]


def captions_sha256(lines: Iterable[ClipLine]) -> str:
    """Of all that ``metrics.json`` depends on; no clock and no resource."""
    facts = [
        [
            *line.key,
            line.corpus,
            line.language,
            line.hypothesis,
            line.references,
            line.label,
            line.speaker,
            line.finish_reason,
            line.counts,
            line.ratios,
            line.bytes,
            line.error,
        ]
        for line in sorted(lines, key=lambda line: line.key)
    ]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _language(lines: Sequence[ClipLine], folder: Path) -> str:
    languages = sorted({line.language for line in lines})
    if len(languages) > 1:
        raise OptionError(
            f"the captions in {folder} are in {' and '.join(languages)}; evaluate each language into its own folder"
        )
    return languages[0]


def _cut(value: Any) -> Any:
    """Numbers with ten digits: the last bits of a sum depend on the order in which a processor adds."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        return {key: _cut(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(entry) for entry in value]
    return value


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(_cut(entry), ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    """All of it or nothing: a reader never meets half a file."""
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    waiting.write_text(text, encoding="utf-8", newline="\n")
    waiting.replace(path)
