"""Checks of single message fields: type, range, length. Nothing reaches a model before it passed one of these.

A check is called as ``check(where, value, vocabulary_size)`` and gives the value in the form the records use (lists
become tuples). Its errors name the field and never repeat the value: an id or a code must not end up in a log.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import ProtocolError
from ugsd_core.messages import Judgement
from ugsd_core.posterior import LEVEL_MAX, N_LABELS, is_posterior

__all__ = [
    "MAX_CAPTION",
    "MAX_DRAFT",
    "MAX_TOP",
    "MAX_VOCABULARY",
    "NAME",
    "Check",
    "acoustic_code",
    "candidates",
    "choice",
    "flag",
    "hex_digest",
    "judgements",
    "number",
    "optional",
    "posterior",
    "posterior_bytes",
    "printable",
    "settings",
    "temperature",
    "token_id",
    "token_ids",
    "whole",
]

Check = Callable[[str, Any, int], Any]

MAX_DRAFT = 64
#: Tokens of a caption, drafts included; options allow 1,024. What a verifier holds for one follows from it.
MAX_CAPTION = 1024 + MAX_DRAFT
MAX_TOP = 64
MAX_VOCABULARY = 1 << 20
#: Names of prompts, rules, utterances and error codes.
NAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_HEX = re.compile(r"[0-9a-f]{64}")
# Softmax in single precision may end a few units in the last place above one.
_PROBABILITY_MAX = 1.0001
# Logits divided by less would overflow.
_MIN_TEMPERATURE = 1e-6


def whole(low: int, high: int) -> Check:
    """An integer within bounds; a truth value is not one."""

    def check(where: str, value: Any, vocabulary_size: int) -> int:
        if type(value) is not int:
            raise ProtocolError(f"{where} must be a whole number, not {type(value).__name__}", "bad_field")
        if not low <= value <= high:
            raise ProtocolError(f"{where} must lie in {low}…{high}", "bad_field")
        return value

    return check


def number(low: float, high: float) -> Check:
    """A finite number within bounds; a whole number may stand for one."""

    def check(where: str, value: Any, vocabulary_size: int) -> float:
        if type(value) not in (int, float):
            raise ProtocolError(f"{where} must be a number, not {type(value).__name__}", "bad_field")
        if not low <= value <= high:  # false for NaN too
            raise ProtocolError(f"{where} must lie in {low:g}…{high:g}", "bad_field")
        return float(value)

    return check


def temperature(where: str, value: Any, vocabulary_size: int) -> float:
    """0, or enough to divide by."""
    found = float(number(0.0, 5.0)(where, value, vocabulary_size))
    if 0.0 < found < _MIN_TEMPERATURE:
        raise ProtocolError(f"{where} must be 0 or at least {_MIN_TEMPERATURE:g}", "bad_field")
    return found


def flag(where: str, value: Any, vocabulary_size: int) -> bool:
    """A truth value."""
    if type(value) is not bool:
        raise ProtocolError(f"{where} must be true or false", "bad_field")
    return value


def printable(longest: int, pattern: re.Pattern[str] | None = None) -> Check:
    """Text of 1…``longest`` printable characters, all of a pattern if one is given."""

    def check(where: str, value: Any, vocabulary_size: int) -> str:
        if type(value) is not str or not 0 < len(value) <= longest or not value.isprintable():
            raise ProtocolError(f"{where} must be text of 1…{longest} printable characters", "bad_field")
        if pattern is not None and not pattern.fullmatch(value):
            raise ProtocolError(f"{where} holds characters it must not hold", "bad_field")
        return value

    return check


def choice(*allowed: str) -> Check:
    """One of a few words."""

    def check(where: str, value: Any, vocabulary_size: int) -> str:
        if type(value) is not str or value not in allowed:
            raise ProtocolError(f"{where} must be one of {', '.join(allowed)}", "bad_field")
        return value

    return check


def hex_digest(where: str, value: Any, vocabulary_size: int) -> str:
    """A SHA-256 as 64 lower-case hex digits."""
    if type(value) is not str or not _HEX.fullmatch(value):
        raise ProtocolError(f"{where} must be a SHA-256 in lower-case hex digits", "bad_field")
    return value


def optional(inner: Check) -> Check:
    """What ``inner`` allows, or nothing."""

    def check(where: str, value: Any, vocabulary_size: int) -> Any:
        return None if value is None else inner(where, value, vocabulary_size)

    return check


def _items(where: str, value: Any, shortest: int, longest: int) -> list[Any] | tuple[Any, ...]:
    """A list of a bounded length (a tuple when the message is checked on its way out)."""
    if type(value) not in (list, tuple) or not shortest <= len(value) <= longest:
        raise ProtocolError(f"{where} must be a list of {shortest}…{longest} entries", "bad_field")
    entries: list[Any] | tuple[Any, ...] = value
    return entries


def token_id(where: str, value: Any, vocabulary_size: int) -> int:
    """An id of the shared vocabulary."""
    if type(value) is not int or not 0 <= value < vocabulary_size:
        raise ProtocolError(f"{where} holds something that is no id of the shared vocabulary", "bad_ids")
    return value


def token_ids(shortest: int, longest: int) -> Check:
    """A tuple of ids of the shared vocabulary."""

    def check(where: str, value: Any, vocabulary_size: int) -> tuple[int, ...]:
        return tuple(token_id(where, entry, vocabulary_size) for entry in _items(where, value, shortest, longest))

    return check


def posterior(where: str, value: Any, vocabulary_size: int) -> tuple[int, ...]:
    """The edge's label posterior: one byte a label, the largest of them 255."""
    if type(value) is not bytes or not is_posterior(tuple(value)):
        raise ProtocolError(f"{where} must be {N_LABELS} bytes, the largest of them {LEVEL_MAX}", "bad_field")
    return tuple(value)


