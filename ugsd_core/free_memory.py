"""How much memory is free, where the system says so. Standard library alone: ``ugsd doctor`` asks, too."""

from __future__ import annotations

from pathlib import Path

__all__ = ["free_bytes"]

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """What programs can still take (bytes): the machine's free memory, or what a container's limit leaves of it.

    None where nobody says (no Linux). Memory that only holds copies of files counts as free.
    """
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
        free = 1024 * (kilobytes["MemAvailable"] + kilobytes.get("SwapFree", 0))
    except (OSError, KeyError, ValueError):
        return None
    left = _left_in_container(cgroup)
    return free if left is None else min(free, left)


def _left_in_container(cgroup: Path) -> int | None:
    """What the limit of a container or a service leaves (cgroup v2); None without one."""
    try:
        limit = (cgroup / "memory.max").read_text(encoding="utf-8").strip()
        if limit == "max":
            return None
        used = int((cgroup / "memory.current").read_text(encoding="utf-8"))
        stats = (line.split() for line in (cgroup / "memory.stat").read_text(encoding="utf-8").splitlines())
        files = sum(int(value) for name, value in stats if name in ("inactive_file", "active_file"))
        return max(0, int(limit) - used + files)
    except (OSError, ValueError):
        return None
