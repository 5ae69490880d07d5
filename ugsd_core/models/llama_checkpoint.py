"""Turning a checkpoint into a folder that `llama_model` loads: ``decoder.gguf`` and ``tower.safetensors``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ugsd_core.errors import CheckpointError, InstallationError, OptionError
from ugsd_core.models.eight_bit import is_eight_bit
from ugsd_core.models.fitting import FLOATS
from ugsd_core.models.gguf_file import DECODER, GGUF_TYPES, DecoderShape, decoder_tensors, write_decoder
from ugsd_core.models.tower_file import TOWER, tower_weights

__all__ = ["write_llama_checkpoint"]

#: What is taken over as it is, from a folder that has it.
OWN_FILES = ("ugsd.json", "gate.json", "emotion_head.safetensors", "README.md", "LICENSE")


def write_llama_checkpoint(source: str | Path, target: Path, precision: str = "int4") -> Path:
    """Write a folder for llama.cpp; all or nothing.

    The source is loaded as it is kept, 2 bytes a weight for most; writing takes no more beside it.

    Args:
        source: A folder or a hub name of the Qwen2.5-Omni class.
        target: A new or empty folder.
        precision: Of the decoder's matrices, one of `GGUF_TYPES`; embedding and tower have eight bits at least.

    Raises:
        OptionError: If the target is there already or the precision unknown.
        CheckpointError: If the source cannot be read or is of another class.
        InstallationError: Without the package *gguf*.
    """
    from importlib.util import find_spec

    from safetensors.torch import save_file

    from ugsd_core.models.loading import load_speech_model

    if precision not in GGUF_TYPES:
        raise OptionError(f"--dtype is one of {', '.join(GGUF_TYPES)} here, not {precision!r}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OptionError(f"{target} is there already; name a new or empty folder")
    if find_spec("gguf") is None:
        from ugsd_core.parts import install_line

        raise InstallationError(f"writing for llama.cpp needs the package gguf; type {install_line('edge-llama')}")
    folder = Path(source).expanduser()
    loaded = load_speech_model(source, dtype=_kept_in(folder))
    if loaded.family.name != "qwen2_5_omni":
        raise CheckpointError(f"{source} is of the class {loaded.family.class_name}; only Qwen2.5-Omni is written here")
    model = loaded.model
    shape = DecoderShape.read(str(source), model.config.get_text_config())
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as part:
        made = Path(part) / "made"
        made.mkdir()
        model.config.save_pretrained(made)
        loaded.tokenizer.save_pretrained(made)
        if getattr(model, "generation_config", None) is not None:
            model.generation_config.save_pretrained(made)
        for name in OWN_FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, made / name)
        save_file(tower_weights(model), str(made / TOWER), metadata={"format": "pt"})
        (made / TOWER).chmod(0o644)  # safetensors writes files for their owner alone
        weights = dict(loaded.language_model.state_dict())
        write_decoder(made / DECODER, shape, decoder_tensors(weights, _own_head(model), precision))
        if target.is_dir():
            target.rmdir()
        made.rename(target)
    return target


def _kept_in(folder: Path) -> str:
    """The type in which a checkpoint is read: its own if it is a folder that says so, so that it is rounded once."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a name on the hub, or damaged, which the loader says better
        return "bfloat16"
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    return "float32" if is_eight_bit(config) else dtype if dtype in FLOATS else "bfloat16"


def _own_head(model: Any) -> Any:
    """The output layer's weight; None if it is the embedding's."""
    head = model.lm_head.weight
    return None if head is model.get_input_embeddings().weight else head
