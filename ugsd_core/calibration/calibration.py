"""From the records of one language to a gate card, with every figure that led there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ugsd_core.bootstrap import Interval, draw_weights, interval, macro_means, make_strata
from ugsd_core.calibration.blocks import block_aurocs, cut_blocks
from ugsd_core.calibration.conformal import Coverage, promise_threshold
from ugsd_core.calibration.curves import Curve, Gate, World, best_within, curve, random_gate, signal_gate
from ugsd_core.calibration.fit import Score, Table, candidates, choose, fit, fit_isotonic, make_table, out_of_fold
from ugsd_core.calibration.fusion import Fusion, choose_fusion, compare
from ugsd_core.calibration.measures import auroc, expected_calibration_error
from ugsd_core.calibration.outcomes import RANK, Acceptance
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.calibration.signals import EXTRA_SIGNALS, SIGNALS
from ugsd_core.calibration.thresholds import (
    BUDGETS,
    PROMISES,
    BudgetCheck,
    budget_threshold,
    caption_scores,
    check_budgets,
    check_promises,
)
from ugsd_core.gate_card import FusionWeights, GateCard, Isotonic

__all__ = ["BLOCK_LENGTHS", "CURVE_BUDGETS", "Calibration", "auroc_interval", "calibrate"]

BLOCK_LENGTHS = (1, 2, 4)
#: ρ at which the tables read the curves; with blocks of one token an emotion word costs about .04.
CURVE_BUDGETS = (0.01, 0.02, 0.03, 0.04, 0.06)
#: Draws for AUROC intervals, which cost more than means.
AUROC_DRAWS = 300


@dataclass(frozen=True)
class Calibration:
    """What came of one language.

    Attributes:
        card: For ``gate.json``.
        figures: Plain values, for the report; `ugsd_core.calibration.report` puts them into tables.
        curves: Of every gate under the chosen acceptance rule.
    """

    language: str
    card: GateCard
    figures: dict[str, Any]
    curves: tuple[Curve, ...]


def calibrate(
    records: Sequence[ClipRecord],
    *,
    budget: float,
    isotonic: bool = False,
    draws: int = 1000,
    promises: Sequence[float] = PROMISES,
) -> Calibration:
    """Choose acceptance, signals and thresholds, and measure them.

    Args:
        records: Of one language, from development speakers.
        budget: ρ that the card's own threshold keeps.
        isotonic: Follow the regression by isotonic steps.
        draws: Of the bootstrap.

    Raises:
        OptionError: If the clips can't tell: no labels, one speaker, nothing that the verifier changes.
    """
    fusions = compare(records, budget=budget, draws=draws)
    chosen = choose_fusion(fusions)
    acceptance = chosen.acceptance
    table = make_table(records, acceptance)
    found = candidates(table)
    best = choose(found)
    plain = fit(table, best.names)
    score = fit_isotonic(table, plain) if isotonic else plain

    def refit(others: Sequence[ClipRecord]) -> Score:
        return fit(make_table(others, acceptance), best.names)

    captions = caption_scores(records, score, acceptance)
    rhos = sorted({*BUDGETS, budget})
    budgets = [(rho, budget_threshold(records, captions, rho)) for rho in rhos]
    kept = [(alpha, promise_threshold(captions, alpha)) for alpha in sorted(promises)]
    card = _card(score, acceptance, dict(budgets)[budget], budget, budgets, kept)
    world = World(records, acceptance)
    curves = _curves(world, score)
    scores = out_of_fold(table, best.names)
    figures: dict[str, Any] = {
        "language": records[0].language,
        "clips": _clips(records),
        "ends": _ends(records, draws),
        "fusion": _fusion(fusions, chosen),
        "positions": {
            "n": int(table.changed.size),
            "meaning_changes": float(table.changed.mean()),
            "ids_change": float(np.mean([e.ids_change for r in records for e in r.positions])),
        },
        "signals": _signals(records, acceptance),
        "blocks": {k: block_aurocs(cut_blocks(records, k, acceptance)) for k in BLOCK_LENGTHS},
        "candidates": [asdict(entry) | {"chosen": entry is best} for entry in found],
        "ece": {
            "out_of_fold": expected_calibration_error(scores, table.changed),
            "of_the_card": expected_calibration_error(score.of(table.columns(best.names)), table.changed),
        },
        "auroc_out_of_fold": _out_of_fold_interval(records, table, scores),
        "curves": [_curve(entry) for entry in curves],
        "budgets": _budgets(budgets, check_budgets(records, refit, acceptance, rhos)),
        "promises": _promises(kept, check_promises(records, refit, acceptance, sorted(promises))),
        "card": card.to_dict(),
    }
    return Calibration(records[0].language, card, figures, curves)


def _card(
    score: Score,
    acceptance: Acceptance,
    threshold: float,
    budget: float,
    budgets: Sequence[tuple[float, float]],
    promises: Sequence[tuple[float, float | None]],
) -> GateCard:
    steps = None if score.isotonic is None else Isotonic(*score.isotonic)
    return GateCard(
        signals=score.signals,
        mean=score.mean,
        scale=score.scale,
        weights=score.weights,
        bias=score.bias,
        isotonic=steps,
        threshold=threshold,
        budget=budget,
        budgets=tuple(budgets),
        promises=tuple((alpha, found) for alpha, found in promises if found is not None),
        acceptance="fused" if acceptance.fused else "rank",
        fusion=FusionWeights(acceptance.verifier, acceptance.text, acceptance.head),
    )


# ── Figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _clips(records: Sequence[ClipRecord]) -> dict[str, Any]:
    speakers = {r.corpus: sorted({s.speaker for s in records if s.corpus == r.corpus}) for r in records}
    counts = Counter(record.corpus for record in records)
    return {corpus: {"clips": counts[corpus], "speakers": names} for corpus, names in speakers.items()}


def _ends(records: Sequence[ClipRecord], draws: int) -> dict[str, Any]:
    """Edge-only and cloud-only, and the gap between them."""
    world = World(records)
    strata = make_strata(world.corpora, [record.speaker for record in records])
    weights = draw_weights(strata, draws)
    rows = {}
    for name, right in (("edge", world.edge_right), ("cloud", world.cloud_right)):
        by_corpus = {
            corpus: float(np.nanmean([v for v, c in zip(right, world.corpora, strict=True) if c == corpus]))
            for corpus in strata.corpora
        }
        macro = interval(lambda w, r=right: macro_means(r, strata, w), strata, weights)  # type: ignore[misc]
        rows[name] = {"corpora": by_corpus, "macro": macro.to_dict(), "recall": world.recall(right)}
    gap = interval(lambda w: macro_means(world.cloud_right - world.edge_right, strata, w), strata, weights)
    return rows | {"gap": gap.to_dict()}


def _fusion(found: Sequence[Fusion], chosen: Fusion) -> list[dict[str, Any]]:
    return [
        {
            "name": entry.acceptance.name,
            "weights": asdict(entry.acceptance),
            "accuracy": entry.accuracy,
            "within": entry.within,
            "gain": entry.gain.to_dict(),
            "within_gain": entry.within_gain.to_dict(),
            "chosen": entry is chosen,
        }
        for entry in found
    ]


def _signals(records: Sequence[ClipRecord], acceptance: Acceptance) -> dict[str, Any]:
    """AUROC of every signal among emotion positions: other ids, another meaning by rank, another by the chosen rule."""
    names = (*SIGNALS, *EXTRA_SIGNALS)
    table, by_rank = make_table(records, acceptance, names), make_table(records, RANK, names)
    ids = np.array([entry.ids_change for record in records for entry in record.positions])
    rows: dict[str, Any] = {}
    for number, name in enumerate(names):
        values = table.values[:, number]
        known = ~np.isnan(values)
        if not known.any():
            continue
        weights = table.weights[known]
        rows[name] = {
            "n": int(known.sum()),
            "ids": auroc(values[known], ids[known], weights),
            "meaning_by_rank": auroc(values[known], by_rank.changed[known], weights),
            "meaning": auroc_interval(records, values, table.changed, known).to_dict(),
        }
    return rows


def _out_of_fold_interval(records: Sequence[ClipRecord], table: Table, scores: Any) -> dict[str, Any]:
    return auroc_interval(records, scores, table.changed, np.ones(len(scores), dtype=bool)).to_dict()


def auroc_interval(records: Sequence[ClipRecord], values: Any, changed: Any, known: Any) -> Interval:
    """AUROC with corpora weighing alike; speakers and clips are resampled, positions go with their clip."""
    strata = make_strata([record.corpus for record in records], [record.speaker for record in records])
    clip = np.array([n for n, record in enumerate(records) for _ in record.positions])[known]
    corpus = strata.corpus[clip]

    def figure(weights: Any) -> Any:
        areas = []
        for row in weights:
            mass = row[clip]
            totals = np.bincount(corpus, weights=mass, minlength=len(strata.corpora))
            area = auroc(values[known], changed[known], mass / np.maximum(totals[corpus], 1e-12))
            areas.append(np.nan if area is None else area)
        return np.array(areas)

    found = interval(figure, strata, draw_weights(strata, AUROC_DRAWS))
    return Interval(found.value, found.low, found.high, int(known.sum()))


def _curves(world: World, score: Score) -> tuple[Curve, ...]:
    gates: dict[str, Gate] = {"calibrated": lambda _record, entry: score.of_signals(entry.signals)}
    gates |= {name: signal_gate(name) for name in (*SIGNALS, *EXTRA_SIGNALS)}
    gates |= {"random emotion": random_gate(0)}
    found = [curve(name, gate, world) for name, gate in gates.items()]
    for name, scores in world.oracles().items():
        found.append(Curve(name, (world.point(world.run(scores, 0.5), 0.5),)))
    return tuple(entry for entry in found if entry.points)


def _curve(found: Curve) -> dict[str, Any]:
    at = {str(rho): point and asdict(point) for rho in CURVE_BUDGETS for point in [best_within(found, rho)]}
    return {"gate": found.gate, "points": [asdict(point) for point in found.points], "at": at}


def _budgets(budgets: Sequence[tuple[float, float]], checks: Sequence[BudgetCheck]) -> list[dict[str, Any]]:
    return [
        {
            "budget": rho,
            "threshold": threshold,
            "left_out": {check.speaker: check.rho for check in checks if check.budget == rho},
        }
        for rho, threshold in budgets
    ]


def _promises(
    promises: Sequence[tuple[float, float | None]], checks: dict[float, list[Coverage]]
) -> list[dict[str, Any]]:
    return [
        {"alpha": alpha, "threshold": threshold, "left_out": [asdict(found) for found in checks[alpha]]}
        for alpha, threshold in promises
    ]
