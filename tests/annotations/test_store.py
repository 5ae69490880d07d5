"""The store, of both kinds: nothing that was acknowledged is lost, doubled or changed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.annotations.helpers import ACCEPT, FLAG, eid, make_campaign, person, plain
from ugsd_core.annotations import schema
from ugsd_core.annotations.bulk import rebuild, verify
from ugsd_core.annotations.errors import AnnotationError, EventConflict, StoreError
from ugsd_core.annotations.events import AnnotationEvent
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store, open_store


def note(item: str, words: str, *, who: str = "ann", event_id: str = "") -> AnnotationEvent:
    return AnnotationEvent(
        event_id or eid(), "draft_saved", "emotions", item, who, {"answer": {"verdict": None, "note": words}}
    )


def test_an_event_that_comes_twice_is_kept_once_and_acknowledged_alike(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    event = note(item, "a")
    with store.writing() as tx:
        first = tx.append(event)
    with store.writing() as tx:
        again = tx.append(event)
    assert (again.revision, again.at) == (first.revision, first.at) == (1, first.at)
    assert again.repeated and not first.repeated
    with store.reading() as tx:
        assert len(list(tx.events("emotions", item=item, annotator="ann"))) == 1


def test_one_id_for_two_contents_is_refused_and_nothing_is_written(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    with store.writing() as tx:
        tx.append(note(item, "a", event_id="event-same"))
    before = plain(store)
    with pytest.raises(EventConflict, match="used before for something else"), store.writing() as tx:
        tx.append(note(item, "b", event_id="event-same"))
    assert plain(store) == before


def test_a_block_that_raises_leaves_no_trace(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    before = plain(store)
    with pytest.raises(ZeroDivisionError), store.writing() as tx:
        tx.append(note(item, "a"))
        _ = 1 / 0
    assert plain(store) == before


def test_two_windows_cannot_overwrite_each_other_unseen(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    with store.writing() as tx:
        tx.append(note(item, "a"), expected_revision=0)
    with pytest.raises(EventConflict, match="another window"), store.writing() as tx:
        tx.append(note(item, "b"), expected_revision=0)


def test_the_database_itself_refuses_to_change_or_delete_an_event(store: Store, media: Media) -> None:
    make_campaign(store, media)
    for statement in ("UPDATE events SET annotator = 'x'", "DELETE FROM events"):
        with store.engine.connect() as connection, pytest.raises(DBAPIError, match="never"):
            connection.execute(text(statement))


def test_what_is_kept_beside_the_events_is_what_they_come_to(store: Store, media: Media) -> None:
    items = make_campaign(store, media, overlap=3)
    ann, rev = person(store, media, "ann"), person(store, media, "rev", "reviewer")
    ann.save_draft(eid(), "emotions", items[0], FLAG)
    ann.submit(eid(), "emotions", items[0], FLAG)
    ann.undo(eid(), "emotions", items[0])
    ann.skip(eid(), "emotions", items[1])
    ann.listened(eid(), "emotions", items[2], start_s=0, end_s=2.5)
    rev.adjudicate(eid(), "emotions", items[0], ACCEPT)
    rev.undo_adjudication(eid(), "emotions", items[0])
    before = plain(store)
    assert verify(store) == []
    with store.writing() as tx:
        rebuild(tx)
    assert plain(store) == before


def test_verify_sees_a_fold_that_was_tampered_with_and_mends_it(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    person(store, media, "ann").submit(eid(), "emotions", item, ACCEPT)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE answers SET revision = 9"))
    assert any("answers" in problem for problem in verify(store))
    with store.writing() as tx:
        rebuild(tx)
    assert verify(store) == []


def test_views_can_be_asked_in_plain_sql(store: Store, media: Media) -> None:
    items = make_campaign(store, media)
    ann = person(store, media, "ann")
    ann.submit(eid(), "emotions", items[0], ACCEPT)
    ann.skip(eid(), "emotions", items[1])
    with store.reading() as tx:
        rows = tx.connection.execute(text("SELECT item, annotator, verdict FROM submitted_answers")).all()
        assert [tuple(row) for row in rows] == [(items[0], "ann", "accept")]
        progress = tx.connection.execute(text("SELECT status, answers FROM progress ORDER BY status")).all()
        assert [tuple(row) for row in progress] == [("skipped", 1), ("submitted", 1)]


def test_writers_in_many_threads_lose_nothing(store: Store, media: Media) -> None:
    items = make_campaign(store, media, items=20)
    acks: list[tuple[str, int | None]] = []

    def write(name: str) -> None:
        for item in items:
            event = note(item, name, who=name)
            with store.writing() as tx:
                revision = tx.append(event).revision
            acks.append((event.id, revision))

    threads = [threading.Thread(target=write, args=(f"writer{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(acks) == 160 and {revision for _, revision in acks} == {1}
    with store.reading() as tx:
        kept = [event.id for event in tx.events("emotions") if event.kind == "draft_saved"]
    assert sorted(kept) == sorted(name for name, _ in acks)
    assert verify(store) == []


WRITE = """
import sys
from ugsd_core.annotations.events import AnnotationEvent
from ugsd_core.annotations.store import open_store
address, name = sys.argv[1:]
with open_store(address) as store:
    with store.reading() as tx:
        items = tx.item_ids("emotions")
    for number, item in enumerate(items):
        with store.writing() as tx:
            tx.append(AnnotationEvent(f"{name}-{number:06d}", "draft_saved", "emotions", item, name, {"answer": {}}))
