from __future__ import annotations

import asyncio
import http.server
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import websockets.sync.server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import ServerConnection
from websockets.typing import Origin, Subprotocol

from tests import fakes as scripted_models
from tests.tiny import utterance
from tests.wire.fakes import EDGE, END, INFO, VOCABULARY, FakeVerifier, make_code, open_request, serving, verify
from ugsd_core.acoustic import FeatureSpec, encode_waveform
from ugsd_core.captioner import Captioner
from ugsd_core.errors import (
    HandshakeRefused,
    OptionError,
    ProtocolError,
    UgsdError,
    VerdictTimeout,
    VerifierUnavailable,
)
from ugsd_core.messages import FrameRecord, GenerateRequest, Verdict
from ugsd_core.options import DecodingOptions
from ugsd_core.result import caption_result
from ugsd_core.wire import protocol
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.connection import Connection, FramesClosed
from ugsd_core.wire.foreground import run_server
from ugsd_core.wire.frames import FRAME_SIZES, pack_frame, unpack_frame
from ugsd_core.wire.messages import ErrorReply, Hello, NeedFeatures, Open, Refused, VerdictReply, Welcome
from ugsd_core.wire.protocol import PROTOCOL_VERSION
from ugsd_core.wire.service import Service

OPTIONS = DecodingOptions().to_dict()


@contextmanager
def linked(verifier: Any, **options: Any) -> Iterator[WebSocketLink]:
    """A link that has shaken hands with a served verifier."""
    with serving(verifier) as address, WebSocketLink(address, **options) as link:
        assert link.connect(EDGE, OPTIONS) == INFO
        yield link


