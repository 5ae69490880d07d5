"""The caption tokens that a stream holds: what every stream keeps of a caption, whatever computes it."""

from __future__ import annotations

__all__ = ["HeldIds"]


class HeldIds:
    """Tokens behind a request, of which a suffix can be forgotten."""

    def __init__(self) -> None:
        self._ids: list[int] = []

    @property
    def length(self) -> int:
        """Caption tokens held."""
        return len(self._ids)

    @property
    def ids(self) -> tuple[int, ...]:
        """The caption tokens held, in order."""
        return tuple(self._ids)

    def truncate(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on.

        Raises:
            ValueError: If more would be kept than is held.
        """
        surplus = len(self._ids) - length
        if length < 0 or surplus < 0:
            raise ValueError(f"cannot truncate {len(self._ids)} tokens to {length}")
        if surplus:
            del self._ids[length:]
            self._forgot(surplus)

    def _forgot(self, surplus: int) -> None:
        """What else goes with the tokens that were just forgotten."""
        raise NotImplementedError
