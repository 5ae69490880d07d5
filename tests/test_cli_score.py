"""``ugsd score``: what is typed, printed and written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.metrics.cases import DATA, recorded_values
from ugsd_core.cli import main
from ugsd_core.metrics import METRICS, metric_names

ENGLISH, CHINESE = DATA / "pairs-en.jsonl", DATA / "pairs-zh.jsonl"


def score(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert main(["score", *map(str, words), "--json", "--draws", "50"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("path", "language"), [(ENGLISH, "en"), (CHINESE, "zh")])
def test_all_metrics_come_with_interval_unit_definition_and_signature(
    capsys: pytest.CaptureFixture[str], path: Path, language: str
) -> None:
    found = score(capsys, "--pairs", path, "--language", language)
    assert found["n"] == 240 and found["draws"] == 50 and found["resampled"] == "clips" and "clips" not in found
    assert tuple(found["metrics"]) == metric_names(language)
    recorded = recorded_values(language)["corpus"]
    for name, row in found["metrics"].items():
        assert row["definition"] == METRICS[name].definition and row["signature"]
        if name == "emotion_consistency":
            assert row["value"] is None and row["reason"] == "n/a (needs clips with an emotion label)"
            continue
        assert row["low"] <= row["value"] <= row["high"] and row["reason"] is None
        if name in recorded:
            assert row["value"] == pytest.approx(recorded[name], abs=1e-6)


def test_every_clip_is_in_the_file_and_on_request_in_the_output(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    common = ("--pairs", ENGLISH, "--language", "en", "--metrics", "rougeL,length")
    plain = score(capsys, *common, "--out", out)
    whole = score(capsys, *common, "--per-clip")
    assert "clips" not in plain and json.loads(out.read_text(encoding="utf-8")) == whole
    assert len(whole["clips"]) == 240 and set(whole["clips"][0]) == {"id", "rougeL", "length"}


def test_two_files_are_compared_on_the_same_clips(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [json.loads(line) for line in ENGLISH.read_text(encoding="utf-8").splitlines()]
    worse = tmp_path / "worse.jsonl"
    worse.write_text(
        "".join(json.dumps(row | {"hypothesis": "A voice."}) + "\n" for row in rows[:200]), encoding="utf-8"
    )
    found = score(capsys, "--pairs", ENGLISH, "--language", "en", "--metrics", "rougeL", "--against", worse)["against"]
    assert found["n"] == 200 and set(found["metrics"]) == {"rougeL"}
    row = found["metrics"]["rougeL"]
    assert row["difference"] == pytest.approx(row["value"] - row["against"]) and row["difference"] > 0
    assert row["low"] > 0 and row["p"] < 0.05 and row["mde"] > 0 and row["n"] == 200


def test_a_person_reads_a_table_with_definitions_and_signatures(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["score", "--pairs", str(CHINESE), "--language", "zh", "--draws", "20", "--against", str(CHINESE)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "240 Chinese captions; 95 % intervals from 20 draws of clips, seed 0" in text
    for name in metric_names("zh"):
        assert f"  {name}: {METRICS[name].definition}" in text
    assert "tok:zh" in text and "n/a (needs clips with an emotion label)" in text and "mde" in text


def test_the_same_seed_gives_the_same_interval(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("--pairs", CHINESE, "--language", "zh", "--metrics", "rougeL")
    one, again, other = (score(capsys, *common, "--seed", seed)["metrics"]["rougeL"] for seed in ("1", "1", "2"))
    assert one == again and one["low"] != other["low"]


def test_speakers_are_resampled_where_they_are_known(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"id": n, "hypothesis": "sad", "reference": "sad", "speaker": f"s{n % 3}"} for n in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = score(capsys, "--pairs", path, "--language", "en", "--metrics", "length")
    assert found["resampled"] == "speakers, then clips"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--metrics", "bleu"), "there is no metric 'bleu' for en; choose of all, paper_bleu1"),
        (("--metrics", "meteor_exact_zh"), "no metric 'meteor_exact_zh' for en"),
        (("--metrics", ","), "--metrics names none"),
        (("--draws", "5"), "an interval needs 20 to"),
        (("--seed", "-1"), "the seed is 0 or more"),
        (("--out", "/nowhere/x.json"), "can't be written"),
        (("--system", "edge"), "its rows name no system"),
        (("--against", "none.jsonl"), "there is no file none.jsonl"),
    ],
)
def test_what_is_mistyped_is_said_in_one_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert main(["score", "--pairs", str(ENGLISH), "--language", "en", *words]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err and captured.out == ""


def test_scoring_loads_no_model_and_its_help_loads_nothing() -> None:
    program = (
        "import sys; from ugsd_core.cli import main; "
        f"main(['score', '--pairs', {str(CHINESE)!r}, '--language', 'zh', '--draws', '20', '--json']); "
        "print([name for name in ('torch', 'transformers', 'gradio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    light = "import sys, ugsd_core.cli.score, ugsd_core.metrics; print({'nltk', 'sacrebleu'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
