"""Corpora of speech with captions or emotion labels, all read into one clip record."""

from __future__ import annotations

from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem, ProblemKind
from ugsd_core.corpora.reading import FORMATS, read_corpus

__all__ = ["FORMATS", "Corpus", "CorpusClip", "Problem", "ProblemKind", "read_corpus"]
