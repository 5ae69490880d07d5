"""Connections to a verifier over an emulated link: what `demo`, `caption` and `evaluate` use where one is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from ugsd_core.wire.emulated import Conditions, EmulatedLink
from ugsd_core.wire.reconnect import ReconnectingLink, check_addresses

__all__ = ["Relays", "ShapedLink"]

#: Round trips that connection and handshake may take.
_OPENING_TRIPS = 6


class Relays:
    """Relays of one kind, made when they are needed: one for each verifier that is asked for. Safe for many threads.

    Nothing of one `Relays` is shared with another, so that two visitors with links of their own do not meet in one.

    Args:
        conditions: What the links are like.
    """

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self._lock = threading.Lock()
        self._running = ExitStack()
        self._relays: dict[str, EmulatedLink] = {}

    def to(self, target: str) -> str:
        """Where to connect to for a verifier: a relay's address, or the verifier's own where nothing is emulated.

        Raises:
            VerifierUnavailable: If a relay can't be started.
        """
        if self.conditions.plain:
            return target
        with self._lock:
            if target not in self._relays:
                self._relays[target] = self._running.enter_context(EmulatedLink(target, self.conditions))
            return self._relays[target].address

    def behind(self, address: str) -> str:
        """The verifier behind a relay; an address that is no relay's stays what it is."""
        with self._lock:
            return next((target for target, relay in self._relays.items() if relay.address == address), address)

    def close(self) -> None:
        """End all relays."""
        with self._lock:
            self._relays.clear()
            self._running.close()


class ShapedLink(ReconnectingLink):
    """A `ReconnectingLink` over an emulated link.

    `close` leaves the relays, so that it may connect again; leaving it as a context manager ends them.

    Args:
        addresses: As of `ReconnectingLink`.
        conditions: What the link is like.
        settings: Of `ReconnectingLink`.
    """

    def __init__(self, addresses: str | Callable[[], Sequence[str]], conditions: Conditions, **settings: Any) -> None:
        self._relays = Relays(conditions)
        given = addresses if callable(addresses) else check_addresses(addresses)
        settings.setdefault("open_timeout_s", 5.0 + _OPENING_TRIPS * conditions.rtt_ms / 1000)

        def relayed() -> list[str]:
            return [self._relays.to(address) for address in (given() if callable(given) else given)]

        super().__init__(relayed, **settings)
        if not callable(given):
            self._shown = given[0]

    @property
    def address(self) -> str:
        """Where the verifier is, not the relay before it."""
        return self._relays.behind(super().address)

    def __exit__(self, *exc_info: object) -> None:
        self.close()
        self._relays.close()
