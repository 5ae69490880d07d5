"""A verifier's process: serve in the foreground, end in good order on signals and with the parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator

from ugsd_core.batching import BatchLimits
from ugsd_core.logs import told
from ugsd_core.verifier import Verifier
from ugsd_core.wire.door import MAX_SESSIONS, Access
from ugsd_core.wire.endpoints import MetricsAddress
from ugsd_core.wire.notify import notify, stay_alive
from ugsd_core.wire.server import DEFAULT_HOST, serve
from ugsd_core.wire.service import Service, placement

__all__ = ["run_server"]

#: A child whose parent is gone ends by force if a model is still busy after this time.
ORPHAN_GRACE_S = 5.0
#: How long captions under way may go on after SIGTERM.
GRACE_S = 10.0

logger = logging.getLogger(__name__)


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
    metrics: MetricsAddress | None = None,
) -> int:
    """Serve in the foreground; the body of the command line's ``verifier``.

    Args:
        access: Who may connect, and how (`ugsd_core.wire.door.Access`).
        announce: Print one line of JSON to stdout, ``{"address": …, "name": …}``, once connections are accepted.
        exit_with_parent: End at once when stdin reaches its end, which it does however the parent process ends.
        grace_s: How long captions under way may go on after SIGTERM or SIGINT; a second signal ends the process.
        metrics: As `serve`.

    systemd, where it started this with ``Type=notify``, is told when connections are accepted, when the end has begun,
    and with ``WatchdogSec=`` that no worker hangs or has died.

    Returns:
        The exit code, 0.

    Raises:
        OptionError, WireError: As `serve`.
    """

    services: list[Service] = []

    def ready(address: str) -> None:
        name = verifier.info.name
        if announce:
            print(json.dumps({"address": address, "name": name}), flush=True)
        facts = _summary(services[0], workers, grace_s, access or Access())
        told_so = f"{name} listens on {address}"
        logger.info("%s", told_so, extra=told("listening", name=name, address=address, **facts))
        notify("READY=1", f"STATUS={told_so}")

    async def main() -> None:
        stop, at_once, reload = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if exit_with_parent:
            watched = (asyncio.get_running_loop(), at_once, stop)
            threading.Thread(target=_watch_parent, args=watched, name="watch-parent", daemon=True).start()
        with _ending_on_signals(stop), _reading_anew_on_hangup(reload):
            alive = asyncio.create_task(stay_alive(lambda: not services or services[0].sound))
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
                metrics=metrics,
                on_service=services.append,
            )
            alive.cancel()

    asyncio.run(main())
    return 0


def _summary(service: Service, workers: int, grace_s: float, access: Access) -> dict[str, object]:
    """What an operator wants to know of a verifier that has just begun."""
    limits = service.limits
    facts = {name: value for name, value in placement(service.verifier).items() if value}
    return {
        **facts,
        "workers": workers,
        "blocks_a_pass": limits.rows if service.batches else 1,
        "memory_mb": round(limits.memory_mb),
        "sessions": MAX_SESSIONS,
        "access_tokens": 0 if access.tokens is None else len(access.tokens),
        "tls": "no" if access.tls is None else "yes",
        "grace_s": grace_s,
    }


@contextlib.contextmanager
def _ending_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``; a second one finds the ordinary handlers again."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()

    def end() -> None:
        notify("STOPPING=1", "STATUS=captions under way are being finished")
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
