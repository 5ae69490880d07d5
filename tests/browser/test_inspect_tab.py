"""The tab *Inspect*: a run again, token by token; its plots, its link, its files, and the tour without a model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.browser.conftest import Open, Served, Visit
from tests.browser.test_caption_tab import PHONE, outside
from tests.browser.test_languages import CHINESE, english_left, spoken
from tests.ui.fake_engine import english
from ugsd_core.messages import BlockEscalated, BlockKept
from ugsd_core.trace_store import TraceStore, trace_name
from ugsd_core.traces import read_trace, write_trace
from ugsd_core.what_if import would_escalate
from ui.assets import ASSETS
from ui.language import say
from ui.run_view import PLOTS
from ui.tour import load_tour

STOPS = load_tour(ASSETS / "traces")
STRIP = "#inspect-strip"
#: A strip's chips as they look, without what a visitor does to them.
LOOKS = """(strip) => {
  const copy = document.querySelector(`${strip} .strip`).cloneNode(true);
  for (const chip of copy.querySelectorAll('.tok')) {
    chip.removeAttribute('tabindex');
    chip.classList.remove('pinned');
  }
  return copy.innerHTML;
}"""


def inspect(page: Visit, tab: str = "Inspect") -> None:
    """Open the tab and wait until a run stands in it."""
    page.page.get_by_role("tab", name=tab, exact=True).click()
    page.wait("document.querySelectorAll('#inspect-strip .strip .tok').length > 0")


def captioned(visit: Open, address: str, **settings: object) -> Visit:
    page = visit(address, **settings)
    page.example()
    page.caption()
    page.finished()
    return page


def name_shown(page: Visit) -> str:
    return page.page.locator("#run-about code").inner_text()


def wide(page: Visit) -> list[str]:
    """What sticks out to the right, unless it scrolls within itself."""
    return page.page.evaluate(
        """(width) => [...document.querySelectorAll('body *')]
          .filter((one) => one.checkVisibility() && !one.closest('.scroll, .js-plotly-plot, .tab-container'))
          .filter((one) => one.getBoundingClientRect().right > width + 1).map((one) => one.id || one.className)""",
        PHONE["width"],
    )


def download(page: Visit, button: str, folder: Path) -> Path:
    with page.page.expect_download() as waiting:
        page.page.locator(button).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


@pytest.fixture(scope="module")
def shown(finished: Visit) -> Visit:
    """The tab with the run that was just captioned."""
    inspect(finished)
    return finished


# ── A run again ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_newest_run_is_there_with_plots_tables_and_no_request_outside(shown: Visit) -> None:
    page = shown
    assert page.page.locator("#run-choice input").input_value().startswith("this visit · UGSD · In the audio")
    page.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")
    for name in PLOTS:
        page.page.locator(f"#plot-{name} .js-plotly-plot .main-svg").first.wait_for()
    assert "Acoustic code" in page.page.locator("#inspect-tables").inner_text()
    assert page.complaints == [] and outside(page.requests) == []


def test_a_token_is_explained_by_hover_focus_and_tap(shown: Visit) -> None:
    page = shown.page
    panel = page.locator("#inspect-inspector")
    page.locator(f"{STRIP} .strip .tok.rejected").hover()
    assert "“calm”" in panel.inner_text() and "Its block was sent" in panel.inner_text()
    assert panel.locator(".bars.draft .hit").count() == 1 and panel.locator(".bars.verifier p").count() >= 1
    assert "rank at the verifier" in panel.inner_text()
    page.locator(f"{STRIP} .strip .tok").first.focus()
    assert "“In”" in panel.inner_text() and "The verifier did not see this position." in panel.inner_text()
    page.locator(f"{STRIP} .strip .tok.corrected").tap()
    assert panel.locator(".inspector.pinned").count() == 1
    assert [item.strip() for item in panel.locator(".history li").all_inner_texts()] == [
        "calm rejected · revision 1", "sor corrected · revision 2"
    ]  # fmt: skip
    page.keyboard.press("Escape")
    assert panel.locator(".inspector.pinned").count() == 0


def test_the_slider_counts_as_the_engine_does(shown: Visit, tmp_path: Path) -> None:
    page = shown.page
    events = read_trace(download(shown, "#run-take", tmp_path))
    slider, line = page.locator(f"{STRIP} .what-if input"), page.locator(f"{STRIP} .what-if")
    for tau in (0.0, 0.1, 0.29, 0.31, 0.5):
        slider.evaluate("(one, at) => { one.value = at; one.dispatchEvent(new Event('input')); }", tau)
        expected = would_escalate(events, float(slider.input_value()))
        counted = [int(line.get_attribute(f"data-{name}") or -1) for name in ("blocks", "tokens")]
        assert counted == [expected.blocks, expected.tokens], tau
    page.locator(f"{STRIP} .what-if-reset").click()
    assert "own threshold" in line.inner_text()


def test_a_replay_ends_with_the_chips_of_the_live_run(shown: Visit) -> None:
    page = shown.page
    live = page.evaluate(LOOKS, "#strip")
    assert page.evaluate(LOOKS, STRIP) == live
    bar = page.locator(f"{STRIP} .replay")
    bar.locator(".replay-time").evaluate("(one) => { one.value = 0; one.dispatchEvent(new Event('input')); }")
    shown.wait(f"document.querySelectorAll('{STRIP} .strip .tok').length === 0")
    for _ in range(5):
        bar.locator(".replay-on").click()
    shown.wait(f"document.querySelector('{STRIP} .replay').dataset.at === '5'")
    bar.locator(".replay-back").click()
    shown.wait(f"document.querySelector('{STRIP} .replay').dataset.at === '4'")
    bar.locator(".replay-play").click()
    shown.wait(f"document.querySelector('{STRIP} .replay').dataset.at === '{bar.get_attribute('data-last')}'")
    shown.wait(f"({LOOKS})('{STRIP}') === ({LOOKS})('#strip')")


def test_the_switch_turns_the_whole_tab(visit: Open, fake_page: str) -> None:
    page = captioned(visit, fake_page, **CHINESE)
    spoken(page)
    inspect(page, "细看")
    page.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")
    page.page.locator(f"{STRIP} .strip .tok").first.click()
    page.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    names = {"edge · calibrated", say("zh", "runs.take"), say("zh", "runs.table")}
    assert [text for text in english_left(page) if text.strip() not in names] == []
    page.page.locator("#locale").get_by_label("English").check()
    page.wait("document.querySelector('#plot-entropy-title h2').textContent === 'Entropy along the draft'")
    page.wait("document.querySelector('#plot-entropy .xtitle')?.textContent === 'drafted tokens, in order'")
    assert page.page.locator("#run-choice input").input_value().startswith("this visit")
    assert page.complaints == []


# ── Links and files ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kept_run_is_opened_by_its_link_and_an_unknown_name_is_told(visit: Open, fake_page: Served) -> None:
    page = captioned(visit, fake_page)
    inspect(page)
    name = name_shown(page)
    page.page.locator("#run-keep").click()
    page.page.locator("#run-link textarea, #run-link input").first.wait_for()
    page.wait("document.querySelector('#run-link textarea, #run-link input').value.startsWith('http')")
    link = page.page.locator("#run-link textarea, #run-link input").first.input_value()
    assert link == f"{fake_page.rstrip('/')}/?trace={name}"
    assert name in TraceStore(fake_page.folder / "ugsd" / "traces")
    other = visit(link)
    other.wait(f"document.querySelector('#run-about code')?.textContent === '{name}'")
    assert other.page.locator(f"{STRIP} .strip .tok.corrected").count() == 1
    stranger = visit(f"{fake_page}?trace=0123456789ab")
    stranger.page.get_by_role("alert").wait_for()
    assert "is not kept here" in stranger.page.locator("#run-about").inner_text()
    assert page.complaints == other.complaints == stranger.complaints == []


def test_a_kept_run_is_deleted_by_keyboard_and_only_where_it_was_kept(visit: Open, fake_page: Served) -> None:
    page = captioned(visit, fake_page)
    inspect(page)
    name, store = name_shown(page), TraceStore(fake_page.folder / "ugsd" / "traces")
    store.forget(name)  # the scripted run has one name in every test, and another visit may have kept it
    button = page.page.get_by_role("button", name=say("en", "runs.forget"))
    assert button.count() == 0
    page.page.locator("#run-keep").click()
    button.wait_for()
    other = visit(f"{fake_page}?trace={name}")
    other.wait(f"document.querySelector('#run-about code')?.textContent === '{name}'")
    assert other.page.locator("#run-forget").count() == 0
    button.focus()
    page.page.keyboard.press("Enter")
    page.wait("document.querySelector('#run-said').textContent.includes('deleted')")
    page.wait("document.activeElement.id === 'run-keep'")
    assert name not in store and button.count() == 0 and page.page.locator("#run-link").count() == 0
    page.page.keyboard.press("Enter")
    button.wait_for()
    assert name in store and name_shown(page) == name
    store.forget(name)
    assert page.complaints == other.complaints == []


def test_a_run_that_is_taken_away_can_be_brought_back(visit: Open, fake_page: Served, tmp_path: Path) -> None:
    page = captioned(visit, fake_page)
    inspect(page)
    name = name_shown(page)
    trace, table = download(page, "#run-take", tmp_path), download(page, "#run-table", tmp_path)
    assert (trace.name, table.name) == (f"{name}.jsonl", f"{name}.csv")
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + 29
    other = visit(fake_page)
    inspect(other)
    bring(other, trace)
    other.wait(f"document.querySelector('#run-about code')?.textContent === '{name}'")
    assert other.page.locator("#run-choice input").input_value().startswith("from a file")
    assert download(other, "#run-take", tmp_path).read_bytes() == trace.read_bytes()


def test_a_gate_without_a_score_says_why_there_is_no_slider(visit: Open, fake_page: Served, tmp_path: Path) -> None:
    page = visit(fake_page)
    inspect(page)
    asks_always = [
        replace(event, score=None, threshold=None) if isinstance(event, BlockKept | BlockEscalated) else event
        for event in english()
    ]
    slider, why = page.page.locator(f"{STRIP} .what-if"), page.page.locator(f"{STRIP} .what-if-none")
    for events, shown in ((asks_always, (False, True)), (english("cloud"), (False, False)), (english(), (True, False))):
        write_trace(tmp_path / "run.jsonl", events)
        bring(page, tmp_path / "run.jsonl")
        page.wait(f"document.querySelector('#run-about code')?.textContent === '{trace_name(events)}'")
        page.wait(f"document.querySelector('{STRIP} .replay').dataset.last === '{len(events) - 1}'")
        assert (slider.is_visible(), why.is_visible()) == shown
    assert why.text_content() == say("en", "whatif.noscore")


def test_a_file_that_is_no_trace_is_told_by_its_name(visit: Open, fake_page: Served, tmp_path: Path) -> None:
    page = captioned(visit, fake_page)
    inspect(page)
    (tmp_path / "notes.jsonl").write_text("these are notes\n")
    bring(page, tmp_path / "notes.jsonl")
    page.wait("document.querySelector('#run-said').textContent.includes('is not a trace')")
    said = page.page.locator("#run-said").inner_text()
    assert said.startswith("Notes.jsonl") or said.startswith("notes.jsonl")
    assert not list(fake_page.folder.glob("ugsd-uploads-*/**/notes.jsonl")), "it was read and is not needed any more"


def test_what_was_offered_goes_when_its_visitor_leaves(visit: Open, fake_page: Served) -> None:
    page = captioned(visit, fake_page)
    inspect(page)
    pattern = f"ugsd-uploads-*/run-*/{name_shown(page)}.*"
    page.wait("!document.querySelector('#run-take').disabled")
    before = len(list(fake_page.folder.glob(pattern)))
    assert before >= 2
    page.page.close()
    end = time.monotonic() + 30
    while len(list(fake_page.folder.glob(pattern))) > before - 2:
        assert time.monotonic() < end, "the files outlived their visitor"
        time.sleep(0.2)


def bring(page: Visit, path: Path) -> None:
    with page.page.expect_file_chooser() as waiting:
        page.page.locator("#run-bring").click()
    waiting.value.set_files(path)


# ── The tour, and a page without models ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def bare(visit: Open, bare_page: Served) -> Iterator[Visit]:
    yield visit(bare_page, strip="inspect-strip")


def test_the_tour_leads_through_all_its_stops_without_a_model(bare: Visit) -> None:
    page = bare.page
    page.locator("#tour-start").click()
    for number, stop in enumerate(STOPS, start=1):
        heading = say("en", f"tour.{stop.text}")
        bare.wait(f"document.querySelector('#tour-text h3')?.textContent === {heading!r}")
        assert f"Stop {number} of {len(STOPS)}" in page.locator("#tour-text").inner_text()
        if stop.pin:
            page.locator(f"{STRIP} .strip .tok.pinned").wait_for()
            look = page.locator(f"{STRIP} .strip .tok.pinned").get_attribute("class").split()
            assert stop.pin in look
            assert page.locator("#inspect-inspector .inspector.pinned").count() == 1
        if number == 2:  # going past the list of runs with the keyboard does not end the tour
            page.locator("#run-choice input").focus()
            page.keyboard.press("Tab")
        if number < len(STOPS):
            page.locator("#tour-next").click()
    assert page.locator("#tour-next").is_disabled()
    page.locator("#tour-back").click()
    bare.wait(f"document.querySelector('#tour-text h3').textContent === {say('en', f'tour.{STOPS[-2].text}')!r}")
    page.locator("#tour-end").click()
    page.locator("#tour-start").wait_for()
    assert bare.complaints == [] and outside(bare.requests) == []


def test_a_page_without_models_says_so_where_one_is_needed(bare: Visit) -> None:
    for tab in ("Caption", "Compare"):
        bare.page.get_by_role("tab", name=tab).click()
        said = bare.page.locator(f"#no-models-{tab.lower()}")
        said.wait_for()
        assert "No model is loaded" in said.inner_text()


def test_a_trace_from_elsewhere_needs_no_model(bare: Visit, tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    write_trace(path, read_trace(ASSETS / "traces" / f"{STOPS[0].trace}.jsonl")[:-3])
    bare.wait(f"document.querySelectorAll('{STRIP} .strip .tok').length > 0")
    bring(bare, path)
    bare.wait("document.querySelector('#run-choice input').value.includes('(did not end)')")


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_phone_needs_no_sideways_scrolling_and_opens_the_inspector_below(visit: Open, fake_page: str) -> None:
    page = captioned(visit, fake_page, viewport=PHONE, has_touch=True, is_mobile=True)
    inspect(page)
    page.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")
    assert page.fits() and wide(page) == []
    page.page.locator(f"{STRIP} .strip .tok.corrected").tap()
    sheet = page.page.locator(".inspector-card:has(#inspect-inspector)").bounding_box()
    assert sheet["y"] + sheet["height"] == pytest.approx(PHONE["height"], abs=2)
    page.page.locator("#inspect-inspector .inspector-close").click()
    assert not page.page.locator("#inspect-inspector").is_visible()


@pytest.mark.parametrize(("scheme", "text"), [("light", "rgb(92, 98, 112)"), ("dark", "rgb(163, 169, 182)")])
def test_plots_wear_the_colours_of_the_page(visit: Open, bare_page: str, scheme: str, text: str) -> None:
    page = visit(bare_page, strip="inspect-strip", color_scheme=scheme)
    label = page.page.locator("#plot-entropy .xtitle")
    label.wait_for()
    assert label.evaluate("(one) => getComputedStyle(one).fill") == text
    background = page.page.locator("#plot-entropy .main-svg").first
    assert background.evaluate("(one) => getComputedStyle(one).backgroundColor") == "rgba(0, 0, 0, 0)"
