"""The door of a verifier: who may connect, as whom, and how much each may do.

Two steps. `Door.look` sees the HTTP request, before there is a WebSocket: host, rate of connections. `Guest.greet` sees
the first frame: the access token. Whoever does not show one gets the same refusal, byte for byte, whatever else it
sent, and learns nothing of versions, models, sessions or load.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ugsd_core.acoustic import HOP_LENGTH, SAMPLE_RATE_HZ
from ugsd_core.errors import OptionError, ProtocolError
from ugsd_core.messages import VerifyRequest
from ugsd_core.wire.access import MIN_TOKEN, AccessToken, AccessTokens
from ugsd_core.wire.frames import MAX_FRAME_BYTES, unpack_frame
from ugsd_core.wire.limits import Client, ClientBook, ClientLimits
from ugsd_core.wire.messages import Generate, Open, Refused, UpMessage
from ugsd_core.wire.tls import ServerTls

__all__ = ["HELLO_BYTES", "MAX_PENDING", "MAX_SESSIONS", "Access", "Door", "Guest", "is_loopback", "networks"]

MAX_SESSIONS = 256
#: Connections that have not shown a token yet, of all clients and of one.
MAX_PENDING = 512
MAX_PENDING_EACH = 32
#: The largest frame before the welcome; a hello with 64 long options has 24 kB.
HELLO_BYTES = 32 * 1024
_FORWARDED = "X-Forwarded-For"

_NO_TOKEN = Refused("token", "This verifier asks for an access token, and the one it was given is missing or wrong.")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect, and how.

    Attributes:
        tokens: What an edge must show one of; None asks for none, which is for loopback alone.
        tls: Certificate and key; None speaks plain ``ws://``.
        insecure_plaintext: Plain ``ws://`` to other machines is meant, such as to a reverse proxy that ends TLS.
        limits: For each client; None means the usual ones where other machines reach the verifier, and none where not.
        trusted_proxies: Networks whose ``X-Forwarded-For`` counts.
        allowed_hosts: Names in the ``Host`` header beyond those of loopback; where the verifier listens elsewhere than
            on loopback, any name goes unless some are given.
        origins: Web pages that may connect. None by default: an edge is no browser.
    """

    tokens: AccessTokens | None = None
    tls: ServerTls | None = None
    insecure_plaintext: bool = False
    limits: ClientLimits | None = None
    trusted_proxies: tuple[Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def check(self, host: str) -> None:
        """See that what can be reached from other machines is protected.

        Raises:
            OptionError: Naming what is missing.
        """
        if is_loopback(host):
            if self.trusted_proxies and self.tokens is None:
                raise OptionError(f"Behind a reverse proxy other machines reach this verifier. {_WANTS_TOKEN}")
            return
        if self.tls is None and not self.insecure_plaintext:
            raise OptionError(
                f"{host} can be reached from other machines, and recordings would cross the network in the clear. Give "
                "a certificate (--tls-cert FILE --tls-key FILE), or say --insecure-plaintext if a reverse proxy in "
                "front ends TLS."
            )
        if self.tokens is None:
            raise OptionError(f"{host} can be reached from other machines. {_WANTS_TOKEN}")


_WANTS_TOKEN = (
    "Say who may use it: `ugsd verifier token` draws an access token, for --token-file FILE or UGSD_ACCESS_TOKEN "
    f"(at least {MIN_TOKEN} characters)."
)


class Door:
    """Who is let in. Belongs to the server's event loop.

    Args:
        access: The rules.
        host: Where the verifier listens.
        clock: Monotonic seconds.

    Attributes:
        sessions: That were let in and stand.
        pending: Connections that were not let in yet.
        refused: Refusals so far, by code.
    """

    def __init__(
        self, access: Access | None = None, host: str = "127.0.0.1", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.access = access or Access()
        self.clock = clock
        self._local = is_loopback(host)
        limits = self.access.limits
        if limits is None and (not self._local or self.access.trusted_proxies):
            limits = ClientLimits()
        self.limits = limits
        self.book = ClientBook(limits or ClientLimits())
        self.sessions = 0
        self.pending = 0
        self.refused: dict[str, int] = {}
        self._hosts = {"localhost", "127.0.0.1", "::1", *(name.lower() for name in self.access.allowed_hosts)}

    # ── The request ───────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request that may not go on; None to one that may."""
        peer = _peer(connection)
        if not self._right_host(request.headers, peer):
            return self._deny(connection, "host", 421, "This is not the name of a service here.\n")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return None
        if self.pending >= MAX_PENDING:
            return self._deny(connection, "crowded", 503, "Too many connections; try again later.\n", 10)
        if self.limits is None:
            return None
        account = self.book.account(self.address_of(peer, request.headers), self.clock())
        wait_s = account.connections.take(1.0, self.clock())
        if wait_s or account.pending >= MAX_PENDING_EACH:
            seconds = max(1, round(wait_s + 0.5))
            return self._deny(connection, "rate", 429, "Too many connections; try again later.\n", seconds)
        return None

    def address_of(self, peer: str, headers: Headers) -> str:
        """Where a request comes from: the peer, or what trusted proxies say it is."""
        if not self._trusted(peer):
            return peer
        said = [part.strip() for value in headers.get_all(_FORWARDED) for part in value.split(",")]
        address = peer
        for part in reversed(said):  # from the nearest proxy outwards; what lies behind an untrusted one is hearsay
            part = part.rsplit(":", 1)[0] if part.count(":") == 1 else part.strip("[]")
            try:
                address = str(ipaddress.ip_address(part))
            except ValueError:
                break
            if not self._trusted(address):
                break
        return address

    def _trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.access.trusted_proxies)

    def _right_host(self, headers: Headers, peer: str) -> bool:
        """Whether a request means us: a web page whose name was pointed here (DNS rebinding) says its own name."""
        if self._trusted(peer) or not (self._local or self.access.allowed_hosts):
            return True
        named = headers.get_all("Host")
        if len(named) != 1:
            return False
        host = named[0].strip().lower()
        name = host[1:].split("]", 1)[0] if host.startswith("[") else host.split(":", 1)[0]
        return name in self._hosts

    def _deny(
        self, connection: ServerConnection, code: str, status: int, text: str, retry_after_s: int | None = None
    ) -> Response:
        self.refused[code] = self.refused.get(code, 0) + 1
        response = connection.respond(status, text)
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(retry_after_s)
        return response

    # ── Within ────────────────────────────────────────────────────────────────────────────────────────────────────

    def guest(self, connection: ServerConnection, widen: Callable[[int], None] | None = None) -> Guest:
        """Whoever is behind a new connection; ``widen`` is told the largest frame once it is let in."""
        headers = connection.request.headers if connection.request is not None else Headers()
        return Guest(self, self.address_of(_peer(connection), headers), widen)

    def refresh(self, *, always: bool = False) -> None:
        """Look whether tokens or certificate have changed."""
        if self.access.tokens is not None:
            self.access.tokens.refresh(always=always)
        if self.access.tls is not None:
            self.access.tls.refresh(always=always)


class Guest:
    """One connection's standing.

    Args:
        door: Where it came in.
        address: Where it comes from.
        widen: Told the largest frame it may send, once it is let in.

    Attributes:
        client: As whom it was let in; empty before.
        came_at_s, heard_at_s: When it connected, and when its last frame came.
    """

    def __init__(self, door: Door, address: str = "", widen: Callable[[int], None] | None = None) -> None:
        self._door = door
        self._address = address
        self._widen = widen
        self._token: AccessToken | None = None
        self._account: Client | None = None
        self._utterances = 0
        self._waits: Client | None = door.book.account(address, door.clock()) if door.limits is not None else None
        self._pending = True
        door.pending += 1
        if self._waits is not None:
            self._waits.pending += 1
        self.client = ""
        self.came_at_s = self.heard_at_s = door.clock()

    @classmethod
    def of(cls, access_token: str | None) -> Guest:
        """For a single connection that is no server's; None lets everyone in."""
        return cls(Door(Access(tokens=None if access_token is None else AccessTokens.single(access_token))))

    async def greet(self, frame: bytes | str) -> Refused | None:
        """Look at the first frame; the refusal if it does not let in. One for a wrong token may come late."""
        door, now_s = self._door, self._door.clock()
        client = f"address {self._address}"
        if door.access.tokens is not None:
            self._token = door.access.tokens.who(_shown(frame))
            if self._token is None:
                wait_s = 0.0 if self._waits is None else door.book.failed(self._waits, now_s)
                if wait_s:
                    await asyncio.sleep(wait_s)
                return self._refuse(_NO_TOKEN)
            client = f"token {self._token.name}"
        if door.sessions >= MAX_SESSIONS:
            sentence = f"The verifier already serves {MAX_SESSIONS} sessions; try again later."
            return self._refuse(Refused("busy", sentence))
        if door.limits is not None:
            account = door.book.account(client, now_s)
            if account.sessions >= door.limits.sessions:
                sentence = (
                    f"This client has {door.limits.sessions} sessions already, which is the limit; end one first."
                )
                return self._refuse(Refused("limited", sentence))
            self._account = account
            account.sessions += 1
        self._no_longer_waits()
        door.sessions += 1
        self.client = client
        if self._widen is not None:
            self._widen(MAX_FRAME_BYTES if door.limits is None else int(door.limits.frame_kb * 1024))
        return None

    def leave(self) -> None:
        """The connection has ended."""
        self._no_longer_waits()
        if self.client:
            self.client = ""
            self._door.sessions -= 1
            if self._account is not None:
                self._account.sessions -= 1

    # ── What it may do ────────────────────────────────────────────────────────────────────────────────────────────

    def received(self, size_bytes: int) -> float:
        """A frame came; how long to wait before the next is read (s)."""
        now_s = self.heard_at_s = self._door.clock()
        return 0.0 if self._account is None else self._account.sent.spend(size_bytes, now_s)

    def retry_after_ms(self, message: UpMessage) -> int | None:
        """When to ask again, if a request is one too many; None if it is not."""
        if self._account is None or not isinstance(message, Open | VerifyRequest | Generate):
            return None
        units = 1.0 + (message.request.max_tokens // 16 if isinstance(message, Generate) else 0)
        wait_s = self._account.requests.take(units, self._door.clock())
        return max(1, round(wait_s * 1e3 + 0.5)) if wait_s else None

    def too_long(self, message: UpMessage) -> str | None:
        """The sentence about a recording that is longer than the verifier takes; None about any other message."""
        limits = self._door.limits
        if limits is None or not isinstance(message, Open) or message.code is None:
            return None
        if message.code.n_frames * HOP_LENGTH / SAMPLE_RATE_HZ <= limits.audio_s:
            return None
        return f"This verifier takes recordings of at most {limits.audio_s:g} s."

    def opened(self) -> bool:
        """A recording is opened; whether this session has had all it may have."""
        self._utterances += 1
        limits = self._door.limits
        return limits is not None and self._utterances >= limits.utterances

    def removed(self) -> bool:
        """Whether the token that let it in does so no longer."""
        tokens = self._door.access.tokens
        return self._token is not None and tokens is not None and not tokens.holds(self._token)

    def idle(self) -> bool:
        """Whether it has said nothing for too long."""
        limits = self._door.limits
        return limits is not None and self._door.clock() - self.heard_at_s > limits.idle_s

    def overdue_s(self) -> float:
        """How much older the session is than it may be (s); below 0 if it is not."""
        limits = self._door.limits
        return -1.0 if limits is None else self._door.clock() - self.came_at_s - limits.session_s

    # ── Counting ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, refusal: Refused) -> Refused:
        self._token = None
        self._door.refused[refusal.code] = self._door.refused.get(refusal.code, 0) + 1
        return refusal

    def _no_longer_waits(self) -> None:
        if not self._pending:
            return
        self._pending = False
        self._door.pending -= 1
        if self._waits is not None:
            self._waits.pending -= 1


def _peer(connection: Any) -> str:
    """The address at the other end of the connection."""
    address = connection.remote_address
    return str(address[0]) if address else ""


def _shown(frame: bytes | str) -> str | None:
    """The access token of a frame, however else the frame may be wrong; None if it shows none."""
    if not isinstance(frame, bytes):
        return None
    try:
        values: dict[str, Any] = unpack_frame(frame)[0]
    except ProtocolError:
        return None
    token = values.get("access_token") if values.get("type") == "hello" else None
    return token if isinstance(token, str) and len(token) <= 512 else None


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks as they are typed, ``10.0.0.0/8`` or a single address.

    Raises:
        OptionError: If one is none.
    """
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise OptionError(f"A trusted proxy is an address or a network such as 10.0.0.0/8 ({error}).") from error
