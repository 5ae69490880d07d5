"""Says what takes so long. Imports nothing of the engine, so that ``ugsd doctor`` runs where nothing is installed."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]


#: How long after a sentence it is said again, with the time so far; then twice as long, and so on.
AGAIN_S = 10.0


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@contextmanager
def progress(
    sentence: str, *, quiet: bool = False, after_s: float = 1.0, say: Callable[[str], None] = _say
) -> Iterator[None]:
    """Say what takes so long, if it takes long, and now and then how long it has taken.

    Args:
        say: Takes the sentence; on stderr by default.
    """
    done = threading.Event()
    began_s = time.monotonic()

    def remind() -> None:
        if done.wait(after_s):
            return
        say(f"{sentence} …")
        again_s = AGAIN_S
        while not done.wait(again_s):
            say(f"{sentence} … {time.monotonic() - began_s:.0f} s so far")
            again_s *= 2

    thread = threading.Thread(target=remind, name="progress", daemon=True)
    if not quiet:
        thread.start()
    try:
        yield
    finally:
        done.set()
