"""Says what takes so long. Imports nothing of the engine, so that ``ugsd doctor`` runs where nothing is installed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["progress"]


@contextmanager
def progress(sentence: str, *, quiet: bool = False, after_s: float = 1.0) -> Iterator[None]:
    """Say on stderr what takes so long, if it takes long."""
    timer = threading.Timer(after_s, print, (f"{sentence} …",), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    if not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
