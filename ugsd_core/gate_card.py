"""The gate card of an edge checkpoint: a calibrated score, and the thresholds that keep a budget or a promise.

``gate.json`` beside an edge checkpoint is written by ``ugsd calibrate`` and read with the checkpoint. The score of an
emotion position is ``isotonic(sigmoid(Σ weightᵢ · (xᵢ − meanᵢ) / scaleᵢ + bias))``: an estimate of the probability that
the verifier would change what the caption means there. A signal that is missing (no head, no label drafted) counts as
its mean, that is, not at all.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from ugsd_core.draft_block import DraftBlock
from ugsd_core.errors import CheckpointError
from ugsd_core.messages import Signals
from ugsd_core.models.emotion_tokens import fuse_labels
from ugsd_core.posterior import quantise

__all__ = [
    "CARD_FILE",
    "CARD_SIGNALS",
    "FusionWeights",
    "GateCard",
    "GateCards",
    "Isotonic",
    "edge_posterior",
    "fusion_weight",
    "read_gate_cards",
]

CARD_FILE = "gate.json"
SCHEMA = 1

#: Signals that a card may weigh, by name; larger is less sure.
CARD_SIGNALS: dict[str, Callable[[Signals], float | None]] = {
    "entropy": lambda s: s.entropy_nats,
    "margin": lambda s: 1.0 - s.margin,
    "nll": lambda s: s.nll_nats,
    "label_entropy": lambda s: s.label_entropy_nats,
    "head_doubt": lambda s: s.head_doubt,
    "text_doubt": lambda s: s.text_doubt,
    "fused_doubt": lambda s: s.fused_doubt,
    "label_mass_missing": lambda s: None if s.label_mass is None else max(0.0, 1.0 - sum(s.label_mass)),
}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A rising curve by its corners; straight in between, level outside."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def of(self, value: float) -> float:
        """Height of the curve."""
        right = bisect_right(self.x, value)
        if right == 0 or right == len(self.x):
            return self.y[min(right, len(self.y) - 1)]
        x0, x1, y0, y1 = self.x[right - 1], self.x[right], self.y[right - 1], self.y[right]
        return y0 + (y1 - y0) * (value - x0) / (x1 - x0)


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Exponents of the fused label posterior: the verifier's label masses, the edge's, and the edge's head."""

    verifier: float = 0.5
    text: float = 0.25
    head: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCard:
    """What calibration found for one language.

    Attributes:
        signals, mean, scale, weights: Names from `CARD_SIGNALS`, and one figure each.
        bias: Of the logistic regression.
        isotonic: Correction of its probability, if one was fitted.
        threshold: Where no budget and no promise is asked for.
        budget: Transmission rate ρ that `threshold` was chosen for.
        budgets: ``(ρ, threshold)``, ρ ascending.
        promises: ``(α, threshold)``, α ascending: in at most a share α of the captions stays an emotion that the
            verifier would have changed.
        acceptance: Rule that it was fitted for, ``"fused"`` or ``"rank"``.
        fusion: Weights of the fused rule.
    """

    signals: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    isotonic: Isotonic | None = None
    threshold: float = 0.5
    budget: float | None = None
    budgets: tuple[tuple[float, float], ...] = ()
    promises: tuple[tuple[float, float], ...] = ()
    acceptance: str = "rank"
    fusion: FusionWeights = field(default_factory=FusionWeights)

    def __post_init__(self) -> None:
        unknown = [name for name in self.signals if name not in CARD_SIGNALS]
        if unknown:
            raise ValueError(f"unknown signals: {', '.join(unknown)}")
        if not len(self.signals) == len(self.mean) == len(self.scale) == len(self.weights):
            raise ValueError("signals, mean, scale and weights differ in length")
        figures = (*self.mean, *self.scale, *self.weights, self.bias, self.threshold)
        if not all(math.isfinite(figure) for figure in figures) or min(self.scale, default=1.0) <= 0.0:
            raise ValueError("a mean, scale, weight or threshold is no number of use")
        if self.isotonic is not None:
            curve = self.isotonic
            rising = all(a < b for a, b in pairwise(curve.x)) and all(a <= b for a, b in pairwise(curve.y))
            if len(curve.x) != len(curve.y) or not curve.x or not rising:
                raise ValueError("the isotonic curve does not rise")
        for table in (self.budgets, self.promises):
            if any(a[0] >= b[0] for a, b in pairwise(table)) or not all(map(math.isfinite, sum(table, ()))):
                raise ValueError("budgets and promises are pairs of numbers, the first of them ascending")
        if min(self.fusion.verifier, self.fusion.text, self.fusion.head) < 0.0:
            raise ValueError("a fusion weight is negative")

    def score(self, signals: Signals) -> float:
        """P(the verifier changes the meaning at this position), in 0…1."""
        logit = self.bias
        for name, mean, scale, weight in zip(self.signals, self.mean, self.scale, self.weights, strict=True):
            value = CARD_SIGNALS[name](signals)
            if value is not None:
                logit += weight * (value - mean) / scale
        probability = 1.0 / (1.0 + math.exp(-min(60.0, max(-60.0, logit))))
        return probability if self.isotonic is None else self.isotonic.of(probability)

    def threshold_for(self, *, promise: float | None = None, budget: float | None = None) -> float:
        """The threshold that keeps a promise, else a budget, else the card's own.

        A promise takes that of the largest α that is not above it, and 0, under which everything is sent, if there is
        none. A budget between two of the card's lies between their thresholds; nothing is sent for a budget of 0.
        """
        if promise is not None:
            return max((threshold for alpha, threshold in self.promises if alpha <= promise + 1e-9), default=0.0)
        if budget is None or not self.budgets:
            return self.threshold
        # The curve falls with the budget; turned round it is one that rises.
        rows = ([] if self.budgets[0][0] <= 0.0 else [(0.0, 1.0)]) + list(self.budgets)
        return -Isotonic(tuple(rho for rho, _ in rows), tuple(-threshold for _, threshold in rows)).of(budget)

    def can_promise(self, promise: float) -> bool:
        """Whether calibration found a threshold for this α or a smaller one."""
        return any(alpha <= promise + 1e-9 for alpha, _ in self.promises)

    @property
    def edge_weights(self) -> tuple[float, float]:
        """How much text and head count in the edge's own posterior; they add up to 1."""
        total = self.fusion.text + self.fusion.head
        return (self.fusion.text / total, self.fusion.head / total) if total > 0.0 else (0.5, 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``gate.json`` has them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GateCard:
        """The inverse of `to_dict`.

        Raises:
            ValueError, TypeError, KeyError: If something is missing, unknown or impossible.
        """
        rest = dict(values)
        for name in ("signals", "mean", "scale", "weights"):
            rest[name] = tuple(rest[name])
        for name in ("budgets", "promises"):
            rest[name] = tuple((float(a), float(b)) for a, b in rest.get(name, ()))
        if rest.get("isotonic") is not None:
            rest["isotonic"] = Isotonic(tuple(rest["isotonic"]["x"]), tuple(rest["isotonic"]["y"]))
        if "fusion" in rest:
            rest["fusion"] = FusionWeights(**rest["fusion"])
        return cls(**rest)


@dataclass(frozen=True, slots=True)
class GateCards:
    """A whole ``gate.json``.

    Attributes:
        edge, verifier: Names of the pair that was calibrated.
        languages: A card a language.
    """

    edge: str
    verifier: str
    languages: Mapping[str, GateCard]

    def write(self, folder: Path) -> Path:
        """Write ``gate.json`` into a checkpoint folder and return its path."""
        languages = {language: card.to_dict() for language, card in self.languages.items()}
        record = {"schema": SCHEMA, "edge": self.edge, "verifier": self.verifier, "languages": languages}
        path = folder / CARD_FILE
        path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return path


def read_gate_cards(folder: Path | None) -> GateCards | None:
    """The cards of a checkpoint folder; None if it has none.

    Raises:
        CheckpointError: If the file is damaged or of another version.
    """
    if folder is None or not (path := folder / CARD_FILE).is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema"] != SCHEMA:
            raise CheckpointError(f"{path} was written by another version; calibrate the checkpoint again")
        languages = {str(name): GateCard.from_dict(card) for name, card in record["languages"].items()}
        return GateCards(str(record["edge"]), str(record["verifier"]), languages)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({_words(error)}); calibrate the checkpoint again") from error


def _words(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]


def fusion_weight(wanted: float | None, card: GateCard | None) -> float:
    """Weight of the verifier's label probabilities in the *fused* rule: as wanted, else the card's, else ½."""
    if wanted is not None:
        return wanted
    return 0.5 if card is None else card.fusion.verifier


def edge_posterior(block: DraftBlock, head: tuple[float, ...] | None, card: GateCard | None) -> tuple[int, ...] | None:
    """The edge's label posterior that goes up with a block for the *fused* rule, quantised.

    Args:
        block: Its label masses are the text's say.
        head: Posterior (9,) of the edge's emotion head, if it has one.
        card: Weighs head against text; without a card they count alike.

    Returns:
        Nine levels as `ugsd_core.posterior.quantise` gives them; None if the block holds no emotion position.
    """
    if block.label_mass is None:
        return None
    if head is None:
        return quantise(fuse_labels((block.label_mass, 1.0)))
    text_weight, head_weight = (0.5, 0.5) if card is None else card.edge_weights
    return quantise(fuse_labels((block.label_mass, text_weight), (head, head_weight)))
