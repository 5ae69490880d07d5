"""What can be typed behind ``ugsd evaluate``."""

from __future__ import annotations

import argparse

from ugsd_core.cli.corpus_parser import add_corpus_options
from ugsd_core.cli.edge_parser import add_edge_backend

__all__ = ["SYSTEM_NAMES", "add_evaluate"]

#: Compared with the registry in a test.
SYSTEM_NAMES = (
    *("edge", "cloud", "ugsd", "adaptive", "paper", "paper-fixed", "proposal", "speculative"),
    *("random", "random-emotion", "bild", "oracle"),
)


def add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "evaluate",
        help="caption a corpus with several systems, and score what they wrote",
        description="Caption every clip of a corpus with every system, interleaved, and score the captions against the "
        "references. A run that was stopped, by Ctrl-C or by force, goes on with the same command; systems can be "
        "added to it. docs/runs.md says what is in the run folder.",
    )
    add_corpus_options(parser)
    parser.add_argument("--language", choices=("en", "zh"), help="of the captions (the one with more references)")
    parser.add_argument("--split", metavar="NAME", help="only this split, by the column 'split'")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N clips, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draw and of the random gates (0)")
    parser.add_argument("--out", metavar="RUN", required=True, help="run folder; one that was stopped goes on")

    systems = parser.add_argument_group("systems")
    systems.add_argument(
        "--systems",
        default="edge,cloud,ugsd,paper",
        metavar="NAMES",
        help=f"joined by commas, or 'all' (edge,cloud,ugsd,paper): {', '.join(SYSTEM_NAMES)}",
    )
    systems.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="'NAME: …'",
        help="one of your own: a preset and what differs from it, such as 'mine: preset=paper tau=0.8 rank=1'; "
        "match=ugsd makes it a random gate at the rate of ugsd",
    )

    models = parser.add_argument_group("models")
    models.add_argument("--verifier", metavar="URL", help="a running verifier, such as ws://127.0.0.1:8765")
    models.add_argument("--edge", metavar="CKPT", help="edge checkpoint: a folder or a hub name (the embedded one)")
    models.add_argument(
        "--verifier-checkpoint", metavar="CKPT", help="what the verifier started here loads (the embedded one)"
    )
    models.add_argument("--device", default="cpu", help="where models run: cpu, cuda, cuda:1 … (cpu)")
    models.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (float32)")
    add_edge_backend(models)

    output = parser.add_argument_group("output")
    output.add_argument("--no-traces", action="store_true", help="keep no event streams")
    output.add_argument("--no-score", action="store_true", help="caption only; score later with ugsd report RUN")
    output.add_argument("--draws", type=int, default=1000, metavar="N", help="bootstrap draws of an interval (1000)")
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
