"""The parsers that the page on the command line is made from."""

from __future__ import annotations

import argparse

from ugsd_core.cli.parser import build_parser

__all__ = ["demo", "ugsd", "ugsd_train"]


def ugsd() -> argparse.ArgumentParser:
    """All commands; `demo` and `train` without their options."""
    return build_parser()


def ugsd_train() -> argparse.ArgumentParser:
    """The same with the options of `train`."""
    return build_parser("train")


def demo() -> argparse.ArgumentParser:
    """The page's own command line."""
    from ui import demo as page

    return page.build_parser()
