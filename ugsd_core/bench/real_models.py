"""Models of released shapes with random weights, whatever computes them: torch, or llama.cpp with torch's tower."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import OptionError
from ugsd_core.parts import install_line

if TYPE_CHECKING:
    from ugsd_core.models.llama_model import LlamaModel

__all__ = ["LLAMA", "check_llama", "make_llama_model", "make_real_model", "smallest"]

#: Precisions that llama.cpp computes, and what its file calls them here.
LLAMA = {"llama-int4": "int4", "llama-int8": "int8"}
#: Values that are drawn and rounded; all matrices repeat them.
DRAWN = 1 << 20


def make_real_model(
    size: str, precision: str, *, device: str, layers: int | None, threads: int
) -> tuple[Any, int, float]:
    """A model with its tokenizer; the bytes of all its weights, and of those that one token touches.

    Raises:
        OptionError: If the precision is not for the size or the device, or cannot be had here.
    """
    if precision in LLAMA:
        return make_llama_model(size, precision, layers=layers, threads=threads)
    from ugsd_core.bench.shapes import bytes_of, bytes_touched, make_speech_model

    model = make_speech_model(size, precision, device=device, layers=layers)
    return model, bytes_of(model.model), bytes_touched(model.model)


def smallest(precisions: Sequence[str], device: str) -> str:
    """The precision of an edge on a device: the fastest in four bits of those that are named, or else the last one."""
    if device == "cpu":
        for precision in ("llama-int4", "int4"):
            if precision in precisions and (precision not in LLAMA or find_spec("llama_cpp") is not None):
                return precision
    return ([precision for precision in precisions if precision not in LLAMA] or precisions)[-1]


def check_llama(precision: str) -> None:
    """Whether a precision can be had here.

    Raises:
        OptionError: If llama.cpp is needed and not installed.
    """
    if precision in LLAMA and (find_spec("llama_cpp") is None or find_spec("gguf") is None):
        raise OptionError(f"{precision} needs llama-cpp-python and gguf; type {install_line('edge-llama')}")


def make_llama_model(size: str, precision: str, *, layers: int | None, threads: int) -> tuple[LlamaModel, int, float]:
    """A model of a shape with random weights; its file is written to a temporary folder and read from there.

    Args:
        size: Key of the shapes, of the Qwen2.5-Omni class.
        precision: Key of `LLAMA`.
        layers: Fewer than the shape has; None takes all.
        threads: Of each pass.

    Returns:
        The model, the bytes of all its weights, and of those that one token touches: all but tower and embedding.

    Raises:
        OptionError: If the size is of another class, or without llama.cpp.
    """
    from ugsd_core.acoustic import FeatureSpec
    from ugsd_core.bench.shapes import bytes_of, family_name, make_tokenizer, make_tower
    from ugsd_core.models.caption_model import Description, described
    from ugsd_core.models.families import FAMILIES
    from ugsd_core.models.gguf_file import DECODER, DecoderShape, decoder_tensors, weight_shapes, write_decoder
    from ugsd_core.models.llama_decoder import LlamaDecoder
    from ugsd_core.models.llama_model import LlamaModel, tower_of

    family = FAMILIES[family_name(size)]
    if family.name != "qwen2_5_omni":
        raise OptionError(f"{precision} is for dense models; take bf16")
    check_llama(precision)
    tokenizer = make_tokenizer(size)
    owner = make_tower(size, tokenizer, layers)
    shape = DecoderShape.read(size, owner.config.get_text_config())
    # Arrays without memory: what matters of them is their shape.
    weights = {name: np.broadcast_to(np.float32(0), size) for name, size in weight_shapes(shape).items()}
    head = np.broadcast_to(np.float32(0), (shape.rows, shape.width))
    with TemporaryDirectory(prefix="ugsd-bench-") as folder:
        path = Path(folder, DECODER)
        write_decoder(path, shape, decoder_tensors(weights, head, LLAMA[precision], drawn))
        decoder = LlamaDecoder(path, threads=threads)
    embedding_bytes = shape.rows * shape.width // 32 * 34  # eight bits and a scale of 16 for 32 values
    about = Description(FeatureSpec(n_mels=128, level="as_recorded"), "paper", f"{size} at random in {precision}")
    audio_id = int(owner.config.audio_token_index)
    facts = described(tokenizer, family, about, logit_rows=shape.rows, audio_id=audio_id, eos=None)
    audio = owner.config.audio_config
    model = LlamaModel(decoder=decoder, tower=tower_of(owner), audio_id=audio_id, audio_config=audio, **facts)
    return model, decoder.size_bytes + bytes_of(owner), float(decoder.size_bytes - embedding_bytes)


def drawn(value: Any, precision: str) -> NDArray[Any]:
    """Random data for a tensor of a shape, as a file of a precision holds it: a rounded piece, over and over."""
    from ugsd_core.models.gguf_file import rounded

    if precision == "float32":  # norms, biases
        return np.ones(value.shape, dtype=np.float32)
    rows, columns = value.shape
    few = min(rows, max(1, DRAWN // columns))
    values = np.random.default_rng(0).standard_normal((few, columns), dtype=np.float32) * 0.02
    piece = rounded(values, precision)
    return np.tile(piece, (-(-rows // few), 1))[:rows]
