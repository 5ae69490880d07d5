"""What can be typed behind ``ugsd examples``."""

from __future__ import annotations

import argparse

__all__ = ["add_examples"]


def add_examples(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "examples",
        help="copy the example clips, a small corpus to try everything with",
        description="Copy six short synthetic clips with their manifest.csv into a new folder. They are there to try "
        "the program with: figures of this corpus mean nothing.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a new folder")
