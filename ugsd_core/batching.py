"""Whose turn it is at a verifier: passes shared by many sessions, taken in turn, with a bound on what may wait.

Work comes in two kinds. A *row* is a block to be judged or a token to be written: milliseconds, and many of them make
one pass. A *single* is an utterance to be opened: ten times that, and alone. Sessions take turns, one piece each, so
that one that asks a lot gets what is left over and nobody waits behind it. Nothing here knows threads or models; times
are handed in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from ugsd_core.errors import OptionError

__all__ = ["MAX_RETRY_MS", "MIN_RETRY_MS", "Admission", "BatchLimits", "Job", "Scheduler"]

#: How long after its last block a session counts as one that may ask again soon.
_RECENT_S = 1.0
#: Weight of the newest interval in the mean of intervals.
_NEWEST = 0.1
#: Bounds of the time after which a refused request is to be repeated.
MIN_RETRY_MS, MAX_RETRY_MS = 20, 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How a verifier shares itself.

    Attributes:
        rows: Blocks in one pass.
        tokens: Ids in one pass; a block that has more by itself still gets one.
        window_ms: A block waits at most this long for others to share a pass, and only if others may be about to ask.
        waiting: Requests that may wait, of all sessions.
        waiting_each: Requests that may wait, of one session.
        memory_mb: What utterances and acoustic codes of all sessions may take between passes.

    Raises:
        OptionError: If a limit has no meaning.
    """

    rows: int = 32
    tokens: int = 2048
    window_ms: float = 2.0
    waiting: int = 1024
    waiting_each: int = 64
    memory_mb: float = 2048.0

    def __post_init__(self) -> None:
        for name in ("rows", "tokens", "waiting", "waiting_each"):
            if getattr(self, name) < 1:
                raise OptionError(f"the verifier's limit {name!r} must be at least 1, not {getattr(self, name)}")
        if not 0.0 <= self.window_ms <= 1000.0:
            raise OptionError(f"the batch window must lie in 0…1000 ms, not {self.window_ms:g}")
        if self.memory_mb <= 0.0:
            raise OptionError(f"the verifier needs memory for utterances, not {self.memory_mb:g} MB")


@dataclass(eq=False, slots=True)
class Job:
    """A piece of work in line.

    Attributes:
        session: Whose it is.
        work: What is to be done; the scheduler does not look at it.
        tokens: Ids that go through the model; 0 for a single.
        cancelled: Nobody wants it any more; it is left out.
    """

    session: Hashable
    work: Any
    tokens: int
    cancelled: bool = False
    queued_s: float = 0.0

    @property
    def is_row(self) -> bool:
        """Whether it can share a pass."""
        return self.tokens > 0


class _Line:
    """Jobs of one kind in the order of start-time fair queueing (Goyal and others, SIGCOMM 1996).

    A job starts where its session's last one ended, or where the line is now, and lasts one turn; the earliest start
    is next. So sessions take turns, and one that has many jobs waiting cannot slip in while those who wait for an
    answer before they ask again are away.
    """

    def __init__(self) -> None:
        self._jobs: list[tuple[int, int, Job]] = []
        self._added = 0
        self._turn = 0
        self._free: dict[Hashable, int] = {}
        self._waiting: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, session: Hashable) -> bool:
        return session in self._waiting

    def add(self, job: Job) -> None:
        """Put a job in line."""
        start = max(self._turn, self._free.get(job.session, 0))
        self._free[job.session] = start + 1
        self._added += 1
        self._waiting[job.session] += 1
        heappush(self._jobs, (start, self._added, job))

    def first(self) -> Job | None:
        """The job whose turn it is."""
        while self._jobs and self._jobs[0][2].cancelled:
            self.pop()
        return self._jobs[0][2] if self._jobs else None

    def pop(self) -> Job:
        """Take the job whose turn it is."""
        self._turn, _, job = heappop(self._jobs)
        self._waiting[job.session] -= 1
        if not self._waiting[job.session]:
            del self._waiting[job.session]
        if len(self._free) > 2 * len(self._jobs) + 256:  # of sessions that may have ended
            self._free = {session: start for session, start in self._free.items() if start > self._turn}
        return job

    def oldest_s(self) -> float:
        """When the oldest job was added."""
        return min(job.queued_s for _, _, job in self._jobs)


