"""What can be typed behind ``ugsd plugins``."""

from __future__ import annotations

import argparse

__all__ = ["add_plugins"]


def add_plugins(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plugins",
        help="list gates, rules, metrics and corpus formats that other packages bring",
        description="List what packages installed beside this one bring: gates, acceptance rules, metrics and corpus "
        "formats, with the package each comes from and what is wrong with it, if anything. Everything listed is "
        "imported. Exit code 1 says that something cannot be used. UGSD_PLUGINS=off switches plug-ins off. "
        "docs/plugins.md says how to write one.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
