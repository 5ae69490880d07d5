"""What whoever runs a verifier sees of it: log, health, measures. Nothing of a client's content is in any of them."""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.test_logs import as_it_was as _as_it_was
from tests.wire.fakes import EDGE, FakeVerifier, make_code, open_request, serving, verify
from tests.wire.test_drain import stoppable, until_told
from ugsd_core.errors import OptionError, ProtocolError, VerdictTimeout, WireError
from ugsd_core.logs import set_up
from ugsd_core.messages import GenerateRequest
from ugsd_core.wire import service as service_module
from ugsd_core.wire.access import AccessTokens
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.door import Access, networks
from ugsd_core.wire.endpoints import MetricsAddress
from ugsd_core.wire.notify import notify, watchdog_s

as_it_was = _as_it_was
SECRET = "cafe0123-a-token"


def get(address: str, path: str, **headers: str) -> tuple[int, str]:
    """What plain HTTP gets there."""
    host, port = address.split("//")[1].split("/")[0].rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def value(text: str, name: str) -> float:
    """A measure, labels included in its name."""
    return float(next(line.rsplit(" ", 1)[1] for line in text.splitlines() if line.rsplit(" ", 1)[0] == name))


def a_session(address: str) -> None:
    """Everything that an edge can do, with content that can be recognised."""
    with WebSocketLink(address, access_token=SECRET) as link:
        link.connect(EDGE, {"mode": "quicksilver"})
        link.open(open_request("cafe0123cafe0123"))
        link.opened("cafe0123cafe0123", 5.0)
        link.judge(verify("cafe0123cafe0123", 0, (401, 402, 403)), 5.0)
        list(link.generate(GenerateRequest("cafe0123cafe0123", 4, 0.0, 0), 5.0))
        for sequence in (1, 2):
            with pytest.raises(ProtocolError):
                link.judge(verify("cafe0123cafe0123", sequence, (455, 456)), 5.0)
        link.close_utterance("cafe0123cafe0123")


def broken() -> FakeVerifier:
    return FakeVerifier(failures={1: RuntimeError("ids 455, 456"), 2: ProtocolError("ids 455, 456", "bad_base")})


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    set_up("json", "debug", stream)
    logging.getLogger().setLevel(logging.DEBUG)  # what other libraries would say, too
    yield stream


def test_a_session_at_debug_leaves_numbers_in_the_log_and_nothing_of_its_content(lines: io.StringIO) -> None:
    with serving(broken(), access_token=SECRET) as address:
        a_session(address)
        with WebSocketLink(address, access_token="another-cafe0123") as stranger, pytest.raises(WireError):
            stranger.connect(EDGE, {})
    ours = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["logger"].startswith("ugsd_core")]
    server = [line for line in ours if line["logger"] != "ugsd_core.wire.client"]
    text = "\n".join(json.dumps(line) for line in server)
    code = make_code(0)
    hidden = (SECRET, "cafe0123", "quicksilver", "455, 456", "401, 402", code.sha256[:12], code.payload[:6].hex())
    for word in (*hidden, "127.0.0.1", "a" * 16):
        assert word not in text, word
    # Single ids, where they could not stand for something else by chance: not in times, and not in line numbers.
    by_chance = {"time", "seconds", "queued_ms", "verify_ms", "session", "trace"}
    for line in server:
        said = " ".join(str(entry) for name, entry in line.items() if name not in by_chance)
        assert not re.search(r"\b(40[123]|45[56])\b", said), said
    ended = next(line for line in server if line["event"] == "session_ended")
    assert (ended["utterances"], ended["blocks"], ended["verdicts"], ended["generated"]) == (1, 3, 1, 1)
    assert ended["refusals"] == {"internal": 1, "bad_base": 1} and ended["bytes_up"] > 1000 < ended["bytes_down"]
    began = next(line for line in server if line["event"] == "session_began")
    assert began["session"] == ended["session"] and len(ended["session"]) == 8
    failed = next(line for line in server if line["event"] == "work_failed")
    assert failed["error"] == "RuntimeError" and "fakes.py" in failed["trace"][-1]
    assert {line["event"] for line in server} >= {"verdict", "refused"}


def test_measures_hold_counts_and_nothing_of_a_clients_content() -> None:
    with serving(broken(), access_token=SECRET) as address:
        a_session(address)
        with WebSocketLink(address, access_token=SECRET) as link:
            link.connect(EDGE, {})
            link.open(open_request("held"))
            link.opened("held", 5.0)
            status, text = get(address, "/metrics")
    assert status == 200
    name = "ugsd_verifier_"
    assert value(text, f"{name}sessions") == 1.0 and value(text, f"{name}sessions_begun_total") == 2.0
    assert value(text, f'{name}requests_total{{kind="verify",outcome="ok"}}') == 1.0
    assert value(text, f'{name}requests_total{{kind="verify",outcome="internal"}}') == 1.0
    assert value(text, f'{name}requests_total{{kind="generate",outcome="ok"}}') == 1.0
    assert value(text, f'{name}refusals_total{{code="bad_base"}}') == 1.0
    assert value(text, f"{name}verify_seconds_count") == 1.0 and value(text, f"{name}passes_total") >= 1.0
    assert value(text, f'{name}workers{{state="idle"}}') == 2.0 and value(text, f"{name}draining") == 0.0
    assert value(text, f"{name}held_bytes") > 0.0 and value(text, f'{name}frame_bytes_total{{direction="up"}}') > 1e3
    assert f'{name}build_info{{checkpoint="fake"' in text and "process_resident_memory_bytes" in text
    for word in (SECRET, "cafe0123", "quicksilver", "127.0.0.1"):
        assert word not in text


