"""What ``ugsd doctor`` takes."""

from __future__ import annotations

import argparse

from ugsd_core.cli.edge_access import add_edge_access
from ugsd_core.parts import PARTS

__all__ = ["add_doctor"]


def add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="say what is installed and found here, and what mends what is missing",
        description="Look at packages, devices, audio codecs, checkpoints and folders, caption an example clip with a "
        "verifier, and give the one line that mends what is missing. Nothing is changed. Exit code 0: everything "
        "needed is there; 1: something is missing.",
    )
    parser.add_argument(
        "--verifier",
        metavar="URL",
        help="try this verifier: is it ready, what does it serve, does it judge; without it, one is started and ended",
    )
    add_edge_access(parser)
    parser.add_argument("--quick", action="store_true", help="do not load models, and start or ask no verifier")
    parser.add_argument(
        "--corpus", metavar="FOLDER", nargs="+", default=[], help="say whether these corpora can be evaluated"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument(
        "--requirements",
        metavar="PART",
        choices=tuple(PARTS),
        help="print what pip must install for one part alone, and do nothing else: " + ", ".join(PARTS),
    )
