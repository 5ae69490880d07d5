"""The page: one file a tab, ``components/`` for its parts. It depends on ``ugsd_core``, never the reverse."""

from __future__ import annotations
