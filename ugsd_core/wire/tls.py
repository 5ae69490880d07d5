"""TLS on both ends: a certificate that is read anew when it changes, a chosen authority, and errors in plain words.

The verifier's context and the edge's speak TLS 1.2 or newer; the edge always checks certificate and host name.
"""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from ugsd_core.errors import OptionError

__all__ = ["CA_VARIABLE", "ServerTls", "client_context", "explain"]

#: Names the file of the authorities that an edge trusts for ``wss://``; without it, those of the system.
CA_VARIABLE = "UGSD_TLS_CA"
# For TLS 1.2: forward secrecy and authenticated encryption. What TLS 1.3 offers is all of that kind.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

logger = logging.getLogger(__name__)


class ServerTls:
    """A verifier's certificate and key.

    Args:
        certificate: PEM file, intermediate certificates behind the own one.
        key: PEM file, without a password.

    Raises:
        OptionError: If they cannot be read, do not belong together, or every user of the machine can read the key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._seen = self._mark()
        self.context = self._load(_server_context())

    def refresh(self, *, always: bool = False) -> None:
        """Take up a changed certificate for later handshakes; a broken one changes nothing and is told in the log."""
        seen = self._mark()
        if seen == self._seen and not always:
            return
        self._seen = seen
        try:
            self._load(_server_context())  # in a context of its own first: a half-loaded pair would break the other
            self._load(self.context)
        except OptionError as error:
            logger.error("The certificate stays as it was: %s", error)
            return
        logger.info("The certificate was read anew.")

    def _mark(self) -> tuple[tuple[int, ...], ...]:
        """What changes when one of the files does."""
        found: list[tuple[int, ...]] = []
        for path in (self._certificate, self._key):
            try:
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode))
            except OSError:
                found.append(())
        return tuple(found)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        for path, what in ((self._certificate, "certificate"), (self._key, "key")):
            try:
                mode = path.stat().st_mode
                path.open("rb").close()
            except OSError as error:
                raise OptionError(f"The {what} {path} cannot be read ({error.strerror or error}).") from error
        if os.name == "posix" and mode & 0o007:
            raise OptionError(
                f"The key {self._key} can be read or written by every user of this machine: chmod o= {self._key}"
            )
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except ssl.SSLError as error:
            if "MISMATCH" in str(error.reason):
                message = f"The key {self._key} does not belong to the certificate {self._certificate}."
            else:
                message = (
                    f"{self._certificate} and {self._key} are not a certificate and its key in PEM, without a password."
                )
            raise OptionError(message) from error
        except ValueError as error:
            raise OptionError(f"The key {self._key} has a password; a verifier needs one without.") from error
        return context


def _no_password() -> str:
    """Instead of a question on the terminal."""
    raise ValueError("no password")


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def client_context(ca: str | Path | None = None) -> ssl.SSLContext:
    """The edge's side: certificate and host name are checked.

    Args:
        ca: PEM file of the authorities to trust, and no others; a self-signed certificate may stand for its own. None
            takes the file that the environment names, or the system's authorities.

    Raises:
        OptionError: If the file cannot be read or holds no certificate.
    """
    ca = ca or os.environ.get(CA_VARIABLE) or None
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except ssl.SSLError as error:
        raise OptionError(f"The file {ca} holds no certificate in PEM (--tls-ca, {CA_VARIABLE}).") from error
    except OSError as error:
        raise OptionError(
            f"The certificates in {ca} cannot be read (--tls-ca, {CA_VARIABLE}): {error.strerror or error}."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


# X509_V_ERR_… of OpenSSL.
_NOT_YET, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_CHAIN, _UNKNOWN_ISSUER, _UNKNOWN_LEAF = 9, 10, 18, 19, 20, 21
_HOST, _IP = 62, 64
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING"})


def explain(error: ssl.SSLError, address: str) -> str:
    """What is wrong with the TLS of a verifier's address, and what to do."""
    host = urlsplit(address).hostname or address
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        if code == _EXPIRED:
            return f"The certificate of the verifier at {address} has expired. Whoever runs it has to renew it."
        if code == _NOT_YET:
            return f"The certificate of the verifier at {address} is not valid yet. Is the clock of this machine right?"
        if code in (_HOST, _IP):
            return (
                f"The certificate of the verifier at {address} was made for another name than {host}. Use the name "
                "that it was made for, or ask for one with this name."
            )
        if code in (_SELF_SIGNED, _SELF_SIGNED_CHAIN, _UNKNOWN_ISSUER, _UNKNOWN_LEAF):
            return (
                f"The certificate of the verifier at {address} comes from an authority that this machine does not "
                f"know. If it is your own, name its file: --tls-ca FILE, or {CA_VARIABLE} in the environment."
            )
        return f"The certificate of the verifier at {address} was not accepted: {error.verify_message}."
    if error.reason in _NO_TLS or isinstance(error, ssl.SSLEOFError):
        return (
            f"What answers at {address} speaks no TLS, it seems. If it is the verifier, write ws:// instead of wss://."
        )
    return f"No secure connection to {address} came about ({error.reason or error}). Check the address."
