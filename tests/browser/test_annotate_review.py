"""The tab *Annotate* in a browser: reviewers, visitors who say that a caption is wrong, looks and access."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.annotating import Annotator, Running
from tests.browser.conftest import Open
from tests.browser.test_accessibility import found
from tests.browser.test_caption_tab import PHONE
from tests.ui.annotations import PASSWORD
from ugsd_core.annotations.inbox import INBOX
from ugsd_core.annotations.store import open_store


def test_a_reviewer_sees_agreement_settles_a_disagreement_and_takes_files(annotator: Annotator) -> None:
    page = annotator.come("Rae").page
    page.locator("[data-view=review]").click()
    page.locator(".rev-table").first.wait_for()
    assert "Krippendorff's α" in page.locator(".rev-agreement").inner_text()
    page.locator(".rev-list [data-item=item-000]").click()
    page.locator(".rev-answer", has_text="Bob").locator(".rev-take").click()
    page.locator(".rev-gold .rev-answer").wait_for()
    assert "the answer of Bob, chosen by Rae" in page.locator(".rev-gold").inner_text()
    with open_store(annotator.running.store) as kept, kept.reading() as tx:
        gold = tx.gold("voices", "item-000")
    assert gold.chosen == "Bob" and gold.answer is not None and gold.answer["verdict"] == "flag"
    page.locator(".rev-back").click()
    page.locator(".rev-gold").wait_for(state="hidden")
    with page.expect_download() as loading:
        page.locator("[data-format=latest]").click()
    lines = Path(loading.value.path()).read_text(encoding="utf-8").splitlines()
    assert any(json.loads(line)["annotator"] == "Bob" for line in lines)
    page.locator("[data-view=work]").click()


def test_a_visitors_word_lands_in_the_inbox_and_the_recording_only_with_consent(
    visit: Open, annotating: Running
) -> None:
    page = visit(annotating.address)
    assert not page.page.locator("#wrong-open").is_visible()
    page.example()
    for consents in (False, True):
        page.caption()
        page.finished()
        page.page.locator("#wrong-open").click()
        page.page.locator("#wrong-kind").get_by_label("missing cue").check()
        page.page.locator("#wrong-note textarea").fill(f"consent {consents}")
        box = page.page.locator("#wrong-consent input")
        assert not box.is_checked()
        if consents:
            box.check()
        page.page.locator("#wrong-send").click()
        page.page.locator("#wrong-said", has_text="Thank you").wait_for()
        with open_store(annotating.store) as kept, kept.reading() as tx:
            sent = [body for _, body in tx.items(INBOX) if body["remark"] == f"missing_cue\nconsent {consents}"]
        assert len(sent) == 1 and bool(sent[0]["audio"]) is consents
        assert sent[0]["origin"] == "visitor" and sent[0]["trace"]


@pytest.mark.parametrize(
    ("scheme", "locale", "viewport"),
    [("light", "zh-CN", {"width": 1360, "height": 900}), ("dark", "en-GB", PHONE)],
    ids=["laptop", "phone"],
)
def test_axe_finds_nothing_serious_and_a_phone_needs_no_sideways_scrolling(
    visit: Open, annotating: Running, scheme: str, locale: str, viewport: dict[str, int]
) -> None:
    page = visit(annotating.address, color_scheme=scheme, locale=locale, viewport=viewport)
    page.page.get_by_role("tab", name="标注" if locale == "zh-CN" else "Annotate").click()
    page.page.wait_for_selector(".ann-name input:visible")
    assert found(page) == []
    page.page.locator(".ann-name input").fill("Rae")
    page.page.locator(".ann-secret input").fill(PASSWORD)
    page.page.locator(".ann-enter").click()
    page.page.wait_for_selector(".ann-item:visible")
    page.page.locator(".ann-campaign").select_option("voices")
    page.page.locator(".ann-earlier summary").click()
    page.page.locator(".ann-earlier-list .rev-row").last.click()
    page.page.locator(".ann-revisit").wait_for(state="visible")
    page.page.locator(".ann-item [data-kind=missing_cue]").click()
    page.page.locator(".ann-item .atok").first.click()
    assert page.fits() and found(page) == []
    page.page.locator(".ann-help-open").click()
    assert found(page) == []
    page.page.locator(".ann-help-close").click()
    page.page.locator("[data-view=review]").click()
    page.page.locator(".rev-lists button").last.click()
    page.page.locator(".rev-list .rev-row").first.click()
    page.page.locator(".rev-panel").wait_for(state="visible")
    page.page.evaluate("document.querySelectorAll('.ann details').forEach((one) => { one.open = true; })")
    assert page.fits() and found(page) == []
