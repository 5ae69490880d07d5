"""Every stop of the tour is there: its trace, its moment, its token, and its words in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.fake_engine import english
from ugsd_core.traces import write_trace
from ui.assets import ASSETS
from ui.language import LOCALES, say
from ui.tour import Stop, load_tour, stop_text, stop_view

FOLDER = ASSETS / "traces"
STOPS = load_tour(FOLDER)


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.text)
def test_every_stop_shows_its_moment_and_its_token(stop: Stop) -> None:
    run, state = stop_view(FOLDER, stop)
    assert run.caption and len(state["frames"]) == len(run.events)
    assert state["frames"][state["at"]]["kind"] == stop.event
    assert (state["pin"] is not None) == bool(stop.pin)
    for locale in LOCALES:
        assert say(locale, f"tour.{stop.text}") in stop_text(STOPS, STOPS.index(stop), locale).replace("&#x27;", "'")


def test_a_waiting_token_is_found_at_its_moment_and_later_as_what_it_became(tmp_path: Path) -> None:
    write_trace(tmp_path / "run.jsonl", english())
    _, waiting = stop_view(tmp_path, Stop("run", "block_escalated", 1, "waiting", "x"))
    _, later = stop_view(tmp_path, Stop("run", "caption_finished", 0, "rejected", "x"))
    states = {token["key"]: token["state"] for token in later["tokens"]}
    assert states[waiting["pin"]] == "accepted" and states[later["pin"]] == "rejected"
    assert waiting["at"] < later["at"] == len(later["frames"]) - 1
    with pytest.raises(ValueError, match="block_escalated number 9"):
        stop_view(tmp_path, Stop("run", "block_escalated", 9, "", "x"))


def test_without_a_list_there_is_no_tour(tmp_path: Path) -> None:
    assert load_tour(tmp_path) == ()