"""


def test_writers_in_several_processes_lose_nothing(tmp_path: Path, media: Media) -> None:
    path = tmp_path / "shared.db"
    with open_store(path) as store:
        make_campaign(store, media, items=30)
    names = [f"writer{number}" for number in range(4)]
    running = [subprocess.Popen([sys.executable, "-c", WRITE, str(path), name]) for name in names]
    assert [process.wait(60) for process in running] == [0] * 4
    with open_store(path) as store:
        with store.reading() as tx:
            kept = [event.annotator for event in tx.events("emotions") if event.kind == "draft_saved"]
        assert {name: kept.count(name) for name in names} == dict.fromkeys(names, 30)
        assert verify(store) == []


CREATE = "import sys; from ugsd_core.annotations.store import open_store; open_store(sys.argv[1]).close()"


def test_processes_that_make_the_store_at_once_make_one(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    running = [subprocess.Popen([sys.executable, "-c", CREATE, str(path)]) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    with open_store(path, create=False) as store:
        assert verify(store) == []


def pragma(store: Store, name: str) -> object:
    with store.reading() as tx:
        return tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


@pytest.mark.parametrize(
    ("query", "journal", "synchronous", "locking"),
    [
        ("", "wal", 2, "normal"),
        ("?volume=network", "truncate", 3, "normal"),
        ("?volume=exclusive", "truncate", 3, "exclusive"),
    ],
)
def test_every_commit_is_synced_on_every_kind_of_volume(
    tmp_path: Path, media: Media, query: str, journal: str, synchronous: int, locking: str
) -> None:
    with open_store(f"sqlite:///{tmp_path}/a.db{query}") as store:
        assert pragma(store, "journal_mode") == journal
        assert pragma(store, "synchronous") == synchronous  # 2 is FULL, 3 is EXTRA
        assert pragma(store, "locking_mode") == locking
        assert pragma(store, "secure_delete") == 1
        assert pragma(store, "busy_timeout") == 30_000
        item = make_campaign(store, media)[0]
        person(store, media, "ann").submit(eid(), "emotions", item, ACCEPT)
        assert verify(store) == []


def test_a_store_moves_from_a_local_disk_to_a_network_volume_and_back(tmp_path: Path, media: Media) -> None:
    for query in ("", "?volume=network", ""):
        with open_store(f"sqlite:///{tmp_path}/a.db{query}") as store:
            make_campaign(store, media, name=f"c{pragma(store, 'journal_mode')}{len(plain(store)['campaigns'])}")
    with open_store(tmp_path / "a.db") as store:
        assert len(plain(store)["campaigns"]) == 3


def test_a_damaged_file_is_named_at_the_start(tmp_path: Path, media: Media) -> None:
    path = tmp_path / "a.db"
    with open_store(path) as store:
        make_campaign(store, media, items=200)
    data = bytearray(path.read_bytes())
    for place in range(4096 * 8, len(data), 4096):
        data[place : place + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged.*restore"):
        open_store(path)


def test_what_is_no_store_is_not_touched(tmp_path: Path) -> None:
    words, other = tmp_path / "words.db", tmp_path / "other.db"
    words.write_text("hello, this is no database at all, only some words" * 50)
    with pytest.raises(StoreError, match="no annotation store"):
        open_store(words)
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE things (a)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="other tables"):
        open_store(other)
    with pytest.raises(StoreError, match="no annotation store"):
        open_store(tmp_path / "missing.db", create=False)


@pytest.mark.parametrize("address", ["mysql://host/base", "sqlite:///a.db?volume=floppy", "a.db?mode=ro", ""])
def test_an_address_that_means_nothing_is_refused(address: str) -> None:
    with pytest.raises(StoreError):
        open_store(address)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as caught:
        open_store("postgresql://ann:secret-word@127.0.0.1:1/base?connect_timeout=2")
    assert "127.0.0.1" in str(caught.value) and "secret-word" not in str(caught.value)


def test_an_older_store_is_brought_up_to_date_with_all_it_holds(
    store: Store, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = make_campaign(store, media)[0]
    person(store, media, "ann").submit(eid(), "emotions", item, ACCEPT)
    before = plain(store)

    def add_column(connection: object) -> None:
        connection.execute(text("ALTER TABLE campaigns ADD COLUMN colour TEXT"))  # type: ignore[attr-defined]

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, add_column])
    store.prepare()
    store.prepare()
    assert plain(store) == before
    with store.reading() as tx:
        tx.connection.execute(text("SELECT colour FROM campaigns"))
    monkeypatch.undo()
    with pytest.raises(StoreError, match="update UGSD Studio"):
        store.prepare()


def test_unknown_campaigns_and_items_are_refused(store: Store, media: Media) -> None:
    make_campaign(store, media)
    with pytest.raises(AnnotationError, match="no item"), store.writing() as tx:
        tx.append(note("nowhere", "a"))
    with pytest.raises(AnnotationError, match="choose another name"):
        make_campaign(store, media)


def test_a_reader_sees_one_moment_while_others_write(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    with store.reading() as reader:
        before = reader.count()
        with store.writing() as tx:
            tx.append(note(item, "a"))
        assert reader.count() == before
    with store.reading() as reader:
        assert reader.count() == before + 1


def test_a_server_that_would_forget_at_a_power_cut_is_refused(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(postgres_address.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")

    def set_fsync(value: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(f"ALTER SYSTEM SET fsync = {value}"))
            connection.execute(text("SELECT pg_reload_conf()"))
            connection.execute(text("SELECT pg_sleep(0.3)"))

    set_fsync("off")
    try:
        with pytest.raises(StoreError, match="turn it on"):
            open_store(postgres_address)
    finally:
        set_fsync("on")
        engine.dispose()
