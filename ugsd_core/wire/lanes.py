"""A lane: the work of one opening of an utterance, in order, one piece at a time, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter

from websockets.exceptions import ConnectionClosed

from ugsd_core.messages import GeneratedToken, Verdict
from ugsd_core.verifier import Verifier, VerifierUtterance
from ugsd_core.wire.session import GenerateWork, JudgeWork, OpenWork, Work

__all__ = ["Lane"]

#: Work that may wait in a lane; the session reads no further messages while it is full.
MAX_WAITING = 16


class Lane:
    """The work of one opening.

    Args:
        verifier: What opens the utterance.
        pool: Threads for the models.
        done: Told each result: an `OpenedReply`, a `Verdict`, each `GeneratedToken`, and None after the last.
        failed: Told each exception; after a failed opening the lane does nothing more.
    """

    def __init__(
        self,
        verifier: Verifier,
        pool: ThreadPoolExecutor,
        done: Callable[[Work, object], Awaitable[None]],
        failed: Callable[[Work, Exception], Awaitable[None]],
    ) -> None:
        self._verifier = verifier
        self._pool = pool
        self._done = done
        self._failed = failed
        self._queue: asyncio.Queue[tuple[Work, threading.Event, float]] = asyncio.Queue(MAX_WAITING)
        self._given_up = threading.Event()
        self._utterance: VerifierUtterance | None = None
        self._task = asyncio.create_task(self._run())

    async def put(self, work: Work) -> None:
        """Add work; a caption being generated is given up, for whoever asked for it has gone on."""
        arrived = perf_counter()
        self._given_up.set()
        self._given_up = threading.Event()
        if not self._task.done():
            await self._queue.put((work, self._given_up, arrived))

    def stop(self) -> None:
        """Do nothing more. A forward pass that runs finishes in its thread, and its result is dropped."""
        self._given_up.set()
        self._task.cancel()

    async def finished(self) -> None:
        """Wait until the lane has ended."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            while True:
                work, given_up, arrived = await self._queue.get()
                try:
                    await self._do(work, given_up, arrived)
                except ConnectionClosed:
                    return
                except Exception as error:
                    with contextlib.suppress(ConnectionClosed):
                        await self._failed(work, error)
                    if isinstance(work, OpenWork):
                        return
        finally:
            # Wakes a `put` that waits for room: nobody would take anything out any more.
            while not self._queue.empty():
                self._queue.get_nowait()
            self._utterance = None  # what the model holds for it goes now, whoever still holds the lane

    async def _do(self, work: Work, given_up: threading.Event, arrived: float) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(work, OpenWork):
            self._utterance = await loop.run_in_executor(self._pool, self._verifier.open, work.request)
            await self._done(work, self._utterance.opened)
            return
        assert self._utterance is not None  # a lane begins with its opening
        if isinstance(work, JudgeWork):
            await self._done(work, await loop.run_in_executor(self._pool, _judge, self._utterance, work, arrived))
        else:
            await self._generate(work, self._utterance, given_up)

    async def _generate(self, work: GenerateWork, utterance: VerifierUtterance, given_up: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        tokens: asyncio.Queue[GeneratedToken | None] = asyncio.Queue()

        # One thread for the whole caption: torch's inference mode belongs to a thread, and a generator that
        # enters it must not be continued in another.
        def write() -> Exception | None:
            try:
                iterator = utterance.generate(work.generate.request)
                for token in iterator:
                    if given_up.is_set():
                        break
                    loop.call_soon_threadsafe(tokens.put_nowait, token)
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
            except Exception as error:
                return error
            finally:
                loop.call_soon_threadsafe(tokens.put_nowait, None)
            return None

        writing = loop.run_in_executor(self._pool, write)
        while (token := await tokens.get()) is not None:
            await self._done(work, token)
        error = await writing
        if error is not None:
            raise error
        if not given_up.is_set():
            await self._done(work, None)


def _judge(utterance: VerifierUtterance, work: JudgeWork, arrived: float) -> Verdict:
    """Judge, and say how long the request waited: behind the prefill of its utterance, or for this thread."""
    queued_ms = (perf_counter() - arrived) * 1e3
    return replace(utterance.judge(work.request), queued_ms=queued_ms)
