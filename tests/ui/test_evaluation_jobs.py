"""Evaluations in the background: they take turns with visitors, go on without a page, stop and resume."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.ui.bad_corpora import make_bad_corpora
from tests.ui.fake_engine import FakeEngine
from ugsd_core.audio import load_utterance
from ugsd_core.corpora import read_corpus
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.plan import EvaluationPlan
from ugsd_core.evaluation.systems import parse_systems
from ugsd_core.options import preset
from ugsd_core.traces import read_trace
from ugsd_core.wire.emulated import Conditions
from ui.evaluation_jobs import EvaluationJobs, source_of
from ui.evaluation_view import about_run
from ui.run_folders import RunFolders
from ui.runs import Runs

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "assets/examples/slow_low_en.flac"


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    make_bad_corpora(tmp_path / "corpora")
    return tmp_path / "corpora"


def plan(corpora: Path, folder: Path, systems: str = "edge,cloud,ugsd") -> EvaluationPlan:
    return EvaluationPlan(read_corpus(corpora / "fine"), "en", parse_systems(systems), folder, limit=4)


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()]


def test_an_evaluation_runs_to_its_end_and_is_scored(corpora: Path, tmp_path: Path) -> None:
    engine, ended = FakeEngine(), []
    jobs = EvaluationJobs(Runs(engine))
    assert jobs.state is None
    begun = jobs.start(
        plan(corpora, tmp_path / "run"), place="here", notes={"place": "here"}, ended=lambda: ended.append(1)
    )
    assert begun.goes_on and begun.number == 1
    state = jobs.wait(60)
    assert state is not None and (state.phase, state.done, state.total, state.error) == ("done", 12, 12, None)
    assert len(lines(tmp_path / "run")) == 12 and (tmp_path / "run" / "metrics.json").is_file() and ended == [1]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["notes"] == {"place": "here"}


def test_an_emulated_link_is_in_the_manifest_and_in_every_trace(corpora: Path, tmp_path: Path) -> None:
    jobs, link = EvaluationJobs(Runs(FakeEngine())), Conditions.parse("satellite")
    jobs.start(plan(corpora, tmp_path / "run", "edge,ugsd"), link=link)
    assert jobs.wait(60).phase == "done"
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["link"] == str(link)
    run = RunFolders(tmp_path).open("run")
    assert "+600 ms ± 40" in about_run(run, "en") and "模拟网络" in about_run(run, "zh")
    found = {line.system: next(iter(read_trace(run.trace(line)))) for line in run.lines}
    assert {name: start.link for name, start in found.items()} == {"edge": "", "ugsd": str(link)}


def test_one_runs_at_a_time(corpora: Path, tmp_path: Path) -> None:
    engine = FakeEngine(gate=threading.Semaphore(0))
    jobs = EvaluationJobs(Runs(engine))
    jobs.start(plan(corpora, tmp_path / "run"))
    with pytest.raises(OptionError, match="runs already"):
        jobs.start(plan(corpora, tmp_path / "other"))
    jobs.stop()
    engine.gate.release(1000)
    assert jobs.wait(60).phase == "stopped"


def test_a_stopped_evaluation_goes_on_where_it_was(corpora: Path, tmp_path: Path) -> None:
    engine = FakeEngine(pause_s=0.002)
    jobs = EvaluationJobs(Runs(engine))
    jobs.start(plan(corpora, tmp_path / "run"))
    while jobs.state.done < 3:
        assert jobs.state.goes_on
    jobs.stop()
    stopped = jobs.wait(60)
    kept = lines(tmp_path / "run")
    assert stopped.phase == "stopped" and 3 <= len(kept) < 12 and not (tmp_path / "run" / "metrics.json").exists()
    jobs.start(plan(corpora, tmp_path / "run"))
    assert jobs.wait(60).phase == "done" and jobs.state.number == 2
    assert lines(tmp_path / "run")[: len(kept)] == kept and len(lines(tmp_path / "run")) == 12


def test_a_visitor_waits_for_one_caption_at_most(corpora: Path, tmp_path: Path) -> None:
    engine = FakeEngine(pause_s=0.001)  # refuses to write two captions at once
    runs = Runs(engine)
    jobs = EvaluationJobs(runs)
    jobs.start(plan(corpora, tmp_path / "run"))
    utterance, between = load_utterance(CLIP), 0
    while jobs.state.phase == "captioning" and between < 3:
        before = jobs.state.done
        for update in runs.caption("ada", utterance, preset("default")):
            assert update.error is None
        assert jobs.state.done - before <= 2, "it got more than its turn"
        between += 1
    assert jobs.wait(60).phase == "done" and between >= 2


def test_a_stop_ends_the_wait_for_a_visitor(corpora: Path, tmp_path: Path) -> None:
    runs = Runs(FakeEngine())
    jobs = EvaluationJobs(runs)
    with runs.turn(threading.Event()) as mine:
        assert mine
        jobs.start(plan(corpora, tmp_path / "run"))
        while not jobs.state.ahead:
            assert jobs.state.goes_on
        jobs.stop()
        assert jobs.wait(30).phase == "stopped"


def test_what_goes_wrong_ends_it_with_a_sentence(corpora: Path, tmp_path: Path) -> None:
    jobs = EvaluationJobs(Runs(FakeEngine(fails=0)))
    jobs.start(plan(corpora, tmp_path / "run"))
    state = jobs.wait(60)
    assert state.phase == "failed" and "verifier" in str(state.error)
    jobs.start(plan(corpora, tmp_path / "oracle", "oracle"))
    assert "oracle" in str(jobs.wait(60).error)


def test_an_engine_may_have_a_source_of_its_own() -> None:
    class Own(FakeEngine):
        def evaluation_source(self) -> str:
            return "its own"

    assert source_of(Own()) == "its own"
