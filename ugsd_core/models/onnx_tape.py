"""Keys and values of one caption for an `OnnxModel`, and the passes that read and extend them.

Buffers are bound once and changed in place: a pass for one token copies nothing and makes no array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.models.caption_model import Logits
from ugsd_core.models.onnx_graph import Sizes

__all__ = ["OnnxTape"]

#: From this many tokens on, a pass is the reader's.
MANY = 32

Floats = NDArray[np.float32]


class OnnxTape:
    """Room for positions, and what is written on them.

    Args:
        sizes: Of the model.
        vocabulary_size: Logits of a row.
        reader: Session for many tokens at once.
        decoder: Session for a few.
        capacity: Positions for which there is room from the beginning; it grows, up to the model's context.
    """

    def __init__(self, sizes: Sizes, vocabulary_size: int, reader: Any, decoder: Any, capacity: int) -> None:
        self._sizes = sizes
        self._reader = reader
        self._decoder = decoder
        self._buffers: list[Floats] = []
        self._last, self._total = np.zeros(1, dtype=np.int32), np.zeros((), dtype=np.int32)
        # What a pass for one token reads and writes.
        self._embed = np.empty((1, 1, sizes.width), dtype=np.float32)
        self._hidden = np.empty((1, 1, sizes.width), dtype=np.float32)
        self._logits = np.empty((1, 1, vocabulary_size), dtype=np.float32)
        #: Hidden state (1, width) and logits (1, V) behind the last pass for one token.
        self.step: tuple[Floats, Logits] = (self._hidden[0], self._logits[0])
        self._make_room(capacity)

    @property
    def size_bytes(self) -> int:
        """Memory of keys and values."""
        return sum(buffer.nbytes for buffer in self._buffers)

    def run(self, embeds: Floats, start: int, rows: int) -> tuple[Floats, Logits]:
        """One pass over embeddings (1, n, width) at positions start…; what stood there and behind is forgotten.

        Returns:
            Hidden states (rows, width) and logits (rows, V) of the last rows ≤ n; of one token, the next pass
            overwrites them.
        """
        n = embeds.shape[1]
        end = start + n
        if end > self._capacity:
            self._make_room(2 * end)
        self._last[0] = end - 1
        self._total[()] = end
        if n == 1:
            self._embed[:] = embeds
            self._decoder.run_with_iobinding(self._one)
            return self.step
        hidden = np.empty((1, rows, self._sizes.width), dtype=np.float32)
        logits = np.empty((1, rows, self._logits.shape[2]), dtype=np.float32)
        session = self._decoder if n < MANY else self._reader
        session.run_with_iobinding(self._bound(session, embeds, hidden, logits))
        return hidden[0], logits[0]

    def _make_room(self, capacity: int) -> None:
        """Buffers for more positions, holding what they held."""
        sizes, held = self._sizes, self._buffers
        self._capacity = min(capacity, sizes.context)
        shape = (1, sizes.kv_heads, self._capacity, sizes.head_size)
        self._buffers = [np.zeros(shape, dtype=np.float32) for _ in range(2 * sizes.layers)]
        for old, new in zip(held, self._buffers, strict=False):
            new[:, :, : old.shape[2]] = old
        self._one = self._bound(self._decoder, self._embed, self._hidden, self._logits)

    def _bound(self, session: Any, embeds: Floats, hidden: Floats, logits: Logits) -> Any:
        """A pass over these arrays; its keys and values go where they are read from."""
        binding = session.io_binding()
        for name, array in (("embeds", embeds), ("last", self._last), ("total", self._total)):
            binding.bind_cpu_input(name, array)
        binding.bind_cpu_input("from", np.array([-hidden.shape[1]], dtype=np.int64))
        for number, buffer in enumerate(self._buffers):
            name = f"{('key', 'value')[number % 2]}_{number // 2}"
            binding.bind_cpu_input(name, buffer)
            binding.bind_output(f"new_{name}", "cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
        for name, array in (("hidden", hidden), ("logits", logits)):
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding
