"""Pairs as metrics want them: special tokens gone, empty references gone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version

from ugsd_core.metrics.score import CaptionPair
from ugsd_core.metrics.text import clean

__all__ = ["CleanPair", "clean_pairs", "library", "reference_count"]

#: Caption and references; a clip without references has an empty tuple.
CleanPair = tuple[str, tuple[str, ...]]


def clean_pairs(pairs: Sequence[CaptionPair]) -> tuple[CleanPair, ...]:
    """Texts of all clips; metrics of one run share what they make of them."""
    return tuple((clean(p.hypothesis), tuple(text for r in p.references if (text := clean(r)))) for p in pairs)


def reference_count(texts: Sequence[CleanPair]) -> str:
    """References a clip, as sacreBLEU's signature says it: a number, or ``var``."""
    counts = {len(references) for _, references in texts if references}
    return str(counts.pop()) if len(counts) == 1 else "var" if counts else "0"


@lru_cache(maxsize=8)
def library(name: str) -> str:
    """A library with its version, for a signature."""
    return f"{name}:{version(name)}"
