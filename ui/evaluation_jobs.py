"""Evaluations in the background: one at a time, the server's own, so that a page that is closed ends none.

Each caption takes a turn among those of the visitors, so that a visitor waits for one caption of an evaluation at most,
and an evaluation for one of each visitor. Where a job stands is one frozen `JobState`, which any page may ask for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.plan import CaptionSource, EvaluationPlan, System
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.messages import Event
from ugsd_core.wire.emulated import Conditions
from ui.runs import AS_IS

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ui.runs import Engine, Runs

__all__ = ["EngineSource", "EvaluationJobs", "JobState", "Phase", "TurnSource", "source_of"]

_log = logging.getLogger("ugsd.page")

#: ``captioning`` and ``scoring`` go on; the others are the end.
Phase = Literal["captioning", "scoring", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class JobState:
    """Where an evaluation stands.

    Attributes:
        number: Of the job, counted from 1.
        run: Name of its run.
        place: Key of its corpus.
        done, total: Captions, those of an earlier run included; 0 of 0 before it is known.
        share: Of the scoring, 0…1.
        eta_s: Seconds left at the present speed; None before that can be said.
        last: The clip that was captioned last.
        system: That captions now.
        ahead: Visitors' captions that it waits for.
        failed: Clips that failed since it began.
        error: What ended it.
        began_s: When it began, by ``time.monotonic``.
    """

    number: int
    run: str
    place: str
    phase: Phase = "captioning"
    done: int = 0
    total: int = 0
    share: float = 0.0
    eta_s: float | None = None
    last: str = ""
    system: str = ""
    ahead: int = 0
    failed: int = 0
    error: Exception | None = None
    began_s: float = 0.0

    @property
    def goes_on(self) -> bool:
        """It has not ended."""
        return self.phase in ("captioning", "scoring")


class EngineSource:
    """The page's engine as it is, for engines that have no source of their own; a `CaptionSource`."""

    def __init__(self, engine: Engine, link: Conditions = AS_IS) -> None:
        self._engine, self._link = engine, link

    def stream(self, utterance: Utterance, system: System) -> Iterator[Event]:
        """See `CaptionSource`.

        Raises:
            OptionError: For an oracle, which an engine can't ask.
        """
        if system.kind == "oracle":
            raise OptionError("this engine can't ask a verifier beforehand; leave out the system oracle")
        if system.options.mode != "edge":
            self._engine.prepare()
        return self._engine.stream(utterance, system.options, self._link)

    def describe(self) -> dict[str, Any]:
        """Nothing is known of it but the link."""
        link = None if self._link.plain else str(self._link)
        return {"edge": None, "verifier": None, "device": None, "link": link}

    def resources(self) -> dict[str, float | None]:
        """Nothing is measured."""
        return dict.fromkeys(("edge_cpu_s", "verifier_cpu_s", "edge_rss_mb", "verifier_rss_mb", "gpu_mb"))


def source_of(engine: Engine, link: Conditions = AS_IS) -> CaptionSource:
    """The source of an engine over a link: its own ``evaluation_source`` if it has one."""
    own: Callable[..., CaptionSource] | None = getattr(engine, "evaluation_source", None)
    if own is None:
        return EngineSource(engine, link)
    return own() if link.plain else own(link)


class _Stopped(Exception):
    """The job was stopped while it waited for its turn."""


class TurnSource:
    """A source whose captions take turns with those of the visitors; a `CaptionSource`.

    Args:
        cancelled: Ends a wait for a turn.
        tell: Is told the system that captions next, and how many are ahead.
    """

    def __init__(
        self, inner: CaptionSource, runs: Runs, cancelled: threading.Event, tell: Callable[[str, int], None]
    ) -> None:
        self._inner, self._runs, self._cancelled, self._tell = inner, runs, cancelled, tell

    def stream(self, utterance: Utterance, system: System) -> Iterator[Event]:
        """See `CaptionSource`."""
        with self._runs.turn(self._cancelled, lambda ahead: self._tell(system.name, ahead)) as mine:
            if not mine:
                raise _Stopped
            self._tell(system.name, 0)
            stream = self._inner.stream(utterance, system)
            try:
                yield from stream
            finally:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()

    def describe(self) -> dict[str, Any]:
        """See `CaptionSource`."""
        return self._inner.describe()

    def resources(self) -> dict[str, float | None]:
        """See `CaptionSource`."""
        return self._inner.resources()

    def recall(self, system: System, lines: Sequence[ClipLine]) -> None:
        """Take a system's budget up where these lines left it, if the source keeps budgets."""
        own = getattr(self._inner, "recall", None)
        if own is not None:
            own(system, lines)


