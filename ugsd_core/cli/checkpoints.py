"""``ugsd checkpoints``: what the embedded checkpoints are, whether they are whole, and copies for others."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ugsd_core.cli.output import progress
from ugsd_core.errors import CheckpointError
from ugsd_core.models.shipped import (
    PURPOSES,
    SIDES,
    Shipped,
    differences,
    export,
    folder_of,
    read_manifest,
    sha256_of,
    shipped,
)

__all__ = ["run"]

_EXIT_DIFFERS = 1


def run(args: argparse.Namespace) -> int:
    """Do what was asked for.

    Raises:
        UgsdError: With one sentence for a person.
    """
    return {"list": _list, "show": _show, "verify": _verify, "export": _export, "gguf": _gguf}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    found = {side: shipped(folder_of(side)) for side in SIDES}
    if args.json:
        print(json.dumps({side: _plain(side, about) for side, about in found.items()}, indent=2))
        return 0
    for side, about in found.items():
        print(f"{side:9}{about.name}  {about.size_bytes / 1e6:.1f} MB, {about.parameters / 1e6:.1f} M parameters")
        print(f"{'':9}{PURPOSES[side]}")
        print(f"{'':9}licence {about.licence}")
    print("ugsd checkpoints show NAME says more; verify checks every byte; export copies one for others.")
    return 0


def _plain(name: str, about: Shipped) -> dict[str, Any]:
    return {
        "name": about.name,
        "folder": str(about.folder),
        "class": about.class_name,
        "licence": about.licence,
        "parameters": about.parameters,
        "kept_in": about.kept_in,
        "size_bytes": about.size_bytes,
        "purpose": PURPOSES.get(name, ""),
    }


def _show(args: argparse.Namespace) -> int:
    about = shipped(folder_of(args.name))
    with progress("reading its files", quiet=args.json):
        files = {name: {"bytes": size, "sha256": sha256_of(about.folder / name)} for name, size in about.files.items()}
    plain = _plain(args.name, about) | {"files": files}
    if args.json:
        print(json.dumps(plain, ensure_ascii=False, indent=2))
        return 0
    print(about.name)
    for key, value in (
        ("for", plain["purpose"] or "a checkpoint of your own"),
        ("class", about.class_name),
        ("parameters", f"{about.parameters / 1e6:.1f} M"),
        ("kept in", about.kept_in),
        ("licence", about.licence),
        ("folder", about.folder),
        ("card", about.folder / "README.md" if "README.md" in about.files else "none"),
    ):
        print(f"  {key:<12}{value}")
    for name, file in files.items():
        print(f"  {file['sha256']}  {file['bytes']:>11,}  {name}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    whole = True
    for name in args.names or SIDES:
        folder = folder_of(name)
        with progress(f"reading {name}"):
            found = _differences(name, folder)
        for sentence in found:
            print(f"{name}: {sentence}")
        whole = whole and not found
        if found:
            print(f"{name}: not as it was shipped; install the program again")
            continue
        compared = (
            f"{len(read_manifest(folder.parent)[name]['files'])} files as shipped" if name in SIDES else "a folder"
        )
        print(f"{name}: {compared}{'' if args.no_open else _opened(name, folder)}")
    return 0 if whole else _EXIT_DIFFERS


def _differences(name: str, folder: Path) -> list[str]:
    if name not in SIDES:
        return []
    expected = read_manifest(folder.parent).get(name)
    if expected is None:
        raise CheckpointError(f"the manifest in {folder.parent} does not name {name!r}; install the program again")
    return list(differences(folder, expected["files"]))


def _opened(name: str, folder: Path) -> str:
    with progress(f"opening {name}"):
        from ugsd_core.models.loading import load_speech_model

        model = load_speech_model(folder)
    return f", opens as {model.info.name} with {model.vocabulary_size:,} shared ids"


def _export(args: argparse.Namespace) -> int:
    source = folder_of(args.name)
    with progress(f"copying {args.name}"):
        target = export(source, Path(args.folder).expanduser(), args.dtype)
    size = sum(path.stat().st_size for path in target.iterdir())
    licence = shipped(target).licence
    print(f"{target}: {args.name} in {args.dtype}, {size / 1e6:.1f} MB; its licence ({licence}) goes with it")
    return 0


def _gguf(args: argparse.Namespace) -> int:
    from ugsd_core.models.llama_checkpoint import write_llama_checkpoint

    source = folder_of(args.name) if args.name in SIDES else args.name
    with progress(f"writing {args.name}"):
        target = write_llama_checkpoint(source, Path(args.folder).expanduser(), args.dtype)
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{target}: {args.name} for llama.cpp, its decoder in {args.dtype}, {size / 1e6:.1f} MB")
    print(f"take it with --edge {target}; a gate that was calibrated for other weights wants 'ugsd calibrate' anew")
    return 0
