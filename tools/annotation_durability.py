"""Kills whoever writes annotations, again and again, and counts what is left: every acknowledged event, exactly once.

    python -m tools.annotation_durability --kills 200                # the server dies while 8 annotators submit
    python -m tools.annotation_durability --kills 200 --direct       # 8 processes write the file themselves and die

A writer that gets no answer sends the same event again, as a browser does. SIGKILL shows that nothing depends on a
tidy end; that a commit is on the disk and not in a cache is the pragmas' work, which the tests of the store hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ugsd_core.annotations.bulk import verify
from ugsd_core.annotations.campaign import Campaign, Item, NewItem, create_campaign, word_tokens
from ugsd_core.annotations.events import new_event_id
from ugsd_core.annotations.identity import User
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import open_store

CAMPAIGN = "durability"
ITEMS = 20


@dataclass
class Report:
    """What came of it.

    Attributes:
        acknowledged: Events whose acknowledgement arrived.
        lost, doubled, changed: Of those: not in the store, there twice, there with another revision.
        repeated: Events that were sent again and had been taken in before the kill: their acknowledgement was lost.
        unacknowledged: In the store without an acknowledgement, their writer having died in between.
        problems: What `verify` found at the end, integrity check included.
    """

    mode: str
    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    repeated: int = 0
    unacknowledged: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.changed or self.problems or self.errors)


class Book:
    """Acknowledgements as they arrive."""

    def __init__(self) -> None:
        self.acks: dict[str, int] = {}
        self.repeated = 0
        self.errors: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, event_id: str, revision: int, *, repeated: bool = False) -> None:
        with self._lock:
            self.acks[event_id] = revision
            self.repeated += repeated

    def fault(self, error: str) -> None:
        with self._lock:
            self.errors[error] += 1


def make(address: str, media: Path) -> None:
    """A campaign that everybody answers."""
    items = [
        NewItem(Item(f"item{number}", text := f"She sounds sad {number}.", "en", word_tokens(text)))
        for number in range(ITEMS)
    ]
    with open_store(address) as store:
        create_campaign(store, Media(media), Campaign(CAMPAIGN, overlap=1_000, must_listen=0.0), items)


def answer(number: int) -> dict[str, Any]:
    """An answer that is like no other."""
    return {"verdict": "accept", "note": f"number {number}"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# The server dies ------------------------------------------------------------------------------------------------------


def write_to_server(name: str, port: int, book: Book, stop: threading.Event) -> None:
    """Submit without a pause; what was not answered is sent again, to whatever server there is."""
    number = 0
    link: Any = None
    while not stop.is_set():
        number += 1
        event_id = new_event_id()
        args = [event_id, CAMPAIGN, f"item{number % ITEMS}", answer(number)]
        line = json.dumps({"who": name, "call": "submit", "args": args}).encode() + b"\n"
        while True:
            try:
                if link is None:
                    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
                    link = connection.makefile("rwb")
                    connection.close()  # the file keeps it open
                link.write(line)
                link.flush()
                reply = link.readline()
                if not reply.endswith(b"\n"):
                    raise ConnectionError
                break
            except OSError:
                if link is not None:
                    shut(link)
                link = None
                if stop.is_set():
                    return
                time.sleep(0.02)
        said = json.loads(reply)
        if said["ok"]:
            book.note(event_id, said["revision"], repeated=said["repeated"])
        else:
            book.fault(said["error"])
    if link is not None:
        shut(link)


def shut(link: Any) -> None:
    """Close a connection whose other end may be gone."""
    with contextlib.suppress(OSError):
        link.close()


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and give back what belongs to it."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def start_server(address: str, media: Path, port: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tools.annotation_server", address, "--media", str(media), "--port", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    if not server.stdout.readline():
        raise RuntimeError(f"the server did not start: it ended with {server.wait()}")
    return server


def kill_servers(address: str, media: Path, kills: int, writers: int, seed: int, *, say: Any) -> tuple[Book, int]:
    book, stop, port, draw = Book(), threading.Event(), free_port(), random.Random(seed)
    threads = [
        threading.Thread(target=write_to_server, args=(f"writer{number}", port, book, stop))
        for number in range(writers)
    ]
    server = start_server(address, media, port)
    for thread in threads:
        thread.start()
    try:
        for done in range(kills):
            before = len(book.acks)
            while len(book.acks) < before + writers:  # it is at work
                time.sleep(0.001)
            time.sleep(draw.uniform(0.0, 0.25))
            end(server)
            say(f"{done + 1} of {kills} kills, {len(book.acks)} events acknowledged")
            server = start_server(address, media, port)
        time.sleep(1.0)  # what was in flight is sent again and acknowledged
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        end(server)
    return book, kills


# The writers die ------------------------------------------------------------------------------------------------------


def write_direct(address: str, name: str) -> None:
    """The program of one writer process: submit, and say so when it is committed."""
    with open_store(address, check=False) as store:
        service = AnnotationService(store, Media(Path("unused")), User(name))
        number = 0
        while True:
            number += 1
            event_id = new_event_id()
            ack = service.submit(event_id, CAMPAIGN, f"item{number % ITEMS}", answer(number))
            print(event_id, ack.revision, flush=True)


def collect(process: subprocess.Popen[str], book: Book) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        words = line.split()
        if line.endswith("\n") and len(words) == 2:
            book.note(words[0], int(words[1]))


def kill_writers(address: str, kills: int, writers: int, seed: int, *, say: Any) -> tuple[Book, int]:
    book, draw = Book(), random.Random(seed)
    running: list[tuple[subprocess.Popen[str], threading.Thread]] = []

    def start(number: int) -> tuple[subprocess.Popen[str], threading.Thread]:
        words = [sys.executable, "-m", "tools.annotation_durability", "--write", address, f"writer{number}"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        thread = threading.Thread(target=collect, args=(process, book))
        thread.start()
        return process, thread

    running = [start(number) for number in range(writers)]
    try:
        for done in range(kills):
            before = len(book.acks)
            while len(book.acks) < before + 5:
                time.sleep(0.001)
            time.sleep(draw.uniform(0.0, 0.25))
            number = draw.randrange(writers)
            process, thread = running[number]
            process.send_signal(signal.SIGKILL)
            thread.join()  # it reads to the end of what was said
            end(process)
            say(f"{done + 1} of {kills} kills, {len(book.acks)} events acknowledged")
            running[number] = start(number)
    finally:
        for process, thread in running:
            process.send_signal(signal.SIGKILL)
            thread.join()
            end(process)
    return book, kills


# ----------------------------------------------------------------------------------------------------------------------


def run(address: str, media: Path, *, kills: int, writers: int = 8, seed: int = 0, direct: bool = False,
        say: Any = lambda sentence: None) -> Report:  # fmt: skip
    """Make a campaign in a new store, kill, and count."""
    began = time.monotonic()
    make(address, media)
    report = Report("writers" if direct else "server")
    if direct:
        book, report.kills = kill_writers(address, kills, writers, seed, say=say)
    else:
        book, report.kills = kill_servers(address, media, kills, writers, seed, say=say)
    with open_store(address) as store:
        report.problems = verify(store)
        with store.reading() as tx:
            kept = [(event.id, event.revision) for event in tx.events(CAMPAIGN) if event.kind == "submitted"]
    times = Counter(name for name, _ in kept)
    revisions = dict(kept)
    report.acknowledged, report.repeated, report.errors = len(book.acks), book.repeated, dict(book.errors)
    report.lost = sum(name not in times for name in book.acks)
    report.doubled = sum(count > 1 for count in times.values())
    report.changed = sum(revisions.get(name, revision) != revision for name, revision in book.acks.items())
    report.unacknowledged = sum(name not in book.acks for name in times)
    report.took_s = round(time.monotonic() - began, 1)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--direct", action="store_true", help="kill processes that write the store themselves")
    parser.add_argument("--store", help="an empty store to use (a file in a new folder)")
    parser.add_argument("--write", nargs=2, metavar=("STORE", "NAME"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write_direct(*args.write)
    with tempfile.TemporaryDirectory(prefix="ugsd-durability-") as folder:
        address = args.store or str(Path(folder) / "annotations.db")

        def say(sentence: str) -> None:
            print(f"\r{sentence}", end="", file=sys.stderr, flush=True)

        report = run(
            address, Path(folder), kills=args.kills, writers=args.writers, seed=args.seed, direct=args.direct, say=say
        )
    print(file=sys.stderr)
    print(json.dumps(asdict(report), indent=2))
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
