"""Answers a campaign as the reader of the tutorial does: ``STORE CAMPAIGN Ann=aafaaa Bob=aaffaa``.

A letter a caption, in the order of the captions' ids: ``a`` accepts, ``f`` flags a wrong emotion.
"""

from __future__ import annotations

import sys

from ugsd_core.annotations.events import new_event_id
from ugsd_core.annotations.identity import User
from ugsd_core.annotations.media import default_media
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import open_store

__all__ = ["main"]

ANSWERS = {
    "a": {"verdict": "accept"},
    "f": {"verdict": "flag", "flags": [{"kind": "wrong_emotion", "severity": "major"}]},
}


def main(argv: list[str]) -> int:
    """Listen to everything, and submit."""
    address, campaign, *people = argv
    store = open_store(address)
    with store.reading() as tx:
        items = sorted(tx.item_ids(campaign))
    for person in people:
        name, verdicts = person.split("=")
        service = AnnotationService(store, default_media(store.path), User(name))
        for item, verdict in zip(items, verdicts, strict=True):
            service.open(campaign, item)
            service.listened(new_event_id(), campaign, item, start_s=0, end_s=60)
            service.submit(new_event_id(), campaign, item, ANSWERS[verdict])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
