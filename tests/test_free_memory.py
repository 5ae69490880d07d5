from __future__ import annotations

from pathlib import Path

from ugsd_core.free_memory import free_bytes


def test_what_is_free_is_what_the_machine_says_or_a_containers_limit_leaves(tmp_path: Path) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "cgroup"
    assert free_bytes(meminfo, group) is None, "nobody says"
    meminfo.write_text("MemTotal:  16000000 kB\nMemAvailable:  8000000 kB\nSwapFree:  1000000 kB\nHugePages: 0\n")
    assert free_bytes(meminfo, group) == 9_000_000 * 1024
    group.mkdir()
    (group / "memory.max").write_text("max\n")
    assert free_bytes(meminfo, group) == 9_000_000 * 1024
    (group / "memory.max").write_text("3000000000\n")
    (group / "memory.current").write_text("1000000000\n")
    (group / "memory.stat").write_text("anon 500\nactive_file 200000000\ninactive_file 300000000\n")
    assert free_bytes(meminfo, group) == 2_500_000_000
