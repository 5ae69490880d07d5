"""``ugsd examples``: the example clips as a corpus of one's own."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ugsd_core.errors import OptionError
from ugsd_core.places import assets_folder

__all__ = ["run"]

#: What makes the clips again; of no use without the checkout.
LEFT_OUT = ("*.py", "__pycache__", "README.md")


def run(args: argparse.Namespace) -> int:
    """Copy, and say what is there now.

    Raises:
        OptionError: If the folder exists, or can't be written.
        InstallationError: If the clips were not installed with the code.
    """
    source = assets_folder() / "examples"
    folder = Path(args.folder)
    if folder.exists():
        raise OptionError(f"{folder} is there already; name a folder that is not")
    try:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    except OSError as error:
        raise OptionError(f"{folder} can't be written: {error.strerror or error}") from None
    for clip in sorted(folder.glob("*.flac")):
        print(clip)
    return 0
