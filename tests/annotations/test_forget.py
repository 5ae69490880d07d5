"""Deleting a person's data: gone from every byte, and nobody else's work with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.annotations.helpers import ACCEPT, FLAG, eid, make_campaign, person, plain
from tests.streams import every_state
from ugsd_core.annotations import inbox
from ugsd_core.annotations.bulk import verify
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.forget import forget
from ugsd_core.annotations.identity import add_user, list_users
from ugsd_core.annotations.media import Media, Sound
from ugsd_core.annotations.snapshot import read_snapshot, restore, write_lines, write_snapshot
from ugsd_core.annotations.store import Store, open_store
from ugsd_core.messages import CaptionStarted
from ugsd_core.result import caption_result

NAME = "Zacharias-Q"
WORDS = "my very own words about it"


def busy(store: Store, media: Media, *, count: int = 12) -> list[str]:
    """Somebody who did everything one can do, among others."""
    items = make_campaign(store, media, items=count, overlap=3)
    zac, ann = person(store, media, NAME, "reviewer"), person(store, media, "ann")
    rev = person(store, media, "rev", "reviewer")
    add_user(store, NAME, "reviewer", "long enough")
    for item in items:
        zac.save_draft(eid(), "emotions", item, {"note": WORDS * 5})
        zac.submit(eid(), "emotions", item, FLAG | {"note": WORDS, "corrected": WORDS})
    for item in items[:5]:
        ann.submit(eid(), "emotions", item, ACCEPT)
    zac.undo(eid(), "emotions", items[0])
    zac.adjudicate(eid(), "emotions", items[1], ACCEPT)
    rev.adjudicate(eid(), "emotions", items[1], FLAG)
    rev.adjudicate(eid(), "emotions", items[2], FLAG | {"note": WORDS}, chosen=NAME)
    zac.open("emotions", items[0])
    return items


def in_any_file(folder: Path, *words: str) -> list[str]:
    """Files that hold one of the words, whatever kind of file they are."""
    return [
        f"{path.name}: {word}"
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    ]


def test_a_person_is_gone_from_every_file_even_from_free_pages_and_the_log(
    sqlite: Store, media: Media, tmp_path: Path
) -> None:
    busy(sqlite, media, count=60)
    write_snapshot(sqlite, tmp_path / "snapshots" / "monday.jsonl")
    assert len(in_any_file(tmp_path, NAME)) >= 2  # database or log, and snapshot
    done = forget(sqlite, media, NAME)
    # While the store is still open: no file on the disk, log included, holds the name or the words.
    assert in_any_file(tmp_path, NAME, WORDS) == []
    assert done.events > 120 and done.snapshots == (tmp_path / "snapshots" / "monday.jsonl",)
    assert list_users(sqlite) == []
    assert verify(sqlite) == []


def test_nobody_elses_work_is_touched(store: Store, media: Media) -> None:
    items = busy(store, media)
    before = [state for state in plain(store)["answers"] if state.annotator != NAME]
    forget(store, media, NAME)
    after = plain(store)
    assert after["answers"] == before
    gold = {state.item: state for state in after["gold"]}
    assert gold[items[1]].reviewer == "rev" and gold[items[1]].revision == 1
    assert gold[items[2]].answer["verdict"] == "flag" and gold[items[2]].chosen == ""
    assert gold[items[2]].answer["note"] == ""
    assert verify(store) == []
    person(store, media, "ann").submit(eid(), "emotions", items[9], ACCEPT)
    with pytest.raises(AnnotationError, match="nothing of"):
        forget(store, media, NAME)


def test_what_stays_says_when_and_how_much_but_not_who(store: Store, media: Media) -> None:
    busy(store, media)
    done = forget(store, media, NAME)
    tombstones = [event for event in plain(store)["events"] if event["kind"] == "forgotten"]
    assert [event["payload"] for event in tombstones] == [{"events": done.events, "items": 0}]
    assert NAME not in str(plain(store))


def test_a_restored_snapshot_does_not_bring_the_person_back(sqlite: Store, media: Media, tmp_path: Path) -> None:
    busy(sqlite, media)
    path, copy = tmp_path / "s.jsonl", tmp_path / "elsewhere" / "copy.jsonl"
    write_snapshot(sqlite, path)
    write_lines(copy, read_snapshot(path))
    forget(sqlite, media, NAME, snapshots=[copy])
    for number, snapshot in enumerate((path, copy)):
        with open_store(tmp_path / f"restored{number}.db") as restored:
            restore(restored, snapshot)
            assert plain(restored) == plain(sqlite) and verify(restored) == []


def test_a_snapshot_that_was_moved_is_named(sqlite: Store, media: Media, tmp_path: Path) -> None:
    busy(sqlite, media)
    write_snapshot(sqlite, tmp_path / "s.jsonl")
    (tmp_path / "s.jsonl").rename(tmp_path / "moved.jsonl")
    assert forget(sqlite, media, NAME).missing == (tmp_path / "s.jsonl",)
    # The copy that was found later is cleaned by a second deletion.
    forget(sqlite, media, NAME, snapshots=[tmp_path / "moved.jsonl"])
    assert in_any_file(tmp_path, NAME) == []


def test_a_deletion_that_fails_on_a_damaged_snapshot_deletes_nothing(
    sqlite: Store, media: Media, tmp_path: Path
) -> None:
    busy(sqlite, media)
    (tmp_path / "bad.jsonl").write_text("hello")
    before = plain(sqlite)
    with pytest.raises(AnnotationError):
        forget(sqlite, media, NAME, snapshots=[tmp_path / "bad.jsonl"])
    assert plain(sqlite) == before


def test_a_visitors_caption_goes_with_its_recording_and_all_answers_to_it(store: Store, media: Media) -> None:
    events = [
        replace(event, utterance_id="a" * 16) if isinstance(event, CaptionStarted) else event for event in every_state()
    ]
    caption = caption_result(events).caption

    def send(visitor: str, sound: bytes) -> str:
        return inbox.add(
            store, media, event_id=eid(), caption=caption, language="en", events=events, by=visitor,
            audio=Sound(sound), keep_audio=True,
        )  # fmt: skip

    mine, same, other = send("visitor-1", b"RIFF-1"), send("visitor-1", b"RIFF-2"), send("visitor-2", b"RIFF-2")
    person(store, media, "ann").submit(eid(), "inbox", mine, ACCEPT)
    person(store, media, "ann").submit(eid(), "inbox", other, ACCEPT)
    done = forget(store, media, "visitor-1")
    assert done.items == 2 and done.recordings == 1  # the other visitor sent the same second recording and the same run
    with store.reading() as tx:
        assert [name for name, _ in tx.items("inbox")] == [other]
        assert [state.item for state in tx.answers("inbox")] == [other]
    assert mine != same and person(store, media, "ann").audio("inbox", other) is not None
    assert verify(store) == []


def test_a_campaign_stays_when_whoever_made_it_goes(sqlite: Store, media: Media, tmp_path: Path) -> None:
    from tests.annotations.helpers import new_item
    from ugsd_core.annotations.campaign import Campaign, create_campaign

    create_campaign(sqlite, media, Campaign("c"), [new_item("c", "a")], by=NAME)
    forget(sqlite, media, NAME)
    assert [name for name, _ in plain(sqlite)["campaigns"]] == ["c"]
    assert in_any_file(tmp_path, NAME) == []


def test_notes_of_others_that_name_the_person_are_pointed_out(sqlite: Store, media: Media) -> None:
    items = make_campaign(sqlite, media)
    person(sqlite, media, NAME).submit(eid(), "emotions", items[0], ACCEPT)
    name = eid()
    person(sqlite, media, "ann").submit(name, "emotions", items[1], ACCEPT | {"note": f"as {NAME} said"})
    assert forget(sqlite, media, NAME).mentions == (name,)


def test_the_guard_stands_again_after_a_deletion(store: Store, media: Media) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    busy(store, media)
    forget(store, media, NAME)
    with store.engine.connect() as connection, pytest.raises(DBAPIError, match="never"):
        connection.execute(text("DELETE FROM events"))
