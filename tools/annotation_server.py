"""A bare server of annotations, for tests of durability and load: what the page does between a browser and the store.

One JSON object a line over TCP on loopback, a thread a connection. A request names a method of `AnnotationService` and
who asks; nobody signs in, so it is for tests alone.

    {"who": "ann", "call": "submit", "args": ["event-id", "campaign", "item", {"verdict": "accept"}]}
    {"ok": true, "revision": 3, "at": "…", "repeated": false}
"""

from __future__ import annotations

import argparse
import json
import socketserver
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ugsd_core.annotations.identity import User
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import Store, open_store
from ugsd_core.errors import UgsdError

CALLS = ("submit", "save_draft", "listened", "skip", "undo", "next")


class Server(socketserver.ThreadingTCPServer):
    """Holds the store and a service for everybody who has asked."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, store: Store, media: Media) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.store, self.media = store, media
        self.services: dict[str, AnnotationService] = {}

    def service(self, name: str) -> AnnotationService:
        return self.services.setdefault(name, AnnotationService(self.store, self.media, User(name)))


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        for line in self.rfile:
            try:
                answer = self._call(json.loads(line))
            except UgsdError as error:
                answer = {"ok": False, "error": str(error)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["call"] not in CALLS:
            return {"ok": False, "error": "no such call"}
        method = getattr(self.server.service(request["who"]), request["call"])
        started = time.perf_counter()
        done = method(*request.get("args", ()), **request.get("kwargs", {}))
        took = {"ok": True, "server_ms": (time.perf_counter() - started) * 1e3}
        if request["call"] == "next":
            return took | {"item": None if done is None else done.id}
        return took | asdict(done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("store")
    parser.add_argument("--media", default="annotation-media")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    # Opening checks the whole store first: after a kill, that is the proof that it is sound.
    with open_store(args.store) as store, Server(args.port, store, Media(Path(args.media))) as server:
        print(json.dumps({"port": server.server_address[1]}), flush=True)
        sys.setswitchinterval(0.001)  # fifty short requests at once: hand over soon
        server.serve_forever(poll_interval=0.5)


if __name__ == "__main__":
    main()