class EvaluationJobs:
    """The evaluations of one engine. Safe for many threads."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._state: JobState | None = None
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> JobState | None:
        """The job that runs, or the last one; None before the first."""
        return self._state

    def start(
        self, plan: EvaluationPlan, *, place: str = "", notes: dict[str, Any] | None = None, link: Conditions = AS_IS,
        ended: Callable[[], None] = lambda: None,
    ) -> JobState:  # fmt: skip
        """Begin an evaluation, or go on with one that was stopped.

        Args:
            notes: Kept in the manifest of a new run.
            link: The emulated link to the verifier.
            ended: Called when it has ended, however.

        Raises:
            OptionError: If one runs already.
        """
        with self._lock:
            if self._state is not None and self._state.goes_on:
                raise OptionError(
                    f"an evaluation runs already ({self._state.run}); wait for its end, or stop it and start this one"
                )
            number = 1 if self._state is None else self._state.number + 1
            self._cancelled = threading.Event()
            self._state = JobState(number, plan.folder.name, place, began_s=time.monotonic())
            self._thread = threading.Thread(
                target=self._work,
                args=(plan, notes or {}, link, self._cancelled, ended),
                name="evaluation",
                daemon=True,
            )
            self._thread.start()
            return self._state

    def stop(self) -> None:
        """End the job after the token that is being written; all captions that are whole are kept."""
        self._cancelled.set()

    def wait(self, timeout_s: float | None = None) -> JobState | None:
        """Until the job has ended; where it stands then."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return self._state

    def close(self) -> None:
        """The page ends: stop, and wait for the run's files to be whole."""
        self.stop()
        self.wait(20.0)

    # ── The job's own thread ──────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, **news: Any) -> None:
        assert self._state is not None
        self._state = replace(self._state, **news)

    def _work(
        self,
        plan: EvaluationPlan,
        notes: dict[str, Any],
        link: Conditions,
        cancelled: threading.Event,
        ended: Callable[[], None],
    ) -> None:
        try:
            self._caption(plan, notes, link, cancelled)
            if not cancelled.is_set():
                self._score(plan)
            self._tell(phase="stopped" if cancelled.is_set() else "done", eta_s=None, ahead=0)
        except _Stopped:
            self._tell(phase="stopped", eta_s=None, ahead=0)
        except Exception as error:  # the page says it, or that the log has it
            _log.log(
                logging.INFO if isinstance(error, OptionError) else logging.ERROR, "an evaluation failed: %s", error
            )
            self._tell(phase="failed", error=error, eta_s=None, ahead=0)
        finally:
            ended()

    def _caption(
        self, plan: EvaluationPlan, notes: dict[str, Any], link: Conditions, cancelled: threading.Event
    ) -> None:
        from ugsd_core.evaluation.run import evaluate

        source = TurnSource(
            source_of(self._runs.engine, link), self._runs, cancelled, lambda name, n: self._tell(system=name, ahead=n)
        )
        failed = 0
        for step in evaluate(plan, source, cancelled=cancelled.is_set, notes=notes):
            failed += step.line is not None and step.line.error is not None
            last = self._state.last if step.line is None and self._state else (step.line.id if step.line else "")
            self._tell(done=step.done, total=step.total, eta_s=step.eta_s, last=last, failed=failed)

    def _score(self, plan: EvaluationPlan) -> None:
        from ugsd_core.evaluation.scoring import score_run

        self._tell(phase="scoring", eta_s=None, system="")
        score_run(plan.folder, progress=lambda done, of, _: self._tell(share=done / max(of, 1)))
