"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "State", "healthy"]

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table.

    Attributes:
        group: Heading under which it stands.
        name: What was looked at.
        state: *ok*; *note*: worth knowing, and everything installed works without it; *missing*: something will fail.
        found: What is there, in words.
        mend: The one line to type, or the one thing to do; empty where there is nothing to mend.
        details: The same for programs.
    """

    group: str
    name: str
    state: State
    found: str
    mend: str = ""
    details: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(finding.state != "missing" for finding in findings)
