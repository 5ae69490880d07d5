"""What one person can do, and what nobody can do to another."""

from __future__ import annotations

import dataclasses

import pytest

from tests.annotations.helpers import ACCEPT, FLAG, eid, make_campaign, new_item, person
from tests.streams import every_state
from ugsd_core.annotations.campaign import Campaign, NewItem, create_campaign
from ugsd_core.annotations.errors import AccessDenied, AnnotationError, AnswerError, EventConflict
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store
from ugsd_core.annotations.views import ItemView


def heard(store: Store, media: Media, *, must_listen: float = 0.9, duration_s: float | None = 4.0) -> str:
    """A campaign of one item with sound."""
    new = new_item("sound", "clip", sound=b"RIFF", duration_s=duration_s)
    create_campaign(store, media, Campaign("sound", must_listen=must_listen), [new])
    return new.item.id


def secret(store: Store, media: Media, *, blind: bool) -> str:
    """A campaign of one item about which there is a lot to know."""
    new = new_item(
        "secret", "1001_ANG", system="big-model", corpus="crema", references=("angry",), label="anger", remark="look!"
    )
    rules = Campaign("secret", blind=blind, must_listen=0.0, overlap=3)
    create_campaign(store, media, rules, [dataclasses.replace(new, events=tuple(every_state()))])
    return new.item.id


def test_a_retry_of_anything_is_harmless(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    ann, rev = person(store, media, "ann"), person(store, media, "rev", "reviewer")
    calls = [
        lambda name: ann.listened(name, "emotions", item, start_s=0, end_s=1),
        lambda name: ann.save_draft(name, "emotions", item, FLAG, expected_revision=0),
        lambda name: ann.submit(name, "emotions", item, FLAG, expected_revision=1),
        lambda name: ann.undo(name, "emotions", item),
        lambda name: ann.skip(name, "emotions", item, reason="no"),
        lambda name: rev.adjudicate(name, "emotions", item, ACCEPT, expected_revision=0),
        lambda name: rev.undo_adjudication(name, "emotions", item),
    ]
    for call in calls:
        name = eid()
        first, again = call(name), call(name)
        assert (first.revision, first.at) == (again.revision, again.at) and again.repeated
    assert ann.answer("emotions", item).listened_s == 1.0
    assert ann.answer("emotions", item).revision == 4


def test_the_clip_must_have_been_heard_before_a_submit(store: Store, media: Media) -> None:
    item = heard(store, media)
    ann = person(store, media, "ann")
    for start, end in ((0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)):
        ann.listened(eid(), "sound", item, start_s=start, end_s=end)
    with pytest.raises(AnswerError, match=r"1\.0 of 4\.0 s") as caught:
        ann.submit(eid(), "sound", item, ACCEPT)
    assert caught.value.code == "not_heard"
    ann.listened(eid(), "sound", item, start_s=1.0, end_s=3.6, spent_s=1.3)
    ann.submit(eid(), "sound", item, ACCEPT)


def test_a_clip_of_unknown_length_must_have_been_played(store: Store, media: Media) -> None:
    item = heard(store, media, duration_s=None)
    ann = person(store, media, "ann")
    with pytest.raises(AnswerError, match="listen"):
        ann.submit(eid(), "sound", item, ACCEPT)
    ann.listened(eid(), "sound", item, start_s=0, end_s=0.5)
    ann.submit(eid(), "sound", item, ACCEPT)


def test_a_skip_needs_no_listening_and_an_item_without_sound_neither(store: Store, media: Media) -> None:
    item = heard(store, media)
    person(store, media, "ann").skip(eid(), "sound", item)
    other = make_campaign(store, media, must_listen=1.0)[0]
    person(store, media, "ann").submit(eid(), "emotions", other, ACCEPT)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 1e9), (0, float("nan"))])
def test_what_is_no_stretch_of_a_clip_is_refused(store: Store, media: Media, start: float, end: float) -> None:
    item = make_campaign(store, media)[0]
    with pytest.raises(AnswerError):
        person(store, media, "ann").listened(eid(), "emotions", item, start_s=start, end_s=end)


def test_a_blind_annotator_is_shown_nothing_that_gives_the_system_away(store: Store, media: Media) -> None:
    item = secret(store, media, blind=True)
    shown: ItemView | None = person(store, media, "ann").next("secret")
    assert shown is not None
    words = repr(dataclasses.asdict(shown))
    for hint in ("big-model", "crema", "1001_ANG", "anger", "angry", "look!"):
        assert hint not in words and hint not in item
    assert not shown.has_trace
    with pytest.raises(AccessDenied):
        person(store, media, "ann").trace("secret", item)


def test_a_reviewer_sees_everything(store: Store, media: Media) -> None:
    item = secret(store, media, blind=True)
    rev = person(store, media, "rev", "reviewer")
    view = rev.item("secret", item)
    assert (view.system, view.corpus, view.clip, view.label) == ("big-model", "crema", "1001_ANG", "anger")
    assert view.has_trace and rev.trace("secret", item) == every_state()


