"""Campaigns to annotate, for the tests of the page: short clips, captions in two languages, people with passwords."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from ugsd_core.annotations.campaign import Campaign, Item, NewItem, create_campaign, word_tokens
from ugsd_core.annotations.events import new_event_id
from ugsd_core.annotations.identity import User, hash_password
from ugsd_core.annotations.media import Media, Sound, default_media
from ugsd_core.annotations.schema import users
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import Store, open_store

__all__ = ["CAPTIONS", "PASSWORD", "PEOPLE", "answered", "fill", "sound"]

PASSWORD = "open sesame"
#: Annotators; every test takes one of its own.
PEOPLE = ("Ann", "Bob", "Cy", "Dee", "Eve", "Fay", "Gus", "Hal", "Ida")
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


def items(count: int, seconds: float) -> list[NewItem]:
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
    campaign = Campaign("voices", **{"title": "Voices", "overlap": 9, "must_listen": 0.0} | rules)  # type: ignore[arg-type]
    create_campaign(store, media, campaign, items(count, seconds))
    return campaign.id


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
    """Serve a page with a campaign: ``STORE [PORT [JSON]]``; the store is made, as `fill` is told, if it is missing."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.ui.fake_engine import FakeEngine, english
    from ui.annotation.opening import open_annotations
    from ui.annotation.routes import Annotating
    from ui.demo import find_port, serve

    path, port, rules = (*argv, *("", "0", "{}")[len(argv) :])
    if not Path(path).exists():
        with open_store(path) as store:
            told = json.loads(rules)
            before = told.pop("answered", {})
            media = default_media(store.path)
            fill(store, media, **told)
            answered(store, media, before)

    def annotations(ending: ExitStack) -> Annotating:
        return open_annotations(path, ending=ending)

    engine = FakeEngine(english, 0.01, None)
    return serve(lambda: engine, "127.0.0.1", find_port("127.0.0.1", int(port)), annotations=annotations)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