@contextmanager
def scripted(script: Callable[[ServerConnection], None], subprotocol: str | None = "ugsd.v1") -> Iterator[str]:
    """A WebSocket server that follows a script."""

    def handle(websocket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            script(websocket)

    subprotocols = None if subprotocol is None else [Subprotocol(subprotocol)]
    with websockets.sync.server.serve(
        handle, "127.0.0.1", 0, subprotocols=subprotocols, compression=None, max_size=None
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join(5.0)


def send(websocket: ServerConnection, message: Any) -> None:
    websocket.send(protocol.encode(message)[0])


def mapped(message: Any) -> dict[str, Any]:
    """A message's map, without the checks of its direction."""
    return unpack_frame(protocol.encode(message)[0])[0]


def take(websocket: ServerConnection) -> Any:
    frame = websocket.recv()
    assert isinstance(frame, bytes)
    return protocol.decode_up(frame)[0]


# ── What works ────────────────────────────────────────────────────────────────────────────────────────────────────


def caption(link: WebSocketLink, name: str, seed: int) -> list[Any]:
    """A small decoding loop: draft something, take what the verifier says, to the end."""
    link.open(open_request(name, seed))
    out: list[Any] = [link.opened(name, 5.0)]
    ids: list[int] = []
    judged = sequence = 0
    while END not in ids:
        draft = tuple((seed + len(ids) + offset) % 7 for offset in range(4))
        request = verify(name, sequence, draft, judged, tuple(ids[judged:]))
        verdict = link.judge(request, 5.0)
        out.append(replace(verdict, queued_ms=0.0))
        judged = len(ids) + verdict.accepted
        ids += draft[: verdict.accepted]
        ids += [token for token in (verdict.replacement, verdict.bonus) if token is not None]
        sequence += 1
    link.close_utterance(name)
    return out


def test_a_caption_over_the_wire_equals_the_verifier_asked_directly() -> None:
    with linked(FakeVerifier()) as link:
        over_wire = caption(link, "u", 3)
    utterance = FakeVerifier().open(open_request("u", 3))
    ids: list[int] = []
    judged = 0
    for sequence, verdict in enumerate(over_wire[1:]):
        draft = tuple((3 + len(ids) + offset) % 7 for offset in range(4))
        assert utterance.judge(verify("u", sequence, draft, judged, tuple(ids[judged:]))) == verdict
        judged = len(ids) + verdict.accepted
        ids += [*draft[: verdict.accepted], verdict.replacement or verdict.bonus]
    assert ids[-1] == END


def test_eight_utterances_at_once_give_what_they_give_alone() -> None:
    verifier = FakeVerifier()
    with serving(verifier, workers=3) as address:

        def run(seed: int) -> list[Any]:
            with WebSocketLink(address) as link:
                link.connect(EDGE, OPTIONS)
                return caption(link, f"u{seed}", seed)

        alone = [run(seed) for seed in range(8)]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(run, range(8)))
    assert together == alone


def test_utterances_of_one_session_do_not_mix() -> None:
    with linked(FakeVerifier()) as link:
        for seed in range(8):
            link.open(open_request(f"u{seed}", seed))
        for sequence in range(3):
            for seed in range(8):
                verdict = link.judge(verify(f"u{seed}", sequence, (1, 2)), 5.0)
                direct = FakeVerifier().open(open_request("x", seed)).judge(verify("x", sequence, (1, 2)))
                assert replace(verdict, queued_ms=0.0) == direct


def test_a_connected_link_answers_at_once_and_reconnects_for_another_edge() -> None:
    with linked(FakeVerifier()) as link:
        link.take_frames()
        assert link.connect(EDGE, OPTIONS) == INFO and link.take_frames() == []
        link.connect(replace(EDGE, name="another"), OPTIONS)
        assert [frame.message for frame in link.take_frames()] == ["hello", "welcome"]


def test_generation_streams() -> None:
    verifier = FakeVerifier(token_s=0.005)
    with linked(verifier) as link:
        link.open(open_request())
        stream = link.generate(GenerateRequest("u", 96, 0.0, 0), 5.0)
        first = next(stream)
        assert verifier.generated < 41, "the first token came before the last was written"
        tokens = [first, *stream]
        assert [token.position for token in tokens] == list(range(41)) and tokens[-1].token_id == END
        assert len(list(link.generate(GenerateRequest("u", 3, 0.0, 0), 5.0))) == 3


def test_a_generation_that_nobody_wants_ends() -> None:
    verifier = FakeVerifier(token_s=0.01)
    with linked(verifier) as link:
        link.open(open_request())
        stream = link.generate(GenerateRequest("u", 40, 0.0, 0), 5.0)
        next(stream)
        verdict = link.judge(verify("u", 0, (1,)), 5.0)
        assert verdict.sequence == 0 and verifier.generated < 20
        link.open(open_request("v", 1))
        other = link.generate(GenerateRequest("v", 5, 0.0, 0), 5.0)
        positions = [token.position for token in other]
        assert positions == [0, 1, 2, 3, 4]
        del stream


def test_a_code_crosses_once() -> None:
    verifier = FakeVerifier()
    with linked(verifier) as link:
        for name in ("a", "b"):
            link.open(open_request(name, 4))
            link.opened(name, 5.0)
        frames = [frame for frame in link.take_frames() if frame.message == "open"]
        assert [frame.traffic for frame in frames] == ["acoustic_code", "control"]
        assert [request.code for request in verifier.opened_requests] == [make_code(4)] * 2


def test_a_verifier_that_forgot_a_code_gets_it_again() -> None:
    """The verifier's memory is shorter than the edge believes."""

    def script(websocket: ServerConnection) -> None:
        assert isinstance(take(websocket), Hello)
        send(websocket, Welcome(PROTOCOL_VERSION, INFO))
        utterance = FakeVerifier().open(take(websocket).request(make_code(4)))
        send(websocket, utterance.opened)
        assert take(websocket).code is None
        request = take(websocket)  # already under way when the code is asked for
        send(websocket, NeedFeatures("2"))
        assert take(websocket).code == make_code(4)
        send(websocket, VerdictReply("2", utterance.judge(request)))
        websocket.recv()

    with scripted(script) as address, WebSocketLink(address) as link:
        link.connect(EDGE, OPTIONS)
        link.open(open_request("a", 4))
        link.opened("a", 5.0)
        link.open(open_request("b", 4))
        assert link.judge(verify("b", 0, (1,)), 5.0).sequence == 0


def test_a_repeated_block_gets_the_same_verdict_without_a_second_judgement() -> None:
    verifier = FakeVerifier()
    with linked(verifier) as link:
        link.open(open_request())
        first = link.judge(verify("u", 0, (1, 2)), 5.0)
        assert link.judge(verify("u", 0, (1, 2)), 5.0) == first and verifier.judged == 1


# ── Deadlines and breaks ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_verdict_is_dropped() -> None:
    with linked(FakeVerifier(delays_s={0: 0.3})) as link:
        link.open(open_request())
        link.opened("u", 5.0)
        began = time.monotonic()
        with pytest.raises(VerdictTimeout):
            link.judge(verify("u", 0, (1,)), 0.1)
        assert time.monotonic() - began < 0.25
        link.take_frames()
        assert link.judge(verify("u", 1, (2, 3)), 5.0).sequence == 1
        assert [frame.message for frame in link.take_frames()] == ["verify", "verdict", "verdict"]


def test_a_verdict_that_nobody_waits_for_is_in_the_ledger() -> None:
    with linked(FakeVerifier(delays_s={0: 0.1})) as link:
        link.open(open_request())
        with pytest.raises(VerdictTimeout):
            link.judge(verify("u", 0, (1,)), 0.01)
        time.sleep(0.3)
        assert "verdict" in [frame.message for frame in link.take_frames()]


def test_deadlines_of_opening_and_generation() -> None:
    gate = threading.Event()

    class Slow(FakeVerifier):
        def open(self, request: Any) -> Any:
            assert gate.wait(5.0)
            return super().open(request)

    with linked(Slow()) as link:
        link.open(open_request())
        with pytest.raises(VerdictTimeout):
            link.opened("u", 0.05)
        with pytest.raises(VerdictTimeout, match="token"):
            next(link.generate(GenerateRequest("u", 5, 0.0, 0), 0.05))
        gate.set()
        assert link.opened("u", 5.0).utterance == "u"


def test_a_connection_that_breaks_mid_wait_is_noticed_at_once_and_renewed_on_demand() -> None:
    sessions = []

    def script(websocket: ServerConnection) -> None:
        sessions.append(websocket)
        take(websocket)
        send(websocket, Welcome(PROTOCOL_VERSION, INFO))
        take(websocket)
        take(websocket)
        websocket.socket.shutdown(socket.SHUT_RDWR)

    with scripted(script) as address, WebSocketLink(address) as link:
        link.connect(EDGE, OPTIONS)
        link.open(open_request())
        began = time.monotonic()
        with pytest.raises(VerifierUnavailable, match="lost"):
            link.judge(verify("u", 0, (1,)), 30.0)
        assert time.monotonic() - began < 1.5
        with pytest.raises(VerifierUnavailable):
            link.judge(verify("u", 1, (1,)), 30.0)
        link.close_utterance("u")
        assert link.connect(EDGE, OPTIONS) == INFO and len(sessions) == 2


def test_a_peer_that_falls_silent_is_given_up() -> None:
    """Half-open: the connection stands, but nobody answers pings any more."""
    listener = socket.create_server(("127.0.0.1", 0))
    upgraded = threading.Event()

    def silent() -> None:
        from websockets.server import ServerProtocol

        connection, _ = listener.accept()
        with connection:
            server = ServerProtocol(subprotocols=[Subprotocol("ugsd.v1")])
            server.receive_data(connection.recv(65536))
            server.send_response(server.accept(server.events_received()[0]))  # type: ignore[arg-type]
            server.send_binary(protocol.encode(Welcome(PROTOCOL_VERSION, INFO))[0])
            connection.sendall(b"".join(server.data_to_send()))
            upgraded.wait(5.0)

    thread = threading.Thread(target=silent)
    thread.start()
    with (
        listener,
        WebSocketLink(f"ws://127.0.0.1:{listener.getsockname()[1]}", ping_interval_s=0.1, ping_timeout_s=0.2) as link,
    ):
        link.connect(EDGE, OPTIONS)
        link.open(open_request())
        with pytest.raises(VerifierUnavailable):
            link.judge(verify("u", 0, (1,)), 30.0)
        upgraded.set()
        thread.join(5.0)


def test_closing_from_another_thread_ends_a_wait() -> None:
    gate = threading.Event()
    with linked(FakeVerifier(gate=gate)) as link:
        link.open(open_request())
        timer = threading.Timer(0.1, link.close)
        timer.start()
        with pytest.raises(VerifierUnavailable):
            link.judge(verify("u", 0, (1,)), 30.0)
        timer.join()
        gate.set()


def test_a_server_shutting_down_takes_its_sessions_along() -> None:
    with WebSocketLink("ws://127.0.0.1:1") as link:
        with serving(FakeVerifier()) as address:
            link = WebSocketLink(address)
            link.connect(EDGE, OPTIONS)
            link.open(open_request())
            link.opened("u", 5.0)
        with pytest.raises(VerifierUnavailable):
            link.judge(verify("u", 0, (1,)), 5.0)
        with pytest.raises(VerifierUnavailable, match="ugsd verifier"):
            link.connect(EDGE, OPTIONS)
        link.close()


def test_a_peer_that_stops_reading_does_not_hold_up_the_edge_for_ever() -> None:
    stop = threading.Event()

    def script(websocket: ServerConnection) -> None:
        take(websocket)
        send(websocket, Welcome(PROTOCOL_VERSION, INFO))
        websocket.recv_flow_control.acquire()  # the thread that reads from the socket waits here
        stop.wait(10.0)
        websocket.recv_flow_control.release()

    with scripted(script) as address:
        link = WebSocketLink(address, ping_interval_s=60.0, ping_timeout_s=0.3)
        with link:
            link.connect(EDGE, OPTIONS)
            code = make_code(0, 3000, 128, 8)
            began = time.monotonic()
            with pytest.raises(VerifierUnavailable):
                for seed in range(100):
                    link.open(open_request(str(seed), code=replace(code, high=seed / 100)))
            assert time.monotonic() - began < 4.0
            stop.set()


# ── Refusals and wrong numbers ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"tokenizer_fingerprint": "c" * 64}, "tokenizer", "one family"),
        ({"vocabulary_size": 9}, "tokenizer", "600 and 9"),
        ({"feature_fingerprint": "c" * 64}, "features", "feature settings"),
    ],
)
def test_unlike_sides_refuse_each_other(change: dict[str, Any], code: str, words: str) -> None:
    edge = replace(EDGE, **change)
    with serving(FakeVerifier()) as address, WebSocketLink(address) as link:
        with pytest.raises(HandshakeRefused, match=words) as caught:
            link.connect(edge, OPTIONS)
        assert caught.value.code == code

    def credulous(websocket: ServerConnection) -> None:
        take(websocket)
        send(websocket, Welcome(PROTOCOL_VERSION, replace(INFO, vocabulary_size=VOCABULARY)))

    with scripted(credulous) as address, WebSocketLink(address) as link:
        with pytest.raises(HandshakeRefused) as caught:
            link.connect(edge, OPTIONS)
        assert caught.value.code == code


