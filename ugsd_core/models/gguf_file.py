"""Writing a thinker's decoder as a GGUF file, the one that llama.cpp reads.

Of a Qwen2.5-Omni thinker, the decoder is an ordinary Qwen2: audio and text stand at positions 0…n−1, the same in all
three planes of its rotary embedding, which is then the plain one. Tensors are rounded and written one after the other,
so that memory holds one of them. The vocabulary stays with the checkpoint's tokenizer; the file knows ids alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import CheckpointError

__all__ = [
    "DECODER",
    "GGUF_TYPES",
    "DecoderShape",
    "Tensor",
    "decoder_tensors",
    "rounded",
    "weight_shapes",
    "write_decoder",
]

#: Name of the file in a checkpoint folder.
DECODER = "decoder.gguf"
#: What a precision is in the format. int4: a scale for 32 values; int8: the same; norms and biases are float32.
GGUF_TYPES = {"int4": "Q4_0", "int8": "Q8_0", "float32": "F32"}
#: Values rounded at a time.
PIECE = 1 << 24

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """What the file's header says of a decoder.

    Attributes:
        layers, width, inner: Layers, hidden size, size of the feed-forward layers.
        heads, kv_heads: Of attention.
        rows: Logits of a position.
        context: Positions that it knows.
        theta: Base of the rotary embedding.
        epsilon: Of the norms.
    """

    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    rows: int
    context: int
    theta: float
    epsilon: float

    @classmethod
    def read(cls, name: str, text: Any) -> DecoderShape:
        """From a transformers text configuration.

        Raises:
            CheckpointError: If it is of a kind that the format's ``qwen2`` does not describe.
        """
        if getattr(text, "use_sliding_window", False):
            raise CheckpointError(f"{name} cannot be written for llama.cpp here: its attention slides over a window")
        width, heads = int(text.hidden_size), int(text.num_attention_heads)
        if int(getattr(text, "head_dim", None) or width // heads) * heads != width or text.hidden_act != "silu":
            raise CheckpointError(f"{name} cannot be written for llama.cpp here: it is not shaped like a Qwen2")
        rope = getattr(text, "rope_parameters", None) or {"rope_theta": text.rope_theta}
        return cls(
            layers=int(text.num_hidden_layers),
            width=width,
            inner=int(text.intermediate_size),
            heads=heads,
            kv_heads=int(text.num_key_value_heads),
            rows=int(text.vocab_size),
            context=int(text.max_position_embeddings),
            theta=float(rope["rope_theta"]),
            epsilon=float(text.rms_norm_eps),
        )


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the file.

    Attributes:
        name: In the file.
        shape: Rows first.
        precision: Key of `GGUF_TYPES`.
        data: Makes its bytes, (rows, bytes a row) or float32 (n,).
    """

    name: str
    shape: tuple[int, ...]
    precision: str
    data: Callable[[], NDArray[Any]]


#: Names in a layer of transformers' Qwen2, and in the file.
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def decoder_tensors(
    weights: dict[str, Any], head: Any, precision: str, make: Callable[[Any, str], NDArray[Any]] | None = None
) -> Iterator[Tensor]:
    """The tensors of a decoder, in the order of the file.

    Args:
        weights: Of the decoder, by transformers' names without a prefix (``layers.0.self_attn.q_proj.weight``).
        head: The output layer's weight (rows, width); None if it is the embedding.
        precision: Of the matrices; the embedding has eight bits at least, since a row of it is all that a token is.
        make: Makes the data of a value in a precision; None rounds it (`rounded`).

    Raises:
        CheckpointError: If a row of a matrix cannot be split into groups of 32, or a tensor has no name in the file.
    """
    ends = precision if precision == "float32" else "int8"
    yield _tensor("token_embd.weight", weights["embed_tokens.weight"], ends, make)
    yield _tensor("output_norm.weight", weights["norm.weight"], "float32", make)
    if head is not None:
        yield _tensor("output.weight", head, precision, make)
    for name, value in weights.items():
        if not name.startswith("layers."):
            continue
        _, number, rest = name.split(".", 2)
        module, kind = rest.rsplit(".", 1)
        if module not in _LAYER:
            raise CheckpointError(f"a decoder with {module} in its layers is none that llama.cpp's qwen2 describes")
        yield _tensor(f"blk.{number}.{_LAYER[module]}.{kind}", value, precision if value.ndim == 2 else "float32", make)


