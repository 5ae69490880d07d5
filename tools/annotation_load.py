"""Simulated annotators at a steady pace, and how long an acknowledgement takes.

    python -m tools.annotation_load --annotators 50 --rate 2 --seconds 60

Every annotator works as the page does: ask for the next caption, say what was heard, save a draft, submit. ``--rate``
is submits a second for each of them; four calls, each a synced commit of its own, belong to one submit. Times are the
client's, from sending a line to having read the answer; client and server share this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tools.annotation_durability import end, free_port, start_server
from ugsd_core.annotations.bulk import verify
from ugsd_core.annotations.campaign import Campaign, Item, NewItem, create_campaign, word_tokens
from ugsd_core.annotations.events import new_event_id
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import open_store

CAMPAIGN = "load"


class Annotator(threading.Thread):
    """One simulated person with one connection."""

    def __init__(self, name: str, port: int, rate: float, begin: float, seconds: float, only_submit: bool) -> None:
        super().__init__(name=name)
        self.port, self.rate, self.begin, self.seconds, self.only_submit = port, rate, begin, seconds, only_submit
        self.times_ms: dict[str, list[float]] = {}
        self.server_ms: dict[str, list[float]] = {}
        self.errors: Counter[str] = Counter()
        self.late = 0

    def run(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.link = connection.makefile("rwb")
        phase = random.Random(self.name).uniform(0.0, 1.0 / self.rate)
        for number in range(int(self.rate * self.seconds)):
            due = self.begin + phase + number / self.rate
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.late += wait < -1.0 / self.rate
            self.caption(number)
        self.link.close()
        connection.close()

    def caption(self, number: int) -> None:
        item = self.call("next", CAMPAIGN).get("item")
        if item is None:
            return
        if not self.only_submit:
            self.call("listened", new_event_id(), CAMPAIGN, item, kwargs={"start_s": 0.0, "end_s": 3.0})
            self.call("save_draft", new_event_id(), CAMPAIGN, item, {"verdict": "flag", "note": f"number {number}"})
        flags = [{"kind": "wrong_emotion", "severity": "major", "start": 2, "end": 3}]
        self.call("submit", new_event_id(), CAMPAIGN, item, {"verdict": "flag", "flags": flags})

    def call(self, name: str, *args: Any, kwargs: dict[str, Any] | None = None) -> dict[str, Any]:
        line = json.dumps({"who": self.name, "call": name, "args": args, "kwargs": kwargs or {}}).encode() + b"\n"
        started = time.perf_counter()
        self.link.write(line)
        self.link.flush()
        reply: dict[str, Any] = json.loads(self.link.readline())
        self.times_ms.setdefault(name, []).append((time.perf_counter() - started) * 1e3)
        if reply["ok"]:
            self.server_ms.setdefault(name, []).append(reply["server_ms"])
        else:
            self.errors[reply["error"]] += 1
        return reply


def percentiles(values: list[float]) -> dict[str, float]:
    values = sorted(values)

    def at(share: float) -> float:
        return round(values[min(len(values) - 1, int(share * len(values)))], 1)

    return {"calls": len(values), "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "max_ms": at(1.0)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--rate", type=float, default=2.0, help="submits a second of each (2)")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--servers", type=int, default=1, help="server processes that share the store (1)")
    parser.add_argument("--only-submit", action="store_true", help="no drafts and no listening, only next and submit")
    parser.add_argument("--store", help="an empty store to use (a file in a new folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ugsd-load-") as folder:
        address = args.store or str(Path(folder) / "annotations.db")
        items = [
            NewItem(Item(f"item{number:05d}", text := f"She sounds sad {number}.", "en", word_tokens(text)))
            for number in range(args.items)
        ]
        with open_store(address) as store:
            rules = Campaign(CAMPAIGN, overlap=args.annotators, must_listen=0.0)
            create_campaign(store, Media(Path(folder)), rules, items)
        ports = [free_port() for _ in range(args.servers)]
        servers = [start_server(address, Path(folder), port) for port in ports]
        load_before = os.getloadavg()[0]
        begin = time.monotonic() + 1.0
        people = [
            Annotator(f"p{number:03d}", ports[number % len(ports)], args.rate, begin, args.seconds, args.only_submit)
            for number in range(args.annotators)
        ]
        for one in people:
            one.start()
        for one in people:
            one.join()
        took_s = time.monotonic() - begin
        for server in servers:
            end(server)
        with open_store(address) as store:
            problems = verify(store)
            with store.reading() as tx:
                events = tx.count()
    calls = sorted({name for one in people for name in one.times_ms})
    merged = {name: [ms for one in people for ms in one.times_ms.get(name, [])] for name in calls}
    inside = {name: [ms for one in people for ms in one.server_ms.get(name, [])] for name in calls}
    errors: Counter[str] = sum((one.errors for one in people), Counter())
    result = {
        "annotators": args.annotators,
        "rate_per_s": args.rate,
        "took_s": round(took_s, 1),
        "submits_per_s": round(len(merged["submit"]) / took_s, 1),
        "round_trip": {name: percentiles(merged[name]) for name in calls},
        "in_server": {name: percentiles(inside[name]) for name in calls},
        "late_captions": sum(one.late for one in people),
        "errors": dict(errors),
        "events": events,
        "problems": problems,
        "load_average_before": round(load_before, 2),
    }
    print(json.dumps(result, indent=2))
    return 0 if not errors and not problems and result["round_trip"]["submit"]["p95_ms"] < 150 else 1


if __name__ == "__main__":
    sys.exit(main())
