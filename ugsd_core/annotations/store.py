"""The append-only store of annotation events, and its present state, in SQLite or PostgreSQL.

    store = open_store("annotations.db")                       # or postgresql://user@host/base
    with store.writing() as tx:                                # one writer at a time, everything or nothing
        ack = tx.append(AnnotationEvent(...))
    # here, and not before, the event is on the disk
    with store.reading() as tx:                                # one moment of the store
        state = tx.answer("campaign", "item", "annotator")

Several threads and several processes may share a store. The database lets writers in one after the other (``BEGIN
IMMEDIATE``; an advisory lock), so the order of events is the order of their commits, and a check made in a writing
transaction still holds when it commits. With SQLite, writers of one process that come together share a commit
(`group_commit.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ugsd_core.annotations.errors import StoreError
from ugsd_core.annotations.events import utc_now
from ugsd_core.annotations.group_commit import GroupCommit
from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.schema import is_current, migrate
from ugsd_core.annotations.writing import Writer

__all__ = ["Store", "open_store"]


class Store:
    """A store that is open. Made by `open_store`; a context manager.

    Attributes:
        address: As a person would name it, without a password.
        path: The database file; None on a server.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        address: str,
        path: Path | None,
        begin_read: Callable[[Connection], None],
        begin_write: Callable[[Connection], None],
        check: Callable[[Connection], list[str]],
        compact: Callable[[Engine], None],
        grouped: bool,
        clock: Callable[[], str] = utc_now,
    ) -> None:
        self.engine, self.address, self.path, self.clock = engine, address, path, clock
        self._begin_read, self._begin_write, self._check, self._compact = begin_read, begin_write, check, compact
        self._group = GroupCommit(self._begun) if grouped else None

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One moment of the store: whatever others write meanwhile is not seen.

        Raises:
            StoreError: If the database can't be read.
        """
        with self._told(), self.engine.connect() as connection:
            self._begin_read(connection)
            try:
                yield Reader(connection, self.clock)
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """A transaction that commits at the end of the block, or leaves no trace if the block raises.

        Leaving the block without an error means that everything in it was synced to the disk.

        Raises:
            StoreError: If the database can't be written.
        """
        if self._group is not None:
            with self._told(), self._group.turn() as connection:
                yield Writer(connection, self.clock)
            return
        with self._told(), self._begun() as connection:
            try:
                yield Writer(connection, self.clock)
            except BaseException:
                connection.rollback()
                raise
            try:
                connection.commit()
            except BaseException:
                connection.invalidate()  # whatever state it is in, nobody else gets it
                raise

    def _begun(self) -> Connection:
        """A connection with a writing transaction on it."""
        connection = self.engine.connect()
        try:
            self._begin_write(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def check_integrity(self) -> list[str]:
        """What the database says is wrong with its own structure; empty if nothing is."""
        with self.reading() as tx:
            return self._check(tx.connection)

    def prepare(self) -> None:
        """Bring the schema up to date; harmless when it is.

        Raises:
            StoreError: If a newer version made the store, or it is none.
        """
        with self.reading() as tx:
            if is_current(tx.connection):
                return
        with self.writing() as tx:
            migrate(tx.connection)

    def compact(self) -> None:
        """Rewrite the files so that nothing deleted stays in them.

        Raises:
            StoreError: If others have the store open so that it can't be done now.
        """
        with self._told(), nullcontext() if self._group is None else self._group.alone():
            self._compact(self.engine)

    def close(self) -> None:
        """Close all connections; closing twice is harmless."""
        self.engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what the database says in words for a person."""
        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
            if "locked" in reason:
                raise StoreError(
                    f"another program has kept the annotation store {self.address} busy for too long; try again",
                    "busy",
                ) from error
            if "not a database" in reason or "malformed" in reason:
                raise StoreError(
                    f"{self.address} is no annotation store, or is damaged ({reason}); keep the file, and restore the "
                    "last snapshot into a new one: ugsd annotations restore",
                    "damaged",
                ) from error
            raise StoreError(f"the annotation store {self.address} answers: {reason}") from error

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(
    address: str | Path, *, create: bool = True, check: bool = True, clock: Callable[[], str] = utc_now
) -> Store:
    """Open a store.

    Args:
        address: A file (made if it is missing), ``sqlite:///FILE?volume=network``, or ``postgresql://…``.
        create: False refuses a SQLite file that is not there.
        check: Ask the database whether its structure is sound, before anything is written.
        clock: UTC as `utc_now` gives it; for tests.

    Raises:
        StoreError: If it can't be opened, is damaged, is no annotation store, or is newer than this program.
    """
    if str(address).startswith(("postgresql:", "postgres:", "postgresql+psycopg:")):
        from ugsd_core.annotations.postgres import postgres_store

        store = postgres_store(str(address), clock=clock)
    else:
        from ugsd_core.annotations.sqlite import sqlite_store

        store = sqlite_store(address, create=create, clock=clock)
    try:
        if check and (found := store.check_integrity()):
            raise StoreError(f"the annotation store {store.address} is not sound: {found[0]}", "damaged")
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store
