"""Runs benchmarks one after the other and gathers what they found."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from ugsd_core import __version__
from ugsd_core.bench.machine import machine_facts
from ugsd_core.bench.registry import Benchmark, Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.errors import UgsdError

__all__ = ["run_benchmarks"]


def run_benchmarks(benchmarks: tuple[Benchmark, ...], settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Run them all; one that cannot run here does not take the others' results with it.

    Returns:
        ``machine``, ``settings`` and ``results`` by name; a benchmark that could not run has ``failed`` there, one
        sentence. ``machine`` is read again at the end, since only then are all libraries loaded.
    """
    began = datetime.now(UTC)
    load_before = machine_facts()["load_average"]
    results: dict[str, Any] = {}
    for number, benchmark in enumerate(benchmarks, 1):
        say(f"[{number}/{len(benchmarks)}] {benchmark.name}: {benchmark.what}")
        started = perf_counter()
        try:
            results[benchmark.name] = benchmark.load()(settings, say)
        except UgsdError as error:
            say(f"{benchmark.name}: {error}")
            results[benchmark.name] = {"failed": str(error)}
        results[benchmark.name]["took_s"] = round(perf_counter() - started, 1)
    return {
        "program": __version__,
        "began": began.isoformat(timespec="seconds"),
        "machine": machine_facts() | {"load_average_before": load_before},
        "settings": settings.to_dict(),
        "results": results,
    }
