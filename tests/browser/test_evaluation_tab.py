"""The tab *Evaluate*: from a corpus to the files, a run of ten thousand clips, corpora that are not in order."""

from __future__ import annotations

import contextlib
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import Open, Served, Visit, _visiting, serving
from tests.browser.test_accessibility import CONTROLS, NAMED, STEP, found
from tests.browser.test_caption_tab import PHONE, outside
from tests.browser.test_inspect_tab import wide
from tests.ui.bad_corpora import BAD, make_bad_corpora
from tests.ui.evaluated import make_run
from ui.assets import web_asset
from ui.components.run_table import empty_table, table_value
from ui.language import Locale, say
from ui.run_folders import RunFolders
from ui.run_rows import Asked, Query

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES: dict[str, Locale] = {"en-GB": "en", "zh-CN": "zh"}


@pytest.fixture(scope="module")
def evaluations(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Address of a page with a scripted engine, a large run and a small one, and corpora that are not in order."""
    log = tmp_path_factory.mktemp("evaluations") / "log"
    runs = log.parent / "ugsd" / "runs"
    make_run(runs / "ten-thousand", 10_000, traces=False, scored=False)
    make_run(runs / "small", 24, failed=(7,))
    corpora = log.parent / "corpora"
    make_bad_corpora(corpora)
    with serving(["-m", "tests.ui.fake_engine", "0", "english", "0.004", str(corpora)], log) as address:
        yield address


def open_tab(visit: Open, address: str, run: str = "small", **settings: Any) -> Visit:
    """The tab with a run, by its link."""
    page = visit(f"{address}?run={run}", **settings)
    page.page.wait_for_selector(".rows tbody tr", state="attached", timeout=90_000)
    page.wait(f"document.querySelector('#evaluate-about').textContent.includes('{run}')")
    return page


def view(page: Visit, name: str) -> None:
    page.page.locator(f"#evaluate-{name}-tab").click()


def rows(page: Visit) -> list[str]:
    return page.page.locator(".rows tbody tr .row-id").all_inner_texts()


def choose(page: Visit, elem_id: str, text: str) -> None:
    page.page.locator(f"#{elem_id} input").click()
    page.page.get_by_role("option", name=text).first.click()


def look(page: Visit) -> str:
    """Press *Check* and read what it found."""
    page.page.locator("#evaluate-check").click()
    page.wait("document.querySelectorAll('#evaluate-found .check').length > 0")
    return page.page.locator("#evaluate-found").inner_text()


# ── From corpus to download ───────────────────────────────────────────────────────────────────────────────────────


def test_from_a_corpus_to_the_files(visit: Open, evaluations: Served, tmp_path: Path) -> None:
    page = open_tab(visit, evaluations)
    choose(page, "evaluate-place", "example clips")
    said = look(page)
    assert "6 of 6 clips of examples can be captioned" in said and "24 captions" in said
    page.page.locator("#evaluate-begin").click()
    page.wait("document.querySelector('#evaluate-progress [role=progressbar]') !== null")
    page.wait("document.querySelector('#evaluate-progress').textContent.includes('Finished: 24 of 24')", 60)
    page.page.locator("#evaluate-open").click()
    page.wait("document.querySelector('#evaluate-about').textContent.includes('examples-en-')")
    table = page.page.locator("#evaluate-table")
    assert "emotion right" in table.inner_text() and "n = 6" in table.inner_text()
    table.get_by_text("ROUGE-L", exact=True).first.click()
    assert (
        "longest common subsequence" in table.inner_text()
        and "rouge" in table.locator(".signature:visible").inner_text()
    )
    with page.page.expect_download() as downloaded:
        page.page.locator("#evaluate-file-clips").click()
    lines = Path(downloaded.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 24 and json.loads(lines[0])["corpus"] == "examples"
    with page.page.expect_download() as downloaded:
        page.page.locator("#evaluate-file-latex").click()
    assert "tabular" in Path(downloaded.value.path()).read_text(encoding="utf-8")
    page.page.locator("#evaluate-pack").click()
    page.page.locator("#evaluate-file-zip").wait_for(state="visible")
    with page.page.expect_download() as downloaded:
        page.page.locator("#evaluate-file-zip").click()
    with zipfile.ZipFile(downloaded.value.path()) as packed:
        kinds = {Path(name).suffix for name in packed.namelist()}
    assert kinds == {".json", ".jsonl"}, "a run holds no sound"
    assert page.complaints == [] and outside(page.requests) == []


def test_a_row_is_heard_inspected_and_sent_to_annotation(visit: Open, evaluations: Served) -> None:
    page = open_tab(visit, evaluations)
    if "examples" not in page.page.locator("#evaluate-choice input").input_value():
        run = next(folder for folder in sorted((evaluations.folder / "ugsd" / "runs").glob("examples-en-*")))
        page = open_tab(visit, evaluations, run.name)
    view(page, "clips")
    first = page.page.locator(".rows tbody tr").first
    clip = first.locator(".row-id").inner_text()
    first.locator(".play").click()
    page.wait("document.querySelector('.clip-player audio').src.includes('clip.wav')")
    page.wait("document.querySelector('.clip-player audio').duration > 1")
    assert clip in page.page.locator(".clip-said").inner_text()
    first.locator(".annotate").click()
    page.wait("document.querySelector('#evaluate-row-said').textContent.includes('annotation queue')")
    page.wait("document.querySelector('.rows tbody tr .annotate').textContent.includes('Sent')")
    first.locator(".inspect").click()
    page.wait("document.querySelectorAll('#inspect-strip .strip .tok').length > 3")
    assert page.complaints == []


def test_an_evaluation_is_found_again_after_a_reload_stopped_and_resumed(visit: Open, evaluations: Served) -> None:
    page = open_tab(visit, evaluations)
    choose(page, "evaluate-place", "fine")
    page.page.locator("#evaluate-systems").get_by_label("ask always").check()
    look(page)
    hold = evaluations.folder / "hold"
    # So that it cannot be over before it is stopped, however long the reload takes; each system warms up first.
    hold.write_text("8")
    try:
        page.page.locator("#evaluate-begin").click()
        # The bar is that of an evaluation that goes on; an earlier one's captions are told there until this one begins.
        page.page.wait_for_selector("#evaluate-progress [role=progressbar]", timeout=90_000)
        page.wait("document.querySelector('#evaluate-progress').textContent.match(/[1-9]\\d* of \\d+ captions/)")
        page.page.reload()
        page.page.wait_for_selector("#evaluate-progress [role=progressbar]", timeout=90_000)
        with page.page.expect_response("**/run/predict*"):  # the stop has arrived
            page.page.locator("#evaluate-stop").click()
    finally:
        hold.unlink()
    page.wait("document.querySelector('#evaluate-progress').textContent.includes('Stopped at')")
    choose(page, "evaluate-place", "fine")
    page.page.locator("#evaluate-systems").get_by_label("ask always").check()
    assert "begun before" in look(page)
    page.page.locator("#evaluate-begin").click()
    page.wait("document.querySelector('#evaluate-progress').textContent.includes('Finished:')", 90)
    assert page.complaints == []


# ── Ten thousand clips ────────────────────────────────────────────────────────────────────────────────────────────


#: Six presses, faster than answers come.
PRESSES = """(async () => {
  for (let press = 0; press < 6; press++) {
    document.querySelector('.rows-pages .on').click();
    await new Promise((done) => setTimeout(done, 10));
  }
})()"""


def test_ten_thousand_clips_are_gone_through_fifty_rows_at_a_time(visit: Open, evaluations: Served) -> None:
    page = open_tab(visit, evaluations, "ten-thousand")
    opened = page.page.locator("#evaluate-about").inner_text()
    assert "10,000 clips" in opened and "30,000 captions" in opened
    view(page, "clips")
    page.page.locator(".rows-field select[name=sort]").select_option("total_s")
    page.wait("document.querySelector('.rows-said').textContent.includes('1–50 of 30,000')")
    slow = [float(text.split()[0].replace(",", "")) for text in page.page.locator(".row-value").all_inner_texts()]
    assert len(slow) == 50 and slow == sorted(slow, reverse=True)
    waited = []
    for target in ("on", "last", "back", "first"):
        shown = page.page.locator(".rows-said").inner_text()
        began = time.monotonic()
        page.page.locator(f".rows-pages .{target}").click()
        page.wait(f"document.querySelector('.rows-said').textContent !== {json.dumps(shown)}")
        waited.append(time.monotonic() - began)
        assert page.page.locator(".rows tbody tr").count() == 50
    page.page.evaluate(PRESSES)
    page.wait("document.querySelector('.rows-said').textContent.includes('301–350 of')")  # each press counts
    page.page.locator(".rows-pages input").fill("600")
    page.page.locator(".rows-pages input").press("Enter")
    page.wait("document.querySelector('.rows-said').textContent.includes('29,951–30,000 of 30,000')")
    page.page.locator(".rows-field input[type=search]").fill("clip_04242")
    page.wait("document.querySelector('.rows-said').textContent.includes('of 3 captions')")
    assert set(rows(page)) == {"clip_04242"}
    print("seconds a page:", [round(one, 2) for one in waited])
    assert page.complaints == []


#: The table alone: `send` gives it a value, `window.questions` is what it asked.
TABLE_ALONE = """(script) => {
  document.body.innerHTML = '<div id="rows"><form class="rows-tools"></form><p class="rows-said"></p>'
    + '<div class="rows-scroll"><table><thead></thead><tbody></tbody></table></div>'
    + '<nav class="rows-pages"></nav></div>';
  const element = document.querySelector("#rows");
  const props = { value: JSON.stringify({ run: "", look: 0, asked: 0, answer: false }), words: '{"en":{}}' };
  let changed;
  window.questions = [];
  const trigger = (name, data) => window.questions.push(data);
  const watch = (_, call) => { changed = call; };
  new Function("element", "props", "trigger", "watch", script)(element, props, trigger, watch);
  window.send = (value) => { props.value = value; changed(); };
}"""


def test_rows_of_an_older_question_never_show_however_late_they_come(browser: Browser, tmp_path: Path) -> None:
    folders = RunFolders(tmp_path)
    make_run(tmp_path / "one", 6, traces=False, scored=False, failed=(4,))
    make_run(tmp_path / "two", 3, traces=False, scored=False)
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.evaluate(TABLE_ALONE, web_asset("words.js") + web_asset("run_table.js"))

        def send(asked: Asked, *, answer: bool = False) -> None:
            value = table_value(folders.open(asked.run), asked, answer=answer) if asked.run else empty_table(asked)
            page.evaluate("(value) => window.send(value)", value)

        def clips() -> int:
            return len(set(page.locator("tbody .row-id").all_inner_texts()))

        def questions() -> list[dict[str, Any]]:
            return page.evaluate("window.questions")

        opened = Asked().anew("one", Query())
        send(opened)
        assert clips() == 6
        page.locator("select[name=state]").select_option("failed")
        filtered = opened.heard(questions()[0])
        send(filtered, answer=True)
        assert clips() == 1
        send(opened)  # an update of the whole view that began before the question
        assert clips() == 1 and len(questions()) == 2, "it is asked again, for what else was new in it"
        again = filtered.heard(questions()[1])
        assert again.query.state == "failed"
        send(filtered, answer=True)
        assert clips() == 1 and len(questions()) == 2, "an answer that was overtaken is only dropped"
        send(again, answer=True)
        assert clips() == 1 and page.locator("#rows.waiting").count() == 0
        another = again.anew("two", Query())
        send(another)
        assert clips() == 3
        for late in (opened, again, Asked()):
            send(late, answer=late is again)
            assert clips() == 3 and len(questions()) == 2, "the run before is not shown again"


# ── Corpora that are not in order ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def starting(browser: Browser, evaluations: Served) -> Iterator[Visit]:
    """A visitor who looks at one corpus after the other."""
    with _visiting(browser) as open_page:
        page = open_tab(open_page, evaluations)
        yield page
        assert page.complaints == []


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_corpus_is_told_in_both_languages(starting: Visit, name: str) -> None:
    page, bad = starting, BAD[name]
    choose(page, "evaluate-place", f"{name}, on this server")
    page.wait("document.querySelectorAll('#evaluate-found .check').length === 0")  # what the one before was told
    said = look(page)
    assert bad.said in said
    assert page.page.locator("#evaluate-begin").is_enabled() == bad.usable
    page.page.locator("#locale").get_by_label("中文").check()
    page.wait(f"document.querySelector('#evaluate-found').textContent.includes({json.dumps(bad.in_chinese)})")
    left = page.page.locator("#evaluate-found .check > div > [lang=en]").all_inner_texts()
    assert left == [], "said in English on the Chinese page"
    page.page.locator("#locale").get_by_label("English").check()
    page.wait(f"document.querySelector('#evaluate-found').textContent.includes({json.dumps(bad.said)})")
    assert page.complaints == []


def test_a_zip_is_unpacked_and_a_broken_one_refused(visit: Open, evaluations: Served, tmp_path: Path) -> None:
    page = open_tab(visit, evaluations)
    corpus = evaluations.folder / "corpora" / "fine"
    good, broken = tmp_path / "mine.zip", tmp_path / "broken.zip"
    with zipfile.ZipFile(good, "w") as archive:
        for path in corpus.rglob("*"):
            archive.write(path, f"mine/{path.relative_to(corpus)}")
    broken.write_bytes(b"no zip at all")
    page.page.locator("#evaluate-bring-corpus").locator("xpath=..").locator("input[type=file]").set_input_files(broken)
    page.wait("document.querySelector('#evaluate-start-said').textContent.includes('no zip file')")
    page.page.locator("#evaluate-bring-corpus").locator("xpath=..").locator("input[type=file]").set_input_files(good)
    page.wait("document.querySelector('#evaluate-start-said').textContent.includes('is unpacked')")
    assert page.page.locator("#evaluate-place input").input_value() == "mine, uploaded"
    assert "can be captioned and scored" in look(page)


# ── Without models, on a phone, for everybody ─────────────────────────────────────────────────────────────────────


def test_without_models_runs_are_looked_at_and_nothing_is_started(visit: Open, bare_page: Served) -> None:
    run = bare_page.folder / "ugsd" / "runs" / "kept"
    if not run.is_dir():
        make_run(run, 6, scored=False)
    page = open_tab(visit, bare_page, "kept", strip="inspect-strip")
    page.page.locator("#evaluate-score").click()
    page.wait("document.querySelector('#evaluate-table table') !== null", 60)
    view(page, "differences")
    page.page.locator("#evaluate-compare-go").click()
    page.wait("document.querySelector('#evaluate-compare-table table') !== null", 60)
    assert "No model is loaded" in look(page)
    assert page.page.locator("#evaluate-begin").is_disabled()


@pytest.mark.parametrize(
    ("scheme", "browser_locale", "viewport"),
    [("light", "zh-CN", {"width": 1360, "height": 900}), ("dark", "en-GB", PHONE)],
    ids=["laptop", "phone"],
)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_page(
    visit: Open, evaluations: Served, scheme: str, browser_locale: str, viewport: dict[str, int]
) -> None:
    page = open_tab(visit, evaluations, color_scheme=scheme, viewport=viewport, locale=browser_locale)
    locale = NAMES[browser_locale]
    heading = json.dumps(say(locale, "eval.group.emotion"))
    page.wait(f"document.querySelector('#evaluate-table').textContent.includes({heading})")
    look(page)
    drawn = "document.querySelectorAll('#evaluate-plots .js-plotly-plot .main-svg').length >= 5"
    for name in ("figures", "clips", "plots", "differences"):
        view(page, name)
        if name == "plots":
            page.wait(drawn, 90)
        page.page.wait_for_timeout(400)
        assert found(page) == [], name
        assert page.fits(), name
        assert viewport is not PHONE or wide(page) == [], name
    view(page, "plots")
    page.page.wait_for_timeout(300)
    assert page.page.evaluate(drawn), "that other parts were looked at took them away"
    assert page.complaints == []


def test_everything_is_reached_with_tab_and_shows_that_it_is(visit: Open, evaluations: Served) -> None:
    page = open_tab(visit, evaluations)
    look(page)
    view(page, "clips")
    page.page.locator(".rows-field input[type=search]").fill("clip_00001")
    page.wait("document.querySelectorAll('.rows tbody tr').length === 3")
    page.wait("document.querySelector('#evaluate-rows.waiting, #evaluate-rows .waiting') === null")  # no rows under way
    page.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.page.locator("h1").click()
    for _ in range(220):
        page.page.keyboard.press("Tab")
        if page.page.evaluate("document.activeElement !== document.body") and page.page.evaluate(STEP):
            break
    missed = page.page.evaluate(f"() => ({NAMED})(({CONTROLS})().filter((node) => !('reached' in node.dataset)))")
    unseen = page.page.evaluate(f"() => ({NAMED})(({CONTROLS})().filter((node) => node.dataset.reached === 'unseen'))")
    assert missed == [] and unseen == []
    # Going past a list chooses nothing in it: no run was opened anew, and the check still holds.
    assert set(rows(page)) == {"clip_00001"} and page.page.locator("#evaluate-begin").is_enabled()
    assert page.page.locator(".rows-field input[type=search]").input_value() == "clip_00001"
    page.page.locator("#evaluate-clips-tab").focus()
    page.page.keyboard.press("ArrowLeft")
    assert page.page.locator("#evaluate-table").is_visible() and not page.page.locator("#evaluate-rows").is_visible()
