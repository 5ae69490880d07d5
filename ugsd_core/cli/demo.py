"""``ugsd demo``: start the page, a package of its own that the engine knows by name only."""

from __future__ import annotations

import importlib

__all__ = ["run"]

#: The module with the page's command line.
PAGE = "ui.demo"


def run(argv: list[str]) -> int:
    """Hand the rest of the command line to the page's ``main``."""
    code: int = importlib.import_module(PAGE).main(argv) or 0
    return code
