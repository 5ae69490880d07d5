"""One sync to the disk for several writers that come at the same time.

A commit takes as long as the disk takes to sync, many times what the writing takes; and SQLite lets one writer in at a
time. So writers of one process take turns within one transaction, each in a savepoint of its own, as long as others are
waiting, and the last of them commits for all. Nobody is told of success before that commit; a turn that fails takes
back its own savepoint and nothing else; a commit that fails fails for everybody in it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

__all__ = ["GroupCommit"]

#: Turns in one transaction at most: the first must not wait for ever, and other processes want in too.
MOST = 24


class _Group:
    """A transaction that is open."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.turns = 0
        self.error: BaseException | None = None
        self.done = threading.Event()

    def finish(self) -> None:
        """Commit for all and wake them, or note why it could not be done."""
        try:
            if self.error is None:
                self.connection.commit()
        except BaseException as error:
            self.error = error
        finally:
            with contextlib.suppress(Exception):
                if self.error is not None:
                    # A commit that failed may leave its transaction open; the pool must not get such a connection.
                    self.connection.invalidate()
                self.connection.close()
            self.done.set()


class GroupCommit:
    """The writers of one process.

    Args:
        begin: Opens a connection and a writing transaction on it.
    """

    def __init__(self, begin: Callable[[], Connection]) -> None:
        self._begin = begin
        self._turn, self._count = threading.Lock(), threading.Lock()
        self._waiting = 0
        self._group: _Group | None = None

    @contextmanager
    def turn(self) -> Iterator[Connection]:
        """A writer's turn; what it wrote is on the disk when the block has been left without an error."""
        with self._count:
            self._waiting += 1
        with self._turn:
            with self._count:
                self._waiting -= 1
            if self._group is None:
                self._group = _Group(self._begin())
            group, failed = self._group, None
            try:
                group.connection.exec_driver_sql("SAVEPOINT turn")
                yield group.connection
                group.connection.exec_driver_sql("RELEASE turn")
            except BaseException as error:
                failed = error
                self._take_back(group)
            group.turns += 1
            if group.error is not None or group.turns >= MOST or not self._waiting:
                self._finish()
        if failed is not None:
            raise failed
        self._wait(group)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody of this process writes, and no transaction is open."""
        with self._turn:
            self._finish()
            yield

    def _finish(self) -> None:
        if self._group is not None:
            group, self._group = self._group, None
            group.finish()

    def _take_back(self, group: _Group) -> None:
        try:
            group.connection.exec_driver_sql("ROLLBACK TO turn")
            group.connection.exec_driver_sql("RELEASE turn")
        except Exception as error:  # a full disk takes the whole transaction back, and so all turns in it have failed
            group.error = error

    def _wait(self, group: _Group) -> None:
        # Whoever was waiting finishes the group. Should that thread have been interrupted, somebody else does.
        while not group.done.wait(1.0):
            with self._turn:
                if self._group is group:
                    self._finish()
        if group.error is not None:
            raise group.error
