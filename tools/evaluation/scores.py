"""From recorded captions to figures: everything is recomputed from the lines, nothing from the models."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.evaluation.settings import EVERY_EMOTION
from ugsd_core.bootstrap import Strata, draw_weights, interval, macro_means, macro_ratios, make_strata
from ugsd_core.calibration.conformal import wilson
from ugsd_core.calibration.measures import unweighted_recall
from ugsd_core.lexicon import EMOTION_LABELS, emotions_in
from ugsd_core.metrics import CaptionPair, MetricScore, score_pairs
from ugsd_core.paired import score_interval

__all__ = ["Column", "Sheet", "base_name", "closure_at", "human_scores", "promise_rows", "reference_scores", "sheet_of"]

FloatArray = NDArray[np.float64]
#: Of `ugsd_core.metrics`; reported, never tuned on.
NGRAM_METRICS = ("paper_bleu1", "paper_bleu4", "bleu1", "bleu4", "rougeL", "length", "reference_length")
COUNTS = ("drafted", "caption", "blocks", "escalations", "ids_changed", "meanings_changed", "sent", "seen", "put")


def base_name(name: str) -> str:
    """A setting's name without the number of its repetition."""
    return name.rsplit(" #", 1)[0]


@dataclass(frozen=True)
class Column:
    """One setting over all clips; repetitions are averaged. NaN where a clip was not captioned.

    Attributes:
        right: Share of repetitions that name the clip's label, shape (n,).
        counts: By the names of `COUNTS`, shape (n,) each.
        measured, supported: Cues named that could be measured, and those that the measurement supports.
    """

    name: str
    family: str
    right: FloatArray
    counts: dict[str, FloatArray]
    measured: FloatArray
    supported: FloatArray


@dataclass(frozen=True)
class Sheet:
    """All settings of one edge in one language, on the clips that have a label."""

    lines: tuple[dict[str, Any], ...]
    strata: Strata
    weights: FloatArray
    columns: dict[str, Column]

    def figures(self, name: str) -> dict[str, Any]:
        """Every figure of a setting."""
        column, counts = self.columns[name], self.columns[name].counts
        edge, cloud = self.columns["edge-only"].right, self.columns["cloud-only"].right

        def closure(weights: FloatArray) -> FloatArray:
            value, low, high = (macro_means(r, self.strata, weights) for r in (column.right, edge, cloud))
            gap = high - low
            return np.where(np.abs(gap) > 1e-9, (value - low) / np.where(np.abs(gap) > 1e-9, gap, 1.0), np.nan)

        def mean(values: FloatArray) -> Callable[[FloatArray], FloatArray]:
            return lambda weights: macro_means(values, self.strata, weights)

        def pooled(part: FloatArray, whole: FloatArray) -> Callable[[FloatArray], FloatArray]:
            return lambda weights: macro_ratios(part, whole, self.strata, weights)

        def over(part: str, whole: str) -> FloatArray:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(counts[whole] > 0, counts[part] / counts[whole], np.nan)

        statistics = {
            "accuracy": mean(column.right),
            "over_edge": mean(column.right - edge),
            "over_cloud": mean(column.right - cloud),
            "closure": closure,
            "rho": pooled(counts["sent"], counts["drafted"]),
            "rho_of_captions": mean(over("sent", "drafted")),
            "trips": mean(counts["escalations"]),
            "escalation_rate": pooled(counts["escalations"], counts["blocks"]),
            "useful": pooled(counts["ids_changed"], counts["escalations"]),
            "useful_of_captions": mean(over("ids_changed", "escalations")),
            "meaning": pooled(counts["meanings_changed"], counts["escalations"]),
            "meaning_of_captions": mean(over("meanings_changed", "escalations")),
            "exposure": pooled(counts["seen"], counts["caption"]),
            "changed": pooled(counts["put"], counts["caption"]),
            "cues": pooled(column.supported, column.measured),
        }
        found = {key: interval(value, self.strata, self.weights).to_dict() for key, value in statistics.items()}
        known = ~np.isnan(column.right)
        corpora = {
            corpus: {
                "n": int((known & (self.strata.corpus == number)).sum()),
                "accuracy": _mean(column.right[known & (self.strata.corpus == number)]),
                "recall": unweighted_recall(
                    column.right[known & (self.strata.corpus == number)],
                    [str(self.lines[i]["label"]) for i in np.flatnonzero(known & (self.strata.corpus == number))],
                ),
            }
            for number, corpus in enumerate(self.strata.corpora)
        }
        recalls = [entry["recall"] for entry in corpora.values() if entry["recall"] is not None]
        return {
            "family": column.family,
            "n": int(known.sum()),
            "corpora": corpora,
            "recall": float(np.mean(recalls)) if recalls else None,
        } | found


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size else None


def sheet_of(lines: Sequence[dict[str, Any]], draws: int = 1000) -> Sheet | None:
    """Lay out the labelled clips of one edge and language; None if there is none."""
    kept = tuple(line for line in lines if line["label"] is not None and "edge-only" in line["settings"])
    if not kept:
        return None
    groups: dict[str, list[str]] = defaultdict(list)
    for line in kept:
        for name in line["settings"]:
            if name not in groups[base_name(name)]:
                groups[base_name(name)].append(name)
    strata = make_strata([line["corpus"] for line in kept], [line["speaker"] for line in kept])
    columns = {base: _column(base, names, kept) for base, names in groups.items()}
    return Sheet(kept, strata, draw_weights(strata, draws), columns)