def test_measures_are_for_whoever_runs_the_verifier() -> None:
    with serving(FakeVerifier()) as address:
        assert get(address, "/metrics")[0] == 200
        for header in ("X-Forwarded-For", "Forwarded", "Via"):  # a proxy on this machine forwards the world
            assert get(address, "/metrics", **{header: "1.2.3.4"})[0] == 404
            assert get(address, "/healthz", **{header: "1.2.3.4"}) == (200, "ok\n")
        assert get(address, "/")[0] == 426 and get(address, "/healthz?x=1")[0] == 200
    token = AccessTokens.single("x" * 32)
    reached = Access(tokens=token, insecure_plaintext=True)
    with serving(FakeVerifier(), host="0.0.0.0", access=reached) as address:
        assert get(address.replace("0.0.0.0", "127.0.0.1"), "/metrics")[0] == 404
        assert get(address.replace("0.0.0.0", "127.0.0.1"), "/readyz")[0] == 200
    with serving(FakeVerifier(), access=Access(tokens=token, trusted_proxies=networks(["127.0.0.1"]))) as address:
        assert get(address, "/metrics")[0] == 404, "a proxy is in front"


def test_a_web_page_whose_name_was_pointed_here_reads_no_measures_and_probes_need_no_name() -> None:
    with serving(FakeVerifier()) as address:
        assert get(address, "/metrics", Host="evil.example")[0] == 421
        assert get(address, "/healthz", Host="10.1.2.3:8765")[0] == 200
        assert value(get(address, "/metrics")[1], 'ugsd_verifier_refusals_total{code="http_421"}') == 1.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_measures_have_an_address_of_their_own_where_that_is_wanted() -> None:
    port = free_port()
    with serving(FakeVerifier(), metrics=MetricsAddress(port)) as address:
        own = f"http://127.0.0.1:{port}"
        assert get(address, "/metrics")[0] == 404 and get(address, "/readyz")[0] == 200
        assert get(own, "/metrics")[0] == get(own, "/healthz")[0] == get(own, "/readyz")[0] == 200
        assert get(own, "/")[0] == 404
        with WebSocketLink(f"ws://127.0.0.1:{port}") as link, pytest.raises(WireError):
            link.connect(EDGE, {})
        with pytest.raises(WireError, match="in use"), serving(FakeVerifier(), metrics=MetricsAddress(port)):
            pass


def test_a_verifier_that_lets_sessions_finish_is_alive_and_not_ready() -> None:
    port = free_port()
    import tests.wire.test_drain as drains

    own = f"http://127.0.0.1:{port}"
    served = drains.serve

    async def with_metrics(*args: Any, **options: Any) -> None:
        await served(*args, metrics=MetricsAddress(port), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drains, "serve", with_metrics)
        with stoppable(FakeVerifier(), 20.0) as (address, stop, ended), WebSocketLink(address) as link:
            link.connect(EDGE, {})
            link.open(open_request())
            link.opened("u", 5.0)
            assert get(own, "/readyz") == (200, '{"ready": true, "faults": []}\n')
            stop()
            until_told(link)
            assert get(own, "/readyz") == (503, '{"ready": false, "faults": ["draining"]}\n')
            assert get(own, "/healthz")[0] == 200
            assert value(get(own, "/metrics")[1], "ugsd_verifier_draining") == 1.0
            link.close_utterance("u")
            assert ended.wait(10.0)


def test_a_worker_that_hangs_and_one_that_died_make_it_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    with serving(FakeVerifier(gate=gate)) as address, WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request())
        link.opened("u", 5.0)
        with pytest.raises(VerdictTimeout):
            link.judge(verify("u", 0, (1,)), 0.05)
        assert get(address, "/readyz")[0] == 200, "a worker that works is well"
        monkeypatch.setattr(service_module, "HUNG_S", 0.0)
        assert get(address, "/readyz") == (503, '{"ready": false, "faults": ["1 of 2 workers hung"]}\n')
        gate.set()
        link.judge(verify("u", 1, (1,)), 5.0)
        assert get(address, "/readyz")[0] == 200
    dying = FakeVerifier(failures={0: SystemExit(1)})  # type: ignore[dict-item]
    with serving(dying) as address, WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request())
        with pytest.raises(VerdictTimeout):
            link.judge(verify("u", 0, (1,)), 1.0)
        assert get(address, "/readyz") == (503, '{"ready": false, "faults": ["1 of 2 workers dead"]}\n')
        assert value(get(address, "/metrics")[1], 'ugsd_verifier_workers{state="dead"}') == 1.0


def test_systemd_is_told_and_without_it_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1") and watchdog_s() is None
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        assert notify("READY=1", "STATUS=well") and manager.recv(100) == b"READY=1\nSTATUS=well"
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_s() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() is None
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("READY=1")


def test_an_edge_of_another_tokenizer_is_counted_by_the_code_of_its_refusal() -> None:
    with serving(FakeVerifier()) as address:
        with WebSocketLink(address) as link, pytest.raises(WireError):
            link.connect(replace(EDGE, tokenizer_fingerprint="c" * 64), {})
        assert value(get(address, "/metrics")[1], 'ugsd_verifier_refusals_total{code="tokenizer"}') == 1.0


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_token_that_systemd_keeps_is_taken_although_its_mode_shows_an_access_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"edge {'x' * 32}\n")
    file.chmod(0o440)
    with pytest.raises(OptionError, match="other users"):
        AccessTokens.from_file(file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert len(AccessTokens.from_file(file)) == 1
