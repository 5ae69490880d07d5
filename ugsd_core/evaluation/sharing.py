"""Clips of a run shared out among workers, each done once, whatever becomes of a worker. Knows no Ray.

A task is a clip by all systems that still miss it, in the order in which one machine would have taken them. A system
with a budget is different: what it sends depends on all clips before. Its clips are a chain of tasks of their own, one
after the other, by one worker as long as that one stands; so its captions are those of one machine, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.errors import AudioError, UgsdError
from ugsd_core.evaluation.clip_line import failed_line
from ugsd_core.evaluation.clip_work import Cancelled, Captioned
from ugsd_core.evaluation.plan import EvaluationPlan, System
from ugsd_core.evaluation.records import ClipLine

__all__ = ["ClipTask", "ClipWorkers", "Done", "Lost", "Outcome", "Sharing", "WorkLost", "tasks_for"]

#: Workers that may be lost at one clip before it is the clip's fault.
MOST_LOSSES = 3
#: Seconds between two looks whether the run was cancelled.
LOOK_EVERY_S = 0.2


class WorkLost(UgsdError):
    """Workers ended again and again."""


@dataclass(frozen=True, slots=True)
class ClipTask:
    """What a worker is to do.

    Attributes:
        number: Names the task.
        wanted: Systems, each with its place among the clip's systems.
        serial: Name of the chain: the system whose clips follow each other; empty for others.
        recall: Lines of that system before this clip, for a worker that has not written them; None if it has.
        audio: The recording's bytes; no worker needs to see the corpus.
    """

    number: int
    clip: CorpusClip
    wanted: tuple[tuple[int, System], ...]
    serial: str = ""
    recall: tuple[ClipLine, ...] | None = None
    audio: bytes = b""


@dataclass(frozen=True, slots=True)
class Done:
    """A task's captions."""

    task: int
    worker: str
    captioned: tuple[Captioned, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker ended, with a task of its own or without."""

    worker: str
    task: int | None


Outcome = Done | Lost


@runtime_checkable
class ClipWorkers(Protocol):
    """Workers that caption clips at a time; a run's source in place of a `CaptionSource`.

    Attributes:
        warm_up_s: The longest warm-up of a worker so far; seconds.
    """

    warm_up_s: float

    def describe(self) -> dict[str, Any]:
        """As `CaptionSource.describe`; all workers must agree in it."""

    def facts(self) -> dict[str, dict[str, Any]]:
        """Of each worker by name: ``node``, ``machine``, ``versions``, ``device``, ``threads``, ``lost``."""

    def idle(self) -> Sequence[str]:
        """Workers that could take a task now."""

    def give(self, worker: str, task: ClipTask, language: str) -> None:
        """Have a worker do a task."""

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """What has come about; waits so long for it at most.

        Raises:
            UgsdError: What a worker said that a person can mend, such as a lost verifier.
        """

    def stop(self) -> None:
        """Let tasks under way go."""


def tasks_for(
    clips: Sequence[CorpusClip], systems: Sequence[System], order: int, done: Callable[[str, str], bool]
) -> list[ClipTask]:
    """What is missing, as tasks in the corpus' order.

    Args:
        order: The place of the first system among all of a clip's.
        done: Whether a clip (its id) has a line of a system (its name).
    """
    tasks: list[ClipTask] = []
    for index, clip in enumerate(clips):
        turn = systems if index % 2 == 0 else tuple(reversed(systems))
        missing = [(place, one) for place, one in enumerate(turn, order) if not done(clip.id, one.name)]
        together = tuple((place, one) for place, one in missing if not _is_serial(one))
        if together:
            tasks.append(ClipTask(len(tasks), clip, together))
        for place, one in missing:
            if _is_serial(one):
                tasks.append(ClipTask(len(tasks), clip, ((place, one),), one.name))
    return tasks


def _is_serial(system: System) -> bool:
    """Whether a caption depends on those before it."""
    options = system.options
    return options.mode == "ugsd" and options.budget is not None and options.promise is None


class Sharing:
    """Gives tasks to workers, and each result once.

    Args:
        lines: Of each system, in the corpus' order: those that are there already.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        tasks: Iterable[ClipTask],
        lines: Mapping[str, Sequence[ClipLine]],
        cancelled: Callable[[], bool],
    ) -> None:
        self._plan = plan
        self._cancelled = cancelled
        self._tasks = {task.number: task for task in tasks}
        self._free: deque[ClipTask] = deque()
        self._chains: dict[str, deque[ClipTask]] = {}
        for task in self._tasks.values():
            (self._chains.setdefault(task.serial, deque()) if task.serial else self._free).append(task)
        self._under_way: dict[int, str] = {}
        self._losses: dict[int, int] = {}
        self._lines = {name: list(before) for name, before in lines.items()}
        self._places = {clip.id: place for place, clip in enumerate(plan.corpus.clips)}
        # Who keeps the budget of each chain, from its first clip on.
        self._keepers: dict[str, str] = {}

    @property
    def _waiting(self) -> bool:
        return bool(self._free) or any(self._chains.values())

    def by(self, workers: ClipWorkers) -> Generator[tuple[str, Captioned], None, None]:
        """Who captioned what, as it comes.

        Raises:
            Cancelled: If somebody asked to stop.
            WorkLost: If workers end at one clip again and again.
            UgsdError: As `ClipWorkers.wait`.
        """
        try:
            while self._waiting or self._under_way:
                if self._cancelled():
                    raise Cancelled
                for worker in workers.idle():
                    task = self._next(worker)
                    if task is None:
                        continue
                    try:
                        workers.give(worker, self._with_audio(task), self._plan.language)
                    except AudioError as error:
                        yield from ((worker, captioned) for captioned in self._unread(task, error))
                        continue
                    self._under_way[task.number] = worker
                for outcome in workers.wait(LOOK_EVERY_S):
                    yield from self._came(outcome)
        finally:
            if self._under_way:
                workers.stop()

    def _next(self, worker: str) -> ClipTask | None:
        """A task for a worker: of a chain that it keeps, of one that nobody keeps yet, or any clip."""
        busy = {self._tasks[number].serial for number in self._under_way}
        open_chains = [name for name, chain in self._chains.items() if chain and name not in busy]
        own = [name for name in open_chains if self._keepers.get(name) == worker]
        new = [name for name in open_chains if name not in self._keepers]
        # Chains can't be done side by side by one worker, so each begins at another one if there is a choice.
        if own or (new and (worker not in self._keepers.values() or not self._free)):
            name = (own or new)[0]
            task = self._chains[name].popleft()
            if name in self._keepers:
                return task
            self._keepers[name] = worker
            return replace(task, recall=tuple(sorted(self._lines.get(name, ()), key=self._place)))
        return self._free.popleft() if self._free else None

    def _place(self, line: ClipLine) -> int:
        return self._places.get(line.id, 0)

    def _with_audio(self, task: ClipTask) -> ClipTask:
        """With the recording.

        Raises:
            AudioError: If it can't be read here, in the words of one machine.
        """
        from ugsd_core.audio import load_utterance

        assert task.clip.path is not None
        try:
            return replace(task, audio=task.clip.path.read_bytes())
        except OSError:
            load_utterance(task.clip.path, first_30_s=True)
            raise

    def _unread(self, task: ClipTask, error: AudioError) -> Iterator[Captioned]:
        for order, system in task.wanted:
            folder = self._plan.corpus.folder
            yield Captioned(failed_line(task.clip, self._plan.language, system.name, order, str(error), folder))

    def _came(self, outcome: Outcome) -> Iterator[tuple[str, Captioned]]:
        if isinstance(outcome, Lost):
            self._lost(outcome)
            return
        if self._under_way.pop(outcome.task, None) is None:
            return  # it was given to another one meanwhile
        task = self._tasks[outcome.task]
        for captioned in outcome.captioned:
            path = failed_line(task.clip, self._plan.language, "", 0, "", self._plan.corpus.folder).path
            line = replace(captioned.line, path=path)
            if task.serial:
                self._lines.setdefault(task.serial, []).append(line)
            yield outcome.worker, replace(captioned, line=line)

    def _lost(self, lost: Lost) -> None:
        """The worker's task is done again by another; a budget it kept is taken up from the lines."""
        self._keepers = {name: worker for name, worker in self._keepers.items() if worker != lost.worker}
        if lost.task is None or self._under_way.pop(lost.task, None) is None:
            return
        task = self._tasks[lost.task]
        self._losses[task.number] = self._losses.get(task.number, 0) + 1
        if self._losses[task.number] >= MOST_LOSSES:
            raise WorkLost(
                f"{MOST_LOSSES} workers ended while they captioned {task.clip.id!r}; see whether their memory is "
                "enough (fewer workers with --ray-workers), and resume with the same command"
            )
        (self._chains[task.serial] if task.serial else self._free).appendleft(task)
