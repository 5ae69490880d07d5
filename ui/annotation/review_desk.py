"""What reviewers are shown: agreement, disagreements, people; one item with everybody's answers; files to take away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ugsd_core.annotations import agreement, review
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.export import ANSWERS, EVENTS, LATEST, export_campaign
from ugsd_core.annotations.identity import User
from ugsd_core.annotations.state import AnswerState
from ui.annotation.desk import Desk

__all__ = ["MadeFile", "ReviewDesk"]

#: What can be taken away: the file of an export; ``dataset`` is all of it, recordings included, as a ZIP.
EXPORTS: dict[str, str] = {"latest": LATEST, "events": EVENTS, "csv": ANSWERS, "dataset": ""}
#: Disagreements in a list; the worst come first.
LISTED = 200


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file to take away.

    Attributes:
        name: What it is called there.
        folder: Goes with it.
    """

    path: Path
    name: str
    folder: Path

    def forget(self) -> None:
        """Delete it."""
        shutil.rmtree(self.folder, ignore_errors=True)


class ReviewDesk:
    """The reviewers' side of a `Desk`. Every call refuses whoever is no reviewer."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def overview(self, user: User, campaign: str) -> dict[str, Any]:
        """Agreement with its definitions, items that were answered differently, and everybody's time and rate.

        Raises:
            AccessDenied: If this person is no reviewer.
            AnnotationError: If there is no such campaign.
        """
        service = self._desk.service(user)
        service.require_reviewer()
        taxonomy = service.campaign(campaign).taxonomy
        with self._desk.store.reading() as tx:
            states = tx.answers(campaign, status="submitted")
            found = review.disagreements(tx, campaign)
            people = [entry.to_dict() for entry in review.work(tx, campaign)]
            scores = {score.annotator: score.to_dict() for score in review.gold_scores(tx, campaign)}
            captions = {item: str(body.get("caption", "")) for item, body in tx.items(campaign)}
            answered = sorted({state.item for state in states})
            settled = {state.item for state in tx.golds(campaign) if state.answer is not None}
        return {
            "agreement": [entry.to_dict() for entry in agreement.campaign_agreement(states, taxonomy)],
            "definitions": agreement.DEFINITIONS | review.DEFINITIONS,
            "disagreements": [
                {
                    "item": entry.item,
                    "caption": captions.get(entry.item, ""),
                    "verdicts": entry.verdicts,
                    "kinds": list(entry.kinds),
                    "share": entry.share,
                    "adjudicated": entry.adjudicated,
                }
                for entry in found[:LISTED]
            ],
            "more": max(0, len(found) - LISTED),
            "answered": [
                {"item": item, "caption": captions.get(item, ""), "adjudicated": item in settled} for item in answered
            ][:LISTED],
            "people": [entry | {"gold": scores.get(entry["annotator"])} for entry in people],
            "items": len(captions),
        }

    def item(self, user: User, campaign: str, item: str) -> dict[str, Any]:
        """One item, all answers to it side by side, and the gold answer.

        Raises:
            AccessDenied: If this person is no reviewer.
            AnnotationError: If there is no such item.
        """
        service = self._desk.service(user)
        service.require_reviewer()
        view = service.item(campaign, item)
        with self._desk.store.reading() as tx:
            gold = tx.gold(campaign, item)
        return {
            "id": view.id,
            "caption": view.caption,
            "language": view.language,
            "tokens": list(view.tokens),
            "audio": view.has_audio,
            "duration_s": view.duration_s,
            "system": view.system,
            "clip": view.clip,
            "references": list(view.references),
            "label": view.label,
            "remark": view.remark,
            "origin": view.origin,
            "answers": [_answer(state) for state in service.answers(campaign, item) if state.status != "pending"],
            "gold": {
                "answer": gold.answer,
                "reviewer": gold.reviewer,
                "chosen": gold.chosen,
                "revision": gold.revision,
            },
        }

    def export(self, user: User, campaign: str, form: str, hashed: bool) -> MadeFile:
        """Make a file of a campaign's answers.

        Raises:
            AccessDenied: If this person is no reviewer.
            AnnotationError: If there is no such form.
        """
        self._desk.service(user).require_reviewer()
        if form not in EXPORTS:
            raise AnnotationError(f"there is no export {form!r}; there are {', '.join(EXPORTS)}", "format")
        whole = form == "dataset"
        folder = Path(tempfile.mkdtemp(prefix="ugsd-export-"))
        try:
            export_campaign(self._desk.store, self._desk.media, campaign, folder / campaign, hashed=hashed, audio=whole)
            if whole:
                packed = shutil.make_archive(str(folder / "packed"), "zip", folder, campaign)
                return MadeFile(Path(packed), f"{campaign}.zip", folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        path = folder / campaign / EXPORTS[form]
        return MadeFile(path, f"{campaign}-{path.name}", folder)


def _answer(state: AnswerState) -> Mapping[str, Any]:
    values = asdict(state)
    kept = ("annotator", "status", "revision", "answer", "decided_at", "listened_s")
    return {name: values[name] for name in kept} | {"heard_s": state.heard_s}
