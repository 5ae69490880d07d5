"""Plots hold the run's own figures, in both languages, and their colours can be told from either card."""

from __future__ import annotations

import numpy as np
import pytest

from tests.streams import END, StreamBuilder, every_state
from tests.ui.fake_engine import dying, english
from ugsd_core.result import caption_result
from ui.components import plots
from ui.components.figures import Timeline
from ui.language import LOCALES, Locale
from ui.theme import DARK, LIGHT, contrast


def bars(figure: object) -> dict[str, object]:
    return {trace.name: trace for trace in figure.data}  # type: ignore[attr-defined]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("mode", ["ugsd", "edge", "cloud"])
def test_every_plot_can_be_drawn_of_every_run(locale: Locale, mode: str) -> None:
    events = english(mode)
    result, timeline = caption_result(events), Timeline()
    for event in events:
        timeline.feed(event)
    for figure in (
        plots.entropy_plot(result, locale),
        plots.entropy_histogram(result, locale),
        plots.acceptance_plot(result, locale),
        plots.time_plot(timeline, locale),
        plots.bytes_plot(result, locale),
    ):
        assert figure.to_plotly_json()["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"


def test_entropy_is_drawn_once_a_drafted_token_and_sent_blocks_stand_out() -> None:
    result = caption_result(english())
    stayed, sent = plots.entropy_plot(result, "en").data
    drafted = [token for token in result.tokens if token.entropy_nats is not None]
    inside = {block.block for block in result.blocks if block.escalated}
    assert len(stayed.y) + len(sent.y) == len(drafted)
    assert len(sent.y) == sum(token.block in inside for token in drafted)
    assert sorted([*stayed.x, *sent.x]) == list(range(1, len(drafted) + 1))


def test_the_histogram_counts_every_drafted_token() -> None:
    result = caption_result(every_state())
    drafted = sum(token.entropy_nats is not None for token in result.tokens)
    assert sum(sum(trace.y) for trace in plots.entropy_histogram(result, "en").data) == drafted


def test_acceptance_is_counted_by_place_in_the_block() -> None:
    found = bars(plots.acceptance_plot(caption_result(english()), "en"))
    assert list(found["accepted"].y) == [2, 2, 1, 0]  # type: ignore[attr-defined]
    assert list(found["rejected"].y) == [0, 0, 1, 0]  # type: ignore[attr-defined]
    assert list(found["ignored"].y) == [0, 0, 0, 1]  # type: ignore[attr-defined]
    assert "unverified" in bars(plots.acceptance_plot(caption_result(dying()), "en"))


def test_the_parts_of_a_block_follow_one_another_in_time() -> None:
    timeline = Timeline()
    for event in english():
        timeline.feed(event)
    found = bars(plots.time_plot(timeline, "en"))
    draft, verify = found["draft"], found["verifier"]
    ends = dict(zip(draft.y, np.add(draft.base, draft.x), strict=True))  # type: ignore[attr-defined]
    assert len(verify.y) == 2  # type: ignore[attr-defined]
    for label, base in zip(verify.y, verify.base, strict=True):  # type: ignore[attr-defined]
        assert base == pytest.approx(ends[label] + 2.0)  # the network lies between


def test_the_waveform_is_thinned_and_keeps_its_peaks() -> None:
    time = np.arange(32_000) / 16_000
    samples = (0.5 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    waveform, pitch = plots.sound_plot(samples, "en", plots.pitch_track(samples)).data
    assert len(waveform.x) <= 2 * plots.COLUMNS and max(waveform.y) == pytest.approx(0.5, abs=0.01)
    assert np.nanmedian(pitch.y) == pytest.approx(220, rel=0.02)


def test_the_bytes_are_the_ledgers() -> None:
    result = caption_result(english())
    sizes = {trace.name: trace.x[0] for trace in plots.bytes_plot(result, "en").data}
    assert sizes["waveform (not sent)"] == result.utterance["waveform_bytes"]
    assert sizes["↑ acoustic code"] == 16_384
    assert len(sizes) == 1 + len(result.ledger["rows"])
    alone = caption_result(StreamBuilder("edge").kept("a", END).finish())
    assert len(plots.bytes_plot(alone, "zh").data) == 1


def test_colours_stand_out_from_either_card() -> None:
    for colour in (plots.BLUE, plots.GREEN, plots.RED, plots.AMBER, plots.GREY):
        assert contrast(colour, LIGHT["card"]) >= 3 and contrast(colour, DARK["card"]) >= 3, colour
