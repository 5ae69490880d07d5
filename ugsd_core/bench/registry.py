"""The benchmarks by name. Each is a function that is imported when it runs, so that listing them imports nothing.

A benchmark is ``measure(settings, say) -> dict``: `settings` is a `BenchSettings`, ``say`` takes one line of progress,
and the dictionary is what is written as JSON. Rows of the table and bars of the picture are made from it by
`ugsd_core.bench.report`: whatever `ugsd_core.bench.timing.spread` made becomes a row with an interval, other numbers
rows of one value; lists, texts and ``None`` stay in the JSON. To add one, write the function and name it below.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ugsd_core.bench.settings import BenchSettings
from ugsd_core.errors import OptionError

__all__ = ["BENCHMARKS", "Benchmark", "Measure", "Say", "chosen"]

Say = Callable[[str], None]
Measure = Callable[[BenchSettings, Say], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: As it is typed.
        where: ``module:function``; imported when it runs.
        what: One line for people.
        default: Whether it runs when no benchmark is named.
    """

    name: str
    where: str
    what: str
    default: bool = True

    def load(self) -> Measure:
        """Import the function."""
        module, _, function = self.where.partition(":")
        measure: Measure = getattr(importlib.import_module(module), function)
        return measure


_ALL = (
    Benchmark("bandwidth", "ugsd_core.bench.bandwidth:measure", "how fast memory can be read, all threads together"),
    Benchmark("loop", "ugsd_core.bench.loop:measure", "the decoding loop with its events over a bare greedy loop"),
    Benchmark("latency", "ugsd_core.bench.latency:measure", "a 4-s clip from its end to the caption, in each mode"),
    Benchmark("phases", "ugsd_core.bench.phases:measure", "where the time of a caption goes, phase by phase"),
    Benchmark("peers", "ugsd_core.bench.peers:measure", "transformers' own decoding, plain and assisted, beside ours"),
    Benchmark("real_size", "ugsd_core.bench.real_size:measure", "a released model's shape (needs --size)", False),
    Benchmark("timeline", "ugsd_core.bench.timeline:measure", "UGSD's timeline at a real size (needs --size)", False),
    Benchmark("backends", "ugsd_core.bench.edges:measure", "the embedded edge on torch and on onnxruntime"),
    Benchmark("ahead", "ugsd_core.bench.ahead:measure", "drafting on while a verdict is on its way, beside waiting"),
    Benchmark("wire", "ugsd_core.bench.wire:measure", "each mode over links of several round trips"),
)
BENCHMARKS = MappingProxyType({benchmark.name: benchmark for benchmark in _ALL})


def chosen(names: tuple[str, ...]) -> tuple[Benchmark, ...]:
    """The benchmarks of these names in their order; without names those that run by default.

    Raises:
        OptionError: If a name is unknown.
    """
    for name in names:
        if name not in BENCHMARKS:
            raise OptionError(f"there is no benchmark {name!r}; choose from {', '.join(BENCHMARKS)}")
    return tuple(BENCHMARKS[name] for name in names) or tuple(b for b in BENCHMARKS.values() if b.default)
