"""The findings as a table for a person."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from ugsd_core.doctor.finding import Finding, healthy

__all__ = ["MARKS", "table"]

MARKS = {"ok": "✓", "note": "·", "missing": "✗"}


def table(findings: Sequence[Finding]) -> str:
    """A line a finding, under its heading; below it, what mends it; at the end, what it comes to."""
    width = max((_cells(finding.name) for finding in findings), default=0)
    lines: list[str] = []
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            lines += [*([""] if lines else []), group]
        lines += _lines(finding, width)
    return "\n".join((*lines, "", _verdict(findings)))


def _lines(finding: Finding, width: int) -> Iterator[str]:
    padding = " " * (width - _cells(finding.name))
    yield f"  {MARKS[finding.state]} {finding.name}{padding}  {finding.found}"
    if finding.mend and finding.state != "ok":
        yield f"    {' ' * width}  → {finding.mend}"


def _verdict(findings: Sequence[Finding]) -> str:
    notes = sum(finding.state == "note" for finding in findings)
    missing = sum(finding.state == "missing" for finding in findings)
    noted = f" {notes} row{'s' if notes > 1 else ''} marked · can be left as they are." if notes else ""
    if healthy(list(findings)):
        return f"Everything needed is there.{noted}"
    return f"{missing} thing{'s are' if missing > 1 else ' is'} missing: rows marked ✗ say what to type.{noted}"


def _cells(text: str) -> int:
    """Columns of a terminal; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
