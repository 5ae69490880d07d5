"""The settings that are compared, by name. Thresholds come from development clips, never from the clips evaluated.

Families: a curve is made of the settings of one family. A trailing ``#n`` numbers repetitions of a random gate with
another seed; the report averages them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ugsd_core.gate_card import GateCard
from ugsd_core.options import DecodingOptions, preset

__all__ = ["EVERY_EMOTION", "Setting", "chosen_settings", "settings_for"]

Kind = Literal["plain", "oracle_ids", "oracle_label", "oracle_repair"]

#: Name of the setting that sends every emotion position; promises are measured against it.
EVERY_EMOTION = "every emotion position"
SEEDS = (0, 1, 2)
#: ρ at which thresholds are taken from the development curves.
BUDGETS = ("0.01", "0.02", "0.03", "0.04")
SIGNAL_GATES = {
    "emotion_entropy": "entropy",
    "semantic_entropy": "label_entropy",
    "head_doubt": "head_doubt",
    "text_doubt": "text_doubt",
    "fused_doubt": "fused_doubt",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to caption.

    Attributes:
        family: Settings that make one curve.
        kind: An oracle replaces the gate of its options by one that knows the verifier's answer.
        keeper: The budget is kept over the clips in their order, as a running program does.
    """

    name: str
    family: str
    options: DecodingOptions
    kind: Kind = "plain"
    keeper: bool = False

    def mark(self, language: str) -> str:
        """Eight hex digits that change when the setting does."""
        facts = {**self.options.changed(language=language).to_dict(), "kind": self.kind, "keeper": self.keeper}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _plain() -> Iterable[Setting]:
    """What needs no calibration: the ends, the presets, the sources' gates, and plain baselines."""
    yield Setting("edge-only", "ends", DecodingOptions(mode="edge"))
    yield Setting("cloud-only", "ends", DecodingOptions(mode="cloud"))
    yield Setting("UGSD, shipped default", "presets", preset("default"))
    yield Setting("paper (entropy > 1.0, r = 20, adaptive)", "presets", preset("paper"))
    yield Setting("proposal (margin + content, p = 0.3)", "presets", preset("proposal"))

    def blocks(gate: str, tau: float, k: int = 4) -> DecodingOptions:
        return DecodingOptions(gate=gate, tau=tau, rank=1, k=k)

    for tau in (0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5, 2.0):
        yield Setting(f"entropy > {tau}, k = 4", "plain entropy, k = 4", blocks("entropy", tau))
    for tau in (0.5, 1.0, 1.5):
        yield Setting(f"entropy > {tau}, k = 1", "plain entropy, k = 1", blocks("entropy", tau, 1))
    for tau in (0.3, 0.5, 0.7, 0.85, 0.95):
        yield Setting(f"1 − margin > {tau}, k = 4", "margin, k = 4", blocks("margin", tau))
    for tau in (0.2, 0.4, 0.6, 0.8, 1.1):
        yield Setting(f"NLL > {tau}, k = 4", "NLL, k = 4", blocks("nll", tau))
    for tau in (0.2, 0.4, 0.7):
        yield Setting(f"instability > {tau}, k = 4", "instability, k = 4", blocks("instability", tau))
    for tau in (0.4, 0.6):
        yield Setting(f"BiLD, top probability < {tau}, k = 4", "BiLD, k = 4", blocks("bild", tau))
    for k in (4, 2, 1):
        yield Setting(f"blocks with an emotion word, k = {k}", "emotion words", blocks("emotion_words", 1.0, k))
    for p in (0.02, 0.05, 0.1, 0.2, 0.4):
        for seed in SEEDS:
            options = DecodingOptions(gate="random", escalation_probability=p, seed=seed, rank=1, k=4)
            yield Setting(f"random block, p = {p}, k = 4 #{seed}", "random block, k = 4", options)
    yield Setting("oracle: blocks that change, k = 4", "oracles", DecodingOptions(rank=1, k=4), "oracle_ids")


def _meaning(rule: DecodingOptions, suffix: str) -> Iterable[Setting]:
    """Gates at emotion positions under one acceptance rule."""
    every = rule.changed(gate="random_emotion", escalation_probability=1.0)
    yield Setting(EVERY_EMOTION + suffix, f"every emotion position{suffix}", every)
    for p in (0.1, 0.25, 0.5, 0.75):
        for seed in SEEDS:
            options = rule.changed(gate="random_emotion", escalation_probability=p, seed=seed)
            yield Setting(
                f"random emotion position, p = {p}{suffix} #{seed}", f"random emotion position{suffix}", options
            )
    yield Setting(f"oracle: the label changes{suffix}", "oracles", rule, "oracle_label")
    yield Setting(f"oracle: a wrong label is mended{suffix}", "oracles", rule, "oracle_repair")


def _thresholds(curves: dict[str, dict[str, Any]], rule: DecodingOptions, suffix: str) -> Iterable[Setting]:
    """Each signal at the thresholds that kept a few budgets on development clips."""
    for gate, signal in SIGNAL_GATES.items():
        for budget in BUDGETS:
            point = curves.get(signal, {}).get(budget)
            if point is not None:
                options = rule.changed(gate=gate, tau=max(0.0, point["threshold"]))
                yield Setting(f"{gate}, dev ρ ≤ {budget}{suffix}", f"{gate}{suffix}", options)


def _calibrated(card: GateCard, rule: DecodingOptions, suffix: str) -> Iterable[Setting]:
    """The card's own gate: as it stands, for budgets, with a kept budget, for promises."""
    calibrated = rule.changed(gate="calibrated")
    yield Setting(f"calibrated{suffix}", f"calibrated, the card's threshold{suffix}", calibrated)
    for budget, _ in card.budgets:
        if budget <= 0.06:
            options = calibrated.changed(budget=budget)
            yield Setting(f"calibrated, dev ρ ≤ {budget:g}{suffix}", f"calibrated{suffix}", options)
    for budget in (0.01, 0.02, 0.03):
        options = calibrated.changed(budget=budget)
        yield Setting(f"calibrated, budget {budget:g} kept{suffix}", f"calibrated, kept{suffix}", options, keeper=True)
    for alpha, _ in card.promises:
        options = calibrated.changed(promise=alpha)
        yield Setting(f"calibrated, promise {alpha:g}{suffix}", f"promises{suffix}", options)


def settings_for(card: GateCard | None, curves: dict[str, dict[str, Any]]) -> list[Setting]:
    """All settings for one edge and language.

    Args:
        card: Of the edge checkpoint; without one nothing calibrated is run.
        curves: Gate to budget to point of the development curves (``report.json`` of ``ugsd calibrate``); may be empty.
    """
    rank = DecodingOptions(gate="calibrated", cut="emotion", acceptance="rank", rank=1, k=4)
    found = list(_plain())
    rules = [(rank, "")]
    if card is not None and card.acceptance == "fused":
        rules.append((rank.changed(acceptance="fused"), ", fused"))
    for rule, suffix in rules:
        found += [*_meaning(rule, suffix), *_thresholds(curves, rule, suffix)]
        if card is not None:
            found += _calibrated(card, rule, suffix)
    return found


def chosen_settings(settings: Iterable[Setting], only: str) -> list[Setting]:
    """Settings whose name or family holds one of some texts (joined by ``|``), and always the two ends."""
    wanted = [text.strip() for text in only.split("|")] if only else [""]
    return [s for s in settings if s.family == "ends" or any(w in s.name or w in s.family for w in wanted)]
