"""Metrics, ratios, bytes and comparisons of the systems of a run, all read with the same draws.

Clips are drawn once for the whole run (speakers first, where they are known, then their clips). A system that failed on
a clip is read on the clips it captioned, and two systems are compared on those that both captioned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.bootstrap import draw_weights, make_strata
from ugsd_core.errors import PluginError
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.figures import RATIO_DEFINITIONS, ratio
from ugsd_core.metrics import METRICS, CaptionPair, MetricScore, metric_names, score_pairs
from ugsd_core.paired import compare, drawn_values, score_interval

__all__ = ["BASELINES", "POOLED", "TINY_GAP", "Sheet", "clip_scores", "paired_rows", "system_figures"]

FloatArray = NDArray[np.float64]

#: Whom every other system is compared with, where the run has them.
BASELINES = ("edge", "cloud", "ugsd")
#: A gap between cloud-only and edge-only below this share of the larger of the two closes by chance: no closure.
TINY_GAP = 0.005
#: Ratio to what is counted above and below the line (`CaptionResult.counts`); sums of these make the pooled ratio.
POOLED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "escalation_rate": (("escalations",), ("blocks",)),
    "transmission_rate": (("sent",), ("drafted",)),
    "exposure_rate": (("seen",), ("caption",)),
    "changed_rate": (("corrected", "bonus"), ("caption",)),
    "useful_escalation_rate": (("blocks_changed",), ("escalations",)),
    "meaning_changed_rate": (("meanings_changed",), ("escalations",)),
    "draft_acceptance_rate": (("accepted",), ("accepted", "rejected", "ignored")),
}


@dataclass(slots=True)
class Sheet:
    """A run, ready to be read: one row a clip, one set of draws.

    Attributes:
        ids: All clips, sorted.
        table: System to clip's number to its line, failed ones included.
        weights: How often each clip was drawn, shape (draws, clips).
        resampled: ``"speakers"`` or ``"clips"``.
        missing: Metrics that could not be had, and what to install.
        kept: System to the clips it captioned, in order.
        scores: System to metric to score, on the system's own rows.
    """

    language: str
    ids: list[str]
    labels: list[str | None]
    table: dict[str, dict[int, ClipLine]]
    kept: dict[str, list[int]]
    weights: FloatArray
    resampled: str
    speakers: int | None
    reference_note: str
    names: tuple[str, ...]
    missing: dict[str, str]
    scores: dict[str, dict[str, MetricScore]] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Sequence[ClipLine], systems: Sequence[str], language: str, draws: int, seed: int) -> Sheet:
        """Sort the lines of a run and draw its clips."""
        by_id: dict[str, ClipLine] = {}
        for line in lines:
            by_id.setdefault(line.id, line)
        ids = sorted(by_id)
        number = {clip: row for row, clip in enumerate(ids)}
        table: dict[str, dict[int, ClipLine]] = {system: {} for system in systems}
        for line in lines:
            table[line.system][number[line.id]] = line
        firsts = [by_id[clip] for clip in ids]
        speakers = {line.speaker for line in firsts if line.speaker}
        strata = make_strata([line.corpus for line in firsts], [line.speaker for line in firsts])
        names = metric_names(language)
        missing = {name: sentence for name in names if (sentence := METRICS[name].missing) is not None}
        return cls(
            language,
            ids,
            [line.label for line in firsts],
            table,
            {
                name: sorted(row for row, line in own.items() if line.hypothesis is not None)
                for name, own in table.items()
            },
            draw_weights(strata, draws, seed),
            "speakers" if speakers else "clips",
            len(speakers) or None,
            _reference_note(firsts),
            tuple(name for name in names if name not in missing),
            missing,
        )

    def drawn(self, rows: Sequence[int]) -> FloatArray:
        """Draws of some clips; a view of all of them where none is left out."""
        return self.weights if len(rows) == len(self.ids) else self.weights[:, rows]

    def score(self, system: str) -> None:
        """Score what a system wrote."""
        pairs = []
        for row in self.kept[system]:
            line = self.table[system][row]
            assert line.hypothesis is not None
            pairs.append(CaptionPair(line.id, line.hypothesis, line.references, line.label))
        self.scores[system] = {}
        for name in self.names if pairs else ():
            try:
                self.scores[system] |= score_pairs(pairs, self.language, [name])
            except PluginError as error:  # no reason to lose the others
                self.missing[name] = str(error)
                self.names = tuple(other for other in self.names if other != name)
                for scores in self.scores.values():
                    scores.pop(name, None)


def _reference_note(lines: Sequence[ClipLine]) -> str:
    """What the captions are compared with, in a sentence."""
    counts = Counter(len(line.references) for line in lines)
    without = counts.pop(0, 0)
    labelled = sum(line.label is not None for line in lines)
    parts = []
    if counts:
        low, high = min(counts), max(counts)
        each = f"{low}" if low == high else f"{low} to {high}"
        parts.append(f"{each} {'reference' if high == 1 else 'references'} a clip for {len(lines) - without} clips")
    if without:
        parts.append(f"no reference for {without} clips")
    parts.append(f"a label of the corpus for {labelled} clips" if labelled else "no labels")
    return "; ".join(parts)


# ── One system ────────────────────────────────────────────────────────────────────────────────────────────────────────


def system_figures(sheet: Sheet, system: str) -> dict[str, Any]:
    """Everything of one system that depends on its captions."""
    rows = sheet.kept[system]
    lines = [sheet.table[system][row] for row in rows]
    weights = sheet.drawn(rows)
    failed = [line for _, line in sorted(sheet.table[system].items()) if line.hypothesis is None]
    # Cloud-only drafts no block: it has no round trips of this kind, not none of them.
    asked = [line.counts.get("escalations", 0) if line.counts.get("blocks") else np.nan for line in lines]
    trips = np.array(asked, dtype=np.float64)
    return {
        "n": len(rows),
        "failed": [{"id": line.id, "error": line.error or "no caption"} for line in failed],
        "absent": len(sheet.ids) - len(rows) - len(failed),
        "finish_reasons": dict(sorted(Counter(line.finish_reason or "cut" for line in lines).items())),
        "metrics": {
            name: score_interval(score, weights).to_dict() | {"unit": METRICS[name].unit, "signature": score.signature}
            for name, score in sheet.scores[system].items()
        },
        "ratios": {name: _ratio_figures(name, lines, weights) for name in RATIO_DEFINITIONS},
        "escalations_a_clip": _mean(trips, weights),
        "bytes": _bytes(lines),
        "gap_closure": _closures(sheet, system),
    }


def _mean(values: FloatArray, weights: FloatArray) -> dict[str, Any]:
    """Mean over the captions where there is a value (NaN: none), with its interval."""
    known = np.isfinite(values)
    n = int(known.sum())
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    filled = np.where(known, values, 0.0)
    below = weights @ known.astype(np.float64)
    some = below > 0
    low, high = _middle((weights @ filled)[some] / below[some])
    return {"value": float(filled.sum() / n), "low": low, "high": high, "n": n}


def _middle(drawn: FloatArray) -> tuple[float | None, float | None]:
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        return None, None
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _ratio_figures(name: str, lines: Sequence[ClipLine], weights: FloatArray) -> dict[str, Any]:
    """Mean of a ratio over captions, and the ratio of the sums."""
    found = [line.ratios.get(name) for line in lines]
    values = np.array([np.nan if value is None else value for value in found], dtype=np.float64)
    above, below = POOLED[name]
    whole = sum(line.counts.get(key, 0) for line in lines for key in below)
    part = sum(line.counts.get(key, 0) for line in lines for key in above)
    figures = _mean(values, weights)
    # A mode in which the ratio has no meaning (cloud-only drafts nothing) has no pooled one either.
    return figures | {"pooled": ratio(part, whole) if figures["n"] else None}


def _bytes(lines: Sequence[ClipLine]) -> dict[str, Any]:
    names = dict.fromkeys(name for line in lines for name in line.bytes)
    sums = {name: sum(line.bytes.get(name, 0) for line in lines) for name in sorted(names)}
    return {name: {"mean": total / len(lines), "total": total} for name, total in sums.items()}


def clip_scores(sheet: Sheet) -> Iterator[dict[str, Any]]:
    """Every metric of every caption, by clip and system."""
    places = {system: {row: place for place, row in enumerate(sheet.kept[system])} for system in sheet.table}
    for row, clip in enumerate(sheet.ids):
        for system, place in places.items():
            if row in place:
                values = {name: score.per_clip[place[row]] for name, score in sheet.scores[system].items()}
                yield {"id": clip, "system": system, "scores": values}


# ── Systems beside each other ─────────────────────────────────────────────────────────────────────────────────────────


def _shared(sheet: Sheet, *systems: str) -> list[int]:
    """Clips that all of some systems captioned, in order."""
    return sorted(set.intersection(*(set(sheet.kept[system]) for system in systems)))


def _part(sheet: Sheet, system: str, name: str, rows: Sequence[int]) -> MetricScore:
    """A score on some of its clips."""
    score = sheet.scores[system][name]
    own = sheet.kept[system]
    if len(own) == len(rows):
        return score
    place = {row: number for number, row in enumerate(own)}
    kept = [place[row] for row in rows]
    statistics = score.statistics[kept]
    value = float(score.aggregate(statistics.sum(axis=0, keepdims=True))[0])
    corpus = value if np.isfinite(value) and score.corpus is not None else None
    per_clip = tuple(score.per_clip[number] for number in kept)
    return MetricScore(name, corpus, per_clip, score.signature, statistics, score.aggregate)


def paired_rows(sheet: Sheet, system: str) -> list[dict[str, Any]]:
    """A system less each baseline on the clips both captioned; a pair of baselines is compared once."""
    found = []
    for base in BASELINES:
        before = system in BASELINES and BASELINES.index(system) < BASELINES.index(base)
        if base not in sheet.table or base == system or before:
            continue
        rows = _shared(sheet, system, base)
        weights = sheet.drawn(rows)
        for name in sheet.scores[system] if rows else ():
            result = compare(_part(sheet, system, name, rows), _part(sheet, base, name, rows), weights)
            found.append({"metric": name, "a": system, "b": base, **result.to_dict()})
    return found


def _closures(sheet: Sheet, system: str) -> dict[str, Any]:
    """Share of the gap from edge-only to cloud-only that a system closes, for every metric that judges."""
    if system in ("edge", "cloud") or not {"edge", "cloud"} <= set(sheet.table):
        return {}
    rows = _shared(sheet, system, "edge", "cloud")
    weights = sheet.drawn(rows)
    names = [name for name in sheet.scores[system] if METRICS[name].better == "higher"] if rows else []
    return {name: _closure([_part(sheet, s, name, rows) for s in ("edge", system, "cloud")], weights) for name in names}


def _closure(scores: Sequence[MetricScore], weights: FloatArray) -> dict[str, Any]:
    """(x − edge) / (cloud − edge), with the gap it is a share of.

    Only clips on which the metric has a meaning for all three count. ``firm`` says that the gap's own interval leaves
    out 0; where it does not, the closure is a share of nothing much, and its interval is wide for that reason.
    """
    known = np.array([all(v is not None for v in values) for values in zip(*(s.per_clip for s in scores), strict=True)])
    n = int(known.sum())
    empty = {"value": None, "low": None, "high": None, "n": n, "gap": None, "firm": False}
    if n == 0:
        return empty
    ones = known.astype(np.float64)[None, :]
    edge, own, cloud = (float(score.aggregate(ones @ score.statistics)[0]) for score in scores)
    gap = cloud - edge
    if not np.isfinite(gap) or not np.isfinite(own):
        return empty
    tiny = TINY_GAP * max(abs(edge), abs(cloud))
    weights = weights if n == known.size else weights * known
    drawn = [drawn_values(score, weights) for score in scores]
    gap_low, gap_high = _middle(drawn[2] - drawn[0])
    firm = gap_low is not None and gap_high is not None and (gap_low > 0 or gap_high < 0)
    if abs(gap) <= tiny:
        return empty | {"gap": gap}
    gaps = drawn[2] - drawn[0]
    wide = np.abs(gaps) > tiny
    low, high = _middle((drawn[1] - drawn[0])[wide] / gaps[wide])
    return {"value": (own - edge) / gap, "low": low, "high": high, "n": n, "gap": gap, "firm": firm}
