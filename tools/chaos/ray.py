"""Two Ray replicas of the verifier under live captions: one is killed, or both are replaced. Needs the extra *ray*.

    python -m tools.chaos.ray --captions 50                     # SIGKILL to one of two replicas, stand-ins for models
    python -m tools.chaos.ray --captions 50 --rolling           # a rolling update while as many edges caption on and on
    python -m tools.chaos.ray --captions 50 --pair embedded     # the embedded pair
    python -m tools.chaos.ray --overhead                        # what the way through Serve's proxy adds to a verdict

What is held of every caption is what `tools.chaos.kill` holds. A replica is killed when half of the captions have had a
verdict. Edges of the other one must not notice: their captions have no unverified block, and one connection.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tools.chaos.kill import Asking, checked
from tools.chaos.soak import BACKOFF, Pair, embedded_pair, scripted_pair
from ugsd_core.errors import UgsdError
from ugsd_core.messages import BlockUnverified, Event
from ugsd_core.wire.ray_replica import ReplicaSettings
from ugsd_core.wire.ray_service import Scale, run_app, serving

__all__ = ["Edges", "kill_replica", "main", "overhead", "replace_replicas", "replica_pids", "settings_for"]


def settings_for(pair: str) -> ReplicaSettings:
    """What the replicas load."""
    made_by = "tools.chaos.pair:PrefixVerifier" if pair == "scripted" else ""
    return ReplicaSettings(made_by=made_by, workers=1, threads=1)


def replica_pids() -> list[int]:
    """Processes of replicas below this one."""
    import psutil

    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            # Ray names a process by what it does; between two calls the replica is only its class.
            if "ServeReplica" in "".join(child.cmdline()) + child.name():
                found.append(child.pid)
        except psutil.Error:
            continue
    return sorted(found)


class Edges:
    """So many edges, each with a connection of its own, that caption at a time.

    Attributes:
        written: Events of each caption, by its number, or why there are none.
        connections: Handshakes that succeeded, of each caption's edge by the caption's number.
        asked: Set for each edge when it has had a verdict.
    """

    def __init__(self, pair: Pair, address: str, edges: int, *, until: threading.Event | None = None) -> None:
        self.written: dict[int, list[Event] | str] = {}
        self.connections: dict[int, int] = {}
        self.asked = [threading.Event() for _ in range(edges)]
        self._pair, self._address, self._until = pair, address, until
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._edge, args=(asked,)) for asked in self.asked]
        for thread in self._threads:
            thread.start()

    @property
    def answered(self) -> int:
        """Edges that have had a verdict."""
        return sum(event.is_set() for event in self.asked)

    def join(self) -> None:
        """Wait for the last caption."""
        for thread in self._threads:
            thread.join()

    def _edge(self, asked: threading.Event) -> None:
        link = Asking(self._address, open_timeout_s=20.0, backoff=BACKOFF)
        link.asked = asked
        with link:
            for n in self._turns():
                before = max(link.connections, 1) - 1  # the first connection is the first caption's
                try:
                    self.written[n] = self._pair.write(n, link, True)
                except UgsdError as error:
                    self.written[n] = f"{type(error).__name__}: {error}"
                self.connections[n] = link.connections - before
        asked.set()

    def _turns(self) -> Iterator[int]:
        yield next(self._numbers)
        while self._until is not None and not self._until.is_set():
            yield next(self._numbers)


def _untouched(edges: Edges) -> int:
    """Captions on one connection with every block judged that wanted it."""
    return sum(
        not isinstance(events, str)
        and edges.connections[n] <= 1
        and not any(isinstance(event, BlockUnverified) for event in events)
        for n, events in edges.written.items()
    )


def kill_replica(pair: Pair, address: str, captions: int) -> dict[str, Any]:
    """SIGKILL to one replica under live captions; gives the counts."""
    before = replica_pids()
    began = time.monotonic()
    edges = Edges(pair, address, captions)
    while not edges.written and edges.answered * 2 < captions:
        time.sleep(0.005)
    finished, answered = len(edges.written), edges.answered
    os.kill(before[0], signal.SIGKILL)
    edges.join()
    took_s = time.monotonic() - began
    after = _wait_for_replicas(len(before))
    return {
        "captions": captions,
        "replicas": len(before),
        "finished_before_the_kill": finished,
        "with_a_verdict_before_the_kill": answered,
        "untouched": _untouched(edges),
        "connected_anew": sum(count > 1 for count in edges.connections.values()),
        "replicas_afterwards": len(after),
        "new_replicas": len(set(after) - set(before)),
        "took_s": round(took_s, 1),
    } | checked(pair, edges.written)


def replace_replicas(
    pair: Pair, address: str, captions: int, settings: ReplicaSettings, scale: Scale
) -> dict[str, Any]:
    """A rolling update while edges caption one recording after the other; gives the counts."""
    before = replica_pids()
    over = threading.Event()
    edges = Edges(pair, address, captions, until=over)
    try:
        while edges.answered * 2 < captions:
            time.sleep(0.005)
        began = time.monotonic()
        run_app(replace(settings, release="2"), scale)
        while set(replica_pids()) & set(before) and time.monotonic() - began < 60.0:
            time.sleep(0.1)
        took_s = time.monotonic() - began
    finally:
        over.set()
        edges.join()
    after = _wait_for_replicas(len(before))
    return {
        "edges": captions,
        "captions": len(edges.written),
        "replicas": len(before),
        "old_replicas_left": len(set(after) & set(before)),
        "untouched": _untouched(edges),
        "update_took_s": round(took_s, 1),
    } | checked(pair, edges.written)


def overhead(address: str, blocks: int = 400) -> dict[str, Any]:
    """Times of verdicts of a stand-in over Serve and from a server of its own, by turns; milliseconds."""
    from tools.chaos.pair import INFO, code
    from ugsd_core.messages import OpenRequest, VerifyRequest
    from ugsd_core.wire.client import WebSocketLink
    from ugsd_core.wire.process import VerifierProcess

    times: dict[str, list[float]] = {"serve": [], "own": []}
    with (
        VerifierProcess(command=scripted_pair().command) as own,
        WebSocketLink(address) as there,
        WebSocketLink(own.address) as here,
    ):
        links = {"serve": there, "own": here}
        for link in links.values():
            link.connect(INFO, {})
            link.open(OpenRequest("u", "en", None, code(0), "rank", 10_000, 0.3, False, 0))
            link.opened("u", 10.0)
        for number in range(blocks):
            for name, link in links.items():
                began = time.perf_counter()
                link.judge(VerifyRequest("u", number, number, 0, (), (1, 2)), 10.0)
                times[name].append((time.perf_counter() - began) * 1e3)
    cuts = {name: statistics.quantiles(values, n=20) for name, values in times.items()}
    return {
        f"{name}_{label}_ms": round(cut[at], 2) for name, cut in cuts.items() for label, at in (("p50", 9), ("p95", 18))
    }


def _wait_for_replicas(count: int) -> list[int]:
    ends_at = time.monotonic() + 60.0
    while len(found := replica_pids()) != count and time.monotonic() < ends_at:
        time.sleep(0.2)
    return found


def main(words: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools.chaos.ray", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--captions", type=int, default=50, metavar="N", help="at a time (50)")
    parser.add_argument("--pair", choices=("scripted", "embedded"), default="scripted")
    parser.add_argument("--rolling", action="store_true", help="replace both replicas instead of killing one")
    parser.add_argument("--overhead", action="store_true", help="only time verdicts, with nothing else going on")
    args = parser.parse_args(words)
    pair = scripted_pair(token_s=0.2, deadline_s=5.0) if args.pair == "scripted" else embedded_pair(1.0, 10.0)
    settings, scale = settings_for(args.pair), Scale(2, cpus=0.5)
    with serving(settings, scale) as address:
        if args.overhead:
            print(json.dumps(overhead(address), indent=1))
            return 0
        if args.rolling:
            report = replace_replicas(pair, address, args.captions, settings, scale)
        else:
            report = kill_replica(pair, address, args.captions)
    print(json.dumps(report, indent=1))
    return 0 if not report["problems"] and report["finished"] == report["captions"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
