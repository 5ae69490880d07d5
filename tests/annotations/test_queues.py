"""Queues: everybody in another order, nobody twice, never more than k."""

from __future__ import annotations

import threading

import pytest

from tests.annotations.helpers import ACCEPT, Clock, eid, make_campaign, new_item, person
from ugsd_core.annotations.campaign import Campaign, NewItem, add_item, create_campaign
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.queues import later, order
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import Store


def work_through(service: AnnotationService, campaign: str = "emotions") -> list[str]:
    """Accept everything there is; the items in the order in which they came."""
    done = []
    while (view := service.next(campaign)) is not None:
        service.submit(eid(), campaign, view.id, ACCEPT)
        done.append(view.id)
    return done


def test_the_order_is_the_annotators_own_and_always_the_same() -> None:
    items = [f"i{number}" for number in range(50)]
    mine = order(7, "ann", items)
    assert mine == order(7, "ann", list(reversed(items))) and set(mine) == set(items)
    assert mine != order(7, "bob", items) and mine != order(8, "ann", items)


def test_an_item_that_comes_later_moves_no_other() -> None:
    items = [f"i{number}" for number in range(50)]
    assert [item for item in order(7, "ann", [*items, "new"]) if item != "new"] == list(order(7, "ann", items))


def test_everybody_gets_everything_once_where_k_allows_it(store: Store, media: Media) -> None:
    items = make_campaign(store, media, items=6, overlap=3, seed=7)
    for name in ("ann", "bob", "cem"):
        assert work_through(person(store, media, name)) == list(order(7, name, items))
    assert work_through(person(store, media, "dan")) == []
    assert person(store, media, "dan").queues("emotions").closed == 6


def test_two_who_ask_at_once_do_not_get_the_last_place_both(store: Store, media: Media) -> None:
    make_campaign(store, media, items=1, overlap=1)
    assert person(store, media, "ann").next("emotions") is not None
    assert person(store, media, "bob").next("emotions") is None


def test_many_who_work_at_once_never_overshoot(store: Store, media: Media) -> None:
    items = make_campaign(store, media, items=12, overlap=2)
    threads = [
        threading.Thread(target=work_through, args=(person(store, media, f"worker{number}"),)) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as tx:
        counts = [len(tx.answers("emotions", item=item, status="submitted")) for item in items]
    assert counts == [2] * 12


def test_an_item_that_was_left_lying_goes_to_somebody_else(store: Store, media: Media, clock: Clock) -> None:
    item = make_campaign(store, media, items=1, hold_s=60.0)[0]
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    ann.next("emotions")
    clock.wait(59)
    assert bob.next("emotions") is None
    clock.wait(2)
    assert bob.next("emotions") is not None
    # Ann comes back too late: what she writes is saved, and only the submit is refused.
    assert ann.save_draft(eid(), "emotions", item, ACCEPT).revision == 1
    with pytest.raises(AnnotationError, match="stays a draft") as caught:
        ann.submit(eid(), "emotions", item, ACCEPT)
    assert caught.value.code == "full"
    assert ann.answer("emotions", item).status == "draft"


def test_a_draft_holds_its_item_longer(store: Store, media: Media, clock: Clock) -> None:
    item = make_campaign(store, media, items=1, hold_s=60.0, draft_hold_s=3_600.0)[0]
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    ann.next("emotions")
    ann.save_draft(eid(), "emotions", item, {})
    clock.wait(3_000)
    assert bob.next("emotions") is None
    ann.submit(eid(), "emotions", item, ACCEPT)


def test_a_skipped_item_goes_to_somebody_else_and_not_back(store: Store, media: Media) -> None:
    item = make_campaign(store, media, items=1)[0]
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    view = ann.next("emotions")
    assert view is not None
    ann.skip(eid(), "emotions", item, reason="I don't speak it")
    assert ann.next("emotions") is None
    assert bob.next("emotions") is not None
    with pytest.raises(AnnotationError) as caught:
        ann.undo(eid(), "emotions", item)
    assert caught.value.code == "full" and ann.answer("emotions", item).status == "skipped"


def test_a_submit_that_is_taken_back_keeps_its_place(store: Store, media: Media) -> None:
    item = make_campaign(store, media, items=1)[0]
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    ann.submit(eid(), "emotions", item, ACCEPT)
    ann.undo(eid(), "emotions", item)
    assert bob.next("emotions") is None
    ann.submit(eid(), "emotions", item, ACCEPT)


def test_gold_items_are_for_everybody(store: Store, media: Media) -> None:
    gold = new_item("quality", "g", gold={"verdict": "accept", "flags": [], "corrected": None, "note": ""})
    create_campaign(store, media, Campaign("quality", must_listen=0.0), [gold, new_item("quality", "a")])
    assert len(work_through(person(store, media, "ann"), "quality")) == 2
    assert work_through(person(store, media, "bob"), "quality") == [gold.item.id]


def test_a_reload_comes_back_to_the_open_item(store: Store, media: Media, clock: Clock) -> None:
    make_campaign(store, media, items=5, hold_s=60.0)
    ann = person(store, media, "ann")
    first = ann.next("emotions")
    assert first is not None
    second = ann.next("emotions", after=first.id)
    assert second is not None and second.id != first.id
    reloaded = person(store, media, "ann").resume("emotions")
    assert reloaded is not None and reloaded.id == second.id
    ann.save_draft(eid(), "emotions", first.id, {"verdict": "accept"})
    reloaded = person(store, media, "ann").resume("emotions")
    assert reloaded is not None and reloaded.id == first.id and reloaded.state.form is not None
    ann.submit(eid(), "emotions", first.id, ACCEPT)
    clock.wait(61)
    fresh = ann.resume("emotions")
    assert fresh is not None and fresh.id != first.id


def test_queues_say_where_everything_is(store: Store, media: Media) -> None:
    items = make_campaign(store, media, items=6, overlap=1)
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    ann.submit(eid(), "emotions", items[0], ACCEPT)
    ann.skip(eid(), "emotions", items[1])
    ann.save_draft(eid(), "emotions", items[2], {})
    ann.open("emotions", items[3])
    bob.submit(eid(), "emotions", items[4], ACCEPT)
    mine = ann.queues("emotions")
    assert (mine.submitted, mine.skipped, mine.draft, mine.held) == (
        (items[0],),
        (items[1],),
        (items[2],),
        (items[3],),
    )
    assert set(mine.pending) == {items[3], items[5]} and (mine.closed, mine.total) == (1, 6)


def test_an_item_that_is_added_later_is_given_too(store: Store, media: Media) -> None:
    make_campaign(store, media, items=1)
    ann = person(store, media, "ann")
    work_through(ann)
    new: NewItem = new_item("emotions", "late")
    add_item(store, media, "emotions", new, event_id=eid())
    assert work_through(ann) == [new.item.id]


def test_times_are_added_as_they_are_written() -> None:
    assert later("2026-12-31T23:59:59.500Z", 0.5) == "2027-01-01T00:00:00.000Z"
