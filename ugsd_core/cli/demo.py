"""``ugsd demo``: start the page, a package of its own that the engine knows by name only."""

from __future__ import annotations

import importlib

from ugsd_core.parts import installed, lacking

__all__ = ["run"]

#: The module with the page's command line.
PAGE = "ui.demo"


def run(argv: list[str]) -> int:
    """Hand the rest of the command line to the page's ``main``.

    Raises:
        InstallationError: If the page's packages were left out.
    """
    missing = None if installed("gradio") else lacking("gradio")
    if missing is not None:
        raise missing
    code: int = importlib.import_module(PAGE).main(argv) or 0
    return code
