"""Configuration of the site: ``make docs`` builds it, with warnings as errors, without network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from ugsd_core import __version__  # noqa: E402  (the path comes first)

project = "UGSD Studio"
author = "the UGSD Studio contributors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxarg.ext"]
# A list of packages that apidoc writes beside their pages; the page of the root package is the list here.
exclude_patterns = ["reference/modules/modules.rst"]
myst_heading_anchors = 4
# `Gate` may mean the class where it is made or where it is offered; either place says the same.
suppress_warnings = ["ref.python"]

apidoc_modules = [
    {
        "path": "../ugsd_core",
        "destination": "reference/modules",
        "separate_modules": False,
        "module_first": True,
        "max_depth": 1,
        "exclude_patterns": ["../ugsd_core/cli/*", "../ugsd_core/training/*", "../ugsd_core/data/*"],
    }
]
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
# With an entry for every object, the menus took a third of the build.
toc_object_entries = False
# Two hyphens are an option, not a dash.
smartquotes = False
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"UGSD Studio {release}"
html_copy_source = False
html_show_sphinx = False


def drawings_as_they_stand(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Set drawings and tables of module docstrings, which are written to be read in the source, as they stand."""
    if what != "module":
        return
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    lines[:] = []
    for group in groups:
        if any(line.startswith((" ", "|", "├", "└")) for line in group):
            lines += ["::", "", *(f"    {line}" for line in group), ""]
        else:
            lines += [*group, ""]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", drawings_as_they_stand)
