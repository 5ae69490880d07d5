"""The checkpoints that come with the program: what there is, whether it is whole, and a copy for others.

``manifest.json`` beside the folders names every file with its size and SHA-256; ``tools/checkpoint_manifest.py`` writes
it, and a test holds that it is not stale.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Literal

from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.models.eight_bit import KEY, is_eight_bit, read_eight_bit
from ugsd_core.models.gguf_file import DECODER, DecoderShape, weight_shapes
from ugsd_core.models.loading import FLOATS, default_checkpoint
from ugsd_core.models.tower_file import TOWER

__all__ = [
    "MANIFEST",
    "SIDES",
    "Shipped",
    "differences",
    "export",
    "folder_of",
    "make_manifest",
    "read_manifest",
    "shipped",
]

Side = Literal["edge", "verifier"]
SIDES: tuple[Side, ...] = ("edge", "verifier")
MANIFEST = "manifest.json"
PURPOSES: dict[str, str] = {
    "edge": "drafts captions on the device; brings its emotion head and the gate card that was fitted to the verifier",
    "verifier": "judges the blocks that the edge is unsure of, or writes a caption alone",
}


@dataclass(frozen=True, slots=True)
class Shipped:
    """A checkpoint as its folder describes it; nothing is loaded.

    Attributes:
        name: From ``ugsd.json``; the folder's name without one.
        class_name: Of transformers.
        parameters: Without a vestigial vision tower, and without the scales of rounded weights.
        kept_in: What the weights are kept in, for people.
        files: Name to size in bytes.
    """

    folder: Path
    name: str
    class_name: str
    licence: str
    parameters: int
    kept_in: str
    files: dict[str, int]

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(self.files.values())


def folder_of(name: str) -> Path:
    """The folder of an embedded checkpoint, or a folder of one's own.

    Raises:
        CheckpointError: If there is none.
    """
    if name in SIDES:
        return default_checkpoint(name)
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"there is no checkpoint {name!r}; name {' or '.join(SIDES)}, or a folder with config.json"
        )
    return folder


def shipped(folder: Path) -> Shipped:
    """Read what a folder says of itself.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """
    from safetensors import safe_open

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        own_file = folder / "ugsd.json"
        own = json.loads(own_file.read_text(encoding="utf-8")) if own_file.is_file() else {}
        parameters = 0
        for path in sorted([*folder.glob("model*.safetensors"), *folder.glob(TOWER)]):
            with safe_open(str(path), "np") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a mapping
                    if "visual." not in name and not name.endswith("_scale"):
                        parameters += prod(tensors.get_slice(name).get_shape())
        if (folder / DECODER).is_file():
            parameters += _of_decoder(config)
    except Exception as error:  # json, safetensors and the disk raise many kinds; the person needs one sentence
        raise CheckpointError(f"{folder} cannot be read: {error}") from error
    kept_in = "eight bits a value, a scale a row" if is_eight_bit(config) else str(config.get("dtype", "unknown"))
    if (folder / DECODER).is_file():
        kept_in = f"{DECODER} for llama.cpp, the tower in eight bits a value"
    classes = ", ".join(config.get("architectures") or ["unknown"])
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    name = str(own.get("name", folder.name))
    return Shipped(folder, name, classes, str(own.get("licence", "unknown")), parameters, kept_in, files)


# ── Whether it is whole ───────────────────────────────────────────────────────────────────────────────────────────


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_manifest(root: Path) -> dict[str, Any]:
    """The manifest of the folders in ``root``, from the files themselves."""
    checkpoints = {}
    for side in SIDES:
        about = shipped(root / side)
        checkpoints[side] = {
            "name": about.name,
            "class": about.class_name,
            "licence": about.licence,
            "parameters": about.parameters,
            "kept_in": about.kept_in,
            "purpose": PURPOSES[side],
            "files": {
                name: {"bytes": size, "sha256": sha256_of(about.folder / name)} for name, size in about.files.items()
            },
        }
    return {"schema": 1, "checkpoints": checkpoints}


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest that came with the program.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    path = root / MANIFEST
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["checkpoints"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is missing or damaged ({error}); install the program again") from error
    return found


def differences(folder: Path, expected: dict[str, dict[str, Any]]) -> Iterator[str]:
    """One sentence for each file that is not what the manifest says."""
    for name, file in expected.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != file["bytes"]:
            yield f"{name} has {path.stat().st_size:,} bytes, not {file['bytes']:,}"
        elif sha256_of(path) != file["sha256"]:
            yield f"{name} has been changed: its SHA-256 is another"
    for path in sorted(folder.iterdir()):
        if path.name not in expected:
            yield f"{path.name} does not belong here"


def _of_decoder(config: dict[str, Any]) -> int:
    """Parameters of a decoder in a file of its own, by its configuration."""
    text = SimpleNamespace(**config.get("thinker_config", config)["text_config"])
    shape = DecoderShape.read("the folder", text)
    head = 0 if getattr(text, "tie_word_embeddings", False) else shape.rows * shape.width
    return head + sum(prod(size) for size in weight_shapes(shape).values())


# ── A copy for others ─────────────────────────────────────────────────────────────────────────────────────────────


def export(source: Path, target: Path, dtype: str = "float32") -> Path:
    """Copy a checkpoint as plain floats, for any program that opens transformers' folders; all or nothing.

    In float32 the values are those that this program computes with.

    Args:
        dtype: One of `FLOATS`.

    Raises:
        OptionError: If the target is there already or the type unknown.
        CheckpointError: If the checkpoint cannot be read.
    """
    from safetensors.torch import load_file, save_file

    if dtype not in FLOATS:
        raise OptionError(f"--dtype is one of {', '.join(FLOATS)}, not {dtype!r}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OptionError(f"{target} is there already; name a new or empty folder")
    import torch

    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    weights = read_eight_bit(source)
    if weights is None:
        try:
            weights = load_file(str(source / "model.safetensors"))
        except Exception as error:  # safetensors raises many kinds
            raise CheckpointError(f"{source} has no model.safetensors that can be read: {error}") from error
    config.pop(KEY, None)
    config["dtype"] = dtype
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as part:
        made = Path(part) / "made"
        shutil.copytree(source, made)
        floats = {name: value.to(getattr(torch, dtype)).contiguous() for name, value in weights.items()}
        save_file(floats, str(made / "model.safetensors"), metadata={"format": "pt"})
        (made / "model.safetensors").chmod(0o644)
        (made / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        _tell_the_card(made / "README.md", dtype)
        if target.is_dir():
            target.rmdir()
        made.rename(target)
    return target


def _tell_the_card(card: Path, dtype: str) -> None:
    """The card of a copy speaks of its own form."""
    if not card.is_file():
        return
    from ugsd_core.training.card import EIGHT_BIT_NOTE

    text = card.read_text(encoding="utf-8").replace(EIGHT_BIT_NOTE, "")
    for form in ("eight bits a value, a scale a row", "fp16"):
        text = text.replace(f"weights in {form} |", f"weights in {dtype} |")
    card.write_text(text, encoding="utf-8")