def test_an_open_campaign_shows_the_system_but_not_the_references(store: Store, media: Media) -> None:
    item = secret(store, media, blind=False)
    ann = person(store, media, "ann")
    view = ann.item("secret", item)
    assert view.system == "big-model" and ann.trace("secret", item)
    assert view.references == () and view.label is None


def test_nobody_reads_anothers_answer_in_a_blind_campaign(store: Store, media: Media) -> None:
    item = make_campaign(store, media, overlap=3)[0]
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    ann.submit(eid(), "emotions", item, FLAG)
    bob.submit(eid(), "emotions", item, ACCEPT)
    with pytest.raises(AccessDenied):
        bob.answer("emotions", item, "ann")
    assert [state.annotator for state in bob.answers("emotions", item)] == ["bob"]
    rev = person(store, media, "rev", "reviewer")
    assert [state.annotator for state in rev.answers("emotions", item)] == ["ann", "bob"]
    assert rev.answer("emotions", item, "ann").answer is not None


def test_in_an_open_campaign_others_are_shown_after_ones_own(store: Store, media: Media) -> None:
    item = make_campaign(store, media, overlap=3, blind=False)[0]
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    ann.submit(eid(), "emotions", item, FLAG)
    with pytest.raises(AccessDenied):
        bob.answer("emotions", item, "ann")
    bob.submit(eid(), "emotions", item, ACCEPT)
    assert bob.answer("emotions", item, "ann").status == "submitted"


def test_nobody_writes_over_anothers_answer(store: Store, media: Media) -> None:
    item = make_campaign(store, media, overlap=3)[0]
    ann, bob = person(store, media, "ann"), person(store, media, "bob")
    name = eid()
    ann.submit(name, "emotions", item, FLAG)
    # Even who knows the id of an event only learns that it was used.
    with pytest.raises(EventConflict, match="used before"):
        bob.submit(name, "emotions", item, ACCEPT)
    with pytest.raises(EventConflict):
        bob.undo(eid(), "emotions", item)
    with pytest.raises(EventConflict):
        bob.undo(name, "emotions", item)
    answer = ann.answer("emotions", item).answer
    assert answer is not None and answer["verdict"] == "flag"


def test_only_a_reviewer_adjudicates(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    ann, rev = person(store, media, "ann"), person(store, media, "rev", "reviewer")
    for call in (
        lambda: ann.adjudicate(eid(), "emotions", item, ACCEPT),
        lambda: ann.undo_adjudication(eid(), "emotions", item),
        ann.require_reviewer,
    ):
        with pytest.raises(AccessDenied):
            call()
    with pytest.raises(AnswerError, match="no answer"):
        rev.adjudicate(eid(), "emotions", item, ACCEPT, chosen="ann")
    ann.submit(eid(), "emotions", item, ACCEPT)
    assert rev.adjudicate(eid(), "emotions", item, ACCEPT, chosen="ann").revision == 1


def test_two_reviewers_do_not_overwrite_each_other_unseen(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    one, other = person(store, media, "rev", "reviewer"), person(store, media, "rex", "reviewer")
    one.adjudicate(eid(), "emotions", item, ACCEPT, expected_revision=0)
    with pytest.raises(EventConflict):
        other.adjudicate(eid(), "emotions", item, FLAG, expected_revision=0)


def test_an_answer_that_is_refused_loses_no_draft(store: Store, media: Media) -> None:
    item = make_campaign(store, media)[0]
    ann = person(store, media, "ann")
    ann.save_draft(eid(), "emotions", item, {"note": "half"})
    with pytest.raises(AnswerError):
        ann.submit(eid(), "emotions", item, {"verdict": "flag"})
    form = ann.answer("emotions", item).form
    assert form is not None and form["note"] == "half"


def test_sound_is_had_by_item_under_a_name_that_tells_nothing(store: Store, media: Media) -> None:
    item = heard(store, media)
    path = person(store, media, "ann").audio("sound", item)
    assert path is not None and path.read_bytes() == b"RIFF" and "clip" not in path.name
    other = make_campaign(store, media)[0]
    assert person(store, media, "ann").audio("emotions", other) is None


def test_a_page_lists_campaigns_with_their_rules(store: Store, media: Media) -> None:
    make_campaign(store, media, overlap=2)
    heard(store, media)
    views = person(store, media, "ann").campaigns()
    assert [(view.id, view.overlap, view.must_listen) for view in views] == [("emotions", 2, 0.0), ("sound", 1, 0.9)]
    with pytest.raises(AnnotationError, match="no campaign"):
        person(store, media, "ann").campaign("nowhere")


def test_a_new_item_without_a_caption_is_refused() -> None:
    with pytest.raises(AnnotationError, match="no caption"):
        new_item("c", "clip", "  ")
    assert isinstance(new_item("c", "clip"), NewItem)