def test_access_token() -> None:
    with serving(FakeVerifier(), access_token="secret") as address:
        with WebSocketLink(address, access_token="secret") as link:
            assert link.connect(EDGE, OPTIONS) == INFO
        with WebSocketLink(address) as link, pytest.raises(HandshakeRefused) as caught:
            link.connect(EDGE, OPTIONS)
        assert caught.value.code == "token"


def test_another_version_of_the_protocol() -> None:
    def newer(websocket: ServerConnection) -> None:
        websocket.recv()
        websocket.send(pack_frame({"type": "welcome", "version": PROTOCOL_VERSION + 1, "news": 1})[0])

    def older(websocket: ServerConnection) -> None:  # what version 1 says to an edge it does not understand
        websocket.recv()
        send(websocket, Refused("version", "the other side speaks another version; use the same version on both sides"))

    for script, subprotocol in ((newer, "ugsd.v1"), (older, "ugsd.v1"), (newer, "ugsd.v9"), (newer, None)):
        with scripted(script, subprotocol) as address, WebSocketLink(address) as link:
            with pytest.raises(HandshakeRefused, match="same version") as caught:
                link.connect(EDGE, OPTIONS)
            assert caught.value.code == "version"


@pytest.mark.parametrize("version", [1, PROTOCOL_VERSION + 1])
def test_an_edge_of_another_version_is_refused_with_a_reason(version: int) -> None:
    """An older edge understands the answer, since the subprotocol and the refusal are the same in all versions."""
    with serving(FakeVerifier()) as address:
        with connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None) as websocket:
            hello = mapped(Hello(version, "a" * 64, "b" * 64, VOCABULARY, {}))
            websocket.send(pack_frame(hello)[0])
            frame = websocket.recv(5.0)
            assert isinstance(frame, bytes)
            refused = protocol.decode_down(frame)[0]
            assert isinstance(refused, Refused) and refused.code == "version"
            assert "same version" in refused.sentence
            with pytest.raises(ConnectionClosed):
                websocket.recv(5.0)
        with pytest.raises(InvalidStatus):
            connect_websocket(address, subprotocols=[Subprotocol("ugsd.v9")], proxy=None).close()


