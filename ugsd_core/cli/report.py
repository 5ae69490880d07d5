"""``ugsd report``: evaluation runs side by side, in whatever format a paper, a sheet or a page needs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ugsd_core.errors import OptionError

__all__ = ["run", "step_printer"]

#: File endings to formats.
ENDINGS = {".md": "md", ".csv": "csv", ".json": "json", ".tex": "latex", ".html": "html", ".htm": "html"}


def run(args: argparse.Namespace) -> int:
    """Report runs.

    Raises:
        OptionError: If a folder holds no run, or the report can't be written.
    """
    form, target = _where(args)
    if args.draws is not None and args.draws < 2:
        raise OptionError(f"an interval needs at least 2 draws, not {args.draws}")
    from ugsd_core.evaluation.export import render, write_report, write_texts
    from ugsd_core.evaluation.scored import load_runs

    runs = load_runs(args.runs, draws=args.draws, progress=None if args.quiet else step_printer())
    if target is None:
        print(render(runs, form), end="")
        return 0
    one = {target.name: render(runs, form)} if form else {}
    written = write_texts(target.parent, one) if form else write_report(runs, target)
    if not args.quiet:
        print("\n".join(f"wrote {path}" for path in written), file=sys.stderr)
    return 0


def _where(args: argparse.Namespace) -> tuple[str, Path | None]:
    """Format and target; no format means all of them, into a folder.

    Raises:
        OptionError: If the two don't go together.
    """
    if args.out is None:
        return args.format or "md", None
    target = Path(args.out).expanduser()
    ending = ENDINGS.get(target.suffix.lower())
    if target.is_dir() or (ending is None and args.format is None):
        if args.format:
            raise OptionError(
                f"--out {args.out} is a folder; name a file for one format, or leave out --format for all"
            )
        if target.is_file():
            raise OptionError(f"--out {args.out} is a file; name a folder, or a file that ends as its format does")
        return "", target
    return args.format or ending or "md", target


def step_printer() -> Callable[[int, int, str], None]:
    """Progress of scoring on stderr: redrawn on a terminal, else one line after two seconds of silence."""
    from time import monotonic

    state = {"told": monotonic(), "drawn": 0.0}

    def tell(done: int, total: int, what: str) -> None:
        redraws = sys.stderr.isatty()
        now = monotonic()
        if done == total:
            if state["drawn"] and redraws:
                print("\r" + " " * 70 + "\r", end="", file=sys.stderr, flush=True)
            return
        if now - state["told"] < (0.2 if redraws else 2.0):
            return
        state["told"] = state["drawn"] = now
        line = f"figures: step {done} of {total}, {what}"
        print(f"\r{line:<70}" if redraws else line, end="" if redraws else "\n", file=sys.stderr, flush=True)

    return tell
