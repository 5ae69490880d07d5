"""What `caption` and `replay` print. Both go through here, so that a replay prints what the run printed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator

from ugsd_core.acceptance import rank_warning
from ugsd_core.cli.caption_lines import report
from ugsd_core.cli.progress import progress
from ugsd_core.messages import Event
from ugsd_core.options import DecodingOptions
from ugsd_core.result import CaptionResult, ResultBuilder
from ugsd_core.terminal import LiveTokens, choose_look
from ugsd_core.traces import TraceWriter

__all__ = ["progress", "show"]


def show(events: Iterable[Event], args: argparse.Namespace, trace: TraceWriter | None = None) -> CaptionResult:
    """Print a caption while it comes, and what is to be said of it at the end.

    Args:
        args: ``json``, ``quiet`` and ``no_color`` are read.
        trace: Where the events are recorded besides.

    Raises:
        UgsdError: Whatever the events raise; the tokens drawn so far stay on the screen.
    """
    look = choose_look(sys.stdout, no_color=args.no_color, environ=os.environ)
    live = LiveTokens(sys.stdout, "plain" if args.json or args.quiet else look)
    builder = ResultBuilder()
    try:
        for event in events:
            builder.feed(event)
            if trace is not None:
                trace.feed(event)
            live.feed(event)
    finally:
        live.close()
    result = builder.result()
    for warning in _warnings(result):
        print(f"warning: {warning}", file=sys.stderr)
    if args.json:
        print(json.dumps(result.to_dict(), ensure_ascii=False, allow_nan=False, indent=2))
    elif args.quiet:
        print(result.caption)
    else:
        print(report(result, look))
    return result


def _warnings(result: CaptionResult) -> Iterator[str]:
    yield from result.warnings
    rank = rank_warning(DecodingOptions.from_dict(result.options), result.vocabulary_size)
    if rank is not None and rank not in result.warnings:
        yield rank
