"""One caption on an `OnnxModel`; a rollback is a shorter length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode
from ugsd_core.models.caption_model import SAID, Logits
from ugsd_core.models.held_ids import HeldIds
from ugsd_core.models.onnx_reading import OnnxReading
from ugsd_core.models.prompts import Language
from ugsd_core.uncertainty import Distribution

if TYPE_CHECKING:
    from ugsd_core.models.onnx_model import OnnxModel

__all__ = ["OnnxStream"]

#: Caption tokens for which there is room from the beginning.
ROOM = 128


class OnnxStream(HeldIds):
    """One caption on one model; see `ugsd_core.drafter.Stream`.

    Attributes:
        label_posterior: What the emotion head makes of the audio: (9,) float32; None without a head.
        input_tokens: Tokens of the request.
        width: Size of the hidden state.
    """

    def __init__(self, model: OnnxModel, code: AcousticCode, prompt: str | None, language: Language) -> None:
        super().__init__()
        self._model = model
        self.width = model.sizes.width
        embeds, self.label_posterior = model.read_request(code, prompt, language)
        self._bias = model.head_bias(self.label_posterior, language)
        self.input_tokens: int = embeds.shape[1]
        self._tape = model.tape(self.input_tokens + ROOM)
        hidden, logits = self._tape.run(embeds, 0, 1)
        self._request = (hidden[0], logits[0])
        # Hidden state (width,) and logits (V,) behind the last token held; None after a truncation, until needed.
        self._behind: tuple[NDArray[np.float32], Logits] | None = self._request
        self._step = (self._tape.step[0][0], self._tape.step[1][0])  # what a pass for one token leaves behind
        self._reading: OnnxReading | None = None

    @property
    def rows_agree(self) -> bool:
        """Whether tokens fed together predict the same as one by one, to rounding in 32 bits."""
        return self._model.rows_agree

    @property
    def size_bytes(self) -> int:
        """Memory of its keys and values."""
        return self._tape.size_bytes

    def next_logits(self) -> Logits:
        """Logits (V,) of the token at position ``length``."""
        row: Logits = self._adjusted(self._next()[1][None])[0]
        return row

    def masked_logits(self, masks: NDArray[np.float32]) -> Logits:
        """As `next_logits` with the hidden state multiplied by each of the masks: (n, width) -> (n, V)."""
        rows = (self._next()[0] * masks) @ self._model.output_layer.T
        return np.vstack([self._adjusted(row[None]) for row in rows])

    def feed(self, ids: Sequence[int], *, rows: int) -> Logits:
        """Append at least one id in one pass; the last ``rows`` ≤ ``len(ids) + 1`` predictions, (rows, V)."""
        if rows <= len(ids):
            return self._adjusted(self._feed(ids, rows))
        before = self._next()[1][None].copy()
        return self._adjusted(np.concatenate((before, self._feed(ids, len(ids)))))

    def read(self, token_id: int | None, k: int) -> Distribution:
        """Append one id in one pass, if one is given, and read what follows; see `ugsd_core.ahead.Reader`."""
        model, ids, reading = self._model, self._ids, self._reading
        if reading is None or reading.k != k:
            reading = self._reading = model.reading(self._step[1], k)
            self._say()
        if token_id is None:
            self._step[1][:] = self._next()[1]
            return reading.read()
        self._tape.run(model.embeddings((token_id,))[None], self.input_tokens + len(ids), 1)
        self._behind = self._step
        ids.append(token_id)
        if token_id in model.say_once:
            reading.added[token_id] = SAID
        return reading.read()

    def _forgot(self, surplus: int) -> None:
        """What lay behind the last token is not known any more."""
        self._behind = None
        self._say()

    def _adjusted(self, rows: Logits) -> Logits:
        """A copy of the model's logits, made those of this caption."""
        return self._model.adjusted(rows.copy() if self._bias is None else rows, self._bias, self._ids)

    def _say(self) -> None:
        """Make what the reading adds to logits that of the ids held."""
        if self._reading is not None:
            added, say_once = self._reading.added, self._model.say_once
            added[:] = 0.0 if self._bias is None else self._bias
            added[[token_id for token_id in self._ids if token_id in say_once]] = SAID

    def _next(self) -> tuple[NDArray[np.float32], Logits]:
        if self._behind is None:
            if not self._ids:
                self._behind = self._request
            else:  # the state was dropped with a rejected suffix: read the last kept token again
                self._feed([self._ids.pop()], 1)
        assert self._behind is not None
        return self._behind

    def _feed(self, ids: Sequence[int], rows: int) -> Logits:
        """Append ids; the model's own last predictions (rows, V), which the next call may overwrite."""
        embeds = self._model.embeddings(ids)[None]
        hidden, logits = self._tape.run(embeds, self.input_tokens + len(self._ids), rows)
        self._ids.extend(ids)
        self._say()
        self._behind = (hidden[-1], logits[-1])
        return logits