def _column(base: str, names: Sequence[str], lines: Sequence[dict[str, Any]]) -> Column:
    right = np.full((len(names), len(lines)), np.nan)
    counts = {key: np.full((len(names), len(lines)), np.nan) for key in COUNTS}
    measured, supported = np.full((len(names), len(lines)), np.nan), np.full((len(names), len(lines)), np.nan)
    family = ""
    for row, name in enumerate(names):
        for n, line in enumerate(lines):
            entry = line["settings"].get(name)
            if entry is None:
                continue
            family = entry["family"]
            right[row, n] = entry["label"] == line["label"]
            for key in COUNTS:
                counts[key][row, n] = entry["counts"][key]
            verdicts = [ok for _, ok in entry["named"].values() if ok is not None]
            measured[row, n], supported[row, n] = len(verdicts), sum(verdicts)
    complete = ~np.isnan(right).any(axis=0)

    def average(rows: FloatArray) -> FloatArray:
        return np.where(complete, np.where(complete, rows, 0.0).mean(axis=0), np.nan)

    return Column(
        base,
        family,
        average(right),
        {key: average(rows) for key, rows in counts.items()},
        average(measured),
        average(supported),
    )


def closure_at(points: Sequence[tuple[float, float]], rho: float) -> float | None:
    """A curve at some ρ, straight between its points, (0, 0) included; None beyond its end."""
    ordered = sorted([(0.0, 0.0), *points])
    if rho > ordered[-1][0] + 1e-9:
        return None
    return float(np.interp(rho, [x for x, _ in ordered], [y for _, y in ordered]))


def promise_rows(lines: Sequence[dict[str, Any]], suffix: str) -> list[dict[str, Any]]:
    """How each promise fared: captions whose label differs from what asking everywhere would have made of it."""
    groups: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for line in lines:
        every = line["settings"].get(EVERY_EMOTION + suffix)
        for name, entry in line["settings"].items():
            if every is not None and entry["family"] == f"promises{suffix}":
                groups[name].append((line["speaker"], entry["label"] != every["label"]))
    rows = []
    for name, losses in groups.items():
        alpha = float(name.removesuffix(suffix).rsplit(" ", 1)[1])
        by_speaker = {}
        for speaker in ("all", *dict.fromkeys(s for s, _ in losses)):
            own = [lost for s, lost in losses if speaker in ("all", s)]
            low, high = wilson(sum(own), len(own))
            by_speaker[speaker] = {"n": len(own), "risk": sum(own) / len(own), "low": low, "high": high}
        rows.append({"name": name, "alpha": alpha, "speakers": by_speaker})
    return sorted(rows, key=lambda row: row["alpha"])


def _ngram_scores(captions: Sequence[str], references: Sequence[str], language: str) -> dict[str, MetricScore]:
    pairs = [
        CaptionPair(str(n), ours, (theirs,)) for n, (ours, theirs) in enumerate(zip(captions, references, strict=True))
    ]
    return score_pairs(pairs, language, NGRAM_METRICS)


def _values(scores: dict[str, MetricScore]) -> dict[str, Any]:
    """Corpus values, the number of clips and sacreBLEU's signature."""
    n, signature = len(scores["rougeL"].per_clip), scores["paper_bleu4"].signature
    return {name: score.corpus for name, score in scores.items()} | {"n": n, "signature": signature}


def reference_scores(lines: Sequence[dict[str, Any]], name: str, language: str) -> dict[str, Any]:
    """n-gram scores against the grammar's captions, a corpus each."""
    found = {}
    for corpus in dict.fromkeys(line["corpus"] for line in lines):
        pairs = [
            (line["settings"][name]["caption"], line["reference"])
            for line in lines
            if line["corpus"] == corpus and line.get("reference") and name in line["settings"]
        ]
        if pairs:
            found[corpus] = _values(_ngram_scores([a for a, _ in pairs], [b for _, b in pairs], language))
    return found


def human_scores(lines: Sequence[dict[str, Any]], name: str, language: str, draws: int = 1000) -> dict[str, Any] | None:
    """n-gram scores against human captions, and how often the emotion named is one that the human names."""
    kept = [line for line in lines if line.get("human") and name in line["settings"]]
    if not kept:
        return None
    captions = [line["settings"][name]["caption"] for line in kept]
    humans = [line["human"] for line in kept]
    strata = make_strata(["human"] * len(kept), [line["speaker"] for line in kept])
    weights = draw_weights(strata, draws)
    scores = _ngram_scores(captions, humans, language)
    named = [emotions_in(text, language) for text in humans]
    agrees = np.array(
        [
            math.nan if not labels else float(_label_name(line["settings"][name]["label"]) in labels)
            for line, labels in zip(kept, named, strict=True)
        ]
    )
    return _values(scores) | {
        "rougeL_interval": score_interval(scores["rougeL"], weights).to_dict(),
        "emotion": interval(lambda w: macro_means(agrees, strata, w), strata, weights).to_dict(),
        "with_emotion": int((~np.isnan(agrees)).sum()),
        "distinct": len(set(captions)),
    }


def _label_name(label: int | None) -> str | None:
    return None if label is None else EMOTION_LABELS[label]
