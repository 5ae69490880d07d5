"""Joint tuning on development clips: gate, τ, r, p, fusion and block lengths, and what is on the Pareto front.

Chosen by emotion accuracy and cue accuracy, never by n-gram scores. Run with ``--split dev --sweep``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tools.evaluation.settings import Setting
from ugsd_core.calibration.report import number, table
from ugsd_core.evaluation.pareto import front
from ugsd_core.gate_card import GateCard
from ugsd_core.options import DecodingOptions
from ugsd_core.pictures import Line, line_chart

__all__ = ["pareto_picture", "pareto_section", "sweep_settings"]

BUDGETS = (0.01, 0.015, 0.02, 0.025, 0.03, 0.04)
FAMILY = "sweep"


def sweep_settings(card: GateCard | None) -> list[Setting]:
    """The grid, with the two ends."""
    ends = [
        Setting("edge-only", "ends", DecodingOptions(mode="edge")),
        Setting("cloud-only", "ends", DecodingOptions(mode="cloud")),
    ]
    found = [*_plain(), *_emotion_entropy()]
    if card is not None:
        found += _calibrated()
    return ends + [Setting(name, f"{FAMILY}: {options.gate}", options) for name, options in found]


def _plain() -> Iterable[tuple[str, DecodingOptions]]:
    """The paper's gate, over threshold, rank and block length."""
    for tau in (0.8, 1.2, 1.5):
        for rank in (1, 3, 20):
            for k in (2, 4):
                yield (
                    f"sweep: entropy > {tau}, r = {rank}, k = {k}",
                    DecodingOptions(gate="entropy", tau=tau, rank=rank, k=k),
                )
            adaptive = DecodingOptions(gate="entropy", tau=tau, rank=rank, block_length="adaptive")
            yield f"sweep: entropy > {tau}, r = {rank}, adaptive", adaptive


def _emotion_entropy() -> Iterable[tuple[str, DecodingOptions]]:
    """Entropy of the emotion word, without a card."""
    for tau in (0.6, 0.8, 1.0, 1.2):
        for k in (1, 2, 4, 8):
            options = DecodingOptions(gate="emotion_entropy", tau=tau, rank=1, k=k)
            yield f"sweep: emotion entropy > {tau}, r = 1, k = {k}", options
        cut = DecodingOptions(gate="emotion_entropy", tau=tau, rank=1, cut="emotion")
        yield f"sweep: emotion entropy > {tau}, r = 1, cut", cut


def _calibrated() -> Iterable[tuple[str, DecodingOptions]]:
    """The card's gate at its budgets' thresholds, under every acceptance rule."""
    for budget in BUDGETS:
        base = DecodingOptions(gate="calibrated", budget=budget, cut="emotion")
        name = f"sweep: calibrated, dev ρ ≤ {budget:g}"
        for rank in (1, 2, 3):
            yield f"{name}, r = {rank}, cut", base.changed(acceptance="rank", rank=rank)
        for probability in (0.1, 0.2, 0.3, 0.5):
            options = base.changed(acceptance="probability", probability=probability)
            yield f"{name}, p = {probability}, cut", options
        yield f"{name}, fused as calibrated, cut", base.changed(acceptance="fused")
        for fusion in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
            yield f"{name}, fusion {fusion}, cut", base.changed(acceptance="fused", fusion=fusion)
        for k in (1, 2, 4):
            yield f"{name}, r = 1, k = {k}", base.changed(cut="none", acceptance="rank", rank=1, k=k)


def _points(figures: dict[str, Any], cost: str) -> dict[str, tuple[float, float]]:
    """Every setting that drafts and asks, and the edge alone."""
    found = {}
    for name, row in figures["settings"].items():
        gain = row["accuracy"]["value"]
        spent = 0.0 if name == "edge-only" else row[cost]["value"]
        if gain is not None and spent is not None and name != "cloud-only" and row["family"] != "oracles":
            found[name] = (spent, gain)
    return found


def pareto_section(figures: dict[str, Any]) -> str:
    """Settings on either front, as a table; empty without labelled clips."""
    if not figures["settings"]:
        return ""
    by_tokens, by_trips = front(_points(figures, "rho")), front(_points(figures, "trips"))
    rows = [
        [
            name,
            number(row["accuracy"]["value"]),
            number(row["closure"]["value"], 2),
            number(row["cues"]["value"]),
            number(row["rho"]["value"]),
            number(row["trips"]["value"], 2),
            number(row["useful"]["value"], 2),
            number(row["meaning"]["value"], 2),
            "tokens, round trips" if name in by_tokens & by_trips else "tokens" if name in by_tokens else "round trips",
        ]
        for name, row in sorted(figures["settings"].items(), key=lambda entry: entry[1]["rho"]["value"] or 0.0)
        if name in by_tokens | by_trips
    ]
    head = ["setting", "emotion right", "closure", "cues right", "ρ", "round trips", "ids changed", "meaning changed"]
    head.append("on the front of")
    picture = f"pareto-{figures['folder']}-{figures['language']}.svg"
    return f"\n### Pareto front\n\n{table(head, rows)}\n![Emotion right against tokens sent]({picture})\n"


def pareto_picture(figures: dict[str, Any]) -> str:
    """All settings as an SVG: emotion accuracy against ρ, and the front as a line."""
    points = _points(figures, "rho")
    best = sorted(points[name] for name in front(points))
    lines = [Line("Pareto front", tuple(best))]
    families: dict[str, list[tuple[float, float]]] = {}
    for name, point in points.items():
        families.setdefault(figures["settings"][name]["family"], []).append(point)
    lines += [Line(family, tuple(sorted(spots)), marks=True) for family, spots in families.items()]
    gains = [gain for _, gain in points.values()]
    most = max((cost for cost, _ in points.values()), default=0.0)
    title = f"Emotion right against tokens sent, captions in {figures['language']!r}"
    span = (min(gains) - 0.02, max(gains) + 0.02)
    return line_chart(
        title, "drafted tokens sent (ρ)", "emotion right", lines, x_most=max(0.05, most * 1.02), y_span=span
    )
