"""The tab *Compare*: one recording by the edge alone, by both and by the verifier alone, side by side."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Open, Visit
from tests.browser.test_caption_tab import PHONE, outside
from tests.browser.test_inspect_tab import wide
from ui.compare import ORDER


def compare(visit: Open, address: str, **settings: object) -> Visit:
    """Open the tab with a recording and let it begin."""
    page = visit(address, **settings)
    page.example()
    page.page.get_by_role("tab", name="Compare").click()
    page.press("#compare-start", "!document.querySelector('#compare-stop').disabled")
    return page


def compared(page: Visit) -> str:
    page.wait("!document.querySelector('#compare-start').disabled")
    return page.page.locator("#compare-said").inner_text()


@pytest.fixture(scope="module")
def three(browser: object, fake_page: str) -> Visit:
    from tests.browser.conftest import _visiting

    with _visiting(browser) as open_page:
        page = compare(open_page, fake_page)
        compared(page)
        yield page


def test_three_captions_stand_side_by_side_with_what_differs_marked(three: Visit) -> None:
    page = three.page
    assert page.locator("#compare-said").inner_text().startswith("Finished.")
    texts = [page.locator(f"#compare-{mode} .strip").inner_text() for mode in ORDER]
    assert "flat" in texts[0] and "sor" in texts[1] and "low" in texts[2]
    left = [page.locator(f"#compare-{mode}").bounding_box() for mode in ORDER]
    assert left[0]["x"] < left[1]["x"] < left[2]["x"] and left[0]["y"] == left[2]["y"]
    table = page.locator(".comparison")
    assert "25.9 %" in table.inner_text() and "sadness" in table.inner_text()
    lines = {
        tag: table.locator(tag).first.evaluate("(one) => getComputedStyle(one).textDecorationLine")
        for tag in ("ins", "del")
    }
    assert lines == {"ins": "underline", "del": "line-through"}
    assert three.complaints == [] and outside(three.requests) == []


def test_the_legend_of_a_small_strip_names_only_what_occurs(three: Visit) -> None:
    named = three.page.locator("#compare-edge .legend-state:visible")
    assert named.count() == 1 and named.inner_text().startswith("kept here")


def test_pointing_at_a_token_of_a_column_says_why_there(three: Visit) -> None:
    page = three.page
    page.locator("#compare-ugsd .strip .tok.rejected").hover()
    assert "“calm”: rejected" in page.locator("#compare-ugsd .strip-note").inner_text()
    assert "calm" not in page.locator("#compare-edge .strip-note").inner_text()


def test_the_runs_can_be_inspected_and_the_switch_turns_the_table(three: Visit) -> None:
    page = three.page
    page.locator("#locale").get_by_label("中文").check()
    three.wait("document.querySelector('.comparison').textContent.includes('悲伤')")
    assert page.locator("#compare-said").inner_text().startswith("完成。")
    page.locator("#locale").get_by_label("English").check()
    three.wait("document.querySelector('.comparison').textContent.includes('sadness')")
    page.get_by_role("tab", name="Inspect").click()
    three.wait("document.querySelectorAll('#inspect-strip .strip .tok').length > 0")
    page.locator("#run-choice input").click()
    listed = page.get_by_role("option").all_inner_texts()
    assert sum("this visit" in text for text in listed) == 3


def test_stop_ends_the_comparison(visit: Open, slow_page: str) -> None:
    page = compare(visit, slow_page)
    page.wait("document.querySelectorAll('#compare-edge .strip .tok').length > 1")
    page.page.locator("#compare-stop").click()
    assert compared(page) == "Stopped. What stands here is not finished."
    assert page.page.locator("#compare-grid .strip.live").count() == 0
    assert page.page.locator("#compare-cloud .strip .tok").count() == 0


def test_without_a_recording_it_says_so(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    page.page.get_by_role("tab", name="Compare").click()
    page.page.locator("#compare-start").click()
    page.wait("document.querySelector('#compare-said').textContent.includes('There is no recording yet')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_columns_stand_one_below_the_other(visit: Open, fake_page: str, scheme: str) -> None:
    page = compare(visit, fake_page, viewport=PHONE, has_touch=True, is_mobile=True, color_scheme=scheme)
    compared(page)
    assert page.fits() and wide(page) == []
    tops = [page.page.locator(f"#compare-{mode}").bounding_box() for mode in ORDER]
    assert tops[0]["y"] < tops[1]["y"] < tops[2]["y"] and tops[0]["x"] == tops[2]["x"]
    table = page.page.locator("#comparison .scroll")
    assert table.evaluate("(one) => one.scrollWidth > one.clientWidth"), "the table scrolls within itself"
