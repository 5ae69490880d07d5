"""What ``ugsd bench`` takes."""

from __future__ import annotations

import argparse

from ugsd_core.bench.registry import BENCHMARKS
from ugsd_core.bench.settings import PRECISIONS, SIZES

__all__ = ["add_bench"]


def add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="measure speed on this machine",
        description="Measure how fast captions are written here, beside what they are compared with, everything "
        "interleaved in one run. Prints one JSON object with the machine's facts; progress goes to stderr. "
        "What each figure means: docs/benchmarks.md.",
    )
    parser.add_argument(
        "what",
        metavar="WHAT",
        nargs="*",
        help=f"benchmarks: {', '.join(BENCHMARKS)} (all but those that need --size)",
    )
    parser.add_argument("--list", action="store_true", help="say what each benchmark measures, and do nothing else")
    parser.add_argument("--out", metavar="FOLDER", help="write bench.json, a table and pictures there instead")
    parser.add_argument("--rounds", type=int, metavar="N", help="repetitions of each comparison (10; 4 with --size)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the edge (as the program chooses)")
    parser.add_argument(
        "--rtt", type=float, nargs="+", default=(0.0, 50.0, 100.0), metavar="MS", help="round trips (0 50 100)"
    )
    size = parser.add_argument_group("real sizes", "A released model's shape with random weights, made in place.")
    size.add_argument("--size", choices=SIZES, help="shape to measure; 30b-a3b is for --device cuda")
    size.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="of that model (all)")
    size.add_argument("--device", default="cpu", help="where that model runs: cpu or cuda (cpu)")
    size.add_argument("--tokens", type=int, default=8, metavar="N", help="caption tokens decoded in a turn (8)")
    size.add_argument("--block", type=int, nargs="+", default=(4, 8, 16), metavar="K", help="blocks verified (4 8 16)")
    size.add_argument("--layers", type=int, metavar="N", help="fewer layers than the shape has, to try things out")
    size.add_argument(
        "--timeline", type=float, metavar="RHO", help="caption with that share of the draft sent, beside edge-only"
    )
    size.add_argument(
        "--verify-ms", type=float, metavar="MS", help="timeline: what the verifier takes for a block (as the edge does)"
    )
