"""The tab *Annotate* in a browser: judging by keyboard, undo, reload and restart, blind mode, review, visitors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.annotation_speed import enter, judge
from tests.browser.conftest import Open, Served, Visit, _visiting, serving
from tests.browser.test_accessibility import found
from tests.browser.test_caption_tab import PHONE, outside
from tests.ui.annotations import PASSWORD
from ugsd_core.annotations.inbox import INBOX
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.store import open_store
from ui.demo import find_port

ANSWERED = {"Bob": [False, True], "Rae": [True, True]}
RULES = {"count": 6, "seconds": 0.4, "answered": ANSWERED}


def command(store: Path, port: int = 0, **rules: Any) -> list[str]:
    return ["-m", "tests.ui.annotations", str(store), str(port), json.dumps(RULES | rules)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("annotations") / "store.db"


@pytest.fixture(scope="module")
def served(browser: object, store: Path) -> Iterator[Served]:
    """A page with a campaign that everybody may answer; nobody has to listen."""
    with serving(command(store), store.parent / "log") as address:
        yield address


Come = Callable[..., Visit]


@pytest.fixture
def come(browser: Any, served: Served) -> Iterator[Come]:
    """Sign somebody in, in a browser of their own."""
    with _visiting(browser) as open_page:

        def signed_in(name: str, address: str = served, **settings: Any) -> Visit:
            page = open_page(address, **settings)
            enter(page.page, address, name)
            return page

        yield signed_in


def state_of(store: Path, name: str, item: str) -> AnswerState:
    with open_store(store) as kept, kept.reading() as tx:
        return tx.answer("voices", item, name)


def item(page: Visit) -> str:
    return page.page.locator(".ann-item").get_attribute("data-item") or ""


def saved(page: Visit) -> None:
    page.wait("document.querySelector('.ann-saved').dataset.state === 'saved'")
    page.wait("Object.keys(localStorage).every((key) => !key.startsWith('ugsd-annotate/'))")


def turn(page: Visit, *keys: str) -> None:
    """Press keys of which the last goes on to another caption."""
    before = item(page)
    for key in keys:
        page.page.keyboard.press(key)
    page.wait(f"document.querySelector('.ann-item').dataset.item !== '{before}'")
    page.wait("!document.querySelector('.ann-item').ariaBusy")


def live(page: Visit, text: str) -> None:
    page.wait(f"document.querySelector('.ann-live').textContent.includes({json.dumps(text)})")


# ── Judging ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_caption_is_accepted_with_two_keys_and_the_next_one_comes(come: Come, store: Path) -> None:
    page = come("Ann")
    first = item(page)
    turn(page, "a", "Enter")
    state = state_of(store, "Ann", first)
    assert state.status == "submitted" and state.answer is not None and state.answer["verdict"] == "accept"
    assert page.page.locator(".ann-progress-text").inner_text() == "1 of 6 done"
    live(page, "Submitted. Next caption; 1 of 6 done.")
    assert page.complaints == [] and outside(page.requests) == []


def test_flags_severity_span_correction_and_note_are_typed_and_kept(come: Come, store: Path) -> None:
    page = come("Cy")
    first, keys = item(page), page.page.keyboard
    for key in ("f", "1", "w", "t", "ArrowRight", "Shift+ArrowRight", "Escape", "4", "q"):
        keys.press(key)
    assert page.page.locator(".ann-item .flag-row").count() == 2
    keys.press("c")
    keys.press("End")
    keys.type(" as far as 1 can hear")
    keys.press("Escape")
    keys.press("n")
    keys.type("a skip? Uf, 3")
    turn(page, "Control+Enter")
    answer = state_of(store, "Cy", first).answer
    assert answer is not None
    assert [(flag["kind"], flag["severity"], flag["start"], flag["end"]) for flag in answer["flags"]] == [
        ("wrong_emotion", "major", 1, 3),
        ("missing_cue", "minor", None, None),
    ]
    assert answer["corrected"].endswith("as far as 1 can hear") and answer["note"] == "a skip? Uf, 3"


def test_words_are_marked_by_dragging_too_and_a_kind_pressed_again_goes(come: Come) -> None:
    page = come("Dee")
    chips = page.page.locator(".ann-item .ann-tokens .atok")
    chips.nth(0).hover()
    page.page.mouse.down()
    chips.nth(2).hover()
    page.page.mouse.up()
    assert page.page.locator(".ann-item .atok.marked").count() == 3
    page.page.keyboard.press("2")
    assert "wrong intensity" in page.page.locator(".ann-item .flag-row").inner_text()
    assert page.page.locator(".ann-item .atok.flagged").count() == 3
    page.page.keyboard.press("2")
    assert page.page.locator(".ann-item .flag-row").count() == 0
    saved(page)


def test_what_is_missing_is_said_and_the_caption_stays(come: Come) -> None:
    page = come("Eve")
    first = item(page)
    problem = page.page.locator(".ann-item [data-form=problem]")
    page.page.keyboard.press("Enter")
    assert "Accept or flag" in problem.inner_text()
    page.page.locator(".ann-item").focus()
    for key in ("f", "Enter"):
        page.page.keyboard.press(key)
        page.page.locator(".ann-item").focus()
    assert "choose a kind" in problem.inner_text()
    for key in ("7", "Enter"):
        page.page.keyboard.press(key)
    assert "how bad" in problem.inner_text() and item(page) == first
    page.page.locator(".ann-item").focus()
    page.page.keyboard.press("q")
    page.page.keyboard.press("Enter")
    assert "needs a note" in problem.inner_text()
    page.page.keyboard.type("mumbled")  # the field of that note has the focus
    page.page.keyboard.press("Control+Enter")
    page.wait(f"document.querySelector('.ann-item').dataset.item !== '{first}'")


def test_submit_and_skip_are_taken_back(come: Come, store: Path) -> None:
    page = come("Fay")
    first = item(page)
    turn(page, "f", "5", "e", "Enter")
    second = item(page)
    turn(page, "s")
    assert state_of(store, "Fay", second).status == "skipped"
    turn(page, "u")
    assert item(page) == second and state_of(store, "Fay", second).status == "pending"
    page.page.reload()  # what can be taken back outlives it
    page.page.get_by_role("tab", name="Annotate").click()
    page.page.wait_for_selector(".ann-item:visible")
    page.page.locator(".ann-item").focus()
    turn(page, "Control+z")
    assert item(page) == first and state_of(store, "Fay", first).status == "draft"
    assert "wrong speaker attributes · critical" in page.page.locator(".ann-item .flag-row").inner_text()


def test_no_single_key_acts_while_somebody_types(come: Come, store: Path) -> None:
    page = come("Gus")
    first = item(page)
    page.page.keyboard.press("n")
    page.page.keyboard.type("afsu1?qwe ")
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Control+z")
    page.page.keyboard.press("Alt+k")
    page.page.keyboard.press("Alt+j")
    assert item(page) == first and not page.page.locator(".ann-help").is_visible()
    assert page.page.locator(".ann-item .choice[aria-pressed=true]").count() == 0
    assert page.page.evaluate("document.activeElement.dataset.form") == "note"
    saved(page)
    assert state_of(store, "Gus", first).status == "draft"


def test_the_help_lists_the_keys_and_single_keys_can_be_switched_off(come: Come) -> None:
    page = come("Gus")
    page.page.keyboard.press("?")
    page.page.locator(".ann-help").wait_for(state="visible")
    page.page.locator(".ann-single input").uncheck()
    page.page.keyboard.press("Escape")
    page.page.locator(".ann-item").focus()
    page.page.keyboard.press("a")
    assert page.page.locator(".ann-item .choice[aria-pressed=true]").count() == 0
    page.page.keyboard.press("Control+Enter")
    assert "Accept or flag" in page.page.locator(".ann-item [data-form=problem]").inner_text()


def test_twenty_captions_by_keyboard_alone(browser: Any, tmp_path: Path, visit: Open) -> None:
    with serving(command(tmp_path / "store.db", count=20, answered={}), tmp_path / "log") as address:
        page = visit(address)
        enter(page.page, address)
        for number in range(20):
            judge(page.page, number)
        page.page.wait_for_selector(".ann-nothing:visible")
        assert page.page.locator(".ann-progress-text").inner_text() == "20 of 20 done"
        assert page.complaints == []


# ── Nothing is lost ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reload_in_the_middle_of_a_word_loses_nothing(come: Come) -> None:
    page = come("Hal")
    first = item(page)
    page.page.keyboard.press("f")
    page.page.keyboard.press("6")
    page.page.keyboard.press("n")
    page.page.keyboard.type("half a sent")
    page.page.reload()
    page.page.get_by_role("tab", name="Annotate").click()
    page.page.wait_for_selector(".ann-item:visible")
    assert item(page) == first
    assert page.page.locator(".ann-item [data-form=note]").input_value() == "half a sent"
    assert "not fluent" in page.page.locator(".ann-item .flag-row").inner_text()
    saved(page)
    assert int(page.page.locator(".ann-saved").get_attribute("data-revision") or 0) >= 1


def test_a_restart_of_the_server_loses_nothing_and_signs_nobody_out(browser: Any, tmp_path: Path, visit: Open) -> None:
    kept, port = tmp_path / "store.db", find_port("127.0.0.1", 0)
    with serving(command(kept, port), tmp_path / "log") as address:
        page = visit(address)
        enter(page.page, address)
        first = item(page)
        page.page.keyboard.press("n")
        page.page.keyboard.type("before")
        saved(page)
    page.page.keyboard.type(" and while it was away")
    page.wait("document.querySelector('.ann-saved').dataset.state === 'offline'")
    assert "kept in this browser" in page.page.locator(".ann-saved").inner_text()
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("a")
    page.page.keyboard.press("Enter")  # goes on by itself when the server is there again
    with serving(command(kept, port), tmp_path / "log2"):
        page.wait(f"document.querySelector('.ann-item').dataset.item !== '{first}'")
        saved(page)
        state = state_of(kept, "Ann", first)
        assert state.status == "submitted" and state.answer is not None
        assert state.answer["note"] == "before and while it was away"
        page.page.reload()
        page.page.get_by_role("tab", name="Annotate").click()
        page.page.wait_for_selector(".ann-item:visible")
        assert page.page.locator(".ann-person").inner_text() == "Ann"


def test_two_windows_of_one_person_overwrite_nothing(come: Come) -> None:
    page = come("Ida")
    other = page.page.context.new_page()
    other.goto(page.page.url)
    other.get_by_role("tab", name="Annotate").click()
    other.wait_for_selector(".ann-item:visible")
    page.page.keyboard.press("n")
    page.page.keyboard.type("from the first")
    saved(page)
    other.locator(".ann-item [data-form=note]").fill("from the second")
    other.locator(".ann-conflict").wait_for(state="visible")
    other.locator(".ann-theirs").click()
    other.wait_for_function("document.querySelector('.ann-item [data-form=note]').value === 'from the first'")
    other.locator(".ann-item [data-form=note]").fill("from both")
    other.wait_for_function("document.querySelector('.ann-saved').dataset.state === 'saved'")
    assert not other.locator(".ann-conflict").is_visible()


# ── Who may what ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_blind_annotator_is_shown_no_system_and_nobody_elses_answer(come: Come, visit: Open, served: Served) -> None:
    page = visit(served)
    told: list[str] = []

    def note(answer: Any) -> None:
        if "/annotate/" in answer.url and "audio" not in answer.url:
            told.append(answer.text())

    page.page.on("response", note)
    enter(page.page, served, "Dee")
    turn(page, "a", "Enter")
    everything = " ".join(told)
    assert "items" in everything or "tokens" in everything
    assert "secret-system" not in everything and "clip0" not in everything and "Bob" not in everything
    assert not page.page.locator(".ann-views").is_visible()


def test_through_the_api_too_nobody_is_somebody_else(come: Come) -> None:
    page = come("Cy")
    ask = """async ([path, body]) => {
      const settings = body ? {method: 'POST', body: JSON.stringify(body)} : {};
      settings.headers = {'X-UGSD-Annotate': '1', 'Content-Type': 'application/json'};
      return (await fetch('/annotate/' + path, settings)).status;
    }"""
    event = {"id": "0123456789", "kind": "skipped", "campaign": "voices", "item": "item-000", "payload": {}}
    assert page.page.evaluate(ask, ["review?campaign=voices", None]) == 403
    assert page.page.evaluate(ask, ["review-item?campaign=voices&item=item-000", None]) == 403
    assert page.page.evaluate(ask, ["export?campaign=voices&format=latest", None]) == 403
    assert page.page.evaluate(ask, ["events", {"user": "Bob", "events": [event]}]) == 401
    page.page.context.clear_cookies()
    assert page.page.evaluate(ask, ["work?campaign=voices", None]) == 401
    assert page.page.evaluate(ask, ["audio?campaign=voices&item=item-000", None]) == 401


def test_a_wrong_password_is_a_sentence(visit: Open, served: Served) -> None:
    page = visit(served)
    page.page.get_by_role("tab", name="Annotate").click()
    page.page.locator(".ann-name input").fill("Ann")
    page.page.locator(".ann-secret input").fill("guess")
    page.page.locator(".ann-enter").click()
    page.wait("document.querySelector('.ann-door-problem').textContent.includes('not right')")
    assert page.page.locator(".ann-desk").is_hidden()


def test_a_reviewer_sees_agreement_settles_a_disagreement_and_takes_files(come: Come, store: Path) -> None:
    page = come("Rae")
    page.page.locator("[data-view=review]").click()
    page.page.locator(".rev-table").first.wait_for()
    assert "Krippendorff's α" in page.page.locator(".rev-agreement").inner_text()
    page.page.locator(".rev-row", has_text="differs").first.click()
    page.page.locator(".rev-answer", has_text="Bob").locator(".rev-take").click()
    page.page.locator(".rev-gold .rev-answer").wait_for()
    assert "the answer of Bob, chosen by Rae" in page.page.locator(".rev-gold").inner_text()
    with open_store(store) as kept, kept.reading() as tx:
        gold = tx.gold("voices", "item-000")
    assert gold.chosen == "Bob" and gold.answer is not None and gold.answer["verdict"] == "flag"
    page.page.locator(".rev-back").click()
    page.page.locator(".rev-gold").wait_for(state="hidden")
    with page.page.expect_download() as loading:
        page.page.locator("[data-format=latest]").click()
    lines = Path(loading.value.path()).read_text(encoding="utf-8").splitlines()
    assert any(json.loads(line)["annotator"] == "Bob" for line in lines)


# ── From everywhere ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("consents", [False, True])
def test_a_visitors_word_lands_in_the_inbox_and_the_recording_only_with_consent(
    visit: Open, served: Served, store: Path, consents: bool
) -> None:
    page = visit(served)
    assert not page.page.locator("#wrong-open").is_visible()
    page.example()
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
    with open_store(store) as kept, kept.reading() as tx:
        sent = [body for _, body in tx.items(INBOX) if body["remark"] == f"missing_cue\nconsent {consents}"]
    assert len(sent) == 1 and bool(sent[0]["audio"]) is consents
    assert sent[0]["origin"] == "visitor" and sent[0]["trace"]


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


def test_the_recording_must_be_heard_where_the_campaign_says_so(browser: Any, tmp_path: Path, visit: Open) -> None:
    rules = {"seconds": 1.5, "must_listen": 0.9, "answered": {}}
    with serving(command(tmp_path / "store.db", **rules), tmp_path / "log") as address:
        page = visit(address)
        enter(page.page, address)
        first = item(page)
        page.page.keyboard.press("a")
        page.page.keyboard.press("Enter")
        assert "Listen first" in page.page.locator(".ann-item [data-form=problem]").inner_text()
        page.wait("Number(document.querySelector('.ann-player').dataset.heard) > 0.95")
        turn(page, "Enter")
        state = state_of(tmp_path / "store.db", "Ann", first)
        assert state.status == "submitted" and state.heard_s > 1.3 and state.listened_s > 1.3


# ── Looks and access ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("viewport", [{"width": 1360, "height": 900}, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize(("scheme", "locale"), [("light", "zh-CN"), ("dark", "en-GB")])
def test_axe_finds_nothing_serious_and_a_phone_needs_no_sideways_scrolling(
    visit: Open, served: Served, scheme: str, locale: str, viewport: dict[str, int]
) -> None:
    page = visit(served, color_scheme=scheme, locale=locale, viewport=viewport)
    page.page.get_by_role("tab", name="标注" if locale == "zh-CN" else "Annotate").click()
    page.page.wait_for_selector(".ann-name input:visible")
    assert found(page) == []
    page.page.locator(".ann-name input").fill("Rae")
    page.page.locator(".ann-secret input").fill(PASSWORD)
    page.page.locator(".ann-enter").click()
    page.page.wait_for_selector(".ann-item:visible")
    page.page.locator(".ann-item [data-kind=missing_cue]").click()
    page.page.locator(".ann-item .atok").first.click()
    assert page.fits() and found(page) == []
    page.page.locator(".ann-help-open").click()
    assert found(page) == []
    page.page.locator(".ann-help-close").click()
    page.page.locator("[data-view=review]").click()
    page.page.locator(".rev-lists button").last.click()
    page.page.locator(".rev-row").first.click()
    page.page.locator(".rev-panel").wait_for(state="visible")
    page.page.evaluate("document.querySelectorAll('.ann details').forEach((one) => { one.open = true; })")
    assert page.fits() and found(page) == []
