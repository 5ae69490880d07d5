"""How far a long run is and how long it will take, on stderr."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TextIO

__all__ = ["Progress"]

#: Seconds between two lines where there is no terminal to draw on.
LINE_EVERY_S = 15.0


class Progress:
    """Counts clips: one line that redraws itself on a terminal, else a line now and then.

    Says nothing about what takes less than a second. A context manager.

    Args:
        what: What is being done ("reading en clips").
        total: How many there are, those done before included.
        done: Done before (a resumed run); they don't count for the speed.
    """

    def __init__(self, what: str, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._what = what
        self._total = total
        self._before = self._done = done
        self._stream = sys.stderr if stream is None else stream
        self._began = self._last = monotonic()
        self._drawn = False

    def step(self, count: int = 1) -> None:
        """Some more are done."""
        self._done += count
        now = monotonic()
        redraws = self._stream.isatty()
        if now - self._began < 1.0 or now - self._last < (0.2 if redraws else LINE_EVERY_S):
            return
        self._last = now
        self._drawn = True
        left_s = (now - self._began) / max(1, self._done - self._before) * (self._total - self._done)
        line = f"{self._what}: {self._done} of {self._total}, {duration(left_s)} left"
        print(f"\r{line:<70}" if redraws else line, end="" if redraws else "\n", file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        spent = monotonic() - self._began
        if self._drawn:
            line = f"{self._what}: {self._done} of {self._total} in {duration(spent)}"
            print(f"\r{line:<70}" if self._stream.isatty() else line, file=self._stream, flush=True)


def duration(seconds: float) -> str:
    """A time for people: ``48 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
