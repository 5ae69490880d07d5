from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Subprotocol

from tests.wire.fakes import EDGE, INFO, FakeVerifier, make_code, open_request, serving, verify
from ugsd_core.cli.edge_access import FILE_VARIABLE, edge_token, take_edge_access
from ugsd_core.cli.parser import TOKEN_VARIABLE, build_parser
from ugsd_core.cli.verifier_access import access_of
from ugsd_core.errors import HandshakeRefused, OptionError, UgsdError, VerifierUnavailable
from ugsd_core.wire import own, protocol
from ugsd_core.wire.access import AccessTokens, file_line, new_token
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.door import Access
from ugsd_core.wire.frames import pack_frame
from ugsd_core.wire.messages import Close, Hello, Refused
from ugsd_core.wire.process import VerifierProcess
from ugsd_core.wire.reconnect import ReconnectingLink

ANNA, BERT = "anna-has-this-token-0001", "bert-has-this-token-0002"


def token_file(path: Path, *lines: str) -> Path:
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# ── Files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_names_several_tokens_plain_or_hashed(tmp_path: Path) -> None:
    path = token_file(
        tmp_path / "tokens", "# who", "", f"anna {ANNA}", file_line("bert", BERT), "alone-on-its-line-0003"
    )
    assert BERT not in path.read_text(encoding="utf-8")
    tokens = AccessTokens.from_file(path)
    names = [found.name if (found := tokens.who(token)) else None for token in (ANNA, BERT, "alone-on-its-line-0003")]
    assert names == ["anna", "bert", "line-5"] and len(tokens) == 3
    for wrong in (None, "", "anna", ANNA + " ", ANNA[:-1], file_line("bert", BERT).split()[1], "ß" * 300, "\ud800"):
        assert tokens.who(wrong) is None
    assert ANNA not in repr(tokens) and ANNA not in repr(tokens.who(ANNA)) and "anna" in repr(tokens)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "no token in"),
        (("anna short",), "line 1 .*no SHA-256 and not 16"),
        (("anna sha256:12",), "line 1 .*no SHA-256"),
        ((f"anna {ANNA}", f"anna {BERT}"), "Line 2 .*second time"),
        ((f"anna {ANNA} more",), "Line 1 .*a name and a token"),
        ((f"a/b {ANNA}",), "Line 1 .*a name and a token"),
    ],
)
def test_a_broken_file_is_told_by_its_line_and_never_quoted(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        AccessTokens.from_file(token_file(tmp_path / "tokens", *lines))
    assert ANNA not in str(caught.value) and "short" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="rights as POSIX has them")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = token_file(tmp_path / "tokens", f"anna {ANNA}")
    path.chmod(mode)
    with pytest.raises(OptionError, match="chmod 600"):
        AccessTokens.from_file(path)


def test_a_changed_file_counts_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = token_file(tmp_path / "tokens", f"anna {ANNA}")
    tokens = AccessTokens.from_file(path)
    anna = tokens.who(ANNA)
    assert anna is not None
    path.write_text(f"anna {ANNA}\nbert {BERT}\n", encoding="utf-8")
    tokens.refresh()
    assert tokens.who(BERT) is not None and tokens.holds(anna)
    path.write_text(f"bert {BERT} {ANNA}\n", encoding="utf-8")
    tokens.refresh()
    assert tokens.who(BERT) is not None and "stay as they were" in caplog.text and ANNA not in caplog.text
    path.unlink()
    tokens.refresh()
    assert tokens.holds(anna)
    token_file(path, f"bert {BERT}")
    tokens.refresh()
    assert tokens.who(ANNA) is None and not tokens.holds(anna)


# ── Sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_removed_token_ends_its_sessions_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ugsd_core.wire.server.LOOK_S", 0.02)
    path = token_file(tmp_path / "tokens", f"anna {ANNA}", f"bert {BERT}")
    with (
        serving(FakeVerifier(), access=Access(tokens=AccessTokens.from_file(path))) as address,
        WebSocketLink(address, access_token=ANNA) as anna,
        WebSocketLink(address, access_token=BERT) as bert,
    ):
        for link in (anna, bert):
            assert link.connect(EDGE, {}) == INFO
        path.write_text(f"bert {BERT}\n", encoding="utf-8")
        until = time.monotonic() + 5.0
        while anna.connected and time.monotonic() < until:
            anna.poll()
            time.sleep(0.01)
        assert not anna.connected
        with pytest.raises(HandshakeRefused) as caught:
            anna.connect(EDGE, {})
        assert caught.value.code == "token" and ANNA not in str(caught.value)
        bert.open(open_request("u"))
        assert bert.judge(verify("u", 0, (1,)), 5.0).judged


def test_one_client_cannot_take_up_the_codes_of_another(tmp_path: Path) -> None:
    """The secret that finds them again belongs to whoever showed a certain token."""
    path = token_file(tmp_path / "tokens", f"anna {ANNA}", f"bert {BERT}")
    access = Access(tokens=AccessTokens.from_file(path))
    known = open_request("1", 7)
    by_name = protocol.Open.of(known, with_code=False)
    answers: dict[str, str] = {}
    with serving(FakeVerifier(), access=access) as address:
        for who, token, message in (
            ("anna first", ANNA, protocol.Open.of(known, with_code=True)),
            ("bert", BERT, by_name),
            ("anna again", ANNA, by_name),
        ):
            with connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None) as websocket:
                websocket.send(hello(token, resume="d" * 64))
                websocket.recv(5.0)
                websocket.send(protocol.encode(message)[0])
                frame = websocket.recv(5.0)
                assert isinstance(frame, bytes)
                answers[who] = type(protocol.decode_down(frame)[0]).__name__
    assert answers == {"anna first": "OpenedReply", "bert": "NeedFeatures", "anna again": "OpenedReply"}


def hello(token: Any, **changes: Any) -> bytes:
    message = Hello(protocol.PROTOCOL_VERSION, "a" * 64, "b" * 64, 600, {})
    values = {name: getattr(message, name) for name in Hello.__slots__ if name != "resume"}
    return pack_frame({"type": "hello"} | values | {"access_token": token} | changes)[0]


def test_without_a_token_every_frame_gets_the_same_bytes_and_tells_nothing() -> None:
    """Neither version nor name, nor whether an utterance, a code or a session exists."""
    known = open_request("1", 7)
    probes: list[bytes | str] = [
        hello(None),
        hello("wrong"),
        hello(ANNA[:-1]),
        hello(5),
        hello(None, version=1),
        hello("wrong", version=99),
        hello("wrong", tokenizer_fingerprint="c" * 64, news=1),
        protocol.encode(protocol.Open.of(known, with_code=True))[0],
        protocol.encode(protocol.Open.of(known, with_code=False))[0],
        protocol.encode(protocol.Open.of(open_request("1", 8), with_code=False))[0],
        protocol.encode(verify("1", 0, (1, 2)))[0],
        protocol.encode(Close("1"))[0],
        pack_frame({"type": "welcome", "access_token": ANNA})[0],
        b"",
        b"\xff" * 128,
        b"\0" * 4096,
        "text",
        "{}",
    ]
    heard: set[tuple[bytes, int | None, str | None]] = set()
    with (
        serving(FakeVerifier(), access=Access(tokens=AccessTokens.single(ANNA))) as address,
        WebSocketLink(address, access_token=ANNA) as honest,
    ):
        honest.connect(EDGE, {})
        honest.open(known)
        honest.opened("1", 5.0)
        for probe in probes:
            with connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None) as websocket:
                websocket.send(probe)
                frame = websocket.recv(5.0)
                with pytest.raises(ConnectionClosed):
                    websocket.recv(5.0)
                assert isinstance(frame, bytes)
                heard.add((frame, websocket.close_code, websocket.close_reason))
                assert websocket.response is not None and "Server" not in websocket.response.headers
        assert len(heard) == 1
        refused = protocol.decode_down(next(iter(heard))[0])[0]
        assert isinstance(refused, Refused) and refused.code == "token"
        assert INFO.name not in refused.sentence and str(protocol.PROTOCOL_VERSION) not in refused.sentence
        assert honest.judge(verify("1", 0, (1,)), 5.0).judged