class Scheduler:
    """What a free worker does next. Not thread-safe.

    Args:
        workers: How many there are. All but one may open utterances while blocks wait.
    """

    def __init__(self, limits: BatchLimits, workers: int = 1) -> None:
        self._limits = limits
        self._workers = workers
        self._rows = _Line()
        self._singles = _Line()
        self._opening = 0
        self._single_last = False
        self._asked: OrderedDict[Hashable, float] = OrderedDict()
        self._busy: set[Hashable] = set()
        self._interval_s = float("inf")
        self._last_s = float("-inf")

    def add(self, job: Job, now_s: float) -> None:
        """Put a job in line."""
        job.queued_s = now_s
        if not job.is_row:
            self._singles.add(job)
            return
        self._rows.add(job)
        interval = now_s - self._last_s
        known = min(self._interval_s, _RECENT_S)
        self._interval_s = known + _NEWEST * (min(interval, _RECENT_S) - known)
        self._last_s = now_s
        self._asked[job.session] = now_s
        self._asked.move_to_end(job.session)

    def take(self, now_s: float) -> list[Job] | float | None:
        """Jobs for one worker: a single, or rows for one pass; or the seconds to wait; None if there is nothing."""
        rows, singles = self._rows.first() is not None, self._singles.first() is not None
        if singles and (not rows or self._may_open()):
            self._opening += 1
            self._single_last = True
            return [self._singles.pop()]
        if not rows:
            return None
        wait_s = self._wait_s(now_s)
        if wait_s > 0.0:
            return wait_s
        self._single_last = False
        taken = self._share()
        self._busy.update(job.session for job in taken)
        return taken

    def finished(self, jobs: list[Job]) -> None:
        """A worker is done with what it took."""
        for job in jobs:
            if job.is_row:
                self._busy.discard(job.session)
            else:
                self._opening -= 1

    def __len__(self) -> int:
        return len(self._rows) + len(self._singles)

    def _may_open(self) -> bool:
        """Whether to open an utterance although blocks wait: one worker alternates, the last of several does not."""
        return not self._single_last if self._workers == 1 else self._opening < self._workers - 1

    def _share(self) -> list[Job]:
        taken = [self._rows.pop()]
        tokens = taken[0].tokens
        while len(taken) < self._limits.rows:
            job = self._rows.first()
            if job is None or tokens + job.tokens > self._limits.tokens:
                break
            taken.append(self._rows.pop())
            tokens += job.tokens
        return taken

    def _wait_s(self, now_s: float) -> float:
        """How long it is worth waiting for company: not at all if nobody else is about to ask."""
        if len(self._rows) >= self._limits.rows:
            return 0.0
        left_s = self._rows.oldest_s() + self._limits.window_ms / 1e3 - now_s
        if left_s <= 0.0 or self._interval_s > left_s:
            return 0.0
        while self._asked and next(iter(self._asked.values())) < now_s - _RECENT_S:
            self._asked.popitem(last=False)
        others = any(session not in self._rows and session not in self._busy for session in self._asked)
        return left_s if others else 0.0


class Admission:
    """How many requests wait, and who has to come again later. Not thread-safe."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: dict[Hashable, int] = {}
        self._request_ms = 10.0
        self.total = 0
        self.refused = 0

    def enter(self, session: Hashable) -> None:
        """A request was taken in."""
        self._waiting[session] = self._waiting.get(session, 0) + 1
        self.total += 1

    def leave(self, session: Hashable) -> None:
        """A request was answered or given up."""
        self.total -= 1
        self._waiting[session] -= 1
        if not self._waiting[session]:
            del self._waiting[session]

    def took(self, request_ms: float) -> None:
        """How long a request took: a pass, divided by those who shared it."""
        self._request_ms += 0.05 * (request_ms - self._request_ms)

    def refusal_after_ms(self, session: Hashable) -> int | None:
        """None if a request can be taken in, else after how many milliseconds to ask again."""
        own = self._waiting.get(session, 0)
        if own < self._limits.waiting_each and self.total < self._limits.waiting:
            return None
        self.refused += 1
        ahead = own if own >= self._limits.waiting_each else self.total
        return max(MIN_RETRY_MS, min(MAX_RETRY_MS, round(ahead * self._request_ms / 2)))
