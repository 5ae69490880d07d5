from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Origin, Subprotocol

from tests.wire.fakes import EDGE, INFO, FakeVerifier, make_code, open_request, serving, verify
from tests.wire.test_access import ANNA, BERT, hello
from ugsd_core.errors import HandshakeRefused, ProtocolError, VerifierBusy, VerifierUnavailable
from ugsd_core.messages import GenerateRequest
from ugsd_core.wire import door as doors
from ugsd_core.wire.access import AccessTokens
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.door import Access, Door, networks
from ugsd_core.wire.limits import ClientLimits
from ugsd_core.wire.messages import Generate
from ugsd_core.wire.reconnect import ReconnectingLink

TOKENS = AccessTokens.single(ANNA, "anna")
PROTOCOLS = [Subprotocol("ugsd.v1")]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def asked(peer: str = "203.0.113.9", **headers: str) -> tuple[Any, Any]:
    """A connection and its request, as websockets gives them."""
    found = {"Host": "127.0.0.1:8765", "Upgrade": "websocket"} | {
        key.replace("_", "-"): headers[key] for key in headers
    }

    def respond(status: int, text: str) -> Any:
        return SimpleNamespace(status=status, headers={})

    request = SimpleNamespace(headers=Headers(found))
    return SimpleNamespace(remote_address=(peer, 5), respond=respond, request=request), request


def status(door: Door, *words: str, **headers: str) -> int | None:
    response: Any = door.look(*asked(*words, **headers))
    return None if response is None else int(response.status)


# ── The request ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_on_loopback_a_request_must_mean_us() -> None:
    """A page whose name was pointed at this machine (DNS rebinding) says its own name."""
    door = Door(Access())
    for host in ("127.0.0.1", "127.0.0.1:8765", "localhost:1", "[::1]:8765", "LOCALHOST"):
        assert status(door, "127.0.0.1", Host=host) is None
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[::2]", "localhost.evil"):
        assert status(door, "127.0.0.1", Host=host) == 421
        assert status(door, "127.0.0.1", Host=host, Upgrade="none") == 421, "neither may it ask for anything else"
    assert status(Door(Access(allowed_hosts=("Verifier.Example",))), "127.0.0.1", Host="verifier.example:443") is None
    assert status(Door(Access(), "0.0.0.0"), Host="any.example") is None
    assert status(Door(Access(allowed_hosts=("a.example",)), "0.0.0.0"), Host="any.example") == 421


