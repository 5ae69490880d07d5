"""Which packages are installed, part by part, compared with the versions that were tested together."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from importlib import metadata

from ugsd_core.doctor.finding import Finding
from ugsd_core.parts import BASE, OPTIONAL, PARTS, PROGRAM, install_line
from ugsd_core.places import tested_versions

__all__ = ["check_packages", "check_python", "version_of"]

GROUP = "packages"
#: Named in the table; the others are in the JSON.
TOLD = ("torch", "transformers", "onnxruntime", "gradio", "sacrebleu", "sqlalchemy")
OLDEST_PYTHON, TESTED_PYTHON = (3, 11), "3.11"


def version_of(distribution: str) -> str | None:
    """The installed version, without what a local build adds to it; None if it is not installed."""
    try:
        return metadata.version(distribution).split("+")[0]
    except metadata.PackageNotFoundError:
        return None


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether Python is new enough."""
    said = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        mend = "install Python 3.11 or newer and make the environment with it"
        return Finding(GROUP, "Python", "missing", f"{said} is too old", mend)
    tested = "" if said.startswith(TESTED_PYTHON) else f" (tested with {TESTED_PYTHON})"
    return Finding(GROUP, "Python", "ok", f"{said} on {platform.system()} {platform.machine()}{tested}")


def check_packages(version: Callable[[str], str | None] = version_of) -> list[Finding]:
    """A row a part, and one about versions unlike those tested.

    Args:
        version: Gives a distribution's version, for tests.
    """
    parts = [_part(part, version) for part in (*BASE, *OPTIONAL)]
    return [*parts, *_versions(version, tested_versions())]


def _part(part: str, version: Callable[[str], str | None]) -> Finding:
    what, distributions = PARTS[part]
    found = {name: version(name) for name in distributions}
    there = {name: number for name, number in found.items() if number is not None}
    lacking = [name for name in distributions if name not in there]
    name = f"{part} ({what})"
    if not lacking:
        told = [f"{name} {number}" for name, number in there.items() if name in TOLD] or [
            f"{name} {number}" for name, number in list(there.items())[:1]
        ]
        rest = len(there) - len(told)
        return Finding(GROUP, name, "ok", ", ".join(told) + (f" and {rest} more" if rest else ""), details={**there})
    # An edge can do without PyTorch; one with neither is no edge.
    without_torch = part == "edge" and all(version(name) is not None for name in PARTS["edge-onnx"][1])
    left_out = distributions[0] in lacking and (part != "edge" or without_torch)
    said = "not installed" if left_out else f"lacks {', '.join(lacking)}"
    return Finding(GROUP, name, "note" if left_out else "missing", said, install_line(part), {**there})


def _versions(version: Callable[[str], str | None], tested: dict[str, str]) -> list[Finding]:
    """What differs from the tested versions; nothing if no list of them was installed."""
    ours = sorted({name for _, distributions in PARTS.values() for name in distributions})
    unlike = {
        name: (number, tested[name])
        for name in ours
        if name in tested and (number := version(name)) is not None and number != tested[name]
    }
    if not tested:
        return []
    if not unlike:
        return [Finding(GROUP, "versions", "ok", "as tested together")]
    said = ", ".join(f"{name} {number} (tested {wanted})" for name, (number, wanted) in unlike.items())
    mend = f"only if something fails: pip install {' '.join(f'{name}=={pair[1]}' for name, pair in unlike.items())}"
    return [Finding(GROUP, "versions", "note", said, mend, {"program": version(PROGRAM)})]
