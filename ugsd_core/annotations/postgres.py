"""A store in a PostgreSQL database, for teams that outgrow one machine.

Needs the driver: ``pip install 'ugsd-studio[postgres]'``. The tables lie in the schema that the address' user writes
to. Writers take one advisory lock for the length of a transaction, so that events have one order, as in SQLite.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError

from ugsd_core.annotations.errors import StoreError
from ugsd_core.annotations.schema import metadata
from ugsd_core.annotations.store import Store

__all__ = ["postgres_store"]

#: Any fixed number will do; this one spells "ugsd".
WRITER_LOCK = 0x75677364
BEGIN_WRITE = text("SELECT set_config('synchronous_commit', 'on', true), pg_advisory_xact_lock(:key)")


def postgres_store(address: str, *, clock: Callable[[], str]) -> Store:
    """Connect to a database; `open_store` is the way here.

    Raises:
        StoreError: If the driver is missing, or the address is none.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise StoreError("PostgreSQL needs its driver; install it: pip install 'ugsd-studio[postgres]'", "driver")
    try:
        url = make_url(address).set(drivername="postgresql+psycopg")
    except ArgumentError as error:
        raise StoreError(f"{address!r} is no address; write postgresql://USER@HOST/DATABASE", "address") from error
    engine = create_engine(url, pool_size=4, max_overflow=28, pool_timeout=60, pool_pre_ping=True)
    return Store(
        engine,
        address=url.render_as_string(hide_password=True),
        path=None,
        begin_read=_begin_read,
        begin_write=_begin_write,
        check=_check,
        compact=_compact,
        grouped=False,
        clock=clock,
    )


def _begin_read(connection: Connection) -> None:
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def _begin_write(connection: Connection) -> None:
    # One round trip for both. The server may be set to acknowledge before the disk has it; here it never does.
    connection.execute(BEGIN_WRITE, {"key": WRITER_LOCK})


def _check(connection: Connection) -> list[str]:
    """A server checks its pages itself; here it is asked whether it would survive a power cut."""
    found = []
    for setting in ("fsync", "full_page_writes"):
        if connection.execute(text(f"SHOW {setting}")).scalar_one() != "on":
            found.append(
                f"the server has {setting} off, so that a power cut would lose what was acknowledged; turn it on"
            )
    return found


def _compact(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in metadata.sorted_tables:
            connection.execute(text(f"VACUUM FULL {table.name}"))
