"""The guided tour: moments of recorded runs, each with a few words on what is to be seen. It needs no model.

``assets/traces/tour.json`` lists the stops; a stop names a trace of that folder, an event of it at which the strip is
stopped, the state of the token that is pinned, and the key of its text in the tables of `ui.language`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from ugsd_core.messages import Event
from ugsd_core.trace_store import trace_name
from ugsd_core.traces import read_trace
from ui.components.token_strip import frames, strip_state
from ui.language import Locale, say
from ui.shelf import Run

__all__ = ["Stop", "load_tour", "stop_text", "stop_view", "tour_invitation"]


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the tour.

    Attributes:
        trace: File name without its ending.
        event: Kind of the event to stop behind, and which of its kind, counted from 1; 0 is the last.
        pin: State of the token to show in the inspector; empty for none.
        text: Key of heading and words: ``tour.<text>`` and ``tour.<text>.text``.
    """

    trace: str
    event: str
    number: int
    pin: str
    text: str


def load_tour(folder: Path) -> tuple[Stop, ...]:
    """The stops in their order; none without a list."""
    path = folder / "tour.json"
    if not path.is_file():
        return ()
    return tuple(Stop(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))


def tour_invitation(locale: Locale) -> str:
    """What the card says before the tour begins."""
    return f'<h2>{escape(say(locale, "tour.title"))}</h2><p class="soft">{escape(say(locale, "tour.about"))}</p>'


def stop_text(stops: Sequence[Stop], index: int, locale: Locale) -> str:
    """Heading and words of a stop, with its number."""
    stop = stops[index]
    count = say(locale, "tour.count", number=index + 1, of=len(stops))
    return (
        f'<p class="label">{escape(count)}</p><h3>{escape(say(locale, f"tour.{stop.text}"))}</h3>'
        f"<p>{escape(say(locale, f'tour.{stop.text}.text'))}</p>"
    )


def stop_view(folder: Path, stop: Stop) -> tuple[Run, dict[str, Any]]:
    """The run of a stop, and the strip's value that shows its moment.

    Raises:
        TraceError: If the trace is missing or damaged.
        ValueError: If the trace has no such event: a mistake in the list, held by a test.
    """
    events = _events(folder / f"{stop.trace}.jsonl")
    at = _moment(events, stop)
    played = frames(events)
    tokens: dict[str, dict[str, Any]] = {}
    for frame in played[: at + 1]:
        tokens |= frame["tokens"]
    state = strip_state(events, f"tour-{stop.trace}-{at}-{stop.pin}")
    key = next((token["key"] for token in tokens.values() if _looks(token) == stop.pin), None)
    state |= {"live": False, "frames": played, "at": at, "pin": key}
    return Run(trace_name(events), events, "tour"), state


@lru_cache(maxsize=8)
def _events(path: Path) -> tuple[Event, ...]:
    return tuple(read_trace(path))


def _moment(events: Sequence[Event], stop: Stop) -> int:
    places = [place for place, event in enumerate(events) if event.kind == stop.event]
    if len(places) < max(stop.number, 1):
        raise ValueError(f"{stop.trace} has no {stop.event} number {stop.number}")
    return places[stop.number - 1]


def _looks(token: dict[str, Any]) -> str:
    return "waiting" if token["waiting"] else str(token["state"])
