"""Names that say nothing, for exports: the same person has the same one within a campaign, and another in the next.

A pseudonym is HMAC-SHA256 of the name, keyed with a secret of the store and the campaign: without the store nobody can
try names until one fits.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from sqlalchemy import select

from ugsd_core.annotations.events import AnnotationEvent
from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.schema import meta

__all__ = ["Pseudonyms"]


class Pseudonyms:
    """The pseudonyms of one campaign.

    Args:
        key: None leaves names as they are.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key

    @classmethod
    def of(cls, tx: Reader, campaign: str) -> Pseudonyms:
        """Keyed with the store's secret."""
        secret = tx.connection.execute(select(meta.c.value).where(meta.c.key == "secret")).scalar_one()
        return cls(hmac.digest(bytes.fromhex(secret), campaign.encode(), "sha256"))

    def name(self, person: str) -> str:
        """``p-3f9c21ab04d7e651``; empty stays empty."""
        if self._key is None or not person:
            return person
        return "p-" + hmac.new(self._key, person.encode(), hashlib.sha256).hexdigest()[:16]

    def event(self, event: AnnotationEvent) -> AnnotationEvent:
        """An event without names; texts that people wrote stay as they are."""
        if self._key is None:
            return event
        payload = dict(event.payload)
        if payload.get("chosen"):
            payload["chosen"] = self.name(str(payload["chosen"]))
        return replace(event, annotator=self.name(event.annotator), payload=payload)
