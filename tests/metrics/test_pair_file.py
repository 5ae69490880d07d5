"""Files of pairs: what is read, and what is said of a file that can't be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import ClipLine, append_line
from ugsd_core.metrics.pair_file import language_warning, read_pairs, shared_clips

GOOD = {"id": "a", "hypothesis": "A sad voice.", "references": ["She sounds sad."]}


def write(folder: Path, *rows: Any, encoding: str = "utf-8", end: str = "\n") -> Path:
    path = folder / "pairs.jsonl"
    text = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + end for row in rows)
    path.write_bytes(text.encode(encoding))
    return path


def test_ids_labels_and_speakers_are_read(tmp_path: Path) -> None:
    row = {"id": 7, "hypothesis": "A sad voice.", "reference": "She is sad.", "label": "Angry", "speaker": "s1"}
    found = read_pairs(write(tmp_path, GOOD, row))
    assert [pair.id for pair in found.pairs] == ["a", "7"]
    assert found.pairs[1].references == ("She is sad.",) and found.pairs[1].label == "anger"
    assert found.speakers == ("", "s1") and found.warnings == ()


@pytest.mark.parametrize(("encoding", "end"), [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8-sig", "\r\n\r\n")])
def test_a_bom_windows_line_ends_and_empty_lines_do_no_harm(tmp_path: Path, encoding: str, end: str) -> None:
    row = GOOD | {"hypothesis": "声音低沉\u2028。"}
    found = read_pairs(write(tmp_path, row, GOOD | {"id": "b"}, encoding=encoding, end=end))
    assert [pair.hypothesis for pair in found.pairs] == ["声音低沉\u2028。", "A sad voice."]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((), "is empty"),
        (("",), "is empty"),
        ((GOOD, '{"id": "b", "hypoth'), r"line 2 of pairs.jsonl is no JSON"),
        (("id,hypothesis,references", "a,b,c"), "no JSON Lines file"),
        (("[", json.dumps(GOOD), "]"), "one JSON document over several lines"),
        (("[1]",), "line 1 of pairs.jsonl is no JSON object"),
        (({"name": "a", "text": "b"},), "has no id and no hypothesis, only name, text"),
        ((GOOD | {"id": None},), "the id in line 1"),
        ((GOOD | {"hypothesis": ["A"]},), "the hypothesis in line 1"),
        ((GOOD | {"references": "She sounds sad."},), "references in line 1 of pairs.jsonl is a text; make it a list"),
        ((GOOD | {"references": [1]},), "no list of texts"),
        ((GOOD | {"label": 3},), "the label in line 1"),
        ((GOOD | {"references": []},), "no row of pairs.jsonl has a reference"),
        (({"id": "a", "hypothesis": "A"},), "no row of pairs.jsonl has a reference"),
        ((GOOD, GOOD | {"id": "b"}, GOOD), "line 3 of pairs.jsonl has the id 'a' of line 1 again"),
        ((GOOD | {"hypothesis": None},), "all captions of pairs.jsonl failed"),
    ],
)
def test_each_fault_has_its_sentence(tmp_path: Path, rows: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        read_pairs(write(tmp_path, *rows))


def test_other_encodings_are_named_with_the_line_that_converts_them(tmp_path: Path) -> None:
    row = GOOD | {"hypothesis": "声音低沉"}
    with pytest.raises(OptionError, match=r"\(line 2\) but looks like GBK; convert it: iconv -f GB18030"):
        read_pairs(write(tmp_path, GOOD, row, encoding="gbk"))
    with pytest.raises(OptionError, match="UTF-16"):
        read_pairs(write(tmp_path, row, encoding="utf-16"))
    with pytest.raises(OptionError, match="there is no file"):
        read_pairs(tmp_path / "none.jsonl")


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    rows = [
        GOOD,
        GOOD | {"id": "b", "references": []},
        GOOD | {"id": "c", "hypothesis": ""},
        GOOD | {"id": "d", "hypothesis": None},
        GOOD | {"id": "e", "label": "nostalgia"},
    ]
    found = read_pairs(write(tmp_path, *rows))
    assert [pair.id for pair in found.pairs] == ["a", "b", "c", "e"]
    assert [warning.split(" ")[0].strip(",") for warning in found.warnings] == ["left", "without", "empty", "labels"]
    assert found.warnings[0].endswith("1 caption: d")


def test_a_run_folder_is_read_by_system_and_the_later_line_counts(tmp_path: Path) -> None:
    def line(name: str, system: str, text: str | None) -> ClipLine:
        return ClipLine(name, "c", system, "en", text, references=("She sounds sad.",), label="sadness", speaker="s")

    path = tmp_path / "clips.jsonl"
    for entry in (
        line("a", "edge", None),
        line("a", "cloud", "Two"),
        line("a", "edge", "Three"),
        line("b", "edge", "B"),
    ):
        append_line(path, entry)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": "c", "hyp')  # killed while it wrote
    found = read_pairs(tmp_path, "edge")
    assert [(pair.id, pair.hypothesis) for pair in found.pairs] == [("a", "Three"), ("b", "B")]
    with pytest.raises(OptionError, match="holds 2 systems; choose one with --system: edge, cloud"):
        read_pairs(tmp_path)
    with pytest.raises(OptionError, match="no captions of a system 'ugsd'; it holds edge, cloud"):
        read_pairs(tmp_path, "ugsd")


def test_two_files_meet_on_the_clips_that_both_have(tmp_path: Path) -> None:
    one = read_pairs(write(tmp_path, GOOD, GOOD | {"id": "b"}, GOOD | {"id": "c"}))
    two = read_pairs(write(tmp_path, GOOD | {"id": "c", "references": ["Other."]}, GOOD | {"id": "b"}))
    first, second = shared_clips(one, two)
    assert [p.id for p in first.pairs] == [p.id for p in second.pairs] == ["b", "c"]
    assert len(first.warnings) == 2 and "other references" in first.warnings[1]
    with pytest.raises(OptionError, match="no id in common"):
        shared_clips(one, read_pairs(write(tmp_path, GOOD | {"id": "z"})))


def test_the_wrong_language_is_noticed(tmp_path: Path) -> None:
    english = read_pairs(write(tmp_path, GOOD)).pairs
    chinese = read_pairs(write(tmp_path, GOOD | {"hypothesis": "声音低沉", "references": ["他很难过"]})).pairs
    assert language_warning(english, "en") is None and language_warning(chinese, "zh") is None
    assert "mostly Chinese; --language zh" in (language_warning(chinese, "en") or "")
    assert "--language en" in (language_warning(english, "zh") or "")
    mixed = read_pairs(write(tmp_path, GOOD | {"references": ["他很难过"]})).pairs
    assert "the references are mostly Chinese" in (language_warning(mixed, "en") or "")
