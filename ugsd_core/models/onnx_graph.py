"""The graphs of a small Qwen2.5-Omni thinker for onnxruntime: its audio tower, and its decoder with a key-value cache.

Made in memory from ``config.json`` and the eight-bit weights while a checkpoint is loaded, so that weights lie in the
repository once. The matrices go into the graphs as the file has them, eight bits a value and a scale a row.

The decoder is one graph for the request, for one token and for several: it appends to key-value buffers that are its
inputs and outputs at once, so that forgetting a suffix is a shorter length and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import CheckpointError
from ugsd_core.models.onnx_proto import MICROSOFT, Graph

__all__ = ["Kernel", "Sizes", "Weights", "decoder_graph", "embedding_row", "sinusoids", "tower_graph"]

#: How a product with an eight-bit matrix is computed. ``float``: the matrix is made floats once, while loading.
#: ``rows``: activations are rounded to eight bits, a scale a block (MatMulNBits); fastest for one token. ``whole``: one
#: scale for all of them (DynamicQuantizeMatMul); fastest for many. ``twice``: ``whole``, and once more for what its
#: rounding left over, which makes sixteen bits; nearly as fast, and nearly exact.
Kernel = Literal["float", "rows", "whole", "twice"]
#: Lengths of a block with one scale of its own.
BLOCKS = (256, 128, 64, 32, 16)

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What of ``config.json`` shapes the graphs."""

    n_mels: int
    tower_width: int
    tower_layers: int
    tower_heads: int
    n_window: int
    positions: int
    layers: int
    heads: int
    kv_heads: int
    width: int
    rows: int
    epsilon: float
    rope_theta: float
    context: int
    tied: bool

    @property
    def head_size(self) -> int:
        """Of the decoder's attention."""
        return self.width // self.heads

    @classmethod
    def read(cls, name: str, config: dict[str, Any]) -> Sizes:
        """From a ``config.json``.

        Raises:
            CheckpointError: If the checkpoint is of a kind that the graphs do not know.
        """
        try:
            audio, text = config["audio_config"], config["text_config"]
            rope = text["rope_parameters"]
            expected = {
                "model type": (config["model_type"], "qwen2_5_omni_thinker"),
                "tower's activation": (audio["activation_function"], "gelu"),
                "scaled embeddings": (bool(audio.get("scale_embedding")), False),
                "activation": (text["hidden_act"], "silu"),
                "sliding window": (bool(text.get("use_sliding_window")), False),
                "rotary embedding": (rope.get("rope_type", "default"), "default"),
                "head size": (text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"])
                and (text["hidden_size"] % text["num_attention_heads"], 0),
            }
            for what, (found, known) in expected.items():
                if found != known:
                    raise CheckpointError(f"{name} cannot be computed by onnxruntime here: its {what} is {found!r}")
            return cls(
                n_mels=audio["num_mel_bins"],
                tower_width=audio["d_model"],
                tower_layers=audio["encoder_layers"],
                tower_heads=audio["encoder_attention_heads"],
                n_window=audio["n_window"],
                positions=audio["max_source_positions"],
                layers=text["num_hidden_layers"],
                heads=text["num_attention_heads"],
                kv_heads=text["num_key_value_heads"],
                width=text["hidden_size"],
                rows=text["vocab_size"],
                epsilon=float(text["rms_norm_eps"]),
                rope_theta=float(rope["rope_theta"]),
                context=text["max_position_embeddings"],
                tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{name} cannot be computed by onnxruntime here: config.json lacks {error}"
            ) from error


class Weights:
    """The tensors of an eight-bit checkpoint by name.

    Args:
        tensors: As `ugsd_core.models.eight_bit` writes them.
    """

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._tensors = tensors

    def floats(self, name: str) -> NDArray[np.float32]:
        """A tensor in float32, its scale applied."""
        value = self._tensors[name].astype(np.float32)
        scale = self._tensors.get(f"{name}_scale")
        return value if scale is None else value * scale

    def matrix(self, names: Sequence[str], rows: int | None = None) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Matrices stacked along their rows: eight-bit values (n, k) and scales (n,)."""
        values = np.concatenate([self._tensors[f"{name}.weight"] for name in names])[:rows]
        scales = np.concatenate([self._tensors[f"{name}.weight_scale"].reshape(-1) for name in names])[:rows]
        if values.dtype != np.int8:
            raise KeyError(f"{names[0]}.weight in eight bits")
        return values, scales

    def stacked(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Vectors one behind another; zeros stand for one that is missing beside its matrix."""
        parts = []
        for name in names:
            found = f"{name}.bias" in self._tensors
            parts.append(
                self.floats(f"{name}.bias")
                if found
                else np.zeros(len(self._tensors[f"{name}.weight"]), dtype=np.float32)
            )
        return np.concatenate(parts)


def embedding_row(values: NDArray[np.int8], scales: NDArray[np.float32], ids: Sequence[int]) -> NDArray[np.float32]:
    """Embeddings (n, width) of ids."""
    if len(ids) == 1:
        row: NDArray[np.float32] = values[ids[0]] * scales[ids[0]]
        return row[None]
    chosen = np.asarray(ids, dtype=np.intp)
    rows: NDArray[np.float32] = values[chosen] * scales[chosen, None]
    return rows


def sinusoids(positions: int, width: int) -> NDArray[np.float32]:
    """Positions of the audio tower, (positions, width): sines, then cosines, of geometrically spaced frequencies."""
    half = width // 2
    step = np.float32(np.log(10_000) / (half - 1))
    frequencies = np.exp(-step * np.arange(half, dtype=np.float32))
    angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies[None, :]
    return np.concatenate((np.sin(angles), np.cos(angles)), axis=1)


class _Writer(Graph):
    """A graph with the layers that both models use."""

    def __init__(self, name: str, weights: Weights, kernel: Kernel) -> None:
        super().__init__(name)
        self.weights = weights
        self.kernel = kernel

    def vector(self, name: str) -> str:
        """A vector of the checkpoint."""
        return self.constant(self.weights.floats(name))

    def linear(self, x: str, names: Sequence[str], *, bias: bool, rows: int | None = None) -> str:
        """One product with matrices stacked along their rows."""
        values, scales = self.weights.matrix(names, rows)
        added = self.weights.stacked(names) if bias else None
        if self.kernel == "float":
            product = self.node("MatMul", [x, self.constant((values * scales[:, None]).T.astype(np.float32))])
            return product if added is None else self.node("Add", [product, self.constant(added)])
        block = next((size for size in BLOCKS if values.shape[1] % size == 0), None)
        if self.kernel == "rows" and block is not None:
            return self._by_rows(x, values, scales, added, block)
        return self._by_all(x, values, scales, added, again=self.kernel == "twice")

    def _by_rows(self, x: str, values: Array, scales: Array, bias: Array | None, block: int) -> str:
        n, k = values.shape
        shifted = (values.astype(np.int16) + 128).astype(np.uint8).reshape(n, k // block, block)
        inputs = [x, self.constant(shifted), self.constant(np.repeat(scales, k // block))]
        if bias is not None:
            inputs += ["", "", self.constant(bias)]
        attributes = {"K": k, "N": n, "bits": 8, "block_size": block, "accuracy_level": 4}
        return self.node("MatMulNBits", inputs, domain=MICROSOFT, attributes=attributes)

    def _by_all(self, x: str, values: Array, scales: Array, bias: Array | None, *, again: bool) -> str:
        matrix, scale = self.constant(np.ascontiguousarray(values.T)), self.constant(scales)
        zero = self.constant(np.zeros(len(values), dtype=np.int8))
        added = [] if bias is None else [self.constant(bias)]
        if not again:
            return self.node("DynamicQuantizeMatMul", [x, matrix, scale, zero, *added], domain=MICROSOFT)
        rounded = [self.fresh("rounded") for _ in range(3)]
        self.node("DynamicQuantizeLinear", [x], rounded)
        levels, step, offset = rounded
        inputs = [levels, matrix, step, scale, offset, zero, *added]
        first = self.node("MatMulIntegerToFloat", inputs, domain=MICROSOFT)
        rest = self.node("Sub", [x, self.node("DequantizeLinear", rounded)])
        second = self.node("DynamicQuantizeMatMul", [rest, matrix, scale, zero], domain=MICROSOFT)
        return self.node("Add", [first, second])


def tower_graph(sizes: Sizes, weights: Weights, kernel: Kernel) -> bytes:
    """The audio tower.

    Inputs: ``mel`` (1, n_mels, frames) and ``places`` (1, t, width), the sinusoids of the t = (frames − 1) // 2 + 1
    positions. Output: ``vectors`` (1, t // 2, decoder width).
    """
    g = _Writer("tower", weights, kernel)
    width = sizes.tower_width
    x = g.input("mel", "float32", [1, sizes.n_mels, "frames"])
    places = g.input("places", "float32", [1, "t", width])
    for name, stride in (("conv1", 1), ("conv2", 2)):
        filters = g.constant(weights.floats(f"audio_tower.{name}.weight"))
        attributes = {"kernel_shape": [3], "pads": [1, 1], "strides": [stride]}
        x = g.node("Conv", [x, filters, g.vector(f"audio_tower.{name}.bias")], attributes=attributes)
        x = g.node("Gelu", [x], domain=MICROSOFT)
    x = g.node("Add", [g.node("Transpose", [x], attributes={"perm": [0, 2, 1]}), places])
    for layer in range(sizes.tower_layers):
        x = _tower_layer(g, sizes, f"audio_tower.layers.{layer}", x)
    whole, half = g.constant(np.array([0])), g.constant(np.array([2]))
    end, far, one, axis = (g.constant(np.array([n])) for n in (-1, 2**31 - 1, 1, 1))
    first = g.node("Slice", [x, whole, end, axis, half])
    second = g.node("Slice", [x, one, far, axis, half])
    x = g.node("Mul", [g.node("Add", [first, second]), g.constant(np.array(0.5, dtype=np.float32))])
    x = _layer_norm(g, x, "audio_tower.ln_post")
    g.node("Identity", [g.linear(x, ["audio_tower.proj"], bias=True)], ["vectors"])
    g.output("vectors", "float32", [1, "pairs", sizes.width])
    return g.model()


def _layer_norm(g: _Writer, x: str, name: str) -> str:
    attributes = {"axis": -1, "epsilon": 1e-5}
    return g.node(
        "LayerNormalization", [x, g.vector(f"{name}.weight"), g.vector(f"{name}.bias")], attributes=attributes
    )


def _tower_layer(g: _Writer, sizes: Sizes, name: str, x: str) -> str:
    h = _layer_norm(g, x, f"{name}.self_attn_layer_norm")
    packed = g.linear(h, [f"{name}.self_attn.{part}_proj" for part in "qkv"], bias=True)
    thirds = [g.fresh("third") for _ in range(3)]
    g.node("Split", [packed], thirds, attributes={"axis": -1, "num_outputs": 3})
    attributes = {"num_heads": sizes.tower_heads}
    h = g.node("MultiHeadAttention", thirds, domain=MICROSOFT, attributes=attributes)
    x = g.node("Add", [x, g.linear(h, [f"{name}.self_attn.out_proj"], bias=True)])
    h = g.linear(_layer_norm(g, x, f"{name}.final_layer_norm"), [f"{name}.fc1"], bias=True)
    h = g.node("Gelu", [h], domain=MICROSOFT)
    return g.node("Add", [x, g.linear(h, [f"{name}.fc2"], bias=True)])


def decoder_graph(sizes: Sizes, weights: Weights, vocabulary_size: int, kernel: Kernel) -> bytes:
    """The decoder and its head.

    Inputs: ``embeds`` (1, n, width); ``last`` (1,) int32 and ``total`` () int32, position of the last row and one
    more; ``from`` (1,) int64, the first row that is to be predicted from, negative from the end; ``key_i`` and
    ``value_i``, the buffers (1, kv heads, capacity, head size). Outputs: ``hidden`` (1, r, width) and ``logits``
    (1, r, V) of those rows; ``new_key_i`` and ``new_value_i``, to be bound to the same buffers.
    """
    g = _Writer("decoder", weights, kernel)
    x = g.input("embeds", "float32", [1, "n", sizes.width])
    last, total = g.input("last", "int32", [1]), g.input("total", "int32", [])
    first = g.input("from", "int64", [1])
    half = np.arange(0, sizes.head_size, 2, dtype=np.float32) / np.float32(sizes.head_size)
    frequencies = np.float32(1.0) / np.float32(sizes.rope_theta) ** half
    angles = np.arange(sizes.context, dtype=np.float32)[:, None] * frequencies[None, :]
    turns = (last, total, g.constant(np.cos(angles)), g.constant(np.sin(angles)))
    scale = g.vector("model.layers.0.input_layernorm.weight")
    attributes = {"axis": -1, "epsilon": sizes.epsilon, "stash_type": 1}
    h = g.node("SimplifiedLayerNormalization", [x, scale], attributes=attributes)
    for layer in range(sizes.layers):
        after = f"model.layers.{layer + 1}.input_layernorm" if layer + 1 < sizes.layers else "model.norm"
        x, h = _decoder_layer(g, sizes, layer, x, h, turns, after)
    far, axis = g.constant(np.array([2**31 - 1])), g.constant(np.array([1]))
    g.node("Slice", [h, first, far, axis], ["hidden"])
    head = "model.embed_tokens" if sizes.tied else "lm_head"
    g.node("Identity", [g.linear("hidden", [head], bias=False, rows=vocabulary_size)], ["logits"])
    g.output("hidden", "float32", [1, "r", sizes.width])
    g.output("logits", "float32", [1, "r", vocabulary_size])
    return g.model()


def _decoder_layer(
    g: _Writer, sizes: Sizes, layer: int, x: str, h: str, turns: Sequence[str], after: str
) -> tuple[str, str]:
    """One layer: the sum so far and its normalised form -> the same behind the layer."""
    name = f"model.layers.{layer}"
    buffer: list[int | str] = [1, sizes.kv_heads, "capacity", sizes.head_size]
    past = [g.input(f"{kind}_{layer}", "float32", buffer) for kind in ("key", "value")]
    packed = g.linear(h, [f"{name}.self_attn.{part}_proj" for part in "qkv"], bias=True)
    outputs = [f"attention_{layer}", f"new_key_{layer}", f"new_value_{layer}"]
    attributes = {
        "num_heads": sizes.heads,
        "kv_num_heads": sizes.kv_heads,
        "scale": float(sizes.head_size**-0.5),
        "do_rotary": 1,
    }
    g.node("GroupQueryAttention", [packed, "", "", *past, *turns], outputs, domain=MICROSOFT, attributes=attributes)
    for output in outputs[1:]:
        g.output(output, "float32", buffer)
    h = g.linear(outputs[0], [f"{name}.self_attn.o_proj"], bias=False)
    x, h = _skip_norm(g, sizes, h, x, f"{name}.post_attention_layernorm", f"middle_{layer}")
    gate = g.node(
        "QuickGelu", [g.linear(h, [f"{name}.mlp.gate_proj"], bias=False)], domain=MICROSOFT, attributes={"alpha": 1.0}
    )
    h = g.node("Mul", [gate, g.linear(h, [f"{name}.mlp.up_proj"], bias=False)])
    return _skip_norm(g, sizes, g.linear(h, [f"{name}.mlp.down_proj"], bias=False), x, after, f"after_{layer}")


def _skip_norm(g: _Writer, sizes: Sizes, h: str, x: str, norm: str, name: str) -> tuple[str, str]:
    """Add, and normalise the sum: (sum, normalised)."""
    outputs = [f"{name}_norm", "", "", f"{name}_sum"]
    inputs = [h, x, g.vector(f"{norm}.weight")]
    g.node("SkipSimplifiedLayerNormalization", inputs, outputs, domain=MICROSOFT, attributes={"epsilon": sizes.epsilon})
    return outputs[3], outputs[0]
