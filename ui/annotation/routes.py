"""The tab's requests over HTTP, below ``/annotate``: JSON in, JSON out, beside Gradio's own routes.

Gradio's events would take two requests and a stream for a submit; here it is one small request. Every call asks anew
who is signed in (`ui.annotation.sign_in`) and what that person may do (`AnnotationService`). They are listed in
``docs/api.md``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ugsd_core.annotations.errors import AccessDenied, AnnotationError, EventConflict, StoreError
from ugsd_core.annotations.identity import User
from ugsd_core.errors import UgsdError
from ui.annotation.desk import Desk, refusal
from ui.annotation.review_desk import ReviewDesk
from ui.annotation.sign_in import CLAIM_S, SESSION_S, Entrance
from ui.language import Locale

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

__all__ = ["Annotating", "annotation_routes"]

_log = logging.getLogger("ugsd.annotate")
PREFIX = "/annotate"
#: Bytes of a request; a page that was offline for long sends many events.
BODY_LIMIT = 4 * 2**20
#: Sent by our script alone: another site's page can't add it without being asked first, and is then refused.
HEADER = "x-ugsd-annotate"


@dataclass(frozen=True)
class Annotating:
    """All that the tab needs on the server.

    Attributes:
        trial: The store goes with the page; nobody collects what visitors send.
        name: Tells the cookies of two pages on one machine apart.
    """

    desk: Desk
    entrance: Entrance
    trial: bool = False
    name: str = ""

    @property
    def cookie(self) -> str:
        """Name of the session's cookie."""
        return "ugsd-annotate-" + hashlib.sha256((self.name or self.desk.store.address).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read.

    Attributes:
        user: Who is signed in; None where nobody need be.
        body: Of a POST; empty otherwise.
    """

    request: Any
    user: User | None
    locale: Locale
    query: Mapping[str, str]
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def person(self) -> User:
        """Who is signed in.

        Raises:
            AccessDenied: If nobody is.
        """
        if self.user is None:
            raise NotSignedIn("sign in first; what you did is kept in this browser until then")
        return self.user


class NotSignedIn(AccessDenied):
    """Nobody is signed in, or somebody else than the page takes it for."""


def annotation_routes(annotating: Annotating) -> list[BaseRoute]:
    """What is to stand beside Gradio's routes."""
    from starlette.routing import Mount, Route

    calls = _Calls(annotating)
    table: dict[str, tuple[str, Callable[[Call], Any]]] = {
        "session": ("GET", calls.session),
        "sign-in": ("POST", calls.sign_in),
        "sign-out": ("POST", calls.sign_out),
        "campaign": ("GET", calls.campaign),
        "work": ("GET", calls.work),
        "events": ("POST", calls.events),
        "audio": ("GET", calls.audio),
        "review": ("GET", calls.review),
        "review-item": ("GET", calls.review_item),
        "export": ("GET", calls.export),
    }
    routes = [
        Route(f"/{path}", _endpoint(annotating, call), methods=[method]) for path, (method, call) in table.items()
    ]
    return [Mount(PREFIX, routes=routes)]


class _Calls:
    """One method a path."""

    def __init__(self, annotating: Annotating) -> None:
        self._on, self._desk, self._entrance = annotating, annotating.desk, annotating.entrance
        self._review = ReviewDesk(annotating.desk)

    def session(self, call: Call) -> dict[str, Any]:
        """Who is signed in, and the campaigns."""
        user = call.user
        return {
            "user": None if user is None else {"name": user.name, "role": user.role},
            "way": self._entrance.way,
            "campaigns": [] if user is None else self._desk.campaigns(user),
        }

    def sign_in(self, call: Call) -> Response:
        """Let somebody in; the token goes into a cookie that scripts can't read."""
        words = {key: str(call.body.get(key, "")) for key in ("name", "password", "role")}
        claim = call.request.cookies.get(self._on.cookie + "-name", "")
        granted = self._entrance.enter(words["name"].strip(), words["password"], words["role"], claim)
        answer = _json({"user": {"name": granted.user.name, "role": granted.user.role}})
        secure = _is_https(call.request)
        # A Space is shown inside a page of huggingface.co, where a strict cookie is never sent. Other sites can't act
        # in somebody's name by it all the same: every call needs a header that they may not set.
        framed = secure and "SPACE_ID" in os.environ
        safe = {"httponly": True, "samesite": "none" if framed else "strict", "path": "/", "secure": secure}
        answer.set_cookie(self._on.cookie, granted.token, max_age=SESSION_S, **safe)
        if granted.claim:
            answer.set_cookie(self._on.cookie + "-name", granted.claim, max_age=CLAIM_S, **safe)
        return answer

    def sign_out(self, call: Call) -> Response:
        """End the session."""
        self._entrance.leave(call.request.cookies.get(self._on.cookie, ""))
        answer = _json({"user": None})
        answer.delete_cookie(self._on.cookie, path="/")
        return answer

    def campaign(self, call: Call) -> dict[str, Any]:
        """Rules, flags and guidelines."""
        return self._desk.campaign(call.person, call.query.get("campaign", ""))

    def work(self, call: Call) -> dict[str, Any]:
        """What to work on."""
        names = (call.query.get(name, "") for name in ("campaign", "item", "last"))
        return self._desk.work(call.person, *names)

    def events(self, call: Call) -> dict[str, Any]:
        """Take in what a person did. The page says whose it is, so that nothing lands under another's name."""
        if call.body.get("user") != call.person.name:
            raise NotSignedIn("somebody else is signed in now; sign in again under your own name")
        return self._desk.take(call.person, call.body.get("events"), call.body.get("then"), call.locale)

    def audio(self, call: Call) -> Response:
        """The recording of an item, under a name that tells nothing."""
        from starlette.responses import FileResponse

        path = self._desk.audio(call.person, call.query.get("campaign", ""), call.query.get("item", ""))
        if path is None:
            raise AnnotationError("this item has no recording", "audio")
        return FileResponse(path, headers={"Cache-Control": "private, max-age=3600"})

    def review(self, call: Call) -> dict[str, Any]:
        """For reviewers: agreement, disagreements, people."""
        return self._review.overview(call.person, call.query.get("campaign", ""))

    def review_item(self, call: Call) -> dict[str, Any]:
        """For reviewers: one item with all answers."""
        return self._review.item(call.person, call.query.get("campaign", ""), call.query.get("item", ""))

    def export(self, call: Call) -> Response:
        """For reviewers: a file to take away."""
        from starlette.background import BackgroundTask
        from starlette.responses import FileResponse

        hashed = call.query.get("hashed", "") == "1"
        made = self._review.export(call.person, call.query.get("campaign", ""), call.query.get("format", ""), hashed)
        return FileResponse(made.path, filename=made.name, background=BackgroundTask(made.forget))


def _endpoint(annotating: Annotating, work: Callable[[Call], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        locale: Locale = "zh" if request.headers.get("accept-language", "").startswith("zh") else "en"
        try:
            _check_origin(request)
            body = await _body(request) if request.method == "POST" else {}

            def answer() -> Any:
                user = annotating.entrance.known(request.cookies.get(annotating.cookie, ""), _oauth_name(request))
                return work(Call(request, user, locale, request.query_params, body))

            found = await run_in_threadpool(answer)
            return found if isinstance(found, Response) else _json(found)
        except StoreError as error:  # the page keeps what it has and asks again
            _log.warning("%s", error)
            return _json(refusal(error, locale), 503)
        except UgsdError as error:
            return _json(refusal(error, locale), _status(error))
        except Exception:
            _log.exception("a request of the tab Annotate failed")
            return _json({"code": "failed", "message": ""}, 500)

    return endpoint


def _status(error: UgsdError) -> int:
    if isinstance(error, NotSignedIn):
        return 401
    if isinstance(error, AccessDenied):
        return 403
    return 409 if isinstance(error, EventConflict) else 400


def _check_origin(request: Request) -> None:
    """Refuse what another site's page sends in a visitor's name.

    Raises:
        AccessDenied: If it does.
    """
    own = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if not own or (request.method == "POST" and HEADER not in request.headers):
        raise AccessDenied("this is for the page itself, and for programs that send the header X-UGSD-Annotate: 1")


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        AnnotationError: If it is none, or too long.
    """
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > BODY_LIMIT:
            raise AnnotationError(f"a request has at most {BODY_LIMIT} bytes", "too_long")
    try:
        found = json.loads(read)
    except ValueError as error:
        raise AnnotationError("a request is a JSON object", "json") from error
    if not isinstance(found, dict):
        raise AnnotationError("a request is a JSON object", "json")
    return found


def _json(value: Any, status: int = 200) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(value, status, headers={"Cache-Control": "no-store"})


def _is_https(request: Request) -> bool:
    return request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip() == "https"


def _oauth_name(request: Request) -> str:
    """Whom Hugging Face signed in by Gradio's login button; its session is signed by the server."""
    session = request.scope.get("session") or {}
    person = (session.get("oauth_info") or {}).get("userinfo") or {}
    return str(person.get("preferred_username", ""))
