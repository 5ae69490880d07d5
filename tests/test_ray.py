"""The verifier and an evaluation on a real Ray of one machine. Skipped where Ray is not installed (extra *ray*)."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.worlds import captions, corpus, facts, plan_for, run_all
from ugsd_core.cli import main
from ugsd_core.evaluation.records import CLIPS_FILE
from ugsd_core.evaluation.run import evaluate

ROOT = Path(__file__).resolve().parents[1]
#: Ray itself leaves sockets and files to the garbage collector.
pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]


INSTALLED = find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not INSTALLED, reason="Ray is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two replicas of a stand-in verifier, on a Ray of one machine."""
    from tools.chaos.ray import settings_for
    from ugsd_core.wire.ray_service import Scale, serving

    before = os.getcwd()
    os.chdir(ROOT)  # Ray's processes find tests and tools where this one does
    try:
        with serving(settings_for("scripted"), Scale(2, cpus=0.5)) as address:
            yield address
    finally:
        os.chdir(before)


@needs_ray
def test_one_of_two_replicas_killed_under_live_captions_costs_no_token(address: str) -> None:
    from tools.chaos.ray import kill_replica
    from tools.chaos.soak import scripted_pair

    report = kill_replica(scripted_pair(token_s=0.1, deadline_s=5.0), address, 12)
    assert report["finished"] == 12 and report["problems"] == []
    assert report["replicas"] == 2 and report["new_replicas"] == 1
    assert report["untouched"] and report["connected_anew"], "each replica had some of them"


@needs_ray
def test_a_rolling_update_loses_no_caption(address: str) -> None:
    from tools.chaos.ray import replace_replicas, settings_for
    from tools.chaos.soak import scripted_pair
    from ugsd_core.wire.ray_service import Scale

    pair = scripted_pair(token_s=0.1, deadline_s=5.0)
    report = replace_replicas(pair, address, 8, settings_for("scripted"), Scale(2, cpus=0.5))
    assert report["finished"] == report["captions"] and report["problems"] == []
    assert report["replicas"] == 2 and report["old_replicas_left"] == 0
    assert report["blocks_judged"] > 20 * report["blocks_unverified"]


@needs_ray
def test_an_evaluation_on_workers_of_which_one_is_killed_is_that_of_one_machine(address: str, tmp_path: Path) -> None:
    from ugsd_core.evaluation.clip_worker import WorkerSettings
    from ugsd_core.evaluation.ray_workers import RayWorkers

    alone = plan_for(tmp_path / "alone", corpus(tmp_path, 10), "edge,cloud,ugsd")
    run_all(alone)
    plan = replace(alone, folder=tmp_path / "shared")
    settings = WorkerSettings(made_by="tests.evaluation.worlds:slow_source", threads=0)
    killed: list[Any] = []
    with RayWorkers(settings, 2) as workers:
        for step in evaluate(plan, workers):
            if step.done == 3:
                killed.append(step.line.worker if step.line else None)
                os.kill(workers.pids[str(killed[0]).split(".")[1]], signal.SIGKILL)
        known = workers.facts()
    lines = captions(plan.folder)
    assert len((plan.folder / CLIPS_FILE).read_text().splitlines()) == len(lines) == 30
    assert {line.key: facts(line) for line in lines} == {line.key: facts(line) for line in captions(alone.folder)}
    assert Counter(one["lost"] for one in known.values())[True] == 1
    assert len({line.worker for line in lines}) >= 2


@pytest.mark.skipif(INSTALLED, reason="Ray is installed")
@pytest.mark.parametrize("words", [["verifier", "--ray"], ["evaluate", "x", "--out", "y", "--ray", "local"]])
def test_without_ray_a_sentence_says_what_to_install(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) != 0
    assert "[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verifier", "--replicas", "2"], "--ray"),
        (["evaluate", "x", "--out", "y", "--ray-workers", "2"], "--ray ADDRESS"),
        (["evaluate", "x", "--out", "y", "--ray", "local", "--ray-cpus", "0"], "at least 1"),
    ],
)
def test_what_needs_a_cluster_says_so(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) != 0
    assert said in capsys.readouterr().err
