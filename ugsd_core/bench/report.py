"""Results of benchmarks as a table and a picture, made from the dictionaries alone, whatever benchmark they are of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["Row", "bar_chart", "markdown", "rows_of", "write_folder"]

#: Suffixes of names to units for people.
UNITS = {
    "_ms": "ms",
    "_s": "s",
    "_gb_per_s": "GB/s",
    "_tokens_per_s": "tokens/s",
    "_mb": "MB",
    "_gb": "GB",
    "_share": "of 1",
    "_bytes": "bytes",
}
WIDTH, LEFT, RIGHT, LINE = 760, 300, 110, 22
COLOUR = "#0072b2"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: Where it stands in the results, parts joined with " / ".
        unit: Of the values; "" for counts and ratios.
        low, high: p25 and p75; None for a single value.
        n: Values behind the median; None for a single value.
    """

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    n: int | None = None


def rows_of(results: Mapping[str, Any], above: str = "") -> Iterator[Row]:
    """Every figure in a benchmark's results, depth first; texts, lists and what is None are left out."""
    for key, value in results.items():
        name = f"{above} / {key}" if above else key
        if isinstance(value, Mapping):
            row = _spread_row(name, value)
            if row is not None:
                yield row
            else:
                yield from rows_of(value, name)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            unit, suffix = _unit(key)
            yield Row(name.removesuffix(suffix), float(value), unit)


def _unit(name: str) -> tuple[str, str]:
    """Unit and suffix of a name; the longest suffix that fits."""
    suffix = max((s for s in UNITS if name.endswith(s)), key=len, default="")
    return UNITS.get(suffix, ""), suffix


def _spread_row(name: str, value: Mapping[str, Any]) -> Row | None:
    """A row of what `spread` made; None if it is something else."""
    middle = next((key for key in value if key == "median" or key.startswith("median_")), None)
    if middle is None:
        return None
    tail = middle.removeprefix("median")
    return Row(name, value[middle], _unit(tail)[0], value.get(f"p25{tail}"), value.get(f"p75{tail}"), value.get("n"))


def number(value: float) -> str:
    """Three significant digits, whole numbers in full."""
    if value != value:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def markdown(document: Mapping[str, Any]) -> str:
    """The whole run as Markdown: machine, then a table a benchmark."""
    machine = document["machine"]
    lines = ["# Benchmarks", ""]
    shown = {key: value for key, value in machine.items() if value not in (None, [], {})}
    for key, value in shown.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        text = ", ".join(map(str, text)) if isinstance(text, list) else text
        lines.append(f"- {key.replace('_', ' ')}: {text}")
    for name, results in document["results"].items():
        lines += ["", f"## {name}", ""]
        if "failed" in results:
            lines.append(f"Not measured: {results['failed']}")
            continue
        lines += ["| figure | median | p25…p75 | n |", "|---|---|---|---|"]
        for row in rows_of(results):
            between = "" if row.low is None or row.high is None else f"{number(row.low)}…{number(row.high)}"
            value = f"{number(row.value)} {row.unit}".rstrip()
            lines.append(f"| {row.name.replace('_', ' ')} | {value} | {between} | {row.n or ''} |")
        lines += [f"\n{note}" for note in results.get("notes", ())]
    return "\n".join(lines) + "\n"


def bar_chart(title: str, rows: list[Row], unit: str) -> str:
    """An SVG document: one horizontal bar a row with its middle half as a line; rows must be of one unit."""
    most = max([1e-12, *(row.high or row.value for row in rows)])
    across = WIDTH - LEFT - RIGHT
    tall = 48 + LINE * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tall}" role="img" font-size="12" '
        'font-family="system-ui, sans-serif">',
        f"<title>{escape(title)}</title>",
        "<style>text{fill:#444}line{stroke:#444}@media (prefers-color-scheme:dark){text{fill:#ccc}line{stroke:#ccc}}"
        "</style>",
        f'<text x="12" y="22" font-size="14">{escape(title)}{f" ({escape(unit)})" if unit else ""}</text>',
    ]
    for index, row in enumerate(rows):
        y = 36 + LINE * index
        long = max(0.0, across * row.value / most)
        name = row.name.replace("_", " ")
        parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name[-46:])}</text>')
        parts.append(
            f'<rect x="{LEFT}" y="{y + 2}" width="{long:.1f}" height="{LINE - 8}" fill="{COLOUR}" fill-opacity="0.7"/>'
        )
        if row.low is not None and row.high is not None:
            x1, x2 = LEFT + across * row.low / most, LEFT + across * row.high / most
            parts.append(f'<line x1="{x1:.1f}" y1="{y + 9}" x2="{x2:.1f}" y2="{y + 9}" stroke-width="2"/>')
        end = LEFT + max(long, across * (row.high or 0.0) / most) + 6
        parts.append(f'<text x="{end:.1f}" y="{y + 13}">{number(row.value)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def write_folder(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``bench.json``, ``bench.md`` and a picture for each benchmark and unit; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {"bench.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n", "bench.md": markdown(document)}
    for name, results in document["results"].items():
        by_unit: dict[str, list[Row]] = {}
        for row in rows_of(results):
            if row.n is not None and row.value == row.value:
                by_unit.setdefault(row.unit, []).append(row)
        for unit, rows in by_unit.items():
            tail = unit.replace("/", "_per_") or "ratio"
            written[f"{name}-{tail}.svg"] = bar_chart(name, rows, unit)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in written]
