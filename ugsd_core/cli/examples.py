"""``ugsd examples``: the example clips as a corpus of one's own."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import ugsd_core
from ugsd_core.errors import OptionError

__all__ = ["run"]

#: What makes the clips again; of no use without the checkout.
LEFT_OUT = ("*.py", "__pycache__", "README.md")


def run(args: argparse.Namespace) -> int:
    """Copy, and say what is there now.

    Raises:
        OptionError: If the folder exists, or the clips were not installed with the code.
    """
    source = Path(ugsd_core.__file__).resolve().parents[1] / "assets" / "examples"
    folder = Path(args.folder)
    if not (source / "manifest.csv").is_file():
        raise OptionError("the example clips were not installed with the code; install from a full checkout")
    if folder.exists():
        raise OptionError(f"{folder} is there already; name a folder that is not")
    try:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    except OSError as error:
        raise OptionError(f"{folder} can't be written: {error.strerror or error}") from None
    for clip in sorted(folder.glob("*.flac")):
        print(clip)
    return 0
