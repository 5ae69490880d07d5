"""Opens what the tab *Annotate* works on: a store that lasts, or the trial that goes with the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

from ugsd_core.annotations.campaign import Campaign, NewItem, create_campaign
from ugsd_core.annotations.media import Media, default_media
from ugsd_core.annotations.sources import from_traces
from ugsd_core.annotations.store import Store, open_store
from ugsd_core.errors import OptionError
from ugsd_core.trace_store import default_trace_folder
from ui.annotation.desk import Desk
from ui.annotation.routes import Annotating
from ui.annotation.sign_in import WAYS, Entrance, Way
from ui.assets import ASSETS

__all__ = ["TRIAL_CAMPAIGN", "add_examples", "open_annotations", "open_trial"]

TRIAL_CAMPAIGN = "examples"
GUIDELINES = (
    """\
Listen to the whole clip, then read the caption.

- **Accept** it if somebody who can't hear the clip would get the right idea of how it is said.
- **Flag** it if not. Say what is wrong and how badly, and mark the words where there are such.
- **Skip** it if you can't judge it: a language you don't speak, a broken recording.

What is said does not matter, only *how*. These six clips were made by a speech synthesiser, and the captions by the
small models that come with this page: expect mistakes.

"""
    "先听完整段录音，再读描述。若听不到录音的人能由描述正确了解说话方式，就**接受**；"
    "否则**标记**，说明错在哪里、有多严重，并标出有问题的词；无法判断时**跳过**。只看怎么说，不看说了什么。\n"
)


def open_annotations(
    address: str, way: str = "listed", media: Path | None = None, *, local: bool = True, ending: ExitStack
) -> Annotating:
    """Open a store for the page.

    Args:
        address: As `ugsd_core.annotations.store.open_store` takes it.
        way: How people sign in, one of `ui.annotation.sign_in.WAYS`.
        media: Where recordings lie; beside the store by default.
        local: The page can be reached from this machine alone.
        ending: Closes the store.

    Raises:
        OptionError: If there is no such way in, or it is not safe here.
        StoreError: If the store can't be opened.
    """
    if way not in WAYS or way == "trial":
        raise OptionError(f"people sign in by one of {', '.join(WAYS[:-1])}, not {way!r}")
    if way == "open" and not local:
        raise OptionError(
            "--annotators open lets anybody in by a name, so it is for a page that listens on this machine only; add "
            "people with ugsd annotations users add, and leave the option out"
        )
    if "://" not in address:
        Path(address).expanduser().parent.mkdir(parents=True, exist_ok=True)
        address = str(Path(address).expanduser())
    store = ending.enter_context(open_store(address))
    # A server has no folder of its own; sessions then lie where this machine keeps the program's data.
    beside = store.path or default_trace_folder().parent / "annotations"
    file = beside.with_name(beside.name + ".sessions.json")
    found = Media(media) if media is not None else default_media(store.path)
    return Annotating(Desk(store, found), Entrance(store, cast("Way", way), file))


def open_trial(folder: Path, *, ending: ExitStack) -> Annotating:
    """A store in a folder that goes with the page, with the recorded captions of the example clips.

    Args:
        ending: Closes the store.
    """
    store = ending.enter_context(open_store(folder / "trial.db"))
    media = Media(folder / "trial.media")
    add_examples(store, media)
    return Annotating(Desk(store, media), Entrance(store, "trial"), trial=True, name=str(folder))


def add_examples(store: Store, media: Media) -> None:
    """Add the campaign of the example clips, with what was captioned of them when they were recorded."""
    campaign = Campaign(TRIAL_CAMPAIGN, title="Examples · 示例", guidelines=GUIDELINES, overlap=1_000, source="traces")
    found = from_traces(campaign.id, [ASSETS / "traces"])
    clip = _example_of()
    items = [NewItem(new.item, path, new.events) for new in found.items if (path := clip(new)) is not None]
    if items:
        create_campaign(store, media, replace(campaign, must_listen=0.9), items)


def _example_of() -> Callable[[NewItem], Path | None]:
    """Which example clip a recorded run is of: a run's id is the hash of its samples."""
    index = ASSETS / "examples/examples.json"
    entries = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else []
    paths = {str(entry["pcm_sha256"])[:16]: ASSETS / "examples" / entry["file"] for entry in entries}

    def clip(new: NewItem) -> Path | None:
        path = paths.get(new.events[0].utterance_id) if new.events else None
        return path if path is not None and path.is_file() else None

    return clip
