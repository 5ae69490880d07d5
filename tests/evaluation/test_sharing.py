"""Clips shared out among workers: the same run as on one machine, whatever becomes of a worker. Without Ray."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.worlds import FakeSource, captions, corpus, facts, plan_for, run_all
from ugsd_core.errors import OptionError, UgsdError, VerifierUnavailable
from ugsd_core.evaluation import clip_work
from ugsd_core.evaluation.clip_worker import CaptionWorker, WorkerSettings, plain
from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, METRICS_FILE, TIMINGS_FILE
from ugsd_core.evaluation.run import evaluate
from ugsd_core.evaluation.scoring import score_run
from ugsd_core.evaluation.sharing import ClipTask, Done, Lost, Outcome, WorkLost

SYSTEMS = "edge,cloud,ugsd,random,oracle"
BUDGETED = "kept: preset=default gate=entropy tau=1 budget=0.1 acceptance=rank cut=none"
OTHER = "more: preset=default gate=entropy tau=1 budget=0.3 acceptance=rank cut=none"
SETTINGS = WorkerSettings(made_by="tests.evaluation.worlds:FakeSource")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_work, "RETRY_AFTER_S", 0.0)


@dataclass
class FakeWorkers:
    """Real workers in this process, whose results come back last first.

    Attributes:
        dies_at: Of each call, counted from 0: whether its worker is lost before it has an answer.
        given: Worker and task of every call.
        stopped: Whether tasks under way were let go.
    """

    count: int = 3
    dies_at: Callable[[int, ClipTask], bool] = lambda n, task: False
    given: list[tuple[str, ClipTask]] = field(default_factory=list)
    warm_up_s: float = 0.0
    stopped: bool = False

    def __post_init__(self) -> None:
        self.workers: dict[str, CaptionWorker] = {}
        self.under_way: dict[str, tuple[int, ClipTask, str]] = {}
        self.known: dict[str, dict[str, Any]] = {}
        for _ in range(self.count):
            self.start()

    def start(self) -> None:
        name = str(len(self.known) + 1)
        self.workers[name] = CaptionWorker(SETTINGS)
        loaded = self.workers[name].load(None)
        assert isinstance(loaded, dict)
        self.described = loaded["describe"]
        self.known[name] = {"node": 1, "machine": loaded["machine"], "threads": 1, "lost": False}

    def describe(self) -> dict[str, Any]:
        return self.described

    def facts(self) -> dict[str, dict[str, Any]]:
        return self.known

    def idle(self) -> Sequence[str]:
        return [name for name in self.workers if name not in self.under_way]

    def give(self, worker: str, task: ClipTask, language: str) -> None:
        self.under_way[worker] = len(self.given), task, language
        self.given.append((worker, task))

    def wait(self, seconds: float) -> Sequence[Outcome]:
        found: list[Outcome] = []
        for worker, (number, task, language) in reversed(list(self.under_way.items())[-2:]):
            del self.under_way[worker]
            if self.dies_at(number, task):
                del self.workers[worker]
                self.known[worker]["lost"] = True
                self.start()
                found.append(Lost(worker, task.number))
                continue
            hidden = replace(task, clip=replace(task.clip, path=Path("nowhere", task.clip.path.name)))  # type: ignore
            result = self.workers[worker].caption(hidden, language)
            if isinstance(result, UgsdError):
                raise result
            found.append(Done(task.number, worker, result[1]))
            found.append(Done(task.number, worker, result[1]))  # an answer that comes twice counts once
        return found

    def stop(self) -> None:
        self.stopped = True


def same(one: Path, other: Path) -> bool:
    """Whether two runs have the same lines, each once, and the same metrics."""
    sides = []
    for folder in (one, other):
        lines = captions(folder)
        assert len((folder / CLIPS_FILE).read_text().splitlines()) == len(lines)
        score_run(folder, draws=20)
        sides.append(({line.key: facts(line) for line in lines}, (folder / METRICS_FILE).read_bytes()))
    return sides[0] == sides[1]


def pair_of_runs(tmp_path: Path, workers: FakeWorkers, broken: Sequence[int] = ()) -> tuple[Path, Path]:
    of = corpus(tmp_path, 6, broken=broken)
    alone = plan_for(tmp_path / "alone", of, SYSTEMS, [BUDGETED, OTHER])
    run_all(alone)
    run_all(replace(alone, folder=tmp_path / "shared"), workers)
    return alone.folder, tmp_path / "shared"


def test_a_shared_run_is_the_run_of_one_machine(tmp_path: Path) -> None:
    workers = FakeWorkers()
    alone, shared = pair_of_runs(tmp_path, workers, broken=[2])
    assert same(alone, shared)
    assert len({worker for worker, _ in workers.given}) == 3
    for line in captions(shared):
        assert line.worker.startswith("1.") and line.path == f"audio/{line.id}.wav"
        if line.trace:
            assert (shared / line.trace).read_bytes()
    sessions = json.loads((shared / MANIFEST_FILE).read_text())["sessions"]
    assert set(sessions[0]["workers"]) == {"1", "2", "3"} and sessions[0]["workers"]["1"]["machine"]["threads"]
    timings = json.loads((shared / TIMINGS_FILE).read_text())["workers"]
    assert sum(one["captions"] for one in timings.values()) == sum(line.error is None for line in captions(shared))
    assert "workers" not in json.loads((alone / TIMINGS_FILE).read_text())


def test_a_budget_is_kept_by_one_worker_clip_after_clip(tmp_path: Path) -> None:
    workers = FakeWorkers()
    pair_of_runs(tmp_path, workers)
    keepers = {}
    for name in ("kept", "more"):
        chain = [(worker, task) for worker, task in workers.given if task.serial == name]
        assert [task.clip.id for _, task in chain] == [f"c{n}" for n in range(6)]
        assert [task.recall for _, task in chain] == [(), None, None, None, None, None]
        keepers[name] = {worker for worker, _ in chain}
    assert keepers["kept"] != keepers["more"] and all(len(found) == 1 for found in keepers.values())


def keeps_c3(task: ClipTask) -> bool:
    """Whether it is the fourth clip of a chain, by the worker that wrote the third."""
    return task.serial == "kept" and task.clip.id == "c3" and task.recall is None


def test_clips_of_lost_workers_are_done_again_and_a_budget_is_taken_up(tmp_path: Path) -> None:
    workers = FakeWorkers(dies_at=lambda n, task: n in (0, 3) or keeps_c3(task))
    alone, shared = pair_of_runs(tmp_path, workers)
    assert same(alone, shared)
    there = json.loads((shared / MANIFEST_FILE).read_text())["sessions"][0]["workers"]
    assert sum(one["lost"] for one in there.values()) == 3 and len(there) == 6
    recalls = [[line.id for line in task.recall] for _, task in workers.given if task.serial == "kept" and task.recall]
    assert ["c0", "c1", "c2"] in recalls, "somebody took the budget up in the middle"


def test_a_clip_at_which_every_worker_ends_stops_the_run(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 4), "edge")
    workers = FakeWorkers(dies_at=lambda n, task: task.clip.id == "c1")
    with pytest.raises(WorkLost, match="'c1'"):
        run_all(plan, workers)
    assert Counter(task.clip.id for _, task in workers.given)["c1"] == 3
    run_all(plan, FakeWorkers())
    assert len(captions(plan.folder)) == 4


def test_a_shared_run_goes_on_where_it_was_stopped_here_or_there(tmp_path: Path) -> None:
    of = corpus(tmp_path, 6)
    alone = plan_for(tmp_path / "alone", of, SYSTEMS, [BUDGETED])
    run_all(alone)
    plan = replace(alone, folder=tmp_path / "shared")
    for source in (FakeWorkers(), FakeSource(), FakeWorkers(2)):
        steps = evaluate(plan, source)
        for _ in range(9):
            next(steps)
        steps.close()
        assert not isinstance(source, FakeWorkers) or source.stopped
    run_all(plan, FakeWorkers())
    assert same(alone.folder, plan.folder)
    sessions = {line.worker.split(".")[0] for line in captions(plan.folder)}
    assert sessions == {"1", "", "3", "4"}


def test_cancelling_lets_go_of_what_is_under_way(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 6), "edge,cloud")
    workers = FakeWorkers()
    asked = iter(range(100))
    steps = run_all(plan, workers, cancelled=lambda: next(asked) >= 2)
    assert workers.stopped and 0 < len(captions(plan.folder)) < 12 and steps[-1].done == len(captions(plan.folder))


def test_progress_counts_every_caption_once(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 4), "edge,cloud")
    done = [step.done for step in run_all(plan, FakeWorkers(dies_at=lambda n, task: n == 1))]
    assert all(after - before == 1 for before, after in pairwise(done)) and done[-1] == 8


def test_a_recording_that_is_gone_loses_one_clip_and_says_so_as_on_one_machine(tmp_path: Path) -> None:
    of = corpus(tmp_path, 3)
    gone = of.clips[1].path
    assert gone is not None
    gone.unlink()
    plans = [plan_for(tmp_path / name, of, "edge,cloud") for name in ("alone", "shared")]
    run_all(plans[0])
    run_all(plans[1], FakeWorkers(2))
    found = [{line.key: line.error for line in captions(plan.folder)} for plan in plans]
    assert found[0] == found[1] and found[0][("c1", "edge")] and len(found[0]) == 6


def test_a_verifier_that_is_lost_stops_the_run_in_its_own_words() -> None:
    assert isinstance(plain(VerifierUnavailable("gone")), VerifierUnavailable)
    assert isinstance(plain(OptionError("no")), OptionError)
