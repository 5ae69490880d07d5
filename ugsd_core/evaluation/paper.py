"""What is known here of the paper's own figures (arXiv 2603.11397), for reports that stand beside them.

``ugsd_core/data/paper_tables.json`` holds what could be read, each with its source, and nothing else: a figure that was
not read is not filled in. Rows added to that file appear in every report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Paper", "PaperRow", "paper"]


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row of one of the paper's tables.

    Attributes:
        group: ``"quality"``, ``"time"`` or ``"resources"``.
        language: ``"en"``, ``"zh"`` or None for both.
        values: Column's key to figure, in the paper's unit.
    """

    table: str
    group: str
    language: str | None
    system: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Paper:
    """The paper as far as it is known.

    Attributes:
        sources: What the names of the sources mean.
        claims: Figure, value and name of the source, in words.
    """

    name: str
    setting: str
    sources: str
    claims: tuple[tuple[str, str, str], ...]
    rows: tuple[PaperRow, ...]

    def rows_of(self, group: str, languages: set[str]) -> list[PaperRow]:
        """Rows that stand beside captions in some languages."""
        return [row for row in self.rows if row.group == group and (row.language is None or row.language in languages)]


@cache
def paper() -> Paper:
    """What the data file holds."""
    text = (files("ugsd_core") / "data" / "paper_tables.json").read_text(encoding="utf-8")
    values: dict[str, Any] = json.loads(text)
    sources = values["sources"]
    return Paper(
        values["paper"],
        f"{values['setting']} ({values['setting_source']})",
        " ".join(f"{name}: {meaning}." for name, meaning in sources.items()),
        tuple((claim["figure"], claim["value"], claim["source"]) for claim in values["claims"]),
        tuple(
            PaperRow(row["table"], row["group"], row["language"], row["system"], dict(row["values"]))
            for row in values["rows"]
        ),
    )
