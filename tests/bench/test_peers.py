"""Transformers' own decoding writes what ours writes, so that their times can be compared."""

from __future__ import annotations

import warnings

from ugsd_core.acoustic import encode_waveform
from ugsd_core.bench.loop import bare_loop, event_loop
from ugsd_core.bench.pair import example_clips
from ugsd_core.bench.peers import assisted, generate
from ugsd_core.drafter import StreamDrafter
from ugsd_core.models.loading import default_checkpoint, load_speech_model
from ugsd_core.options import DecodingOptions


def test_every_way_to_write_a_models_caption_writes_the_same() -> None:
    edge, verifier = (load_speech_model(default_checkpoint(side)) for side in ("edge", "verifier"))
    code = encode_waveform(example_clips()[0].samples, edge.features)
    options = DecodingOptions(mode="edge", prompt=edge.wording("00"))
    wanted = bare_loop(edge, code, options)
    assert event_loop(StreamDrafter(edge), code, options) == wanted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers' own calls among each other
        assert generate(edge, code, options) == wanted
        assert assisted(verifier, edge, code, options) == bare_loop(verifier, code, options)
