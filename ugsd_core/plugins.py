"""Gates, acceptance rules, metrics and corpus formats of others, found by the entry points that they declare.

A distribution that is installed beside this one names what it brings in its ``pyproject.toml``:

    [project.entry-points."ugsd_studio.gates"]
    long_words = "my_package:LongWords"

Nothing is looked for before a name is asked for that is not built in, or names are listed; nothing is imported before
it is used. A built-in name always means what is built in. What cannot be used is a `PluginError` for whoever asks for
it by name, and is left out everywhere else. ``UGSD_PLUGINS=off`` switches all of this off.

`docs/plugins.md` says what each kind has to offer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, distributions
from typing import Any, Generic, Literal, TypeVar

from ugsd_core.errors import OptionError, PluginError, UgsdError

__all__ = ["GROUPS", "Declared", "Kind", "Registry", "declared", "forget", "loaded"]

T = TypeVar("T")
Kind = Literal["gate", "acceptance", "metric", "corpus"]

#: Kind to entry-point group.
GROUPS: dict[Kind, str] = {
    "gate": "ugsd_studio.gates",
    "acceptance": "ugsd_studio.acceptance",
    "metric": "ugsd_studio.metrics",
    "corpus": "ugsd_studio.corpora",
}
#: What each kind is called in a sentence.
NOUNS: dict[Kind, str] = {
    "gate": "gate",
    "acceptance": "acceptance rule",
    "metric": "metric",
    "corpus": "corpus format",
}
PREFIX = "ugsd_studio."
SWITCH = "UGSD_PLUGINS"
#: What each registry has made of plug-ins.
_MADE: list[dict[Declared, Any]] = []
#: Names are typed, joined by + and commas, used as file names and sent in a field of 64 characters.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Declared:
    """What a distribution declares; nothing of it has been imported.

    Attributes:
        distribution: Its name and version, ``my-package 1.2``.
        target: ``module:object``.
        problem: Why it can't be used, as one sentence; empty as long as nothing is known against it.
    """

    kind: Kind
    name: str
    distribution: str
    target: str
    problem: str = ""

    def error(self, why: str) -> PluginError:
        """The error that names it and its distribution."""
        return PluginError(f"the {NOUNS[self.kind]} {self.name!r} of {self.distribution} can't be used: {why}")

    def call(self, function: Callable[..., Any], *values: Any) -> Any:
        """Call foreign code.

        Raises:
            PluginError: For whatever it raises, except the errors that are meant for a person already.
        """
        try:
            return function(*values)
        except UgsdError:
            raise
        except Exception as error:
            raise self.error(f"it failed with {_short(f'{type(error).__name__}: {error}')}") from error


def declared(kind: Kind) -> Mapping[str, Declared]:
    """What is declared of a kind, by name, in alphabetical order."""
    return _declared()[kind] if os.environ.get(SWITCH, "").lower() not in ("off", "0", "no") else {}


def forget() -> None:
    """Look again, as after something was installed."""
    _declared.cache_clear()
    for made in _MADE:
        made.clear()


def loaded(entry: Declared) -> object:
    """Import what was declared.

    Raises:
        PluginError: If that fails, for whatever reason.
    """
    if entry.problem:
        raise entry.error(entry.problem)
    try:
        return EntryPoint(entry.name, entry.target, GROUPS[entry.kind]).load()
    except (Exception, SystemExit) as error:  # foreign code may raise anything; it must not end the program
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise entry.error(f"importing {entry.target} failed ({_short(what)}); see its own documentation") from error


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"


@lru_cache(maxsize=1)
def _declared() -> dict[Kind, dict[str, Declared]]:
    found: dict[Kind, dict[str, Declared]] = {kind: {} for kind in GROUPS}
    for entry in sorted(_entries(), key=lambda one: (one.kind, one.name, one.distribution)):
        before = found[entry.kind].get(entry.name)
        if before is not None:
            owners = f"{before.distribution} and {entry.distribution}"
            entry = Declared(entry.kind, entry.name, owners, entry.target, "both bring one; uninstall one of them")
        found[entry.kind][entry.name] = entry
    return found


def _entries() -> Iterator[Declared]:
    """Every declaration; a distribution whose files are damaged is one without any."""
    kinds = {group: kind for kind, group in GROUPS.items()}
    seen: set[str] = set()
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
            if PREFIX not in text:  # metadata is parsed for the few that matter
                continue
            name, version = distribution.metadata["Name"], distribution.version
            points = [point for point in distribution.entry_points if point.group in kinds]
        except Exception:
            continue
        if name in seen:  # an older copy further down the path
            continue
        seen.add(name)
        for point in points:
            problem = "" if _NAME.fullmatch(point.name) else "a name has small letters, digits and _, at most 40"
            yield Declared(kinds[point.group], point.name, f"{name} {version}", point.value, problem)


class Registry(Mapping[str, T], Generic[T]):
    """What is built in by name, then what is installed beside it.

    Looking up a built-in name costs nothing. ``in``, iteration and ``len`` know only what can be used; `find` is for a
    name that a person gave, and says what is wrong with it.

    Args:
        kind: Of plug-ins.
        builtin: Name to what it stands for, in the order of lists.
        adapt: Makes a usable one of what a plug-in's entry point names.
    """

    def __init__(self, kind: Kind, builtin: Mapping[str, T], adapt: Callable[[Declared, object], T]) -> None:
        self.kind = kind
        self.builtin: dict[str, T] = dict(builtin)
        self._adapt = adapt
        self._made: dict[Declared, T | PluginError] = {}
        _MADE.append(self._made)

    def __getitem__(self, name: str) -> T:
        if name in self.builtin:
            return self.builtin[name]
        return self._plugin(declared(self.kind)[name])

    def __contains__(self, name: object) -> bool:
        if name in self.builtin:
            return True
        entry = declared(self.kind).get(name) if isinstance(name, str) else None
        return entry is not None and self.problem(entry) is None

    def __iter__(self) -> Iterator[str]:
        yield from self.builtin
        yield from self.plugins()

    def __len__(self) -> int:
        return len(self.builtin) + len(self.plugins())

    def plugins(self) -> tuple[str, ...]:
        """Names of the plug-ins that can be used; imports them."""
        return tuple(
            name
            for name, entry in declared(self.kind).items()
            if name not in self.builtin and self.problem(entry) is None
        )

    def names(self) -> tuple[str, ...]:
        """Built-in names, then what plug-ins declare; imports nothing."""
        others = (name for name, entry in declared(self.kind).items() if not entry.problem)
        return tuple(dict.fromkeys((*self.builtin, *others)))

    def find(self, name: str) -> T:
        """What a name stands for that a person gave.

        Raises:
            OptionError: If there is none of that name.
            PluginError: If a plug-in of that name can't be used.
        """
        if name in self.builtin or name in declared(self.kind):
            return self[name]
        raise OptionError(f"there is no {NOUNS[self.kind]} {name!r}; choose one of {', '.join(self.names())}")

    def problem(self, entry: Declared) -> str | None:
        """What is wrong with a plug-in of this kind; None if it can be used."""
        try:
            if entry.name in self.builtin:
                raise entry.error("the name is built in, and keeps its meaning; the package has to take another")
            self._plugin(entry)
        except PluginError as error:
            return str(error)
        return None

    def _plugin(self, entry: Declared) -> T:
        if entry not in self._made:
            try:
                self._made[entry] = self._adapt(entry, loaded(entry))
            except PluginError as error:
                self._made[entry] = error
            except UgsdError as error:
                self._made[entry] = entry.error(str(error))
            except Exception as error:  # a property of a foreign object may do anything
                self._made[entry] = entry.error(_short(f"{type(error).__name__}: {error}"))
        made = self._made[entry]
        if isinstance(made, PluginError):
            raise made
        return made
