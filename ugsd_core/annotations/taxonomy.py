"""The flag taxonomy: what can be wrong with a caption, and how badly. A versioned file; a campaign keeps its copy.

Ours is `ugsd_core/data/flag_taxonomy.json`. A file of one's own has the same form: an ``id``, a ``version`` that
counts up whenever a meaning changes, ``kinds`` and ``severities`` with names and descriptions by language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from ugsd_core.annotations.errors import AnnotationError

__all__ = ["FlagKind", "Severity", "Taxonomy", "default_taxonomy", "read_taxonomy"]

ID = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class FlagKind:
    """A way for a caption to be wrong.

    Attributes:
        name, description: By language; ``"en"`` is always there.
        needs_note: A flag of this kind says nothing without a note.
    """

    id: str
    name: Mapping[str, str]
    description: Mapping[str, str] = field(default_factory=dict)
    needs_note: bool = False


@dataclass(frozen=True, slots=True)
class Severity:
    """How bad it is.

    Attributes:
        rank: 1 for the mildest; ordinal agreement goes by it.
    """

    id: str
    rank: int
    name: Mapping[str, str]
    description: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Kinds of flags and severities."""

    id: str
    version: int
    kinds: tuple[FlagKind, ...]
    severities: tuple[Severity, ...]

    @property
    def label(self) -> str:
        """``ugsd-flags/1``; every answer carries it."""
        return f"{self.id}/{self.version}"

    def kind(self, name: str) -> FlagKind | None:
        """A kind by its id."""
        return next((kind for kind in self.kinds if kind.id == name), None)

    def rank(self, severity: str) -> int:
        """Rank of a severity; 0 if the taxonomy does not know it."""
        return next((entry.rank for entry in self.severities if entry.id == severity), 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: Any) -> Taxonomy:
        """The inverse of `to_dict`; also what a file holds.

        Raises:
            AnnotationError: If something is missing or doubled.
        """
        try:
            taxonomy = cls(
                id=str(values["id"]),
                version=int(values["version"]),
                kinds=tuple(
                    FlagKind(
                        kind["id"], dict(kind["name"]), dict(kind.get("description", {})), bool(kind.get("needs_note"))
                    )
                    for kind in values["kinds"]
                ),
                severities=tuple(
                    Severity(entry["id"], int(entry["rank"]), dict(entry["name"]), dict(entry.get("description", {})))
                    for entry in values["severities"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AnnotationError(
                f"the flag taxonomy is not complete ({error}); see docs/annotations.md for its form", "taxonomy"
            ) from error
        taxonomy._check()
        return taxonomy

    def _check(self) -> None:
        names = [self.id, *(kind.id for kind in self.kinds), *(entry.id for entry in self.severities)]
        for name in names:
            if not ID.fullmatch(name):
                raise AnnotationError(f"{name!r} is no id in a flag taxonomy: take a-z, 0-9, _ and -", "taxonomy")
        ranks = [entry.rank for entry in self.severities]
        if not self.kinds or not self.severities or self.version < 1:
            raise AnnotationError("a flag taxonomy has a version from 1, a kind and a severity at least", "taxonomy")
        if len({kind.id for kind in self.kinds}) < len(self.kinds) or sorted(set(ranks)) != sorted(ranks):
            raise AnnotationError("a flag taxonomy names a kind or a rank twice; give each one place", "taxonomy")
        shown = [kind.name for kind in self.kinds] + [entry.name for entry in self.severities]
        if min(ranks) < 1 or any("en" not in name for name in shown):
            raise AnnotationError("a flag taxonomy counts ranks from 1 and names everything in English too", "taxonomy")


def default_taxonomy() -> Taxonomy:
    """Ours."""
    text = (files("ugsd_core.data") / "flag_taxonomy.json").read_text(encoding="utf-8")
    return Taxonomy.from_dict(json.loads(text))


def read_taxonomy(path: Path) -> Taxonomy:
    """A taxonomy from a file.

    Raises:
        AnnotationError: If it can't be read or is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(f"the flag taxonomy {path} can't be read: {error}", "taxonomy") from error
    return Taxonomy.from_dict(values)
