"""The tab *Annotate* in a browser: judging by keyboard, taking back, going back to earlier answers."""

from __future__ import annotations

from tests.browser.annotating import Annotator
from tests.browser.annotation_speed import judge
from tests.browser.conftest import Open, Served
from tests.browser.test_caption_tab import outside

PROBLEM = ".ann-item [data-form=problem]"
PRESSED = ".ann-item .choice[aria-pressed=true]"


def test_a_caption_is_accepted_with_two_keys_and_the_next_one_comes(annotator: Annotator) -> None:
    page = annotator.come("Ann")
    first = page.turn("a", "Enter")
    state = page.state(first)
    assert state.status == "submitted" and state.answer is not None and state.answer["verdict"] == "accept"
    assert page.text(".ann-progress-text") == "1 of 6 done"
    page.hears("Submitted. Next caption; 1 of 6 done.")
    assert outside(page.visit.requests) == []


def test_flags_severity_span_correction_and_note_are_typed_and_kept(annotator: Annotator) -> None:
    page = annotator.come("Cy")
    page.press("f", "1", "w", "t", "ArrowRight", "Shift+ArrowRight", "Escape", "4", "q")
    assert page.page.locator(".ann-item .flag-row").count() == 2
    page.press("c", "End")
    page.keys.type(" as far as 1 can hear")
    page.press("Escape", "n")
    page.keys.type("a skip? Uf, 3")
    answer = page.state(page.turn("Control+Enter")).answer
    assert answer is not None
    assert [(flag["kind"], flag["severity"], flag["start"], flag["end"]) for flag in answer["flags"]] == [
        ("wrong_emotion", "major", 1, 3),
        ("missing_cue", "minor", None, None),
    ]
    assert answer["corrected"].endswith("as far as 1 can hear") and answer["note"] == "a skip? Uf, 3"


def test_words_are_marked_by_dragging_too_and_a_kind_pressed_again_goes(annotator: Annotator) -> None:
    page = annotator.come("Dee").page
    chips = page.locator(".ann-item .ann-tokens .atok")
    chips.nth(0).hover()
    page.mouse.down()
    chips.nth(2).hover()
    page.mouse.up()
    assert page.locator(".ann-item .atok.marked").count() == 3
    page.keyboard.press("2")
    assert "wrong intensity" in page.locator(".ann-item .flag-row").inner_text()
    assert page.locator(".ann-item .atok.flagged").count() == 3
    page.keyboard.press("2")
    assert page.locator(".ann-item .flag-row").count() == 0
    annotator.saved()


def test_what_is_missing_is_said_and_the_caption_stays(annotator: Annotator) -> None:
    page = annotator.come("Eve")
    first, card = page.item, page.page.locator(".ann-item")
    page.press("Enter")
    assert "Accept or flag" in page.text(PROBLEM)
    card.focus()
    page.press("f", "Enter")
    assert "choose a kind" in page.text(PROBLEM)
    card.focus()
    page.press("7")
    card.focus()
    page.press("Enter")
    assert "how bad" in page.text(PROBLEM) and page.item == first
    card.focus()
    page.press("q", "Enter")
    assert "needs a note" in page.text(PROBLEM)
    page.keys.type("mumbled")  # the field of that note has the focus
    assert page.turn("Control+Enter") == first


def test_submit_and_skip_are_taken_back_after_a_reload_too(annotator: Annotator) -> None:
    page = annotator.come("Fay")
    first = page.turn("f", "5", "e", "Enter")
    second = page.turn("s")
    assert page.state(second).status == "skipped"
    page.turn("u")
    assert page.item == second and page.state(second).status == "pending"
    page.again()
    page.turn("Control+z")
    assert page.item == first and page.state(first).status == "draft"
    assert "wrong speaker attributes · critical" in page.text(".ann-item .flag-row")


