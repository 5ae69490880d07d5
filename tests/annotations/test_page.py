"""The page's requests against each kind of store, through the whole flow: signing in, judging, reviewing, a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.ui.annotations import PASSWORD, fill
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store, open_store
from ui.annotation.opening import open_annotations
from ui.annotation.routes import annotation_routes

FLAG = {"kind": "wrong_emotion", "severity": "major", "start": 0, "end": 2, "note": ""}


class Person:
    """Somebody at the page."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        came = client.post("/annotate/sign-in", json={"name": name, "password": PASSWORD})
        assert came.json()["user"]["name"] == name

    def get(self, path: str, **query: str) -> Any:
        answer = self.client.get(f"/annotate/{path}", params={"campaign": "voices"} | query)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.headers["content-type"].startswith("application/json") else answer.content

    def do(self, kind: str, item: str, **payload: Any) -> Any:
        event = {"id": str(uuid4()), "kind": kind, "campaign": "voices", "item": item, "payload": payload}
        told = self.client.post("/annotate/events", json={"user": self.name, "events": [event] * 2}).json()
        first, again = told["acks"]
        assert "error" not in first and again["repeated"], told
        return first["revision"]


@contextmanager
def served(address: str, media: Path) -> Iterator[Any]:
    """The page's requests, from opening the store to closing it."""
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    with ExitStack() as ending:
        app = Starlette(routes=annotation_routes(open_annotations(address, media=media, ending=ending)))
        yield ending.enter_context(TestClient(app, headers={"X-UGSD-Annotate": "1"}))


@pytest.fixture
def address(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with a campaign that has to be listened to."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    fill(store, Media(tmp_path / "media"), count=3, must_listen=0.9)
    return store.address


def test_the_whole_flow_on_either_store_and_a_restart_in_between(address: str, tmp_path: Path) -> None:
    with served(address, tmp_path / "media") as client:
        ann = Person(client, "Ann")
        first = ann.get("work")["item"]["id"]
        assert ann.get("audio", item=first)[:4] == b"RIFF"
        ann.do("listened", first, start_s=0, end_s=0.3, spent_s=0.3)
        assert ann.do("draft_saved", first, answer={"verdict": "flag", "note": "begun"}) == 1
        assert ann.do("submitted", first, answer={"verdict": "flag", "flags": [FLAG]}) == 2
        second = ann.get("work")["item"]["id"]
        assert [ann.do(kind, second) for kind in ("skipped", "undone", "skipped")] == [1, 2, 3]
        cookies = dict(client.cookies)
    with served(address, tmp_path / "media") as client:
        client.cookies.update(cookies)
        assert client.get("/annotate/session").json()["user"]["name"] == "Ann", "a restart signs nobody out"
        ann.client = client
        assert ann.get("work")["progress"]["submitted"] == 1
        told = ann.get("answers")
        assert [(one["item"], one["status"]) for one in told["answers"]] == [(second, "skipped"), (first, "submitted")]
        assert ann.do("submitted", first, answer={"verdict": "accept"}) == 3, "revised"
        rae = Person(client, "Rae")
        assert rae.get("answers")["total"] == 0, "the own answers alone"
        rae.do("listened", first, start_s=0, end_s=0.3, spent_s=0.3)
        rae.do("submitted", first, answer={"verdict": "flag", "flags": [FLAG]})
        assert [one["item"] for one in rae.get("review")["disagreements"]] == [first]
        assert rae.do("adjudicated", first, answer={"verdict": "accept"}, chosen="Ann") == 1
        assert rae.get("review-item", item=first)["gold"]["chosen"] == "Ann"
        assert b"Ann" in rae.get("export", format="latest") and b"Ann" not in rae.get(
            "export", format="events", hashed="1"
        )
    with open_store(address) as store, store.reading() as tx:
        assert tx.answer("voices", first, "Ann").answer["verdict"] == "accept"  # type: ignore[index]