def test_a_web_page_may_not_connect() -> None:
    with serving(FakeVerifier()) as address, pytest.raises(InvalidStatus) as caught:
        connect_websocket(
            address, subprotocols=[Subprotocol("ugsd.v1")], origin=Origin("http://localhost:7860"), proxy=None
        ).close()
    assert caught.value.response.status_code == 403


class _Old(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Modern(_Old):
    protocol_version = "HTTP/1.1"


class _Greeting(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"220 mail.example ESMTP\r\n")
        self.request.settimeout(1.0)
        with suppress(OSError):
            self.request.recv(4096)


@pytest.mark.parametrize(
    ("handler", "words"), [(_Modern, "web server .* 404"), (_Old, "no verifier"), (_Greeting, "no verifier")]
)
def test_a_server_that_is_no_verifier(handler: Any, words: str) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            link = WebSocketLink(f"ws://127.0.0.1:{server.server_address[1]}")
            with link, pytest.raises(VerifierUnavailable, match=words):
                link.connect(EDGE, OPTIONS)
        finally:
            server.shutdown()
            thread.join()


def test_a_websocket_server_that_talks_of_something_else() -> None:
    for said in (b"hello", "hello", b"\0" * 128, protocol.encode(NeedFeatures("1"))[0]):

        def script(websocket: ServerConnection, said: Any = said) -> None:
            websocket.recv()
            websocket.send(said)
            websocket.recv()

        with scripted(script) as address:
            link = WebSocketLink(address)
            with link, pytest.raises(VerifierUnavailable, match="like a verifier"):
                link.connect(EDGE, OPTIONS)

    with scripted(lambda websocket: None) as address:
        link = WebSocketLink(address)
        with link, pytest.raises(VerifierUnavailable):
            link.connect(EDGE, OPTIONS)


def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = WebSocketLink(f"ws://127.0.0.1:{listener.getsockname()[1]}", open_timeout_s=0.2)
        with link, pytest.raises(VerifierUnavailable, match=r"0\.2 s"):
            link.connect(EDGE, OPTIONS)

    def script(websocket: ServerConnection) -> None:
        websocket.recv()
        websocket.recv()

    with scripted(script) as address:
        link = WebSocketLink(address, open_timeout_s=0.2)
        with link, pytest.raises(VerifierUnavailable, match=r"0\.2 s"):
            link.connect(EDGE, OPTIONS)


@pytest.mark.parametrize(
    "address", ["", "localhost:8765", "http://127.0.0.1:1", "ws://", "ws://h:port", "ws://h:99999"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(OptionError, match="ws://127"):
        WebSocketLink(address)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with WebSocketLink(f"ws://127.0.0.1:{port}") as link:
        with pytest.raises(VerifierUnavailable, match="ugsd verifier"):
            link.connect(EDGE, OPTIONS)
        with pytest.raises(VerifierUnavailable):
            link.open(open_request())
        assert link.take_frames() == []


def test_a_verdict_for_something_else_ends_the_session() -> None:
    def script(websocket: ServerConnection) -> None:
        take(websocket)
        send(websocket, Welcome(PROTOCOL_VERSION, INFO))
        take(websocket)
        take(websocket)
        send(websocket, VerdictReply("1", Verdict(0, 0, 2, None, None, (), (), 0.0)))

    def cheat(websocket: ServerConnection) -> None:
        with pytest.raises(ProtocolError):
            script(websocket)
        websocket.send(b"\0" * 128)

    with scripted(cheat) as address, WebSocketLink(address) as link:
        link.connect(EDGE, OPTIONS)
        link.open(open_request())
        with pytest.raises(ProtocolError):
            link.judge(verify("u", 0, (1,)), 5.0)
        assert not link.connected
        assert link.take_frames()[-1].message == "unreadable"


# ── The verifier fails ────────────────────────────────────────────────────────────────────────────────────────────


def test_errors_of_the_verifier_arrive_typed_and_the_session_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    failures: dict[int, Exception] = {0: RuntimeError("id 123456 is out of range"), 1: ProtocolError("no", "bad_base")}
    with linked(FakeVerifier(failures=failures)) as link:
        link.open(open_request())
        for sequence, code in ((0, "internal"), (1, "bad_base")):
            with pytest.raises(ProtocolError) as caught:
                link.judge(verify("u", sequence, (1,)), 5.0)
            assert caught.value.code == code
        assert link.judge(verify("u", 2, (1,)), 5.0).sequence == 2
    assert "RuntimeError" in caplog.text and "fakes.py" in caplog.text and "123456" not in caplog.text


@pytest.mark.parametrize(
    ("error", "code"), [(OptionError("unknown rule"), "refused"), (ProtocolError("unfit", "bad_code"), "bad_code")]
)
def test_an_utterance_that_cannot_be_opened(error: Exception, code: str) -> None:
    with linked(FakeVerifier(failures={-1: error})) as link:
        link.open(open_request())
        with pytest.raises(ProtocolError, match=str(error)) as caught:
            link.opened("u", 5.0)
        assert caught.value.code == code
        link.open(open_request())
        with pytest.raises(ProtocolError, match=str(error)):
            link.judge(verify("u", 0, (1,)), 5.0)
        link.open(open_request())
        with pytest.raises(ProtocolError, match=str(error)):
            next(link.generate(GenerateRequest("u", 4, 0.0, 0), 5.0))


def test_an_answer_that_cannot_be_sent_becomes_an_error() -> None:
    class Numpy(FakeVerifier):
        def open(self, request: Any) -> Any:
            utterance = super().open(request)
            judge = utterance.judge
            utterance.judge = lambda asked: replace(judge(asked), accepted=np.int64(0))  # type: ignore[method-assign]
            return utterance

    with linked(Numpy()) as link:
        link.open(open_request())
        with pytest.raises(ProtocolError) as caught:
            link.judge(verify("u", 0, (1,)), 5.0)
        assert caught.value.code == "internal"


def test_nothing_is_sent_that_the_protocol_does_not_allow() -> None:
    verifier = FakeVerifier()
    with linked(verifier) as link:
        link.open(open_request())
        link.opened("u", 5.0)
        for draft in ((), (VOCABULARY,), (1,) * 65):
            with pytest.raises(ProtocolError):
                link.judge(verify("u", 0, draft), 5.0)
        assert link.judge(verify("u", 0, (1,)), 5.0).sequence == 0


def test_a_session_that_breaks_the_protocol_is_told_and_ended() -> None:
    with serving(FakeVerifier()) as address:
        with connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None) as websocket:
            websocket.send(protocol.encode(Hello(PROTOCOL_VERSION, "a" * 64, "b" * 64, VOCABULARY, {}))[0])
            websocket.recv(5.0)
            websocket.send(pack_frame({"type": "close", "utterance": "1", "waveform": b"\1\2"})[0])
            frame = websocket.recv(5.0)
            assert isinstance(frame, bytes) and isinstance(protocol.decode_down(frame)[0], ErrorReply)
            with pytest.raises(ConnectionClosed):
                websocket.recv(5.0)
        with connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None) as websocket:
            websocket.send(b"x" * (FRAME_SIZES[-1] + 1))
            with pytest.raises(ConnectionClosed):
                websocket.recv(5.0)


# ── Serving ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UgsdError, match=f"Port {port} on 127.0.0.1 is in use"):
            run_server(FakeVerifier(), port=port)
    with pytest.raises(UgsdError, match="65535"):
        run_server(FakeVerifier(), port=70000)


@pytest.mark.parametrize("host", ["0.0.0.0", "example.org", "192.0.2.1", "::"])
def test_other_machines_are_kept_out_by_default(host: str) -> None:
    with pytest.raises(OptionError, match="insecure-plaintext"):
        run_server(FakeVerifier(), host=host)


def test_localhost_means_one_address() -> None:
    with serving(FakeVerifier(), host="localhost") as address:
        assert address.startswith("ws://127.0.0.1:")


def test_too_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ugsd_core.wire.door.MAX_SESSIONS", 1)
    with linked(FakeVerifier()) as link, WebSocketLink(link.address) as second:
        with pytest.raises(HandshakeRefused) as caught:
            second.connect(EDGE, OPTIONS)
        assert caught.value.code == "busy"


def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ugsd_core.wire.connection.HELLO_TIMEOUT_S", 0.1)
    with serving(FakeVerifier()) as address:
        websocket = connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None)
        with websocket, pytest.raises(ConnectionClosed):
            websocket.recv(5.0)


