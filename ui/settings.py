"""The controls' choices and what they mean: from the page's values to `DecodingOptions`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from ugsd_core.acceptance import ACCEPTANCE_RULES, rank_warning
from ugsd_core.block_length import BLOCK_LENGTHS
from ugsd_core.errors import UgsdError
from ugsd_core.gate import GATES, follows_budget, gate, has_threshold, own_tau
from ugsd_core.options import PRESETS, DecodingOptions
from ugsd_core.wire.emulated import Conditions
from ui.engine_words import Told, problem, told
from ui.language import Locale, label, listed, say
from ui.link import LinkSetting

__all__ = [
    "FUSIONS",
    "LIMITS",
    "Settings",
    "acceptance_choices",
    "block_length_choices",
    "changes_note",
    "fusion_choices",
    "gate_choices",
    "limit_choices",
    "limits_of",
    "mode_choices",
    "preset_choices",
    "settings_note",
]

#: What can set a gate's threshold.
LIMITS = ("budget", "promise", "own", "tau")
#: The verifier's weight in a fused verdict; a negative one leaves it to calibration.
FUSIONS = (-1.0, *(share / 100 for share in range(0, 101, 10)))
#: In the menu's order, plain ones first; each part of a joined name must be known to the engine.
_GATES = (
    "emotion_entropy", "calibrated", "fused_doubt", "text_doubt", "head_doubt", "semantic_entropy", "entropy", "margin",
    "nll", "mc_dropout", "instability", "bild", "margin+content", "content", "emotion_words", "random",
    "random_emotion", "always", "never",
)  # fmt: skip


def _choices(kind: str, names: Iterable[str]) -> list[tuple[Any, str]]:
    """Names as (what the menu says, name)."""
    return [(label(f"{kind}.{name}"), name) for name in names]


def mode_choices() -> list[tuple[Any, str]]:
    """Who decides."""
    return _choices("mode", ("ugsd", "edge", "cloud"))


def preset_choices() -> list[tuple[Any, str]]:
    """Presets."""
    return _choices("preset", PRESETS)


def limit_choices() -> list[tuple[Any, str]]:
    """What can limit the asking."""
    return _choices("limit", LIMITS)


def gate_choices() -> list[tuple[Any, str]]:
    """Gates that the engine has, then those of plug-ins under their own names."""
    known = [name for name in _GATES if all(part in GATES.builtin for part in name.split("+"))]
    return [*_choices("gate", known), *((name, name) for name in GATES.plugins())]


def acceptance_choices() -> list[tuple[Any, str]]:
    """Acceptance rules, those of plug-ins under their own names."""
    plugins = ((name, name) for name in ACCEPTANCE_RULES.plugins())
    return [*_choices("acceptance", ACCEPTANCE_RULES.builtin), *plugins]


def fusion_choices() -> list[tuple[Any, float]]:
    """Weights of verifier and edge, in percent."""
    calibrated, *weights = FUSIONS
    return [
        (label("fusion.calibrated"), calibrated),
        *((f"{100 * weight:.0f} : {100 - 100 * weight:.0f}", weight) for weight in weights),
    ]


def block_length_choices() -> list[tuple[Any, str]]:
    """How long a block is."""
    return _choices("block_length", BLOCK_LENGTHS)


@dataclass(frozen=True, slots=True)
class Settings:
    """The controls' values, in the order in which the page hands them over.

    Attributes:
        limit: What sets the gate's threshold: ``"budget"``, ``"promise"``, ``"own"`` or ``"tau"``.
        budget, promise: In percent.
        fusion: One of `FUSIONS`.
        link: As `ui.link.LinkSetting` has it, and what follows.
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
    link: str = "none"
    link_rtt_ms: float | None = None
    link_jitter_ms: float | None = None
    link_up_mbps: float | None = None
    link_down_mbps: float | None = None

    @property
    def link_setting(self) -> LinkSetting:
        """The emulated link, which is no setting of the decoding loop."""
        parts = (self.link_rtt_ms, self.link_jitter_ms, self.link_up_mbps, self.link_down_mbps)
        return LinkSetting(self.link, *parts)

    def conditions(self) -> Conditions:
        """The emulated link; none where the edge is alone.

        Raises:
            OptionError: If a value has no meaning.
        """
        return Conditions() if self.mode == "edge" else self.link_setting.conditions()

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
    if not any(has_threshold(part.strip()) for part in gate_name.split("+")):
        return []
    can = {"budget": follows_budget(gate_name), "promise": "calibrated" in gate_name, "own": True, "tau": True}
    return [limit for limit in LIMITS if can[limit]]


def _percent(share: float | None, otherwise: float) -> float:
    """A share in percent; where none is set, what the control shows until somebody asks for it."""
    return otherwise if share is None else round(100 * share, 4)


#: Settings that a preset holds, in the order in which changes are told; words: ``changed.…``.
_TOLD = (
    "budget", "promise", "tau", "rank", "gate", "cut", "acceptance", "probability", "fusion", "block_length", "k",
    "bonus",
)  # fmt: skip


def changes_note(settings: Settings, locale: Locale) -> str | None:
    """What was changed since the preset was chosen; None if nothing was."""
    chosen, named = settings.options(), PRESETS[settings.preset]
    changed = [say(locale, f"changed.{name}") for name in _TOLD if getattr(chosen, name) != getattr(named, name)]
    return say(locale, "note.changed", names=listed(locale, changed)) if changed else None


def settings_note(settings: Settings, vocabulary_size: int, locale: Locale) -> Told | None:
    """A plain sentence if these settings do something other than one may think."""
    try:
        options = settings.options()
        gate(options)  # for its complaints
    except UgsdError as error:
        return problem(locale, error)
    if options.mode in ("edge", "cloud"):
        return Told(say(locale, f"note.{options.mode}"))
    allowed = limits_of(settings.gate)
    if allowed and settings.limit not in allowed:
        return Told(say(locale, "note.cannot", limit=say(locale, f"limit.{settings.limit}")))
    warning = rank_warning(options, vocabulary_size)
    return None if warning is None else told(locale, warning)
