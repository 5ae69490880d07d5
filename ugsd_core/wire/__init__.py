"""The hop between edge and verifier.

frames.py    maps to padded binary frames and back (no I/O)
fields.py    checks of single fields (no I/O)
protocol.py  the messages, encoded, decoded and described in plain words (no I/O)
session.py   the verifier's half of a session (no I/O)
dialogue.py  the edge's half of a session (no I/O)
server.py    serves any `ugsd_core.verifier.Verifier` over WebSocket (asyncio)
connection.py  one session of a server, whatever carries its frames (asyncio)
foreground.py  a server as a process: signals, parent, grace
client.py    `WebSocketLink`, the edge's `ugsd_core.verifier.VerifierLink` (threads)
reconnect.py `ReconnectingLink`, a link that comes back by itself (threads)
breaker.py   exponential back-off and a circuit breaker (no I/O)
deadline.py  the deadline of the next block, learned from those before (no I/O)
process.py   `VerifierProcess`, a verifier as a child process on loopback
keeper.py    `VerifierKeeper`, one that is started again when it ends
drain.py     the orderly end of a server
kept_codes.py  acoustic codes kept for an edge that comes back (no I/O)
ray_replica.py  one of several verifiers behind Ray Serve (asyncio)
ray_service.py  their deployment, and a local Ray
door.py      who may come in, as whom, and how much each may do; access.py, limits.py, tls.py are its parts
own.py       the token of verifiers that this process started
endpoints.py health and measures over plain HTTP; measures.py, tally.py count; notify.py tells systemd
relay.py     what relays share; emulated.py, faults.py: one with a slower network, and one that fails
shaped.py    connections over an emulated link

The protocol is written down in ``docs/protocol.md``.
"""

from __future__ import annotations

__all__: list[str] = []