def test_no_single_key_acts_while_somebody_types_nor_when_they_are_switched_off(annotator: Annotator) -> None:
    page = annotator.come("Gus")
    first = page.item
    page.press("n")
    page.keys.type("afsu1?qwel ")
    page.press("Enter", "Control+z", "Alt+k", "Alt+j")
    assert page.item == first and not page.page.locator(".ann-help").is_visible()
    assert page.page.locator(PRESSED).count() == 0
    assert page.page.evaluate("document.activeElement.dataset.form") == "note"
    page.saved()
    assert page.state(first).status == "draft"
    page.press("Escape", "?")
    page.page.locator(".ann-help").wait_for(state="visible")
    page.page.locator(".ann-single input").uncheck()
    page.press("Escape")
    page.page.locator(".ann-item").focus()
    page.press("a")
    assert page.page.locator(PRESSED).count() == 0
    page.press("Control+Enter")
    assert "Accept or flag" in page.text(PROBLEM)
    page.page.locator(".ann-help-open").click()
    page.page.locator(".ann-single input").check()
    page.page.locator(".ann-help-close").click()


def test_an_earlier_answer_is_opened_by_keyboard_and_revised(annotator: Annotator) -> None:
    page = annotator.come("Jo")
    first = page.turn("a", "Enter")
    page.turn("s")
    here = page.item
    page.press("n")
    page.keys.type("begun")
    page.press("Escape", "l")
    page.visit.wait("document.activeElement.classList.contains('rev-row')")
    rows = page.page.locator(".ann-earlier-list .rev-row")
    assert [facts.split(" · ")[0] for facts in rows.locator(".rev-facts").all_inner_texts()] == [
        "begun, not submitted", "skipped", "Accept",
    ]  # fmt: skip
    page.turn("End", "Enter")
    assert page.item == first and "You answered this caption at" in page.text(".ann-revisit")
    page.press("f", "6", "q")
    page.saved()
    state = page.state(first)
    assert state.status == "submitted" and state.revision > 1 and state.answer is not None
    assert state.answer["verdict"] == "accept", "what was submitted stands until it is submitted again"
    page.turn("o")
    assert page.item == here, "back to where one was"
    page.press("l")
    page.visit.wait("document.activeElement.classList.contains('rev-row')")
    assert "changed since, not submitted" in rows.last.inner_text()
    page.turn("End", "Enter")
    page.turn("Enter")
    assert page.item == here and page.page.locator(".ann-item [data-form=note]").input_value() == "begun"
    state = page.state(first)
    assert state.status == "submitted" and state.answer is not None and state.answer["verdict"] == "flag"
    assert page.text(".ann-progress-text") == "2 of 6 done · 1 skipped · 1 begun"


def test_twenty_captions_by_keyboard_alone(annotator: Annotator) -> None:
    page = annotator.come("Ann", "many")
    before = int(page.page.evaluate("document.querySelector('#annotate [data-turns]')?.dataset.turns ?? 0"))
    for number in range(20):
        judge(page.page, number, before)
    page.page.wait_for_selector(".ann-nothing:visible")
    assert page.text(".ann-progress-text") == "20 of 20 done"
    page.press("l")
    page.visit.wait("document.querySelectorAll('.ann-earlier-list .rev-row').length === 20")


def test_the_recording_must_be_heard_where_the_campaign_says_so(annotator: Annotator) -> None:
    page = annotator.come("Ann", "heard")
    page.press("a", "Enter")
    assert "Listen first" in page.text(PROBLEM)
    page.visit.wait("Number(document.querySelector('.ann-player').dataset.heard) > 0.95")
    state = page.state(page.turn("Enter"), "heard")
    assert state.status == "submitted" and state.heard_s > 1.3 and state.listened_s > 1.3


def test_the_trial_works_at_once_and_collects_nothing(visit: Open, bare_page: Served) -> None:
    page = visit(bare_page, strip="inspect-strip")
    page.page.get_by_role("tab", name="Annotate").click()
    page.page.locator(".ann-name input").fill("Somebody")
    page.page.locator(".ann-enter").click()
    page.page.wait_for_selector(".ann-item:visible")
    assert page.page.locator(".ann-progress-text").inner_text() == "0 of 6 done"
    assert page.page.locator("#wrong-open").count() == 0
    page.page.keyboard.press("a")
    page.page.keyboard.press("Enter")
    page.wait("document.querySelector('[data-form=problem]').textContent.includes('Listen first')")