def test_a_proxy_says_who_it_is_and_nobody_else_does() -> None:
    door = Door(Access(tokens=TOKENS, trusted_proxies=networks(["10.0.0.0/8", "::1"])))

    def address(peer: str, *forwarded: str) -> str:
        return door.address_of(peer, Headers([("X-Forwarded-For", value) for value in forwarded]))

    assert address("203.0.113.9", "198.51.100.7") == "203.0.113.9", "an edge may say what it likes"
    assert address("10.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert address("10.0.0.1", "192.0.2.1, 198.51.100.7, 10.0.0.2") == "198.51.100.7", "the nearest that is no proxy"
    assert address("10.0.0.1", "192.0.2.1", "198.51.100.7:4711") == "198.51.100.7"
    assert address("::1", "[2001:db8::5]") == "2001:db8::5"
    assert address("10.0.0.1", "nonsense") == address("10.0.0.1") == "10.0.0.1"
    assert status(door, "10.0.0.1", Host="verifier.example") is None, "a proxy passes the name on that it was asked for"


def test_connections_come_at_a_rate_from_each_address() -> None:
    clock = Clock()
    door = Door(Access(tokens=TOKENS, limits=ClientLimits(connections_per_minute=2)), "0.0.0.0", clock=clock)
    assert [status(door), status(door), status(door), status(door, "203.0.113.10")] == [None, None, 429, None]
    clock.now_s = 30.0
    assert [status(door), status(door)] == [None, 429]
    assert door.refused == {"rate": 2}
    assert [status(Door(Access()), "127.0.0.1") for _ in range(300)] == [None] * 300, "on loopback there is no limit"


def test_those_who_say_nothing_do_not_fill_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_PENDING_EACH", 2)
    monkeypatch.setattr(doors, "MAX_PENDING", 3)
    door = Door(Access(tokens=TOKENS), "0.0.0.0")
    waiting = [door.guest(asked()[0]) for _ in range(2)]
    assert [status(door), status(door, "203.0.113.10")] == [429, None]
    waiting.append(door.guest(asked("203.0.113.11")[0]))
    assert status(door, "203.0.113.10") == 503
    waiting.pop().leave()
    assert asyncio.run(waiting[0].greet(hello(ANNA))) is None and status(door) is None
    for guest in waiting:
        guest.leave()
        guest.leave()
    assert (door.pending, door.sessions) == (0, 0)


def test_a_web_page_connects_only_where_it_was_named() -> None:
    named = "https://demo.example"
    for access, origin, answer in (
        (Access(), named, 403),
        (Access(origins=(named,)), named, None),
        (Access(origins=(named,)), "https://demo.example.evil", 403),
        (Access(origins=(named,)), "null", 403),
    ):
        with serving(FakeVerifier(), access=access) as address:
            try:
                with connect_websocket(address, subprotocols=PROTOCOLS, origin=Origin(origin), proxy=None):
                    found = None
            except InvalidStatus as error:
                found = error.response.status_code
            assert found == answer


def test_without_the_subprotocol_nobody_gets_in() -> None:
    with serving(FakeVerifier()) as address, pytest.raises(InvalidStatus) as caught:
        connect_websocket(address, proxy=None).close()
    assert caught.value.response.status_code == 400


# ── Sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_wrong_tokens_are_refused_later_and_later_and_right_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    door = Door(Access(tokens=TOKENS), "0.0.0.0", clock=Clock())

    async def knock(token: str) -> bool:
        guest = door.guest(asked()[0])
        refused = await guest.greet(hello(token))
        guest.leave()
        return refused is None

    async def main() -> list[bool]:
        return [await knock(token) for token in ("wrong",) * 8 + (ANNA,)]

    assert asyncio.run(main()) == [False] * 8 + [True]
    assert slept == [0.2, 0.4, 0.8]


def test_a_client_has_so_many_sessions_and_another_has_its_own() -> None:
    tokens = AccessTokens(
        [found for token in (ANNA, BERT) if (found := AccessTokens.single(token, token[:4]).who(token))]
    )
    access = Access(tokens=tokens, limits=ClientLimits(sessions=1))
    with serving(FakeVerifier(), access=access) as address:
        first = WebSocketLink(address, access_token=ANNA)
        with first:
            assert first.connect(EDGE, {}) == INFO
            with WebSocketLink(address, access_token=ANNA) as second, pytest.raises(HandshakeRefused) as caught:
                second.connect(EDGE, {})
            assert caught.value.code == "limited" and "1 sessions already" in str(caught.value)
            with WebSocketLink(address, access_token=BERT) as other:
                assert other.connect(EDGE, {}) == INFO
            lasting = ReconnectingLink(address, access_token=ANNA)
            with lasting, pytest.raises(VerifierUnavailable, match="sessions already"):
                lasting.connect(EDGE, {})  # no end of the run: another moment may be better


def test_one_request_too_many_is_answered_with_a_time_and_the_edge_says_why() -> None:
    with (
        serving(FakeVerifier(), access=Access(limits=ClientLimits(requests_per_s=1.0))) as address,
        ReconnectingLink(address) as link,
    ):
        link.connect(EDGE, {})
        link.open(open_request("u"))
        link.judge(verify("u", 0, (1,)), 5.0)
        with pytest.raises(VerifierBusy, match="asks more often than it may") as caught:
            link.judge(verify("u", 1, (1,)), 0.1)
        assert 0.0 < caught.value.retry_after_s <= 1.1
        assert link.standing("u") == "silent", "it goes on alone until then"
        assert link.connected


def test_a_request_is_repeated_where_its_deadline_allows() -> None:
    access = Access(limits=ClientLimits(requests_per_s=20.0))
    with serving(FakeVerifier(), access=access) as address, WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request("u"))
        assert all(link.judge(verify("u", number, (1,)), 5.0).judged for number in range(45))


