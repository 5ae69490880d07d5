"""Who may connect to ``ugsd verifier``, from what was typed and from the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from ugsd_core.errors import OptionError
from ugsd_core.wire.access import MIN_TOKEN, AccessTokens, file_line, new_token
from ugsd_core.wire.door import Access, is_loopback, networks
from ugsd_core.wire.limits import ClientLimits
from ugsd_core.wire.own import TOKEN_VARIABLE
from ugsd_core.wire.tls import ServerTls

__all__ = ["access_of", "print_token"]

_LIMITS = {
    "client_sessions": "sessions",
    "client_connections": "connections_per_minute",
    "client_requests": "requests_per_s",
    "client_kb": "kb_per_s",
    "max_frame_kb": "frame_kb",
    "max_audio_s": "audio_s",
    "max_utterances": "utterances",
    "max_session_s": "session_s",
    "max_idle_s": "idle_s",
}


def access_of(args: argparse.Namespace, environment: Mapping[str, str]) -> Access:
    """The rules. A token file comes before the environment's token.

    Raises:
        OptionError: If a file cannot be used, something is missing, or a value has no meaning.
    """
    if (args.tls_cert is None) != (args.tls_key is None):
        raise OptionError("A certificate goes with its key: give both --tls-cert FILE and --tls-key FILE.")
    typed = {ours: value for name, ours in _LIMITS.items() if (value := getattr(args, name)) is not None}
    access = Access(
        tokens=_tokens(args, environment),
        tls=None if args.tls_cert is None else ServerTls(args.tls_cert, args.tls_key),
        insecure_plaintext=args.insecure_plaintext,
        limits=ClientLimits(**typed) if typed else None,
        trusted_proxies=networks(args.trusted_proxy),
        allowed_hosts=tuple(args.allowed_host),
        origins=tuple(args.allow_origin),
    )
    access.check(args.host)  # before a model is loaded for minutes
    return access


def _tokens(args: argparse.Namespace, environment: Mapping[str, str]) -> AccessTokens | None:
    if args.token_file is not None:
        return AccessTokens.from_file(args.token_file)
    token = environment.get(TOKEN_VARIABLE)
    if not token:
        return None
    reachable = args.trusted_proxy or not is_loopback(args.host)
    if reachable and len(token) < MIN_TOKEN:
        raise OptionError(
            f"The token in {TOKEN_VARIABLE} is shorter than {MIN_TOKEN} characters; `ugsd verifier token` draws one."
        )
    return AccessTokens.single(token)


def print_token(name: str) -> int:
    """Draw a token and print it, and the line for the verifier's file.

    Raises:
        OptionError: If the name is none.
    """
    token = new_token()
    line = file_line(name, token)
    print(token)
    print(line)
    return 0