def test_many_messages_for_an_utterance_that_never_opens_do_not_block_the_session() -> None:
    gate = threading.Event()

    class Stuck(FakeVerifier):
        def open(self, request: Any) -> Any:
            if request.code == make_code(0):
                assert gate.wait(5.0)
                raise ProtocolError("no", "bad_code")
            return super().open(request)

    with linked(Stuck()) as link:
        link.open(open_request("stuck", 0))
        for sequence in range(40):
            with pytest.raises(VerdictTimeout):
                link.judge(verify("stuck", sequence, (1,)), 0.001)
        gate.set()
        link.open(open_request("fine", 1))
        assert link.judge(verify("fine", 0, (1,)), 5.0).sequence == 0


# ── Privacy ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_waveform_no_name_and_no_text_goes_up_and_nothing_of_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Everything the edge sends for a caption, byte by byte, against the record of it."""
    caplog.set_level(logging.DEBUG)
    samples = np.random.default_rng(5).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    pcm = (samples * 32767).astype("<i2").tobytes()
    code = encode_waveform(samples, FeatureSpec(bits=4))
    seen: list[bytes] = []

    def script(websocket: ServerConnection) -> None:
        utterance = None
        for frame in websocket:
            assert isinstance(frame, bytes)
            seen.append(frame)
            message = protocol.decode_up(frame)[0]
            if isinstance(message, Hello):
                send(websocket, Welcome(PROTOCOL_VERSION, INFO))
            elif hasattr(message, "code"):
                utterance = FakeVerifier().open(message.request(code))
                send(websocket, utterance.opened)
            elif hasattr(message, "draft"):
                assert utterance is not None
                send(websocket, VerdictReply("1", utterance.judge(message)))

    with scripted(script) as address, WebSocketLink(address) as link:
        link.connect(EDGE, OPTIONS)
        link.open(open_request("cafe0123cafe0123", code=code))
        link.opened("cafe0123cafe0123", 5.0)
        link.judge(verify("cafe0123cafe0123", 0, (401, 402, 403)), 5.0)
        link.close_utterance("cafe0123cafe0123")
        frames: list[FrameRecord] = link.take_frames()
    up = [frame for frame in frames if frame.direction == "up"]
    assert [frame.message for frame in up] == ["hello", "open", "verify", "close"]
    assert [frame.wire_bytes for frame in up] == [len(frame) for frame in seen]
    assert [frame.payload_bytes for frame in up] == [unpack_frame(frame)[1] for frame in seen]
    assert up[1].contents == "1.0 s of speech as a 4-bit mel code of 4.0 kB"
    everything = b"".join(seen)
    assert b"cafe0123" not in everything
    raw = samples.tobytes()
    for start in range(0, 16_000, 100):
        assert pcm[2 * start : 2 * start + 8] not in everything and raw[4 * start : 4 * start + 8] not in everything
    assert len(everything) < len(pcm) / 3
    assert "401" not in caplog.text.replace("\n", " ").split() and code.payload[:8].hex(" ") not in caplog.text


