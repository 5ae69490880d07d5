"""Models of released shapes: made in place, measured in processes of their own, held against the memory there is."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from ugsd_core.bench import real_size
from ugsd_core.bench.real_child import Child, serve
from ugsd_core.bench.real_size import BenchFailed, Process, measure, memory_needed_mb
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.shapes import bytes_of, bytes_touched, empty_model, make_model, make_tokenizer
from ugsd_core.errors import OptionError

SPEC = {"size": "tiny", "precision": "fp32", "device": "cpu", "layers": 1, "threads": 1}


def quiet(_line: str) -> None:
    pass


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_released_shapes_have_their_sizes() -> None:
    dense, sparse = empty_model("3b", "fp32"), empty_model("30b-a3b", "bf16")
    decoder = sum(weight.numel() for weight in dense.model.language_model.layers.parameters())
    assert decoder == pytest.approx(2.775e9, rel=0.001)
    assert sum(weight.numel() for weight in sparse.parameters()) == pytest.approx(31.2e9, rel=0.01)
    # A tenth of the experts' weights and all others are read for a token.
    assert bytes_touched(sparse) / bytes_of(sparse) == pytest.approx(0.098, abs=0.01)
    assert dense.model.visual is None and sparse.model.visual is None


def test_four_bits_of_the_dense_shape_fit_into_four_gigabytes() -> None:
    assert memory_needed_mb("3b", "int4") < 4000 < memory_needed_mb("3b", "int8") < memory_needed_mb("3b", "bf16")


@pytest.mark.parametrize(("size", "precision"), [("tiny", "int8"), ("tiny", "int4"), ("tiny-moe", "bf16")])
def test_every_tensor_of_a_made_model_has_a_value(size: str, precision: str) -> None:
    model = make_model(size, precision, make_tokenizer(size))
    for tensor in [*model.parameters(), *model.buffers()]:
        assert not tensor.is_meta
        assert not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def test_computed_buffers_are_those_of_a_model_made_the_usual_way() -> None:
    words = make_tokenizer("tiny")
    made = make_model("tiny", "fp32", words)
    usual = type(made)(made.config)
    wanted = dict(usual.named_buffers())
    for name, buffer in made.named_buffers():
        assert torch.allclose(buffer, wanted[name]), name


def test_experts_are_never_rounded() -> None:
    with pytest.raises(OptionError, match="bf16"):
        make_model("tiny-moe", "int4", make_tokenizer("tiny-moe"))


def test_a_child_answers_line_by_line() -> None:
    lines = [{"do": "prefill"}, {"do": "decode", "tokens": 2}, {"do": "block", "k": 4}, {"do": "peak"}]
    out = io.StringIO()
    serve(Child(SPEC | {"precision": "int4"}), io.StringIO("\n".join(map(json.dumps, lines))), out)
    facts, prefill, decode, block, peak = map(json.loads, out.getvalue().splitlines())
    assert 0 < facts["bytes_a_token"] < facts["weights_bytes"]
    assert prefill["input_tokens"] > 100 and prefill["seconds"] > 0  # 4 s at 25 a second, and the prompt
    assert len(decode["seconds"]) == 2 and block["seconds"] > 0
    assert peak["peak_mb"] > 50


def test_a_process_measures_and_ends() -> None:
    process = Process(SPEC)
    try:
        assert process.ready()["weights_bytes"] > 0
        assert len(process.ask("decode", tokens=2)["seconds"]) == 2
    finally:
        process.close()


def test_a_process_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    process = Process(SPEC)
    try:
        with pytest.raises(BenchFailed, match="is gone"):
            process.ready()
    finally:
        process.close()


class FakeProcess:
    """Takes 4 ms a token in fp32 and 1 ms in anything else; each reads 1 MB a token."""

    def __init__(self, precision: str) -> None:
        self.precision = precision

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        step_s = 0.004 if self.precision == "fp32" else 0.001
        told = {"bytes_a_token": 1e6, "weights_bytes": 2e6, "made_s": 0.1}
        answers: dict[str, dict[str, Any]] = {
            "prefill": {"seconds": 0.5, "input_tokens": 180},
            "block": {"seconds": 0.02},
            "peak": {"peak_mb": 100.0},
            "told": told,
        }
        return {"seconds": [step_s] * arguments["tokens"]} if do == "decode" else answers[do]


def test_precisions_take_turns_and_are_held_against_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[str] = []

    @contextmanager
    def started(settings: BenchSettings, precision: str, say: Any) -> Iterator[Any]:
        if precision == "bf16" and alive:
            raise OptionError("no room")
        alive.append(precision)
        process = FakeProcess(precision)
        yield process, process.ask("told")
        alive.remove(precision)

    monkeypatch.setattr(real_size, "started", started)
    monkeypatch.setattr(real_size, "read_bandwidth", lambda *_: [2e9])
    found = measure(BenchSettings(size="tiny", precisions=("fp32", "bf16", "int4"), rounds=2), quiet)
    assert found["int4"]["speed_over_fp32"]["median"] == pytest.approx(4.0)
    assert found["int4"]["roofline_share"]["median_share"] == pytest.approx(
        0.5
    )  # 2 GB/s allow 2,000 tokens, 1,000 made
    assert found["fp32"]["decode"]["median_ms"] == pytest.approx(4.0)
    assert "speed_over_fp32" not in found["bf16"] and found["bf16"]["decode"]["median_ms"] == pytest.approx(1.0)
    assert any("bf16 was measured alone" in note for note in found["notes"])


def test_too_little_memory_is_said_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_size, "available_memory_mb", lambda: 1_000.0)
    with pytest.raises(OptionError, match=r"needs about 17\.\d GB of memory and 1\.0 GB are free"):
        measure(BenchSettings(size="3b"), quiet)


def test_a_size_must_be_named_and_its_device_be_there() -> None:
    with pytest.raises(OptionError, match="--size"):
        measure(BenchSettings(), quiet)
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="no CUDA"):
            measure(BenchSettings(size="30b-a3b", device="cuda"), quiet)


def test_fewer_layers_are_told_beside_the_figures() -> None:
    assert any("not figures of the whole model" in note for note in real_size._notes(BenchSettings(layers=6)))
