"""The hop between edge and verifier.

frames.py    maps to padded binary frames and back (no I/O)
fields.py    checks of single fields (no I/O)
protocol.py  the messages, encoded, decoded and described in plain words (no I/O)
session.py   the verifier's half of a session (no I/O)
dialogue.py  the edge's half of a session (no I/O)
server.py    serves any `ugsd_core.verifier.Verifier` over WebSocket (asyncio)
client.py    `WebSocketLink`, the edge's `ugsd_core.verifier.VerifierLink` (threads)
process.py   `VerifierProcess`, a verifier as a child process on loopback

The protocol is written down in ``docs/protocol.md``.
"""

from __future__ import annotations

__all__: list[str] = []
