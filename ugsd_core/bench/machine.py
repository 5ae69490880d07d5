"""What a figure of time means nothing without: the machine, the versions, the load, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from ugsd_core.cores import cores

__all__ = ["available_memory_mb", "machine_facts", "peak_memory_mb"]

#: Instruction sets that decide which kernels run, as Linux names them.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "amx_tile")
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "onnxruntime", "llama-cpp-python", "websockets", "msgpack")


def machine_facts() -> dict[str, Any]:
    """Processor, memory, versions, load and commit. What cannot be found out is None or left out."""
    cpu = _cpu_info()
    return {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "instruction_sets": [flag for flag in FLAGS if flag in cpu.get("flags", "").split()],
        "cores": cores(),
        "memory_mb": round(total) if (total := _meminfo_mb("MemTotal")) else None,
        "available_mb": round(free) if (free := available_memory_mb()) else None,
        "load_average": [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "threads": _threads(),
        "device": _device(),
        "commit": _commit(),
    }


def available_memory_mb() -> float | None:
    """Memory that could be taken without swapping, MB (10^6 bytes); None where the system does not say."""
    return _meminfo_mb("MemAvailable")


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, MB (10^6 bytes), shared libraries included."""
    import resource

    try:  # what getrusage says may be the parent's, from before the program was started
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _meminfo_mb(field: str) -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:")), None)


def _cpu_info() -> dict[str, str]:
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _threads() -> int | None:
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _device() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())


def _commit() -> str | None:
    """Of the code that runs, with + where files were changed; None outside a git checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None
