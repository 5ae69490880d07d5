"""Rows of a run: filtered, sorted by worst, cut into pages; runs opened by name and never by path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ui.evaluated import clip_line, make_run
from ugsd_core.errors import OptionError
from ui.components.run_table import table_value
from ui.run_folders import RunFolders
from ui.run_rows import PAGE_ROWS, Asked, Query, page_of, selected


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> RunFolders:
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "one", 24, failed=(5,), draws=50)
    make_run(folder / "unscored", 4, traces=False, scored=False)
    return RunFolders(folder)


def test_the_worst_come_first_and_captions_without_a_value_last(folders: RunFolders) -> None:
    run = folders.open("one")
    for metric in ("emotion_f1", "rougeL"):
        values, _ = run.values(metric)
        order = [values[index] for index in selected(run, Query(sort=metric))]
        there = [value for value in order if value is not None]
        assert there == sorted(there) and order[-3:] == [None] * 3, "the failed clip stands at the end"
        best = [values[index] for index in selected(run, Query(sort=metric, best=True))]
        assert best[: len(there)] == there[::-1] and best[-3:] == [None] * 3


def test_of_a_time_and_of_rho_the_highest_is_the_worst(folders: RunFolders) -> None:
    run = folders.open("one")
    for sort in ("transmission_rate", "total_s"):
        values, _ = run.values(sort)
        there = [values[index] for index in selected(run, Query(sort=sort)) if values[index] is not None]
        assert there == sorted(there, reverse=True)


def test_what_scoring_left_and_what_is_worked_out_here_are_the_same(folders: RunFolders) -> None:
    kept = folders.open("one").values("rougeL")[0]
    fresh = RunFolders(folders.folder).open("one")
    fresh._kept_scores = {}
    assert fresh.values("rougeL")[0] == pytest.approx(kept, abs=1e-6)  # ten digits are kept


def test_filters_hold_together(folders: RunFolders) -> None:
    run = folders.open("one")

    def lines(**wanted: object) -> list[tuple[str, str]]:
        return [run.lines[index].key for index in selected(run, Query(**wanted))]

    assert {system for _, system in lines(system="ugsd")} == {"ugsd"}
    assert {clip for clip, _ in lines(state="failed")} == {"clip_00005"}
    assert {clip for clip, _ in lines(state="warned")} == {"clip_00003", "clip_00014"}
    assert set(lines(text="CLIP_00007")) == {("clip_00007", name) for name in run.systems}
    for key in lines(emotion="anger", state="changed"):
        line = run.line(*key)
        named = run.emotions(run.lines.index(line))
        assert (line.label == "anger" or "anger" in named) and line.counts["blocks_changed"]
    assert lines(text="nobody wrote this") == []


def test_pages_hold_every_row_once(folders: RunFolders) -> None:
    run = folders.open("one")
    first = page_of(run, Query(sort="rougeL"))
    assert first.pages == 2 and first.total == 72 and len(first.lines) == PAGE_ROWS
    every = [index for number in range(2) for index in page_of(run, Query(sort="rougeL", page=number)).lines]
    assert sorted(every) == list(range(72))
    assert page_of(run, Query(page=99)).number == 1 and page_of(run, Query(page=-3)).number == 0
    empty = page_of(run, Query(text="nobody wrote this"))
    assert (empty.number, empty.pages, empty.total, empty.lines) == (0, 1, 0, ())


def test_what_makes_no_sense_in_a_question_is_left_out() -> None:
    assert Query.of({"sort": "rougeL", "page": 3, "best": True}) == Query("rougeL", best=True, page=3)
    assert Query.of({"sort": 7, "page": "3", "best": 1, "text": None, "more": "x"}) == Query()
    assert Query.of("rows") == Query() == Query.of(None)
    assert len(Query.of({"text": "a" * 10_000}).text) == 200


def test_a_metric_that_is_none_sorts_nothing_and_breaks_nothing(folders: RunFolders) -> None:
    run = folders.open("one")
    assert len(selected(run, Query(sort="../../etc/passwd"))) == len(run.lines)


def test_the_table_is_one_page_as_json(folders: RunFolders) -> None:
    run = folders.open("one")
    value = json.loads(
        table_value(run, Asked("one", 1, 4, Query(sort="emotion_f1")), audio=True, queued={run.lines[0].key})
    )
    assert value["asked"] == 4 and value["total"] == 72 and len(value["rows"]) == PAGE_ROWS
    row = next(row for row in value["rows"] if row["error"] is None)
    assert row["audio"] and row["trace"] and row["references"] and row["caption"]
    assert [row["queued"] for row in value["rows"] if (row["id"], row["system"]) == run.lines[0].key] in ([True], [])


def test_a_question_that_comes_late_or_is_about_another_run_changes_nothing() -> None:
    known = Asked().anew("one", Query(sort="rougeL"))
    searched = known.heard({"look": 1, "asked": 2, "query": {"text": "sad"}})
    assert (searched.number, searched.query.text) == (2, "sad")
    assert searched.heard({"look": 1, "asked": 1, "query": {"text": "sa"}}) is searched, "the browser asked it before"
    again = searched.anew("one", Query())
    assert again.heard({"look": 1, "asked": 3, "query": {"text": "sad"}}) is again, "asked before the run was chosen"
    assert again.heard({"look": 2, "asked": "1"}) is again and again.heard({}) is again


def test_thousands_of_rows_are_paged_without_sending_them(tmp_path: Path) -> None:
    make_run(tmp_path / "large", 1_000, traces=False, scored=False)
    folders = RunFolders(tmp_path)
    run = folders.open("large")
    assert folders.open("large") is run, "it is read once"
    value = table_value(run, Asked(query=Query(sort="total_s", page=30)))
    assert len(value) < 80_000 and json.loads(value)["total"] == 3_000


# ── Runs by name ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_runs_are_listed_and_opened_by_name_alone(folders: RunFolders, tmp_path: Path) -> None:
    assert {entry.name for entry in folders.listed()} == {"one", "unscored"}
    entry = next(entry for entry in folders.listed() if entry.name == "one")
    assert (entry.done, entry.total, entry.corpus, entry.language) == (72, 72, "synthetic", "en")
    make_run(tmp_path / "elsewhere", 1, scored=False)
    for name in ("", "..", "none", str(tmp_path / "elsewhere"), "../" + tmp_path.name + "/elsewhere", ".hidden"):
        with pytest.raises(OptionError, match="there is no run"):
            folders.open(name)


def test_a_run_is_read_anew_when_captions_came(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 2, scored=True, draws=20)
    folders = RunFolders(tmp_path)
    first = folders.open("run")
    assert first.scored and first.clips == 2
    with (tmp_path / "run" / "clips.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(clip_line(2, "edge").to_dict()) + "\n")
    second = folders.open("run")
    assert second is not first and second.clips == 3


def test_a_trace_is_only_read_from_the_run_itself(folders: RunFolders, tmp_path: Path) -> None:
    from dataclasses import replace

    run = folders.open("one")
    line = run.line("clip_00000", "edge")
    assert run.trace(line) is not None
    outside = tmp_path / "trace.jsonl"
    outside.write_text("{}", encoding="utf-8")
    for path in (str(outside), "../../trace.jsonl", "traces/none.jsonl", None):
        assert run.trace(replace(line, trace=path)) is None


def test_a_run_that_was_brought_is_its_visitors_and_goes_with_them(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path / "kept")
    make_run(tmp_path / "uploads" / "brought-1" / "mine", 2, scored=False)
    name = folders.bring("ada", tmp_path / "uploads" / "brought-1" / "mine", "mine")
    assert folders.open(name, "ada").brought and [entry.brought for entry in folders.listed("ada")] == [True]
    with pytest.raises(OptionError):
        folders.open(name, "ben")
    folders.leave("ada")
    assert folders.listed("ada") == [] and not (tmp_path / "uploads" / "brought-1").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="holds no run"):
        folders.bring("ada", tmp_path / "empty", "empty")