def test_before_the_token_no_large_frame_is_taken_in() -> None:
    with serving(FakeVerifier(), access=Access(tokens=AccessTokens.single(ANNA))) as address:
        websocket = connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None)
        with websocket, pytest.raises(ConnectionClosed):
            websocket.send(b"x" * (1 << 19))
            websocket.recv(5.0)
        assert websocket.close_code == 1009


# ── Binding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def typed(*words: str, environment: dict[str, str] | None = None) -> Access:
    return access_of(build_parser("verifier").parse_args(["verifier", *words]), environment or {})


def test_what_other_machines_reach_needs_encryption_or_a_word_and_a_token(tmp_path: Path) -> None:
    path = str(token_file(tmp_path / "tokens", f"anna {ANNA}"))
    assert typed().tokens is None
    with pytest.raises(OptionError, match=r"in the clear.*--tls-cert.*--insecure-plaintext"):
        typed("--host", "0.0.0.0", "--token-file", path)
    with pytest.raises(OptionError, match="ugsd verifier token"):
        typed("--host", "0.0.0.0", "--insecure-plaintext")
    with pytest.raises(OptionError, match="ugsd verifier token"):
        typed("--trusted-proxy", "127.0.0.1")
    with pytest.raises(OptionError, match="shorter than 16"):
        typed("--host", "0.0.0.0", "--insecure-plaintext", environment={TOKEN_VARIABLE: "short"})
    with pytest.raises(OptionError, match="both --tls-cert"):
        typed("--tls-cert", path)
    with pytest.raises(OptionError, match=r"10\.0\.0\.0/8"):
        typed("--trusted-proxy", "somewhere", "--token-file", path)
    open_to_all = typed("--host", "0.0.0.0", "--allow-remote", "--token-file", path)
    assert open_to_all.tokens is not None and open_to_all.tokens.who(ANNA)
    from_environment = typed("--host", "::", "--insecure-plaintext", environment={TOKEN_VARIABLE: ANNA})
    assert from_environment.tokens is not None and from_environment.tokens.who(ANNA)
    limits = typed("--client-sessions", "3", "--max-audio-s", "10").limits
    assert limits is not None and (limits.sessions, limits.audio_s, limits.utterances) == (3, 10.0, 10_000)


def test_a_token_that_is_drawn_goes_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    from ugsd_core.cli.entry import main

    assert main(["verifier", "token", "laptop"]) == 0
    token, line = capsys.readouterr().out.split("\n")[:2]
    assert len(token) == 43 and line == file_line("laptop", token) and token not in line
    assert main(["verifier", "token", "no name"]) == 2
    assert new_token() != new_token()


def test_an_edge_takes_its_token_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    assert edge_token() is None
    monkeypatch.setenv(FILE_VARIABLE, str(token_file(tmp_path / "one", "# mine", f"anna {ANNA}")))
    assert edge_token() == ANNA
    monkeypatch.setenv(TOKEN_VARIABLE, BERT)
    assert edge_token() == BERT
    words = [
        "caption",
        "x",
        "--token-file",
        str(token_file(tmp_path / "two", ANNA)),
        "--tls-ca",
        "a.pem",
        "--pad",
        "strict",
    ]
    environment = {TOKEN_VARIABLE: BERT}
    take_edge_access(build_parser().parse_args(words), environment)
    assert environment == {FILE_VARIABLE: str(tmp_path / "two"), "UGSD_TLS_CA": "a.pem", "UGSD_PAD": "strict"}
    for lines in ((ANNA, BERT), (file_line("anna", ANNA),)):
        monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
        monkeypatch.setenv(FILE_VARIABLE, str(token_file(tmp_path / "wrong", *lines)))
        with pytest.raises(OptionError, match="holds one token") as caught:
            edge_token()
        assert ANNA not in str(caught.value)


# ── Our own verifier ──────────────────────────────────────────────────────────────────────────────────────────────

CHILD = (sys.executable, "-m", "tests.wire.fake_server", "guarded")


