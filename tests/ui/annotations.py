"""Campaigns to annotate, for the tests of the page: short clips, captions in two languages, people with passwords."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from ugsd_core.annotations import identity
from ugsd_core.annotations.campaign import Campaign, Item, NewItem, create_campaign, word_tokens
from ugsd_core.annotations.events import new_event_id
from ugsd_core.annotations.identity import User, hash_password
from ugsd_core.annotations.media import Media, Sound, default_media
from ugsd_core.annotations.schema import users
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import Store, open_store

__all__ = ["CAPTIONS", "PASSWORD", "PEOPLE", "answered", "campaign", "fill", "sound"]

PASSWORD = "open sesame"
#: Annotators; every test takes one of its own.
PEOPLE = ("Ann", "Bob", "Cy", "Dee", "Eve", "Fay", "Gus", "Hal", "Ida", "Jo", "Kim")
RATE_HZ = 16_000
CAPTIONS = (
    "The speaker sounds calm and pleased.",
    "A low, slow voice; this person is sad.",
    "The tone is sharp and loud, and she is angry.",
    "语速较快，听起来高兴。",
)


def sound(number: int, seconds: float = 0.3) -> Sound:
    """A tone that no other number has."""
    import io

    import soundfile

    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    file = io.BytesIO()
    tone = 0.2 * np.sin(2 * np.pi * (180 + 7 * number) * time)
    soundfile.write(file, tone, RATE_HZ, format="WAV", subtype="PCM_16")
    return Sound(file.getvalue())


def items(count: int, seconds: float = 0.3) -> list[NewItem]:
    """Captions with their clips; the systems' names must not be seen in a blind campaign."""
    made = []
    for number in range(count):
        caption = CAPTIONS[number % len(CAPTIONS)]
        language = "zh" if number % len(CAPTIONS) == 3 else "en"
        item = Item(
            f"item-{number:03}",
            caption,
            language,
            word_tokens(caption),
            clip=f"clip{number}",
            system="secret-system",
            duration_s=seconds,
        )
        made.append(NewItem(item, sound(number, seconds)))
    return made


def fill(store: Store, media: Media, *, count: int = 4, seconds: float = 0.3, **rules: object) -> str:
    """A campaign, and its people, who all have the same password: those of `PEOPLE` annotate, Rae reviews."""
    password = hash_password(PASSWORD)  # once: it is slow on purpose
    with store.writing() as tx:
        for name in (*PEOPLE, "Rae"):
            role = "reviewer" if name == "Rae" else "annotator"
            row = {"name": name, "role": role, "password": password, "created_at": store.clock()}
            tx.connection.execute(insert(users).values(**row))
    return campaign(store, media, count=count, seconds=seconds, **rules)


def campaign(
    store: Store, media: Media, name: str = "voices", *, count: int = 4, seconds: float = 0.3, **rules: object
) -> str:
    """A campaign for everybody, in which nobody has to listen unless ``rules`` say so."""
    usual = {"title": name.title(), "overlap": 9, "must_listen": 0.0}
    made = Campaign(name, **usual | rules)  # type: ignore[arg-type]
    create_campaign(store, media, made, items(count, seconds))
    return made.id


def answered(store: Store, media: Media, people: dict[str, list[bool]]) -> None:
    """Let people answer the first items: True accepts, False flags."""
    for name, verdicts in people.items():
        service = AnnotationService(store, media, User(name))
        for number, accepts in enumerate(verdicts):
            flag = {"kind": "wrong_emotion", "severity": "major", "start": 0, "end": 2}
            answer = {"verdict": "accept"} if accepts else {"verdict": "flag", "flags": [flag]}
            service.listened(new_event_id(), "voices", f"item-{number:03}", start_s=0, end_s=60)
            service.submit(new_event_id(), "voices", f"item-{number:03}", answer)


def main(argv: list[str]) -> int:
    """Serve a page with campaigns: ``STORE [PORT [JSON]]``; what is missing in the store is made, as `fill` is told.

    ``answered`` says who answered before, ``more`` lists further campaigns; ``media`` is their folder, beside the
    store's file by default.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.ui.fake_engine import FakeEngine, english
    from ui.annotation.opening import open_annotations
    from ui.annotation.routes import Annotating
    from ui.demo import find_port, serve

    identity.COST_N = 2**8  # what it should cost, every test that signs in would pay
    path, port, rules = (*argv, *("", "0", "{}")[len(argv) :])
    told = json.loads(rules)
    before, more, folder = told.pop("answered", {}), told.pop("more", []), told.pop("media", None)
    with open_store(path) as store:
        media = Media(Path(folder)) if folder else default_media(store.path)
        with store.reading() as tx:
            there = bool(tx.campaigns())
        if not there:
            fill(store, media, **told)
            for one in more:
                campaign(store, media, **one)
            answered(store, media, before)

    def annotations(ending: ExitStack) -> Annotating:
        return open_annotations(path, media=Path(folder) if folder else None, ending=ending)

    engine = FakeEngine(english, 0.01, None)
    return serve(lambda: engine, "127.0.0.1", find_port("127.0.0.1", int(port)), annotations=annotations)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
