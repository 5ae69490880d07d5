"""What an annotator says of a caption, checked against the campaign's taxonomy and the item's tokens.

An answer is kept as plain values in an event: ``verdict``, ``flags`` (``kind``, ``severity``, ``start``, ``end``,
``note``), ``corrected``, ``note``, ``taxonomy``. A skip is an event of its own and holds no answer; how long the
annotator listened is counted from ``listened`` events and stands beside the answer in exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ugsd_core.annotations.campaign import Campaign, Item
from ugsd_core.annotations.errors import AnswerError
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.taxonomy import Taxonomy

__all__ = ["TEXT_LIMIT", "Answer", "Flag", "Verdict", "check_heard", "checked_answer"]

Verdict = Literal["accept", "flag"]
#: Characters of a note or a corrected caption.
TEXT_LIMIT = 4_000
#: Flags of one answer; far more than a caption has tokens is no answer but a mistake of a program.
FLAG_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that is wrong.

    Attributes:
        start, end: Tokens ``[start, end)`` of the item; both None if the flag is about the whole caption.
        severity: None only in a draft.
    """

    kind: str
    severity: str | None
    start: int | None = None
    end: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an annotator says.

    Attributes:
        verdict: None only in a draft.
        corrected: The caption as it should be; None if it was not corrected.
        taxonomy: Label of the taxonomy whose kinds the flags are.
    """

    verdict: Verdict | None
    flags: tuple[Flag, ...] = ()
    corrected: str | None = None
    note: str = ""
    taxonomy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as events keep them."""
        return asdict(self) | {"flags": [asdict(flag) for flag in self.flags]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Answer:
        """The inverse of `to_dict`, for values that were checked before."""
        return cls(
            verdict=values["verdict"],
            flags=tuple(Flag(**flag) for flag in values["flags"]),
            corrected=values["corrected"],
            note=values["note"],
            taxonomy=values["taxonomy"],
        )


def checked_answer(values: Any, taxonomy: Taxonomy, item: Item, *, complete: bool) -> Answer:
    """An answer as the page or a program sends it, made sure of.

    Args:
        values: As `Answer.to_dict`; everything but the verdict may be missing.
        complete: It is to be submitted; a draft may lack a verdict, a severity or a note.

    Raises:
        AnswerError: With the part of the form that it is about.
    """
    if not isinstance(values, Mapping):
        raise AnswerError("an answer is an object with a verdict", "answer")
    unknown = set(values) - {"verdict", "flags", "corrected", "note", "taxonomy"}
    if unknown:
        raise AnswerError(f"an answer has no field {sorted(unknown)[0]!r}", "answer")
    named = values.get("taxonomy") or taxonomy.label
    if named != taxonomy.label:
        raise AnswerError(
            f"the answer was made with the flags {named}, but the campaign uses {taxonomy.label}; reload the page",
            "taxonomy",
        )
    verdict = values.get("verdict")
    if verdict not in ("accept", "flag", None) or (complete and verdict is None):
        raise AnswerError("choose accept or flag", "verdict")
    flags = _flags(values.get("flags"), taxonomy, item, complete=complete)
    if complete and verdict == "accept" and flags:
        raise AnswerError("an accepted caption has no flags; choose flag, or take the flags away", "flags")
    if complete and verdict == "flag" and not flags:
        raise AnswerError("say what is wrong: a flagged caption needs at least one kind of flag", "flags")
    corrected = _text(values.get("corrected"), "corrected")
    return Answer(
        verdict=verdict,
        flags=flags,
        # A correction that changes nothing is none; a draft keeps what is in the field.
        corrected=corrected if corrected and (not complete or corrected.strip() != item.caption.strip()) else None,
        note=_text(values.get("note"), "note"),
        taxonomy=taxonomy.label,
    )


def _flags(values: Any, taxonomy: Taxonomy, item: Item, *, complete: bool) -> tuple[Flag, ...]:
    if values is None:
        return ()
    if not isinstance(values, (list, tuple)) or len(values) > FLAG_LIMIT:
        raise AnswerError(f"flags are a list of at most {FLAG_LIMIT}", "flags")
    flags = tuple(_flag(value, taxonomy, item, complete=complete) for value in values)
    places = [(flag.kind, flag.start, flag.end) for flag in flags]
    if complete and len(set(places)) < len(places):
        raise AnswerError("the same flag stands twice at the same place; take one away", "flags")
    return flags


def _flag(value: Any, taxonomy: Taxonomy, item: Item, *, complete: bool) -> Flag:
    if not isinstance(value, Mapping) or set(value) - {"kind", "severity", "start", "end", "note"}:
        raise AnswerError("a flag has a kind, a severity, a start, an end and a note", "flags")
    kind = taxonomy.kind(str(value.get("kind")))
    if kind is None:
        known = ", ".join(entry.id for entry in taxonomy.kinds)
        raise AnswerError(f"{taxonomy.label} has no flag {value.get('kind')!r}; it has {known}", "flags")
    severity = value.get("severity")
    if (severity is None and complete) or (severity is not None and not taxonomy.rank(str(severity))):
        known = ", ".join(entry.id for entry in taxonomy.severities)
        raise AnswerError(f"say how bad '{kind.name['en']}' is: {known}", "severity")
    note = _text(value.get("note"), "note")
    if complete and kind.needs_note and not note.strip():
        raise AnswerError(f"a flag '{kind.name['en']}' needs a note that says what is wrong", "note")
    start, end = _span(value.get("start"), value.get("end"), len(item.tokens))
    return Flag(kind.id, severity, start, end, note)


def _span(start: Any, end: Any, tokens: int) -> tuple[int | None, int | None]:
    if start is None and end is None:
        return None, None
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in (start, end))
    if not whole or not 0 <= start < end <= tokens:
        raise AnswerError(f"a flag's place is a range of the caption's {tokens} tokens, not {start} to {end}", "span")
    return start, end


def _text(value: Any, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > TEXT_LIMIT:
        raise AnswerError(f"the {field} is text of at most {TEXT_LIMIT} characters", field)
    return value.replace("\r\n", "\n")


def check_heard(campaign: Campaign, item: Item, state: AnswerState) -> None:
    """The must-listen rule.

    Raises:
        AnswerError: If too little of the clip was played.
    """
    if not item.audio or campaign.must_listen <= 0.0:
        return
    if item.duration_s is None:
        if state.listened_s <= 0.0:
            raise AnswerError("listen to the clip before you submit", "listened", "not_heard")
    elif state.heard_s < campaign.must_listen * item.duration_s - 0.1:
        raise AnswerError(
            f"listen to the clip before you submit: {state.heard_s:.1f} of {item.duration_s:.1f} s were played, and "
            f"{campaign.must_listen:.0%} are asked for",
            "listened",
            "not_heard",
        )
