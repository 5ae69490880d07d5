"""Rolled back and continued, a stream equals a fresh forward pass; streams on one model do not disturb each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from tests.conftest import Pair
from tests.models.test_speech_model import code_for, fresh_logits
from ugsd_core.models.caption_stream import CaptionStream


def test_any_sequence_of_rollbacks_equals_a_fresh_forward(pair: Pair) -> None:
    for model in (pair.edge, pair.verifier):
        random = np.random.default_rng(5)
        code = code_for(model)
        stream = model.open(code, None, "en")
        held: list[int] = []
        for _ in range(25):
            block = [int(i) for i in random.integers(0, model.vocabulary_size, random.integers(1, 7))]
            rows = stream.feed(block, rows=len(block) + 1)
            expected = fresh_logits(model, code, held + block)
            np.testing.assert_allclose(rows, expected[len(held) :], atol=1e-4)
            held += block
            keep = int(random.integers(0, len(held) + 1)) if random.random() < 0.6 else len(held)
            stream.truncate(keep)
            del held[keep:]
            np.testing.assert_allclose(stream.next_logits(), expected[len(held)], atol=1e-4)
            assert stream.length == len(held)


def test_streams_on_one_model_do_not_disturb_each_other_in_threads(pair: Pair) -> None:
    model = pair.verifier

    def write(seed: int) -> list[int]:
        stream: CaptionStream = model.open(code_for(model, seed, 0.5 + 0.1 * seed), None, "en")
        ids = [int(stream.next_logits().argmax())]
        for _ in range(11):
            ids.append(int(stream.feed(ids[-1:], rows=1)[0].argmax()))
        return ids

    alone = [write(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(8))) == alone


def test_what_is_to_be_said_once_is_out_of_question_from_then_on(pair: Pair) -> None:
    ids = [5, 9, 6, 5]
    model = replace(pair.edge, say_once=frozenset({5, 6}))
    code = code_for(model, 3)
    plain, once = pair.edge.open(code, None, "en"), model.open(code, None, "en")
    before, rows = plain.feed(ids, rows=5), once.feed(ids, rows=5)
    said = [set(), {5}, {5}, {5, 6}, {5, 6}]
    for row, free, gone in zip(rows, before, said, strict=True):
        assert all(row[i] == -1e4 for i in gone)
        kept = [i for i in range(model.vocabulary_size) if i not in gone]
        np.testing.assert_allclose(row[kept], free[kept], atol=1e-4)
    once.truncate(1)
    assert once.next_logits()[6] != -1e4 and once.next_logits()[5] == -1e4
    part = once.feed([9, 6], rows=1)[0]
    np.testing.assert_allclose(part, rows[3], atol=1e-4)
