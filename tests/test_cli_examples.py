"""`ugsd examples`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ugsd_core.cli import main
from ugsd_core.corpora import preflight, read_corpus


def test_the_examples_are_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clips"
    assert main(["examples", str(folder)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6 and all(Path(line).is_file() for line in printed)
    corpus = read_corpus(str(folder))
    assert preflight(corpus, "en").ready and preflight(corpus, "zh").ready
    assert not list(folder.glob("*.py"))


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_text("mine")
    assert main(["examples", str(tmp_path)]) == 2
    assert "name a folder that is not" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["examples", str(tmp_path / "file/clips")]) == 2
    said = capsys.readouterr().err
    assert "can't be written" in said and said.count("\n") == 1
