"""Builds sdist and wheel, installs the wheel in a clean environment, and uses it with the network cut off.

    make smoke                                       # or: python -m tools.smoke [--venv DIR] [--dist DIR]

The wheel is built from the unpacked sdist, so that both are proven. What is tried is in `tools.smoke_inside`. With
``--edge`` the edge alone is installed as docs/install.md says, and tried too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.clean_room import ROOT, CleanRoom, checkout_copy, cut_off, megabytes, timed

BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def build(dist: Path, folder: Path) -> tuple[Path, Path]:
    """sdist and wheel into ``dist``; the wheel comes from the sdist."""
    dist.mkdir(parents=True, exist_ok=True)
    for old in (*dist.glob("ugsd_studio-*.whl"), *dist.glob("ugsd_studio-*.tar.gz")):
        old.unlink()
    source = checkout_copy(folder / "source")
    _quietly([sys.executable, "-c", BUILD_SDIST, str(dist)], source)
    sdist = next(dist.glob("ugsd_studio-*.tar.gz"))
    with tarfile.open(sdist) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    unpacked = next((folder / "unpacked").iterdir())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(dist), "."]
    _quietly(pip, unpacked)
    return sdist, next(dist.glob("ugsd_studio-*.whl"))


def _quietly(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-2000:] + done.stderr[-3000:], file=sys.stderr)
        done.check_returncode()


def inside(room: CleanRoom, *words: str) -> dict[str, object]:
    """Run `tools.smoke_inside` in the room, without network and without the checkout."""
    script = room.work.parent / "smoke_inside.py"
    shutil.copyfile(ROOT / "tools/smoke_inside.py", script)
    command, environment, how = cut_off([room.python, str(script), *words], room.environ())
    print(f"Network: {how}", flush=True)
    done = subprocess.run(command, cwd=room.work, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return {"network": how, **figures}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the last line is one JSON object with all figures."""
    parser = argparse.ArgumentParser(prog="python -m tools.smoke", description=__doc__.splitlines()[0])
    parser.add_argument("--venv", metavar="DIR", type=Path, help="an environment to make or use again (a new one)")
    parser.add_argument("--dist", metavar="DIR", type=Path, default=ROOT / "dist", help="for sdist and wheel (dist)")
    parser.add_argument(
        "--edge", nargs="?", const="edge", choices=("edge", "edge-onnx"),
        help="install the edge alone, and try that; edge-onnx: without PyTorch",
    )  # fmt: skip
    args = parser.parse_args(argv)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="ugsd-smoke-") as name:
        folder = Path(name)
        with timed("building sdist, and the wheel from it", seconds):
            sdist, wheel = build(args.dist.absolute(), folder)
        room = CleanRoom(folder, (args.venv or folder / "venv").absolute())
        with timed("installing the wheel", seconds):
            if args.edge:
                room.install("--no-deps", "--force-reinstall", str(wheel))
                needs = subprocess.run(
                    [room.python, "-m", "ugsd_core.cli", "doctor", "--requirements", args.edge],
                    cwd=room.work, env=room.environ(), stdout=subprocess.PIPE, text=True, check=True,
                )  # fmt: skip
                (folder / "edge.txt").write_text(needs.stdout, encoding="utf-8")
                room.install("-r", str(folder / "edge.txt"))
            elif room.fresh:
                room.install(str(wheel))
            else:
                room.install("--no-deps", "--force-reinstall", str(wheel))
        with timed("using it", seconds):
            found = inside(room, args.edge or "all")
        sizes = {
            "sdist": megabytes(sdist),
            "wheel": megabytes(wheel),
            "installed": room.packages_mb,
            "of_which_torch": megabytes(*room.venv.glob("lib/python*/site-packages/torch")),
        }
    print(json.dumps({"seconds": seconds, "sizes_mb": sizes, **found}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