def test_a_caption_that_the_verifier_writes_costs_more_than_a_block() -> None:
    door = Door(Access(limits=ClientLimits(requests_per_s=10.0)), clock=Clock())
    guest = door.guest(asked("127.0.0.1")[0])
    assert asyncio.run(guest.greet(hello(None))) is None
    long = Generate(1, GenerateRequest("1", 1024, 0.0, 0))
    assert guest.retry_after_ms(long) is None
    assert guest.retry_after_ms(verify("1", 0, (1,))) is not None


def test_who_sends_too_much_is_read_more_slowly() -> None:
    clock = Clock()
    door = Door(Access(limits=ClientLimits(kb_per_s=100.0)), clock=clock)
    guest = door.guest(asked("127.0.0.1")[0])
    asyncio.run(guest.greet(hello(None)))
    assert guest.received(1 << 19) == 0.0
    assert guest.received(100_000) == pytest.approx(1.0)
    clock.now_s = 1.0
    assert guest.received(0) == 0.0


def test_a_recording_that_is_too_long_is_refused_and_a_shorter_one_is_not() -> None:
    verifier = FakeVerifier()
    access = Access(limits=ClientLimits(audio_s=1.0))
    with serving(verifier, access=access) as address, WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request("long", code=make_code(1, n_frames=101)))
        with pytest.raises(ProtocolError, match="at most 1 s") as caught:
            link.opened("long", 5.0)
        assert caught.value.code == "too_long"
        link.open(open_request("short", code=make_code(1, n_frames=100)))
        assert link.opened("short", 5.0).input_tokens == 100
    assert len(verifier.opened_requests) == 1


def test_a_session_that_has_had_enough_is_finished_and_comes_back() -> None:
    access = Access(limits=ClientLimits(utterances=2))
    with serving(FakeVerifier(), access=access) as address, ReconnectingLink(address) as link:
        for number in range(6):
            link.connect(EDGE, {})
            link.open(open_request(f"u{number}", number))
            assert link.judge(verify(f"u{number}", 0, (1,)), 5.0).judged
            link.close_utterance(f"u{number}")
        assert link.connections == 3


@pytest.mark.parametrize("limits", [ClientLimits(idle_s=0.05), ClientLimits(session_s=0.05)])
def test_an_idle_or_aged_session_is_closed_without_a_loss(
    limits: ClientLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ugsd_core.wire.server.LOOK_S", 0.02)
    with serving(FakeVerifier(), access=Access(limits=limits)) as address, ReconnectingLink(address) as link:
        link.connect(EDGE, {})
        until = time.monotonic() + 5.0
        while link.connected and time.monotonic() < until:
            time.sleep(0.02)
            link.take_frames()
        assert not link.connected
        assert link.connect(EDGE, {}) == INFO


def test_a_frame_beyond_the_limit_ends_the_connection() -> None:
    access = Access(limits=ClientLimits(frame_kb=1.0))
    with serving(FakeVerifier(), access=access) as address, WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request("u"))  # 2 kB
        with pytest.raises(VerifierUnavailable):
            link.opened("u", 5.0)


def test_strictly_padded_sessions_have_frames_of_one_length_both_ways() -> None:
    with serving(FakeVerifier()) as address, WebSocketLink(address, padding="strict") as link:
        link.connect(EDGE, {})
        for name, frames in (("short", 60), ("long", 3000)):
            link.open(open_request(name, code=make_code(1, n_frames=frames)))
            link.opened(name, 5.0)
            for number in range(3):
                link.judge(verify(name, number, tuple(range(1, 2 + 10 * number))), 5.0)
            link.close_utterance(name)
        seen = [(frame.direction, frame.message, frame.wire_bytes) for frame in link.take_frames()]
    assert {size for _, message, size in seen if message == "open"} == {1 << 17}
    assert {size for _, message, size in seen if message not in ("open", "hello")} == {2048}
    assert {size for _, message, size in seen if message == "hello"} <= {2048}
