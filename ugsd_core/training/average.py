"""The mean of several checkpoints of one run: it generalises better than any of them, at no cost in use.

Weights that were fine-tuned from one start lie in one basin, and their mean lies nearer to its middle (*model soups*,
Wortsman et al., arXiv 2203.05482). Here it also undoes part of what a small corpus teaches too well: of one run, an
early checkpoint names emotions of new speakers better, a late one writes better captions, and their mean does both.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError
from ugsd_core.models.emotion_head import HEAD_FILE

__all__ = ["average_checkpoints"]

WEIGHTS = "model.safetensors"
TOWER = "audio_tower."


def average_checkpoints(folders: Sequence[Path], out: Path, *, hearing: bool = False) -> None:
    """Write the mean of some checkpoints, their emotion heads included; all other files are the first one's.

    Args:
        folders: Two or more checkpoint folders with weights in ``model.safetensors``, or files that the first phase of
            training wrote. One that is named twice weighs twice.
        out: A new folder, or a new file.
        hearing: Only what hears, audio tower and emotion head; the decoder is the first one's, and those of the others
            may have another vocabulary.

    Raises:
        CheckpointError: If there is nothing to average, the checkpoints differ in shape, or ``out`` exists.
    """
    from safetensors.torch import save_file

    if len(folders) < 2:
        raise CheckpointError("an average needs two checkpoints or more")
    if out.exists():
        raise CheckpointError(f"{out} exists; name a new place for the average")
    if all(folder.is_file() for folder in folders):
        tensors, metadata = _mean(folders, "")
        save_file(tensors, str(out), metadata=metadata)
        return
    files = [name for name in (WEIGHTS, HEAD_FILE) if name == WEIGHTS or (folders[0] / name).is_file()]
    means = {
        name: _mean([folder / name for folder in folders], TOWER if hearing and name == WEIGHTS else "")
        for name in files
    }
    others = shutil.ignore_patterns("*.safetensors", "README.md", "gate.json")
    shutil.copytree(folders[0], out, ignore=others)
    for name, (tensors, metadata) in means.items():
        save_file(tensors, str(out / name), metadata=metadata)
        (out / name).chmod(0o644)


def _mean(paths: Sequence[Path], part: str) -> tuple[dict[str, Any], dict[str, str] | None]:
    """The mean of some files' tensors in the first one's types, and the first one's metadata.

    Args:
        part: Only tensors with this in their name; the others are the first one's.
    """
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        states = [load_file(str(path)) for path in paths]
        with safe_open(str(paths[0]), "pt") as first:
            metadata: dict[str, str] | None = first.metadata()
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"a checkpoint cannot be read: {error}") from error
    shapes = [{name: tensor.shape for name, tensor in state.items() if part in name} for state in states]
    if any(one != shapes[0] for one in shapes[1:]):
        raise CheckpointError(f"{paths[0].parent} and the others are not of one model, so they have no mean")
    mean = {name: torch.stack([state[name].float() for state in states]).mean(0) for name in shapes[0]}
    return {name: mean.get(name, value).to(value.dtype).contiguous() for name, value in states[0].items()}, metadata
