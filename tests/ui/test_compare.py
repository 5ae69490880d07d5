"""Three modes side by side: each column is its own run, and the table holds their figures."""

from __future__ import annotations

from html import escape

import pytest

from tests.ui.fake_engine import english
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.result import caption_result
from ui.compare import ORDER, Column, comparison
from ui.components.figures import ratio_table
from ui.language import LOCALES, Locale, say
from ui.runs import Update


@pytest.mark.parametrize("locale", LOCALES)
def test_the_table_has_a_column_a_mode_and_marks_what_differs_from_the_edge(locale: Locale) -> None:
    results = {mode: caption_result(english(mode)) for mode in ORDER}
    markup = comparison(results, locale)
    assert markup.count("<tr") == 9
    assert "<ins>" in markup and "<del>" in markup
    assert "25.9 %" in markup and ("sadness" if locale == "en" else "悲伤") in markup


@pytest.mark.parametrize("locale", LOCALES)
def test_ratios_are_defined_as_everywhere_else(locale: Locale) -> None:
    result = caption_result(english())
    table, markup = ratio_table(result, locale), comparison({"ugsd": result}, locale)
    for name in ("transmission_rate", "changed_rate"):
        for said in (say(locale, f"figure.{name}"), say(locale, f"ratio.{name}")):
            assert escape(said) in table and escape(said) in markup


def test_a_run_that_has_not_ended_is_a_dash() -> None:
    markup = comparison({"edge": caption_result(english("edge"))}, "en")
    assert "<ins>" not in markup and markup.count("<td>–</td>") >= 2 * 7


def test_a_column_folds_its_run_and_ends_with_its_frames() -> None:
    column, events = Column(), english()
    assert column.feed(Update(events=tuple(events[:10])))["frames"] is None and column.result is None
    state = column.feed(Update(events=tuple(events[10:])))
    assert len(state["frames"]) == len(events) and column.finished
    assert column.result == caption_result(events)


def test_a_column_that_breaks_off_waits_for_nothing_any_more() -> None:
    column, events = Column(), english()
    cut = [event.kind for event in events].index("block_escalated") + 1
    column.feed(Update(events=tuple(events[:cut])))
    state = column.feed(Update(error=VerifierUnavailable("gone")))
    assert state["counts"]["waiting"] == 0 and not state["live"] and column.result is None
