"""A replica of the verifier behind the server that Ray Serve has in front (uvicorn), without Ray."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Origin, Subprotocol

from tests.wire.fakes import EDGE, END, INFO, FakeVerifier, open_request, verify
from ugsd_core.cli.parser import build_parser
from ugsd_core.cli.ray_parser import least_and_most
from ugsd_core.errors import HandshakeRefused, OptionError, ProtocolError
from ugsd_core.options import DecodingOptions
from ugsd_core.wire import ray_service
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.frames import MAX_FRAME_BYTES
from ugsd_core.wire.protocol import SUBPROTOCOL
from ugsd_core.wire.ray_replica import REPLICA_HEADER, ReplicaSettings, VerifierReplica, replica_app
from ugsd_core.wire.ray_service import Scale

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = DecodingOptions().to_dict()
MADE = "tests.wire.fakes:FakeVerifier"


@contextmanager
def replica_serving(settings: dict[str, Any] | None = None) -> Iterator[tuple[str, VerifierReplica, threading.Event]]:
    """A replica in a thread; gives its address, itself, and what tells it to end when set."""
    import uvicorn

    stopping = threading.Event()
    values = {"made_by": MADE, "grace_s": 5.0} | (settings or {})
    replica = VerifierReplica(values, stopping=stopping.is_set, name="r1")
    config = uvicorn.Config(
        replica_app(lambda: replica),
        lifespan="off",
        log_level="error",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}", replica, stopping
    finally:
        stopping.set()
        server.should_exit = True
        thread.join(10.0)
        assert not thread.is_alive()


@pytest.fixture
def serving() -> Iterator[tuple[str, VerifierReplica, threading.Event]]:
    with replica_serving() as found:
        yield found


def until(true: Any) -> None:
    ends_at = time.monotonic() + 5.0
    while not true():
        assert time.monotonic() < ends_at
        time.sleep(0.005)


def test_a_session_is_served_as_by_the_servers_own_and_stays_in_its_replica(serving: Any) -> None:
    address, replica, _ = serving
    with WebSocketLink(address) as link, WebSocketLink(address) as other:
        for one in (link, other):
            assert one.connect(EDGE, OPTIONS) == INFO
            one.open(open_request())
            assert one.opened("u", 5.0).utterance == "u"
        wanted = FakeVerifier().open(open_request())
        for sequence, base in enumerate((0, 1, 2)):
            draft = (wanted.wanted(base), END)
            committed = (wanted.wanted(base - 1),) if base else ()
            verdict = link.judge(verify("u", sequence, draft, max(0, base - 1), committed), 5.0)
            assert (verdict.accepted, verdict.replacement) == (1, wanted.wanted(base + 1))
        assert replica.open_sessions == 2
        replica.check_health()
    until(lambda: replica.open_sessions == 0)
    assert replica.verifier.judged == 3 and len(replica.verifier.opened_requests) == 2  # type: ignore[attr-defined]
    assert replica.service().counters.rebuilt == 0


def test_who_is_no_edge_is_refused_before_the_handshake(serving: Any) -> None:
    address, replica, _ = serving
    ours: dict[str, Any] = {"subprotocols": [Subprotocol(SUBPROTOCOL)], "compression": None}
    unlike: tuple[dict[str, Any], ...] = (
        {"origin": Origin("https://elsewhere.example")},
        {"subprotocols": None},
        {"compression": "deflate"},
    )
    for more in unlike:
        with pytest.raises(InvalidStatus, match="403"):
            connect_websocket(address, **ours | more).close()
    with connect_websocket(address, **ours) as websocket:
        assert websocket.response is not None and websocket.response.headers[REPLICA_HEADER] == "r1"
    assert replica.open_sessions <= 1


@pytest.mark.parametrize(("frame", "code"), [("text", 1002), (b"\0" * (MAX_FRAME_BYTES + 1), 1009)])
def test_what_is_no_frame_ends_the_session(serving: Any, frame: str | bytes, code: int) -> None:
    address, _, _ = serving
    with connect_websocket(address, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None) as websocket:
        websocket.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                websocket.recv(5.0)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == code


def test_the_token_is_asked_for_and_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="UGSD_ACCESS_TOKEN"):
        VerifierReplica({"made_by": MADE, "needs_token": True}, stopping=lambda: False, name="r")
    monkeypatch.setenv("UGSD_ACCESS_TOKEN", "secret")
    with replica_serving({"needs_token": True}) as (address, _, _):
        with WebSocketLink(address) as link, pytest.raises(HandshakeRefused, match="token"):
            link.connect(EDGE, OPTIONS)
        with WebSocketLink(address, access_token="secret") as link:
            assert link.connect(EDGE, OPTIONS) == INFO


def test_a_replica_that_is_to_end_finishes_what_is_open_and_begins_nothing_new(serving: Any) -> None:
    address, replica, stopping = serving
    with WebSocketLink(address) as link, WebSocketLink(address) as idle:
        for one in (link, idle):
            one.connect(EDGE, OPTIONS)
        link.open(open_request())
        link.opened("u", 5.0)
        stopping.set()

        def told() -> bool:
            link.poll()
            return link.session is not None and link.session.draining is not None

        until(told)
        until(lambda: (idle.poll(), not idle.connected)[1])
        assert link.judge(verify("u", 0, (END,)), 5.0).sequence == 0
        link.open(open_request("another"))
        with pytest.raises(ProtocolError) as refused:
            link.opened("another", 5.0)
        assert refused.value.code == "draining"
        link.close_utterance("u")
        until(lambda: replica.open_sessions == 0)
    with WebSocketLink(address) as late, pytest.raises(Exception, match=r"."):
        late.connect(EDGE, OPTIONS)


def test_settings_cross_as_plain_values_and_unknown_ones_are_told() -> None:
    settings = ReplicaSettings(checkpoint="x", limits={"rows": 4}, origins=("https://a",), release="2")
    assert ReplicaSettings.from_dict(settings.to_dict()) == settings
    for wrong in (
        {"replica": 1},
        {"client_limits": {"x": 1}},
        {"limits": {"row": 1}},
        {"limits": {"rows": 0}},
        {"workers": 0},
    ):
        with pytest.raises(OptionError):
            ReplicaSettings.from_dict(wrong)


def test_a_replica_whose_worker_has_ended_says_that_it_is_ill(serving: Any) -> None:
    address, replica, _ = serving
    with WebSocketLink(address) as link:
        link.connect(EDGE, OPTIONS)
        replica.check_health()
        replica.service().close()
        with pytest.raises(RuntimeError, match="dead"):
            replica.check_health()


def test_scaling_follows_open_connections_and_leaves_room_for_those_of_a_lost_replica() -> None:
    options = Scale(1, 4, gpus=1).options(10.0)
    scaling = options["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (1, 4) and "num_replicas" not in options
    assert options["max_ongoing_requests"] >= 2 * scaling["target_ongoing_requests"]
    assert options["graceful_shutdown_timeout_s"] > 10.0 and options["ray_actor_options"]["num_gpus"] == 1
    assert Scale(3).options(1.0)["num_replicas"] == 3
    for wrong in ((0, None), (2, 1)):
        with pytest.raises(OptionError):
            Scale(*wrong)


def test_the_file_for_a_cluster_says_what_the_command_would_do() -> None:
    yaml = pytest.importorskip("yaml")
    file = yaml.safe_load((ROOT / "containers" / "ray-serve.yaml").read_text(encoding="utf-8"))
    (application,) = file["applications"]
    module, _, name = application["import_path"].partition(":")
    assert (module, name) == (ray_service.__name__, ray_service.verifier_app.__name__)
    settings = ReplicaSettings.from_dict(application["args"])
    assert settings.needs_token and settings.device == "cuda"
    (deployment,) = application["deployments"]
    typed = Scale(1, 4, cpus=2, gpus=1).options(settings.grace_s)
    assert deployment == {name: typed[name] for name in deployment}


@pytest.mark.parametrize(
    ("words", "found"),
    [([], (2, None)), (["--replicas", "3"], (3, None)), (["--autoscale", "1,4"], (1, 4))],
)
def test_how_many_replicas_can_be_typed(words: list[str], found: tuple[int, int | None]) -> None:
    args = build_parser("verifier").parse_args(["verifier", "--ray", *words])
    assert args.ray == "local" and least_and_most(args) == found


@pytest.mark.parametrize(
    "words", [["--autoscale", "4"], ["--autoscale", "a,b"], ["--autoscale", "1,2", "--replicas", "2"]]
)
def test_numbers_of_replicas_that_mean_nothing_are_told(words: list[str]) -> None:
    with pytest.raises(OptionError):
        least_and_most(build_parser("verifier").parse_args(["verifier", "--ray", *words]))
