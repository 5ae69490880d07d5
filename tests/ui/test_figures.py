"""Tiles, tables, bars and ledger as markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.streams import END, StreamBuilder, every_state
from tests.ui.fake_engine import dying, english
from ugsd_core.messages import BlockJudged, Event, FeaturesReady
from ugsd_core.result import CLOCK_DEFINITIONS, RATIO_DEFINITIONS, caption_result
from ui.components.figures import Timeline, clock_table, fact_tiles, ledger_table, ratio_table, size, waterfall
from ui.language import LOCALES, Locale


def bars(events: list[Event], locale: Locale = "en") -> str:
    timeline = Timeline()
    for event in events:
        timeline.feed(event)
    return waterfall(timeline, locale)


class Balance(HTMLParser):
    """Fails on tags that are not closed in order."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("events", [every_state(), dying(), english("edge"), english("cloud")])
def test_markup_is_well_formed_whatever_happened(events: list[Event], locale: Locale) -> None:
    for n in (1, len(events) // 2, len(events)):
        result = caption_result(events[:n])
        for draw in (fact_tiles, ratio_table, clock_table, ledger_table):
            Balance(draw(result, locale))
        Balance(bars(events[:n], locale))


class Words(HTMLParser):
    """Collects what is read: text, and the attributes that tell what a picture shows."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.said += [value for name, value in attrs if name in ("aria-label", "title")]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


#: Names and units, and what the streams made by hand call their messages.
KEPT = {"kB", "ms", "WebSocket", "TCP", "open for a test", "verify for a test"}


@pytest.mark.parametrize("events", [[], every_state(), dying(), english(), english("edge"), english("cloud")])
def test_no_english_is_left_in_chinese(events: list[Event]) -> None:
    result = caption_result(events) if events else None
    markup = "".join(draw(result, "zh") for draw in (fact_tiles, ratio_table, clock_table, ledger_table))
    said = " ".join(Words(markup + bars(events, "zh")).said)
    for kept in KEPT:
        said = said.replace(kept, "")
    assert re.findall(r"[A-Za-z]{2,}", said) == []


def test_both_languages_tell_the_same_numbers() -> None:
    result = caption_result(english())
    for draw in (fact_tiles, ratio_table, clock_table, ledger_table):
        numbers = [re.findall(r"<b>([\d.]+)|class=\"n\">([\d.]+)", draw(result, locale)) for locale in LOCALES]
        assert numbers[0] == numbers[1] and (numbers[0] or draw is fact_tiles)
    assert "第 6 块，已送出，有改动：起草 9.0 ms、网络 2.0 ms、校验 6.0 ms、合并 0.5 ms" in bars(english(), "zh")


def test_every_ratio_and_clock_of_the_engine_has_its_definition_in_reach() -> None:
    result = caption_result(every_state())
    assert all(RATIO_DEFINITIONS[name].replace("'", "&#x27;") in ratio_table(result) for name in RATIO_DEFINITIONS)
    of_a_caption = [name for name in CLOCK_DEFINITIONS if hasattr(result.clocks, name)]
    table = clock_table(result)
    assert all(CLOCK_DEFINITIONS[name].replace("'", "&#x27;") in table for name in of_a_caption)


def test_tiles_before_and_after() -> None:
    assert fact_tiles(None).count("–") == 4
    tiles = fact_tiles(caption_result(english()))
    assert "2 of 2" in tiles and "64.0 kB of waveform" in tiles and "16.5 kB" in tiles


def test_edge_only_sent_nothing() -> None:
    result = caption_result(english("edge"))
    assert "Nothing was sent." in ledger_table(result) and "64.0 kB" in ledger_table(result)
    assert "0 B" in fact_tiles(result)


def test_the_ledger_adds_up_and_says_what_the_messages_held() -> None:
    markup = ledger_table(caption_result(english()))
    assert "Acoustic code" in markup and "Verdicts" in markup and "16.5 kB" in markup
    assert "open for a test" in markup


def test_the_ledger_says_when_the_verifier_had_the_code_already() -> None:
    events = [e for e in english() if not (e.kind == "frame_sent" and e.traffic == "acoustic_code")]
    assert "earlier caption" in ledger_table(caption_result(events))
    assert "earlier caption" not in ledger_table(caption_result(english()))


def test_a_line_for_each_block_and_bars_inside_the_axis() -> None:
    markup = bars(english())
    assert markup.count('class="wf-row"') == 8 + 3
    assert "Block 6, sent, changed: draft 9.0 ms, network 2.0 ms, verifier 6.0 ms, merge 0.5 ms" in markup
    lefts = [float(part.split("%")[0]) for part in markup.split("left:")[1:]]
    assert all(0 <= left <= 100 for left in lefts)


def test_a_wait_at_the_verifier_is_a_bar_of_its_own() -> None:
    events = [replace(e, queued_ms=40.0) if isinstance(e, BlockJudged) else e for e in english()]
    assert "network 2.0 ms, queue 40.0 ms, verifier 6.0 ms" in bars(events) and '<i class="queued">' in bars(events)
    assert '<i class="queued">' not in bars(english())


def test_what_took_no_time_gets_no_line() -> None:
    known = [replace(e, extract_ms=0.04) if isinstance(e, FeaturesReady) else e for e in english()]
    assert "Acoustic code, read" in bars(english()) and "Acoustic code" not in bars(known)
    assert bars(known).count('class="wf-row"') == 8 + 2


def test_a_block_that_was_never_sent_still_gets_a_line() -> None:
    assert "not verified" in bars(StreamBuilder().unverified("a", END, sent=False).finish())


def test_text_from_outside_is_escaped() -> None:
    stream = StreamBuilder()
    stream.frame("up", "control", "<script>alert(1)</script>", 1, 64)
    markup = ledger_table(caption_result(stream.kept("a", END).finish()))
    assert "<script" not in markup and "&lt;script" in markup


@pytest.mark.parametrize(("n", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.50 MB")])
def test_size(n: int, text: str) -> None:
    assert size(n) == text


def test_cloud_only_shows_how_long_the_verifier_wrote() -> None:
    markup = bars(english("cloud"))
    assert "The verifier writes, verifier 100.0 ms" in markup and markup.count('class="wf-row"') == 4
