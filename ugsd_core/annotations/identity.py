"""Who may annotate: people with a role, their passwords hashed, in a table of the store that no export touches.

Passwords are hashed with scrypt of Python's standard library, at the cost that OWASP names for it (N = 2¹⁵, r = 8,
p = 3: 32 MiB and a tenth of a second); the cost stands in the hash, so that it can be raised. People who sign in
elsewhere (OAuth on a hosted page) have a row without a password, or none where sign-up is open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import delete, insert, select, update

from ugsd_core.annotations.errors import AccessDenied, AnnotationError
from ugsd_core.annotations.events import checked_name
from ugsd_core.annotations.schema import users
from ugsd_core.annotations.store import Store

__all__ = [
    "Role",
    "User",
    "add_user",
    "hash_password",
    "list_users",
    "password_check",
    "remove_user",
    "sign_in",
    "signed_in_elsewhere",
    "visible_to",
]

#: An annotator answers; a reviewer also sees everybody's answers, adjudicates and exports.
Role = Literal["annotator", "reviewer"]

COST_N, COST_R, COST_P = 2**15, 8, 3
SHORTEST_PASSWORD = 8


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is signed in. Only `sign_in`, `signed_in_elsewhere` and tests make one."""

    name: str
    role: Role = "annotator"

    @property
    def is_reviewer(self) -> bool:
        """Whether this person sees everybody's answers."""
        return self.role == "reviewer"


def visible_to(user: User, annotator: str, *, blind: bool) -> bool:
    """Whether a person may read an annotator's answers: one's own always, others' as a reviewer or if not blind."""
    return user.is_reviewer or user.name == annotator or not blind


def hash_password(password: str) -> str:
    """``scrypt$N$r$p$SALT$HASH``, with a salt of its own."""
    salt = os.urandom(16)
    return _hash_text(salt, _scrypt(password, salt, COST_N, COST_R, COST_P))


def add_user(store: Store, name: str, role: Role, password: str | None) -> None:
    """Add a person, or give one another role or password.

    Args:
        password: None for somebody who signs in elsewhere.

    Raises:
        AnnotationError: If the name or the role is none, or the password is shorter than 8 characters.
    """
    checked_name(name, "a person")
    if role not in get_args(Role):
        raise AnnotationError(f"{role!r} is no role; an annotator or a reviewer", "role")
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise AnnotationError(f"a password has at least {SHORTEST_PASSWORD} characters", "password")
    values = {"role": role, "password": None if password is None else hash_password(password)}
    with store.writing() as tx:
        there = tx.connection.execute(select(users.c.name).where(users.c.name == name)).first()
        if there is None:
            tx.connection.execute(insert(users).values(name=name, created_at=store.clock(), **values))
        else:
            tx.connection.execute(update(users).where(users.c.name == name).values(**values))


def remove_user(store: Store, name: str) -> bool:
    """Take a person's access away; answers stay. Whether there was such a person."""
    with store.writing() as tx:
        return tx.connection.execute(delete(users).where(users.c.name == name)).rowcount > 0


def list_users(store: Store) -> list[User]:
    """Everybody, by name."""
    with store.reading() as tx:
        rows = tx.connection.execute(select(users.c.name, users.c.role).order_by(users.c.name))
        return [User(row.name, row.role) for row in rows]


def sign_in(store: Store, name: str, password: str) -> User:
    """The person, if the password is right; an unknown name takes as long as a wrong password.

    Raises:
        AccessDenied: If it is not.
    """
    with store.reading() as tx:
        row = tx.connection.execute(select(users).where(users.c.name == name)).first()
    right = _matches(password, row.password if row is not None and row.password else _of_nobody())
    if row is None or not row.password or not right:
        raise AccessDenied("the name or the password is not right")
    return User(row.name, row.role)


def signed_in_elsewhere(store: Store, name: str, *, open_to_all: bool = False) -> User:
    """The person whose name a trusted sign-in gave, as OAuth on a hosted page does.

    Args:
        open_to_all: Somebody who is not in the table is an annotator.

    Raises:
        AccessDenied: If the person is not in the table.
    """
    checked_name(name, "a person")
    with store.reading() as tx:
        row = tx.connection.execute(select(users.c.role).where(users.c.name == name)).first()
    if row is None and not open_to_all:
        raise AccessDenied(f"{name} is not among the annotators; a reviewer adds people: ugsd annotations users add")
    return User(name, "annotator" if row is None else row.role)


def password_check(store: Store) -> Callable[[str, str], bool]:
    """A function of name and password, as a web framework's ``auth`` takes it."""

    def check(name: str, password: str) -> bool:
        try:
            sign_in(store, name, password)
        except AccessDenied:
            return False
        return True

    return check


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r + 2**20, dklen=32)


def _matches(password: str, kept: str) -> bool:
    name, n, r, p, salt, found = kept.split("$")
    if name != "scrypt":
        return False
    return hmac.compare_digest(_scrypt(password, base64.b64decode(salt), int(n), int(r), int(p)),
                               base64.b64decode(found))  # fmt: skip


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _hash_text(salt: bytes, found: bytes) -> str:
    return "$".join(("scrypt", str(COST_N), str(COST_R), str(COST_P), _b64(salt), _b64(found)))


def _of_nobody() -> str:
    """Checked in place of the hash of somebody who does not exist: it takes as long, and no password fits."""
    return _hash_text(bytes(16), bytes(32))
