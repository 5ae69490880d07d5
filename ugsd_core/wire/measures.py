"""The measures of one server, as Prometheus reads them: counts, sizes and times, without content and without clients.

Each server has a registry of its own, so that several may run in one process. What happens is counted where it happens;
what stands in `Service` anyway is read when somebody asks. No label holds anything that a client sent: labels are
kinds of requests, codes of refusals, directions and states, all of them ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from ugsd_core import __version__

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from ugsd_core.wire.service import Service

__all__ = ["PREFIX", "Measures"]

PREFIX = "ugsd_verifier"
#: Upper bounds (s) of what verdicts take: from a pass of the embedded verifier to a large one on two cores.
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Measures:
    """Counters and histograms of a server.

    Attributes:
        sessions: Sessions that stand now.
        draining: Whether nothing new is begun any more.
    """

    def __init__(self, **build: str) -> None:
        """Args: ``build`` says what runs, as labels of one constant: ``checkpoint``, ``device``, ``dtype``."""
        from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector

        self.sessions = 0
        self.draining = False
        self.registry: CollectorRegistry = CollectorRegistry()
        own: dict[str, Any] = {"namespace": PREFIX, "registry": self.registry}
        Info("build", "What runs here.", **own).info({"version": __version__, **build})
        self._answers = Counter(
            "requests", "Requests answered, by kind and by outcome: ok, or an error code.", ("kind", "outcome"), **own
        )
        self._refusals = Counter("refusals", "Refusals and error messages sent, by code.", ("code",), **own)
        frames = Counter("frame_bytes", "Bytes of WebSocket frames, padding included.", ("direction",), **own)
        self._bytes = {direction: frames.labels(direction) for direction in ("up", "down")}
        self._begun = Counter("sessions_begun", "Sessions that were begun.", **own)
        self._drained = Counter("sessions_drained", "Sessions at SIGTERM: finished in time, or cut.", ("how",), **own)
        self._queued = Histogram(
            "queued_seconds", "Wait of a block before its forward pass began.", buckets=SECONDS, **own
        )
        self._verify = Histogram("verify_seconds", "Forward pass that judged a block.", buckets=SECONDS, **own)
        ProcessCollector(registry=self.registry)

    def watch(self, service: Service) -> None:
        """Show what stands in a service from now on."""
        self.registry.register(_ServiceCollector(self, service))

    def began(self) -> None:
        """A session began."""
        self.sessions += 1
        self._begun.inc()

    def ended(self) -> None:
        """A session ended."""
        self.sessions -= 1

    def frame(self, direction: Literal["up", "down"], size_bytes: int) -> None:
        """A frame came or went."""
        self._bytes[direction].inc(size_bytes)

    def answered(self, kind: str, outcome: str) -> None:
        """A request has its answer."""
        self._answers.labels(kind, outcome).inc()

    def refused(self, code: str) -> None:
        """Something was refused."""
        self._refusals.labels(code).inc()

    def verdict(self, queued_s: float, verify_s: float) -> None:
        """A block was judged."""
        self._queued.observe(queued_s)
        self._verify.observe(verify_s)

    def drained(self, finished: int, cut: int) -> None:
        """The server has let its sessions finish."""
        self._drained.labels("finished").inc(finished)
        self._drained.labels("cut").inc(cut)

    def text(self) -> tuple[bytes, str]:
        """Everything in Prometheus' text format, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _ServiceCollector:
    """What a `Service` knows anyway, read when asked."""

    def __init__(self, measures: Measures, service: Service) -> None:
        self._measures = measures
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        service, counters, measures = self._service, self._service.counters, self._measures
        gauges = {
            "sessions": ("Sessions that stand now.", measures.sessions),
            "draining": ("1 while sessions are let finish and nothing new is begun.", int(measures.draining)),
            "held": ("Utterances and acoustic codes that are held.", len(service.memory)),
            "held_bytes": ("What they take.", service.memory.total_bytes),
            "held_limit_bytes": ("What they may take (--memory-mb).", service.memory.cap_bytes),
            "requests_waiting": ("Requests that were taken in and not answered yet.", service.admission.total),
            "jobs_waiting": ("Pieces of work that no worker has taken yet.", service.waiting),
        }
        for name, (what, value) in gauges.items():
            yield GaugeMetricFamily(f"{PREFIX}_{name}", what, value)
        workers = GaugeMetricFamily(f"{PREFIX}_workers", "Threads that run the model, by state.", labels=("state",))
        for state, number in service.worker_states().items():
            workers.add_metric((state,), number)
        yield workers
        counts: dict[str, tuple[str, float]] = {
            "passes": ("Forward passes for blocks and tokens.", counters.passes),
            "rows": ("Blocks and tokens in them.", counters.rows),
            "tokens": ("Token ids that went through them.", counters.tokens),
            "pass_seconds": ("Time of all passes.", counters.pass_ms / 1e3),
            "opened": ("Utterances opened, rebuilt ones included.", counters.opened),
            "rebuilt": ("Utterances opened again after they had been forgotten.", counters.rebuilt),
            "open_seconds": ("Time of all openings.", counters.open_ms / 1e3),
            "evicted": ("Utterances and codes forgotten to make room.", service.memory.evicted),
            "out_of_memory": ("Pieces of work for which memory ran out.", counters.out_of_memory),
            "busy": ("Requests refused because too much was waiting.", service.admission.refused),
        }
        for name, (what, count) in counts.items():
            yield CounterMetricFamily(f"{PREFIX}_{name}", what, count)
        device_bytes = _device_bytes()
        if device_bytes is not None:
            yield GaugeMetricFamily(f"{PREFIX}_device_memory_bytes", "GPU memory that tensors take.", device_bytes)


def _device_bytes() -> int | None:
    """What tensors take of a GPU's memory; None where none is used. Never loads torch."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return sum(int(torch.cuda.memory_allocated(index)) for index in range(torch.cuda.device_count()))
