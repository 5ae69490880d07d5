"""What each token adds to the text, told as soon as it is certain.

A byte-level token may end in the middle of a character. Its bytes are held until the character decodes, so that
joined texts always equal ``tokenizer.decode(ids)`` and no replacement character ever flickers on a screen.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ugsd_core.errors import CheckpointError

__all__ = ["CaptionText", "TokenBytes"]


@lru_cache(maxsize=1)
def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes each byte as a printable character; this is the way back.

    Printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(rest)}


class TokenBytes:
    """The bytes of each token id of a byte-level tokenizer; special tokens have none."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added = {int(key): value for key, value in tokenizer.added_tokens_decoder.items()}
        marked = (key for key, value in added.items() if getattr(value, "special", False))
        self._special = frozenset((*tokenizer.all_special_ids, *marked))
        self._added = {key: str(value) for key, value in added.items()}
        self._known: dict[int, bytes] = {}
        #: Text of each token that holds whole characters only, as nearly all do; None for the others.
        self.texts: Mapping[int, str | None] = _Texts(self.of)

    def of(self, token_id: int) -> bytes:
        """Bytes that the token adds to the text.

        Raises:
            CheckpointError: If the tokenizer is not byte-level.
        """
        known = self._known.get(token_id)
        if known is None:
            known = self._known[token_id] = self._look_up(token_id)
        return known

    def whole(self, token_id: int) -> str | None:
        """Text of a token that holds whole characters only; else None."""
        return self.texts[token_id]

    def _look_up(self, token_id: int) -> bytes:
        if token_id in self._special:
            return b""
        if token_id in self._added:
            return self._added[token_id].encode()
        token = self._tokenizer.convert_ids_to_tokens(token_id)
        table = _byte_of_character()
        try:
            return bytes(table[character] for character in token)
        except (KeyError, TypeError) as error:
            raise CheckpointError(
                f"token {token_id} ({token!r}) is not byte-level; only byte-level BPE tokenizers can be used"
            ) from error


class _Texts(dict[int, "str | None"]):
    """Fills itself: a look-up that needs no function of ours behind the first time."""

    def __init__(self, bytes_of: Callable[[int], bytes]) -> None:
        super().__init__()
        self._bytes_of = bytes_of

    def __missing__(self, token_id: int) -> str | None:
        try:
            text: str | None = self._bytes_of(token_id).decode("utf-8")
        except UnicodeDecodeError:
            text = None
        self[token_id] = text
        return text


class CaptionText:
    """The text of a caption under construction, with rollback.

    ``pieces[i]`` is what token i added. The state of the UTF-8 decoder after each token is kept, so that truncating
    and going on gives what a fresh start would.
    """

    def __init__(self, token_bytes: TokenBytes) -> None:
        self._bytes = token_bytes
        self._pieces: list[str] = []
        self._held: list[bytes] = [b""]

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def text(self) -> str:
        """Everything that is certain so far."""
        return "".join(self._pieces)

    def append(self, token_id: int, *, last: bool = False) -> str:
        """Add a token and return what it adds to the text.

        Args:
            token_id: The token.
            last: No token follows: bytes of an incomplete character become U+FFFD, as ``decode`` has it.
        """
        piece, held = self._bytes.texts[token_id], b""
        if piece is None or self._held[-1]:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            piece = decoder.decode(self._held[-1] + self._bytes.of(token_id), final=last)
            held = decoder.getstate()[0]
        self._pieces.append(piece)
        self._held.append(held)
        return piece

    def truncate(self, length: int) -> None:
        """Forget all tokens from position ``length`` on."""
        del self._pieces[length:]
        del self._held[length + 1 :]

    def peek(self, token_id: int, position: int | None = None) -> str:
        """What a token would add at a position held (None: next); an incomplete character shows as ``…``."""
        held = self._held[-1 if position is None else position]
        if not held and (whole := self._bytes.texts[token_id]) is not None:
            return whole
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        piece = decoder.decode(held + self._bytes.of(token_id))
        return piece + "…" if decoder.getstate()[0] else piece
