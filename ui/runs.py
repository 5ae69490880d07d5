"""Running captions for visitors: one at a time, in order of arrival, cancelled for real, at most 20 updates a second.

The engine runs in a thread of its own and never waits for the page, so that drawing cannot enter a measured clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from ugsd_core.messages import Event
from ugsd_core.wire.emulated import Conditions

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ugsd_core.options import DecodingOptions

__all__ = ["AS_IS", "UPDATES_PER_S", "Engine", "Runs", "Update"]

#: The page is told this often at most; whatever happens in between arrives together, the last state always.
UPDATES_PER_S = 20
#: The network as it is.
AS_IS = Conditions()


class Engine(Protocol):
    """What the page needs of a captioner."""

    @property
    def vocabulary_size(self) -> int:
        """Size of the vocabulary over which ranks are taken."""

    def prepare(self) -> None:
        """Called before each caption that needs a verifier: see that one can be reached, if that is ours to do."""

    def stream(self, utterance: Utterance, options: DecodingOptions, link: Conditions = AS_IS) -> Iterator[Event]:
        """Caption an utterance, over an emulated link if one is asked for; closing the iterator cancels."""

    def interrupt(self) -> None:
        """Called from another thread when a caption is stopped: end a wait for the verifier at once."""


@dataclass(frozen=True, slots=True)
class Update:
    """News for the page.

    Attributes:
        ahead: Captions before this one; None once it runs.
        events: What happened since the update before.
        stopped: The visitor stopped it; the last update.
        error: What ended it, if it failed; the last update.
    """

    ahead: int | None = None
    events: tuple[Event, ...] = ()
    stopped: bool = False
    error: Exception | None = None


@dataclass(eq=False, slots=True)
class _Run:
    cancelled: threading.Event = field(default_factory=threading.Event)
    news: SimpleQueue[Event | Exception | None] = field(default_factory=SimpleQueue)


class Runs:
    """All captions of one engine. Safe for many threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._turns: list[_Run] = []
        self._turn = threading.Condition()
        self._of_session: dict[str, _Run] = {}

    def stop(self, session: str) -> None:
        """Cancel the session's caption, if it has one."""
        run = self._of_session.get(session)
        if run is None:
            return
        run.cancelled.set()
        with self._turn:
            works = bool(self._turns) and self._turns[0] is run
        if works:
            self.engine.interrupt()

    def caption(
        self, session: str, utterance: Utterance, options: DecodingOptions, link: Conditions = AS_IS
    ) -> Iterator[Update]:
        """Caption for a session, over a link of its own; its earlier caption, if any, is cancelled.

        Closing the iterator cancels too. Errors of the engine come as the last update.
        """
        self.stop(session)
        run = _Run()
        self._of_session[session] = run
        with self._turn:
            self._turns.append(run)
        started = False
        try:
            for ahead in self._wait(run):
                yield Update(ahead=ahead)
            if not run.cancelled.is_set():
                args = (run, utterance, options, link)
                work = threading.Thread(target=self._work, args=args, name="caption", daemon=True)
                work.start()
                started = True
                yield from self._updates(run)
            if run.cancelled.is_set():
                yield Update(stopped=True)
        finally:
            run.cancelled.set()
            if not started:
                self._leave(run)
            if self._of_session.get(session) is run:
                del self._of_session[session]

    @contextmanager
    def turn(self, cancelled: threading.Event, waits: Callable[[int], None] = lambda ahead: None) -> Iterator[bool]:
        """Take one turn among the captions of all visitors, for whoever uses the engine's models in another way.

        Args:
            cancelled: Ends the wait.
            waits: Is told how many are ahead, whenever that changes.

        Yields:
            Whether it is one's turn; False if it was cancelled before.
        """
        run = _Run(cancelled)
        with self._turn:
            self._turns.append(run)
        try:
            for ahead in self._wait(run):
                waits(ahead)
            yield not cancelled.is_set()
        finally:
            self._leave(run)

    def _wait(self, run: _Run) -> Iterator[int]:
        """How many are ahead, whenever that changes, until it is this one's turn."""
        told = -1
        while not run.cancelled.is_set():
            with self._turn:
                ahead = self._turns.index(run)
                if ahead == 0:
                    return
                if ahead == told:
                    self._turn.wait(0.2)
            if ahead != told:
                told = ahead
                yield ahead

    def _leave(self, run: _Run) -> None:
        with self._turn:
            if run in self._turns:
                self._turns.remove(run)
            self._turn.notify_all()

    def _work(self, run: _Run, utterance: Utterance, options: DecodingOptions, link: Conditions) -> None:
        try:
            if options.mode != "edge":
                self.engine.prepare()
            stream = self.engine.stream(utterance, options, link)
            try:
                for event in stream:
                    if run.cancelled.is_set():
                        break
                    run.news.put(event)
            finally:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()
            run.news.put(None)
        except Exception as error:  # the page shows it, or logs it with its traceback
            run.news.put(error)
        finally:
            self._leave(run)

    def _updates(self, run: _Run) -> Iterator[Update]:
        told_at = 0.0
        while not run.cancelled.is_set():
            try:
                first = run.news.get(timeout=0.1)
            except Empty:
                continue
            pause_s = told_at + 1 / UPDATES_PER_S - time.monotonic()
            if pause_s > 0:
                run.cancelled.wait(pause_s)
            batch, end = _drain(first, run.news)
            told_at = time.monotonic()
            if batch:
                yield Update(events=batch)
            if end is not _GOES_ON:
                if isinstance(end, Exception):
                    yield Update(error=end)
                return


_GOES_ON = object()


def _drain(
    first: Event | Exception | None, news: SimpleQueue[Event | Exception | None]
) -> tuple[tuple[Event, ...], object]:
    """What has arrived, and how the stream ended: None, an error, or not yet."""
    batch: list[Event] = []
    item = first
    while True:
        if item is None or isinstance(item, Exception):
            return tuple(batch), item
        batch.append(item)
        try:
            item = news.get_nowait()
        except Empty:
            return tuple(batch), _GOES_ON
