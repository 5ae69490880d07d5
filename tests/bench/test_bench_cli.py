"""``ugsd bench`` runs what is named and keeps what it found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ugsd_core.bench import registry
from ugsd_core.bench.registry import BENCHMARKS, Benchmark, Say, chosen
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.cli.entry import main
from ugsd_core.errors import OptionError


def quick(settings: BenchSettings, say: Say) -> dict[str, Any]:
    say("measuring")
    return {"rounds": settings.rounds}


def refused(settings: BenchSettings, say: Say) -> dict[str, Any]:
    raise OptionError("it needs a device that is not here")


@pytest.fixture(autouse=True)
def two_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Benchmark(name, f"{__name__}:{name}", "for the test") for name in ("quick", "refused")]
    monkeypatch.setattr(registry, "BENCHMARKS", {benchmark.name: benchmark for benchmark in made})


def test_results_go_to_stdout_as_json_and_progress_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "quick", "--rounds", "3"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["results"]["quick"]["rounds"] == 3
    assert document["machine"]["cores"] >= 1 and document["settings"]["rounds"] == 3
    assert "measuring" in said.err


def test_a_benchmark_that_cannot_run_here_leaves_the_others_their_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "refused", "quick"]) == 1
    results = json.loads(capsys.readouterr().out)["results"]
    assert results["refused"]["failed"] == "it needs a device that is not here"
    assert results["quick"]["rounds"] == 10


def test_an_unknown_benchmark_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "latncy"]) == 2
    assert "choose from quick, refused" in capsys.readouterr().err


def test_every_benchmark_can_be_imported() -> None:
    for benchmark in BENCHMARKS.values():
        assert callable(benchmark.load()), benchmark.name


def test_without_names_those_run_that_need_nothing_else() -> None:
    assert [benchmark.name for benchmark in chosen(())] == ["quick", "refused"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rounds": 0},
        {"threads": 0},
        {"layers": 0},
        {"tokens": 1},
        {"size": "7b"},
        {"precisions": ("int2",)},
        {"timeline_rho": 1.5},
        {"rtts_ms": (-1.0,)},
    ],
)
def test_settings_without_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        BenchSettings(**wrong)
