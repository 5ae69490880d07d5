"""Who may connect: named access tokens, from a file that may change while the verifier runs, or a single one.

A file has one token a line, ``name token`` or ``name sha256:HEX`` (what ``ugsd verifier token`` prints); a line of one
word is a token named by its line number. Empty lines and those that begin with ``#`` say nothing.

Tokens are kept as SHA-256. They are drawn, not thought up, so that a slow hash would add nothing. No token and no
digest stands in a ``repr``, an error or a log line; names do.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ugsd_core.errors import OptionError

__all__ = ["MIN_TOKEN", "AccessToken", "AccessTokens", "file_line", "new_token", "private_text"]

#: Shortest token that a file may name; one that is drawn has 43 characters.
MIN_TOKEN = 16
_MAX_FILE_BYTES = 1 << 20
_MAX_TOKEN = 512  # what a hello may hold
_NAME = re.compile(r"[A-Za-z0-9_.+@-]{1,64}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")

logger = logging.getLogger(__name__)


def new_token() -> str:
    """A token of 256 random bits."""
    return secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def file_line(name: str, token: str) -> str:
    """The line of a token file that lets a token in without holding it.

    Raises:
        OptionError: If the name is none.
    """
    if not _NAME.fullmatch(name):
        raise OptionError(f"A token's name has 1…64 letters, digits or . _ + @ -, not {name!r}.")
    return f"{name} sha256:{_digest(token).hex()}"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that lets in, by the name of whoever has it."""

    name: str
    digest: bytes = field(repr=False)


def private_text(path: Path) -> str:
    """The text of a file that nobody but its owner can read.

    Raises:
        OptionError: If it cannot be read, is not text, is too long, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077 and not _kept_by_systemd(path):
                raise OptionError(
                    f"The token file {path} can be read or written by other users of this machine; "
                    f"make it yours alone: chmod 600 {path}"
                )
            data = file.read(_MAX_FILE_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise OptionError(f"The token file {path} cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError:
        raise OptionError(f"The token file {path} is not text in UTF-8.") from None  # the cause would quote it
    if len(data) > _MAX_FILE_BYTES:
        raise OptionError(f"The token file {path} is longer than {_MAX_FILE_BYTES >> 20} MB.")
    return text


def _kept_by_systemd(path: Path) -> bool:
    """Whether it is a credential (LoadCredential=): private by an access list, which its mode shows as the group's."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and path.resolve().is_relative_to(Path(folder).resolve())


def _parse(text: str, where: str) -> tuple[AccessToken, ...]:
    """The tokens of a file.

    Raises:
        OptionError: Naming the line, and not what stands in it.
    """
    found: list[AccessToken] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name, token = (f"line-{number}", words[0]) if len(words) == 1 else (words[0], words[1])
        if len(words) > 2 or not _NAME.fullmatch(name):
            raise OptionError(f"Line {number} of {where} is not a name and a token with a space between.")
        hashed = _HASH.fullmatch(token)
        if hashed is None and (token.startswith("sha256:") or not MIN_TOKEN <= len(token) <= _MAX_TOKEN):
            raise OptionError(
                f"The token in line {number} of {where} is no SHA-256 and not {MIN_TOKEN} to {_MAX_TOKEN} characters "
                "long. `ugsd verifier token` draws a good one."
            )
        digest = bytes.fromhex(hashed[1]) if hashed else _digest(token)
        if any(entry.name == name for entry in found):
            raise OptionError(f"Line {number} of {where} names somebody a second time.")
        found.append(AccessToken(name, digest))
    if not found:
        raise OptionError(f"There is no token in {where}; `ugsd verifier token` draws one.")
    return tuple(found)


class AccessTokens:
    """The tokens that let in. Belongs to the server's event loop.

    Args:
        tokens: At the beginning.
        path: The file to read anew when it has changed; None keeps to the beginning.
    """

    def __init__(self, tokens: Sequence[AccessToken], path: Path | None = None) -> None:
        self._tokens = tuple(tokens)
        self._path = path
        self._seen = None if path is None else _mark(path)

    def __repr__(self) -> str:
        return f"AccessTokens({', '.join(token.name for token in self._tokens)})"

    def __len__(self) -> int:
        return len(self._tokens)

    @classmethod
    def single(cls, token: str, name: str = "token") -> AccessTokens:
        """One token, such as the environment's."""
        return cls((AccessToken(name, _digest(token)),))

    @classmethod
    def from_file(cls, path: Path) -> AccessTokens:
        """The tokens of a file, read anew when it changes.

        Raises:
            OptionError: If it cannot be read, others can read it, or a line is none.
        """
        tokens = cls((), path)  # the mark is taken before reading: a change in between is seen later
        tokens._tokens = _parse(private_text(path), str(path))
        return tokens

    def who(self, token: str | None) -> AccessToken | None:
        """Whose token it is; None if nobody's. Takes as long for a wrong one as for a right one."""
        digest = _digest(token or "")
        found = None
        for entry in self._tokens:  # all of them, whichever it is
            if hmac.compare_digest(entry.digest, digest):
                found = entry
        return found

    def holds(self, token: AccessToken) -> bool:
        """Whether a token that let somebody in still would, under the same name."""
        return any(entry.name == token.name and entry.digest == token.digest for entry in self._tokens)

    def refresh(self, *, always: bool = False) -> None:
        """Read the file anew if it has changed; a broken one changes nothing and is told in the log."""
        if self._path is None:
            return
        seen = _mark(self._path)
        if seen == self._seen and not always:
            return
        self._seen = seen
        try:
            self._tokens = _parse(private_text(self._path), str(self._path))
        except OptionError as error:
            logger.error("The access tokens stay as they were: %s", error)
            return
        logger.info("The access tokens were read anew; there are %d.", len(self._tokens))


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does; None without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
