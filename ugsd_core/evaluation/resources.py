"""Processor time and memory of the two processes, and of a GPU where there is one."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

__all__ = ["ResourceMeter"]

_MB = 1e6


class ResourceMeter:
    """Measures this process, and the verifier's if it runs on this machine as a child of ours.

    Args:
        verifier_pid: Process id of the verifier; None for one elsewhere, of which nothing can be measured.
    """

    def __init__(self, verifier_pid: int | None = None) -> None:
        import psutil  # type: ignore[import-untyped, unused-ignore]

        self._edge = psutil.Process()
        self._verifier: Any = None
        self._gone = psutil.Error
        if verifier_pid is not None:
            self._verifier = psutil.Process(verifier_pid)

    def measure(self) -> dict[str, float | None]:
        """As `CaptionSource.resources` has it; MB are 10⁶ bytes."""
        verifier_cpu_s, verifier_rss_mb = self._of_verifier()
        return {
            "edge_cpu_s": time.process_time(),
            "verifier_cpu_s": verifier_cpu_s,
            "edge_rss_mb": self._edge.memory_info().rss / _MB,
            "verifier_rss_mb": verifier_rss_mb,
            "gpu_mb": self._gpu_mb(),
        }

    def _of_verifier(self) -> tuple[float | None, float | None]:
        if self._verifier is None:
            return None, None
        try:
            with self._verifier.oneshot():
                times = self._verifier.cpu_times()
                return times.user + times.system, self._verifier.memory_info().rss / _MB
        except self._gone:  # it has ended; whoever needs it will say so
            return None, None

    def _gpu_mb(self) -> float | None:
        """GPU memory of both processes by NVML where it is installed, else what torch holds in this one."""
        torch = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_available():
            return None
        pids = {os.getpid()} | ({self._verifier.pid} if self._verifier is not None else set())
        by_driver = _by_driver(pids)
        return by_driver if by_driver is not None else torch.cuda.memory_reserved() / _MB


def _by_driver(pids: set[int]) -> float | None:
    """What the driver says some processes hold; None without nvidia-ml-py, or where it knows them by other ids."""
    try:
        import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        running = [entry for handle in handles for entry in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)]
    except pynvml.NVMLError:
        return None
    held = [entry.usedGpuMemory for entry in running if entry.pid in pids and entry.usedGpuMemory is not None]
    return sum(held) / _MB if held else None
