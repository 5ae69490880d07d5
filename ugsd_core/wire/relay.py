"""What relays between an edge and a verifier share: a port on loopback, a thread with an event loop, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

from ugsd_core.errors import VerifierUnavailable
from ugsd_core.wire.own import disown, relayed

__all__ = ["Relay"]

_START_TIMEOUT_S = 5.0


class Relay:
    """A relay to a verifier, running in a thread of its own between entering and leaving; used once.

    A subclass says what becomes of a connection (`_relay`), and puts the streams that it opens into ``_writers``.

    Args:
        name: Of the relay, for people and of its thread.
        target: Address of the verifier (``ws://…``).
        path: What stands behind the port in `address`.

    Attributes:
        connections: Connections taken so far.
    """

    def __init__(self, name: str, target: str, path: str = "") -> None:
        self._name = name
        self._target = target
        self._path = path
        self.connections = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._listening_port = 0
        self._error: OSError | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """Where the edge connects to."""
        return f"ws://127.0.0.1:{self._listening_port}{self._path}"

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError(f"the {self._name} is used once")
        name = self._name.replace(" ", "-")
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=name, daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S) or self._error is not None:
            raise VerifierUnavailable(f"The {self._name} cannot listen on 127.0.0.1 ({self._error}).")
        relayed(self.address, self._target)
        return self

    def __exit__(self, *exc_info: object) -> None:
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(stop.set)
        if thread is not None:
            thread.join()
        disown(self.address)

    def cut_all(self) -> None:
        """Reset every connection that stands."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._abort_all)

    async def _relay(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of an edge, until either side ends it.

        Args:
            number: Of the connection, counted from 0.
        """
        raise NotImplementedError

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number, self.connections = self.connections, self.connections + 1
            self._writers.add(writer)
            task = asyncio.ensure_future(self._one(number, reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        try:
            server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        except OSError as error:
            self._error = error
            self._ready.set()
            return
        self._listening_port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await asyncio.sleep(0.01)  # accepts who is knocking: not every system turns them away when listening ends
        server.close()
        standing = list(tasks)
        for task in standing:
            task.cancel()
        self._abort_all()  # a task that had not begun does not get to its own end
        await asyncio.gather(*standing, return_exceptions=True)

    async def _one(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._relay(number, reader, writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
