"""An emulated link delays and limits; it loses, reorders and invents nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.wire.fakes import EDGE, INFO, FakeVerifier, open_request, serving, verify
from ugsd_core.errors import OptionError, UgsdError, VerifierUnavailable
from ugsd_core.options import DecodingOptions
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.emulated import CONDITIONS, Conditions, EmulatedLink
from ugsd_core.wire.shaped import ShapedLink

OPTIONS = DecodingOptions().to_dict()


@contextmanager
def server(script: Callable[[socket.socket], None]) -> Iterator[str]:
    """A TCP server that runs a script with its one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    script(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):  # wakes accept() if nobody came
                socket.create_connection(listening.getsockname(), timeout=1.0).close()
            thread.join(10.0)


def dial(link: EmulatedLink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(link.address.rsplit(":", 1)[1])), timeout=20.0)


@contextmanager
def relayed(script: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """A connection through a link to a server that runs a script."""
    with server(script) as address, EmulatedLink(address, Conditions(10.0)) as link, dial(link) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(1 << 16):
        received += piece
    return received


def echo(connection: socket.socket) -> None:
    while piece := connection.recv(1 << 16):
        connection.sendall(piece)


# ── Conditions ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_conditions_are_typed_as_they_are_printed() -> None:
    found = Conditions.parse(" RTT=100, up=10 ,down=2.5 ")
    assert found == Conditions(100.0, 10.0, 2.5) == Conditions.parse(str(found))
    assert Conditions.parse("up=5") == Conditions(0.0, 5.0, None)
    for name, conditions in CONDITIONS.items():
        assert Conditions.parse(name) == conditions == Conditions.parse(str(conditions))
    shaky = Conditions.parse("rtt=100,jitter=10,mbit=5")
    assert shaky == Conditions(100.0, 5.0, 5.0, 10.0) == Conditions.parse(str(shaky))
    assert shaky.told == "+100 ms ± 10, 5 Mbit/s" and Conditions().told == ""
    assert Conditions().plain and not CONDITIONS["lan"].plain


@pytest.mark.parametrize(
    "text",
    [
        *("", "moon", "rtt", "rtt=", "rtt=x", "rtt=-1", "rtt=nan", "up=0", "rtt=1,rtt=2", "loss=3", "down=inf"),
        *("jitter=1", "rtt=9,jitter=10", "rtt=9,jitter=-1", "mbit=1,up=2"),
    ],
)
def test_conditions_without_a_meaning_are_refused(text: str) -> None:
    with pytest.raises(OptionError):
        Conditions.parse(text)


@pytest.mark.parametrize("target", ["http://127.0.0.1:1", "127.0.0.1:8765", "ws://", "ws://host:99999", "ws://host:0"])
def test_a_target_that_is_no_websocket_address_is_refused(target: str) -> None:
    with pytest.raises(OptionError, match="WebSocket address"):
        EmulatedLink(target, Conditions())


def test_the_path_of_the_target_is_kept() -> None:
    with EmulatedLink("ws://127.0.0.1:1/verifier?x=1", Conditions()) as link:
        assert link.address.startswith("ws://127.0.0.1:") and link.address.endswith("/verifier?x=1")


# ── Bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("conditions", [Conditions(), Conditions(20.0, 80.0, 80.0, 20.0)])
def test_bytes_arrive_whole_and_in_order(conditions: Conditions) -> None:
    sent = bytes(range(256)) * 2000  # more than a buffer's worth
    with server(echo) as address, EmulatedLink(address, conditions) as link, dial(link) as connection:
        writer = threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR)))
        writer.start()
        assert read_all(connection) == sent
        writer.join()
        assert link.bytes_up == link.bytes_down == len(sent)


def test_an_answer_takes_at_least_the_round_trip() -> None:
    with server(echo) as address, EmulatedLink(address, Conditions(rtt_ms=150.0)) as link, dial(link) as connection:
        connection.sendall(b"first")  # pays for opening as well
        assert connection.recv(5) == b"first"
        begun = time.monotonic()
        connection.sendall(b"again")
        assert connection.recv(5) == b"again"
        assert time.monotonic() - begun >= 0.149


