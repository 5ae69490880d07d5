"""``ugsd replay``: a recorded run again, from its trace alone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator

from ugsd_core.cli.output import show
from ugsd_core.errors import OptionError
from ugsd_core.messages import Event
from ugsd_core.traces import read_trace

__all__ = ["paced", "run"]


def run(args: argparse.Namespace) -> int:
    """Replay a trace.

    Raises:
        TraceError: If it can't be read.
        OptionError: If the speed makes no sense.
    """
    events: Iterable[Event] = read_trace(args.trace, allow_cut=args.allow_cut)
    if args.speed is not None:
        if not 0.0 < args.speed < float("inf"):
            raise OptionError(f"the speed must be above 0, not {args.speed:g}; 1 is the run's own pace")
        events = paced(events, args.speed)
    show(events, args)
    return 0


def paced(events: Iterable[Event], speed: float) -> Iterator[Event]:
    """The events at their recorded times, ``speed`` times as fast."""
    began = time.monotonic()
    for event in events:
        time.sleep(max(0.0, event.t_s / speed - (time.monotonic() - began)))
        yield event
