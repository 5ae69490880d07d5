"""Draft blocks of k tokens, for the question the paper's gate asks: would the verifier change this block?

Blocks are cut from the edge's own caption as the loop would cut them, so this is what a gate that asks nowhere sees.
A block's signal is the largest among its tokens, as the score gates have it; *instability* is the mean change of the
entropy from token to token, the token before the block included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ugsd_core.calibration.measures import auroc, corpus_weights
from ugsd_core.calibration.outcomes import Acceptance, meaning_changes
from ugsd_core.calibration.records import ClipRecord, TokenColumns

__all__ = ["BLOCK_SIGNALS", "Blocks", "block_aurocs", "cut_blocks"]

BLOCK_SIGNALS: tuple[str, ...] = ("entropy", "margin", "nll", "mc_dropout", "instability")


@dataclass(frozen=True, slots=True)
class Blocks:
    """All blocks of some captions.

    Attributes:
        values: Signal to figures, shape (n,) each; signals that were not collected are missing.
        changed: The verifier, by rank 1, would put another token into the block.
        meaning: It would change the label that the caption names.
        emotion: The block holds an emotion position.
        weights: Corpora count alike.
    """

    values: dict[str, NDArray[np.float64]]
    changed: NDArray[np.bool_]
    meaning: NDArray[np.bool_]
    emotion: NDArray[np.bool_]
    weights: NDArray[np.float64]


def cut_blocks(records: Sequence[ClipRecord], k: int, acceptance: Acceptance) -> Blocks:
    """Cut every caption into blocks of ``k`` tokens."""
    rows: list[tuple[dict[str, float], bool, bool, bool, str]] = []
    for record in records:
        flags = meaning_changes(record, acceptance)
        meaning = {entry.position for entry, flag in zip(record.positions, flags, strict=True) if flag}
        for start in range(0, len(record.tokens.token_id), k):
            inside = range(start, min(start + k, len(record.tokens.token_id)))
            rows.append(
                (
                    _signals(record.tokens, start, inside.stop),
                    any(record.tokens.rank[n] > 1 for n in inside),
                    any(n in meaning for n in inside),
                    any(record.tokens.emotion[n] for n in inside),
                    record.corpus,
                )
            )
    names = [name for name in BLOCK_SIGNALS if rows and all(name in row[0] for row in rows)]
    return Blocks(
        {name: np.array([row[0][name] for row in rows]) for name in names},
        np.array([row[1] for row in rows], dtype=bool),
        np.array([row[2] for row in rows], dtype=bool),
        np.array([row[3] for row in rows], dtype=bool),
        corpus_weights([row[4] for row in rows]),
    )


def _signals(tokens: TokenColumns, start: int, stop: int) -> dict[str, float]:
    found = {name: max(getattr(tokens, name)[start:stop]) for name in ("entropy", "margin", "nll")}
    if tokens.mc_dropout:
        found["mc_dropout"] = max(tokens.mc_dropout[start:stop])
    changes = [abs(after - before) for before, after in pairwise(tokens.entropy[max(0, start - 1) : stop])]
    found["instability"] = sum(changes) / len(changes) if changes else 0.0
    return found


def block_aurocs(blocks: Blocks) -> dict[str, dict[str, float | None]]:
    """AUROC of each signal for any change, for a change of meaning, and for the latter among emotion blocks."""
    inside = blocks.emotion
    return {
        name: {
            "changed": auroc(values, blocks.changed, blocks.weights),
            "meaning": auroc(values, blocks.meaning, blocks.weights),
            "meaning_in_emotion_blocks": auroc(values[inside], blocks.meaning[inside], blocks.weights[inside]),
        }
        for name, values in blocks.values.items()
    }
