"""What the tests of annotations share: a clock that is told, a small campaign, answers, a PostgreSQL server."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ugsd_core.annotations.campaign import Campaign, Item, NewItem, create_campaign, item_id, word_tokens
from ugsd_core.annotations.identity import Role, User
from ugsd_core.annotations.media import Media, Sound
from ugsd_core.annotations.queues import later
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import Store

ACCEPT = {"verdict": "accept"}
FLAG = {"verdict": "flag", "flags": [{"kind": "wrong_emotion", "severity": "major", "start": 2, "end": 3}]}
_numbers = itertools.count()


class Clock:
    """A store's clock that goes on by a millisecond at every look, or as told."""

    def __init__(self) -> None:
        self.now = "2026-05-04T10:00:00.000Z"

    def __call__(self) -> str:
        self.now = later(self.now, 0.001)
        return self.now

    def wait(self, seconds: float) -> None:
        self.now = later(self.now, seconds)


def eid() -> str:
    """An event id that was not there before."""
    return f"event-{next(_numbers):08d}"


def new_item(campaign: str, clip: str, caption: str = "She sounds sad.", **values: Any) -> NewItem:
    """An item; ``sound`` gives it a recording."""
    sound = values.pop("sound", None)
    system = values.get("system", "")
    item = Item(item_id(campaign, clip, system), caption, "en", word_tokens(caption), clip=clip, **values)
    return NewItem(item, None if sound is None else Sound(sound))


def make_campaign(store: Store, media: Media, name: str = "emotions", items: int = 4, **rules: Any) -> list[str]:
    """A campaign without sound; returns the ids of its items."""
    new = [new_item(name, f"clip{number}", f"She sounds sad {number}.") for number in range(items)]
    create_campaign(store, media, Campaign(name, **{"must_listen": 0.0} | rules), new)
    return [one.item.id for one in new]


def person(store: Store, media: Media, name: str, role: Role = "annotator") -> AnnotationService:
    """A service for somebody."""
    return AnnotationService(store, media, User(name, role))


def plain(store: Store) -> dict[str, Any]:
    """Everything of a store that matters, to compare two."""
    with store.reading() as tx:
        return {
            "events": [event.to_dict() for event in tx.events()],
            "campaigns": tx.campaigns(),
            "items": {name: tx.items(name) for name, _ in tx.campaigns()},
            "answers": tx.answers(),
            "gold": tx.golds(),
        }


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server of one's own in a new folder, on a socket there; gives the address of an empty database.

    Raises:
        RuntimeError: If it can't be had here, with the reason.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        raise RuntimeError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    bin_folder = Path(initdb).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="ugsd-pg-"))
    become: dict[str, Any] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres") from None
        os.chown(folder, account.pw_uid, account.pw_gid)
        become = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    data = str(folder / "data")

    def call(program: str, *args: str) -> None:
        done = subprocess.run(
            [bin_folder / program, *args], capture_output=True, text=True, timeout=60, cwd=folder, **become
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.strip()[-300:]}")

    try:
        call("initdb", "-D", data, "-U", "annotator", "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"
        call("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql://annotator@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
