"""Made-up records: clips with a true label, an edge that doubts where it errs, and a better verifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ugsd_core.calibration.records import ClipRecord, PositionRecord, TokenColumns
from ugsd_core.calibration.signals import EXTRA_SIGNALS, SIGNALS

__all__ = ["LENGTH", "record", "world"]

LENGTH = 20
CORPORA = ("big", "small")


def _posterior(
    random: np.random.Generator, label: int, strength: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    logits = random.normal(0.0, 1.0, 9)
    logits[label] += strength
    weights = np.exp(logits)
    return weights / weights.sum()


def _sure_of(label: int | None) -> tuple[float, ...]:
    return tuple(0.9 if n == label else 0.0125 for n in range(9))


def record(
    number: int = 0,
    *,
    corpus: str = "big",
    speaker: str = "s0",
    label: int | None = 0,
    edge: int | None = 0,
    cloud: int | None = 0,
    after: int | None = 0,
    scores: tuple[float, ...] = (0.5,),
    text: tuple[float, ...] | None = None,
    verifier: tuple[float, ...] | None = None,
    head: tuple[float, ...] | None = None,
) -> ClipRecord:
    """One clip made by hand: every position has the same labels, and ``scores`` as all of its signals."""
    positions = tuple(
        PositionRecord(
            10 + n,
            edge if edge is not None else 99,
            edge,
            dict.fromkeys((*SIGNALS, *EXTRA_SIGNALS), score),
            text or _sure_of(edge),
            verifier or _sure_of(after),
            after if after is not None else 98,
            after,
            1 if after == edge else 2,
            after,
        )
        for n, score in enumerate(scores)
    )
    flags = tuple(10 <= n < 10 + len(scores) for n in range(LENGTH))
    ones = (0.1,) * LENGTH
    ranks = tuple(2 if flag and after != edge else 1 for flag in flags)
    tokens = TokenColumns(tuple(range(LENGTH)), flags, ones, ones, ones, (), ranks)
    return ClipRecord(
        f"c{number}", corpus, speaker, "f", "en", label, "edge.", "cloud.", edge, cloud, tokens, positions, head
    )


def world(n: int = 400, seed: int = 0, *, head: bool = True) -> list[ClipRecord]:
    """Clips of two corpora and six speakers. The head hears more than the text; the verifier more than both."""
    random = np.random.default_rng(seed)
    records = []
    for number in range(n):
        small = number % 8 == 0
        label = int(random.integers(0, 9))
        text, heard = _posterior(random, label, 2.2), _posterior(random, label, 2.6)
        verifier = _posterior(random, label, 3.6)
        edge, cloud = int(text.argmax()), int(verifier.argmax())
        own = record(
            number,
            corpus=CORPORA[small],
            speaker=f"s{number % 3 + 3 * small}",
            label=label,
            edge=edge,
            cloud=cloud,
            after=cloud,
            text=tuple(0.95 * text),
            verifier=tuple(0.95 * verifier),
            head=tuple(heard) if head else None,
        )
        entropy = -float((text * np.log(text)).sum())
        signals = {
            **own.positions[0].signals,
            "entropy": entropy + float(random.normal(0.0, 0.5)),  # words of one label share it
            "margin": float(1.0 - text[edge] + random.normal(0.0, 0.2)),
            "nll": float(random.exponential(1.0)),
            "label_entropy": entropy,
            "text_doubt": float(1.0 - text[edge]),
            "head_doubt": float(1.0 - heard[edge]) if head else None,
            "fused_doubt": None,
            "label_mass_missing": 0.05,
        }
        position = replace(own.positions[0], signals=signals)
        records.append(replace(own, positions=(position,)))
    return records
