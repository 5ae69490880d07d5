"""What can go wrong in making a Space's folder."""

from __future__ import annotations

from ugsd_core.errors import UgsdError

__all__ = ["SpaceError"]


class SpaceError(UgsdError):
    """The folder of a Space cannot be made."""
