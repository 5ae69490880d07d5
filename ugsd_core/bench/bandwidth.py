"""Memory bandwidth, measured on the spot: the bound of a decoder that reads all its weights for every token."""

from __future__ import annotations

from typing import Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import seconds, spread

__all__ = ["BUFFER_MB", "measure", "read_bandwidth"]

#: Larger than any cache, so that every byte comes from memory.
BUFFER_MB = 1024


def read_bandwidth(rounds: int = 5, threads: int | None = None, buffer_mb: int = BUFFER_MB) -> list[float]:
    """Bytes a second when a large matrix is read once by a matrix-vector product, the work of decoding itself.

    The product is in float32, where arithmetic is cheapest beside reading. On a GPU nothing is measured.

    Args:
        rounds: How often.
        threads: Of torch; None as they are.
        buffer_mb: Size of the matrix.

    Returns:
        One value a round, bytes a second; the best of a pair of reads each.
    """
    import torch

    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        columns = 4096
        rows = max(1, buffer_mb * 1_000_000 // (4 * columns))
        matrix, vector = torch.ones(rows, columns), torch.ones(columns)
        size = matrix.numel() * matrix.element_size()
        with torch.inference_mode():
            torch.mv(matrix, vector)
            return [size / min(seconds(lambda: torch.mv(matrix, vector)) for _ in range(2)) for _ in range(rounds)]
    finally:
        torch.set_num_threads(before)


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Bandwidth with all threads together and with one."""
    from ugsd_core.cores import cores

    say("reading memory …")
    together = settings.threads or cores()
    return {
        f"threads_{together}": spread(read_bandwidth(settings.rounds, together), "gb_per_s", 1e-9),
        "threads_1": spread(read_bandwidth(settings.rounds, 1), "gb_per_s", 1e-9),
    }
