"""Makes a folder that can be pushed to a Hugging Face Space: ``python -m space_config.build OUT [--variant gpu]``.

The folder holds the code as source beside an entry, not a wheel: the hub installs ``requirements.txt`` before it copies
anything else of the repository.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from space_config.card import TEMPLATES, VARIANTS, Variant, readme
from space_config.errors import SpaceError
from space_config.pins import debian_packages, pins, requirements
from ugsd_core import __version__
from ugsd_core.errors import UgsdError

__all__ = ["build_space", "is_space", "main"]

ROOT = Path(__file__).resolve().parents[1]
#: Folders that are copied; each is replaced as a whole.
FOLDERS = ("ugsd_core", "ui", "assets")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".DS_Store", "make_examples.py")
SETTINGS = "space.json"


def is_space(folder: Path) -> bool:
    """Whether a folder holds a Space: a README.md whose front matter names an SDK, as the hub makes it."""
    card = folder / "README.md"
    if not card.is_file():
        return False
    found = re.match(r"---\n(?P<fields>.*?)\n---\n", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    return found is not None and re.search(r"^sdk:\s*\S", found["fields"], re.MULTILINE) is not None


def build_space(out: Path, variant: Variant, *, torch_index: str = "", root: Path = ROOT) -> int:
    """Write the folder; returns its size in bytes, Git's own files left out.

    Args:
        out: An empty or new folder, or a Space, whose other files stay as they are.
        variant: One of `VARIANTS`.
        torch_index: As `space_config.pins.requirements` takes it.
        root: The checkout.

    Raises:
        SpaceError: If ``out`` holds something else, or lies in the checkout's own folders.
    """
    out = out.expanduser().absolute()
    if out.exists() and not out.is_dir():
        raise SpaceError(f"{out} is a file; name a folder")
    if out == root or any(out.is_relative_to(root / name) for name in FOLDERS) or root.is_relative_to(out):
        raise SpaceError(f"{out} is the checkout's own; name a folder beside it")
    if out.is_dir() and any(out.iterdir()) and not is_space(out):
        raise SpaceError(f"{out} is not empty and holds no Space; name another folder, or empty it")
    texts = _texts(variant, torch_index, root)  # everything that can go wrong, before anything is written
    out.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
        shutil.copytree(root / name, out / name, ignore=LEFT_OUT)
    if not variant.embedded:
        shutil.rmtree(out / "assets/checkpoints")
    for name in ("LICENSE", "constraints.txt"):
        shutil.copyfile(root / name, out / name)
    shutil.copyfile(root / "space_config/app.py", out / "app.py")
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file() and ".git" not in path.parts)


def _texts(variant: Variant, torch_index: str, root: Path) -> dict[str, str]:
    debian = debian_packages(root)
    card = readme(
        variant, gradio=pins(root)["gradio"], version=__version__, torch_index=torch_index, debian=debian
    )  # fmt: skip
    texts = {
        "README.md": card,
        "requirements.txt": requirements(root, torch_index=torch_index),
        "packages.txt": "".join(f"{name}\n" for name in debian),
        SETTINGS: json.dumps({"variant": variant.name, "defaults": dict(variant.defaults)}, indent=2) + "\n",
        ".gitignore": "__pycache__/\n*.pyc\n",
    }
    places = {"gitattributes": ".gitattributes", "notice.md": "notice.md", "notice.zh.md": "notice.zh.md"}
    return texts | {place: (TEMPLATES / name).read_text(encoding="utf-8") for name, place in places.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m space_config.build", description=__doc__.splitlines()[0])
    parser.add_argument("out", metavar="OUT", type=Path, help="a new or empty folder, or a clone of the Space")
    parser.add_argument("--variant", choices=tuple(VARIANTS), default="cpu", help="(cpu)")
    parser.add_argument("--torch-index", default="", metavar="URL", help="an index with CPU builds of PyTorch (PyPI)")
    args = parser.parse_args(argv)
    try:
        size = build_space(args.out, VARIANTS[args.variant], torch_index=args.torch_index)
    except (UgsdError, OSError) as error:
        print(f"make space: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {size / 1e6:.1f} MB, variant {args.variant}, ready to push")
    print("Before the first push: git lfs install. Put your name and address into notice.md and notice.zh.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