def test_frames_add_up_and_are_taken_once() -> None:
    with linked(FakeVerifier()) as link:
        link.open(open_request())
        link.judge(verify("u", 0, (1, 2, 3, 4)), 5.0)
        frames = link.take_frames()
        assert link.take_frames() == []
    assert [(frame.direction, frame.traffic) for frame in frames] == [
        ("up", "handshake"),
        ("down", "handshake"),
        ("up", "acoustic_code"),
        ("up", "token_ids"),
        ("down", "control"),
        ("down", "verdict"),
    ]
    assert all(frame.wire_bytes in FRAME_SIZES and 0 < frame.payload_bytes <= frame.wire_bytes for frame in frames)
    assert [frame.at_s for frame in frames] == sorted(frame.at_s for frame in frames)
    assert frames[3].contents == "4 token ids"


POSTERIOR = (0, 1, 2, 255, 4, 5, 6, 7, 8)


def test_the_edges_view_of_the_emotion_reaches_the_verifier_and_is_counted_by_itself() -> None:
    asked: list[Any] = []

    class Listening(FakeVerifier):
        def open(self, request: Any) -> Any:
            utterance = super().open(request)
            judge = utterance.judge
            utterance.judge = lambda request: (asked.append(request), judge(request))[1]
            return utterance

    with linked(Listening()) as link:
        link.open(open_request(fusion=0.25, acceptance="fused"))
        link.judge(replace(verify("u", 0, (1,)), posterior=POSTERIOR), 5.0)
        link.judge(verify("u", 1, (1,)), 5.0)
        frames = [frame for frame in link.take_frames() if frame.message == "verify"]
    assert [request.posterior for request in asked] == [POSTERIOR, None]
    assert [frame.posterior_bytes for frame in frames] == [9, 0]
    assert [frame.contents for frame in frames] == [
        "1 token id and the edge's view of the emotion, 9 bytes",
        "1 token id",
    ]
    assert frames[0].payload_bytes == frames[1].payload_bytes + 21, "the nine bytes and their name"
    assert [frame.wire_bytes for frame in frames] == [128, 128]


