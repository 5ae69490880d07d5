"""The systems that are compared, by name: every one of them is a run of the one loop.

A system of one's own is typed as ``NAME: preset=paper tau=0.8 rank=1``: a preset and the settings that differ from it.
``match=OTHER`` gives the random gate the transmission rate of another system, and ``gate=oracle`` asks the verifier
beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.plan import System, SystemKind
from ugsd_core.options import PRESETS, DecodingOptions, preset

__all__ = [
    "BASELINES",
    "SYSTEMS",
    "SystemEntry",
    "definition_of",
    "own_system",
    "parse_systems",
    "safe_system_name",
    "systems_for",
]

#: Names of gates that draw by chance, and so take over another system's rate.
RANDOM_GATES = ("random", "random_emotion")
ORACLE_GATE = "oracle"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class SystemEntry:
    """A system of the registry.

    Attributes:
        definition: One sentence for people, shown wherever the system is named.
    """

    system: System
    definition: str


def _entry(
    name: str, definition: str, options: DecodingOptions, kind: SystemKind = "plain", matched: str = ""
) -> tuple[str, SystemEntry]:
    return name, SystemEntry(System(name, options, kind, matched), definition)


_DEFAULT = PRESETS["default"]

#: Systems by name, in the order in which tables show them.
SYSTEMS: dict[str, SystemEntry] = dict(
    (
        _entry("edge", "The edge writes alone; nothing is sent.", DecodingOptions(mode="edge")),
        _entry(
            "cloud",
            "The verifier writes alone, from the same acoustic code.",
            DecodingOptions(mode="cloud"),
        ),
        _entry(
            "ugsd",
            "Ours: an emotion word is sent alone where the calibrated gate expects the verifier to change its meaning, "
            "and judged with the edge's own view of the emotion (preset default).",
            _DEFAULT,
        ),
        _entry(
            "adaptive",
            "As ugsd, with the paper's adaptive block length.",
            _DEFAULT.changed(block_length="adaptive"),
        ),
        _entry(
            "paper",
            "The paper as stated: a block whose largest entropy passes 1 nat is sent, a token passes within the "
            "verifier's 20 best, and the block length adapts.",
            PRESETS["paper"],
        ),
        _entry(
            "paper-fixed",
            "As paper, with blocks of 4 tokens throughout.",
            PRESETS["paper"].changed(block_length="fixed", k=4),
        ),
        _entry(
            "proposal",
            "The proposal: margin or content rules send a block, a token passes with a probability of at least 0.3, "
            "and a fully accepted block earns the verifier's next token.",
            PRESETS["proposal"],
        ),
        _entry(
            "speculative",
            "Plain speculative decoding: every block is sent and judged greedily; the caption is the verifier's own.",
            PRESETS["lossless"],
        ),
        _entry(
            "random",
            "Chance: as ugsd, but a block is sent by a draw whose probability is the ρ of ugsd on the same clips.",
            _DEFAULT.changed(gate="random"),
            "random",
            "ugsd",
        ),
        _entry(
            "random-emotion",
            "Chance among emotion words: as random, but only blocks with an emotion position are drawn from.",
            _DEFAULT.changed(gate="random_emotion"),
            "random",
            "ugsd",
        ),
        _entry(
            "bild",
            "Fallback by probability (BiLD): a block is sent when a token's best candidate has less than 0.6; what "
            "the verifier would not have written is rolled back.",
            DecodingOptions(gate="bild", tau=0.6, acceptance="greedy", k=4),
        ),
        _entry(
            "oracle",
            "The ceiling for any gate: as ugsd, but exactly those blocks are sent which the verifier, asked "
            "beforehand, would change; no system, so its clocks are not reported.",
            _DEFAULT.changed(gate=ORACLE_GATE),
            "oracle",
        ),
    )
)

#: What ``--systems`` takes if nothing is said.
BASELINES = "edge,cloud,ugsd,paper"


def parse_systems(
    names: str, own: Iterable[str] = (), *, language: Literal["en", "zh"] = "en", seed: int = 0
) -> tuple[System, ...]:
    """Systems by their names, joined by commas, and systems of one's own.

    Args:
        names: Such as ``"edge,cloud,ugsd"``; ``"all"`` is every system of the registry.
        own: Definitions as `own_system` reads them.
        language: Of the captions; an own system's ``language=`` is not read.
        seed: Of the random gates and of sampling, unless an own system names its own.

    Raises:
        OptionError: If a name is unknown or given twice, or a system is matched to one that is not there.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if wanted == ["all"]:
        wanted = list(SYSTEMS)
    unknown = [name for name in wanted if name not in SYSTEMS]
    if unknown:
        raise OptionError(
            f"there is no system {', '.join(map(repr, unknown))}; choose of {', '.join(SYSTEMS)}, or define one with "
            "--system 'NAME: preset=paper tau=0.8'"
        )
    known = (SYSTEMS[name].system for name in wanted)
    seeded = [replace(system, options=system.options.changed(seed=seed)) for system in known]
    return systems_for([*seeded, *(own_system(text, seed=seed) for text in own)], language)


