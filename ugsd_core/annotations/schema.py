"""Tables, views and migrations of the store: one schema for SQLite and PostgreSQL. `docs/annotations.md` explains it.

``events`` alone holds what can't be made again; triggers refuse to change or delete its rows. ``campaigns``,
``items``, ``answers`` and ``gold`` are folds of it, kept up in the transaction that adds an event. ``reservations``
are notes of who has an item open. JSON is kept as canonical text, because both databases keep text as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    text,
)

from ugsd_core.annotations.errors import StoreError
from ugsd_core.annotations.events import utc_now

__all__ = [
    "DERIVED",
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "answers",
    "campaigns",
    "events",
    "gold",
    "guard",
    "is_current",
    "items",
    "meta",
    "metadata",
    "migrate",
    "reservations",
    "snapshots",
    "unguard",
    "users",
]

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("campaign", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("annotator", Text, nullable=False),
    Column("stream", Text, nullable=False),  # "answer", "gold" or ""
    Column("revision", Integer),
    Column("fingerprint", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Index("events_by_answer", "campaign", "item", "annotator"),
    Index("events_by_annotator", "annotator", "campaign"),
    sqlite_autoincrement=True,  # a number is never given twice, not even after a deletion
)
# The database itself refuses two events with one revision, whatever a program gets wrong.
Index(
    "one_event_per_answer_revision",
    events.c.campaign,
    events.c.item,
    events.c.annotator,
    events.c.revision,
    unique=True,
    sqlite_where=events.c.stream == "answer",
    postgresql_where=events.c.stream == "answer",
)
Index(
    "one_event_per_gold_revision",
    events.c.campaign,
    events.c.item,
    events.c.revision,
    unique=True,
    sqlite_where=events.c.stream == "gold",
    postgresql_where=events.c.stream == "gold",
)
campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", Text, nullable=False),
    Column("body", Text, nullable=False),
)
items = Table(
    "items",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("is_gold", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("campaign", "position"),
)
answers = Table(
    "answers",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("verdict", Text),  # of the answer in force; for views
    Column("answer", Text),
    Column("draft", Text),
    Column("decision", Text, nullable=False),
    Column("heard", Text, nullable=False),
    Column("listened_s", Float, nullable=False),
    Column("first_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("decided_at", Text, nullable=False),
    Index("answers_by_annotator", "campaign", "annotator", "status"),
    # Who has taken what is asked at every click; the index alone answers it.
    Index("answers_taken", "campaign", "status", "item", "annotator"),
)
gold = Table(
    "gold",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("answer", Text),
    Column("reviewer", Text, nullable=False),
    Column("chosen", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
)
reservations = Table(
    "reservations",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("touched_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Index("reservations_by_annotator", "campaign", "annotator"),
)
users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password", Text),  # scrypt, with salt and cost; NULL for people who sign in elsewhere
    Column("created_at", Text, nullable=False),
)
snapshots = Table(
    "snapshots",
    metadata,
    Column("path", Text, primary_key=True),
    Column("written_at", Text, nullable=False),
)
meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

#: Tables that a fold of the events gives again.
DERIVED = (campaigns, items, answers, gold)

VIEWS = (
    "CREATE VIEW submitted_answers AS SELECT campaign, item, annotator, revision, verdict, answer, listened_s, "
    "decided_at FROM answers WHERE status = 'submitted'",
    "CREATE VIEW progress AS SELECT campaign, annotator, status, count(*) AS answers FROM answers "
    "GROUP BY campaign, annotator, status",
)
SQLITE_GUARD = (
    "CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are never changed'); END",
    "CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END",
)
POSTGRES_GUARD = (
    "CREATE OR REPLACE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'events are never changed or deleted'; END $$",
    "CREATE TRIGGER events_are_not_changed BEFORE UPDATE OR DELETE ON events "
    "FOR EACH ROW EXECUTE FUNCTION refuse_event_change()",
)


def guard(connection: Connection) -> None:
    """Have the database refuse any change of an event."""
    for statement in SQLITE_GUARD if connection.dialect.name == "sqlite" else POSTGRES_GUARD:
        connection.execute(text(statement))


def unguard(connection: Connection) -> None:
    """Lift the guard within this transaction: for the deletion of a person's data, and for migrations."""
    if connection.dialect.name == "sqlite":
        for name in ("events_are_not_changed", "events_are_not_deleted"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
    else:
        connection.execute(text("DROP TRIGGER IF EXISTS events_are_not_changed ON events"))


def _first(connection: Connection) -> None:
    metadata.create_all(connection)
    for view in VIEWS:
        connection.execute(text(view))
    guard(connection)
    connection.execute(
        meta.insert(),
        [
            {"key": "schema_version", "value": "0"},
            {"key": "created_at", "value": utc_now()},
            # Keys the pseudonyms of exports; never leaves the store.
            {"key": "secret", "value": secrets.token_hex(32)},
        ],
    )


#: Entry n makes version n + 1 out of version n; the first makes an empty database version 1. An entry is never changed
#: once it was released, only followed by another.
MIGRATIONS: list[Callable[[Connection], None]] = [_first]
SCHEMA_VERSION = len(MIGRATIONS)


def migrate(connection: Connection) -> None:
    """Bring a database to the present schema, within the caller's transaction.

    Raises:
        StoreError: If a newer version of this program made it, or it is no store.
    """
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the annotation store has schema {version}, and this version reads up to {len(MIGRATIONS)}; "
            "update UGSD Studio",
            "newer",
        )
    for number in range(version, len(MIGRATIONS)):
        MIGRATIONS[number](connection)
        connection.execute(meta.update().where(meta.c.key == "schema_version").values(value=str(number + 1)))


def is_current(connection: Connection) -> bool:
    """Whether the schema is the present one; reads only."""
    return _version(connection) == len(MIGRATIONS)


def _version(connection: Connection) -> int:
    tables = inspect(connection).get_table_names()
    if meta.name not in tables:
        if tables:
            raise StoreError("this database holds other tables, so it is no annotation store; name another", "foreign")
        return 0
    value = connection.execute(meta.select().where(meta.c.key == "schema_version")).first()
    if value is None:
        raise StoreError("this database is no annotation store: it names no schema version", "foreign")
    return int(value.value)
