"""Out of memory, in the many ways in which it is said."""

from __future__ import annotations

__all__ = ["exhausted"]

#: Begin or are part of the message of torch's `RuntimeError` on the CPU and on Apple's GPUs, and of CUDA's libraries.
_SAID = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "cudaErrorMemoryAllocation",
)


def exhausted(error: BaseException | None) -> bool:
    """Whether an exception says that memory has run out, of the machine or of a device; imports nothing."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _SAID)
