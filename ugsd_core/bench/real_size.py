"""A released model's shape with random weights: prefill, decoding, verification and memory at each precision.

Each precision runs in a process of its own. The first one stays while the others come and go, and each of them takes
turns with it, token row by token row (A-B-B-A), so that ratios are of neighbours in time; where memory has no room for
both, the later one is measured alone and the results say so. Memory is read between the turns, for the roofline.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ugsd_core.bench.bandwidth import read_bandwidth
from ugsd_core.bench.machine import available_memory_mb
from ugsd_core.bench.real_models import LLAMA, check_llama
from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import ratio, spread
from ugsd_core.cores import cores
from ugsd_core.errors import OptionError, UgsdError
from ugsd_core.models.rounding import WEIGHT_ONLY

__all__ = ["Process", "measure", "memory_needed_mb"]

#: What a process takes beside its weights: libraries, a key-value cache, what a forward pass holds.
BESIDE_MB = 900.0
#: For the system and for the buffer whose reading is timed.
SPARE_MB = 600.0
BANDWIDTH_BUFFER_MB = 256
PREFILL_ROUNDS = 3


class BenchFailed(UgsdError):
    """A process that measures has ended before it should."""


class Process:
    """A child that measures one precision; see `ugsd_core.bench.real_child`."""

    def __init__(self, spec: dict[str, Any]) -> None:
        from ugsd_core.wire.process import child_environment

        self.precision = str(spec["precision"])
        self._child = subprocess.Popen(
            [sys.executable, "-m", "ugsd_core.bench.real_child", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(asks_for_token=False),
            encoding="utf-8",
        )

    def ready(self) -> dict[str, Any]:
        """Wait until the model is there; its facts."""
        return self._read()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One measurement.

        Raises:
            BenchFailed: If the process ended, for want of memory most likely.
        """
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._child.stdin.flush()
        except OSError:
            pass  # what it died of is said below
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            code = self._child.wait()
            why = "the system ended it, most likely for want of memory" if code == -9 else f"it ended with code {code}"
            raise BenchFailed(f"the process that measures {self.precision} is gone: {why}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def memory_needed_mb(size: str, precision: str, layers: int | None = None) -> float:
    """What a process with this model will hold, MB; from the shape alone."""
    from ugsd_core.bench.shapes import bytes_of, empty_model

    model = empty_model(size, LLAMA.get(precision, precision), layers)
    return bytes_of(model) * (0.5 if precision == "bf16" else 1.0) / 1e6 + BESIDE_MB


def room_for(size: str, precision: str, device: str, layers: int | None) -> float | None:
    """MB that a model needs; None where nothing has to be held against it.

    Raises:
        OptionError: If there is not so much.
    """
    if device != "cpu":
        return None
    needed, there = memory_needed_mb(size, precision, layers), available_memory_mb()
    if there is not None and needed + SPARE_MB > there:
        raise OptionError(
            f"{size} in {precision} needs about {needed / 1e3:.1f} GB of memory and {there / 1e3:.1f} GB are free; "
            "end other programs, or leave it out: --precision names those to measure"
        )
    return needed


@contextmanager
def started(settings: BenchSettings, precision: str, say: Say) -> Iterator[tuple[Process, dict[str, Any]]]:
    """A process with its model, ready, and its facts.

    Raises:
        OptionError: If there is no memory for it, or llama.cpp is needed and not there.
        BenchFailed: If it cannot be made.
    """
    assert settings.size is not None
    check_llama(precision)
    room_for(settings.size, precision, settings.device, settings.layers)
    say(f"{precision}: making {settings.size} …")
    spec = {
        "size": settings.size,
        "precision": precision,
        "device": settings.device,
        "layers": settings.layers,
        "threads": settings.threads or cores(),
    }
    process = Process(spec)
    try:
        yield process, process.ready()
    finally:
        process.close()


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """All precisions; the first is what the others are compared with.

    Raises:
        OptionError: Without a size, or if the device or the memory for the first precision is not there.
    """
    if settings.size is None:
        raise OptionError("say which size, such as --size 3b")
    precisions = settings.precisions
    if settings.device != "cpu":
        import torch

        if not torch.cuda.is_available():
            raise OptionError(f"--device {settings.device} was asked for, but no CUDA device is available")
        precisions = tuple(precision for precision in precisions if precision not in (*WEIGHT_ONLY, *LLAMA)) or (
            "bf16",
        )
    found: dict[str, Any] = {}
    notes = _notes(settings)
    first, *others = precisions
    with started(settings, first, say) as (base, facts):
        found[first] = _alone(base, facts, settings, say)
        if not others:
            found[first] |= _turns(settings, say, base)[first]
        waiting = []
        for other in others:
            try:
                with started(settings, other, say) as (process, its):
                    found[other] = _alone(process, its, settings, say)
                    turns = _turns(settings, say, base, process)
                found[other] |= turns[other]
                found[first] |= turns[first] if "decode" not in found[first] else {}
            except OptionError:
                waiting.append(other)
        if "decode" not in found[first]:
            found[first] |= _turns(settings, say, base)[first]
    for other in waiting:
        try:
            with started(settings, other, say) as (process, its):
                found[other] = _alone(process, its, settings, say) | _turns(settings, say, process)[other]
            notes.append(f"{other} was measured alone: there was no memory for {first} beside it.")
        except OptionError as error:
            notes.append(f"{other} was not measured: {error}")
    return found | {"notes": notes}


def _notes(settings: BenchSettings) -> list[str]:
    notes = [f"Shape {settings.size} with random weights, {settings.threads or cores()} threads, a clip of 4 s."]
    if settings.layers is not None:
        notes.append(f"Only {settings.layers} layers of the shape: these are not figures of the whole model.")
    return notes


def _alone(process: Process, facts: dict[str, Any], settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Prefill, blocks and memory of one process, while the others wait."""
    say(f"{process.precision}: prefill and blocks …")
    opened = [process.ask("prefill") for _ in range(PREFILL_ROUNDS + 1)][1:]  # the first one warms up
    blocks = {}
    for k in settings.block_lengths:
        times = [process.ask("block", k=k)["seconds"] for _ in range(PREFILL_ROUNDS + 1)][1:]
        blocks[f"block_of_{k}"] = spread(times)
    return {
        "weights_gb": facts["weights_bytes"] / 1e9,
        "read_a_token_gb": facts["bytes_a_token"] / 1e9,
        "prefill": spread([one["seconds"] for one in opened]),
        "input_tokens": opened[0]["input_tokens"],
        **blocks,
        **process.ask("peak"),
        "made_s": facts["made_s"],
    }


def _turns(settings: BenchSettings, say: Say, *processes: Process) -> dict[str, dict[str, Any]]:
    """Decoding in turns, and the memory's speed beside it."""
    say(f"decoding in turns: {', '.join(process.precision for process in processes)} …")
    on_cpu = settings.device == "cpu"
    token_s: dict[str, list[float]] = {process.precision: [] for process in processes}
    speed: list[float] = []
    for number in range(-1, settings.rounds):
        sums = dict.fromkeys(token_s, 0.0)
        reads = []
        for process in [*processes, *reversed(processes)]:
            if on_cpu:
                reads += read_bandwidth(1, settings.threads or cores(), BANDWIDTH_BUFFER_MB)
            times = process.ask("decode", tokens=settings.tokens)["seconds"]
            sums[process.precision] += sum(times) / len(times)
        if number < 0:
            continue
        speed.append(max(reads, default=float("nan")))
        for precision, total in sums.items():
            token_s[precision].append(total / 2)
    first = processes[0].precision
    found: dict[str, dict[str, Any]] = {}
    for process in processes:
        mine = token_s[process.precision]
        found[process.precision] = {
            "decode": spread(mine),
            "decode_tokens_per_s": spread([1.0 / s for s in mine], "tokens_per_s", 1.0),
            **process.ask("peak"),
        }
        if on_cpu:
            read = process.ask("told")["bytes_a_token"]
            bound = [bytes_per_s / read for bytes_per_s in speed]
            found[process.precision] |= {
                "memory": spread(speed, "gb_per_s", 1e-9),
                "roofline_tokens_per_s": spread(bound, "tokens_per_s", 1.0),
                "roofline_share": spread([1.0 / (s * most) for s, most in zip(mine, bound, strict=True)], "share", 1.0),
            }
        if process.precision != first:
            found[process.precision][f"speed_over_{first}"] = ratio(token_s[first], mine)
    return found
