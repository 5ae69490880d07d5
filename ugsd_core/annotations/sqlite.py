"""A store in one SQLite file.

On a local disk: a write-ahead log, synced at every commit (``synchronous=FULL``), so that readers never wait and an
acknowledged event survives a power cut. A write-ahead log needs memory shared between processes, which network
volumes don't have; there ``?volume=network`` takes a rollback journal instead. ``?volume=exclusive`` is for a volume
whose locks can't be trusted either: one process alone holds the file, as in a hosted demo with one server.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool, StaticPool

from ugsd_core.annotations.errors import StoreError
from ugsd_core.annotations.store import Store

__all__ = ["VOLUMES", "Volume", "sqlite_store"]

#: How long a statement waits for other processes before it gives up. Commits take milliseconds, so this is reached
#: only when something is stuck.
BUSY_TIMEOUT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Volume:
    """Pragmas for a kind of disk.

    Attributes:
        journal: ``wal``, or ``truncate``: a rollback journal that is cut to nothing at commit, which on network
            volumes is cheaper and safer than deleting it.
        synchronous: ``FULL`` syncs the log at every commit; ``EXTRA`` syncs the journal's folder as well.
        locking: ``normal``, or ``exclusive``: the first process keeps the file to itself.
    """

    journal: str
    synchronous: str
    locking: str


VOLUMES = {
    "local": Volume("wal", "FULL", "normal"),
    "network": Volume("truncate", "EXTRA", "normal"),
    "exclusive": Volume("truncate", "EXTRA", "exclusive"),
}


def sqlite_store(address: str | Path, *, create: bool, clock: Callable[[], str]) -> Store:
    """Open a file; `open_store` is the way here.

    Raises:
        StoreError: If the file is missing and shall not be made, is no database, or can't be opened.
    """
    path, volume = _parsed(address)
    if not create and not path.is_file():
        raise StoreError(f"there is no annotation store {path}; ugsd annotations create makes one", "missing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the annotation store {path} can't be made: {error.strerror or error}") from error
    # Where one process holds the file, one connection of it does: a second one would find it locked.
    pool: dict[str, Any] = (
        {"poolclass": StaticPool}
        if volume.locking == "exclusive"
        else {"poolclass": QueuePool, "pool_size": 4, "max_overflow": 60, "pool_timeout": 60}
    )
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False, "isolation_level": None},
        **pool,
    )
    event.listen(engine, "connect", lambda connection, _: _set_up_patiently(connection, volume))
    return Store(
        engine,
        address=str(path),
        path=path,
        begin_read=lambda connection: _execute(connection, "BEGIN"),
        begin_write=lambda connection: _execute(connection, "BEGIN IMMEDIATE"),
        check=_check,
        compact=_compact,
        grouped=True,
        clock=clock,
    )


def _parsed(address: str | Path) -> tuple[Path, Volume]:
    text, _, query = str(address).partition("?") if isinstance(address, str) else (str(address), "", "")
    if text.startswith("sqlite:"):
        text = unquote(text.removeprefix("sqlite:").removeprefix("///"))
    elif "://" in text:
        scheme = text.split("://", 1)[0]
        raise StoreError(f"no store is addressed by {scheme}://; name a file, or postgresql://…", "address")
    options = dict(parse_qsl(query))
    name = options.pop("volume", "local")
    if options or name not in VOLUMES:
        raise StoreError(f"a store in a file takes ?volume={'|'.join(VOLUMES)} and nothing else", "address")
    if not text:
        raise StoreError("name the file of the annotation store", "address")
    return Path(text).expanduser(), VOLUMES[name]


def _set_up_patiently(connection: sqlite3.Connection, volume: Volume) -> None:
    """`_set_up`; a change of the journal mode does not wait for other processes by itself, so that is done here."""
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            return _set_up(connection, volume)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _set_up(connection: sqlite3.Connection, volume: Volume) -> None:
    """Pragmas of a new connection."""
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute(f"PRAGMA locking_mode={volume.locking}")
        # Setting the mode takes the whole file for a moment, so it is only done where it would change something.
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != volume.journal:
            cursor.execute(f"PRAGMA journal_mode={volume.journal}")
        cursor.execute(f"PRAGMA synchronous={volume.synchronous}")
        # What is deleted is overwritten with zeros: a person's data must not stay in free pages.
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.execute("PRAGMA trusted_schema=OFF")
        cursor.execute("PRAGMA temp_store=MEMORY")
    finally:
        cursor.close()


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


def _check(connection: Connection) -> list[str]:
    try:
        rows = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
    except DatabaseError as error:
        rows = [str(error.orig)]
    advice = "keep the file, and restore the last snapshot into a new one: ugsd annotations restore"
    return [f"it is damaged ({row}); {advice}" for row in rows if row != "ok"]


def _compact(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM")
        busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.rollback()
    if busy is not None and busy[0]:
        raise StoreError(
            "another program is reading the annotation store, so its log can't be emptied; stop it and do this again",
            "busy",
        )
