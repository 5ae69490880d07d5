"""The server's side of the tab *Annotate*: who comes in, what each may see, what an unreliable line does to answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.ui.annotations import PASSWORD, answered, fill
from ugsd_core.annotations.errors import AccessDenied
from ugsd_core.annotations.identity import User, add_user
from ugsd_core.annotations.inbox import INBOX
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store, open_store
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import ClipLine
from ui.annotation.desk import Desk, markdown
from ui.annotation.inbox_rows import InboxRows
from ui.annotation.opening import TRIAL_CAMPAIGN, open_annotations, open_trial
from ui.annotation.review_desk import ReviewDesk
from ui.annotation.routes import Annotating, annotation_routes
from ui.annotation.sign_in import FREE_TRIES, SESSION_S, Entrance
from ui.components.annotation_form import SCRIPTS, markup
from ui.language import LOCALES, words

ANN, RAE = User("Ann"), User("Rae", "reviewer")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def media(tmp_path: Path) -> Media:
    return Media(tmp_path / "media")


@pytest.fixture
def desk(store: Store, media: Media) -> Desk:
    fill(store, media, count=4)
    return Desk(store, media)


def event(kind: str, item: str, **payload: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "kind": kind, "campaign": "voices", "item": item, "payload": payload}


# ── Coming in ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_outlives_a_restart_and_its_file_holds_no_token(store: Store, tmp_path: Path) -> None:
    add_user(store, "Ann", "annotator", PASSWORD)
    file = tmp_path / "sessions.json"
    token = Entrance(store, "listed", file).enter("Ann", PASSWORD).token
    assert Entrance(store, "listed", file).known(token) == ANN
    assert token not in file.read_text() and file.stat().st_mode & 0o077 == 0


def test_a_session_ends_by_signing_out_by_time_and_with_the_account(store: Store, tmp_path: Path) -> None:
    add_user(store, "Ann", "annotator", PASSWORD)
    now = [1_000.0]
    entrance = Entrance(store, "listed", tmp_path / "sessions.json", clock=lambda: now[0])
    first, second = (entrance.enter("Ann", PASSWORD).token for _ in range(2))
    entrance.leave(first)
    assert entrance.known(first) is None and entrance.known(second) == ANN
    add_user(store, "Ann", "reviewer", PASSWORD)
    assert entrance.known(second) == User("Ann", "reviewer"), "a role holds at once"
    now[0] += SESSION_S + 1
    assert entrance.known(second) is None


def test_wrong_passwords_make_the_next_try_wait(store: Store) -> None:
    add_user(store, "Ann", "annotator", PASSWORD)
    now = [1_000.0]
    entrance = Entrance(store, "listed", clock=lambda: now[0])
    for _ in range(FREE_TRIES):
        with pytest.raises(AccessDenied, match="not right"):
            entrance.enter("Ann", "guess")
    with pytest.raises(AccessDenied, match="too many"):
        entrance.enter("Ann", PASSWORD)
    now[0] += 61
    assert entrance.enter("Ann", PASSWORD).user == ANN


def test_on_an_open_page_a_name_stays_with_the_browser_that_took_it(store: Store, tmp_path: Path) -> None:
    add_user(store, "Rae", "reviewer", PASSWORD)
    entrance = Entrance(store, "open", tmp_path / "sessions.json")
    granted = entrance.enter("Ann", role="reviewer")
    assert granted.user == ANN, "a role can't be chosen"
    entrance.leave(granted.token)
    restarted = Entrance(store, "open", tmp_path / "sessions.json")
    with pytest.raises(AccessDenied, match="somebody else"):
        restarted.enter("Ann")
    assert restarted.enter("Ann", claim=granted.claim).user == ANN
    with pytest.raises(AccessDenied, match="not right"):
        restarted.enter("Rae")


def test_an_open_page_is_for_this_machine_only(tmp_path: Path) -> None:
    from contextlib import ExitStack

    with ExitStack() as ending, pytest.raises(OptionError, match="this machine only"):
        open_annotations(str(tmp_path / "s.db"), "open", local=False, ending=ending)
    assert not (tmp_path / "s.db").exists()


def test_a_trial_lets_a_role_be_chosen_and_has_the_example_captions(tmp_path: Path) -> None:
    from contextlib import ExitStack

    with ExitStack() as ending:
        trial = open_trial(tmp_path, ending=ending)
        granted = trial.entrance.enter("Somebody", role="reviewer")
        assert granted.user.is_reviewer and trial.trial
        work = trial.desk.work(granted.user, TRIAL_CAMPAIGN)
        assert work["progress"]["total"] == 6 and work["item"]["audio"] is True


# ── The desk ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_submit_brings_the_next_caption_which_was_known_before(desk: Desk) -> None:
    work = desk.work(ANN, "voices")
    told = desk.take(
        ANN, [event("submitted", work["item"]["id"], answer={"verdict": "accept"})], {"campaign": "voices"}, "en"
    )
    assert told["acks"][0]["revision"] == 1
    assert told["work"]["item"]["id"] == work["ahead"]["id"]
    assert told["work"]["progress"] == {
        "pending": 3, "draft": 0, "submitted": 1, "skipped": 0, "closed": 0, "total": 4,
    }  # fmt: skip


def test_a_reload_comes_back_to_the_same_caption_though_the_next_one_is_held_too(desk: Desk) -> None:
    work = desk.work(ANN, "voices")
    assert [desk.work(ANN, "voices")["item"]["id"] for _ in range(3)] == [work["item"]["id"]] * 3
    told = desk.take(ANN, [event("skipped", work["item"]["id"])], {"campaign": "voices"}, "en")
    assert desk.work(ANN, "voices")["item"]["id"] == told["work"]["item"]["id"] == work["ahead"]["id"]


def test_a_reload_comes_back_to_a_draft_that_was_taken_up_again(desk: Desk) -> None:
    item = desk.work(ANN, "voices")["item"]["id"]
    desk.take(ANN, [event("skipped", item)], {"campaign": "voices"}, "en")
    desk.take(ANN, [event("undone", item), event("draft_saved", item, answer={"note": "so"})], None, "en")
    assert desk.work(ANN, "voices", last=item)["item"]["id"] == item
    assert desk.work(ANN, "voices", last="no-such-item")["item"]["id"] != item


def test_the_same_events_sent_again_change_nothing(desk: Desk) -> None:
    item = desk.work(ANN, "voices")["item"]["id"]
    events = [event("listened", item, start_s=0, end_s=0.3, spent_s=0.3), event("skipped", item)]
    first = desk.take(ANN, events, None, "en")["acks"]
    again = desk.take(ANN, events, None, "en")["acks"]
    assert [ack["repeated"] for ack in again] == [True, True]
    assert [ack["revision"] for ack in first] == [ack["revision"] for ack in again]


def test_a_refused_submit_is_told_and_goes_nowhere(desk: Desk) -> None:
    item = desk.work(ANN, "voices")["item"]["id"]
    told = desk.take(ANN, [event("submitted", item, answer={"verdict": "flag"})], {"campaign": "voices"}, "zh")
    assert told["acks"][0]["error"]["field"] == "flags" and "work" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "campaign_created"},
        {"kind": "adjudicated", "payload": {"answer": {"verdict": "accept"}}},
        {"payload": None},
        {"id": 7},
        {"expected_revision": "1"},
        {"item": "no-such-item"},
        {"kind": "listened", "payload": {"start_s": 0, "end_s": "far", "spent_s": 1}},
    ],
)
def test_what_the_page_never_sends_is_refused_one_by_one(desk: Desk, wrong: dict[str, Any]) -> None:
    item = desk.work(ANN, "voices")["item"]["id"]
    told = desk.take(ANN, [event("skipped", item) | wrong], None, "en")
    assert told["acks"][0]["error"]["message"]


def test_a_reviewer_who_answers_is_as_blind_as_anybody(desk: Desk, store: Store, media: Media) -> None:
    answered(store, media, {"Bob": [True, False]})
    for user in (ANN, RAE):
        assert "secret-system" not in json.dumps(desk.work(user, "voices"))
        assert "Bob" not in json.dumps(desk.work(user, "voices"))


def test_an_open_campaign_names_the_system(store: Store, media: Media) -> None:
    fill(store, media, count=2, blind=False)
    assert Desk(store, media).work(ANN, "voices")["item"]["system"] == "secret-system"


def test_only_reviewers_review_and_export(desk: Desk, store: Store, media: Media) -> None:
    answered(store, media, {"Ann": [True, True], "Bob": [True, False]})
    review = ReviewDesk(desk)
    for call in (
        lambda: review.overview(ANN, "voices"),
        lambda: review.item(ANN, "voices", "item-000"),
        lambda: review.export(ANN, "voices", "latest", False),
    ):
        with pytest.raises(AccessDenied):
            call()
    told = review.overview(RAE, "voices")
    assert [entry["item"] for entry in told["disagreements"]] == ["item-001"]
    assert {person["annotator"] for person in told["people"]} == {"Ann", "Bob"}
    assert set(told["definitions"]) <= {
        key.removeprefix("annotate.def.") for key in json.loads(words("annotate.def."))["en"]
    }
    assert [one["annotator"] for one in review.item(RAE, "voices", "item-001")["answers"]] == ["Ann", "Bob"]


@pytest.mark.parametrize("form", ["latest", "events", "csv", "dataset"])
def test_a_file_to_take_away_goes_from_the_server_afterwards(desk: Desk, store: Store, media: Media, form: str) -> None:
    answered(store, media, {"Bob": [True]})
    made = ReviewDesk(desk).export(RAE, "voices", form, hashed=True)
    assert made.path.stat().st_size > 0 and made.name.startswith("voices")
    if form != "dataset":
        assert "Bob" not in made.path.read_text(encoding="utf-8")
    made.forget()
    assert not made.folder.exists()


def test_guidelines_can_carry_no_script() -> None:
    made = markdown("**bold** <script>alert(1)</script> [x](javascript:alert(1)) ![p](http://a.example/p.png)")
    assert "<strong>bold</strong>" in made and "<script" not in made
    assert 'href="javascript' not in made and "<img" not in made


# ── Over HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def client(desk: Desk) -> Iterator[Any]:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    app = Starlette(routes=annotation_routes(Annotating(desk, Entrance(desk.store, "listed"))))
    with TestClient(app, headers={"X-UGSD-Annotate": "1"}) as made:
        yield made


def come_in(client: Any, name: str = "Ann") -> Any:
    return client.post("/annotate/sign-in", json={"name": name, "password": PASSWORD})


def test_the_cookie_is_not_for_scripts_nor_for_other_sites(client: Any) -> None:
    cookie = come_in(client).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    client.cookies.clear()
    sent = {"name": "Ann", "password": PASSWORD}
    behind = client.post("/annotate/sign-in", json=sent, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in behind.headers["set-cookie"]
    assert "SameSite=strict" in behind.headers["set-cookie"]


def test_inside_the_frame_of_a_space_the_cookie_is_sent_too(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/ugsd")
    sent = {"name": "Ann", "password": PASSWORD}
    cookie = client.post("/annotate/sign-in", json=sent, headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert "SameSite=none" in cookie and "Secure" in cookie and "HttpOnly" in cookie


def test_nothing_but_the_door_is_open_without_a_session(client: Any) -> None:
    assert client.get("/annotate/session").json()["user"] is None
    for path in ("campaign", "work", "audio", "review", "review-item", "export"):
        assert client.get(f"/annotate/{path}?campaign=voices&item=item-000").status_code == 401, path
    assert client.post("/annotate/events", json={"user": "", "events": []}).status_code == 401


def test_another_sites_page_can_send_nothing(client: Any) -> None:
    come_in(client)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/annotate/work?campaign=voices", headers=foreign).status_code == 403
    del client.headers["X-UGSD-Annotate"]
    assert client.post("/annotate/events", json={"user": "Ann", "events": []}).status_code == 403


def test_nobody_writes_under_a_name_that_the_browser_claims(client: Any, store: Store) -> None:
    come_in(client)
    body = {"user": "Bob", "events": [event("skipped", "item-000")]}
    assert client.post("/annotate/events", json=body).status_code == 401
    body["user"] = "Ann"
    body["events"][0]["annotator"] = "Bob"
    assert client.post("/annotate/events", json=body).status_code == 200
    with store.reading() as tx:
        assert tx.answer("voices", "item-000", "Ann").status == "skipped"
        assert tx.answer("voices", "item-000", "Bob").status == "pending"


def test_a_clip_comes_under_a_name_that_tells_nothing(client: Any) -> None:
    come_in(client)
    answer = client.get("/annotate/audio?campaign=voices&item=item-000")
    assert answer.status_code == 200 and answer.content[:4] == b"RIFF"
    assert "clip0" not in str(answer.headers) and "private" in answer.headers["cache-control"]


def test_a_store_that_can_not_be_written_asks_to_be_asked_again(client: Any, desk: Desk, monkeypatch: Any) -> None:
    from ugsd_core.annotations.errors import StoreError

    come_in(client)

    def busy(*_: Any) -> None:
        raise StoreError("busy", "busy")

    monkeypatch.setattr(Desk, "take", busy)
    assert client.post("/annotate/events", json={"user": "Ann", "events": []}).status_code == 503


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"'])
def test_a_body_that_is_no_object_is_refused(client: Any, body: bytes) -> None:
    come_in(client)
    assert client.post("/annotate/events", content=body).status_code == 400


# ── Rows of an evaluation ─────────────────────────────────────────────────────────────────────────────────────────


class FakeRun:
    """A run that is looked at."""

    def __init__(self, folder: Path, *, brought: bool = False) -> None:
        self.name, self.folder, self.brought = "run", folder, brought
        self.lines = [
            ClipLine(id=name, corpus="c", system="ugsd", language="en", hypothesis=f"Caption of {name}.")
            for name in ("one", "two")
        ]


def test_a_row_lands_in_the_inbox_once_with_its_recording(desk: Desk, store: Store, tmp_path: Path) -> None:
    from tests.ui.annotations import sound

    recording = tmp_path / "one.wav"
    recording.write_bytes(sound(1).data)
    rows, run = InboxRows(desk), FakeRun(tmp_path / "run")
    assert rows.queued(run) == set()
    assert rows.send_to_annotation(run.lines[0], run, recording) is True
    assert rows.send_to_annotation(run.lines[0], run, recording) is False
    assert rows.queued(run) == {("one", "ugsd")}
    with store.reading() as tx:
        ((_, body),) = tx.items(INBOX)
    assert body["origin"] == "evaluation" and body["audio"].endswith(".wav")
    assert {"system", "remark"} <= set(desk.work(ANN, INBOX)["item"]), (
        "the inbox is open: it says who sent what and why"
    )


def test_a_run_that_was_only_brought_sends_nothing(desk: Desk, tmp_path: Path) -> None:
    run = FakeRun(tmp_path, brought=True)
    with pytest.raises(OptionError, match="only"):
        InboxRows(desk).send_to_annotation(run.lines[0], run)


# ── Markup ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_word_of_the_markup_is_there_in_both_languages() -> None:
    named = set(re.findall(r'data-(?:say|label|hint|tip)="([^"]+)"', markup()))
    for locale in LOCALES:
        assert named <= set(json.loads(words("annotate.", "help.annotate."))[locale])


def test_nothing_in_the_markup_is_taken_for_a_template() -> None:
    assert "${" not in markup() and "{{" not in markup()


def test_every_script_is_there() -> None:
    root = Path(__file__).resolve().parents[2] / "assets/web"
    assert all((root / name).is_file() for name in SCRIPTS)
