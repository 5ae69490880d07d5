"""What can be typed behind ``ugsd report`` and ``ugsd sweep``."""

from __future__ import annotations

import argparse

from ugsd_core.cli.corpus_parser import add_corpus_options
from ugsd_core.cli.edge_parser import add_edge_backend

__all__ = ["FORMAT_NAMES", "LANGUAGES", "add_report", "add_sweep"]

#: Of reports; compared with `ugsd_core.evaluation.export.FORMATS` in a test.
FORMAT_NAMES = ("md", "csv", "json", "latex", "html")
LANGUAGES = ("en", "zh")


def add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``ugsd report``."""
    parser = commands.add_parser(
        "report",
        help="tables of one or more evaluation runs",
        description="Put runs side by side: the columns of the paper's tables, emotion and cost, comparisons, and "
        "every definition. Figures that are older than the captions are computed again first.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a folder that ugsd evaluate or ugsd sweep wrote")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="one format (md, or as the name behind --out ends)")
    parser.add_argument(
        "--out",
        metavar="FILE|DIR",
        help="a file for one format, or a folder for all of them with the pictures (to the terminal)",
    )
    parser.add_argument("--draws", type=int, metavar="N", help="bootstrap draws of an interval (as there, or 1000)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def add_sweep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``ugsd sweep``."""
    parser = commands.add_parser(
        "sweep",
        help="caption a corpus with a grid of settings, and find the Pareto front",
        description="Caption a corpus with every combination of thresholds, ranks and block lengths, over emulated "
        "links, and show which settings no other beats in quality, tokens sent and time. Edge-only and cloud-only are "
        "captioned with them. A sweep that was stopped goes on with the same command.",
    )
    add_corpus_options(parser)
    parser.add_argument("--split", metavar="NAME", help="only this split, by the column 'split'")
    parser.add_argument("--language", choices=LANGUAGES, help="of the captions (the one with more references)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N clips, drawn with the seed")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the sweep: a run a link, and the report")

    grid = parser.add_argument_group("settings", "Several values are joined by commas; each combination is a system.")
    grid.add_argument("--preset", default="paper", metavar="NAME", help="what is not swept comes from it (paper)")
    grid.add_argument("--gate", metavar="NAME", help="one gate, or several to sweep over (the preset's)")
    grid.add_argument("--tau", metavar="X,…", help="thresholds of the gate's score, such as 0.5,0.8,1.2")
    grid.add_argument("--rank", metavar="R,…", help="ranks within which a token passes, such as 1,3,20")
    grid.add_argument("--k", metavar="K,…", help="tokens in a block, such as 2,4,8 or adaptive")
    grid.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (0)")
    grid.add_argument(
        "--links",
        nargs="+",
        default=["none"],
        metavar="LINK",
        help="links to emulate: none, lan, wifi, 4g, far, or such as rtt=100,up=10,down=50 (none)",
    )

    report = parser.add_argument_group("report")
    report.add_argument(
        "--quality",
        metavar="METRIC",
        help="what the front is about (emotion_consistency; rougeL for a corpus without labels)",
    )
    report.add_argument("--draws", type=int, default=1000, metavar="N", help="bootstrap draws of an interval (1000)")
    report.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")

    models = parser.add_argument_group("models")
    models.add_argument("--verifier", metavar="URL", help="a running verifier, such as ws://127.0.0.1:8765")
    models.add_argument("--edge", metavar="CKPT", help="edge checkpoint: a folder or a hub name (the embedded one)")
    models.add_argument(
        "--verifier-checkpoint", metavar="CKPT", help="what the verifier started here loads (the embedded one)"
    )
    models.add_argument("--device", default="cpu", help="where models run: cpu, cuda, cuda:1 … (cpu)")
    models.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (float32)")
    add_edge_backend(models)
