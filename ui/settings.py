"""The controls' choices and what they mean: from the page's values to `DecodingOptions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from ugsd_core.acceptance import ACCEPTANCE_RULES, rank_warning
from ugsd_core.errors import UgsdError
from ugsd_core.gate import GATES
from ugsd_core.options import PRESETS, DecodingOptions, preset

__all__ = [
    "BLOCK_LENGTHS",
    "LANGUAGES",
    "MODES",
    "MODES_HELP",
    "Settings",
    "acceptance_choices",
    "changes_note",
    "gate_choices",
    "preset_choices",
    "settings_note",
]

LANGUAGES = [("English", "en"), ("中文", "zh")]
MODES = [("UGSD", "ugsd"), ("Edge only", "edge"), ("Cloud only", "cloud")]
MODES_HELP = "UGSD: this machine drafts, the verifier is asked where the draft is unsure. Edge: nothing is sent."
BLOCK_LENGTHS = [("fixed: k tokens", "fixed"), ("adaptive: three levels", "adaptive")]

_PRESET_WORDS = {
    "default": "default (best measured)",
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
    """The controls' values, in the order in which the page hands them over."""

    language: str
    mode: str
    preset: str
    tau: float
    rank: float
    gate: str
    acceptance: str
    probability: float
    block_length: str
    k: float
    bonus: bool

    def options(self) -> DecodingOptions:
        """The settings of the decoding loop.

        Raises:
            OptionError: If a value has no meaning.
        """
        return preset(
            self.preset,
            language=self.language,
            mode=self.mode,
            tau=round(float(self.tau), 4),
            rank=int(self.rank),
            gate=self.gate,
            acceptance=self.acceptance,
            probability=float(self.probability),
            block_length=self.block_length,
            k=int(self.k),
            bonus=bool(self.bonus),
            mc_dropout_samples=8 if "mc_dropout" in self.gate else None,
        )

    @staticmethod
    def of_preset(name: str) -> tuple[Any, ...]:
        """What a preset puts into the controls from τ on."""
        o = PRESETS[name]
        return o.tau, o.rank, o.gate, o.acceptance, o.probability, o.block_length, o.k, o.bonus


_NAMES = {
    "tau": "τ",
    "rank": "r",
    "gate": "which blocks are sent",
    "acceptance": "when a token passes",
    "probability": "p",
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
    except UgsdError as error:
        return str(error)
    if options.mode == "edge":
        return "Edge only: nothing is sent, and the settings below change nothing."
    if options.mode == "cloud":
        return "Cloud only: the acoustic code is sent and the verifier writes alone; the settings below change nothing."
    return cast("str | None", rank_warning(options, vocabulary_size))
