"""The page in both languages: by the browser's, by the switch, and with nothing left in the other one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Open, Visit
from tests.browser.test_caption_tab import PHONE, outside, upload

CHINESE: dict[str, Any] = {"locale": "zh-CN"}

#: All that is read on the page, by eye or by ear. Captions and their tokens have a language of their own; the names of
#: microphones come from the machine.
READ = """() => {
  const visible = (node) => node.checkVisibility({ visibilityProperty: true });
  const captions = '.tok, .word, #caption-text textarea, .mic-select';
  const said = [];
  for (const node of document.querySelectorAll('body *')) {
    if (['SCRIPT', 'STYLE', 'OPTION'].includes(node.tagName) || !visible(node)) continue;
    for (const name of ['aria-label', 'aria-valuetext', 'title', 'placeholder', 'alt']) {
      said.push(node.getAttribute(name));
    }
    if (node.closest(captions)) continue;
    for (const child of node.childNodes) if (child.nodeType === Node.TEXT_NODE) said.push(child.data);
    if (node.matches('input[role=listbox], textarea')) said.push(node.value);
  }
  return said.filter((text) => text && text.trim());
}"""
#: Names and units, and what the scripted engine calls its messages.
KEPT = re.compile(r"UGSD( Studio)?|English|NLL|kB|ms|dBFS|WebSocket|TCP|(open|verify) for a test|“[^”]*”")


def said(page: Visit) -> list[str]:
    return page.page.evaluate(READ)


def english_left(page: Visit) -> list[str]:
    return [text for text in said(page) if re.search(r"[A-Za-z]{2,}", KEPT.sub("", text))]


def chinese_left(page: Visit) -> list[str]:
    return [text for text in said(page) if re.search(r"[\u4e00-\u9fff]", text) and text.strip() != "中文"]


def switch(page: Visit, name: str) -> None:
    """Choose a language and wait until what the server writes is there in it."""
    page.page.locator("#locale").get_by_label(name).check()
    spoken(page, name)


def spoken(page: Visit, name: str = "中文") -> None:
    heading = {"中文": "比率", "English": "Ratios"}[name]
    page.wait(f"document.querySelector('#tables h2')?.textContent === '{heading}'")
    page.page.wait_for_timeout(300)


def captioned(page: Visit) -> str:
    """Caption an example, pin a token, and open everything that opens."""
    page.example()
    page.caption()
    status = page.finished()
    page.page.locator("#strip .strip .tok.rejected").click()
    open_all(page)
    return status


def open_all(page: Visit) -> None:
    """Open everything that opens."""
    for button in ("#help button", "#more-settings button"):
        page.page.locator(button).first.click()
    page.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.page.wait_for_timeout(300)


#: Hides the addresses of Gradio's modules.
WITHOUT_MODULE = """
  const all = Document.prototype.querySelectorAll;
  Document.prototype.querySelectorAll = function (query) {
    return query.startsWith('link[href]') ? [] : all.call(this, query);
  };
  performance.getEntriesByType = () => [];
