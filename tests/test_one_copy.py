"""Weights are held once a process, whoever captions or judges in it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch

from tests.conftest import Pair
from tests.models.test_onnx_edge import shipped
from tests.tiny import FAMILY_NAMES, utterance
from tests.wire.fakes import serving
from ugsd_core.batched_verifier import BatchedVerifier
from ugsd_core.bench.stand_in import StandIn
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter
from ugsd_core.evaluation.systems import parse_systems
from ugsd_core.models.caption_model import CaptionModel
from ugsd_core.models.onnx_model import OnnxModel
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.verifier import TorchVerifier, TorchVerifierUtterance
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.emulated import Conditions
from ui.api import Endpoints
from ui.engine import LiveEngine
from ui.runs import Runs
from ui.speech import Recordings

OPTIONS = DecodingOptions(gate="always", k=4, max_tokens=6)


def models() -> set[int]:
    """The models that this process holds, weights included."""
    gc.collect()
    return {id(model) for model in gc.get_objects() if issubclass(type(model), CaptionModel)}


def weights_bytes() -> int:
    """What torch's weights take here; those that share their memory count once."""
    gc.collect()
    storages = {
        p.untyped_storage().data_ptr(): p.untyped_storage().nbytes()
        for p in gc.get_objects()
        if issubclass(type(p), torch.nn.Parameter)
    }
    return sum(storages.values())


def readers(monkeypatch: pytest.MonkeyPatch, kind: type[Any], name: str = "open", at: int = 0) -> list[int]:
    """Ids of the models that a method is called with from now on; it is the argument of that number."""
    found: list[int] = []
    plain: Callable[..., Any] = getattr(kind, name)

    def spied(*args: Any) -> Any:
        found.append(id(args[at]))
        return plain(*args)

    monkeypatch.setattr(kind, name, spied)
    return found


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_page_comparison_evaluation_and_programs_draft_with_one_copy_of_the_edge(
    backend: str, pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    edge: Any = pairs(FAMILY_NAMES[0]).edge if backend == "torch" else shipped()
    read = readers(monkeypatch, SpeechModel if backend == "torch" else OnnxModel)
    before, bytes_before = models(), weights_bytes()
    with serving(StandIn(edge.info, 0.0, 0.0)) as address:
        engine = LiveEngine(str(edge.folder), verifier=address, backend=backend)
        try:
            (held,) = models() - before
            assert held == id(engine.captioner.drafter.model)  # type: ignore[attr-defined]
            bytes_held = weights_bytes() - bytes_before
            read.clear()
            runs = Runs(engine)

            def told(session: str, options: DecodingOptions, *link: Conditions) -> str:
                last = list(runs.caption(session, utterance(0, 0.5), options, *link))[-1].events[-1]
                return last.kind

            for mode in ("ugsd", "edge"):  # the Caption tab, and each column of the comparison
                assert told("tab", OPTIONS.changed(mode=mode)) == "caption_finished"
            assert told("tab", OPTIONS, Conditions(rtt_ms=2.0)) == "caption_finished"
            endpoints = Endpoints(runs, Recordings(tmp_path))
            assert list(endpoints._events("api", utterance(1, 0.5), OPTIONS))[-1].kind == "caption_finished"
            source = engine.evaluation_source()
            for system in parse_systems("edge,ugsd,speculative"):
                assert list(source.stream(utterance(2, 0.5), system))[-1].kind == "caption_finished"
            assert len(read) == 7 and set(read) == {held}
            assert models() - before == {held} and weights_bytes() - bytes_before == bytes_held
            assert bytes_held > 0 if backend == "torch" else bytes_held == 0
        finally:
            engine.close()


@pytest.mark.parametrize("kind", [TorchVerifier, BatchedVerifier])
def test_all_connections_of_a_verifier_are_judged_by_one_copy(
    kind: type[Any], pairs: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pairs(FAMILY_NAMES[0])
    read = readers(monkeypatch, TorchVerifierUtterance, "__init__", 1)
    before, bytes_before = models(), weights_bytes()
    together = Barrier(3)
    with serving(kind(pair.verifier), workers=2) as address:

        def captioned(seed: int) -> str:
            with WebSocketLink(address) as link:
                stream = Captioner(StreamDrafter(pair.edge), link).stream(
                    utterance(seed, 0.5), preset("lossless", max_tokens=6)
                )
                events = [next(event for event in stream if event.kind == "block_escalated")]
                together.wait(30.0)  # all three are open on the verifier
                return [*events, *stream][-1].kind

        with ThreadPoolExecutor(3) as pool:
            assert set(pool.map(captioned, range(3))) == {"caption_finished"}
        assert models() == before and weights_bytes() == bytes_before
    assert len(read) >= 3 and set(read) == {id(pair.verifier)}
