"""Traces: what is written is read back, and damage is told in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.streams import END, StreamBuilder, every_state
from ugsd_core import __version__
from ugsd_core.errors import TraceError
from ugsd_core.messages import Signals, TokenDrafted
from ugsd_core.result import caption_result
from ugsd_core.traces import TraceWriter, read_trace, write_trace

STREAMS = {
    "ugsd": every_state(),
    "edge": StreamBuilder("edge").kept("a", END).finish(),
    "cloud, Chinese": StreamBuilder("cloud", language="zh").generated("", "声音", "。", END).finish(),
    "verifier lost": StreamBuilder().lost().unverified("a", sent=False).finish("max_length"),
}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    write_trace(path, every_state())
    return path


@pytest.mark.parametrize("name", STREAMS)
def test_replaying_gives_the_identical_object(name: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.jsonl"
    write_trace(path, STREAMS[name])
    assert read_trace(path) == STREAMS[name]
    live, replayed = caption_result(STREAMS[name]).to_dict(), caption_result(read_trace(path)).to_dict()
    assert json.dumps(live) == json.dumps(replayed)


def test_the_first_line_is_a_header(trace: Path) -> None:
    assert json.loads(trace.read_text().splitlines()[0]) == {"ugsd_trace": 1, "version": __version__}


def test_each_event_is_on_disk_as_soon_as_it_was_fed(tmp_path: Path) -> None:
    events = every_state()
    with TraceWriter(tmp_path / "run.jsonl") as writer:
        for number, event in enumerate(events, start=1):
            writer.feed(event)
            assert read_trace(writer.path) == events[:number]


def test_a_cut_last_line_is_dropped_only_when_told(trace: Path) -> None:
    whole = trace.read_bytes()
    trace.write_bytes(whole[:-20])
    with pytest.raises(TraceError, match="cut off"):
        read_trace(trace)
    assert read_trace(trace, allow_cut=True) == every_state()[:-1]


def test_a_cut_in_the_middle_of_a_character_is_a_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    events = STREAMS["cloud, Chinese"]
    write_trace(path, events)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex("。".encode()) + 1])
    assert read_trace(path, allow_cut=True) == events[:-1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a trace"),
        (b"hello\n", "not a trace"),
        (b"[1]\n", "not a trace"),
        (b"\xff\xfe\x00\n", "not UTF-8"),
        (b'{"ugsd_trace": 99, "version": "9.0"}\n', "format 99"),
        (b'{"ugsd_trace": 1}\n{"kind": "x"}\n', "line 2.*unknown kind"),
        (b'{"ugsd_trace": 1}\n{"kind": "caption_finished"}\n', "line 2.*damaged"),
        (b'{"ugsd_trace": 1}\n{"kind"\n', "line 2.*damaged"),
        (b'{"ugsd_trace": 1}\n[]\n', "line 2.*not an event"),
    ],
)
def test_what_is_no_trace_is_told_in_one_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=sentence) as error:
        read_trace(path)
    assert "\n" not in str(error.value)


def test_paths_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="can't be read: No such file"):
        read_trace(tmp_path / "missing.jsonl")
    with pytest.raises(TraceError, match="can't be read"):
        read_trace(tmp_path)
    with pytest.raises(TraceError, match="can't be written"):
        TraceWriter(tmp_path)


def test_a_figure_that_is_no_number_never_reaches_the_file(tmp_path: Path) -> None:
    broken = TokenDrafted(0.0, 0, 0, 0, 5, "a", Signals(float("nan"), 0.5, 0.1), ())
    with TraceWriter(tmp_path / "run.jsonl") as writer, pytest.raises(TraceError, match="can't be written"):
        writer.feed(broken)