def systems_for(systems: Sequence[System], language: Literal["en", "zh"]) -> tuple[System, ...]:
    """Systems that can be run together, in a language.

    Raises:
        OptionError: If there is none, two have one name, or a system is matched to one that is not there.
    """
    if not systems:
        raise OptionError(f"name at least one system, such as --systems {BASELINES}")
    names = [system.name for system in systems]
    twice = sorted({name for name in names if [n.casefold() for n in names].count(name.casefold()) > 1})
    if twice:
        raise OptionError(f"two systems are named {twice[0]!r}; give each its own name")
    plain = {system.name for system in systems if system.kind != "random"}
    for system in systems:
        safe_system_name(system.name)
        if system.kind == "random" and system.matched not in plain:
            raise OptionError(
                f"the system {system.name!r} takes over the transmission rate of {system.matched!r}, so evaluate "
                f"that too: add it to --systems"
            )
    return tuple(replace(system, options=system.options.changed(language=language)) for system in systems)


def own_system(text: str, *, seed: int = 0) -> System:
    """A system of one's own, from ``NAME: preset=paper tau=0.8 rank=1``.

    Args:
        seed: Where the text names none.

    Raises:
        OptionError: With a sentence that says what can't be read.
    """
    name, colon, rest = text.partition(":")
    name = name.strip()
    if not colon:
        raise OptionError(f"--system takes 'NAME: preset=paper tau=0.8 …', not {text!r}")
    safe_system_name(name)
    if name in SYSTEMS:
        raise OptionError(f"{name!r} is a system already; give yours another name")
    words = dict(_word(name, word) for word in rest.replace(",", " ").split())
    matched = words.pop("match", "")
    chosen = words.pop("preset", "default")
    words.pop("language", None)
    words.setdefault("seed", str(seed))
    options = preset(chosen, **{key: _value(name, key, value) for key, value in words.items()})
    if matched:
        if options.gate not in RANDOM_GATES:
            options = options.changed(gate="random")
        return System(name, options, "random", matched)
    if options.gate == ORACLE_GATE:
        return System(name, options, "oracle")
    _check(options)
    return System(name, options)


def _word(name: str, word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not value:
        raise OptionError(f"the system {name!r} needs settings such as tau=0.8, not {word!r}")
    return key.strip().replace("-", "_"), value.strip()


_KINDS = {entry.name: str(entry.type) for entry in fields(DecodingOptions)}


def _value(name: str, key: str, text: str) -> Any:
    """A setting's value from its text."""
    if key not in _KINDS:
        known = ", ".join(["preset", "match", *(k for k in _KINDS if k != "language")])
        raise OptionError(f"the system {name!r} has no setting {key!r}; there are {known}")
    kind = _KINDS[key]
    try:
        if "bool" in kind:
            return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[text.lower()]
        if "float" in kind:
            return float(text)
        if "int" in kind:
            return int(text)
    except (KeyError, ValueError):
        raise OptionError(f"the system {name!r} sets {key}={text}, which is no {kind.split(' ')[0]}") from None
    return text


def _check(options: DecodingOptions) -> None:
    """Find a mistyped gate or rule now, not after the models were loaded.

    Raises:
        OptionError: If there is none of that name.
    """
    from ugsd_core.acceptance import acceptance_rule
    from ugsd_core.gate import gate

    gate(options)
    acceptance_rule(options.acceptance, rank=options.rank, probability=options.probability)


def safe_system_name(name: str) -> str:
    """The name, which is a folder's name too.

    Raises:
        OptionError: If it could not be one.
    """
    if not _NAME.fullmatch(name):
        raise OptionError(f"a system's name has up to 40 letters, digits, '.', '-' or '_', not {name!r}")
    return name


def definition_of(system: System) -> str:
    """What a system is, in one sentence; of an own system what it was made from."""
    known = SYSTEMS.get(system.name)
    if known is not None:
        return known.definition
    settings = system.options.to_dict()
    base = min(PRESETS, key=lambda name: _distance(_differing(settings, PRESETS[name])))
    differing = _differing(settings, PRESETS[base])
    text = ", ".join(f"{key} = {value}" for key, value in differing.items()) or "unchanged"
    matched = f"; it sends as much as {system.matched}" if system.matched else ""
    return f"Own: preset {base}, {text}{matched}."


def _differing(settings: dict[str, Any], other: DecodingOptions) -> dict[str, Any]:
    """Settings that are not those of ``other``; language and seed are the plan's."""
    theirs = other.to_dict()
    return {key: value for key, value in settings.items() if key not in ("language", "seed") and theirs[key] != value}


def _distance(differing: dict[str, Any]) -> int:
    """How far settings are from a preset: who decides and how it is judged count for more than any figure."""
    return len(differing) + 3 * len({"mode", "gate", "acceptance"} & set(differing))
