"""The controls' choices and what they mean: from the page's values to `DecodingOptions`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from ugsd_core.acceptance import ACCEPTANCE_RULES, rank_warning
from ugsd_core.errors import UgsdError
from ugsd_core.gate import GATES, THRESHOLD_GATES, follows_budget, gate, own_tau
from ugsd_core.options import PRESETS, DecodingOptions

__all__ = [
    "BLOCK_LENGTHS",
    "FUSIONS",
    "LANGUAGES",
    "LIMITS",
    "LIMIT_HELP",
    "MODES",
    "MODES_HELP",
    "Settings",
    "acceptance_choices",
    "changes_note",
    "gate_choices",
    "limits_of",
    "preset_choices",
    "settings_note",
]

LANGUAGES = [("English", "en"), ("中文", "zh")]
MODES = [("UGSD", "ugsd"), ("Edge only", "edge"), ("Cloud only", "cloud")]
MODES_HELP = "UGSD: this machine drafts, the verifier is asked where the draft is unsure. Edge: nothing is sent."
LIMITS = [("a budget", "budget"), ("a promise", "promise"), ("the gate's own threshold", "own"), ("τ", "tau")]
LIMIT_HELP = "How often the verifier is asked: by a share of the draft, by what may go wrong, or by a fixed score."
#: The verifier's weight; a negative one leaves it to calibration.
FUSIONS: list[tuple[str, float]] = [
    ("as calibrated", -1.0),
    *((f"verifier {share} %, edge {100 - share} %", share / 100) for share in range(0, 101, 10)),
]
BLOCK_LENGTHS = [("fixed: k tokens", "fixed"), ("adaptive: three levels", "adaptive")]

_PRESET_WORDS = {
    "default": "default (calibrated gate)",
    "paper": "paper (entropy, r = 20)",
    "proposal": "proposal (margin, content)",
    "lossless": "lossless (ask always)",
}
_GATE_WORDS = {
    "emotion_entropy": "unsure of an emotion word",
    "calibrated": "likely that the emotion changes (calibrated)",
    "fused_doubt": "doubt of the emotion: draft and emotion head",
    "text_doubt": "doubt of the emotion: draft alone",
    "head_doubt": "doubt of the emotion: emotion head alone",
    "semantic_entropy": "undecided between emotions",
    "entropy": "entropy of any token",
    "margin": "small lead of the best token",
    "nll": "unlikely token",
    "mc_dropout": "disagreement under dropout",
    "instability": "entropy that jumps from token to token",
    "bild": "best token less likely than τ",
    "margin+content": "small lead, or content rules",
    "content": "numbers, dates, names, emotions",
    "emotion_words": "any emotion word",
    "random": "at random, one block in five",
    "random_emotion": "at random, one emotion in five",
    "always": "every block",
    "never": "no block",
}
_ACCEPTANCE_WORDS = {
    "rank": "among the verifier's r best",
    "probability": "likely enough for the verifier (p)",
    "typical": "typical for the verifier",
    "greedy": "the verifier's first choice only (lossless)",
    "fused": "among the r best; at emotion words, the emotion of both",
}


def preset_choices() -> list[tuple[str, str]]:
    """Presets as (what the menu says, name)."""
    return [(_PRESET_WORDS.get(name, name), name) for name in PRESETS]


def gate_choices() -> list[tuple[str, str]]:
    """Gates as (what the menu says, name): first those with plain words, then any other the engine has."""
    known = [(words, name) for name, words in _GATE_WORDS.items() if all(part in GATES for part in name.split("+"))]
    used = {options.gate for options in PRESETS.values()} | set(GATES)
    return known + [(name, name) for name in sorted(used - {name for _, name in known} - {"digits", "dates", "names"})]


def acceptance_choices() -> list[tuple[str, str]]:
    """Acceptance rules as (what the menu says, name)."""
    return [(_ACCEPTANCE_WORDS.get(name, name.replace("_", " ")), name) for name in ACCEPTANCE_RULES]


@dataclass(frozen=True, slots=True)
class Settings:
    """The controls' values, in the order in which the page hands them over.

    Attributes:
        limit: What sets the gate's threshold: ``"budget"``, ``"promise"``, ``"own"`` or ``"tau"``.
        budget, promise: In percent.
        fusion: One of `FUSIONS`.
    """

    language: str
    mode: str
    preset: str
    limit: str
    budget: float
    promise: float
    tau: float
    rank: float
    gate: str
    cut: bool
    acceptance: str
    probability: float
    fusion: float
    block_length: str
    k: float
    bonus: bool

    def options(self) -> DecodingOptions:
        """The settings of the decoding loop.

        Raises:
            OptionError: If a value has no meaning.
        """
        named, limit = PRESETS[self.preset], self.limit if self.limit in limits_of(self.gate) else "own"
        return replace(
            named,
            language=cast("Any", self.language),
            mode=cast("Any", self.mode),
            tau=round(float(self.tau), 4) if limit == "tau" else None,
            budget=round(float(self.budget) / 100, 6) if limit == "budget" else None,
            promise=round(float(self.promise) / 100, 6) if limit == "promise" else None,
            rank=int(self.rank),
            gate=self.gate,
            cut="emotion" if self.cut else "none",
            acceptance=self.acceptance,
            probability=float(self.probability),
            fusion=float(self.fusion) if self.fusion >= 0 else None,
            block_length=self.block_length,
            k=int(self.k),
            bonus=bool(self.bonus),
            mc_dropout_samples=8 if "mc_dropout" in self.gate else named.mc_dropout_samples,
        )

    @staticmethod
    def of_preset(name: str) -> tuple[Any, ...]:
        """What a preset puts into the controls from ``limit`` on."""
        o = PRESETS[name]
        limit = next((limit for limit in ("promise", "budget", "tau") if getattr(o, limit) is not None), "own")
        return (
            limit,
            _percent(o.budget, 3.0),
            _percent(o.promise, 10.0),
            own_tau(o.gate) if o.tau is None else o.tau,
            o.rank,
            o.gate,
            o.cut == "emotion",
            o.acceptance,
            o.probability,
            -1.0 if o.fusion is None else o.fusion,
            o.block_length,
            o.k,
            o.bonus,
        )


def limits_of(gate_name: str) -> list[str]:
    """What can set the threshold of a gate, of the values of `LIMITS`; nothing where it compares no score."""
    if not any(part.strip() in THRESHOLD_GATES for part in gate_name.split("+")):
        return []
    can = {"budget": follows_budget(gate_name), "promise": "calibrated" in gate_name, "own": True, "tau": True}
    return [limit for _, limit in LIMITS if can[limit]]


def _percent(share: float | None, otherwise: float) -> float:
    """A share in percent; where none is set, what the control shows until somebody asks for it."""
    return otherwise if share is None else round(100 * share, 4)


_NAMES = {
    "budget": "budget",
    "promise": "promise",
    "tau": "τ",
    "rank": "r",
    "gate": "which blocks are sent",
    "cut": "emotion words alone",
    "acceptance": "when a token passes",
    "probability": "p",
    "fusion": "weights in a fused verdict",
    "block_length": "block length",
    "k": "k",
    "bonus": "bonus token",
}


def changes_note(settings: Settings) -> str | None:
    """What was changed since the preset was chosen; None if nothing was."""
    chosen, named = settings.options(), PRESETS[settings.preset]
    changed = [words for name, words in _NAMES.items() if getattr(chosen, name) != getattr(named, name)]
    return f"Changed from the preset: {', '.join(changed)}." if changed else None


def settings_note(settings: Settings, vocabulary_size: int) -> str | None:
    """A plain sentence if these settings do something other than one may think."""
    try:
        options = settings.options()
        gate(options)  # for its complaints
    except UgsdError as error:
        return str(error)
    if options.mode == "edge":
        return "Edge only: nothing is sent, and the settings below change nothing."
    if options.mode == "cloud":
        return "Cloud only: the acoustic code is sent and the verifier writes alone; the settings below change nothing."
    allowed = limits_of(settings.gate)
    if allowed and settings.limit not in allowed:
        words = {"budget": "a budget", "promise": "a promise"}[settings.limit]
        return f"This gate can't keep {words}, so its own threshold decides; choose another gate or another limit."
    return rank_warning(options, vocabulary_size)
