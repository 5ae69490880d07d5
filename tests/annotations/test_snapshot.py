"""Snapshots: whole or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotations.helpers import ACCEPT, eid, make_campaign, person, plain
from ugsd_core.annotations.bulk import verify
from ugsd_core.annotations.errors import AnnotationError, StoreError
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.snapshot import known_snapshots, read_snapshot, restore, write_snapshot
from ugsd_core.annotations.store import Store, open_store


def test_a_snapshot_restored_gives_an_equal_store(store: Store, media: Media, tmp_path: Path) -> None:
    items = make_campaign(store, media, overlap=2)
    make_campaign(store, media, name="other")
    for name in ("ann", "bob"):
        person(store, media, name).submit(eid(), "emotions", items[0], ACCEPT | {"note": "a\u2028b"})
    count = write_snapshot(store, tmp_path / "s.jsonl")
    with open_store(tmp_path / "new.db") as new:
        assert restore(new, tmp_path / "s.jsonl") == count
        assert plain(new) == plain(store) and verify(new) == []
        # Work goes on where it was.
        person(new, media, "ann").undo(eid(), "emotions", items[0])
    assert known_snapshots(store) == [tmp_path / "s.jsonl"]


def test_a_snapshot_is_only_restored_into_an_empty_store(sqlite: Store, media: Media, tmp_path: Path) -> None:
    make_campaign(sqlite, media)
    write_snapshot(sqlite, tmp_path / "s.jsonl")
    before = plain(sqlite)
    with pytest.raises(StoreError, match="new one"):
        restore(sqlite, tmp_path / "s.jsonl")
    assert plain(sqlite) == before


def test_half_a_snapshot_is_refused(sqlite: Store, media: Media, tmp_path: Path) -> None:
    make_campaign(sqlite, media)
    path = tmp_path / "s.jsonl"
    write_snapshot(sqlite, path)
    whole = path.read_bytes()
    lines = whole.split(b"\n")
    damaged = [
        whole[:-1], whole[: len(whole) // 2], b"", b"hello\n", b"\n".join(lines[:2] + lines[3:]),
        whole.replace(b"sad", b"glad", 1),
    ]  # fmt: skip
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(AnnotationError):
            read_snapshot(path)
    with pytest.raises(AnnotationError, match="can't be read"):
        read_snapshot(tmp_path / "missing.jsonl")


def test_a_newer_snapshot_replaces_an_older_one_whole(sqlite: Store, media: Media, tmp_path: Path) -> None:
    make_campaign(sqlite, media)
    path = tmp_path / "s.jsonl"
    first = write_snapshot(sqlite, path)
    make_campaign(sqlite, media, name="other")
    assert write_snapshot(sqlite, path) > first
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []
