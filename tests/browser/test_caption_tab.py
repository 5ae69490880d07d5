"""The caption tab as a visitor meets it, on a scripted engine and on the real pair."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

from tests.browser.conftest import Open, Served, Visit

PHONE = {"width": 390, "height": 844}


def outside(requests: list[str]) -> list[str]:
    local = ("127.0.0.1", "localhost")
    return [url for url in requests if url.startswith(("http", "ws")) and urlsplit(url).hostname not in local]


# ── A caption ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_states_are_seen_live_and_in_order_and_the_caption_ends(visit: Open, slow_page: str) -> None:
    page = visit(slow_page)
    page.example()
    page.caption()
    status = page.finished()
    seen = page.states()
    assert seen["drafted"] <= seen["kept_local"] <= seen["waiting"] <= seen["accepted"]
    assert seen["drafted"] < seen["accepted"], "the caption came all at once"
    assert {"rejected", "corrected", "ignored", "bonus"} <= set(seen)
    assert status == "Finished. The verifier was asked about 2 of 8 blocks and changed all of them."
    caption = page.page.locator("#caption-text textarea").input_value()
    assert caption.startswith("In the audio, the speaker's voice") and caption.endswith("sorrowful.")
    struck = [chip["text"] for chip in page.chips() if chip["state"] == "rejected"]
    assert struck == ["calm"]
    assert page.page.locator(".legend-state[data-state=kept_local] b").inner_text() == "20"
    assert page.complaints == []
    assert len(page.requests) > 5 and outside(page.requests) == []


def test_stop_cancels_and_the_next_caption_runs(visit: Open, slow_page: str) -> None:
    page = visit(slow_page)
    page.example()
    page.caption()
    page.wait("document.querySelectorAll('#strip .strip .tok').length > 3")
    page.page.locator("#stop").click()
    assert page.finished() == "Stopped. What stands here is not a finished caption."
    assert page.page.locator("#strip .strip.live").count() == 0
    assert page.page.locator("#caption-text textarea").input_value() == ""
    page.caption()
    assert page.finished().startswith("Finished.")


def test_chinese_captions_and_half_characters(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    page.example()
    page.page.locator("#language").get_by_label("中文").check()
    page.caption()
    page.finished()
    assert page.page.locator("#caption-text textarea").input_value() == "说话人声音低沉，忧伤。"
    assert page.page.locator("#strip .strip").get_attribute("lang") == "zh"


def test_a_lost_verifier_leaves_unverified_tokens_and_a_clear_line(visit: Open, dying_page: str) -> None:
    page = visit(dying_page)
    page.example()
    page.caption()
    assert page.finished().startswith("The verifier stopped answering; 4 tokens are unverified")
    unverified = [chip["text"] for chip in page.chips() if chip["state"] == "unverified"]
    assert unverified == [", <b>so</b>", "sad", "and", "tired"], "text is text, never markup"


# ── Reading the strip ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_tells_why_by_pointer_keyboard_and_tap(finished: Visit) -> None:
    page = finished
    note = page.page.locator("#strip .strip-note")
    rejected = page.page.locator("#strip .strip .tok.rejected")
    rejected.hover()
    assert "“calm”: rejected" in note.inner_text() and "Its block was sent" in note.inner_text()
    rejected.focus()
    page.page.keyboard.press("ArrowRight")
    assert "“ly”: ignored" in note.inner_text()
    page.page.keyboard.press("Home")
    assert "“In”: kept here" in note.inner_text()
    page.page.locator("#strip .strip .tok.corrected").tap()
    assert "“sor”: corrected" in note.inner_text()
    assert page.page.locator("#strip .strip .tok.pinned").inner_text() == "sor"


def test_only_one_chip_is_a_stop_for_the_tab_key(finished: Visit) -> None:
    page = finished
    assert page.page.locator("#strip .strip .tok[tabindex='0']").count() == 1


def test_the_legend_isolates_a_state(finished: Visit) -> None:
    page = finished
    button = page.page.locator(".legend-state[data-state=accepted]")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.page.locator("#strip .strip .tok.match").count() == 5
    button.click()
    assert page.page.locator("#strip .strip.isolating").count() == 0


def test_a_press_right_after_a_caption_is_never_lost(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    page.example()
    pressed = """async () => {
      const button = document.querySelector('#run');
      const turns = (off) => new Promise((go) => {
        const look = () => (button.disabled === off ? go() : setTimeout(look, 0));
        look();
      });
      let begun = 0;
      for (let i = 0; i < 4; i++) {
        button.click(); // at the first moment at which it can be pressed
        await Promise.race([turns(true), new Promise((go) => setTimeout(go, 4000))]);
        begun += button.disabled;
        await turns(false);
      }
      return begun;
    }"""
    assert page.page.evaluate(pressed) == 4
    assert page.complaints == []


def test_our_own_sliders_are_filled_up_to_their_thumb(finished: Visit) -> None:
    page = finished.page

    def filled(name: str, condition: str) -> None:
        value = f"parseFloat(document.querySelector('{name}').style.getPropertyValue('--range_progress'))"
        finished.wait(f"{value} {condition}")  # a moment is drawn with the browser's next frame

    page.locator(".what-if input").evaluate(
        "(one) => { one.value = one.max / 4; one.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    filled(".what-if input", "> 24.5")
    filled(".what-if input", "< 25.5")
    page.locator(".what-if-reset").click()
    filled(".replay-time", "=== 100")
    page.locator(".replay-time").focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    filled(".replay-time", "< 95")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    filled(".replay-time", "=== 100")


def test_definitions_open_by_keyboard(finished: Visit) -> None:
    page = finished
    page.page.locator("#tiles summary").first.focus()
    page.page.keyboard.press("Enter")
    assert page.page.locator("#tiles details[open] p").inner_text().startswith("Drafted tokens sent")


# ── Recordings ────────────────────────────────────────────────────────────────────────────────────────────────────


def upload(page: Visit, path: Path) -> None:
    page.page.locator("#audio [aria-label='Upload file']").click()
    page.page.locator("#audio input[type=file]").set_input_files(path)


def test_a_bad_file_gets_a_message_and_no_run_button(visit: Open, fake_page: str, tmp_path: Path) -> None:
    bad = tmp_path / "notes.wav"
    bad.write_bytes(b"these are notes, not sound" * 50)
    page = visit(fake_page)
    upload(page, bad)
    page.wait("document.querySelector('#speech-note [role=alert]') !== null")
    said = page.page.locator("#speech-note [role=alert]").inner_text()
    assert said.startswith("notes.wav") and "Traceback" not in said
    assert page.page.locator("#run").is_disabled()


def test_a_long_file_offers_its_first_30_seconds(visit: Open, fake_page: str, tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    noise = 0.2 * np.random.default_rng(0).standard_normal(31 * 8000)
    soundfile.write(long, np.clip(noise, -0.9, 0.9), 8000)
    page = visit(fake_page)
    upload(page, long)
    offer = page.page.get_by_role("button", name="Caption the first 30 seconds")
    offer.wait_for(state="visible")
    assert page.page.locator("#run").is_disabled()
    offer.click()
    page.wait("!document.querySelector('#run').disabled")
    assert "30.0 s" in page.page.locator("#speech-note").inner_text()


def test_a_recording_is_deleted_with_the_next_one_and_when_its_visitor_leaves(
    visit: Open, fake_page: Served, tmp_path: Path
) -> None:
    def kept() -> set[str]:
        return {path.name for path in fake_page.folder.glob("ugsd-uploads-*/**/visitor-*")}

    rng = np.random.default_rng(1)
    page = visit(fake_page)
    for name in ("visitor-1.wav", "visitor-2.wav"):
        soundfile.write(tmp_path / name, 0.2 * np.clip(rng.standard_normal(16_000), -3, 3), 16_000)
    upload(page, tmp_path / "visitor-1.wav")
    page.wait("!document.querySelector('#run').disabled")
    assert kept() == {"visitor-1.wav"}
    page.page.locator("#audio [aria-label='Clear']").click()
    page.wait("document.querySelector('#run').disabled")
    page.page.locator("#audio input[type=file]").set_input_files(tmp_path / "visitor-2.wav")
    page.wait("!document.querySelector('#run').disabled")
    assert kept() == {"visitor-2.wav"}
    page.page.close()
    end = time.monotonic() + 30
    while kept():
        assert time.monotonic() < end, "the recording outlived its visitor"
        time.sleep(0.2)


def test_the_run_button_waits_for_the_recording_to_arrive(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    assert page.page.locator("#run").is_disabled()
    record(page, 1.5)
    assert " s of 30 s" in page.page.locator("#speech-note").inner_text()


def record(page: Visit, seconds: float) -> None:
    page.page.locator("#audio .record-button").click()
    page.page.locator("#audio .stop-button").first.wait_for(state="visible")
    assert page.page.locator("#run").is_disabled()
    page.page.wait_for_timeout(1000 * seconds)
    page.page.locator("#audio .stop-button").first.click()
    page.wait("!document.querySelector('#run').disabled")


# ── Settings ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_preset_moves_the_sliders_and_a_useless_rank_is_named(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    page.page.locator("#preset input").click()
    page.page.get_by_role("option", name="paper").click()
    page.wait("document.querySelector('#rank input[type=number]').value === '20'")
    page.wait("document.querySelector('#settings-note').textContent.includes('rejects almost nothing')")


def test_the_keyboard_goes_past_the_presets_and_changes_nothing(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)
    keys, rank = page.page.keyboard, page.page.locator("#rank input[type=number]")
    rank.fill("7")
    keys.press("Enter")
    page.wait("document.querySelector('#settings-note').textContent.includes('7')")
    page.page.locator("#preset input").focus()
    keys.press("Tab")
    page.page.wait_for_timeout(300)
    assert rank.input_value() == "7"
    # A preset is chosen with the keyboard too, and by a click chosen again.
    page.page.locator("#preset input").focus()
    page.page.locator("#preset [role=option]").first.wait_for()
    keys.press("End")
    keys.press("Enter")
    page.wait("document.querySelector('#preset input').getAttribute('aria-expanded') !== 'true'")
    page.wait("document.querySelector('#rank input[type=number]').value !== '7'")
    rank.fill("7")
    keys.press("Enter")
    page.page.locator("#preset input").click()
    page.page.locator("#preset [role=option][aria-selected=true]").click()
    page.wait("document.querySelector('#rank input[type=number]').value !== '7'")


def test_the_slider_of_the_limit_in_force_is_the_one_that_is_shown(visit: Open, fake_page: str) -> None:
    page = visit(fake_page)

    def shown(name: str) -> str:
        return f"document.querySelector('#{name}')?.offsetParent != null"

    for words, slider in (("a promise", "promise"), ("τ", "tau"), ("a budget", "budget")):
        page.page.locator("#limit input").click()
        page.page.get_by_role("option", name=words, exact=True).click()
        page.wait(shown(slider))
        page.wait(" && ".join(f"!({shown(other)})" for other in {"promise", "tau", "budget"} - {slider}))


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_phone_needs_no_sideways_scrolling(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.fits()
    page.example()
    page.caption()
    page.finished()
    assert page.fits()
    page.page.locator("#help button").click()
    page.page.locator("#more-settings button").click()
    page.page.wait_for_timeout(300)
    assert page.fits()


@pytest.mark.parametrize(("scheme", "card"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 31, 37)")])
def test_the_page_follows_the_systems_colour_scheme(visit: Open, fake_page: str, scheme: str, card: str) -> None:
    page = visit(fake_page, color_scheme=scheme)
    page.wait(f"getComputedStyle(document.querySelector('#result-card')).backgroundColor === '{card}'")


# ── The real pair ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.timeout(180)
def test_speech_from_the_microphone_is_captioned_by_the_real_pair(visit: Open, real_page: str) -> None:
    page = visit(real_page)
    record(page, 3.5)
    page.page.locator("#more-settings button").click()
    page.page.locator("#gate input").click()
    page.page.get_by_role("option", name="any emotion word").click()
    page.caption()
    status = page.finished()
    assert status.startswith("Finished. The verifier was asked about"), status
    seen = set(page.states())
    assert {"kept_local"} < seen and len(seen) >= 3, seen
    assert {"accepted", "corrected"} & seen
    caption = page.page.locator("#caption-text textarea").input_value()
    assert caption.endswith(".") and len(caption.split()) > 5
    assert "Acoustic code" in page.page.locator("#ledger").inner_text()
    assert page.complaints == [] and outside(page.requests) == []


def wait_for_end(pid: int) -> None:
    end = time.monotonic() + 30
    while True:
        listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
        if listed.stdout.strip()[:1] in ("", "Z"):
            return
        assert time.monotonic() < end, f"process {pid} does not end"
        time.sleep(0.05)


@pytest.mark.timeout(180)
def test_a_verifier_that_ends_is_started_again_for_the_next_caption(visit: Open, real_page: Served) -> None:
    page = visit(real_page)
    page.example()
    page.caption()
    assert page.finished().startswith("Finished.")
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(real_page.pid)], capture_output=True, text=True)
    verifiers = [int(line.split()[0]) for line in listed.stdout.splitlines() if " verifier " in line]
    assert len(verifiers) == 1
    os.kill(verifiers[0], signal.SIGKILL)
    wait_for_end(verifiers[0])  # while it is dying it would still take the next caption's connection, and lose it
    page.caption()
    assert page.finished().startswith("Finished.")
