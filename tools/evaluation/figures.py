"""All figures of one edge in one language."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from tools.evaluation.scores import Sheet, human_scores, promise_rows, reference_scores, sheet_of
from ugsd_core.calibration.calibration import auroc_interval
from ugsd_core.calibration.fit import Score, make_table
from ugsd_core.calibration.measures import expected_calibration_error
from ugsd_core.calibration.outcomes import RANK, Acceptance
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.calibration.signals import EXTRA_SIGNALS, SIGNALS
from ugsd_core.gate_card import GateCard

__all__ = ["edge_figures", "variety"]

#: Settings whose captions are scored against references; n-grams of every curve would be noise.
SCORED = (
    "edge-only",
    "cloud-only",
    "UGSD, shipped default",
    "calibrated",
    "calibrated, fused",
    "every emotion position",
)


def edge_figures(
    lines: Sequence[dict[str, Any]], about: dict[str, Any], language: str, draws: int = 1000
) -> dict[str, Any]:
    """Everything the report shows, as plain values."""
    sheet: Sheet | None = sheet_of(lines, draws)
    card = (about["cards"] or {}).get(language)
    scored = [name for name in SCORED if any(name in line["settings"] for line in lines)]
    labelled = [line for line in lines if line["label"] is not None]
    human = {name: found for name in scored if (found := human_scores(lines, name, language, draws)) is not None}
    return {
        "edge": about["folder"] if about["folder"] == about["edge"] else f"{about['edge']} ({about['folder']})",
        "verifier": about["verifier"],
        "language": language,
        "settings": {} if sheet is None else {name: sheet.figures(name) for name in sheet.columns},
        "promises": [row for suffix in ("", ", fused") for row in promise_rows(labelled, suffix)],
        "references": {name: found for name in scored if (found := reference_scores(labelled, name, language))},
        "human": human,
        "variety": {name: variety(labelled, name) for name in scored},
        "signals": _signals(labelled, None if card is None else GateCard.from_dict(card)),
    }


def variety(lines: Sequence[dict[str, Any]], setting: str) -> dict[str, Any]:
    """How many captions differ, and how often two speakers of one emotion get the same sentence.

    Returns:
        ``n``, ``distinct``, and ``same``: of all pairs of clips with one label and two speakers, the share whose
        captions are equal; None without such a pair.
    """
    captions = [line["settings"][setting]["caption"] for line in lines if setting in line["settings"]]
    groups: dict[Any, Counter[tuple[str, str]]] = defaultdict(Counter)
    for line in lines:
        if setting in line["settings"]:
            groups[line["label"]][(line["settings"][setting]["caption"], line["speaker"])] += 1
    same = pairs = 0
    for counts in groups.values():
        texts, speakers = Counter[str](), Counter[str]()
        for (text, speaker), count in counts.items():
            texts[text] += count
            speakers[speaker] += count
        total = sum(counts.values())
        pairs += _pairs(total) - sum(map(_pairs, speakers.values()))
        same += sum(map(_pairs, texts.values())) - sum(map(_pairs, counts.values()))
    return {"n": len(captions), "distinct": len(set(captions)), "same": same / pairs if pairs else None}


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _signals(lines: Sequence[dict[str, Any]], card: GateCard | None) -> dict[str, Any] | None:
    """AUROC of every signal, and of the card's score, for a changed label at the emotion positions."""
    records = [ClipRecord.from_dict(line["signals"]) for line in lines]
    if not any(record.positions for record in records):
        return None
    acceptance = RANK
    if card is not None and card.acceptance == "fused":
        acceptance = Acceptance(card.fusion.verifier, card.fusion.text, card.fusion.head)
    names = (*SIGNALS, *EXTRA_SIGNALS)
    chosen, by_rank = make_table(records, acceptance, names), make_table(records, RANK, names)
    values = {name: chosen.values[:, number] for number, name in enumerate(names)}
    ece = None
    if card is not None:
        steps = None if card.isotonic is None else (card.isotonic.x, card.isotonic.y)
        score = Score(card.signals, card.mean, card.scale, card.weights, card.bias, steps)
        values["calibrated (the card)"] = score.of(chosen.columns(card.signals))
        ece = expected_calibration_error(values["calibrated (the card)"], chosen.changed)
    rows = {}
    for name, column in values.items():
        known = ~np.isnan(column)
        if known.any():
            rows[name] = {
                "n": int(known.sum()),
                "meaning": auroc_interval(records, column, chosen.changed, known).to_dict(),
                "meaning_by_rank": auroc_interval(records, column, by_rank.changed, known).to_dict(),
            }
    return {"rows": rows, "ece": ece, "acceptance": acceptance.name}