"""


# ── By the browser ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_chinese_browser_is_shown_a_chinese_page(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, **CHINESE)
    spoken(page)
    assert page.page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.page.locator("#locale").get_by_label("中文").is_checked()
    assert page.page.get_by_role("group", name="页面语言").get_attribute("id") == "locale"
    assert page.page.locator("#run").inner_text() == "生成描述"
    assert page.page.locator("#mode label").all_inner_texts() == ["UGSD 协同", "仅本机", "仅云端"]
    assert page.page.locator("#preset input").input_value() == "默认（校准门控）"
    assert page.page.locator("#rank input[type=range]").get_attribute("aria-label").startswith("前 r 名之内")
    assert page.page.locator(".example").first.inner_text() == "快速、高音、活泼（英语）"
    page.page.locator("#limit input").click()
    assert page.page.locator("#limit [role=option]").first.inner_text().endswith("预算")
    page.page.keyboard.press("Escape")
    assert english_left(page) == []


def test_its_captions_are_chinese_at_first_and_nothing_english_is_left(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, **CHINESE)
    spoken(page)
    assert page.page.locator("#language").get_by_label("中文").is_checked()
    assert captioned(page).startswith("完成：")
    assert page.page.locator("#caption-text textarea").input_value() == "说话人声音低沉，忧伤。"
    assert english_left(page) == []
    assert page.complaints == [] and outside(page.requests) == []


@pytest.mark.parametrize(
    ("languages", "shown"),
    [("['fr', 'zh-TW', 'en']", "zh-CN"), ("['en-GB', 'zh-CN']", "en"), ("['fr', 'de']", "en"), ("[]", "en")],
)
def test_the_first_language_of_the_visitor_that_the_page_speaks_is_taken(
    visit: Open, fake_page: str, languages: str, shown: str
) -> None:
    page = visit(fake_page, before=f"Object.defineProperty(navigator, 'languages', {{ value: {languages} }})")
    assert page.page.evaluate("document.documentElement.lang") == shown
    spoken(page, "中文" if shown == "zh-CN" else "English")


# ── By the switch ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_switch_turns_a_finished_run_and_all_else_without_a_reload(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    assert page.page.locator("#language").get_by_label("English").is_checked()
    status = captioned(page)
    page.page.evaluate("window.stayed = true")
    assert chinese_left(page) == []
    switch(page, "中文")
    parts = {
        "#strip .legend": "本机保留",
        "#strip .strip-note": "“calm”：被拒。",
        "#strip .what-if": "超过此值就询问",
        "#inspector": "校验模型给的概率",
        "#status": "完成：8 块中有 2 块询问了校验模型，全部有改动。",
        "#tiles": "2 次中 2 次",
        "#tables": "校验模型写的描述",
        "#waterfall": "录音完整",
        "#ledger": "留在本机：波形，64.0 kB。",
        "#speech-note": "电平良好",
        "#help": "两个模型合写一条描述",
    }
    assert {part: text for part, text in parts.items() if text not in page.page.locator(part).inner_text()} == {}
    assert english_left(page) == []
    assert page.page.locator("#caption-text textarea").input_value().endswith("sorrowful.")
    assert page.page.locator("#language").get_by_label("English").is_checked(), "the caption's language is another"
    assert page.page.get_by_role("group", name="页面语言").get_attribute("id") == "locale"
    switch(page, "English")
    assert page.status() == status and chinese_left(page) == []
    assert page.page.evaluate("window.stayed") and page.complaints == [] and outside(page.requests) == []


def test_the_choice_is_remembered(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    switch(page, "中文")
    page.page.reload()
    spoken(page)
    assert page.page.locator("#run").inner_text() == "生成描述"
    assert page.page.locator("#locale").get_by_label("中文").is_checked()


def test_a_run_goes_on_in_the_language_that_is_chosen_while_it_runs(visit: Open, slow_page: str) -> None:
    page = visit(slow_page)
    page.example()
    page.caption()
    page.wait("document.querySelectorAll('#strip .strip .tok').length > 3")
    switch(page, "中文")
    assert page.finished().startswith("完成：")
    assert "录音完整" in page.page.locator("#waterfall").inner_text()
    assert english_left(page) == []


def test_a_bad_file_is_told_in_the_language_of_the_page(visit: Open, fake_page: str, tmp_path: Path) -> None:
    bad = tmp_path / "notes.wav"
    bad.write_bytes(b"these are notes, not sound" * 50)
    page = visit(fake_page)
    upload(page, bad)
    note = page.page.locator("#speech-note [role=alert]")
    note.wait_for()
    assert note.inner_text().startswith("notes.wav")
    switch(page, "中文")
    assert note.inner_text() == "这不是音频或视频文件；请选择一段录音。"


def test_a_note_on_the_settings_is_told_in_the_language_of_the_page(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, **CHINESE)
    spoken(page)
    page.page.locator("#preset input").click()
    page.page.get_by_role("option", name="论文").click()
    page.wait("document.querySelector('#settings-note').textContent.includes('几乎什么也拒绝不了')")
    switch(page, "English")
    page.wait("document.querySelector('#settings-note').textContent.includes('rejects almost nothing')")


def test_the_page_still_turns_where_gradio_cannot_be_told(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, before=WITHOUT_MODULE)
    switch(page, "中文")
    assert "请录制" in page.status() and "本机保留" in page.page.locator("#strip .legend").inner_text()
    assert page.page.locator("#run").inner_text() == "Caption", "Gradio's own labels keep the browser's language"
    assert page.complaints == []


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_phone_needs_no_sideways_scrolling_in_chinese_either(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, viewport=PHONE, has_touch=True, is_mobile=True, **CHINESE)
    spoken(page)
    assert page.fits()
    captioned(page)
    assert page.fits()
    title, locale = (page.page.locator(part).bounding_box() for part in ("#head h1", "#locale"))
    assert title["y"] < locale["y"] + locale["height"] and locale["y"] < title["y"] + title["height"], "one line"
    assert locale["x"] + locale["width"] <= PHONE["width"]
