"""A report as files: Markdown, CSV, JSON, LaTeX, HTML and the pictures.

The CSV is tidy: one row a run, system and figure. The JSON holds everything the report was made of.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.document import Document, as_html, as_markdown
from ugsd_core.evaluation.latex import as_latex
from ugsd_core.evaluation.report import build_report
from ugsd_core.evaluation.scored import ScoredRun
from ugsd_core.evaluation.timings import RESOURCE_DEFINITIONS
from ugsd_core.figures import CLOCK_DEFINITIONS, RATIO_DEFINITIONS
from ugsd_core.metrics import METRICS

__all__ = ["CSV_FIELDS", "FORMATS", "as_csv", "as_json", "csv_rows", "render", "write_report", "write_texts"]

#: Columns of the CSV. ``value`` is the figure itself: of a metric the corpus value, of a ratio the mean over captions,
#: of a clock the median, of a comparison the difference to the system in ``against``.
CSV_FIELDS = (
    "run",
    "corpus",
    "language",
    "system",
    "kind",
    "figure",
    "against",
    "value",
    "low",
    "high",
    "p95",
    "mean",
    "pooled",
    "total",
    "p",
    "mde",
    "n",
    "unit",
    "signature",
    "definition",
)


def csv_rows(runs: Sequence[ScoredRun]) -> Iterator[dict[str, Any]]:
    """Every figure of every system of every run."""
    for run in runs:
        about = {"run": run.name, "corpus": "+".join(run.metrics["corpus"]), "language": run.language}
        for system, entry in run.metrics["systems"].items():
            for row in (*_caption_rows(entry), *_time_rows(run.timings["systems"].get(system, {}))):
                yield about | {"system": system} | row
        for row in run.metrics["paired"]:
            figures = {"value": row["difference"]} | {key: row[key] for key in ("low", "high", "p", "n", "mde")}
            unit = METRICS[row["metric"]].unit if row["metric"] in METRICS else ""
            yield about | {
                "system": row["a"],
                "kind": "difference",
                "figure": row["metric"],
                "against": row["b"],
                "unit": unit,
                **figures,
            }


def _caption_rows(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"kind": "count", "figure": "captions", "value": entry["n"], "n": entry["n"]}
    yield {"kind": "count", "figure": "failed", "value": len(entry["failed"]), "n": entry["n"] + len(entry["failed"])}
    for name, figures in entry["metrics"].items():
        definition = METRICS[name].definition if name in METRICS else ""
        yield {"kind": "metric", "figure": name, **figures, "definition": definition}
    for name, figures in entry["ratios"].items():
        yield {"kind": "ratio", "figure": name, "unit": "0–1", **figures, "definition": RATIO_DEFINITIONS[name]}
    yield {"kind": "count", "figure": "escalations_a_clip", **entry["escalations_a_clip"]}
    for name, figures in entry["gap_closure"].items():
        kept = {key: figures[key] for key in ("value", "low", "high", "n")}
        yield {"kind": "gap_closure", "figure": name, "unit": "share", **kept}
    for name, figures in entry["bytes"].items():
        yield {"kind": "bytes", "figure": name, "unit": "bytes", "value": figures["mean"], **figures, "n": entry["n"]}


def _time_rows(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("clocks", "blocks"):
        for name, figures in entry.get(kind, {}).items():
            unit = "ms" if name.endswith("_ms") else "s" if name.endswith("_s") else "tokens/s"
            kept = {"value": figures["p50"], "p95": figures["p95"], "mean": figures["mean"], "n": figures["n"]}
            definition = CLOCK_DEFINITIONS.get(name, "Seconds of a caption by the runner's clock.")
            yield {"kind": kind[:-1], "figure": name, "unit": unit, **kept, "definition": definition}
    for name, value in entry.get("resources", {}).items():
        unit = "%" if name.endswith("percent") else "MB"
        yield {
            "kind": "resource",
            "figure": name,
            "unit": unit,
            "value": value,
            "definition": RESOURCE_DEFINITIONS[name],
        }


def as_csv(runs: Sequence[ScoredRun]) -> str:
    """The tidy table; an empty cell is a figure that is undefined or was not measured."""
    file = io.StringIO()
    writer = csv.DictWriter(file, CSV_FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in csv_rows(runs):
        writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return file.getvalue()


def as_json(runs: Sequence[ScoredRun]) -> str:
    """Everything the report was made of, with the definitions."""
    values = {
        "schema": 1,
        "runs": [
            {"name": run.name, "manifest": run.manifest, "metrics": run.metrics, "timings": run.timings} for run in runs
        ],
        "definitions": {
            "metrics": {name: metric.definition for name, metric in METRICS.items()},
            "ratios": RATIO_DEFINITIONS,
            "clocks": CLOCK_DEFINITIONS,
            "resources": RESOURCE_DEFINITIONS,
        },
    }
    return json.dumps(values, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


#: Format to how it is made, and what its file is called.
FORMATS: dict[str, tuple[Callable[[Document, Sequence[ScoredRun]], str], str]] = {
    "md": (lambda document, runs: as_markdown(document), "report.md"),
    "csv": (lambda document, runs: as_csv(runs), "report.csv"),
    "json": (lambda document, runs: as_json(runs), "report.json"),
    "latex": (lambda document, runs: as_latex(document), "report.tex"),
    "html": (lambda document, runs: as_html(document), "report.html"),
}


def render(runs: Sequence[ScoredRun], form: str) -> str:
    """A report as text in one format.

    Raises:
        OptionError: If there is no such format.
    """
    if form not in FORMATS:
        raise OptionError(f"there is no format {form!r}; choose one of {', '.join(FORMATS)}")
    if form == "md":
        return as_markdown(build_report(runs), pictures=False)
    return FORMATS[form][0](build_report(runs), runs)


def write_report(runs: Sequence[ScoredRun], folder: Path) -> list[Path]:
    """All formats and pictures into a folder; returns what was written.

    Raises:
        OptionError: If it can't be written.
    """
    document = build_report(runs)
    texts = {name: make(document, runs) for make, name in FORMATS.values()}
    texts |= {picture.name: picture.svg for picture in document.pictures}
    return write_texts(folder, texts)


def write_texts(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Texts into files of a folder, which is made if it is not there.

    Raises:
        OptionError: If it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OptionError(f"the report can't be written into {folder}: {error.strerror or error}") from error
    return [folder / name for name in texts]
