"""Settings of the decoding loop: frozen, validated, with presets that name whole settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from ugsd_core.errors import OptionError
from ugsd_core.messages import Mode

__all__ = ["LIMITS", "PRESETS", "SETTING_HELP", "DecodingOptions", "preset"]

#: The settings that say where the threshold lies.
LIMITS = frozenset({"tau", "budget", "promise"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """How a caption is written and who decides what.

    Attributes:
        mode: ``"ugsd"``, ``"edge"`` (nothing is sent) or ``"cloud"`` (the verifier writes alone).
        language: Language of the caption, ``"en"`` or ``"zh"``.
        prompt: Name of the prompt; None means the one each checkpoint names as its own.
        gate: Name of a gate, or several joined with ``+`` (a block escalates if any of them says so).
        tau: Threshold of the gates that compare a score (entropies, NLL and MC-dropout in nats; margin, doubts and
            *bild*'s probability in 0…1). None takes the gate's own: the gate card's for *calibrated*, else
            `ugsd_core.gate.OWN_TAU`.
        budget: Wanted transmission rate ρ in 0…1 in place of a fixed threshold; None leaves that in force.
        promise: α in 0…1 of the gate *calibrated*: in at most this share of the captions stays an emotion that the
            verifier would have changed. Comes before a budget.
        cut: ``"emotion"`` ends a block before an emotion position and makes that word a block of its own, ``"none"``
            does not.
        acceptance: Name of an acceptance rule.
        rank: r of the *rank* rule: a token passes within the verifier's r best.
        probability: p of the *probability* rule, ε of the *typical* rule.
        fusion: Of the *fused* rule: weight of the verifier's label probabilities; the edge's have the rest. None takes
            the gate card's, or ½ without one.
        block_length: ``"fixed"``, ``"adaptive"`` (the paper's three levels) or ``"delay"`` (learned from measured
            times, `ugsd_core.pace`).
        k: Tokens in a block; k0 of the adaptive rule; of the delay rule until it has learned something.
        k_short: Adaptive: after a corrected block.
        k_long: Adaptive: after two or more fully accepted blocks in a row.
        bonus: Take the verifier's extra token after a fully accepted block.
        temperature: 0 is greedy; above, drafts are sampled, reproducibly for a seed.
        seed: Of the random gate, of sampling and of MC-dropout.
        escalation_probability: Of the *random* gate.
        mc_dropout_samples: 0 switches MC-dropout off; the *mc_dropout* gate needs at least 2.
        max_tokens: A caption that reaches this length ends there, with its own reason.
        top_k: Alternatives kept with each token, for the inspector.
        deadline_s: A verdict that takes longer leaves its block unverified. None learns it from the verdicts that came
            (`ugsd_core.wire.deadline`), or takes five seconds where nothing can be learned.
        ahead: Draft on silently while a verdict is on its way. Changes times and nothing else.
    """

    mode: Mode = "ugsd"
    language: Literal["en", "zh"] = "en"
    prompt: str | None = None
    gate: str = "entropy"
    tau: float | None = None
    budget: float | None = None
    promise: float | None = None
    cut: str = "none"
    acceptance: str = "rank"
    rank: int = 1
    probability: float = 0.3
    fusion: float | None = None
    block_length: str = "fixed"
    k: int = 4
    k_short: int = 2
    k_long: int = 8
    bonus: bool = False
    temperature: float = 0.0
    seed: int = 0
    escalation_probability: float = 0.2
    mc_dropout_samples: int = 0
    max_tokens: int = 96
    top_k: int = 5
    deadline_s: float | None = None
    ahead: bool = True

    def __post_init__(self) -> None:
        def check(ok: bool, message: str) -> None:
            if not ok:
                raise OptionError(message)

        check(self.mode in ("ugsd", "edge", "cloud"), f"mode is 'ugsd', 'edge' or 'cloud', not {self.mode!r}")
        check(self.language in ("en", "zh"), f"captions are written in 'en' or 'zh', not {self.language!r}")
        finite = self.tau is None or 0.0 <= self.tau < float("inf")
        check(finite, f"tau must be a number of at least 0, not {self.tau}")
        for name in ("budget", "promise", "fusion"):
            share = getattr(self, name)
            check(share is None or 0.0 <= share <= 1.0, f"{name} must lie in 0…1, not {share}")
        check(self.cut in ("none", "emotion"), f"cut is 'none' or 'emotion', not {self.cut!r}")
        check(self.rank >= 1, f"rank must be at least 1, not {self.rank}")
        check(0.0 < self.probability <= 1.0, f"probability must lie in (0, 1], not {self.probability}")
        lengths = ("fixed", "adaptive", "delay")
        named = "'fixed', 'adaptive' or 'delay'"
        check(self.block_length in lengths, f"block length is {named}, not {self.block_length!r}")
        for name in ("k", "k_short", "k_long"):
            check(1 <= getattr(self, name) <= 64, f"{name} must lie in 1…64, not {getattr(self, name)}")
        check(0.0 <= self.temperature <= 5.0, f"temperature must lie in 0…5, not {self.temperature}")
        check(
            0.0 <= self.escalation_probability <= 1.0,
            f"escalation probability must lie in 0…1, not {self.escalation_probability}",
        )
        check(self.mc_dropout_samples == 0 or 2 <= self.mc_dropout_samples <= 64, "mc-dropout takes 0 or 2…64 samples")
        check(1 <= self.max_tokens <= 1024, f"max tokens must lie in 1…1024, not {self.max_tokens}")
        check(1 <= self.top_k <= 20, f"top k must lie in 1…20, not {self.top_k}")
        in_reach = self.deadline_s is None or 0.0 < self.deadline_s <= 600.0
        check(in_reach, f"the deadline must lie in 0…600 s, not {self.deadline_s}")

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self)

    def changed(self, **changes: Any) -> DecodingOptions:
        """A copy with some settings replaced; None leaves a setting as it is.

        τ, a budget and a promise are three ways to set one threshold: naming one of them drops the others.
        """
        named = {key: value for key, value in changes.items() if value is not None}
        if LIMITS & set(named):
            named = dict.fromkeys(LIMITS) | named
        return replace(self, **named)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DecodingOptions:
        """The inverse of `to_dict`; unknown keys are an error.

        Raises:
            OptionError: If a key is unknown or a value has no meaning.
        """
        unknown = set(values) - {entry.name for entry in fields(cls)}
        if unknown:
            raise OptionError(f"unknown setting: {', '.join(sorted(unknown))}")
        return cls(**values)


#: Whole settings by name. ``default`` is ours, with the gate calibrated on development clips of the embedded pair;
#: ``paper`` and ``proposal`` state the source's settings; ``lossless`` gives the verifier's own greedy caption.
PRESETS: dict[str, DecodingOptions] = {
    "default": DecodingOptions(gate="calibrated", cut="emotion", acceptance="fused", rank=1, k=4),
    "paper": DecodingOptions(gate="entropy", tau=1.0, acceptance="rank", rank=20, block_length="adaptive", k=4),
    "proposal": DecodingOptions(
        gate="margin+content", tau=0.5, acceptance="probability", probability=0.3, block_length="fixed", k=4, bonus=True
    ),
    "lossless": DecodingOptions(gate="always", acceptance="greedy", block_length="fixed", k=4, bonus=True),
}

#: One sentence a setting, shown as help by the command line and the page.
SETTING_HELP: dict[str, str] = {
    "tau": "A block is sent when its score passes τ: entropies, NLL and dropout in nats, all others in 0…1.",
    "budget": "How much of the draft may be sent, as a share of its tokens; the gate's threshold follows the speakers.",
    "promise": "In at most this share of the captions stays an emotion that the verifier would have changed.",
    "cut": "End a block before a word of emotion, so that such a word is sent alone.",
    "rank": "A drafted token passes when it is among the verifier's r best.",
    "probability": "A drafted token passes when the verifier gives it at least this probability.",
    "fusion": "How much the verifier's own view of the emotion counts against the edge's: 1 is the verifier alone.",
    "k": "Tokens drafted before the gate looks at them.",
}


def preset(name: str, **changes: Any) -> DecodingOptions:
    """A preset's settings with some replaced; None leaves a setting as it is.

    Raises:
        OptionError: If there is no such preset or a value has no meaning.
    """
    if name not in PRESETS:
        raise OptionError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name].changed(**changes)