def test_a_verifier_of_our_own_lets_in_nobody_else_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, ANNA)  # meant for a verifier elsewhere
    with VerifierProcess(command=CHILD, timeout_s=20) as child:
        address = child.address
        with WebSocketLink(address, access_token=ANNA) as link:
            assert link.connect(EDGE, {}) == INFO
        for token in (None, ANNA):
            with connect_websocket(address, subprotocols=[Subprotocol("ugsd.v1")], proxy=None) as stranger:
                stranger.send(hello(token))
                frame = stranger.recv(5.0)
                assert isinstance(frame, bytes) and isinstance(protocol.decode_down(frame)[0], Refused)
        listed = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(child.pid)], capture_output=True, text=True
        ).stdout
        assert own.child_token() not in listed
    assert own.own_token(address) is None


# ── What is written down ──────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_of_a_session_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    """Neither token nor code, ids or SHA-256, also where the model fails with all of it in its message."""
    marked = make_code(7)
    payload = marked.payload[:8]
    secrets = [
        ANNA,
        marked.sha256,
        "d" * 64,
        "123, 457, 89",
        "123,457,89",
        payload.hex(),
        repr(payload)[2:-1],
        str([*payload])[1:-1],
    ]
    broken = RuntimeError(f"ids (123, 457, 89) of {marked.sha256} {payload!r} {payload.hex()} failed")
    caplog.set_level(logging.DEBUG)
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith(("ugsd_core", "websockets", "asyncio")) and name != "ugsd_core.wire.websocket":
            caplog.set_level(logging.DEBUG, logger=name)
    verifier = FakeVerifier(failures={1: broken})
    with (
        serving(verifier, access=Access(tokens=AccessTokens.single(ANNA))) as address,
        ReconnectingLink(address, access_token=ANNA) as link,
    ):
        link.connect(EDGE, {})
        link.open(open_request("u", 7))
        link.judge(verify("u", 0, (123, 457, 89)), 5.0)
        with pytest.raises(UgsdError) as caught:
            link.judge(verify("u", 1, (123, 457, 89)), 5.0)
        link.close_utterance("u")
        traced = str(link.take_frames())  # what traces and the ledger hold of it
        with (
            WebSocketLink(address, access_token="a-wrong-token-that-is-mine") as stranger,
            pytest.raises(HandshakeRefused),
        ):
            stranger.connect(EDGE, {})
    assert "failed with RuntimeError" in caplog.text, "the failure itself is told"
    for where in (caplog.text, str(caught.value), traced):
        assert not [secret for secret in [*secrets, "a-wrong-token-that-is-mine"] if secret in where]


def test_the_log_of_websockets_cannot_be_turned_on_by_the_root_logger() -> None:
    """At DEBUG that library logs what frames hold."""
    import ugsd_core.wire.client
    import ugsd_core.wire.server  # noqa: F401

    assert not logging.getLogger("ugsd_core.wire.websocket").isEnabledFor(logging.WARNING)


def test_hangup_reads_the_tokens_anew(tmp_path: Path) -> None:
    """SIGHUP sets the event that makes a server look at once."""
    from ugsd_core.wire.door import Door
    from ugsd_core.wire.server import _look_after

    path = token_file(tmp_path / "tokens", f"anna {ANNA}")
    tokens = AccessTokens.from_file(path)
    token_file(path, f"bert {BERT}")

    async def hang_up() -> None:
        reload = asyncio.Event()
        looking = asyncio.create_task(_look_after(Door(Access(tokens=tokens)), set(), reload))
        reload.set()
        for _ in range(100):
            await asyncio.sleep(0)
            if tokens.who(BERT):
                break
        looking.cancel()

    asyncio.run(hang_up())
    assert tokens.who(BERT) is not None


def test_too_many_connections_are_told_as_such(tmp_path: Path) -> None:
    words = ["--client-connections", "1", "--token-file", str(token_file(tmp_path / "tokens", f"anna {ANNA}"))]
    with serving(FakeVerifier(), access=typed(*words)) as address:
        with WebSocketLink(address, access_token=ANNA) as link:
            link.connect(EDGE, {})
        with (
            WebSocketLink(address, access_token=ANNA) as late,
            pytest.raises(VerifierUnavailable, match="no more connections"),
        ):
            late.connect(EDGE, {})
