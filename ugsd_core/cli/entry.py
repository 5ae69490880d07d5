"""Reads the command line, runs a command, and turns what goes wrong into exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from ugsd_core.cli.config import configured, written
from ugsd_core.cli.edge_access import take_edge_access
from ugsd_core.cli.parser import build_parser
from ugsd_core.errors import UgsdError
from ugsd_core.parts import lacking

__all__ = ["main"]

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code.

    Raises:
        SystemExit: From argparse, for help and for options that don't exist.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A Chinese caption must not fail on a terminal that claims to know ASCII only.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return _run(argv)
    except UgsdError as error:
        print(f"ugsd: {error}", file=sys.stderr)
        return EXIT_ERROR
    except ModuleNotFoundError as error:
        missing = lacking(error.name)
        if missing is None:  # a bug
            raise
        print(f"ugsd: {missing}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("ugsd: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more on exit; give that flush somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


def _run(argv: list[str]) -> int:
    command = next((word for word in argv if not word.startswith("-")), None)
    if argv[:1] == ["demo"]:
        # The page has a command line of its own; everything after the word is its business.
        from ugsd_core.cli import demo

        return demo.run(argv[1:])
    parser = build_parser(command)
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return EXIT_ERROR
    if getattr(args, "config_file", None) is not None:
        args = configured(parser, argv, args)
    if getattr(args, "print_config", False):
        print(written(parser, args), end="")
        return 0
    take_edge_access(args)
    run = getattr(args, "run", None)
    if run is None:
        run = importlib.import_module(f"ugsd_core.cli.{args.command}").run
    code: int = run(args)
    sys.stdout.flush()
    return code
