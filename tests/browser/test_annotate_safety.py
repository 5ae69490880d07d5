"""The tab *Annotate* in a browser: nothing is lost, and nobody sees or does what is not theirs."""

from __future__ import annotations

from typing import Any

from tests.browser.annotating import Annotator, Running

NOTE = ".ann-item [data-form=note]"


def test_a_reload_in_the_middle_of_a_word_loses_nothing(annotator: Annotator) -> None:
    page = annotator.come("Hal")
    first = page.item
    page.press("f", "6", "n")
    page.keys.type("half a sent")
    page.again()
    assert page.item == first and page.page.locator(NOTE).input_value() == "half a sent"
    assert "not fluent" in page.text(".ann-item .flag-row")
    page.saved()
    assert int(page.page.locator(".ann-saved").get_attribute("data-revision") or 0) >= 1


def test_two_windows_of_one_person_overwrite_nothing(annotator: Annotator) -> None:
    page = annotator.come("Ida")
    other = page.page.context.new_page()
    other.goto(page.page.url)
    other.get_by_role("tab", name="Annotate").click()
    other.wait_for_selector(".ann-item:visible")
    page.press("n")
    page.keys.type("from the first")
    page.saved()
    other.locator(NOTE).fill("from the second")
    other.locator(".ann-conflict").wait_for(state="visible")
    other.locator(".ann-theirs").click()
    other.wait_for_function(f"document.querySelector('{NOTE}').value === 'from the first'")
    other.locator(NOTE).fill("from both")
    other.wait_for_function("document.querySelector('.ann-saved').dataset.state === 'saved'")
    assert not other.locator(".ann-conflict").is_visible()
    other.close()


def test_a_blind_annotator_is_shown_no_system_and_nobody_elses_answer(annotator: Annotator) -> None:
    told: list[Any] = []

    def note(answer: Any) -> None:
        told.append(answer)

    annotator.page.on("response", note)
    page = annotator.come("Kim")
    page.turn("a", "Enter")
    page.press("l")
    page.visit.wait("document.querySelectorAll('.ann-earlier-list .rev-row').length === 1")
    annotator.page.remove_listener("response", note)
    everything = " ".join(one.text() for one in told if "/annotate/" in one.url and "/audio" not in one.url)
    assert "tokens" in everything and '"answers"' in everything
    assert "secret-system" not in everything and "clip0" not in everything and "Bob" not in everything
    assert not page.page.locator(".ann-views").is_visible()


def test_through_the_api_too_nobody_is_somebody_else(annotator: Annotator) -> None:
    page = annotator.come("Dee")
    event = {"id": "0123456789", "kind": "skipped", "campaign": "voices", "item": "item-000", "payload": {}}
    for path in ("review?campaign=voices", "review-item?campaign=voices&item=item-000", "export?campaign=voices"):
        assert page.ask(path) == 403
    assert page.ask("events", {"user": "Bob", "events": [event]}) == 401
    page.page.context.clear_cookies()
    for path in ("work?campaign=voices", "answers?campaign=voices", "audio?campaign=voices&item=item-000"):
        assert page.ask(path) == 401
    page.page.reload()


def test_a_wrong_password_is_a_sentence(annotator: Annotator) -> None:
    annotator.come("Ann")
    annotator.page.locator(".ann-leave").click()
    annotator.sign_in("Ann", "guess")
    problem = ".ann-door-problem"
    annotator.visit.wait(f"document.querySelector('{problem}').textContent !== ''")
    assert annotator.text(problem) == "The name or the password is not right."
    assert annotator.page.locator(".ann-desk").is_hidden()
    assert annotator.page.evaluate("document.activeElement.type") == "password"


def test_a_restart_of_the_server_loses_nothing_and_signs_nobody_out(annotator: Annotator, annotating: Running) -> None:
    page = annotator.come("Cy", "many")
    first = page.item
    page.press("n")
    page.keys.type("before")
    page.saved()
    annotating.stop()
    page.keys.type(" and while it was away")
    page.visit.wait("document.querySelector('.ann-saved').dataset.state === 'offline'")
    assert "kept in this browser" in page.text(".ann-saved")
    page.press("Escape", "a", "Enter")  # goes on by itself when the server is there again
    annotating.start()
    page.visit.wait(f"document.querySelector('.ann-item').dataset.item !== '{first}'")
    page.saved()
    state = page.state(first, "many")
    assert state.status == "submitted" and state.answer is not None
    assert state.answer["note"] == "before and while it was away"
    page.again()
    assert page.text(".ann-person") == "Cy"
