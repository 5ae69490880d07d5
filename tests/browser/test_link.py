"""An emulated link is chosen on the page, and is said wherever its figures are."""

from __future__ import annotations

from tests.browser.conftest import Open, Visit

BADGE = "Emulated link: +100 ms ± 10, ↑ 5 ↓ 20 Mbit/s"


def choose(page: Visit, text: str) -> None:
    page.page.locator("#link input").click()
    page.page.get_by_role("option", name=text).first.click()


def said(page: Visit, elem_id: str) -> str:
    return page.page.locator(f"#{elem_id} .link-badge summary").first.inner_text()


def test_an_emulated_link_is_chosen_and_said_wherever_its_figures_are(visit: Open, fake_page: str) -> None:
    other = visit(fake_page)
    page = visit(fake_page)
    page.page.locator("#link-settings > button").click()
    choose(page, "figures of your own")
    page.wait("document.querySelector('#link-badge .link-badge') !== null")
    assert said(page, "link-badge") == BADGE
    page.page.locator("#link-jitter input").fill("400")
    page.wait("document.querySelector('#link-badge').textContent.includes('jitter is 0 to the round trip')")
    page.example()
    page.page.locator("#run").click()
    page.wait("document.querySelector('#status').textContent.includes('Jitter is 0 to the round trip')")
    page.page.locator("#link-jitter input").fill("10")
    page.wait("document.querySelector('#link-badge summary') !== null")
    page.caption()
    page.finished()
    assert said(page, "tiles") == BADGE
    assert page.page.locator("#link-badge .link-badge").count() == 0, "once is enough"
    choose(page, "Satellite")
    page.wait("document.querySelector('#link-badge').textContent.includes('+600 ms')")
    choose(page, "figures of your own")
    page.wait("document.querySelector('#link-badge .link-badge') === null")
    page.page.locator("#tab-inspect-button").click()
    page.page.wait_for_selector("#tab-inspect .link-badge, [id^=inspect] .link-badge", timeout=20_000)
    page.page.locator("#locale").get_by_label("中文").check()
    page.wait("document.querySelector('#tiles .link-badge').textContent.includes('模拟网络：+100 ms ± 10')")
    assert page.complaints == []
    # Another visitor has a link of their own: none.
    other.example()
    other.caption()
    other.finished()
    assert other.page.locator(".link-badge").count() == 0 and other.complaints == []
