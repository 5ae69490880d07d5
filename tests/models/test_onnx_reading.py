"""What onnxruntime reads from logits is what `distribution` says of them."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.models.test_onnx_edge import EXAMPLES, shipped, stream
from ugsd_core.audio import load_utterance
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter
from ugsd_core.messages import TokenDrafted
from ugsd_core.models.caption_model import SAID
from ugsd_core.models.onnx_model import _session
from ugsd_core.models.onnx_reading import OnnxReading, reading_graph
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import Distribution, distribution

SIZE = 861


@lru_cache(maxsize=2)
def session(size: int = SIZE) -> Any:
    return _session(reading_graph(size), 1)


def assert_the_same(ours: Distribution, theirs: Distribution) -> None:
    assert [i for i, _ in ours.top] == [i for i, _ in theirs.top] and ours.best == theirs.best
    assert [p for _, p in ours.top] == pytest.approx([p for _, p in theirs.top], abs=1e-5)
    assert ours.entropy_nats == pytest.approx(theirs.entropy_nats, abs=1e-5)
    assert ours.margin == pytest.approx(theirs.margin, abs=1e-5)
    for token_id in (*(i for i, _ in ours.top), 0, len(ours.scores) - 1):
        assert ours.probability(token_id) == pytest.approx(theirs.probability(token_id), abs=1e-5)
    assert ours.nll_nats(ours.best) == pytest.approx(theirs.nll_nats(theirs.best), abs=1e-5)
    assert float(ours.scores.max()) <= 0.0


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_both_readings_agree_from_flat_to_certain(k: int) -> None:
    chance, row = np.random.default_rng(k), np.empty(SIZE, dtype=np.float32)
    reading = OnnxReading(session(), row, k)
    for spread in (0.0, 0.3, 3.0, 12.0, 60.0):
        row[:] = chance.normal(scale=spread, size=SIZE) + 20.0
        reading.added[:] = chance.choice([0.0, -2.0, SAID], size=SIZE, p=[0.8, 0.1, 0.1])
        found = reading.read()
        assert_the_same(found, distribution(row + reading.added, k))
        row[:] = 0.0  # as the next pass does
        assert found.probability(found.best) == pytest.approx(found.top[0][1], abs=1e-5)


def test_ties_go_to_the_lower_id_and_the_best_is_the_argmax_to_the_last_bit() -> None:
    row = np.zeros(SIZE, dtype=np.float32)
    reading = OnnxReading(session(), row, 5)
    assert [i for i, _ in reading.read().top] == [0, 1, 2, 3, 4]
    row[[700, 40]] = 20.0
    row[700] = np.nextafter(row[700], np.float32(30.0))  # no softmax could tell the two apart
    assert [i for i, _ in reading.read().top[:2]] == [700, 40] and reading.read().best == int(row.argmax())


def test_a_vocabulary_may_be_smaller_than_what_is_asked_for() -> None:
    row = np.array([0.0, 2.0, 1.0], dtype=np.float32)
    assert_the_same(OnnxReading(session(3), row, 20).read(), distribution(row, 20))


def test_a_stream_reads_what_it_would_have_handed_out() -> None:
    said = min(shipped().say_once)
    reading, handing = stream(shipped()), stream(shipped())
    assert_the_same(reading.read(None, 5), distribution(handing.next_logits(), 5))
    for ids in ([5, said, 17], [300, 9, said]):
        for token_id in ids:
            assert_the_same(reading.read(token_id, 5), distribution(handing.feed([token_id], rows=1)[0], 5))
        assert reading.next_logits() == pytest.approx(handing.next_logits())
        for made in (reading, handing):
            made.truncate(1)  # what was said is forgotten
        assert_the_same(reading.read(None, 5), distribution(handing.next_logits(), 5))
    reading.feed([said, 4], rows=1), handing.feed([said, 4], rows=1)
    assert_the_same(reading.read(8, 3), distribution(handing.feed([8], rows=1)[0], 3))


class Handing:
    """The shipped model, whose streams hand out logits and read nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(shipped(), name)

    def open(self, *request: Any) -> Any:
        opened = shipped().open(*request)
        names = ("next_logits", "feed", "truncate", "masked_logits", "input_tokens", "width", "label_posterior")
        return SimpleNamespace(**{name: getattr(opened, name) for name in names})


@pytest.mark.parametrize("language", ["en", "zh"])
def test_events_are_the_same_whoever_reads_the_distributions(language: Any) -> None:
    told = []
    for model in (shipped(), Handing()):
        captioner = Captioner(StreamDrafter(model))  # type: ignore[arg-type]
        options = DecodingOptions(mode="edge", language=language, cut="emotion")
        events = captioner.stream(load_utterance(EXAMPLES[1]), options)
        told.append([event for event in events if isinstance(event, TokenDrafted)])
    assert len(told[0]) == len(told[1]) > 5
    for ours, theirs in zip(*told, strict=True):
        assert (ours.token_id, ours.text, ours.block) == (theirs.token_id, theirs.text, theirs.block)
        assert [(a.token_id, a.text) for a in ours.top] == [(a.token_id, a.text) for a in theirs.top]
        assert [a.probability for a in ours.top] == pytest.approx([a.probability for a in theirs.top], abs=1e-5)
        for name in ("entropy_nats", "margin", "nll_nats", "label_entropy_nats", "text_doubt", "fused_doubt"):
            ours_is, theirs_is = getattr(ours.signals, name), getattr(theirs.signals, name)
            assert ours_is == pytest.approx(theirs_is, abs=1e-5), name
        assert (ours.signals.label_mass or ()) == pytest.approx(theirs.signals.label_mass or (), abs=1e-5)


def test_the_distribution_outlives_the_next_pass() -> None:
    made = stream(shipped())
    first = made.read(5, 5)
    kept = first.scores.copy()
    made.read(17, 5)
    assert np.array_equal(first.scores, kept)
