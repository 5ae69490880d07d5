"""A verifier's process: serve in the foreground, end in good order on signals and with the parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator

from ugsd_core.batching import BatchLimits
from ugsd_core.verifier import Verifier
from ugsd_core.wire.door import Access
from ugsd_core.wire.server import DEFAULT_HOST, serve

__all__ = ["run_server"]

#: A child whose parent is gone ends by force if a model is still busy after this time.
ORPHAN_GRACE_S = 5.0
#: How long captions under way may go on after SIGTERM.
GRACE_S = 10.0


def run_server(
    verifier: Verifier,
    host: str = DEFAULT_HOST,
    port: int = 0,
    announce: bool = False,
    exit_with_parent: bool = False,
    workers: int = 2,
    access: Access | None = None,
    limits: BatchLimits | None = None,
    grace_s: float = GRACE_S,
) -> int:
    """Serve in the foreground; the body of the command line's ``verifier``.

    Args:
        access: Who may connect, and how (`ugsd_core.wire.door.Access`).
        announce: Print one line of JSON to stdout, ``{"address": …, "name": …}``, once connections are accepted.
        exit_with_parent: End at once when stdin reaches its end, which it does however the parent process ends.
        grace_s: How long captions under way may go on after SIGTERM or SIGINT; a second signal ends the process.

    Returns:
        The exit code, 0.

    Raises:
        OptionError, WireError: As `serve`.
    """

    def ready(address: str) -> None:
        if announce:
            print(json.dumps({"address": address, "name": verifier.info.name}), flush=True)
        else:
            print(f"{verifier.info.name} listens on {address}", file=sys.stderr, flush=True)

    async def main() -> None:
        stop, at_once, reload = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if exit_with_parent:
            watched = (asyncio.get_running_loop(), at_once, stop)
            threading.Thread(target=_watch_parent, args=watched, name="watch-parent", daemon=True).start()
        with _ending_on_signals(stop), _reading_anew_on_hangup(reload):
            await serve(
                verifier,
                host,
                port,
                workers=workers,
                limits=limits,
                on_ready=ready,
                access=access,
                stop=stop,
                grace_s=grace_s,
                at_once=at_once,
                reload=reload,
            )

    asyncio.run(main())
    return 0


@contextlib.contextmanager
def _ending_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``; a second one finds the ordinary handlers again."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()

    def end() -> None:
        stop.set()
        restore()

    def restore() -> None:
        for number in numbers:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)

    for number in numbers:
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        restore()


@contextlib.contextmanager
def _reading_anew_on_hangup(reload: asyncio.Event) -> Iterator[None]:
    """SIGHUP sets ``reload``; on its own it would end the process."""
    loop = asyncio.get_running_loop()
    number = getattr(signal, "SIGHUP", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop.add_signal_handler(number, reload.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


def _watch_parent(loop: asyncio.AbstractEventLoop, *events: asyncio.Event) -> None:
    """Set the events when stdin ends, and end the process by force if that does not help."""
    # os.read, not sys.stdin: a buffered reader blocked in a daemon thread aborts the interpreter's shutdown.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop is closed already
        for event in events:
            loop.call_soon_threadsafe(event.set)
    threading.Event().wait(ORPHAN_GRACE_S)
    os._exit(0)
