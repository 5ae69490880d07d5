"""How much a verifier answers: recorded sessions over real WebSockets, with and without shared passes.

    python -m tools.verifier_load --sessions 1,8,64,200 --seconds 20 --unbatched-too
    python -m tools.verifier_load --sessions 200 --seconds 600 --workload captions        # the soak

Two workloads. ``blocks``: every session opens one clip and then asks about its blocks without a pause; that is what
shared passes are for. ``captions``: clip after clip, opening included. Server, edges and this program are three
processes on one machine. Each verdict is compared with the one recorded. With ``--unbatched-too`` both kinds of server
stand side by side and take turns, so that whatever else the machine does hits both. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.verifier_script import record, write
from ugsd_core.wire.process import VerifierProcess

__all__ = ["main", "measure"]

ROOT = Path(__file__).resolve().parents[1]
#: The second and the first take turns in this order, which cancels a drift.
TURNS = ("batched", "unbatched", "unbatched", "batched")


class Watch(threading.Thread):
    """Memory and processor time of a process, once a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        import psutil

        self.process = psutil.Process(pid)
        self.ended = threading.Event()
        self.rss_mb: list[float] = []
        self.cpu_s: list[float] = []

    def run(self) -> None:
        while True:
            times = self.process.cpu_times()
            self.cpu_s.append(times.user + times.system)
            self.rss_mb.append(self.process.memory_info().rss / 1e6)
            if self.ended.wait(1.0):
                return

    def report(self) -> dict[str, Any]:
        """Memory at the start, half-way and the end (means over 5 % of the time), and processor time."""
        self.ended.set()
        self.join()
        span = max(1, len(self.rss_mb) // 20)
        half = len(self.rss_mb) // 2
        begin, middle, end = (
            statistics.fmean(part)
            for part in (self.rss_mb[:span], self.rss_mb[half : half + span], self.rss_mb[-span:])
        )
        step = max(1, len(self.rss_mb) // 20)
        return {
            "rss_mb": {"begin": round(begin, 1), "middle": round(middle, 1), "end": round(end, 1)},
            "rss_second_half_percent": round(100 * (end / middle - 1), 2),
            "rss_mb_over_time": [round(value, 1) for value in self.rss_mb[::step]],
            "server_cpu_s": round(self.cpu_s[-1] - self.cpu_s[0], 2),
        }


def measure(
    server: VerifierProcess, scripts: Path, info: str, sessions: int, seconds: float, workload: str
) -> dict[str, Any]:
    """One run of the edges against one server."""
    command = [sys.executable, "-m", "tools.verifier_edges", server.address, str(scripts), "--info", info]
    command += ["--sessions", str(sessions), "--seconds", str(seconds), "--workload", workload]
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    edges = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    assert edges.stdout is not None and edges.stderr is not None
    spoken = []
    for line in edges.stderr:
        if line.strip() == "counting":
            break
        spoken.append(line)
    watch = Watch(server.pid)
    watch.start()
    output = edges.stdout.readline()
    watched = watch.report()
    spoken += edges.stderr.readlines()
    if edges.wait() or not output:
        raise RuntimeError("the edges failed:\n" + "".join(spoken))
    found: dict[str, Any] = json.loads(output) | watched
    if found["verdicts"]:
        found["server_cpu_ms_per_verdict"] = round(1e3 * found["server_cpu_s"] / found["verdicts"], 2)
    return found


def compare(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Throughput of shared passes against single ones, by number of sessions."""
    rows = []
    for sessions in sorted({run["sessions"] for run in runs}):
        rates = {
            kind: [run["verdicts_per_s"] for run in runs if (run["kind"], run["sessions"]) == (kind, sessions)]
            for kind in ("batched", "unbatched")
        }
        if all(rates.values()):
            batched, unbatched = (statistics.fmean(rates[kind]) for kind in ("batched", "unbatched"))
            rows.append(
                {
                    "sessions": sessions,
                    "batched_per_s": round(batched, 1),
                    "unbatched_per_s": round(unbatched, 1),
                    "ratio": round(batched / unbatched, 2),
                }
            )
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Record, serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", default="1,8,64,200", help="numbers of sessions (1,8,64,200)")
    parser.add_argument("--seconds", type=float, default=20.0, help="time of each run (20)")
    parser.add_argument("--workload", choices=("blocks", "captions"), default="blocks")
    parser.add_argument("--unbatched-too", action="store_true", help="take turns with a server that shares no passes")
    parser.add_argument("--preset", default="lossless", help="how the recorded edge decoded (lossless: every block)")
    parser.add_argument("--captions", type=int, default=12, help="captions to record (12)")
    parser.add_argument("--server", nargs=argparse.REMAINDER, default=[], help="last: options of ugsd verifier")
    args = parser.parse_args(arguments)
    from ugsd_core.models.loading import default_checkpoint, load_speech_model

    clips = sorted((ROOT / "assets" / "examples").glob("*.flac"))
    scripts = record(clips, args.preset, args.captions)
    info = json.dumps(asdict(load_speech_model(default_checkpoint("edge")).info))
    kinds = TURNS if args.unbatched_too else ("batched",)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scripts"
        write(path, scripts)
        servers = {  # other processes are the edges
            kind: VerifierProcess([*args.server, *_flag(kind)], wait=False, asks_for_token=False)
            for kind in dict.fromkeys(kinds)
        }
        try:
            for server in servers.values():
                server.wait_ready()
            for sessions in (int(number) for number in args.sessions.split(",")):
                for kind in kinds:
                    seconds = args.seconds / (2 if args.unbatched_too else 1)
                    found = measure(servers[kind], path, info, sessions, seconds, args.workload)
                    load = round(os.getloadavg()[0], 1)
                    runs.append({"kind": kind, "workload": args.workload, "machine_load": load} | found)
                    print(_line(runs[-1]), file=sys.stderr, flush=True)
        finally:
            for server in servers.values():
                server.stop()
    blocks = statistics.fmean(len(script.blocks) for script in scripts)
    print(
        json.dumps(
            {"machine": _machine(), "blocks_per_caption": blocks, "ratios": compare(runs), "runs": runs}, indent=1
        )
    )
    return 0 if not any(run["errors"] for run in runs) else 1


def _flag(kind: str) -> list[str]:
    return ["--unbatched"] if kind == "unbatched" else []


def _line(run: dict[str, Any]) -> str:
    return (
        f"{run['kind']:>9} {run['sessions']:>4} sessions: {run['verdicts_per_s']:7.1f} verdicts/s, "
        f"{run['captions_per_s']:6.2f} captions/s, verdict p95 {run['verdict_ms'].get('p95', 0):8.1f} ms, "
        f"server {run.get('server_cpu_ms_per_verdict', 0):5.2f} CPU ms each, RSS {run['rss_mb']['end']:.0f} MB, "
        f"errors {run['errors']}"
    )


def _machine() -> dict[str, Any]:
    import torch

    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


if __name__ == "__main__":
    sys.exit(main())
