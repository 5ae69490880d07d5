"""``requirements.txt`` and ``packages.txt`` of the Space, from pyproject.toml and constraints.txt.

A Space is built by pip from PyPI, often long after it was pushed. So everything is pinned: what pyproject.toml asks
for, and what that brings along, each at the version of constraints.txt. Which packages are brought along is taken from
the metadata of those installed here; development tools in constraints.txt stay out.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from space_config.errors import SpaceError

__all__ = ["HUB_ADDS", "brought_along", "debian_packages", "direct", "installed_needs", "pins", "requirements"]

Needs = Callable[[str], Iterable[str] | None]
#: What the hub installs in the same breath, at the card's version of Gradio; pins must leave room for it.
HUB_ADDS = ("gradio[oauth,mcp]=={gradio}", "uvicorn>=0.14.0", "websockets>=10.4", "spaces")
#: Where a Space runs; markers are read for it wherever the folder is made.
PLACE = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"}


@lru_cache(maxsize=512)
def installed_needs(name: str) -> tuple[str, ...]:
    """``Requires-Dist`` of an installed package.

    Raises:
        PackageNotFoundError: If it is not installed.
    """
    return tuple(metadata.requires(name) or ())


def pins(root: Path) -> dict[str, str]:
    """Versions by canonical name: those of constraints.txt, but where ``[tool.ugsd.space.instead]`` names another."""
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    instead = _project(root)["tool"]["ugsd"]["space"]["instead"]
    return {canonicalize_name(name): version for name, version in found} | instead


def direct(root: Path) -> list[Requirement]:
    """What pyproject.toml asks for in a plain install."""
    return [Requirement(line) for line in _project(root)["project"]["dependencies"]]


def debian_packages(root: Path) -> list[str]:
    """What pyproject.toml names for Debian, ``[tool.ugsd.space]``."""
    return sorted(_project(root)["tool"]["ugsd"]["space"]["debian-packages"])


def brought_along(wanted: Iterable[Requirement], needs: Needs = installed_needs) -> set[str]:
    """Canonical names of all that a resolver would install besides, with the extras that are asked for.

    Raises:
        SpaceError: If one of them is not installed here, so that nobody knows what it needs.
    """
    waiting, seen = list(wanted), {(canonicalize_name(one.name), frozenset(one.extras)) for one in wanted}
    asked = {name for name, _ in seen}
    while waiting:
        one = waiting.pop()
        for other in _needed(one, needs):
            key = (canonicalize_name(other.name), frozenset(other.extras))
            if key not in seen:
                seen.add(key)
                waiting.append(other)
    return {name for name, _ in seen} - asked


def _needed(one: Requirement, needs: Needs) -> Iterator[Requirement]:
    try:
        lines = needs(one.name) or ()
    except metadata.PackageNotFoundError as error:
        raise SpaceError(
            f"{one.name} is not installed here; make the folder with make space, which sees to it"
        ) from error
    for line in lines:
        other = Requirement(line)
        extras = one.extras or {""}
        if other.marker is None or any(other.marker.evaluate(PLACE | {"extra": extra}) for extra in extras):
            yield other


def requirements(root: Path, *, torch_index: str = "", needs: Needs = installed_needs) -> str:
    """The text of ``requirements.txt``.

    Args:
        root: The checkout.
        torch_index: Address of an index with CPU builds of PyTorch; without it PyPI's build is taken, which works
            without a GPU, too, but brings several GB of CUDA libraries along.
        needs: What a package needs, for tests.

    Raises:
        SpaceError: If something has no version in constraints.txt.
    """
    versions, asked = pins(root), direct(root)
    lines = ["# Made by space_config from pyproject.toml and constraints.txt.", ""]
    if torch_index:
        lines += ["# CPU builds of PyTorch; at equal versions pip takes a local one (+cpu) before that of PyPI.",
                  f"--extra-index-url {torch_index}", ""]  # fmt: skip
    lines += [_pinned(one.name, versions) for one in sorted(asked, key=lambda one: one.name)]
    along = {name for name in brought_along(asked, needs) if not name.startswith(("nvidia-", "cuda-", "triton"))}
    lines += ["", "# What these bring along."]
    lines += [_pinned(name, versions) for name in sorted(along)]
    return "\n".join(lines) + "\n"


def _pinned(name: str, versions: dict[str, str]) -> str:
    version = versions.get(canonicalize_name(name))
    if version is None:
        raise SpaceError(f"{name} has no version in constraints.txt; add the one that was tested")
    return f"{name}=={version}"


def _project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
