"""What a verifier remembers of its sessions, in bytes: known for each, bounded for all.

Two kinds of things are kept between requests: what a model has read of an utterance (large, and can be made again from
the acoustic code), and acoustic codes (small, and can be asked for again). Of what nobody is using just now, the first
kind goes first, the least recently used before any other; but a session that holds several utterances and more than
its share loses one of its own before others lose theirs.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

__all__ = ["MemoryLedger"]


@dataclass(slots=True)
class _Entry:
    owner: Hashable
    size_bytes: int
    forget: Callable[[], None]
    small: bool
    pins: int = 0


class MemoryLedger:
    """Sizes in the order of their last use. Not thread-safe.

    Args:
        cap_bytes: What may be kept between requests. What is in use counts, and is never taken away; an utterance is
            opened only while there is room for it beside what is in use.
    """

    def __init__(self, cap_bytes: int) -> None:
        self.cap_bytes = cap_bytes
        self.total_bytes = 0
        self.evicted = 0
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._owners: Counter[Hashable] = Counter()
        self._pinned_bytes = 0
        self._largest_bytes = 0

    def hold(
        self, key: Hashable, owner: Hashable, size_bytes: int, forget: Callable[[], None], *, small: bool = False
    ) -> None:
        """Keep something, or say how large it is by now; it is the most recently used.

        Args:
            forget: Called when it has to go.
            small: It goes only when nothing large is left.
        """
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(owner, 0, forget, small)
        self._resize(entry, size_bytes)
        self._entries.move_to_end(key)
        if not small:
            self._largest_bytes = max(self._largest_bytes, size_bytes)

    def pin(self, key: Hashable) -> None:
        """It is in use. Unknown keys are ignored."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            entry.pins += 1
            self._pinned_bytes += entry.size_bytes if entry.pins == 1 else 0

    def unpin(self, key: Hashable) -> None:
        """It is no longer in use."""
        entry = self._entries.get(key)
        if entry is not None and entry.pins:
            entry.pins -= 1
            self._pinned_bytes -= 0 if entry.pins else entry.size_bytes

    def release(self, key: Hashable) -> None:
        """It is no longer kept; not counted as evicted."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            if entry.pins:
                self._pinned_bytes -= entry.size_bytes
            self._count(entry.owner, -entry.size_bytes)

    def room(self) -> bool:
        """Whether one more utterance, as large as the largest so far, fits beside what is in use."""
        return not self._pinned_bytes or self._pinned_bytes + self._largest_bytes <= self.cap_bytes

    def reserve(self, key: Hashable, owner: Hashable, forget: Callable[[], None]) -> None:
        """Count an utterance that is about to be opened as the largest so far, in use, and make room for it."""
        self.hold(key, owner, self._largest_bytes, forget)
        self.pin(key)
        self.trim()

    def trim(self) -> None:
        """Forget what is not in use until the cap holds."""
        for small in (False, True):
            # Small things cannot help while what is in use is too much by itself.
            while self.total_bytes > self.cap_bytes and not (small and self._pinned_bytes > self.cap_bytes):
                key = self._victim(small)
                if key is None:
                    break
                self._evict(key)

    def relieve(self) -> int:
        """Memory has run out: forget the least recently used half of what is not in use; gives its bytes."""
        before = self.total_bytes
        goal = self._pinned_bytes + (before - self._pinned_bytes) // 2
        while self.total_bytes > goal and (key := self._victim(small=False)) is not None:
            self._evict(key)
        return before - self.total_bytes

    def bytes_of(self, owner: Hashable) -> int:
        """What a session takes."""
        return self._owners[owner]

    def __len__(self) -> int:
        return len(self._entries)

    def _victim(self, small: bool) -> Hashable | None:
        share = self.cap_bytes / max(1, len(self._owners))
        several = Counter(entry.owner for entry in self._entries.values() if not entry.small)
        fallback: Hashable | None = None
        for key, entry in self._entries.items():
            if entry.pins or entry.small != small or not entry.size_bytes:
                continue
            # One utterance each is nobody's fault, however long it is.
            if small or (several[entry.owner] > 1 and self._owners[entry.owner] > share):
                return key
            fallback = key if fallback is None else fallback
        return fallback

    def _evict(self, key: Hashable) -> None:
        entry = self._entries[key]
        self.release(key)
        self.evicted += 1
        entry.forget()

    def _resize(self, entry: _Entry, size_bytes: int) -> None:
        change = size_bytes - entry.size_bytes
        entry.size_bytes = size_bytes
        if entry.pins:
            self._pinned_bytes += change
        self._count(entry.owner, change)

    def _count(self, owner: Hashable, change: int) -> None:
        self.total_bytes += change
        self._owners[owner] += change
        if not self._owners[owner]:
            del self._owners[owner]
