"""Stores of both kinds: whatever is promised holds for SQLite and for PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.annotations.helpers import Clock, postgres_server
from ugsd_core.annotations import identity
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store, open_store


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    """A real server, started for the tests; skips where there can be none."""
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    server = postgres_server()
    try:
        address = server.__enter__()
    except RuntimeError as error:
        pytest.skip(str(error))
    try:
        yield address
    finally:
        server.__exit__(None, None, None)


def empty(address: str) -> None:
    """Make a database empty again."""
    from sqlalchemy import create_engine, text

    engine = create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that costs what it should takes longer than most tests."""
    assert identity.COST_N == 2**15
    monkeypatch.setattr(identity, "COST_N", 2**8)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def media(tmp_path: Path) -> Media:
    return Media(tmp_path / "media")


@pytest.fixture
def sqlite(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """A store in a file."""
    with open_store(tmp_path / "annotations.db", clock=clock) as store:
        yield store


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """An empty store of each kind in turn."""
    if request.param == "sqlite":
        address = str(tmp_path / "annotations.db")
    else:
        address = request.getfixturevalue("postgres_address")
        empty(address)
    with open_store(address, clock=clock) as opened:
        yield opened
