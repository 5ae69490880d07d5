"""``ugsd calibrate``: what is typed, what is said, and that only --write touches the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import tiny
from tests.calibration.test_collect import write_corpus
from tests.calibration.worlds import world
from ugsd_core.cli import main
from ugsd_core.cli.calibrate import _budgets
from ugsd_core.cli.parser import build_parser

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A tiny pair and a small corpus."""
    root = tmp_path_factory.mktemp("calibrate")
    return SimpleNamespace(
        edge=tiny.save_checkpoint(root / "edge", "qwen2_5_omni", seed=1),
        verifier=tiny.save_checkpoint(root / "verifier", "qwen2_5_omni", seed=2, size=48),
        data=write_corpus(root / "data" / "noise").parent,
        out=root / "out",
    )


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny random models name no emotions; the command is given made-up records instead of theirs."""
    import ugsd_core.calibration.workbench as workbench

    def collect(_pair: Any, _clips: Any, languages: Any, path: Path, **_: Any) -> Any:
        from dataclasses import replace

        path.parent.mkdir(parents=True, exist_ok=True)
        return [replace(record, language=language) for language in languages for record in world(200)]

    monkeypatch.setattr(workbench, "collect", collect)


def words(folders: SimpleNamespace, *more: str) -> list[str]:
    base = ["calibrate", "--edge", str(folders.edge), "--verifier", str(folders.verifier), "--data", str(folders.data)]
    return [*base, "--out", str(folders.out), "--draws", "30", *more]


def test_a_report_is_written_and_the_checkpoint_left_alone(
    folders: SimpleNamespace, records: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders, "--budget", "0.03")) == 0
    said = capsys.readouterr().out
    assert "en: " in said and "zh: " in said and "ρ = 0.03" in said and "--write changes it" in said
    assert not (folders.edge / "gate.json").exists()
    names = {path.name for path in folders.out.iterdir()}
    assert {"report.md", "report.json", "gate.json", "closure-rho-en.svg", "closure-trips-zh.svg"} <= names


def test_write_puts_the_card_beside_the_edge(
    folders: SimpleNamespace, records: None, capsys: pytest.CaptureFixture[str]
) -> None:
    from ugsd_core.gate_card import read_gate_cards

    assert main(words(folders, "--write", "--json", "--languages", "en")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["card"] == str(folders.edge / "gate.json") and list(summary["languages"]) == ["en"]
    cards = read_gate_cards(folders.edge)
    assert cards is not None and cards.edge == folders.edge.name and list(cards.languages) == ["en"]
    (folders.edge / "gate.json").unlink()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--budget", "2"], "share of the drafted tokens"),
        (["--budget", "en=much"], "a share such as"),
        (["--languages", "zh", "--budget", "en=0.1"], "no share for zh"),
        (["--clips", "0"], "at least 1 clip"),
        (["--draws", "3"], "at least 20 draws"),
        (["--mc-dropout-samples", "1"], "0 or 2…64"),
        (["--edge", "nowhere"], "holds no config.json"),
        (["--data", "nowhere"], "no folder nowhere"),
        (["--split", "test"], "split 'test'"),
        (["--corpora", "other"], "no corpus 'other'"),
    ],
)
def test_what_can_be_mended_is_one_sentence_and_exit_2(
    folders: SimpleNamespace, more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders, *more)) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert sentence in said[-1] and said[-1].startswith("ugsd: ")


def test_models_that_name_no_emotion_are_told_so(folders: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    """The real way, tiny models and all: they end in a sentence, not in a traceback."""
    assert main(words(folders, "--languages", "en")) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("ugsd: ") and ("nothing to calibrate" in said or "nothing to tell apart" in said), said


def test_help_names_what_it_does() -> None:
    args = build_parser("calibrate").parse_args(["calibrate", "--data", "d"])
    assert args.split == "dev" and args.languages == ("en", "zh") and not args.write
    assert _budgets(args.budget, args.languages) == {"en": 0.02, "zh": 0.04}
    assert _budgets(["0.1", "zh=0.3"], args.languages) == {"en": 0.1, "zh": 0.3}
