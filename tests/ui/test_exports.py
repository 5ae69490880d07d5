"""What is taken away is the run itself, and nothing of it stays behind."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.streams import every_state
from tests.ui.fake_engine import english
from ugsd_core.traces import read_trace
from ui.exports import Exports
from ui.shelf import Run


def test_a_run_is_written_whole_as_trace_and_as_table(tmp_path: Path) -> None:
    run = Run("0123456789ab", tuple(every_state()), "visit")
    files = Exports(tmp_path).write("me", run)
    assert read_trace(files.trace) == list(run.events)
    with files.table.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert {"text", "state", "entropy_nats", "rank"} <= set(rows[0])
    assert {row["state"] for row in rows} >= {"accepted", "rejected", "corrected", "unverified"}


def test_files_go_with_the_next_run_and_with_their_visitor(tmp_path: Path) -> None:
    exports, run = Exports(tmp_path), Run("0123456789ab", tuple(english()), "visit")
    first, yours = exports.write("me", run), exports.write("you", run)
    second = exports.write("me", run)
    assert not first.trace.exists() and second.trace.exists() and yours.table.exists()
    exports.leave("me")
    exports.leave("nobody")
    assert [path.parent for path in tmp_path.rglob("*.jsonl")] == [yours.trace.parent]
