"""What links share as context managers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

__all__ = ["ClosingLink"]


class ClosingLink(ABC):
    """A link that is closed when it is left as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """See `VerifierLink.close`."""
