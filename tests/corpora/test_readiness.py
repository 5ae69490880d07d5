"""A preflight says how many clips are usable, why others are not, and what mends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from ugsd_core.corpora import Corpus, CorpusClip, Problem, ProblemKind, main_language, preflight
from ugsd_core.corpora.readiness import _ORDER, _WORDS, Finding, FindingKind

WAV = Path("a.wav")


def clip(id: str, path: Path | None = WAV, label: str | None = None, **references: str) -> CorpusClip:
    return CorpusClip(id, "c", path, {key: (text,) for key, text in references.items()}, label)


def corpus(*clips: CorpusClip, problems: tuple[Problem, ...] = ()) -> Corpus:
    return Corpus("c", "manifest", clips, problems)


def kinds(findings: tuple[Finding, ...]) -> list[tuple[str, int, int]]:
    return [(finding.kind, finding.count, finding.lost) for finding in findings]


def test_every_kind_has_words_and_a_place() -> None:
    problem, finding = set(get_args(ProblemKind)), set()
    for entry in get_args(FindingKind):
        finding |= set(get_args(entry)) or {entry}
    assert problem < finding == set(_WORDS) == set(_ORDER) and len(_ORDER) == len(_WORDS)


def test_every_clip_is_counted_once() -> None:
    problems = (
        Problem("missing_audio", "There is no recording b.", "b", 3),
        Problem("outside_folder", "The recording of c is elsewhere.", "c", 4),
        Problem("unreadable_row", "Line 9 was left out.", row=9),
        Problem("uninformative", "Nothing in f.", "f", 7),
    )
    clips = (clip("a", en="x"), clip("b", None, en="x"), clip("c", None, zh="x"), clip("d", zh="x"), clip("e"))
    others = (clip("f", en="x"), clip("g", label="calm"))
    found = preflight(corpus(*clips, *others, problems=problems), "en")
    assert (found.clips, found.with_audio, found.with_reference, found.with_label) == (7, 5, 3, 1)
    assert (found.usable, found.uninformative, found.ready) == (3, 1, True)
    assert found.summary == "3 of 7 clips can be captioned and scored in English."
    assert kinds(found.findings) == [
        ("missing_audio", 1, 1),
        ("outside_folder", 1, 1),
        ("other_language", 2, 1),
        ("no_reference", 1, 1),
        ("unreadable_row", 1, 0),
        ("labels_only", 1, 0),
        ("uninformative", 1, 0),
    ]
    assert found.clips - found.usable == sum(finding.lost for finding in found.findings)
    assert found.findings[4].examples[0].row == 9 and found.findings[2].examples[1].clip == "d"


def test_nothing_usable_comes_first() -> None:
    problems = tuple(Problem("missing_audio", f"no {n}", f"c{n}") for n in range(20))
    clips = [clip(f"c{n}", None, zh="x") for n in range(20)]
    found = preflight(corpus(*clips, problems=problems), "zh", examples=3)
    assert not found.ready
    assert [finding.kind for finding in found.findings] == ["nothing_usable", "no_audio", "missing_audio"]
    assert found.findings[2].message == "20 recordings are missing." and len(found.findings[2].examples) == 3
    assert preflight(corpus(), "en").findings[0].kind == "nothing_usable"


def test_one_clip_is_said_to_be_too_few() -> None:
    found = preflight(corpus(clip("a", en="x")), "en")
    assert kinds(found.findings) == [("one_clip", 1, 0)] and "CIDEr-D" in found.findings[0].remedy


def test_words_are_whole_and_plain_values_are_json() -> None:
    problems = tuple(Problem(kind, "A sentence.", "a") for kind in get_args(ProblemKind))
    found = preflight(corpus(clip("a", zh="x"), problems=problems), "en")
    for finding in found.findings:
        assert finding.message.endswith(".") and finding.remedy.endswith(".")
        assert "{" not in finding.message + finding.remedy
    assert json.loads(json.dumps(found.to_dict()))["ready"] is False


def test_the_main_language_is_that_of_most_references() -> None:
    assert main_language(corpus(clip("a", en="x"), clip("b", zh="x"), clip("c", zh="x"))) == "zh"
    assert main_language(corpus(clip("a", en="x"), clip("b", zh="x"))) == main_language(corpus()) == "en"
