"""A verifier as a child process on loopback: the demonstration takes the same path as a remote GPU."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ugsd_core.errors import VerifierUnavailable
from ugsd_core.wire.own import TOKEN_VARIABLE, child_token, disown, own

__all__ = ["VerifierProcess", "child_environment"]

STOP_TIMEOUT_S = 5.0


class VerifierProcess:
    """Start a verifier, wait until it accepts connections, and make sure that it ends.

    With ``wait=False`` the constructor returns at once, so that the edge can load at the same time; `wait_ready`
    then waits, and so does whatever needs the address.

    The child holds the read end of a pipe whose write end only this process has: when this process ends in whatever
    way, SIGKILL included, the child reads the end of its stdin and ends too (``--exit-with-parent``).

    Args:
        args: Further arguments of ``ugsd verifier``, such as the checkpoint.
        command: A whole command instead of ``python -m ugsd_core.cli verifier …``; ``args`` still follow it. Its first
            line on stdout must be JSON: ``{"address": "ws://127.0.0.1:PORT", "name": …}``.
        timeout_s: Longest wait for that line; loading a large checkpoint takes minutes.
        forward_stderr: Repeat the child's stderr on ours.
        wait: Whether to return only when the verifier accepts connections.
        asks_for_token: Whether only links of this process are let in (`ugsd_core.wire.own`). False lets in every user
            of the machine, such as other processes that measure.

    Raises:
        VerifierUnavailable: If the child ends or stays silent instead of announcing itself. The message holds the
            end of its stderr.
    """

    def __init__(
        self,
        args: Sequence[str] = (),
        *,
        command: Sequence[str] | None = None,
        timeout_s: float = 300.0,
        forward_stderr: bool = False,
        wait: bool = True,
        asks_for_token: bool = True,
    ) -> None:
        if command is None:
            command = [sys.executable, "-m", "ugsd_core.cli", "verifier", "--host", "127.0.0.1", "--port", "0"]
            command += ["--announce", "--exit-with-parent"]
        self._stderr_tail: deque[str] = deque(maxlen=30)
        self._first_line: queue.Queue[str] = queue.Queue()
        self._said = False
        self._announced: tuple[str, str] | None = None
        self._waiting = threading.Lock()
        try:
            self._child = subprocess.Popen(
                [*command, *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=child_environment(asks_for_token),
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise VerifierUnavailable(f"The verifier process could not be started ({error}).") from error
        assert self._child.stdout is not None and self._child.stderr is not None
        # Both pipes are read for as long as the child lives, or it would block once one is full.
        self._readers = [
            threading.Thread(target=self._read_stdout, args=(self._child.stdout,), daemon=True),
            threading.Thread(target=self._read_stderr, args=(self._child.stderr, forward_stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._timeout_s = timeout_s
        self._asks_for_token = asks_for_token
        if wait:
            self.wait_ready()

    def wait_ready(self) -> tuple[str, str]:
        """Wait until the verifier accepts connections; returns its address and its name.

        Raises:
            VerifierUnavailable: As the constructor; the child has been ended.
        """
        with self._waiting:
            if self._announced is None:
                try:
                    self._announced = self._announcement(self._timeout_s)
                    if self._asks_for_token:
                        own(self._announced[0])
                except BaseException:
                    self.stop()
                    raise
            return self._announced

    def __enter__(self) -> VerifierProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Where it listens, ``ws://127.0.0.1:PORT``."""
        return self.wait_ready()[0]

    @property
    def name(self) -> str:
        """What the verifier calls itself."""
        return self.wait_ready()[1]

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._child.poll() is None

    @property
    def ready(self) -> bool:
        """Whether it has said where it listens; does not wait."""
        return self._said

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the child has ended; False if it still runs after that time."""
        try:
            self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def stderr_tail(self) -> str:
        """The last lines the child wrote to stderr."""
        return "\n".join(self._stderr_tail)

    def stop(self) -> None:
        """End the child: politely, then by force. May be called more than once; never raises."""
        child = self._child
        if self._announced is not None:
            disown(self._announced[0])
        with contextlib.suppress(OSError):  # a child that is gone already
            if child.stdin is not None:
                child.stdin.close()
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for reader in self._readers:
            # A grandchild may hold the pipes open; then the daemon threads are left to themselves.
            reader.join(1.0)

    # ── Reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _announcement(self, timeout_s: float) -> tuple[str, str]:
        try:
            line = self._first_line.get(timeout=timeout_s)
        except queue.Empty:
            raise VerifierUnavailable(self._message(f"did not get ready within {timeout_s:g} s")) from None
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(1.0)
            self._readers[1].join(1.0)
            raise VerifierUnavailable(self._message("ended before it was ready"))
        try:
            announced = json.loads(line)
            return str(announced["address"]), str(announced["name"])
        except (ValueError, KeyError, TypeError):
            raise VerifierUnavailable(self._message("did not say where it listens")) from None

    def _message(self, what: str) -> str:
        last = [line for line in self._stderr_tail if line.strip()][-5:]
        return f"The verifier process {what}." + (" It said:\n" + "\n".join(last) if last else "")

    def _read_stdout(self, stream: IO[str]) -> None:
        with stream:
            line = stream.readline()
            self._first_line.put(line)
            self._said = bool(line)
            for _ in stream:
                pass

    def _read_stderr(self, stream: IO[str], forward: bool) -> None:
        with stream:
            for line in stream:
                self._stderr_tail.append(line.rstrip("\n"))
                if forward:
                    sys.stderr.write(line)


def child_environment(asks_for_token: bool) -> dict[str, str]:
    """Ours, with the place this package was imported from first: the child may not find it from where we are.

    A token that is meant for another verifier is not passed on.
    """
    root = str(Path(__file__).resolve().parents[2])
    ours = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    token = {TOKEN_VARIABLE: child_token()} if asks_for_token else {}
    return ours | token | {"PYTHONPATH": os.pathsep.join(filter(None, (root, ours.get("PYTHONPATH"))))}
