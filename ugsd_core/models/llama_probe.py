"""Whether llama.cpp runs on this processor: a process of its own that computes a small model. Not for people."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from ugsd_core.models.gguf_file import DECODER, DecoderShape, decoder_tensors, weight_shapes, write_decoder

__all__ = ["main", "write_small"]

SHAPE = DecoderShape(
    layers=1, width=128, inner=256, heads=2, kv_heads=1, rows=256, context=256, theta=1e4, epsilon=1e-6
)


def write_small(path: Path, precision: str = "int4", sections: tuple[int, ...] = ()) -> None:
    """Write a decoder with random weights; ``sections`` as `write_decoder` takes them."""
    shape, draw = SHAPE, np.random.default_rng(0)
    weights = {name: draw.standard_normal(size, dtype=np.float32) * 0.1 for name, size in weight_shapes(shape).items()}
    head = draw.standard_normal((shape.rows, shape.width), dtype=np.float32)
    write_decoder(path, shape, decoder_tensors(weights, head, precision), sections)


def main() -> int:
    """Compute passes over one token and over many, which take different instructions."""
    from ugsd_core.models.llama_decoder import LlamaDecoder

    with tempfile.TemporaryDirectory() as folder:
        for precision in ("int4", "int8"):
            path = Path(folder, DECODER)
            write_small(path, precision=precision)
            tape = LlamaDecoder(path, threads=1, checked=True).tape(128)
            if not np.isfinite([*tape.run(range(64), 0, 8), *tape.run([5], 64, 1)]).all():
                print("a small model was computed wrongly", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
