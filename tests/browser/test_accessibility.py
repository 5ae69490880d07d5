"""What axe-core finds on the page, and whether everything can be reached with the keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Open, Visit
from tests.browser.test_caption_tab import PHONE
from tests.browser.test_languages import CHINESE, open_all, spoken
from ui.language import Locale, say

LAPTOP = {"width": 1360, "height": 900}
ENGLISH = {"locale": "en-GB"}
Look = tuple[str, dict[str, int]]
#: Each pair of a scheme, a language and a width comes up; all eight combinations would find nothing more. A visitor
#: speaks one language and looks at everything twice, without a reload.
LOOKS = pytest.mark.parametrize(
    ("language", "looks"),
    [
        pytest.param(ENGLISH, [("light", LAPTOP), ("dark", PHONE)], id="English-light-laptop-dark-phone"),
        pytest.param(CHINESE, [("dark", LAPTOP), ("light", PHONE)], id="Chinese-dark-laptop-light-phone"),
    ],
)


def found_in(page: Visit, looks: list[Look]) -> dict[str, list[str]]:
    """What `found` finds in each look, by its scheme; the last one stays."""
    said = {}
    for scheme, viewport in looks:
        page.page.emulate_media(color_scheme=scheme)
        page.page.set_viewport_size(viewport)
        ground = "rgb(28, 31, 37)" if scheme == "dark" else "rgb(255, 255, 255)"
        page.wait(f"getComputedStyle(document.querySelector('#result-card')).backgroundColor === '{ground}'")
        said[scheme] = found(page)
    return {scheme: violations for scheme, violations in said.items() if violations}


def found(page: Visit) -> list[str]:
    """Serious and critical violations; nothing is excepted, not even inside Gradio's components."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.page.wait_for_timeout(400)  # colours that fade would be measured on their way
    violations = axe.Axe().run(page.page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['failureSummary']}"
        for rule in violations
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


# ── axe ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@LOOKS
def test_axe_finds_nothing_serious(visit: Open, fake_page: str, language: dict[str, Any], looks: list[Look]) -> None:
    (scheme, viewport), *_ = looks
    page = visit(fake_page, color_scheme=scheme, viewport=viewport, **language)
    spoken(page, "中文" if language is CHINESE else "English")
    assert found_in(page, looks) == {}
    page.example()
    page.caption()
    page.finished()
    page.page.locator("#strip .strip .tok").nth(2).click()
    page.wait("document.querySelector('#inspector').textContent.trim() !== ''")
    assert found_in(page, looks) == {}
    open_all(page)
    assert found_in(page, looks) == {}


@LOOKS
def test_nor_in_the_other_tabs(visit: Open, fake_page: str, language: dict[str, Any], looks: list[Look]) -> None:
    locale: Locale = "zh" if language is CHINESE else "en"
    (scheme, viewport), *_ = looks
    page = visit(fake_page, color_scheme=scheme, viewport=viewport, **language)
    spoken(page, "中文" if language is CHINESE else "English")
    page.example()
    page.page.get_by_role("tab", name=say(locale, "tab.compare")).click()
    page.press("#compare-start", "!document.querySelector('#compare-stop').disabled")
    page.wait("!document.querySelector('#compare-start').disabled")
    assert found_in(page, looks) == {}
    page.page.get_by_role("tab", name=say(locale, "tab.inspect")).click()
    page.wait("document.querySelectorAll('#inspect-strip .strip .tok').length > 0")
    page.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")
    page.page.locator("#inspect-strip .strip .tok").first.click()
    assert found_in(page, looks) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nor_while_the_microphone_records(visit: Open, fake_page: str, scheme: str) -> None:
    page = visit(fake_page, color_scheme=scheme)
    page.page.locator("#audio .record-button").click()
    page.page.locator("#meter .meter-live").wait_for(state="visible")
    assert found(page) == []


# ── Keyboard ──────────────────────────────────────────────────────────────────────────────────────────────────────

#: What can be operated: visible and not disabled. A strip is one stop, with arrow keys within.
CONTROLS = """() => [...document.querySelectorAll('button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((node) => node.checkVisibility() && !node.disabled && node.tabIndex >= 0)"""
#: Marks where the focus is, and whether that is seen: on the control, or on what is drawn in its place.
STEP = """() => {
  const node = document.activeElement;
  const drawn = [node, node.closest('label'), node.closest('.wrap')].filter((one) => one && one !== document.body);
  const seen = drawn.map((one) => getComputedStyle(one)).some(
    ({ outlineStyle, outlineWidth, opacity }) => outlineStyle !== 'none' && outlineWidth !== '0px' && opacity !== '0');
  const again = 'reached' in node.dataset;
  node.dataset.reached = seen ? 'seen' : 'unseen';
  return again;
}"""
NAMED = "(nodes) => nodes.map((node) => node.outerHTML.slice(0, 120))"


def test_everything_is_reached_with_tab_and_shows_that_it_is(finished: Visit) -> None:
    page = finished.page
    open_all(finished)
    page.locator("h1").click()
    stops = 0
    while stops < 200:
        page.keyboard.press("Tab")
        # The open list of a long dropdown is a stop that goes away as it is left; the focus is then on the body.
        if page.evaluate("document.activeElement !== document.body") and page.evaluate(STEP):
            break
        stops += 1
    missed = page.evaluate(f"() => ({NAMED})(({CONTROLS})().filter((node) => !('reached' in node.dataset)))")
    unseen = page.evaluate(f"() => ({NAMED})(({CONTROLS})().filter((node) => node.dataset.reached === 'unseen'))")
    assert missed == [] and unseen == []
    kinds = "() => [...new Set([...document.querySelectorAll('[data-reached]')].map((n) => n.type || n.tagName))]"
    wanted = {"submit", "button", "radio", "range", "number", "text", "checkbox", "select-one", "SUMMARY", "SPAN"}
    assert wanted <= set(page.evaluate(kinds)) and stops > 60
