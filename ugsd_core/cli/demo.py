"""``ugsd demo``: start the page, ``app.py`` of the checkout."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import ugsd_core
from ugsd_core.errors import OptionError

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Hand the rest of the command line to ``app.main``.

    Raises:
        OptionError: If there is no ``app.py`` beside the package.
    """
    path = Path(ugsd_core.__file__).resolve().parents[1] / "app.py"
    spec = importlib.util.spec_from_file_location("app", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise OptionError("the page is part of the checkout: clone the repository and type make demo there")
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app.main(argv) or 0
