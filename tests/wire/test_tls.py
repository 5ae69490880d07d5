from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.wire.certificates import Authority
from tests.wire.fakes import EDGE, INFO, FakeVerifier, open_request, serving, verify
from ugsd_core.errors import OptionError, VerifierUnavailable
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.door import Access
from ugsd_core.wire.emulated import Conditions, EmulatedLink
from ugsd_core.wire.tls import CA_VARIABLE, ServerTls, client_context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def link_to(address: str, ca: Path | None) -> WebSocketLink:
    return WebSocketLink(address, tls_ca=None if ca is None else str(ca))


def serial_of(address: str, ca: Path) -> str:
    """The serial number of the certificate that a server shows."""
    parts = urlsplit(address)
    with (
        socket.create_connection((str(parts.hostname), int(parts.port or 0)), 5.0) as plain,
        client_context(ca).wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        return str((secure.getpeercert() or {})["serialNumber"])


def test_an_edge_captions_over_tls_and_an_emulated_link_checks_the_certificate(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(tls=ServerTls(*authority.issue("127.0.0.1")))
    monkeypatch.setenv(CA_VARIABLE, str(authority.file))
    with serving(FakeVerifier(), access=access) as address:
        assert address.startswith("wss://127.0.0.1:")
        with EmulatedLink(address, Conditions()) as far:
            for place in (address, far.address):
                with WebSocketLink(place) as link:
                    assert link.connect(EDGE, {}) == INFO
                    link.open(open_request("u"))
                    assert link.judge(verify("u", 0, (1, 2)), 5.0).judged
                    link.close_utterance("u")


def test_each_certificate_that_does_not_fit_says_what_to_do(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    cases = [
        (authority.issue("127.0.0.1", stem="fine"), other.file, r"--tls-ca FILE"),
        (authority.issue("127.0.0.1", stem="fine"), None, r"authority that this machine does not know"),
        (authority.issue("127.0.0.1", until=past, stem="past"), authority.file, r"expired.*renew"),
        (authority.issue("verifier.example", stem="name"), authority.file, r"another name than 127\.0\.0\.1"),
    ]
    for files, trusted, words in cases:
        with serving(FakeVerifier(), access=Access(tls=ServerTls(*files))) as address:
            with pytest.raises(VerifierUnavailable, match=words):
                link_to(address, trusted).connect(EDGE, {})
            if words.startswith("--tls"):
                with pytest.raises(VerifierUnavailable, match="begin with wss://"):
                    WebSocketLink(address.replace("wss:", "ws:")).connect(EDGE, {})


def test_tls_to_a_verifier_without_says_so() -> None:
    with serving(FakeVerifier()) as address, pytest.raises(VerifierUnavailable, match="write ws:// instead"):
        WebSocketLink(address.replace("ws:", "wss:")).connect(EDGE, {})


def test_versions_before_tls_1_2_are_refused(authority: Authority) -> None:
    context = client_context(authority.file)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
    server = ServerTls(*authority.issue("127.0.0.1")).context
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    names = [cipher["name"] for cipher in server.get_ciphers()]
    assert all(name.startswith(("TLS_", "ECDHE-")) and ("GCM" in name or "CHACHA20" in name) for name in names)


def test_a_renewed_certificate_is_taken_up_without_a_restart_and_a_broken_one_is_not(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tls = ServerTls(*authority.issue("127.0.0.1", stem="renewed"))
    with (
        serving(FakeVerifier(), access=Access(tls=tls)) as address,
        link_to(address, authority.file) as standing,
    ):
        standing.connect(EDGE, {})
        first = serial_of(address, authority.file)
        certificate, key = authority.issue("127.0.0.1", stem="renewed")
        tls.refresh(always=True)
        second = serial_of(address, authority.file)
        assert second != first and standing.connected
        certificate.write_text("-----BEGIN NOTHING-----\n", encoding="utf-8")
        tls.refresh()
        assert "stays as it was" in caplog.text
        assert serial_of(address, authority.file) == second
        key.unlink()
        tls.refresh()
        assert serial_of(address, authority.file) == second


def test_what_is_wrong_with_the_files_is_told(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("127.0.0.1", stem="files")
    _, other_key = authority.issue("127.0.0.1", stem="other")
    with pytest.raises(OptionError, match="cannot be read"):
        ServerTls(tmp_path / "none.pem", key)
    with pytest.raises(OptionError, match="does not belong to the certificate"):
        ServerTls(certificate, other_key)
    key.write_text("no key at all", encoding="utf-8")
    with pytest.raises(OptionError, match="not a certificate and its key"):
        ServerTls(authority.file, key)
    key.chmod(0o604)
    with pytest.raises(OptionError, match=r"every user of this machine: chmod o="):
        ServerTls(certificate, key)
    with pytest.raises(OptionError, match="holds no certificate"):
        client_context(other_key)
    with pytest.raises(OptionError, match=r"cannot be read .*--tls-ca"):
        client_context(tmp_path / "none.pem")


def test_a_key_with_a_password_is_no_question_on_the_terminal(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    certificate, key = authority.issue("127.0.0.1", stem="locked")
    plain = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(OptionError, match="has a password"):
        ServerTls(certificate, key)
