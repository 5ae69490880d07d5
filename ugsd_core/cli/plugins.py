"""``ugsd plugins``: what other packages bring, from where, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

from ugsd_core.cli.output import progress
from ugsd_core.plugins import NOUNS, Declared, Kind, Registry, declared

__all__ = ["run"]

_EXIT_PROBLEM = 1


@dataclass(frozen=True, slots=True)
class _Row:
    declared: Declared
    problem: str | None


def run(args: argparse.Namespace) -> int:
    """Look, import, print."""
    with progress("looking for plug-ins", quiet=args.json):
        rows = _rows()
    if args.json:
        print(json.dumps({"plugins": [_plain(row) for row in rows]}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(rows)))
    return _EXIT_PROBLEM if any(row.problem for row in rows) else 0


def _registries() -> dict[Kind, Registry[Any]]:
    from ugsd_core.acceptance import ACCEPTANCE_RULES
    from ugsd_core.corpora import FORMATS
    from ugsd_core.gate import GATES
    from ugsd_core.metrics import METRICS

    registries: tuple[Registry[Any], ...] = (GATES, ACCEPTANCE_RULES, METRICS, FORMATS)
    return {registry.kind: registry for registry in registries}


def _rows() -> list[_Row]:
    return [
        _Row(entry, registry.problem(entry))
        for kind, registry in _registries().items()
        for entry in declared(kind).values()
    ]


def _plain(row: _Row) -> dict[str, object]:
    entry = row.declared
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "target": entry.target,
        "problem": row.problem,
    }


def _lines(rows: list[_Row]) -> list[str]:
    if not rows:
        return ["No plug-ins are installed; docs/plugins.md says how to write one."]
    table = [(NOUNS[row.declared.kind], row.declared.name, row.declared.distribution) for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(3)]
    lines = []
    for row, line in zip(rows, table, strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        lines.append(f"{cells}  {'cannot be used' if row.problem else row.declared.target}")
    return [*lines, *(f"- {row.problem}" for row in rows if row.problem)]
