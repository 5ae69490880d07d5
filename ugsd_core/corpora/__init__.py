"""Corpora of speech with captions or emotion labels, all read into one clip record."""

from __future__ import annotations

from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem, ProblemKind
from ugsd_core.corpora.readiness import Finding, Preflight, main_language, preflight
from ugsd_core.corpora.reading import FORMATS, CorpusFormat, read_corpus
from ugsd_core.corpora.unpacking import UnpackLimits, unpack

__all__ = [
    "FORMATS",
    "Corpus",
    "CorpusClip",
    "CorpusFormat",
    "Finding",
    "Preflight",
    "Problem",
    "ProblemKind",
    "UnpackLimits",
    "main_language",
    "preflight",
    "read_corpus",
    "unpack",
]
