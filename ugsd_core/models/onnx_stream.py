"""One caption on an `OnnxModel`: key-value buffers of its own, bound once; a rollback is a shorter length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode
from ugsd_core.models.caption_model import Logits
from ugsd_core.models.prompts import Language

if TYPE_CHECKING:
    from ugsd_core.models.onnx_model import OnnxModel

__all__ = ["OnnxStream"]

#: Caption tokens for which there is room from the beginning; it is doubled when it is full.
ROOM = 128
#: From this many tokens on, a pass is the reader's.
MANY = 32


class OnnxStream:
    """One caption on one model; see `ugsd_core.drafter.Stream`.

    Attributes:
        label_posterior: What the emotion head makes of the audio: (9,) float32; None without a head.
        input_tokens: Tokens of the request.
        width: Size of the hidden state.
    """

    def __init__(self, model: OnnxModel, code: AcousticCode, prompt: str | None, language: Language) -> None:
        self._model = model
        self.width = model.sizes.width
        embeds, self.label_posterior = model.read_request(code, prompt, language)
        self._bias = model.head_bias(self.label_posterior, language)
        self.input_tokens: int = embeds.shape[1]
        self._ids: list[int] = []
        self._buffers: list[NDArray[np.float32]] = []
        # What a step reads and writes; bound once, changed in place.
        self._embed = np.empty((1, 1, self.width), dtype=np.float32)
        self._hidden = np.empty((1, 1, self.width), dtype=np.float32)
        self._logits = np.empty((1, 1, model.vocabulary_size), dtype=np.float32)
        self._last, self._total = np.zeros(1, dtype=np.int32), np.zeros((), dtype=np.int32)
        self._make_room(self.input_tokens + ROOM)
        hidden, logits = self._run(embeds, 0, 1)
        self._request = (hidden[0].copy(), logits[0].copy())
        #: Hidden state (width,) and logits (V,) behind the last token held; None after a truncation, until needed.
        self._behind: tuple[NDArray[np.float32], Logits] | None = self._request

    @property
    def length(self) -> int:
        """Caption tokens held."""
        return len(self._ids)

    @property
    def rows_agree(self) -> bool:
        """Whether tokens fed together predict what they do one by one: the decoder computes in 32 bits."""
        return True

    @property
    def ids(self) -> tuple[int, ...]:
        """The caption tokens held, in order."""
        return tuple(self._ids)

    @property
    def size_bytes(self) -> int:
        """Memory of its keys and values."""
        return sum(buffer.nbytes for buffer in self._buffers)

    def next_logits(self) -> Logits:
        """Logits (V,) of the token at position ``length``."""
        row: Logits = self._model.adjusted(self._next()[1][None].copy(), self._bias, self._ids)[0]
        return row

    def masked_logits(self, masks: NDArray[np.float32]) -> Logits:
        """As `next_logits` with the hidden state multiplied by each of the masks: (n, width) -> (n, V)."""
        rows = (self._next()[0] * masks) @ self._model.output_layer.T
        return np.vstack([self._model.adjusted(row[None], self._bias, self._ids) for row in rows])

    def feed(self, ids: Sequence[int], *, rows: int) -> Logits:
        """Append at least one id in one pass; the last ``rows`` ≤ ``len(ids) + 1`` predictions, (rows, V)."""
        before = self._next()[1][None].copy() if rows > len(ids) else None
        logits = self._feed(ids, min(rows, len(ids)))
        logits = logits.copy() if before is None else np.concatenate((before, logits))
        return self._model.adjusted(logits, self._bias, self._ids)

    def truncate(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on.

        Raises:
            ValueError: If more would be kept than is held.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        if length < self.length:
            del self._ids[length:]
            self._behind = None

    def _next(self) -> tuple[NDArray[np.float32], Logits]:
        if self._behind is None:
            if not self._ids:
                self._behind = self._request
            else:  # the state was dropped with a rejected suffix: read the last kept token again
                last = self._ids.pop()
                self._feed([last], 1)
        assert self._behind is not None
        return self._behind

    def _feed(self, ids: Sequence[int], rows: int) -> Logits:
        """Append ids; the model's own last predictions (rows, V), which the next call may overwrite."""
        start = self.input_tokens + self.length
        if start + len(ids) > self._buffers[0].shape[2]:
            self._make_room(2 * (start + len(ids)))
        hidden, logits = self._run(self._model.embeddings(ids)[None], start, rows)
        self._ids.extend(ids)
        self._behind = (hidden[-1], logits[-1])
        return logits

    def _run(self, embeds: NDArray[np.float32], start: int, rows: int) -> tuple[NDArray[np.float32], Logits]:
        """One pass over embeddings (1, n, width) at positions start…: hidden (rows, width) and logits (rows, V)."""
        n = embeds.shape[1]
        self._last[0], self._total[()] = start + n - 1, start + n
        if n == 1:
            self._embed[:] = embeds
            self._model.decoder.run_with_iobinding(self._step)
            return self._hidden[0], self._logits[0]
        hidden = np.empty((1, rows, self.width), dtype=np.float32)
        logits = np.empty((1, rows, self._logits.shape[2]), dtype=np.float32)
        session = self._model.decoder if n < MANY else self._model.reader
        session.run_with_iobinding(self._bound(session, embeds, hidden, logits))
        return hidden[0], logits[0]

    def _make_room(self, capacity: int) -> None:
        """Buffers for more positions, holding what they held."""
        sizes = self._model.sizes
        held = self._buffers
        shape = (1, sizes.kv_heads, min(capacity, sizes.context), sizes.head_size)
        self._buffers = [np.zeros(shape, dtype=np.float32) for _ in range(2 * sizes.layers)]
        for old, new in zip(held, self._buffers, strict=False):
            new[:, :, : old.shape[2]] = old
        self._step = self._bound(self._model.decoder, self._embed, self._hidden, self._logits)

    def _bound(self, session: Any, embeds: NDArray[np.float32], hidden: NDArray[np.float32], logits: Logits) -> Any:
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
