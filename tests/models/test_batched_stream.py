"""Fed together, captions get the logits that each gets alone, whichever way they attend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import Pair
from tests.models.test_speech_model import code_for, fresh_logits
from ugsd_core.models import packed
from ugsd_core.models.batched_stream import BatchedStream, Feed, feed_together
from ugsd_core.models.packed import can_pack, enable_packing
from ugsd_core.models.speech_model import SpeechModel


def streams(model: SpeechModel, count: int) -> list[BatchedStream]:
    enable_packing(model.model)
    return [BatchedStream(model, code_for(model, seed, 0.4 + 0.13 * seed), None, "en") for seed in range(count)]


@pytest.mark.parametrize("padded", [False, True])
def test_any_sequence_of_shared_passes_and_rollbacks_equals_fresh_forwards(
    pair: Pair, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of unlike lengths on requests of unlike lengths, some captions left out of some passes."""
    monkeypatch.setattr(packed, "ROOM", 6)  # so that memory has to grow
    model, random = pair.verifier, np.random.default_rng(7)
    made, held = streams(model, 5), [[] for _ in range(5)]
    for _ in range(12):
        chosen = [index for index in range(5) if random.random() < 0.7] or [0]
        blocks = {i: [int(x) for x in random.integers(0, model.vocabulary_size, random.integers(0, 8))] for i in chosen}
        feeds = [Feed(made[i], blocks[i], len(blocks[i]) + int(random.integers(0, 2)) or 1) for i in chosen]
        for index, feed, rows in zip(chosen, feeds, feed_together(feeds, padded=padded), strict=True):
            held[index] += blocks[index]
            expected = fresh_logits(model, code_for(model, index, 0.4 + 0.13 * index), held[index])
            np.testing.assert_allclose(rows, expected[len(expected) - feed.rows :], atol=1e-4)
            assert made[index].ids == tuple(held[index])
            if random.random() < 0.6:
                keep = int(random.integers(0, len(held[index]) + 1))
                made[index].truncate(keep)
                del held[index][keep:]


def test_no_token_of_another_caption_and_no_padding_reaches_the_router(pair: Pair) -> None:
    """Which experts a token goes to, alone and in company."""
    if pair.family != "qwen3_omni_moe":
        pytest.skip("this family has no router")
    model = pair.verifier
    seen: list[tuple[int, list[list[int]]]] = []
    layers = model.language_model.layers
    handles = [
        layer.mlp.gate.register_forward_hook(
            lambda module, inputs, output, n=number: seen.append((n, output[2].sort(dim=-1).values.tolist()))
        )
        for number, layer in enumerate(layers)
    ]
    blocks = [[3 + i, 50, 9 * i, 17][: 2 + i % 3] for i in range(4)]
    try:
        alone: dict[int, list[list[int]]] = {number: [] for number in range(len(layers))}
        for stream, block in zip(streams(model, 4), blocks, strict=True):
            seen.clear()
            feed_together([Feed(stream, block, 1)])
            for number, experts in seen:
                alone[number] += experts
        together = streams(model, 4)
        seen.clear()
        feed_together([Feed(stream, block, 1) for stream, block in zip(together, blocks, strict=True)])
    finally:
        for handle in handles:
            handle.remove()
    assert dict(seen) == alone and len(seen) == len(layers)


def test_what_is_added_to_a_captions_logits_stays_with_it(pair: Pair) -> None:
    plain, once = (BatchedStream(model, code_for(model, 3), None, "en") for model in _with_and_without(pair))
    rows = feed_together([Feed(plain, [5, 9], 3), Feed(once, [5, 9], 3)])
    assert rows[1][1, 5] == -1e4 and rows[0][1, 5] != -1e4
    np.testing.assert_allclose(rows[0][0], rows[1][0], atol=1e-4)


def _with_and_without(pair: Pair) -> tuple[SpeechModel, SpeechModel]:
    enable_packing(pair.verifier.model)
    return pair.verifier, replace(pair.verifier, say_once=frozenset({5}))


def test_a_pass_that_fails_changes_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = streams(pair.verifier, 2)
    feed_together([Feed(first, [4, 5], 1), Feed(second, [6], 1)])
    before = [stream.next_logits() for stream in (first, second)]
    last = pair.verifier.language_model.layers[-1]
    handle = last.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
    try:
        with pytest.raises(RuntimeError):
            feed_together([Feed(first, [7, 8], 1), Feed(second, [9], 1)])
    finally:
        handle.remove()
    assert (first.ids, second.ids) == ((4, 5), (6,))
    for stream, row in zip((first, second), before, strict=True):
        stream._last_hidden = None
        np.testing.assert_allclose(stream.next_logits(), row, atol=1e-4)


def test_memory_is_known_and_a_pass_leaves_none_behind(pair: Pair) -> None:
    (stream,) = streams(pair.verifier, 1)
    size = stream.size_bytes
    feed_together([Feed(stream, list(range(40)), 41)])
    assert stream.size_bytes == size == stream.held.block.untyped_storage().nbytes()
    assert stream.next_hidden().untyped_storage().nbytes() == stream.next_hidden().numel() * 4


def test_a_model_that_forgets_or_is_spread_out_is_not_packed(pair: Pair) -> None:
    model = pair.verifier.model
    assert can_pack(model)
    config = model.config.get_text_config()
    config.use_sliding_window = True
    try:
        assert not can_pack(model)
    finally:
        config.use_sliding_window = False
    assert torch.is_inference_mode_enabled() is False
