"""The evaluation of the pair: scores by hand, records that add up, and a small run from clips to tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.calibration.test_collect import write_corpus
from tools import evaluate_pair
from tools.evaluation.figures import variety
from tools.evaluation.runner import read_lines
from tools.evaluation.scores import base_name, closure_at, human_scores, promise_rows, sheet_of
from tools.evaluation.settings import EVERY_EMOTION, chosen_settings, settings_for
from tools.evaluation.sweep import sweep_settings
from ugsd_core.gate import gate
from ugsd_core.gate_card import FusionWeights, GateCard

CARD = GateCard(
    signals=("head_doubt",),
    mean=(0.2,),
    scale=(0.1,),
    weights=(1.0,),
    bias=-1.0,
    threshold=0.4,
    budget=0.02,
    budgets=((0.01, 0.6), (0.02, 0.4)),
    promises=((0.1, 0.3),),
    acceptance="fused",
    fusion=FusionWeights(0.5, 0.25, 0.25),
)


# ── n-grams ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_n_gram_scores_against_people_are_those_of_the_metrics() -> None:
    settings = {"edge-only": {"caption": "声音低沉，听起来很难过。", "label": 7}}
    lines = [
        {"human": "他声音低沉，很悲伤。", "speaker": "a", "settings": settings},
        {"human": "语速慢。", "speaker": "b", "settings": settings},
    ]
    found = human_scores(lines, "edge-only", "zh", draws=50)
    assert found is not None and found["n"] == 2 and found["distinct"] == 1
    assert found["paper_bleu1"] > found["bleu1"] > 0  # without and with brevity penalty
    assert found["rougeL_interval"]["value"] == pytest.approx(found["rougeL"])
    assert found["with_emotion"] == 1 and "tok:zh" in found["signature"]


# ── Settings ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_has_a_name_of_its_own_and_options_that_the_gates_take() -> None:
    curves = {name: {"0.02": {"threshold": 0.3}} for name in ("entropy", "head_doubt", "label_entropy")}
    found = settings_for(CARD, curves)
    names = [setting.name for setting in found]
    assert len(names) == len(set(names)) > 80
    for setting in found:
        if setting.kind == "plain":
            gate(setting.options, "00ff", card=CARD)
    marks = {setting.mark("en") for setting in found if setting.family != "presets"}
    assert len(marks) == sum(setting.family != "presets" for setting in found)
    fused = [setting for setting in found if setting.name.split(" #")[0].endswith(", fused")]
    assert fused and all(setting.options.acceptance == "fused" for setting in fused)
    assert {setting.name for setting in settings_for(None, {})} < set(names)
    sweep = sweep_settings(CARD)
    assert len({setting.name for setting in sweep} | set(names)) == len(sweep) + len(names) - 2  # the two ends
    for setting in sweep:
        gate(setting.options, "00ff", card=CARD)
    only = chosen_settings(found, "oracle | head_doubt")
    assert {"edge-only", "cloud-only", "oracle: the label changes", "head_doubt, dev ρ ≤ 0.02"} <= {
        s.name for s in only
    }
    assert not any("random" in setting.name for setting in only)


# ── Figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def entry(
    label: int | None, family: str = "f", *, sent: int = 0, named: dict[str, Any] | None = None
) -> dict[str, Any]:
    counts = {"drafted": 20, "caption": 20, "blocks": 20, "escalations": sent, "ids_changed": sent // 2}
    counts |= {"meanings_changed": 0, "sent": sent, "seen": 0, "put": 0}
    return {"mark": "m", "family": family, "caption": "c", "label": label, "named": named or {}, "counts": counts}


def line(number: int, corpus: str, speaker: str, label: int | None, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"c{number}", "corpus": corpus, "speaker": speaker, "sex": "f", "language": "en", "label": label,
        "human": None, "reference": None, "settings": settings,
    }  # fmt: skip


def four() -> list[dict[str, Any]]:
    """Two corpora: the edge is right on 1 of 2 and 0 of 2, the cloud on all, the gate on 2 of 2 and 1 of 2."""
    rows = [("a", 1, 1, 1, 0), ("a", 0, 1, 1, 2), ("b", 0, 1, 1, 1), ("b", 0, 1, 0, 0)]
    found = []
    for number, (corpus, edge, cloud, gated, sent) in enumerate(rows):
        cues = {"pitch": ["high", True], "rate": ["low", None]} if number else {"pitch": ["low", False]}
        settings = {"edge-only": entry(edge, "ends"), "cloud-only": entry(cloud, "ends")}
        settings |= {f"gate #{seed}": entry(gated, "g", sent=sent, named=cues) for seed in (0, 1)}
        found.append(line(number, corpus, f"{corpus}{number % 2}", 1, settings))
    return found


def test_figures_of_a_setting_by_hand() -> None:
    sheet = sheet_of(four(), draws=50)
    assert sheet is not None
    row = sheet.figures("gate")
    assert row["accuracy"]["value"] == pytest.approx(0.75) and row["corpora"]["b"]["accuracy"] == 0.5
    assert row["closure"]["value"] == pytest.approx((0.75 - 0.25) / (1.0 - 0.25))
    assert row["over_edge"]["value"] == pytest.approx(0.5)
    assert row["rho"]["value"] == pytest.approx((2 / 40 + 1 / 40) / 2)
    assert row["trips"]["value"] == pytest.approx((1 + 0.5) / 2)
    assert row["useful"]["value"] == pytest.approx((1 / 2 + 0 / 1) / 2)
    assert row["cues"]["value"] == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert row["accuracy"]["low"] <= 0.75 <= row["accuracy"]["high"]
    assert sheet_of([line(0, "a", "s", None, {"edge-only": entry(1)})]) is None


def test_repetitions_are_averaged_under_one_name() -> None:
    assert base_name("random, p = 0.1 #2") == "random, p = 0.1"
    sheet = sheet_of(four(), draws=20)
    assert sheet is not None and set(sheet.columns) == {"edge-only", "cloud-only", "gate"}


def test_a_curve_is_read_between_its_points() -> None:
    assert closure_at([(0.04, 1.0), (0.02, 0.8)], 0.01) == pytest.approx(0.4)
    assert closure_at([(0.04, 1.0), (0.02, 0.8)], 0.03) == pytest.approx(0.9)
    assert closure_at([(0.04, 1.0)], 0.05) is None


def test_a_promise_is_broken_by_captions_that_keep_another_label() -> None:
    lines = [
        line(n, "a", "s", 1, {EVERY_EMOTION: entry(1), "calibrated, promise 0.1": entry(int(n > 1), "promises")})
        for n in range(10)
    ]
    (row,) = promise_rows(lines, "")
    assert row["alpha"] == 0.1 and row["speakers"]["s"]["risk"] == pytest.approx(0.2)
    assert promise_rows(lines, ", fused") == []


def test_lines_of_one_clip_add_up_and_the_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "clips-1of1.jsonl"
    first = line(0, "a", "s", 1, {"edge-only": entry(1), "x": entry(2)}) | {"cues": {"pitch": 1.0}}
    later = line(0, "a", "s", 1, {"x": entry(3)})
    path.write_text("".join(json.dumps(entry) + "\n" for entry in (first, later)), encoding="utf-8")
    (joined,) = read_lines([path])
    assert joined["settings"]["x"]["label"] == 3 and "edge-only" in joined["settings"] and joined["cues"]


# ── A run ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_from_clips_to_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("swift_f0")
    edge = tiny.save_checkpoint(tmp_path / "edge", "qwen2_5_omni", seed=1)
    verifier = tiny.save_checkpoint(tmp_path / "verifier", "qwen2_5_omni", seed=2, size=48)
    write_corpus(tmp_path / "data" / "ravdess")
    base = ["run", "--data", str(tmp_path / "data"), "--edge", str(edge), "--verifier", str(verifier)]
    base += ["--out", str(tmp_path / "out"), "--corpora", "ravdess", "--split", "dev", "--languages", "en"]
    few = ["--settings", "k = 1 | random emotion | oracle"]
    assert evaluate_pair.main([*base, *few, "--part", "1/2"]) == 0
    assert evaluate_pair.main([*base, *few, "--part", "2/2"]) == 0
    (folder,) = (tmp_path / "out").glob("edge-*")
    before = {path.name: path.stat().st_size for path in folder.glob("clips-*")}
    assert set(before) == {"clips-1of2.jsonl", "clips-2of2.jsonl"}
    assert evaluate_pair.main([*base, *few, "--part", "1/2"]) == 0  # nothing is left to do
    assert {path.name: path.stat().st_size for path in folder.glob("clips-*")} == before
    lines = read_lines(sorted(folder.glob("clips-*")))
    assert len(lines) == 4 and all("every emotion position" not in row["settings"] for row in lines)
    capsys.readouterr()
    assert evaluate_pair.main(["report", "--out", str(tmp_path / "out"), "--draws", "20"]) == 0
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "### Emotion named right" in text and "oracle: blocks that change" in text
    record = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    oracle = record[0]["settings"]["oracle: blocks that change, k = 4"]
    assert oracle["useful"]["value"] in (None, 1.0)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["run", "--data", "nowhere"], "no folder nowhere"),
        (["run", "--data", "nowhere", "--part", "3/2"], "--part takes two numbers"),
        (["report", "--out", "nowhere"], "holds no records"),
    ],
)
def test_what_can_be_mended_is_one_sentence(argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_pair.main(argv) == 2
    assert sentence in capsys.readouterr().err


def test_two_speakers_of_one_emotion_with_one_sentence_are_counted() -> None:
    said = [("a", 0, "x."), ("a", 0, "x."), ("b", 0, "x."), ("b", 0, "y."), ("c", 1, "x.")]
    lines = [{"speaker": s, "label": label, "settings": {"gate": {"caption": text}}} for s, label, text in said]
    assert variety(lines, "gate") == {"n": 5, "distinct": 2, "same": 2 / 4}
    assert variety(lines[4:], "gate")["same"] is None
    assert variety(lines, "other") == {"n": 0, "distinct": 0, "same": None}
