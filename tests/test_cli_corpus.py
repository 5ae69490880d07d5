"""``ugsd corpus`` says what is in a corpus, without any model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpora.folders import CHINESE, ENGLISH, emer_csv, manifest, recordings
from ugsd_core.cli import main


def test_people_read_how_many_clips_are_usable_and_why_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"s{n}" for n in range(10)]
    folder = emer_csv(tmp_path / "emer", [(name, CHINESE, ENGLISH) for name in names])
    audio = recordings(tmp_path / "audio", ["s0.wav", "s1.mp4"])
    assert main(["corpus", str(folder), "--audio", str(audio), "--examples", "2"]) == 0
    out = capsys.readouterr().out
    assert "2 of 10 clips can be captioned and scored in English." in out
    assert "8 recordings are missing. (8 not usable for this)" in out
    assert out.count("There is no recording") == 2 and "and 6 more" in out


def test_programs_read_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "id,path,speaker,emotion,split\na,a.wav,s1,calm,test\nb,b.wav,s2,anger,test\nc,a.wav,s3,calm,dev\n"
    folder = manifest(tmp_path / "mine", text, ["a.wav"])
    assert main(["corpus", str(folder), "--json", "--language", "zh", "--split", "test"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert (found["corpus"], found["clips"], found["usable"], found["language"]) == ("mine", 2, 1, "zh")
    assert found["labels"] == {"anger": 1, "calm": 1} and found["speakers"] == 2 and found["splits"] == {"test": 2}
    assert [finding["kind"] for finding in found["findings"]] == ["missing_audio", "one_clip", "labels_only"]


def test_nothing_usable_is_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = manifest(tmp_path, "id,path,emotion\na,a.wav,calm\n")
    assert main(["corpus", str(folder)]) == 1
    assert "Not one recording was found" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nowhere"], [".", "--format", "secap"], [".", "--examples", "-1"]])
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ugsd: ") and error.count("\n") == 1


def test_ones_own_corpus_may_point_elsewhere(tmp_path: Path) -> None:
    recordings(tmp_path / "audio", ["a.wav"])
    folder = manifest(tmp_path / "c", "id,path,emotion\na,../audio/a.wav,calm\n")
    assert main(["corpus", str(folder)]) == 0


def test_nothing_heavy_is_imported_for_it(tmp_path: Path) -> None:
    folder = manifest(tmp_path, "id,path,emotion\na,a.wav,calm\n", ["a.wav"])
    program = (
        "import sys; from ugsd_core.cli import main; code = main(['corpus', sys.argv[1], '--json']); "
        "print([name for name in ('torch', 'pandas', 'av', 'soundfile', 'websockets') if name in sys.modules]); "
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
