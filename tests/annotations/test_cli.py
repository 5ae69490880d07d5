"""``ugsd annotations``, from a table of captions to an export and back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.annotations.helpers import ACCEPT, FLAG, eid, person
from ugsd_core.annotations.media import default_media
from ugsd_core.annotations.store import open_store
from ugsd_core.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a table of captions, and a store by default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UGSD_ANNOTATIONS", str(tmp_path / "a.db"))
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    rows = ("id,path,caption", "a,a.wav,She sounds sad.", "b,,He laughs.", "c,gone.wav,Calm and slow.")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def ugsd(*words: str) -> int:
    return main(["annotations", *words])


def answer_all(path: Path) -> None:
    with open_store(path) as store:
        for name, answer in (("ann", ACCEPT), ("bob", FLAG)):
            service = person(store, default_media(store.path), name)
            while (view := service.next("demo")) is not None:
                service.listened(eid(), "demo", view.id, start_s=0, end_s=1)
                service.submit(eid(), "demo", view.id, answer)


def test_a_campaign_from_creation_to_an_equal_copy(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "guide.md").write_text("# Listen!")
    created = ("create", "demo", "--manifest", "m.csv", "--overlap", "2", "--guidelines", "guide.md", "--json")
    assert ugsd(*created) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["items"] == 3 and json.loads(out)["with_audio"] == 1
    assert "gone.wav was not found" in err
    answer_all(folder / "a.db")

    assert ugsd("list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["campaigns"][0]
    assert listed["annotators"] == {"ann": {"submitted": 3}, "bob": {"submitted": 3}}

    assert ugsd("agreement", "demo", "--json", "--draws", "50") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"][0]["about"] == "verdict" and found["agreement"][0]["percent"] == 0.0
    assert len(found["disagreements"]) == 3 and "alpha" in found["definitions"]

    assert ugsd("export", "demo", "out", "--hash-annotators") == 0
    assert ugsd("export", "demo", "plain") == 0
    assert ugsd("import", "plain", "--store", "b.db") == 0
    assert ugsd("export", "demo", "again", "--store", "b.db") == 0
    one, two = (sorted((folder / name).rglob("*")) for name in ("plain", "again"))
    assert [path.read_bytes() for path in one if path.is_file()] == [
        path.read_bytes() for path in two if path.is_file()
    ]

    assert ugsd("snapshot", "s.jsonl") == 0
    assert ugsd("restore", "s.jsonl", "--store", "c.db") == 0
    assert ugsd("verify", "--store", "c.db", "--json") == 0
    assert json.loads(capsys.readouterr().out.split("made anew: ugsd annotations users add\n")[1])["problems"] == []


def test_agreement_is_readable_without_a_manual(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ugsd("create", "demo", "--manifest", "m.csv", "--overlap", "2") == 0
    answer_all(folder / "a.db")
    capsys.readouterr()
    assert ugsd("agreement", "demo") == 0
    out = capsys.readouterr().out
    for part in ("Fleiss κ", "95 % interval", "verdict", "Cohen's κ", "3 captions are disputed", "ann: 3 submitted"):
        assert part in out


def test_people_are_added_listed_and_removed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert ugsd("users", "add", "ann", "--role", "reviewer", "--password-stdin") == 0
    assert ugsd("users", "add", "hf:bob", "--no-password") == 0
    capsys.readouterr()
    assert ugsd("users", "list", "--json") == 0
    assert [user["role"] for user in json.loads(capsys.readouterr().out)["users"]] == ["reviewer", "annotator"]
    assert ugsd("users", "remove", "ann") == 0
    assert ugsd("users", "remove", "ann") == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert ugsd("users", "add", "cem") == 2
    assert "--password-stdin" in capsys.readouterr().err


def test_forgetting_asks_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ugsd("create", "demo", "--manifest", "m.csv") == 0
    answer_all(folder / "a.db")
    capsys.readouterr()
    assert ugsd("forget", "ann") == 2
    assert "9 of 13 events" in capsys.readouterr().err
    assert ugsd("forget", "ann", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["events"] == 9
    assert not any(b"ann\x00" in path.read_bytes() for path in folder.glob("a.db*"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("list", "--store", "missing.db"), "ugsd annotations create makes one"),
        (("create", "demo", "--manifest", "missing.csv"), "can't be read"),
        (("create", "a/b", "--manifest", "m.csv"), "no name for a campaign"),
        (("create", "demo", "--manifest", "m.csv", "--overlap", "0"), "1 to 1000"),
        (("create", "demo", "--manifest", "m.csv", "--audio", "nowhere"), "there is no folder"),
        (("create", "demo", "--manifest", "m.csv", "--system", "x"), "use it with --run"),
        (("create", "demo", "--run", "."), "name the folder of a run"),
        (("create", "demo", "--manifest", "m.csv", "--guidelines", "missing.md"), "can't be read"),
        (("import", "."), "no export"),
        (("restore", "m.csv"), "no snapshot"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ugsd(*words) == 2
    err = capsys.readouterr().err
    assert sentence in err and "Traceback" not in err


def test_verify_says_all_that_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sqlalchemy import text

    assert ugsd("create", "demo", "--manifest", "m.csv") == 0
    answer_all(folder / "a.db")
    with open_store(folder / "a.db") as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE answers SET verdict = 'flag', answer = '{}'"))
    assert ugsd("verify") == 1
    assert "--mend" in capsys.readouterr().out
    assert ugsd("verify", "--mend") == 0
    assert "nothing wrong" in capsys.readouterr().out
