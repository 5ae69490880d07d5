"""A corpus is recognised by what is there, and what is not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora.folders import CHINESE, ENGLISH, emer_csv, manifest, recordings, secap
from ugsd_core.cli.corpus_parser import FORMAT_NAMES
from ugsd_core.corpora import FORMATS, read_corpus
from ugsd_core.corpora.clip import NOTES
from ugsd_core.errors import OptionError


def test_each_format_is_recognised(tmp_path: Path) -> None:
    for folder, format in (
        (emer_csv(tmp_path / "emer", [("a", CHINESE, ENGLISH)]), "mer2024"),
        (secap(tmp_path / "secap", '{"a": "平静"}'), "secap"),
        (manifest(tmp_path / "other", "id,path\na,a.wav\n"), "manifest"),
    ):
        assert read_corpus(folder).format == format == read_corpus(str(folder), format).format
    table = tmp_path / "other" / "clips.csv"
    (tmp_path / "other" / "manifest.csv").rename(table)
    assert read_corpus(table).format == "manifest"


def test_the_command_line_knows_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


def test_what_is_no_corpus_is_told_what_was_looked_for(tmp_path: Path) -> None:
    recordings(tmp_path, ["a.wav", "notes.csv"])
    with pytest.raises(OptionError) as caught:
        read_corpus(tmp_path)
    for entry in FORMATS.values():
        assert entry.name in str(caught.value) and entry.signs in str(caught.value)
    with pytest.raises(OptionError, match="there is no"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(OptionError, match="choose one of mer2024, secap, manifest"):
        read_corpus(tmp_path, "kaldi")
    for name in FORMATS:
        with pytest.raises(OptionError, match="holds no"):
            read_corpus(tmp_path, name)


def test_a_folder_that_could_be_two_is_asked_about(tmp_path: Path) -> None:
    manifest(secap(tmp_path, '{"a": "平静"}'), "id,path\na,a.wav\n")
    with pytest.raises(OptionError, match="secap and manifest"):
        read_corpus(tmp_path)
    assert read_corpus(tmp_path, "manifest").format == "manifest"


def test_a_name_can_be_given_and_the_hash_follows_content_alone(tmp_path: Path) -> None:
    text = "id,path,caption\na,a.wav,She is calm.\n"
    first = read_corpus(manifest(tmp_path / "x", text, ["a.wav"]), name="mine")
    second = read_corpus(manifest(tmp_path / "y", text), name="mine")
    assert first.name == first.clips[0].corpus == "mine"
    assert first.sha256 == second.sha256
    assert first.sha256 != read_corpus(tmp_path / "x").sha256


def test_a_table_beyond_all_measure_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ugsd_core.corpora import tables

    monkeypatch.setattr(tables, "MAX_TABLE_MB", 0)
    with pytest.raises(OptionError, match="MB"):
        read_corpus(manifest(tmp_path, "id,path\na,a.wav\n"))


def test_notes_leave_a_clip_usable(tmp_path: Path) -> None:
    folder = emer_csv(tmp_path, [("a", "在音频中，无法判断他的状态；", ENGLISH)])
    recordings(folder, ["a.wav", "a.mp4"])
    corpus = read_corpus(folder)
    assert {problem.kind for problem in corpus.problems} == {"uninformative", "ambiguous_audio"} <= NOTES
    assert len(corpus.usable("en")) == 1
