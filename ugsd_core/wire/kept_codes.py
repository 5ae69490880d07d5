"""Acoustic codes a connection leaves behind for the next one of the same edge, so that they need not cross again.

They are found by the secret the edge showed in its hello (`ugsd_core.wire.messages.Hello.resume`), never by their
SHA-256 alone: that stands in traces, and whoever knows it must not be able to have another's speech captioned.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ugsd_core.acoustic import AcousticCode

__all__ = ["KeptCodes"]

#: How long codes are kept after their last connection ended.
KEEP_S = 120.0
#: Edges whose codes are kept without a connection, and the size of all those codes; who left first is forgotten first.
MAX_EDGES = 64
MAX_BYTES = 32 << 20


@dataclass(slots=True)
class _Kept:
    codes: OrderedDict[str, AcousticCode] = field(default_factory=OrderedDict)
    connections: int = 0
    left_at: float = 0.0


class KeptCodes:
    """Codes by secret. Not thread-safe: it belongs to the server's event loop.

    A connection that is only half dead still counts, and the next one of the same edge shares its codes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def claim(self, key: str) -> OrderedDict[str, AcousticCode]:
        """The codes of an edge that has connected; what the session adds to them is kept."""
        self._forget()
        kept = self._kept.setdefault(key, _Kept())
        kept.connections += 1
        return kept.codes

    def release(self, key: str) -> None:
        """A connection of the edge has ended."""
        kept = self._kept[key]
        kept.connections -= 1
        kept.left_at = self._clock()
        self._kept.move_to_end(key)
        if not kept.codes and not kept.connections:
            del self._kept[key]
        self._forget()

    def _forget(self) -> None:
        """Drop what was left too long ago, or by too many."""
        left = [key for key, kept in self._kept.items() if not kept.connections]
        size = {key: sum(len(code.payload) for code in self._kept[key].codes.values()) for key in left}
        late, total = self._clock() - KEEP_S, sum(size.values())
        for number, key in enumerate(left):
            if self._kept[key].left_at < late or len(left) - number > MAX_EDGES or total > MAX_BYTES:
                total -= size[key]
                del self._kept[key]
