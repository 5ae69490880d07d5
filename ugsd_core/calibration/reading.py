"""Which emotion a caption names, in one place for calibration and evaluation.

A caption of the embedded pair names one. Where a caption names several, the last counts: cues come first, the
conclusion last.
"""

from __future__ import annotations

from ugsd_core.lexicon import EMOTION_LABELS, emotion_spans

__all__ = ["label_index", "named_label"]


def named_label(caption: str, language: str) -> int | None:
    """The last label that a caption names, as an index into `EMOTION_LABELS`; None if it names none."""
    found = emotion_spans(caption, language)
    return EMOTION_LABELS.index(found[-1][2]) if found else None


def label_index(label: str | None) -> int | None:
    """Index of a label's name; None stays None."""
    return None if label is None else EMOTION_LABELS.index(label)
