"""What pyproject.toml cannot say: the folder ``assets`` is installed as the package ``ugsd_assets``.

Everything else is in pyproject.toml. ``ugsd_core/places.py`` finds the folder under either name.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithTestedVersions(build_py):
    """Puts the versions that were tested together into the wheel, for ``ugsd doctor``."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "ugsd_assets")
            self.mkpath(str(target))
            self.copy_file("constraints.txt", str(target))


setup(
    packages=[*find_packages(include=["ugsd_core*", "ui*"]), "ugsd_assets"],
    package_dir={"ugsd_assets": "assets"},
    cmdclass={"build_py": BuildWithTestedVersions},
)
