"""A grid of settings over emulated links, and which of them no other beats.

Every setting is a system of a run like any other, so that a sweep resumes, is scored and is reported as a run is. There
is one run a link: the captions are the same over all of them (unless a deadline passes), the clocks are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.plan import System
from ugsd_core.evaluation.systems import SYSTEMS, systems_for
from ugsd_core.options import preset
from ugsd_core.wire.emulated import Conditions

__all__ = ["Grid", "grid_systems", "link_folder", "parse_links", "parse_values", "run_folders"]

#: More systems than this are surely a mistyped grid.
MOST_SYSTEMS = 400


@dataclass(frozen=True, slots=True)
class Grid:
    """What is swept; an empty axis leaves the preset's setting.

    Attributes:
        ks: Block lengths; ``"adaptive"`` is the paper's rule.
    """

    preset: str = "paper"
    gates: tuple[str, ...] = ()
    taus: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()
    ks: tuple[int | str, ...] = ()


def parse_values(
    text: str | None, kind: type[int] | type[float], name: str, words: Sequence[str] = ()
) -> tuple[Any, ...]:
    """Numbers joined by commas, each once, and the words that may stand among them.

    Raises:
        OptionError: If one of them is neither.
    """
    found: dict[Any, None] = {}
    for part in (text or "").split(","):
        part = part.strip()
        if not part:
            continue
        try:
            found[part if part in words else kind(part)] = None
        except ValueError:
            either = f" or {', '.join(words)}" if words else ""
            example = "0.5,1.2" if kind is float else "1,3"
            raise OptionError(
                f"--{name} takes numbers{either} joined by commas, such as --{name} {example}, not {part!r}"
            ) from None
    return tuple(found)


def parse_links(texts: Sequence[str]) -> tuple[Conditions, ...]:
    """Links, each once: ``none rtt=100``, or joined by commas as in ``none,rtt=100,rtt=300,up=5``.

    A rate belongs to the round trip before it.

    Raises:
        OptionError: If one can't be read.
    """
    parts: list[str] = []
    for text in texts:
        fresh = True
        for piece in filter(None, (piece.strip() for piece in text.split(","))):
            if fresh or "=" not in piece or piece.startswith("rtt") or "=" not in parts[-1]:
                parts.append(piece)
            else:
                parts[-1] += f",{piece}"
            fresh = False
    if not parts:
        raise OptionError("name at least one link, such as --links none rtt=100")
    return tuple(dict.fromkeys(Conditions.parse(part) for part in parts))


def link_folder(conditions: Conditions) -> str:
    """A link's name as that of a folder: ``none``, ``rtt=100``, ``rtt=300,up=5``."""
    return "none" if conditions.plain else str(conditions)


def grid_systems(grid: Grid, language: Literal["en", "zh"], seed: int = 0) -> tuple[System, ...]:
    """Edge-only, cloud-only and every combination of the grid.

    A rank is asked for by the acceptance rule *rank*, and a number of tokens by blocks of fixed length.

    Raises:
        OptionError: If a setting has no meaning, or there are too many.
    """
    base = preset(grid.preset, language=language, seed=seed)
    systems = [SYSTEMS["edge"].system, SYSTEMS["cloud"].system]
    for gate, tau, rank, k in product(
        grid.gates or (None,), grid.taus or (None,), grid.ranks or (None,), grid.ks or (None,)
    ):
        changes: dict[str, Any] = {"gate": gate, "tau": tau}
        if rank is not None:
            changes |= {"acceptance": "rank", "rank": rank}
        if k == "adaptive":
            changes |= {"block_length": "adaptive"}
        elif k is not None:
            changes |= {"block_length": "fixed", "k": k}
        parts = (
            (gate or base.gate) if len(grid.gates) > 1 else None,
            None if tau is None else f"tau{tau:g}",
            None if rank is None else f"r{rank}",
            None if k is None else k if k == "adaptive" else f"k{k}",
        )
        name = "-".join(str(part) for part in parts if part is not None).replace("+", ".") or grid.preset
        systems.append(System(name, base.changed(**changes)))
    if len(systems) > MOST_SYSTEMS:
        raise OptionError(f"the grid has {len(systems) - 2} settings; sweep at most {MOST_SYSTEMS - 2} at once")
    _check_names(systems)
    return systems_for(systems, language)


def _check_names(systems: Sequence[System]) -> None:
    """Find a mistyped gate before the models are loaded."""
    from ugsd_core.gate import gate

    for name in dict.fromkeys(system.options.gate for system in systems if system.options.mode == "ugsd"):
        gate(next(system.options for system in systems if system.options.gate == name))


def run_folders(out: Path, links: Sequence[Conditions]) -> Iterator[tuple[Conditions, Path]]:
    """Each link and the folder of its run."""
    for conditions in links:
        yield conditions, out / link_folder(conditions)
