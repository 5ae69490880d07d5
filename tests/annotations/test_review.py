"""Review: disputed items first, and honest figures about people's work."""

from __future__ import annotations

import pytest

from tests.annotations.helpers import ACCEPT, FLAG, Clock, eid, make_campaign, new_item, person
from ugsd_core.annotations.campaign import Campaign, create_campaign
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.review import IDLE_S, disagreements, gold_scores, work
from ugsd_core.annotations.store import Store

OTHER_FLAG = {"verdict": "flag", "flags": [{"kind": "not_fluent", "severity": "minor"}]}


def test_disputed_items_come_worst_first_and_settled_ones_last(store: Store, media: Media) -> None:
    items = make_campaign(store, media, overlap=3)
    said = {
        items[0]: (ACCEPT, ACCEPT, ACCEPT),
        items[1]: (ACCEPT, FLAG, OTHER_FLAG),
        items[2]: (FLAG, FLAG, OTHER_FLAG),
        items[3]: (ACCEPT, FLAG, OTHER_FLAG),
    }
    for item, answers in said.items():
        for name, answer in zip(("ann", "bob", "cem"), answers, strict=True):
            person(store, media, name).submit(eid(), "emotions", item, answer)
    person(store, media, "rev", "reviewer").adjudicate(eid(), "emotions", items[1], FLAG, chosen="bob")
    with store.reading() as tx:
        found = disagreements(tx, "emotions")
    assert [entry.item for entry in found] == [items[3], items[2], items[1]]
    assert found[0].share == 1.0 and found[1].share == pytest.approx(2 / 3)
    assert found[0].verdicts == {"accept": 1, "flag": 2}
    assert found[0].kinds == ("not_fluent", "wrong_emotion")
    assert [entry.adjudicated for entry in found] == [False, False, True]


def test_pauses_are_no_work(sqlite: Store, media: Media, clock: Clock) -> None:
    items = make_campaign(sqlite, media)
    ann = person(sqlite, media, "ann")
    for item, wait_s in zip(items, (10, 20, IDLE_S + 1_000, 30), strict=True):
        ann.open("emotions", item)
        clock.wait(wait_s)
        ann.submit(eid(), "emotions", item, ACCEPT if wait_s < 30 else FLAG)
    with sqlite.reading() as tx:
        (found,) = work(tx, "emotions")
    assert found.submitted == 4 and found.flagged == 0.5
    assert found.active_s == pytest.approx(60, abs=1)
    assert found.per_hour == pytest.approx(240, rel=0.02)
    assert found.median_s == pytest.approx(15, abs=0.5)


def test_gold_items_measure_people(store: Store, media: Media) -> None:
    gold = {"verdict": "flag", "flags": [FLAG["flags"][0] | {"note": ""}], "corrected": None, "note": ""}  # type: ignore[index, operator]
    new = [new_item("q", "a", gold=gold), new_item("q", "b", gold=gold | {"verdict": "accept", "flags": []})]
    create_campaign(store, media, Campaign("q", must_listen=0.0), new)
    for item, answer in zip(new, (OTHER_FLAG, ACCEPT), strict=True):
        person(store, media, "ann").submit(eid(), "q", item.item.id, answer)
    with store.reading() as tx:
        (score,) = gold_scores(tx, "q")
    assert (score.annotator, score.items, score.gold_right, score.gold_flags) == ("ann", 2, 1.0, 0.5)
