"""Exports and imports: equal state, equal bytes, and names only where they are wanted."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.annotations.helpers import ACCEPT, FLAG, eid, new_item, person, plain
from tests.streams import every_state
from ugsd_core.annotations.bulk import verify
from ugsd_core.annotations.campaign import Campaign, create_campaign
from ugsd_core.annotations.errors import AnnotationError, EventConflict
from ugsd_core.annotations.export import export_campaign
from ugsd_core.annotations.imports import import_campaign
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store, open_store

GOLD = {"verdict": "accept", "flags": [], "corrected": None, "note": "", "taxonomy": "ugsd-flags/1"}


def fill(store: Store, media: Media) -> list[str]:
    """A campaign with a bit of everything."""
    new = [
        replace(new_item("mixed", "a", sound=b"RIFF-a", system="x"), events=tuple(every_state())),
        new_item("mixed", "a", sound=b"RIFF-a", system="y"),
        new_item("mixed", "b", '她很难过 \u2028 \u0085 "quoted", =1+1'),
        new_item("mixed", "c", sound=b"RIFF-c", gold=GOLD),
    ]
    create_campaign(store, media, Campaign("mixed", "Mixed", overlap=3, must_listen=0.0), new)
    items = [one.item.id for one in new]
    ann, bob = person(store, media, "Ann Müller"), person(store, media, "bob")
    rev = person(store, media, "rev", "reviewer")
    ann.listened(eid(), "mixed", items[0], start_s=0, end_s=1.25)
    ann.submit(eid(), "mixed", items[0], FLAG | {"corrected": "She sounds calm.", "note": 'a\nb\u2028c, "d"'})
    bob.submit(eid(), "mixed", items[0], ACCEPT)
    bob.skip(eid(), "mixed", items[1])
    ann.save_draft(eid(), "mixed", items[2], {"note": "half"})
    ann.submit(eid(), "mixed", items[3], ACCEPT)
    ann.undo(eid(), "mixed", items[3])
    rev.adjudicate(eid(), "mixed", items[0], FLAG, chosen="Ann Müller")
    return items


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("hashed", [False, True])
def test_an_export_taken_into_a_new_store_gives_an_equal_state_and_equal_bytes(
    store: Store, media: Media, tmp_path: Path, hashed: bool
) -> None:
    fill(store, media)
    export_campaign(store, media, "mixed", tmp_path / "one", hashed=hashed)
    other = Media(tmp_path / "other-media")
    with open_store(tmp_path / "other.db") as second:
        import_campaign(second, other, tmp_path / "one")
        assert verify(second) == []
        if not hashed:
            assert plain(second) == plain(store)
        export_campaign(second, other, "mixed", tmp_path / "two")
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    if hashed:  # the second export has nothing to hash and says so
        one["manifest.json"] = one["manifest.json"].replace(b'"annotators_hashed": true', b'"annotators_hashed": false')
    assert one == two


def test_two_exports_of_one_state_are_the_same_bytes(sqlite: Store, media: Media, tmp_path: Path) -> None:
    fill(sqlite, media)
    for name in ("one", "two"):
        export_campaign(sqlite, media, "mixed", tmp_path / name, hashed=True)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_the_manifest_counts_and_signs_every_file(sqlite: Store, media: Media, tmp_path: Path) -> None:
    fill(sqlite, media)
    done = export_campaign(sqlite, media, "mixed", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    found = files(tmp_path / "out")
    assert set(manifest["files"]) == set(found) - {"manifest.json"}
    for name, entry in manifest["files"].items():
        assert entry == {"sha256": hashlib.sha256(found[name]).hexdigest(), "bytes": len(found[name])}
    assert done.counts == manifest["counts"]
    expected = {
        "items": 4,
        "items_with_audio": 3,
        "annotators": 2,
        "submitted": 2,
        "skipped": 1,
        "drafts": 2,
        "gold": 2,
    }
    assert manifest["counts"] | expected == manifest["counts"]
    assert manifest["counts"]["events"] == found["events.jsonl"].count(b"\n")


def test_the_table_has_a_row_an_answer_and_a_column_a_kind(sqlite: Store, media: Media, tmp_path: Path) -> None:
    items = fill(sqlite, media)
    export_campaign(sqlite, media, "mixed", tmp_path / "out")
    with (tmp_path / "out" / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["item"], row["annotator"], row["verdict"]) for row in rows] == [
        (items[0], "Ann Müller", "flag"),
        (items[0], "bob", "accept"),
        (items[1], "bob", "skip"),
    ]
    assert rows[0]["wrong_emotion"] == "major" and rows[0]["note"] == 'a\nb\u2028c, "d"'
    assert rows[0]["gold_verdict"] == "flag" and rows[0]["listened_s"] == "1.25"


def test_the_dataset_folder_has_a_sound_for_every_row(sqlite: Store, media: Media, tmp_path: Path) -> None:
    fill(sqlite, media)
    export_campaign(sqlite, media, "mixed", tmp_path / "out")
    folder = tmp_path / "out" / "dataset"
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["file_name"] for row in rows}) == len(rows) == 3
    assert all((folder / row["file_name"]).is_file() for row in rows)
    assert (rows[0]["answers"], rows[0]["flagged"], rows[0]["wrong_emotion"]) == ("2", "1", "1")
    assert json.loads(rows[0]["corrections"]) == ["She sounds calm."]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n") and '"metadata.csv"' in card and "1 more have none" in card


def test_a_hashed_export_holds_no_name_and_always_the_same_pseudonym(
    sqlite: Store, media: Media, tmp_path: Path
) -> None:
    fill(sqlite, media)
    export_campaign(sqlite, media, "mixed", tmp_path / "out", hashed=True)
    everything = b"".join(files(tmp_path / "out").values())
    for name in ("Ann", "Müller", '"bob"', ",bob,", '"rev"'):
        assert name.encode() not in everything
    rows = [json.loads(line) for line in (tmp_path / "out" / "latest.jsonl").read_bytes().splitlines()]
    assert {row["annotator"][:2] for row in rows} == {"p-"} and len({row["annotator"] for row in rows}) == 2
    gold = json.loads((tmp_path / "out" / "gold.jsonl").read_text().split("\n")[0])
    assert gold["chosen"] in {row["annotator"] for row in rows}


def test_pseudonyms_cannot_be_joined_across_campaigns(sqlite: Store, media: Media, tmp_path: Path) -> None:
    names = set()
    for campaign in ("one", "two"):
        new = new_item(campaign, "a")
        create_campaign(sqlite, media, Campaign(campaign), [new])
        person(sqlite, media, "ann").skip(eid(), campaign, new.item.id)
        export_campaign(sqlite, media, campaign, tmp_path / campaign, hashed=True)
        names.add(json.loads((tmp_path / campaign / "latest.jsonl").read_text())["annotator"])
    assert len(names) == 2


def test_an_import_that_is_known_already_changes_nothing(store: Store, media: Media, tmp_path: Path) -> None:
    fill(store, media)
    before = plain(store)
    export_campaign(store, media, "mixed", tmp_path / "out")
    done = import_campaign(store, media, tmp_path / "out")
    assert (done.events, done.known) == (0, len(before["events"]))
    assert plain(store) == before


def test_an_older_export_goes_on_where_it_was(sqlite: Store, media: Media, tmp_path: Path) -> None:
    items = fill(sqlite, media)
    export_campaign(sqlite, media, "mixed", tmp_path / "early")
    person(sqlite, media, "bob").submit(eid(), "mixed", items[2], ACCEPT)
    export_campaign(sqlite, media, "mixed", tmp_path / "late")
    with open_store(tmp_path / "other.db") as other:
        import_campaign(other, media, tmp_path / "early")
        assert import_campaign(other, media, tmp_path / "late").events == 2  # opened, submitted
        assert plain(other) == plain(sqlite)


def test_two_stores_that_went_apart_are_not_mixed(sqlite: Store, media: Media, tmp_path: Path) -> None:
    items = fill(sqlite, media)
    export_campaign(sqlite, media, "mixed", tmp_path / "early")
    with open_store(tmp_path / "other.db") as other:
        import_campaign(other, media, tmp_path / "early")
        person(other, media, "bob").submit(eid(), "mixed", items[0], FLAG)
        person(sqlite, media, "bob").submit(eid(), "mixed", items[0], ACCEPT)
        export_campaign(sqlite, media, "mixed", tmp_path / "late")
        before = plain(other)
        with pytest.raises(EventConflict, match="new store"):
            import_campaign(other, media, tmp_path / "late")
        assert plain(other) == before


def test_a_changed_or_missing_file_is_seen(sqlite: Store, media: Media, tmp_path: Path) -> None:
    fill(sqlite, media)
    export_campaign(sqlite, media, "mixed", tmp_path / "out")
    with open_store(tmp_path / "other.db") as other:
        events = tmp_path / "out" / "events.jsonl"
        events.write_bytes(events.read_bytes().replace(b"accept", b"reject"))
        with pytest.raises(AnnotationError, match="changed since"):
            import_campaign(other, media, tmp_path / "out")
        events.unlink()
        with pytest.raises(AnnotationError, match="lacks"):
            import_campaign(other, media, tmp_path / "out")
        with pytest.raises(AnnotationError, match="no export"):
            import_campaign(other, media, tmp_path)
        assert plain(other)["events"] == []


def test_a_folder_that_holds_something_is_left_alone(sqlite: Store, media: Media, tmp_path: Path) -> None:
    fill(sqlite, media)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(AnnotationError, match="not empty"):
        export_campaign(sqlite, media, "mixed", tmp_path / "full")
    with pytest.raises(AnnotationError, match="no campaign"):
        export_campaign(sqlite, media, "nowhere", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if "partial" in path.name) == []


def test_an_export_without_sound_says_so(sqlite: Store, media: Media, tmp_path: Path) -> None:
    fill(sqlite, media)
    done = export_campaign(sqlite, media, "mixed", tmp_path / "out", audio=False)
    assert done.counts["items_with_audio"] == 0
    assert not any(name.endswith(".wav") for name in files(tmp_path / "out"))
    assert '"no_audio.csv"' in (tmp_path / "out" / "dataset" / "README.md").read_text()
