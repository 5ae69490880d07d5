"""What ``ugsd score`` takes."""

from __future__ import annotations

import argparse

from ugsd_core.cli.plugin_names import WithPlugins

__all__ = ["add_score"]


def add_score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "score",
        help="score captions against references, without any model",
        description="Score captions against references by every metric of docs/metrics.md, with 95 % intervals and "
        "the signature that makes each number reproducible. No model is loaded and nothing is downloaded.",
        epilog='A row of FILE.jsonl: {"id": "1", "hypothesis": "A sad voice.", "references": ["She sounds sad."]}; '
        "'label' (the clip's emotion) and 'speaker' are used where they are there.",
    )
    parser.add_argument(
        "--pairs", metavar="FILE.jsonl", required=True, help="rows of id, hypothesis, references; or a run folder"
    )
    parser.add_argument("--language", choices=("en", "zh"), required=True, help="of captions and references")
    parser.add_argument(
        "--metrics",
        default="all",
        metavar="A,B",
        help=WithPlugins("metric", "only these, by name; all,embedding_cosine adds one (all)"),
    )
    parser.add_argument("--system", metavar="NAME", help="whose captions, where the file holds several systems")

    comparison = parser.add_argument_group("comparison")
    comparison.add_argument(
        "--against", metavar="FILE2.jsonl", help="captions of the same clips by another system; or a run folder"
    )
    comparison.add_argument(
        "--against-system", metavar="NAME", help="its name in FILE2, or in FILE if --against is left out"
    )

    parser.add_argument("--draws", type=int, default=1000, metavar="N", help="bootstrap draws of an interval (1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    parser.add_argument("--per-clip", action="store_true", help="with --json: the values of every clip too")
    parser.add_argument("--out", metavar="FILE.json", help="write the JSON object to a file, every clip included")
