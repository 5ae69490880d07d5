"""What can be typed behind ``ugsd corpus``."""

from __future__ import annotations

import argparse

from ugsd_core.cli.plugin_names import WithPlugins

__all__ = ["FORMAT_NAMES", "add_corpus", "add_corpus_options"]

FORMAT_NAMES = ("mer2024", "secap", "manifest")


def add_corpus(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "corpus",
        help="say what is in a corpus, and how many of its clips are usable",
        description="Read a corpus and say how many clips can be captioned and scored, and why others cannot. No model "
        "is loaded and no recording is opened. Exit code 1 says that no clip is usable.",
    )
    add_corpus_options(parser)
    parser.add_argument("--language", choices=("en", "zh"), help="of the captions (the one with more references)")
    parser.add_argument("--split", metavar="NAME", help="only this split, by the column 'split'")
    parser.add_argument("--examples", type=int, default=5, metavar="N", help="cases shown of each kind (5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_corpus_options(parser: argparse._ActionsContainer) -> None:
    """Which corpus: the same words for every command that reads one."""
    parser.add_argument("corpus", metavar="CORPUS", help="the folder of a corpus, or its table")
    parser.add_argument(
        "--format",
        metavar="NAME",
        help=WithPlugins("corpus", f"how it is laid out: {', '.join(FORMAT_NAMES)} (recognised by default)"),
    )
    parser.add_argument("--audio", metavar="DIR", help="folder of the recordings, where they are not in CORPUS")
