"""Answers: what is taken and what is sent back, with the part of the form that it is about."""

from __future__ import annotations

from typing import Any

import pytest

from tests.annotations.helpers import FLAG, new_item
from ugsd_core.annotations.answers import TEXT_LIMIT, Answer, checked_answer
from ugsd_core.annotations.errors import AnswerError
from ugsd_core.annotations.taxonomy import default_taxonomy

TAXONOMY = default_taxonomy()
ITEM = new_item("c", "clip", "She sounds sad.").item


def checked(values: Any, *, complete: bool = True) -> Answer:
    return checked_answer(values, TAXONOMY, ITEM, complete=complete)


def flag(**values: Any) -> dict[str, Any]:
    return {"verdict": "flag", "flags": [{"kind": "missing_cue", "severity": "minor"} | values]}


def test_an_answer_survives_its_own_values() -> None:
    answer = checked(FLAG | {"corrected": "She sounds calm.", "note": "hm"})
    assert Answer.from_dict(answer.to_dict()) == answer
    assert checked(answer.to_dict()) == answer
    assert answer.taxonomy == "ugsd-flags/1"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "verdict"),
        ({"verdict": "maybe"}, "verdict"),
        ({"verdict": "flag"}, "flags"),
        (FLAG | {"verdict": "accept"}, "flags"),
        (flag(kind="boring"), "flags"),
        (flag(severity=None), "severity"),
        (flag(severity="deadly"), "severity"),
        (flag(start=0), "span"),
        (flag(start=2, end=2), "span"),
        (flag(start=-1, end=2), "span"),
        (flag(start=0, end=99), "span"),
        (flag(start=True, end=2), "span"),
        (flag(start="0", end="2"), "span"),
        (flag(colour="red"), "flags"),
        (flag(kind="other"), "note"),
        (flag(note=3), "note"),
        ({"verdict": "flag", "flags": flag()["flags"] * 2}, "flags"),
        ({"verdict": "flag", "flags": "all"}, "flags"),
        ({"verdict": "accept", "note": "x" * (TEXT_LIMIT + 1)}, "note"),
        ({"verdict": "accept", "corrected": 5}, "corrected"),
        ({"verdict": "accept", "mood": "bad"}, "answer"),
        ({"verdict": "accept", "taxonomy": "ugsd-flags/0"}, "taxonomy"),
        ("accept", "answer"),
    ],
)
def test_what_can_be_no_answer_is_sent_back_to_its_field(values: Any, field: str) -> None:
    with pytest.raises(AnswerError) as caught:
        checked(values)
    assert caught.value.field == field


def test_a_draft_may_be_half_done_but_not_nonsense() -> None:
    assert checked({}, complete=False).verdict is None
    assert checked(flag(kind="other", severity=None), complete=False).flags[0].severity is None
    with pytest.raises(AnswerError):
        checked(flag(start=0, end=99), complete=False)


def test_a_correction_that_changes_nothing_is_none() -> None:
    assert checked({"verdict": "accept", "corrected": " She sounds sad. "}).corrected is None
    assert checked({"verdict": "accept", "corrected": "She sounds sad."}, complete=False).corrected is not None
