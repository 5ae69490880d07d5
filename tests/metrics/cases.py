"""Recorded pairs and values, and short ways to write pairs by hand."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ugsd_core.metrics import CaptionPair

DATA = Path(__file__).parent / "data"


@cache
def recorded_pairs(language: str) -> tuple[CaptionPair, ...]:
    """The pairs of `tools/record_metric_references.py`."""
    lines = (DATA / f"pairs-{language}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return tuple(CaptionPair(row["id"], row["hypothesis"], tuple(row["references"])) for row in rows)


@cache
def recorded_values(language: str) -> dict[str, Any]:
    """What other implementations gave for them."""
    found: dict[str, Any] = json.loads((DATA / f"values-{language}.json").read_text(encoding="utf-8"))
    return found


def pairs(*rows: tuple[str, tuple[str, ...]], labels: tuple[str | None, ...] = ()) -> list[CaptionPair]:
    """Pairs from captions and references."""
    of = dict(enumerate(labels))
    return [CaptionPair(str(n), hypothesis, references, of.get(n)) for n, (hypothesis, references) in enumerate(rows)]
