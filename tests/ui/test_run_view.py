"""What the tab *Inspect* says of a run, in both languages, and which plots it has something for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.ui.fake_engine import english
from ugsd_core.errors import TraceError
from ugsd_core.trace_store import TraceStore, trace_name
from ui.components.token_strip import strip_state
from ui.engine_words import told
from ui.language import LOCALES, Locale, say
from ui.run_view import PLOTS, SHORT, RunFigures, about_run, plot_heading, plot_of, run_choices, run_strip
from ui.shelf import Run, Shelf
from ui.visits import Visit

SECOND = (0.3 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)).astype(np.float32)


def run(mode: str = "ugsd", samples: np.ndarray | None = None) -> Run:
    events = english(mode)
    return Run(trace_name(events), tuple(events), "visit", samples)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_run_is_chosen_by_where_it_is_from_its_mode_and_its_caption(tmp_path: Path, locale: Locale) -> None:
    shelf = Shelf(TraceStore(tmp_path / "kept"), tmp_path / "none")
    whole, cut = shelf.put("me", english()), shelf.put("me", english()[:20])
    choices = {name: text for text, name in run_choices(shelf, "me", locale)}
    assert list(choices) == [cut.name, whole.name]
    assert choices[whole.name].startswith(f"{say(locale, 'runs.visit')} · {say(locale, 'runs.ugsd')} · In the audio")
    assert choices[whole.name].endswith("…") and len(choices[whole.name].split(" · ")[2]) == SHORT
    assert choices[cut.name].endswith(say(locale, "runs.unfinished"))


def test_names_from_a_trace_are_text_and_never_markup() -> None:
    events = english()
    events[0].checkpoints["edge"]["name"] = "<img src=x>"
    said = about_run(Run("0123456789ab", tuple(events), "file"), "en")
    assert "<img" not in said and "&lt;img" in said and "2.0 s" in said


def test_the_strip_of_a_run_is_that_of_its_events_with_all_its_moments() -> None:
    state = run_strip(run())
    live = strip_state(english(), run().name)
    assert {key: state[key] for key in ("tokens", "blocks", "counts", "tau")} == {
        key: live[key] for key in ("tokens", "blocks", "counts", "tau")
    }
    assert len(state["frames"]) == len(english()) and not state["live"]


@pytest.mark.parametrize(
    ("mode", "missing"),
    [("ugsd", set()), ("edge", {"acceptance", "bytes"}), ("cloud", {"entropy", "histogram", "acceptance"})],
)
def test_a_plot_is_drawn_where_there_is_something_to_show_and_else_says_why(mode: str, missing: set[str]) -> None:
    figures = RunFigures.of(run(mode, SECOND))
    drawn = {name: plot_of(name, figures, "en") for name in PLOTS}
    assert {name for name, figure in drawn.items() if figure is None} == missing
    for locale in LOCALES:
        for name in PLOTS:
            heading = plot_heading(name, locale, drawn=name not in missing)
            assert ("<p" in heading) == (name in missing)
    assert plot_of("sound", RunFigures.of(run(mode)), "en") is None, "a trace holds no sound"


def test_lines_of_the_time_plot_are_named_in_the_language_of_the_page() -> None:
    figures = RunFigures.of(run())
    names = {name for trace in plot_of("time", figures, "zh").data for name in trace.y}  # type: ignore[union-attr]
    assert "编码" in names and "code" not in names


def test_what_is_wrong_with_a_trace_is_told_in_chinese_too(tmp_path: Path) -> None:
    store, path = TraceStore(tmp_path), tmp_path / "notes.jsonl"
    shelf = Shelf(store, tmp_path / "none")
    for name in ("x", "0123456789ab"):
        with pytest.raises(TraceError) as raised:
            shelf.find("me", name)
        assert told("zh", str(raised.value)).translated
    for content in (b"no trace", b"\xff\xfe\n", b'{"ugsd_trace": 1, "version": "0"}\n'):
        path.write_bytes(content)
        with pytest.raises(TraceError) as raised:
            shelf.add_file("me", path)
        assert told("zh", str(raised.value)).translated, str(raised.value)
        assert str(tmp_path) not in str(raised.value), "where it lies is nobody's business"


def test_a_visit_looks_at_one_run_and_a_choice_ends_the_tour() -> None:
    visit = Visit()
    assert not visit.looks
    visit.stop = 2
    assert visit.looks
    visit.latest = "0123456789ab"
    visit.inspects("ba9876543210")
    assert (visit.inspected, visit.stop, visit.latest) == ("ba9876543210", None, "")