def test_a_repeated_block_with_another_view_of_the_emotion_is_another_block() -> None:
    with linked(FakeVerifier()) as link:
        link.open(open_request())
        link.judge(replace(verify("u", 0, (1,)), posterior=POSTERIOR), 5.0)
        with pytest.raises(ProtocolError) as caught:
            link.judge(verify("u", 0, (1,)), 5.0)
        assert caught.value.code == "sequence"


def test_waiting_for_the_prefill_is_told_apart_from_the_network_and_from_judging() -> None:
    class Slow(FakeVerifier):
        def open(self, request: Any) -> Any:
            time.sleep(0.5)
            return super().open(request)

    with linked(Slow()) as link:
        link.open(open_request())
        began = time.perf_counter()
        first = link.judge(verify("u", 0, (1,)), 5.0)
        round_trip_ms = (time.perf_counter() - began) * 1e3
        second = link.judge(verify("u", 1, (1,)), 5.0)
    assert 400.0 < first.queued_ms <= round_trip_ms
    assert second.queued_ms < 250.0


def test_in_the_loop_the_networks_clock_does_not_hold_the_verifiers_prefill() -> None:
    class Slow(scripted_models.ScriptedVerifier):
        def open(self, request: Any) -> Any:
            time.sleep(0.5)
            return super().open(request)

    script = scripted_models.ids("the", "voice", "is", "low", ".", scripted_models.END)
    drafter = scripted_models.ScriptedDrafter(script)
    options = DecodingOptions(gate="always", k=2)
    with serving(Slow(script)) as address, WebSocketLink(address) as link:
        result = caption_result(Captioner(drafter, link).stream(utterance(1), options))
    first, *others = result.blocks
    assert first.queued_ms is not None and first.queued_ms > 300.0
    assert all(block.queued_ms is not None and block.queued_ms < 250.0 for block in others)
    assert all(block.network_ms is not None and block.network_ms < 250.0 for block in result.blocks)
    assert len(others) == 2 and result.token_ids == tuple(script)


