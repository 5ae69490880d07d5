"""Where the program finds what it ships beside its code: checkpoints, example clips, recorded runs, style sheets.

In a checkout, in a Space's folder and in an editable install that is the folder ``assets`` beside the package; an
installed wheel has the same files as the package ``ugsd_assets``. Whatever looks for one of them asks here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ugsd_core.errors import InstallationError

__all__ = ["assets_folder", "beside_the_code", "tested_versions", "user_data_folder"]

#: The folder's name in a wheel, and in a checkout.
FOLDERS = ("ugsd_assets", "assets")
#: A file by which the folder is known; other programs have folders called assets, too.
MARK = "web/token_strip.js"


def beside_the_code() -> Path:
    """The folder that holds the package: a checkout, or ``site-packages``."""
    return Path(__file__).resolve().parents[1]


def assets_folder(beside: Path | None = None) -> Path:
    """The folder with ``checkpoints``, ``examples``, ``traces`` and ``web``.

    Args:
        beside: The folder that holds the package, for tests.

    Raises:
        InstallationError: If it was not installed with the code.
    """
    beside = beside or beside_the_code()
    for name in FOLDERS:
        if (beside / name / MARK).is_file():
            return beside / name
    raise InstallationError(
        f"the files that belong to the program are not beside its code ({beside}); install it again: "
        "pip install --force-reinstall --no-deps ugsd-studio"
    )


def user_data_folder() -> Path:
    """Where a person's runs, traces and annotations are kept: ``$XDG_DATA_HOME/ugsd``, or ``~/.local/share/ugsd``."""
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "ugsd"


def tested_versions(beside: Path | None = None) -> dict[str, str]:
    """Versions that were tested together, by distribution name; empty if the list is not here.

    The list is the checkout's ``constraints.txt``, of which a wheel holds a copy.
    """
    beside = beside or beside_the_code()
    for path in (beside / "ugsd_assets/constraints.txt", beside / "constraints.txt"):
        if path.is_file():
            return dict(re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE))
    return {}
