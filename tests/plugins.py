"""Packages with plug-ins, installed without network: a folder on the path that looks as pip would leave it."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "plugin_package"


def install(folder: Path, name: str, points: Mapping[str, Mapping[str, str]], version: str = "0.1") -> None:
    """Write a distribution's metadata.

    Args:
        points: Group of entry points to name to ``module:object``.
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in its.items()) for group, its in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def install_example(folder: Path) -> None:
    """The package of the how-to, with what its own pyproject.toml declares."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for package in tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "packages"
    ]:
        shutil.copytree(PACKAGE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    install(folder, project["name"], project["entry-points"], project["version"])