def test_with_jitter_an_answer_takes_its_least_and_not_always_the_same() -> None:
    conditions, took = Conditions(rtt_ms=40.0, jitter_ms=20.0), []
    with server(echo) as address, EmulatedLink(address, conditions) as link, dial(link) as connection:
        for _ in range(12):
            begun = time.monotonic()
            connection.sendall(b"again")
            assert connection.recv(5) == b"again"
            took.append(time.monotonic() - begun)
    assert min(took[1:]) >= 0.019 and max(took[1:]) - min(took[1:]) > 0.001


def test_two_emulated_links_share_nothing_and_say_the_verifier_behind_them() -> None:
    near, far = Conditions(rtt_ms=1.0), Conditions(rtt_ms=60.0)
    with serving(FakeVerifier()) as address, ShapedLink(address, near) as one, ShapedLink(address, far) as other:
        for link in (one, other):
            assert link.connect(EDGE, OPTIONS) == INFO
            assert link.address == address, "the verifier, not the relay before it"
        waits = []
        for link in (one, other):
            begun = time.monotonic()
            link.open(open_request("u"))
            link.opened("u", 5.0)
            waits.append(time.monotonic() - begun)
        assert waits[1] >= 0.059
        one.close()
        assert other.connected, "one that ends leaves the other"


@pytest.mark.parametrize(("conditions", "least_s"), [(Conditions(up_mbps=4.0), 0.4), (Conditions(down_mbps=2.0), 0.8)])
def test_a_direction_is_no_faster_than_its_rate(conditions: Conditions, least_s: float) -> None:
    sent = bytes(200_000)
    with server(echo) as address, EmulatedLink(address, conditions) as link, dial(link) as connection:
        begun = time.monotonic()
        writer = threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR)))
        writer.start()
        assert read_all(connection) == sent
        assert time.monotonic() - begun >= 0.95 * least_s
        writer.join()


def test_a_sender_has_to_wait_when_the_link_is_full() -> None:
    arrived = threading.Event()

    def read_nothing(connection: socket.socket) -> None:
        arrived.wait(20.0)

    with server(read_nothing) as address, EmulatedLink(address, Conditions(up_mbps=0.01)) as link:
        with dial(link) as connection:
            connection.settimeout(0.5)
            with pytest.raises(TimeoutError):  # buffers of the relay and of the system are full some time
                while True:
                    connection.sendall(bytes(1 << 20))
        arrived.set()


# ── Ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_closing_reaches_the_other_side_from_both_sides() -> None:
    seen: list[bytes] = []
    with relayed(lambda connection: seen.append(read_all(connection))) as connection:
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""  # the server closed in its turn
    assert seen == [b"bye"]
    with relayed(lambda connection: connection.sendall(b"last words")) as connection:
        assert read_all(connection) == b"last words"


def test_nobody_behind_the_link_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with EmulatedLink(f"ws://127.0.0.1:{port}", Conditions()) as link, pytest.raises(VerifierUnavailable):
        WebSocketLink(link.address).connect(EDGE, OPTIONS)


def test_leaving_ends_connections_that_stand() -> None:
    with server(echo) as address:
        with EmulatedLink(address, Conditions(30_000.0)) as link:
            connection = dial(link)
            connection.sendall(b"never arrives")
        with connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_link_is_used_once() -> None:
    link = EmulatedLink("ws://127.0.0.1:1", Conditions())
    with link:
        pass
    with pytest.raises(RuntimeError, match="once"):
        link.__enter__()


# ── The real wire ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_edge_and_verifier_do_not_know_of_it() -> None:
    with (
        serving(FakeVerifier()) as address,
        EmulatedLink(address, Conditions(60.0, 50.0, 50.0)) as emulated,
        WebSocketLink(address) as direct,
        WebSocketLink(emulated.address) as far,
    ):
        verdicts = []
        for link in (direct, far):
            assert link.connect(EDGE, OPTIONS) == INFO
            link.open(open_request())
            link.opened("u", 10.0)
            begun = time.monotonic()
            verdicts.append(link.judge(verify("u", 1, (1, 2, 3)), 10.0))
            took_s = time.monotonic() - begun
        assert took_s >= 0.059
        assert [v.accepted for v in verdicts] == [verdicts[0].accepted] * 2


def test_a_link_that_breaks_is_an_error_for_people() -> None:
    with serving(FakeVerifier()) as address:
        with EmulatedLink(address, Conditions(5.0)) as emulated:
            link = WebSocketLink(emulated.address)
            link.connect(EDGE, OPTIONS)
        with link, pytest.raises(UgsdError):
            link.open(open_request())
            link.opened("u", 5.0)
