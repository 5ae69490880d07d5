"""Who is signed in: a cookie with a random token, whose hash stands beside the store.

The browser never says who it is. It holds a token that scripts can't read; the server knows the token's SHA-256, whose
it is and how long it holds, in a small file that outlives a restart. A role is looked up in the store at every call, so
that one that was taken away is gone at once.

There are three ways in, of which a page has one:

- ``listed``: a name and a password of the store's table of people (``ugsd annotations users add``).
- ``open``: any name that is not in that table, as an annotator. The browser that used a name first keeps it by a second
  cookie; nobody else can take it. People of the table need their password here too.
- ``oauth``: whoever Hugging Face signed in, on a Space.

A trial (a store that goes with the page) is open and lets everybody choose a role.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ugsd_core.annotations.errors import AccessDenied, AnnotationError
from ugsd_core.annotations.events import checked_name
from ugsd_core.annotations.identity import Role, User, list_users, sign_in, signed_in_elsewhere
from ugsd_core.annotations.store import Store

__all__ = ["SESSION_S", "WAYS", "Entrance", "Way"]

Way = Literal["listed", "open", "oauth", "trial"]
WAYS: tuple[str, ...] = get_args(Way)
#: A session holds for two weeks, a name of an open page for a year.
SESSION_S, CLAIM_S = 14 * 86_400, 365 * 86_400
#: After so many wrong passwords for a name, the next try waits; the wait doubles up to a minute.
FREE_TRIES, LONGEST_WAIT_S = 5, 60.0
#: Names that are remembered for that; far more than a team has people.
TRIED_NAMES = 1_000


@dataclass(frozen=True, slots=True)
class Granted:
    """Somebody came in.

    Attributes:
        token: For the session's cookie.
        claim: For the cookie that keeps the name of an open page; empty elsewhere.
    """

    user: User
    token: str
    claim: str = ""


class Entrance:
    """Lets people in and knows them again. Safe for many threads; processes that share the file see each other's.

    Args:
        way: See above.
        file: Where the hashes of tokens are kept; None keeps them in memory.
        clock: Seconds, for tests.
    """

    def __init__(
        self, store: Store, way: Way, file: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.store, self.way, self._file, self._clock = store, way, file, clock
        self._sessions: dict[str, dict[str, Any]] = {}
        self._claims: dict[str, str] = {}
        self._read_at: int | None = None
        self._tries: dict[str, tuple[int, float]] = {}
        self._lock = threading.RLock()

    def enter(self, name: str, password: str = "", role: str = "", claim: str = "") -> Granted:
        """Sign somebody in.

        Args:
            role: Counts in a trial alone.
            claim: What the browser's second cookie holds.

        Raises:
            AccessDenied: If the name or the password is not right, or the name is somebody else's.
            AnnotationError: If the name is none.
        """
        checked_name(name, "a person")
        if self.way == "oauth":
            raise AccessDenied("sign in with Hugging Face on this page")
        known = any(user.name == name for user in list_users(self.store))
        if self.way == "listed" or known:
            return self._begin(self._by_password(name, password), {})
        claim = self._claimed(name, claim)
        chosen: Role = "reviewer" if self.way == "trial" and role == "reviewer" else "annotator"
        return self._begin(User(name, chosen), {"role": chosen}, claim)

    def known(self, token: str, oauth_name: str = "") -> User | None:
        """Who holds a token (on a Space: whom Hugging Face named); None if nobody, or not any more."""
        if self.way == "oauth":
            return self._elsewhere(oauth_name)
        if not token:
            return None
        with self._lock:
            self._read()
            session = self._sessions.get(_hash(token))
        if session is None or session["until"] < self._clock():
            return None
        name = str(session["name"])
        listed = next((user for user in list_users(self.store) if user.name == name), None)
        if "role" in session:  # came in by name alone; the name may have got a password since
            return None if listed is not None else User(name, self._role(session["role"]))
        return listed

    def stranger(self, oauth_name: str) -> AccessDenied | None:
        """Why somebody whom Hugging Face signed in is not let in; None if nobody came so, or they are."""
        if self.way != "oauth" or not oauth_name or self._elsewhere(oauth_name) is not None:
            return None
        return AccessDenied(
            f"{oauth_name} signed in with Hugging Face, and is not among this page's annotators; ask whoever runs the "
            "page to add the name"
        )

    def leave(self, token: str) -> None:
        """End a session; the name of an open page stays the browser's."""
        with self._lock:
            self._read()
            if self._sessions.pop(_hash(token), None) is not None:
                self._write()

    def _role(self, named: str) -> Role:
        return "reviewer" if self.way == "trial" and named == "reviewer" else "annotator"

    def _elsewhere(self, name: str) -> User | None:
        try:
            return signed_in_elsewhere(self.store, name) if name else None
        except AnnotationError:
            return None

    def _by_password(self, name: str, password: str) -> User:
        with self._lock:
            tries, since = self._tries.get(name, (0, 0.0))
            wait_s = min(LONGEST_WAIT_S, 2.0 ** (tries - FREE_TRIES)) if tries >= FREE_TRIES else 0.0
            if self._clock() < since + wait_s:
                raise AccessDenied("there were too many wrong passwords for this name; wait a minute and try again")
            # Counted before the password is looked at, so that many tries at once are no way round.
            if len(self._tries) >= TRIED_NAMES:
                self._tries.pop(next(iter(self._tries)))
            self._tries[name] = (tries + 1, self._clock())
        user = sign_in(self.store, name, password)
        with self._lock:
            self._tries.pop(name, None)
        return user

    def _claimed(self, name: str, claim: str) -> str:
        """The secret under which a browser holds a name of an open page."""
        with self._lock:
            self._read()
            claim = claim or secrets.token_urlsafe(24)
            holder = self._claims.setdefault(name, _hash(claim))
            if not hmac.compare_digest(holder, _hash(claim)):
                raise AccessDenied(
                    "somebody else works under this name here; choose another one, or ask for an account of your own"
                )
        return claim

    def _begin(self, user: User, more: dict[str, Any], claim: str = "") -> Granted:
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._read()
            now = self._clock()
            self._sessions = {key: session for key, session in self._sessions.items() if session["until"] >= now}
            self._sessions[_hash(token)] = {"name": user.name, "until": now + SESSION_S, **more}
            self._write()
        return Granted(user, token, claim)

    # The file -------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Take in what another process wrote."""
        if self._file is None:
            return
        try:
            changed = self._file.stat().st_mtime_ns
            if changed == self._read_at:
                return
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._sessions, claims = dict(kept["sessions"]), dict(kept["claims"])
            self._claims = claims | {name: held for name, held in self._claims.items() if name not in claims}
            self._read_at = changed
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            self._sessions = {}  # a damaged file signs people out and does no other harm

    def _write(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=".", suffix=".partial", dir=self._file.parent)  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"sessions": self._sessions, "claims": self._claims}, file)
        os.replace(beside, self._file)
        self._read_at = self._file.stat().st_mtime_ns


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
