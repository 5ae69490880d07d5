"""Snapshots: every event of a store as JSON lines, whole or refused, and the way back.

    {"ugsd_annotation_snapshot": 1}
    {"schema": 1, "id": …, "kind": …, …}          one line an event, in the order in which they were taken in
    {"events": 1234, "sha256": "…"}                over all lines before, so that half a snapshot is seen to be one

A snapshot is private: it holds names. It holds no passwords, and sound and traces stay in the media folder, which is
copied like any folder. The store remembers where snapshots were written, so that a deletion of personal data reaches
them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select

from ugsd_core.annotations.bulk import take_in
from ugsd_core.annotations.errors import AnnotationError, StoreError
from ugsd_core.annotations.events import AnnotationEvent, canonical_json
from ugsd_core.annotations.schema import snapshots
from ugsd_core.annotations.store import Store

__all__ = ["known_snapshots", "read_snapshot", "restore", "write_lines", "write_snapshot"]

HEADER = '{"ugsd_annotation_snapshot":1}'


def write_snapshot(store: Store, path: Path) -> int:
    """Write all events of one moment; the file is whole and on the disk when this returns.

    Returns:
        Number of events.

    Raises:
        AnnotationError: If it can't be written.
    """
    with store.reading() as tx:
        count = write_lines(path, tx.events())
    with store.writing() as tx:
        tx.note_snapshot(str(path.resolve()))
    return count


def write_lines(path: Path, events: Iterable[AnnotationEvent]) -> int:
    """A snapshot file of some events; replaces what is there, at once and whole."""
    digest, count = hashlib.sha256(), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                for line in _lines(events):
                    count += 1
                    data = line.encode() + b"\n"
                    digest.update(data)
                    file.write(data)
                count -= 1  # the header
                file.write(canonical_json({"events": count, "sha256": digest.hexdigest()}).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise AnnotationError(f"the snapshot {path} can't be written: {error.strerror or error}", "snapshot") from error
    return count


def _lines(events: Iterable[AnnotationEvent]) -> Iterable[str]:
    yield HEADER
    for event in events:
        yield canonical_json(event.to_dict())


def read_snapshot(path: Path) -> list[AnnotationEvent]:
    """The events of a snapshot.

    Raises:
        AnnotationError: If it is missing, none, cut off or changed.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise AnnotationError(f"the snapshot {path} can't be read: {error.strerror or error}", "snapshot") from error
    if lines[0] != HEADER.encode():
        raise AnnotationError(f"{path} is no snapshot of annotations", "snapshot")
    body = lines[:-2]
    try:
        footer = json.loads(lines[-2])
        whole = footer["events"] == len(body) - 1
        whole &= footer["sha256"] == hashlib.sha256(b"".join(line + b"\n" for line in body)).hexdigest()
    except (IndexError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise AnnotationError(f"the snapshot {path} is cut off or was changed; take another", "snapshot")
    return [AnnotationEvent.from_dict(json.loads(line)) for line in body[1:]]


def restore(store: Store, path: Path) -> int:
    """Put a snapshot into an empty store; returns the number of events.

    Raises:
        StoreError: If the store is not empty.
        AnnotationError: If the snapshot is none, or damaged.
    """
    events = read_snapshot(path)
    with store.writing() as tx:
        if tx.count():
            raise StoreError(f"the store {store.address} holds events; restore into a new one", "not_empty")
        return take_in(tx, events)


def known_snapshots(store: Store) -> list[Path]:
    """Where snapshots of this store were written, as far as it knows."""
    with store.reading() as tx:
        rows = tx.connection.execute(select(snapshots.c.path).order_by(snapshots.c.path))
        return [Path(row.path) for row in rows]
