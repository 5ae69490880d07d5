"""`VerifierKeeper`: a verifier as a child process that is started again should it end, without anybody asking."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence

from ugsd_core.errors import VerifierUnavailable
from ugsd_core.wire.breaker import Backoff
from ugsd_core.wire.process import VerifierProcess

__all__ = ["VerifierKeeper"]

#: A child that has lived for so long was fine: when it ends, the next one is started at once.
STEADY_S = 30.0


class VerifierKeeper:
    """Keeps one verifier running; its address may be another after each start.

    Give `addresses` to a `ugsd_core.wire.reconnect.ReconnectingLink`, which asks for them before each attempt.

    Args:
        start: Starts a verifier, without waiting until it is ready (``VerifierProcess(…, wait=False)``).
        backoff: Waits before starting one again that ends soon after its start.
        clock: Monotonic seconds.

    Attributes:
        restarts: How often it was started again.

    Raises:
        VerifierUnavailable: If the first cannot be started at all.
    """

    def __init__(
        self,
        start: Callable[[], VerifierProcess],
        *,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._backoff = backoff or Backoff(first_s=0.5, most_s=60.0)
        self._clock = clock
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._child = start()
        self.restarts = 0
        self._thread = threading.Thread(target=self._keep, name="verifier-keeper", daemon=True)
        self._thread.start()

    def __enter__(self) -> VerifierKeeper:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def child(self) -> VerifierProcess:
        """The one that runs, or ran last."""
        return self._child

    @property
    def running(self) -> bool:
        """Whether one runs and has said where it listens."""
        return self._child.alive and self._child.ready

    def addresses(self) -> Sequence[str]:
        """Where it listens now; never waits.

        Raises:
            VerifierUnavailable: If it is being started again.
        """
        if not self.running:
            raise VerifierUnavailable("The verifier has ended and is being started again.")
        return (self._child.address,)

    def wait_ready(self, timeout_s: float = 300.0) -> str:
        """Wait until one listens; gives its address.

        Raises:
            VerifierUnavailable: If it ends instead, or takes longer.
        """
        deadline = self._clock() + timeout_s
        while True:
            child = self._child
            address, failure = "", None
            try:
                address = child.wait_ready()[0]
            except VerifierUnavailable as error:
                failure = error
            if address and child.alive:
                return address
            if self._stop.is_set() or not self._thread.is_alive() or self._clock() > deadline:
                raise failure or VerifierUnavailable("The verifier has ended and was not started again.")
            time.sleep(0.02)  # the keeper is about to replace it

    def stop(self) -> None:
        """End the verifier, and start none any more. Never raises."""
        self._stop.set()
        with self._lock:
            child = self._child
        child.stop()
        self._thread.join(10.0)

    def _keep(self) -> None:
        quick_ends = 0
        began = self._clock()
        while not self._stop.is_set():
            self._child.wait()
            if self._stop.is_set() or not (self._child.ready or self.restarts):
                return  # one that can't even start once says why to whoever waits for it
            quick_ends = 0 if self._clock() - began > STEADY_S else quick_ends + 1
            if quick_ends > 1 and self._stop.wait(self._backoff.wait_s(quick_ends - 1, random.random())):
                return
            began = self._clock()
            with contextlib.suppress(VerifierUnavailable), self._lock:
                if self._stop.is_set():
                    return
                self._child.stop()  # its pipes
                self._child = self._start()
                self.restarts += 1
