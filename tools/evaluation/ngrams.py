"""n-gram scores, reported and never tuned on: both conventions of BLEU, and ROUGE-L.

| name | recipe |
|---|---|
| `bleu1`, `bleu4` | corpus BLEU with brevity penalty; English: lower-case words without marks, Chinese: characters |
| `paper_bleu1`, `paper_bleu4` | sacreBLEU corpus: ``precisions[0]`` (no brevity penalty) and ``.score``; 13a or zh |
| `rougeL` | mean over clips of F1 (β = 1) of the longest common subsequence, of the same words or characters |
| `rougeL_marks` | the same with punctuation marks kept, Chinese only |
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

__all__ = ["bleu", "lcs_length", "ngram_scores", "rouge_l", "words"]


def words(text: str, language: str, *, marks: bool = False) -> list[str]:
    """Words of an English text, lower case, or characters of a Chinese one; marks are left out unless asked for."""
    if language == "en":
        return re.findall(r"[a-z0-9]+(?:['’][a-z]+)?" + (r"|[^\sa-z0-9]" if marks else ""), text.lower())
    return [c for c in text if not c.isspace() and (marks or c.isalnum())]


def bleu(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]], order: int) -> float:
    """Corpus BLEU up to ``order`` with brevity penalty, one reference a clip, 0…100; no smoothing."""
    logs = 0.0
    for n in range(1, order + 1):
        hits = total = 0
        for hypothesis, reference in zip(hypotheses, references, strict=True):
            found, allowed = _ngrams(hypothesis, n), _ngrams(reference, n)
            hits += sum((found & allowed).values())
            total += sum(found.values())
        if hits == 0:
            return 0.0
        logs += math.log(hits / total) / order
    ours, theirs = sum(map(len, hypotheses)), sum(map(len, references))
    return 100.0 * math.exp(logs + min(0.0, 1.0 - theirs / ours))


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def lcs_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for token in one:
        diagonal = 0
        for n, entry in enumerate(other, 1):
            diagonal, row[n] = row[n], diagonal + 1 if token == entry else max(row[n], row[n - 1])
    return row[-1]


def rouge_l(hypothesis: Sequence[str], reference: Sequence[str]) -> float:
    """F1 of precision and recall of the longest common subsequence, 0…100."""
    length = lcs_length(hypothesis, reference)
    return 200.0 * length / (len(hypothesis) + len(reference)) if length else 0.0


def ngram_scores(captions: Sequence[str], references: Sequence[str], language: str) -> dict[str, Any]:
    """All scores of a corpus, and the signature of sacreBLEU (None where it is not installed)."""
    ours = [words(text, language) for text in captions]
    theirs = [words(text, language) for text in references]
    found: dict[str, Any] = {
        "n": len(captions),
        "bleu1": bleu(ours, theirs, 1),
        "bleu4": bleu(ours, theirs, 4),
        "rougeL": sum(map(rouge_l, ours, theirs)) / len(ours),
        "length": sum(map(len, ours)) / len(ours),
        "reference_length": sum(map(len, theirs)) / len(theirs),
    }
    if language == "zh":
        pairs = [
            (words(a, "zh", marks=True), words(b, "zh", marks=True)) for a, b in zip(captions, references, strict=True)
        ]
        found["rougeL_marks"] = sum(rouge_l(a, b) for a, b in pairs) / len(pairs)
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        return found | {"paper_bleu1": None, "paper_bleu4": None, "signature": None}
    metric = BLEU(tokenize="13a" if language == "en" else "zh")
    score = metric.corpus_score(list(captions), [list(references)])
    return found | {
        "paper_bleu1": score.precisions[0],
        "paper_bleu4": score.score,
        "signature": str(metric.get_signature()),
    }
