"""One caption on a `LlamaModel`; a rollback is a shorter length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import OptionError
from ugsd_core.models.caption_model import Logits
from ugsd_core.models.held_ids import HeldIds
from ugsd_core.models.prompts import Language

if TYPE_CHECKING:
    from ugsd_core.models.llama_model import LlamaModel

__all__ = ["LlamaStream"]

#: Caption tokens for which there is room from the beginning.
ROOM = 256


class LlamaStream(HeldIds):
    """One caption on one model; see `ugsd_core.drafter.Stream`.

    Tokens that are fed together predict the same as one by one but for rounding: activations are rounded to eight bits,
    and one that lies between two levels may fall either way. So it does not claim ``rows_agree``.

    Attributes:
        label_posterior: What the emotion head makes of the audio: (9,) float32; None without a head.
        input_tokens: Tokens of the request.
        width: Size of the hidden state.
    """

    def __init__(self, model: LlamaModel, code: AcousticCode, prompt: str | None, language: Language) -> None:
        super().__init__()
        self._model = model
        self.width = model.decoder.width
        before, audio, behind = model.read_request(code, prompt, language)
        self.label_posterior = None if model.head is None else model.head.posterior(audio.mean(axis=0))
        self._bias = model.head_bias(self.label_posterior, language)
        self.input_tokens: int = len(before) + len(audio) + len(behind)
        self._tape = model.tape(self.input_tokens + ROOM)
        self._tape.run(before, 0, 0)
        self._tape.run(audio, len(before), 0)
        self._request = self._cut(self._tape.run(behind, len(before) + len(audio), 1))[0]
        # Logits (V,) behind the last token held; None after a truncation, until needed.
        self._behind: Logits | None = self._request

    @property
    def size_bytes(self) -> int:
        """Memory of its keys and values."""
        return self._tape.size_bytes

    def next_logits(self) -> Logits:
        """Logits (V,) of the token at position ``length``."""
        row: Logits = self._adjusted(self._next()[None].copy())[0]
        return row

    def masked_logits(self, masks: NDArray[np.float32]) -> Logits:
        """Not here: the output layer lies in llama.cpp.

        Raises:
            OptionError: Always.
        """
        raise OptionError(
            "MC-dropout needs the output layer, which llama.cpp keeps to itself; take --edge-backend torch"
        )

    def feed(self, ids: Sequence[int], *, rows: int) -> Logits:
        """Append at least one id in one pass; the last ``rows`` ≤ ``len(ids) + 1`` predictions, (rows, V)."""
        if rows <= len(ids):
            return self._adjusted(self._feed(ids, rows))
        before = self._next()[None]
        return self._adjusted(np.concatenate((before, self._feed(ids, len(ids)))))

    def _forgot(self, surplus: int) -> None:
        """What lay behind the last token is not known any more."""
        self._behind = None

    def _adjusted(self, rows: Logits) -> Logits:
        """The model's logits, made those of this caption; the rows are changed."""
        return self._model.adjusted(rows, self._bias, self._ids)

    def _next(self) -> Logits:
        if self._behind is None:
            if not self._ids:
                self._behind = self._request
            else:  # it was dropped with a rejected suffix: read the last kept token again
                self._feed([self._ids.pop()], 1)
        assert self._behind is not None
        return self._behind

    def _feed(self, ids: Sequence[int], rows: int) -> Logits:
        """Append ids; the model's own last predictions (rows, V)."""
        logits = self._cut(self._tape.run(ids, self.input_tokens + len(self._ids), max(1, rows)))
        self._ids.extend(ids)
        self._behind = logits[-1].copy()
        return logits[len(logits) - rows :]

    def _cut(self, rows: Logits) -> Logits:
        """Logits of the shared vocabulary alone."""
        return rows[:, : self._model.vocabulary_size]