def _tensor(name: str, value: Any, precision: str, make: Callable[[Any, str], NDArray[Any]] | None) -> Tensor:
    shape = tuple(value.shape)
    if precision != "float32" and shape[-1] % 32:
        raise CheckpointError(
            f"llama.cpp rounds 32 values of a row together, and {name} has {shape[-1]}; take another precision"
        )
    return Tensor(name, shape, precision, lambda: (make or rounded)(value, precision))


def weight_shapes(shape: DecoderShape) -> dict[str, tuple[int, ...]]:
    """The tensors of a decoder of a shape, by transformers' names, and how large they are."""
    width, inner, keys = shape.width, shape.inner, shape.width // shape.heads * shape.kv_heads
    layer = {
        "input_layernorm.weight": (width,),
        "self_attn.q_proj.weight": (width, width),
        "self_attn.q_proj.bias": (width,),
        "self_attn.k_proj.weight": (keys, width),
        "self_attn.k_proj.bias": (keys,),
        "self_attn.v_proj.weight": (keys, width),
        "self_attn.v_proj.bias": (keys,),
        "self_attn.o_proj.weight": (width, width),
        "post_attention_layernorm.weight": (width,),
        "mlp.gate_proj.weight": (inner, width),
        "mlp.up_proj.weight": (inner, width),
        "mlp.down_proj.weight": (width, inner),
    }
    ends = {"embed_tokens.weight": (shape.rows, width), "norm.weight": (width,)}
    return ends | {f"layers.{number}.{name}": size for number in range(shape.layers) for name, size in layer.items()}


def rounded(value: Any, precision: str) -> NDArray[Any]:
    """A torch tensor or an array as the file holds it: float32 as it is, or bytes (rows, bytes a row)."""
    import gguf

    if precision == "float32":
        return _floats(value)
    kind = gguf.GGMLQuantizationType[GGUF_TYPES[precision]]
    step = max(1, PIECE // value.shape[1])
    pieces = [
        gguf.quants.quantize(_floats(value[first : first + step]), kind) for first in range(0, value.shape[0], step)
    ]
    return np.concatenate(pieces)


def _floats(value: Any) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, dtype=np.float32)
    array: NDArray[Any] = value.detach().float().contiguous().numpy()
    return array


def write_decoder(path: Path, shape: DecoderShape, tensors: Iterable[Tensor], sections: tuple[int, ...] = ()) -> None:
    """Write a file.

    Args:
        path: Of the file; what lay there is replaced when all is written.
        shape: For its header.
        tensors: Its tensors.
        sections: How many pairs of a head each plane of positions turns, as llama.cpp's own converter writes them.
            Empty is plain positions, which for speech is the same.
    """
    import gguf

    part = path.with_name(path.name + ".part")
    writer = gguf.GGUFWriter(part, "qwen2vl" if sections else "qwen2")
    if sections:
        writer.add_rope_dimension_sections(sections)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.rows)
    writer.add_tokenizer_model("no_vocab")
    held = list(tensors)
    for tensor in held:
        kind = gguf.GGMLQuantizationType[GGUF_TYPES[tensor.precision]]
        group, size = gguf.GGML_QUANT_SIZES[kind]
        *rows, columns = tensor.shape
        stored = (*rows, columns // group * size)
        plain = kind is gguf.GGMLQuantizationType.F32
        dtype = np.dtype(np.float32 if plain else np.uint8)
        shown = tensor.shape if plain else stored
        writer.add_tensor_info(tensor.name, shown, dtype, int(np.prod(stored)), None if plain else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in held:
        writer.write_tensor_data(tensor.data())
    writer.close()
    part.replace(path)
