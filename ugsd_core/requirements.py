"""What pip must install for one part of the program alone, as the installed package's own metadata says it.

pip can add extras to a plain install and cannot leave anything out. A machine that shall have the edge alone therefore
takes the program without what it depends on, and then this list (docs/install.md):

    pip install --no-deps ugsd-studio
    ugsd doctor --requirements edge > edge.txt
    pip install -r edge.txt
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import metadata

from ugsd_core.errors import InstallationError
from ugsd_core.parts import PROGRAM

__all__ = ["requirements_of"]

#: ``gradio>=6.31,<7; extra == "page"``, and ``ugsd-studio[edge,page]; extra == "all"``.
OF_EXTRA = re.compile(r"""^(?P<need>[^;]+?)\s*;\s*extra\s*==\s*["'](?P<extra>[\w-]+)["']$""")
OURSELVES = re.compile(rf"^{PROGRAM}\[(?P<extras>[\w,\s-]+)\]")


def requirements_of(part: str, declared: Iterable[str] | None = None) -> list[str]:
    """Requirements of a part, sorted, in pip's own form.

    Args:
        part: Name of an extra.
        declared: Lines of ``Requires-Dist``; None reads those of the installed program.

    Raises:
        InstallationError: If the program was not installed by pip, so that there is no metadata, or long ago.
    """
    if declared is None:
        try:
            declared = metadata.requires(PROGRAM) or []
        except metadata.PackageNotFoundError as error:
            raise InstallationError(
                f"what {part} needs is known once the program is installed: pip install --no-deps {PROGRAM} (in a "
                "checkout: pip install --no-deps .)"
            ) from error
    found = sorted(set(_needs(part, list(declared))))
    if not found:  # an editable install keeps the metadata of the day it was made
        raise InstallationError(f"the installed program does not know the part {part}; install it again")
    return found


def _needs(part: str, declared: list[str]) -> Iterator[str]:
    for line in declared:
        found = OF_EXTRA.match(line)
        if found is None or found["extra"] != part:
            continue
        ours = OURSELVES.match(found["need"])
        if ours is None:
            yield found["need"]
            continue
        for other in ours["extras"].split(","):
            yield from _needs(other.strip(), declared)