def posterior_bytes(where: str, levels: Any) -> bytes:
    """The bytes of a label posterior on its way out.

    Raises:
        ProtocolError: If it is none.
    """
    if not is_posterior(levels):
        raise ProtocolError(f"{where} must be {N_LABELS} levels of 0…{LEVEL_MAX}, the largest {LEVEL_MAX}", "bad_field")
    return bytes(levels)


_probability = number(0.0, _PROBABILITY_MAX)


def candidates(where: str, value: Any, vocabulary_size: int) -> tuple[tuple[int, float], ...]:
    """A top-k list: (token id, probability) pairs."""
    pairs = []
    for entry in _items(where, value, 0, MAX_TOP):
        first, second = _items(where, entry, 2, 2)
        pairs.append((token_id(where, first, vocabulary_size), _probability(where, second, vocabulary_size)))
    return tuple(pairs)


_rank = whole(1, MAX_VOCABULARY)


def judgements(where: str, value: Any, vocabulary_size: int) -> tuple[Judgement, ...]:
    """Judged positions: (rank, probability, top) triples, or `Judgement` records on their way out."""
    found = []
    for entry in _items(where, value, 0, MAX_DRAFT):
        rank, probability, top = _items(where, entry, 3, 3)
        found.append(
            Judgement(
                _rank(where, rank, vocabulary_size),
                _probability(where, probability, vocabulary_size),
                candidates(where, top, vocabulary_size),
            )
        )
    return tuple(found)


def settings(where: str, value: Any, vocabulary_size: int) -> dict[str, Any]:
    """Options told to the other side: at most 64 names with plain scalar values."""
    if type(value) is not dict or len(value) > 64:
        raise ProtocolError(f"{where} must be a map of at most 64 entries", "bad_field")
    for key, entry in value.items():
        if type(key) is not str or not NAME.fullmatch(key):
            raise ProtocolError(f"{where} holds an entry without a proper name", "bad_field")
        kind = type(entry)
        if kind is str:
            fine = len(entry) <= 256
        elif kind is int:
            fine = -(1 << 63) <= entry < 1 << 63
        elif kind is float:
            fine = math.isfinite(entry)
        else:
            fine = entry is None or kind is bool
        if not fine:
            raise ProtocolError(f"{where} holds a value that is no short text, number or truth value", "bad_field")
    return value


_CODE_FIELDS = {"n_mels", "n_frames", "bits", "high", "payload"}


def acoustic_code(where: str, value: Any, vocabulary_size: int) -> AcousticCode:
    """An acoustic code, as a map or (on its way out) as the record.

    Raises:
        ProtocolError: With code ``"bad_code"`` if the dimensions are impossible or do not fit the payload.
    """
    if isinstance(value, AcousticCode):
        value = {name: getattr(value, name) for name in _CODE_FIELDS}
    if type(value) is not dict or set(value) != _CODE_FIELDS:
        raise ProtocolError(f"{where} must hold exactly {', '.join(sorted(_CODE_FIELDS))}", "bad_field")
    if any(type(value[name]) is not int for name in ("n_mels", "n_frames", "bits")):
        raise ProtocolError(f"{where} must have whole dimensions", "bad_field")
    if type(value["payload"]) is not bytes:
        raise ProtocolError(f"{where} must hold its levels as bytes", "bad_field")
    high = number(-8.0, 8.0)(f"{where}.high", value["high"], vocabulary_size)
    return AcousticCode(value["n_mels"], value["n_frames"], value["bits"], high, value["payload"])
