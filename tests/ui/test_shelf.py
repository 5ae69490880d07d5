"""A visitor finds their own runs, the tour's and the kept ones, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.streams import END, StreamBuilder, every_state
from ugsd_core.errors import TraceError
from ugsd_core.trace_store import TraceStore, trace_name
from ugsd_core.traces import write_trace
from ui.shelf import RUNS_A_VISIT, Shelf


def edge_run(*texts: str) -> list:
    return StreamBuilder("edge").kept(*texts, END).finish()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    write_trace(tmp_path / "tour" / "1-first.jsonl", edge_run("tour"))
    return Shelf(TraceStore(tmp_path / "kept"), tmp_path / "tour")


def test_a_visitor_finds_their_own_runs_first_and_nobody_elses(shelf: Shelf) -> None:
    samples = np.zeros(16_000, dtype=np.float32)
    mine = shelf.put("me", every_state(), samples)
    later = shelf.put("me", edge_run("later"))
    shelf.put("you", edge_run("yours"))
    assert [run.name for run in shelf.listed("me")[:2]] == [later.name, mine.name]
    assert shelf.find("me", mine.name).samples is samples
    assert [run.origin for run in shelf.listed("me")] == ["visit", "visit", "tour"]
    with pytest.raises(TraceError, match="not kept here"):
        shelf.find("me", trace_name(edge_run("yours")))


def test_a_kept_run_is_found_by_everybody_without_its_sound(shelf: Shelf) -> None:
    mine = shelf.put("me", every_state(), np.zeros(16_000, dtype=np.float32))
    assert shelf.keep("me", mine.name) == mine.name
    shelf.leave("me")
    found = shelf.find("you", mine.name)
    assert found.events == mine.events and found.samples is None and found.origin == "kept"
    assert mine.name in {run.name for run in shelf.listed("you")}


def test_a_kept_run_is_deleted_only_by_the_visit_that_kept_it(shelf: Shelf) -> None:
    name = shelf.put("me", every_state()).name
    shelf.put("you", every_state())
    shelf.keep("me", name)
    shelf.keep("you", name)  # it is kept already, and stays theirs who kept it
    assert shelf.may_forget("me", name) and not shelf.may_forget("you", name)
    with pytest.raises(TraceError, match="by the visit that kept it"):
        shelf.forget("you", name)
    shelf.forget("me", name)
    assert name not in shelf.store and shelf.find("me", name).origin == "visit", "it can be kept again"
    shelf.keep("me", name)
    shelf.leave("me")
    assert not shelf.may_forget("me", name) and name in shelf.store


def test_a_deleted_run_stays_in_its_visit_even_if_others_followed(shelf: Shelf) -> None:
    name = shelf.put("me", every_state()).name
    shelf.keep("me", name)
    for number in range(RUNS_A_VISIT):
        shelf.put("me", edge_run(str(number)))
    shelf.forget("me", name)
    assert shelf.find("me", name).events == tuple(every_state())


def test_a_tour_run_can_not_be_deleted(shelf: Shelf) -> None:
    name = shelf.tour()[0].name
    assert shelf.keep("me", name) == name and name not in shelf.store, "it can be linked to already"
    with pytest.raises(TraceError, match="by the visit that kept it"):
        shelf.forget("me", name)


def test_the_tour_is_found_by_name_and_listed_once(shelf: Shelf) -> None:
    tour = shelf.tour()[0]
    assert tour.caption == "tour" and shelf.find("x", tour.name).origin == "tour"
    shelf.put("x", tour.events)
    assert [run.name for run in shelf.listed("x")].count(tour.name) == 1


def test_only_the_last_runs_of_a_visit_are_remembered(shelf: Shelf) -> None:
    runs = [shelf.put("me", edge_run(str(number))) for number in range(RUNS_A_VISIT + 2)]
    listed = [run.name for run in shelf.listed("me") if run.origin == "visit"]
    assert listed == [run.name for run in reversed(runs[2:])]
    shelf.leave("me")
    assert [run.origin for run in shelf.listed("me")] == ["tour"]


def test_a_file_is_read_even_if_its_run_was_cut_off(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "brought.jsonl"
    write_trace(path, every_state())
    path.write_bytes(path.read_bytes()[:-30])
    run = shelf.add_file("me", path)
    assert run.origin == "file" and run.caption == "" and run.start == every_state()[0]
    path.write_text("no trace")
    with pytest.raises(TraceError, match="not a trace"):
        shelf.add_file("me", path)
    write_trace(path, every_state()[1:])
    with pytest.raises(TraceError, match="no run"):
        shelf.add_file("me", path)
