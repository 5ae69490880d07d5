from __future__ import annotations

import pytest
import torch

from ugsd_core.exhaustion import exhausted


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you …"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_memory_that_has_run_out_is_told_in_whatever_way_it_is_said(error: Exception) -> None:
    assert exhausted(error)


@pytest.mark.parametrize("error", [None, ValueError("out of memory"), RuntimeError("shapes do not fit")])
def test_other_errors_are_no_lack_of_memory(error: Exception | None) -> None:
    assert not exhausted(error)
