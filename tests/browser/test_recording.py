"""Recording from the microphone: level and time left, the cap, and no microphone left open."""

from __future__ import annotations

from tests.browser.conftest import Open, Visit

#: Keeps every microphone stream that the page opens.
STREAMS = """
  window.streams = [];
  const media = navigator.mediaDevices, open = media.getUserMedia.bind(media);
  media.getUserMedia = async (wish) => {
    const stream = await open(wish);
    window.streams.push(stream);
    return stream;
  };
"""
#: Ends recordings after 1.5 s, as if that were the longest.
SHORT = """
  let config;
  Object.defineProperty(window, 'gradio_config', { get: () => config, set: (value) => {
    config = value;
    for (const { props } of value.components) if (props.elem_id === 'meter') props.props.cap_s = 1.5;
  } });
"""
LEVEL = "document.querySelector('#meter i').style.width"
TOLD = "document.querySelector('#meter .meter-time').textContent"


def begin(page: Visit) -> None:
    page.page.locator("#audio .record-button").click()
    page.page.locator("#meter .meter-live").wait_for(state="visible")


def ended(page: Visit) -> None:
    """The recording has arrived, and nothing listens any more."""
    page.wait("!document.querySelector('#run').disabled")
    page.page.locator("#meter .meter-live").wait_for(state="hidden")
    page.wait("window.streams.flatMap((one) => one.getTracks()).every((track) => track.readyState === 'ended')")


def test_level_and_time_left_are_shown_while_the_microphone_records(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, before=STREAMS)
    assert page.page.locator("#meter").is_hidden()
    begin(page)
    assert page.page.evaluate(TOLD) == "recording, 30 s left"
    seen = set()
    for _ in range(20):
        seen.add(page.page.evaluate(LEVEL))
        page.page.wait_for_timeout(60)
    assert len(seen) > 3, f"the level did not move: {seen}"
    page.wait(f"28 >= Number({TOLD}.match(/^recording, (\\d+) s left$/)[1])")
    assert page.page.evaluate("window.streams.length") == 2, "the recorder's and ours"
    page.page.locator("#audio .stop-button").click()
    ended(page)
    assert page.complaints == []


def test_a_recording_ends_by_itself_at_the_longest_length(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, before=STREAMS + SHORT)
    begin(page)
    ended(page)
    note = page.page.locator("#speech-note").inner_text()
    assert 1.2 <= float(note.split(" s of 30 s")[0]) <= 1.9, note


def test_a_pause_does_not_count(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, before=STREAMS + SHORT)
    begin(page)
    page.page.wait_for_timeout(500)
    page.page.locator("#audio .pause-button").click()
    page.page.wait_for_timeout(2000)
    assert page.page.evaluate(TOLD) == "recording, 1 s left" and page.page.locator("#run").is_disabled()
    page.page.locator("#audio .resume-button").click()
    ended(page)


def test_a_recording_that_ends_at_once_leaves_no_microphone_open(visit: Open, fake_page: str) -> None:
    page = visit(fake_page, before=STREAMS)
    begin(page)
    page.page.locator("#audio .stop-button").click()
    page.page.locator("#meter .meter-live").wait_for(state="hidden")
    page.wait("window.streams.flatMap((one) => one.getTracks()).every((track) => track.readyState === 'ended')")
