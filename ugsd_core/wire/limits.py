"""What one client may do: limits, token buckets, and a book of clients. No I/O.

A client is whoever shows a certain access token, or, where none is asked for, an address.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, fields

from ugsd_core.errors import OptionError
from ugsd_core.wire.frames import MAX_FRAME_BYTES

__all__ = ["Bucket", "Client", "ClientBook", "ClientLimits"]

#: Clients that are remembered without a session; who was heard last is forgotten last.
MAX_CLIENTS = 4096


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Limits for each client; generous for an edge, even for a page with many visitors.

    Attributes:
        sessions: At the same time.
        connections_per_minute: Attempts to connect from one address, whatever token they show.
        requests_per_s: Openings and blocks; a caption that the verifier writes alone counts one for each 16 tokens.
            Twice as many may come at once.
        kb_per_s: What is sent up, padding included; a client that sends more is read more slowly. Four times as much
            may come at once.
        frame_kb: The largest frame.
        audio_s: Of one recording.
        utterances: Opened in one session; then it is drained, and the edge connects anew.
        session_s: Age of a session; then it is drained, too.
        idle_s: Longest time without a message.

    Raises:
        OptionError: If a limit has no meaning.
    """

    sessions: int = 64
    connections_per_minute: float = 120.0
    requests_per_s: float = 200.0
    kb_per_s: float = 4000.0
    frame_kb: float = MAX_FRAME_BYTES / 1024
    audio_s: float = 30.0
    utterances: int = 10_000
    session_s: float = 86_400.0
    idle_s: float = 1_800.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            if not getattr(self, entry.name) > 0:  # false for NaN too
                raise OptionError(f"the limit {entry.name} must be above 0, not {getattr(self, entry.name)}")


class Bucket:
    """Fills at a rate up to its size; what is taken may leave it empty, and below.

    Args:
        rate: Units a second.
        size: Units that may be taken at once.
        now_s: Monotonic seconds.
    """

    def __init__(self, rate: float, size: float, now_s: float) -> None:
        self._rate = rate
        self._size = size
        self._held = size
        self._at_s = now_s

    def _fill(self, now_s: float) -> None:
        self._held = min(self._size, self._held + self._rate * (now_s - self._at_s))
        self._at_s = now_s

    def take(self, units: float, now_s: float) -> float:
        """Take units if they are there; 0, or the seconds until they would be. More than the size is the size."""
        self._fill(now_s)
        units = min(units, self._size)
        if units <= self._held:
            self._held -= units
            return 0.0
        return (units - self._held) / self._rate

    def spend(self, units: float, now_s: float) -> float:
        """Take units in any case; the seconds until it would hold something again."""
        self._fill(now_s)
        self._held -= units
        return max(0.0, -self._held / self._rate)


@dataclass(slots=True)
class Client:
    """One client's account.

    Attributes:
        sessions: That stand now.
        pending: Connections that have not been let in.
        failures: Tokens that were wrong, worn off with time.
    """

    connections: Bucket
    requests: Bucket
    sent: Bucket
    sessions: int = 0
    pending: int = 0
    failures: float = 0.0
    failed_at_s: float = field(default=0.0)


class ClientBook:
    """The accounts of all clients. Not thread-safe."""

    #: Seconds in which half of the failures are forgotten.
    HALF_LIFE_S = 30.0

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._clients: OrderedDict[str, Client] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def account(self, name: str, now_s: float) -> Client:
        """A client's account, which begins with full buckets."""
        client = self._clients.get(name)
        if client is None:
            limits = self._limits
            client = self._clients[name] = Client(
                Bucket(limits.connections_per_minute / 60, limits.connections_per_minute, now_s),
                Bucket(limits.requests_per_s, 2 * limits.requests_per_s, now_s),
                Bucket(limits.kb_per_s * 1e3, max(4 * limits.kb_per_s * 1e3, limits.frame_kb * 1024), now_s),
            )
            self._forget()
        self._clients.move_to_end(name)
        return client

    def failed(self, client: Client, now_s: float) -> float:
        """A token was wrong; how long its refusal is to wait (s), nothing for the first few."""
        worn = client.failures * 0.5 ** ((now_s - client.failed_at_s) / self.HALF_LIFE_S)
        client.failures, client.failed_at_s = worn + 1.0, now_s
        return 0.0 if client.failures <= 5.0 else min(5.0, 0.1 * 2.0 ** (client.failures - 5.0))

    def _forget(self) -> None:
        """Forget who was heard longest ago and holds nothing."""
        surplus = len(self._clients) - MAX_CLIENTS
        if surplus <= 0:
            return
        idle = [name for name, client in self._clients.items() if not client.sessions and not client.pending]
        for name in idle[:surplus]:
            del self._clients[name]
