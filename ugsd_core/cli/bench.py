"""``ugsd bench``: measure speed on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ugsd_core.bench.registry import BENCHMARKS, chosen
from ugsd_core.bench.settings import BenchSettings

__all__ = ["run"]


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> int:
    """Run the benchmarks that were named; 0 if all of them could be measured, else 1.

    Raises:
        OptionError: If an option has no meaning.
    """
    if args.list:
        width = max(map(len, BENCHMARKS))
        print("\n".join(f"{name:{width}}  {benchmark.what}" for name, benchmark in BENCHMARKS.items()))
        return 0
    settings = BenchSettings(
        rounds=(4 if args.size else 10) if args.rounds is None else args.rounds,
        threads=args.threads,
        rtts_ms=tuple(args.rtt),
        size=args.size,
        precisions=tuple(args.precision),
        device=args.device,
        layers=args.layers,
        tokens=args.tokens,
        block_lengths=tuple(args.block),
        timeline_rho=args.timeline,
        verify_ms=args.verify_ms,
    )
    names = tuple(args.what)
    if not names and settings.size is not None:
        names = ("real_size", *(("timeline",) if settings.timeline_rho is not None else ()))
    benchmarks = chosen(names)
    if args.out is not None:
        Path(args.out).mkdir(parents=True, exist_ok=True)  # now, and not after minutes of measuring
    from ugsd_core.bench.report import write_folder
    from ugsd_core.bench.run import run_benchmarks

    document = run_benchmarks(benchmarks, settings, say)
    if args.out is None:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        for path in write_folder(document, Path(args.out)):
            say(f"wrote {path}")
    return 1 if any("failed" in results for results in document["results"].values()) else 0
