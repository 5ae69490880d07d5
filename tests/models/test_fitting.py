"""What cannot run where it is to run is told in a sentence, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import tiny
from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.models import fitting, loading
from ugsd_core.models.fitting import budget_mb, check_device, check_dtype, check_room, no_room, weight_bytes


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_checkpoint(tmp_path_factory.mktemp("fitting") / "tiny", "qwen2_5_omni", seed=3)


@pytest.mark.parametrize(
    ("dtype", "meant"),
    [("bf16", "bfloat16"), ("FP16", "float16"), ("bfloat", "bfloat16"), ("float23", "float32"), ("int3", None)],
)
def test_a_mistyped_number_format_is_told_with_the_nearest_one(dtype: str, meant: str | None) -> None:
    with pytest.raises(OptionError, match="dtype is one of float32, bfloat16, float16") as caught:
        check_dtype(dtype)
    assert (f"{meant} was probably meant" in str(caught.value)) is (meant is not None)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("gpu", "device is cpu, cuda, cuda:1 …, mps or auto, not 'gpu'"),
        ("cuad", "cuda was probably meant"),
        ("cuda:x", "not 'cuda:x'"),
        ("cpu:3", "not 'cpu:3'"),
        ("cuda", "no CUDA device is available; use --device cpu"),
        ("cuda:7", "no CUDA device is available"),
        ("mps", "no Mac with such a GPU; use --device cpu"),
    ],
)
def test_a_device_that_is_not_there_is_told(device: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(OptionError) as caught:
        check_device(device, "float32")
    assert said in str(caught.value)


def test_a_gpu_with_too_high_a_number_is_told_with_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(OptionError, match="'cuda:7' was asked for, but there is cuda:0 to cuda:1"):
        check_device("cuda:7", "float32")


def test_a_number_format_that_the_device_does_not_compute_in_is_found_by_trying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for dtype in fitting.DTYPES:
        check_device("cpu", dtype)
    check_device("auto", "float16")

    def no_halves(*_: Any) -> None:
        raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'\nmore")

    monkeypatch.setattr(torch.nn.functional, "linear", no_halves)
    with pytest.raises(OptionError, match=r"'cpu' does not compute in float16 here .*; use --dtype float32"):
        check_device("cpu", "float16")


def test_what_weights_take_is_read_from_the_headers_of_their_files(saved: Path, tmp_path: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    thinker = sum(value.numel() for name, value in weights.items() if "visual" not in name)
    assert weight_bytes(saved, "float32") == 4 * thinker and weight_bytes(saved, "bfloat16") == 2 * thinker
    parts = sorted(weights)
    for number, names in enumerate((parts[::2], parts[1::2]), 1):  # in two files, and with a talker
        some = {f"thinker.{name}": weights[name] for name in names} | {f"talker.{number}": torch.zeros(99)}
        save_file(some, tmp_path / f"model-0000{number}-of-00002.safetensors")
    assert weight_bytes(tmp_path, "float32") == 4 * thinker
    assert weight_bytes(tmp_path / "none", "float32") is None, "not on this machine"
    (tmp_path / "model-00003.safetensors").write_bytes(b"no safetensors file at all")
    assert weight_bytes(tmp_path, "float32") is None, "damaged: loading says how"


def test_weights_that_do_not_fit_are_refused_with_what_would(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "free_bytes", lambda: 1000)
    with pytest.raises(CheckpointError, match=r"take 0\.0 GB in float32, and 0\.0 GB are free\. Take --dtype bfloat16"):
        loading.load_speech_model(saved)
    said = str(no_room(saved, "cuda:0", "bfloat16"))
    assert "--dtype" not in said and "another --device" in said and "--device auto" in said
    monkeypatch.setattr(fitting, "free_bytes", lambda: None)
    check_room(saved, "cpu", "float32")
    check_room("of-the/hub", "cpu", "float32")


def test_memory_that_runs_out_while_loading_is_told_the_same_way(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000 bytes")

    monkeypatch.setattr(loading, "read_eight_bit", full)
    with pytest.raises(CheckpointError, match="does not fit into the memory of cpu"):
        loading.load_speech_model(saved)


def test_recordings_may_take_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "free_bytes", lambda: 8_000_000_000)
    assert budget_mb("cpu") == 4000.0 and budget_mb("auto") is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (60_000_000_000, 80_000_000_000))
    assert budget_mb("cuda:0") == 30000.0

    monkeypatch.setattr(fitting, "free_bytes", lambda: 100)
    assert budget_mb("cpu") == 64.0, "one recording has to fit"
