"""Kept runs have a name that follows from what they hold; nothing is overwritten, and nothing outside is read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.streams import END, StreamBuilder, every_state
from ugsd_core.errors import TraceError
from ugsd_core.result import caption_result
from ugsd_core.trace_store import COLUMNS, TraceStore, default_trace_folder, tokens_csv, trace_name


def test_a_kept_run_comes_back_whole_under_the_same_name(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "deep" / "traces")
    name = store.keep(every_state())
    assert name == trace_name(every_state()) == store.keep(every_state())
    assert store.load(name) == every_state()
    assert [path.name for path in store.folder.iterdir()] == [f"{name}.jsonl"]


def test_another_run_has_another_name_and_the_list_tells_them_apart(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    edge = StreamBuilder("edge", language="zh").kept("声音", END).finish()
    names = {store.keep(every_state()), store.keep(edge)}
    (tmp_path / "foreign.jsonl").write_text("not a trace\n")
    (tmp_path / "empty.jsonl").write_text('{"ugsd_trace": 1}\n')
    listed = store.listed()
    assert {entry.name for entry in listed} == names and len(names) == 2
    assert {(entry.mode, entry.language) for entry in listed} == {("ugsd", "en"), ("edge", "zh")}
    assert "声音" in {entry.caption for entry in listed}


def test_a_list_can_be_cut_and_a_name_looked_up(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    names = [store.keep(StreamBuilder("edge").kept(text, END).finish()) for text in ("a", "b", "c")]
    assert len(store.listed(2)) == 2 and len(store.listed()) == 3
    assert names[0] in store and "0123456789ab" not in store and "../x" not in store


def test_a_run_is_forgotten_alone_and_only_by_its_name(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "kept")
    names = [store.keep(StreamBuilder("edge").kept(text, END).finish()) for text in ("a", "b")]
    store.forget(names[0])
    store.forget(names[0])
    assert names[0] not in store and names[1] in store
    (tmp_path / "outside.jsonl").write_text("not ours")
    with pytest.raises(TraceError, match="names no trace"):
        store.forget("../outside")
    assert (tmp_path / "outside.jsonl").exists()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0123456789ab/..", "ABCDEF012345", "0123"])
def test_a_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="names no trace"):
        TraceStore(tmp_path).load(name)


def test_what_is_not_there_or_no_run_is_said_plainly(tmp_path: Path) -> None:
    store = TraceStore(tmp_path)
    with pytest.raises(TraceError, match="not kept here"):
        store.load("0123456789ab")
    for events in ([], every_state()[1:]):
        with pytest.raises(TraceError, match="no run"):
            store.keep(events)
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="can't be kept"):
        TraceStore(tmp_path / "file").keep(every_state())
    assert TraceStore(tmp_path / "nowhere").listed() == []


def test_the_folder_follows_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_trace_folder() == tmp_path / "ugsd" / "traces"


def test_the_table_of_tokens_has_a_line_a_token_and_reads_back() -> None:
    result = caption_result(every_state())
    rows = list(csv.DictReader(io.StringIO(tokens_csv(result.tokens))))
    assert len(rows) == len(result.tokens)
    for row, token in zip(rows, result.tokens, strict=True):
        assert row["text"] == token.text and row["state"] == token.state
        assert row["rank"] == ("" if token.rank is None else str(token.rank))
        assert (row["entropy_nats"] == "") == (token.entropy_nats is None)
        assert row["draft_best"] == (token.draft_top[0].text if token.draft_top else "")
        assert (row["verifier_best_p"] == "") == (not token.verifier_top)
    assert set(COLUMNS) < set(rows[0])
