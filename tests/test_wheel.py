"""What is in the wheel: everything of ours that is not code for development, wherever it lies in the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ugsd_core import places
from ugsd_core.errors import InstallationError
from ugsd_core.places import MARK, assets_folder

ROOT = Path(__file__).resolve().parents[1]
#: Not installed: it made the example clips once.
LEFT_OUT = {"ugsd_assets/examples/make_examples.py"}


def shipped(top: str) -> Iterator[Path]:
    for path in sorted((ROOT / top).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc" and path.name != ".DS_Store":
            yield path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names in a wheel of this checkout. Large files are empty in it, so that packing takes no time."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "constraints.txt", "app.py"):
        shutil.copyfile(ROOT / name, source / name)
    for top in ("ugsd_core", "ui", "assets"):
        for path in shipped(top):
            copied = source / path.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes() if path.stat().st_size < 100_000 else b"")
    program = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", program, str(dist)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as packed:
        return set(packed.namelist())


def test_whatever_the_program_reads_is_in_the_wheel(wheel: set[str]) -> None:
    wanted = {path.relative_to(ROOT).as_posix() for top in ("ugsd_core", "ui") for path in shipped(top)}
    wanted |= {f"ugsd_assets/{path.relative_to(ROOT / 'assets').as_posix()}" for path in shipped("assets")}
    assert not (wanted - LEFT_OUT) - wheel


def test_nothing_else_is_in_the_wheel(wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ugsd_assets", "ugsd_core", "ui"}
    assert not LEFT_OUT & wheel and "ugsd_assets/constraints.txt" in wheel


def test_a_wheel_finds_its_files_beside_its_code(tmp_path: Path) -> None:
    for name in ("assets", "ugsd_assets"):
        with pytest.raises(InstallationError, match="install it again"):
            assets_folder(tmp_path)
        (tmp_path / name).mkdir()  # somebody else's, until our mark is in it
    for name in ("assets", "ugsd_assets"):
        (tmp_path / name / MARK).parent.mkdir()
        (tmp_path / name / MARK).write_text("")
        assert assets_folder(tmp_path) == tmp_path / name
    assert places.tested_versions(tmp_path) == {}
    (tmp_path / "ugsd_assets/constraints.txt").write_text("# tested\nnumpy==2.4.6\n")
    assert places.tested_versions(tmp_path) == {"numpy": "2.4.6"}


def test_nothing_looks_for_the_assets_but_the_one_place() -> None:
    own = ROOT / "ugsd_core/places.py"
    for top in ("ugsd_core", "ui"):
        for path in (path for path in shipped(top) if path.suffix == ".py" and path != own):
            code = path.read_text(encoding="utf-8")
            assert '/ "assets"' not in code and "ugsd_assets" not in code, path