def test_a_repeated_block_repeats_the_time_it_waited() -> None:
    with linked(FakeVerifier()) as link:
        link.open(open_request())
        first = link.judge(verify("u", 0, (1,)), 5.0)
        assert first.queued_ms > 0.0 and link.judge(verify("u", 0, (1,)), 5.0).queued_ms == first.queued_ms


async def test_serve_can_be_cancelled() -> None:
    from ugsd_core.wire.server import serve

    ready = asyncio.Event()
    task = asyncio.create_task(serve(FakeVerifier(), on_ready=lambda address: ready.set()))
    await asyncio.wait_for(ready.wait(), 5.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_an_answer_to_a_session_that_was_ended_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """The model works on while the connection is being closed."""
    gate = threading.Event()

    class Held(FakeVerifier):
        def open(self, request: Any) -> Any:
            assert gate.wait(5.0)
            return super().open(request)

    async def main() -> None:
        service = Service(Held())
        frames = Ending(
            [protocol.encode(message)[0] for message in (hello, Open.of(open_request("1"), with_code=True))]
        )
        await Connection(frames, service, None).run()
        await asyncio.to_thread(service.close)

    class Ending:
        def __init__(self, frames: list[bytes]) -> None:
            self.frames = frames
            self.closed = False

        async def recv(self) -> bytes:
            return self.frames.pop(0) if self.frames else b"rubbish"

        async def send(self, frame: bytes) -> None:
            if self.closed:
                raise FramesClosed

        async def close(self, code: int) -> None:
            self.closed = True
            gate.set()
            await asyncio.sleep(0.2)  # the other side takes its time to answer

    hello = Hello(PROTOCOL_VERSION, "a" * 64, "b" * 64, VOCABULARY, {})
    asyncio.run(main())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
