"""The entry of a Space: what its variables come to, and what it puts into an empty store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from space_config import app
from space_config.app import arguments, data_folder, prepare_annotations
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.identity import list_users, sign_in
from ugsd_core.annotations.store import open_store
from ugsd_core.errors import OptionError
from ui.demo import build_parser

NOTICE = Path("notice.md")


def test_without_variables_the_page_is_reached_from_outside_and_keeps_nothing() -> None:
    args = build_parser().parse_args(arguments({}, None, NOTICE))
    assert (args.host, args.port, args.no_browser, args.notice) == ("0.0.0.0", 7860, True, NOTICE)
    assert args.annotations is None and args.traces is None and args.edge is None


def test_what_must_last_goes_to_persistent_storage(tmp_path: Path) -> None:
    args = build_parser().parse_args(arguments({}, tmp_path, NOTICE))
    assert args.traces == tmp_path / "traces" and args.runs == tmp_path / "runs"
    assert args.annotations == f"sqlite:///{tmp_path}/annotations.db?volume=exclusive"
    assert args.annotation_media == tmp_path / "annotations.media" and args.annotators == "listed"


def test_a_space_with_sign_in_takes_hugging_face_accounts(tmp_path: Path) -> None:
    signed = {"OAUTH_CLIENT_ID": "x"}
    assert build_parser().parse_args(arguments(signed, tmp_path, NOTICE)).annotators == "oauth"
    chosen = signed | {"UGSD_ANNOTATORS": "listed"}
    assert build_parser().parse_args(arguments(chosen, tmp_path, NOTICE)).annotators == "listed"


def test_checkpoints_are_chosen_by_variables_and_a_running_verifier_has_its_own() -> None:
    chosen = {"UGSD_EDGE": "a/b", "UGSD_VERIFIER_CHECKPOINT": "c/d", "UGSD_DEVICE": "cuda", "UGSD_DTYPE": "bfloat16"}
    args = build_parser().parse_args(arguments(chosen, None, NOTICE))
    assert (args.edge, args.verifier_checkpoint, args.device, args.dtype) == ("a/b", "c/d", "cuda", "bfloat16")
    args = build_parser().parse_args(arguments(chosen | {"UGSD_VERIFIER": "wss://gpu"}, None, NOTICE))
    assert args.verifier == "wss://gpu" and args.verifier_checkpoint is None


def test_no_secret_is_on_the_command_line(tmp_path: Path) -> None:
    secrets = {
        "UGSD_PEOPLE": "ann annotator hidden-words",
        "UGSD_ACCESS_TOKEN": "hidden-token",
        "HF_TOKEN": "hf_hidden",
    }
    assert "hidden" not in " ".join(arguments(secrets, tmp_path, NOTICE))


def test_storage_is_taken_if_it_is_there(tmp_path: Path) -> None:
    assert data_folder({}, tmp_path) == tmp_path
    assert data_folder({}, tmp_path / "missing") is None
    assert data_folder({"UGSD_DATA": "elsewhere"}, tmp_path) == Path("elsewhere")


def test_people_come_from_the_secret_and_examples_only_into_an_empty_store(tmp_path: Path) -> None:
    people = {"UGSD_PEOPLE": "ann annotator long enough words\n\nrae reviewer\n"}
    prepare_annotations(people, tmp_path)
    prepare_annotations(people, tmp_path)
    with open_store(tmp_path / "annotations.db") as store:
        assert {(user.name, user.role) for user in list_users(store)} == {("ann", "annotator"), ("rae", "reviewer")}
        assert sign_in(store, "ann", "long enough words").name == "ann"
        with store.reading() as reader:
            assert [name for name, _ in reader.campaigns()] == ["examples"]


@pytest.mark.parametrize("line", ["ann", "ann owner secret-words", "ann annotator short"])
def test_a_wrong_line_of_people_is_told_without_the_password(line: str, tmp_path: Path) -> None:
    with pytest.raises((OptionError, AnnotationError)) as told:
        prepare_annotations({"UGSD_PEOPLE": line}, tmp_path)
    assert "short" not in str(told.value).replace("shorter", "") and "secret" not in str(told.value)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines with which the page was started, in a Space with a default for the device."""
    lines: list[list[str]] = []
    (tmp_path / app.SETTINGS).write_text(json.dumps({"defaults": {"UGSD_DEVICE": "cuda", "UGSD_DTYPE": "bfloat16"}}))
    monkeypatch.setattr(app, "HERE", tmp_path)
    monkeypatch.setattr("ui.demo.main", lambda line: lines.append(line) or 0)
    for name in [name for name in os.environ if name.startswith("UGSD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UGSD_DEVICE", "")
    monkeypatch.setenv("UGSD_DTYPE", "float16")
    monkeypatch.setenv("UGSD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", os.environ.get("HF_HOME", str(tmp_path)))
    return lines


def test_a_variable_that_is_set_comes_before_the_variants_default(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UGSD_PEOPLE", "rae reviewer")
    assert app.main() == 0
    args = build_parser().parse_args(started[0])
    assert (args.device, args.dtype) == ("cuda", "float16")
    assert "UGSD_PEOPLE" not in os.environ, "no process that is started gets the passwords"


def test_a_wrong_secret_ends_the_start_in_one_sentence(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UGSD_PEOPLE", "rae")
    assert app.main() == 2 and started == []
    assert "UGSD_PEOPLE, line 1" in capsys.readouterr().err
