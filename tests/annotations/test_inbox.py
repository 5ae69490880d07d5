"""The inbox: what visitors and the Evaluation tab send in, and what of it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotations.helpers import eid, person, plain
from tests.streams import every_state
from ugsd_core.annotations import inbox
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.media import Media, Sound
from ugsd_core.annotations.store import Store
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.result import caption_result
from ugsd_core.traces import write_trace

EVENTS = every_state()
CAPTION = caption_result(EVENTS).caption


def send(store: Store, media: Media, *, keep: bool | None, event_id: str = "") -> str:
    consent = {} if keep is None else {"keep_audio": keep}
    return inbox.add(
        store, media, event_id=event_id or eid(), caption=CAPTION, language="en", events=EVENTS,
        remark="she is not sad", audio=Sound(b"RIFF-voice"), by="visitor-1", **consent,
    )  # fmt: skip


@pytest.mark.parametrize("keep", [None, False])
def test_without_consent_only_text_and_run_stay(store: Store, media: Media, keep: bool | None) -> None:
    item = send(store, media, keep=keep)
    rev = person(store, media, "rev", "reviewer")
    view = rev.item("inbox", item)
    assert (view.caption, view.remark, view.origin, view.has_audio) == (CAPTION, "she is not sad", "visitor", False)
    assert rev.trace("inbox", item) == EVENTS
    assert not any(path.suffix == ".wav" for path in media.root.rglob("*"))
    assert not any(b"RIFF-voice" in path.read_bytes() for path in media.root.rglob("*") if path.is_file())


def test_with_consent_the_recording_is_kept(store: Store, media: Media) -> None:
    item = send(store, media, keep=True)
    path = person(store, media, "ann").audio("inbox", item)
    assert path is not None and path.read_bytes() == b"RIFF-voice"


def test_a_button_that_is_pressed_twice_sends_once(store: Store, media: Media) -> None:
    name = eid()
    assert send(store, media, keep=True, event_id=name) == send(store, media, keep=True, event_id=name)
    assert len(plain(store)["items"]["inbox"]) == 1


def test_a_row_of_an_evaluation_brings_its_recording_references_and_run(
    store: Store, media: Media, tmp_path: Path
) -> None:
    write_trace(tmp_path / "run" / "t.jsonl", EVENTS)
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    line = ClipLine(
        "a", "tiny", "ugsd", "en", CAPTION, references=("A sad voice.",), path="a.wav", trace="t.jsonl", label="sadness"
    )
    item = inbox.add_line(
        store, media, event_id=eid(), line=line, run=tmp_path / "run", corpus=tmp_path, remark="worst", by="rev"
    )
    rev = person(store, media, "rev", "reviewer")
    view = rev.item("inbox", item)
    assert (view.origin, view.system, view.references, view.has_audio) == (
        "evaluation",
        "ugsd",
        ("A sad voice.",),
        True,
    )
    assert rev.trace("inbox", item) == EVENTS


def test_the_inbox_is_worked_like_any_campaign(store: Store, media: Media) -> None:
    item = send(store, media, keep=None)
    ann = person(store, media, "ann")
    view = ann.next("inbox")
    assert view is not None and view.id == item and view.remark == "she is not sad"
    ann.submit(eid(), "inbox", item, {"verdict": "accept"})


def test_an_endless_remark_is_refused(sqlite: Store, media: Media) -> None:
    with pytest.raises(AnnotationError, match="at most"):
        inbox.add(sqlite, media, event_id=eid(), caption="x", language="en", remark="x" * 1_001)
