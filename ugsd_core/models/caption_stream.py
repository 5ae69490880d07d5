"""One caption on one model: feed ids, read logits, forget a suffix.

Both sides of the system stand on `CaptionStream`: the drafter feeds one token at a time and rolls back what was
rejected; the verifier feeds a whole block and rolls back the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import DynamicCache

from ugsd_core.acoustic import AcousticCode
from ugsd_core.models.caption_model import SAID, Logits
from ugsd_core.models.held_ids import HeldIds
from ugsd_core.models.prompts import Language

if TYPE_CHECKING:
    from ugsd_core.models.speech_model import SpeechModel

__all__ = ["SAID", "CaptionStream", "Logits"]


class CaptionStream(HeldIds):
    """One caption on one model with its own key-value cache.

    Holds the request and ``length`` caption tokens. ``next_logits`` is the distribution of the token at position
    ``length``. Rolled back and continued, it equals a fresh forward pass.

    Attributes:
        label_posterior: What the emotion head makes of the audio: (9,) float32; None without a head.
    """

    def __init__(self, model: SpeechModel, code: AcousticCode, prompt: str | None, language: Language) -> None:
        super().__init__()
        self._model = model
        self._cache = DynamicCache(config=model.model.config.get_text_config())
        with torch.inference_mode():
            embeds, self.label_posterior = model.read_request(code, prompt, language)
            self._prompt_hidden = model.hidden(embeds, 0, self._cache)[-1:].clone()
        self._bias = model.head_bias(self.label_posterior, language)
        self.input_tokens: int = embeds.shape[1]
        # Hidden state behind the last token that was fed; None after a truncation until it is needed again.
        self._last_hidden: torch.Tensor | None = self._prompt_hidden

    @property
    def rows_agree(self) -> bool:
        """Whether tokens fed together predict what they do one by one; in 16 bits some best tokens differ."""
        return self._prompt_hidden.dtype == torch.float32

    @property
    def size_bytes(self) -> int:
        """Memory of its keys and values."""
        layers: list[Any] = list(self._cache.layers)
        return sum(part.numel() * part.element_size() for layer in layers for part in (layer.keys, layer.values))

    def next_hidden(self) -> torch.Tensor:
        """Hidden state (1, hidden) from which the token at position ``length`` is predicted."""
        if self._last_hidden is None:
            if not self._ids:
                self._last_hidden = self._prompt_hidden
            else:  # the state was dropped with a rejected suffix: read the last kept token again
                last = self._ids[-1]
                self.truncate(self.length - 1)
                self._feed_hidden([last])
        assert self._last_hidden is not None
        return self._last_hidden

    def logits(self, hidden: torch.Tensor, prefix: Sequence[int] | None = None) -> Logits:
        """Logits of this caption: the head's say is added, and what was said and is to be said once is out of question.

        Args:
            hidden: Shape (n, hidden).
            prefix: The caption before the token that the last row predicts; that before each other row's is one token
                shorter than the next one's. None is all that is held.

        Returns:
            float32, (n, V).
        """
        return self.adjusted(self._model.logits(hidden), prefix)

    def adjusted(self, rows: Logits, prefix: Sequence[int] | None = None) -> Logits:
        """The model's logits (n, V), made those of this caption; see `logits`."""
        return self._model.adjusted(rows, self._bias, self._ids if prefix is None else prefix)

    def next_logits(self) -> Logits:
        """Logits (V,) of the token at position ``length``."""
        with torch.inference_mode():
            row: Logits = self.logits(self.next_hidden())[0]
            return row

    @property
    def width(self) -> int:
        """Size of the hidden state."""
        return int(self._prompt_hidden.shape[-1])

    def masked_logits(self, masks: Logits) -> Logits:
        """As `next_logits` with the hidden state multiplied by each of the masks: (n, width) -> (n, V)."""
        with torch.inference_mode():
            hidden = self.next_hidden()
            rows = hidden * torch.from_numpy(masks).to(hidden)
            return np.vstack([self.logits(row) for row in rows[:, None]])

    def feed(self, ids: Sequence[int], *, rows: int) -> Logits:
        """Append ids in one forward pass.

        Args:
            ids: At least one token id.
            rows: How many of the last predictions to return, at most ``len(ids) + 1``.

        Returns:
            Logits (rows, V): the last row predicts the token after all ids, the one before it the last id itself …
        """
        with torch.inference_mode():
            before = self.next_hidden() if rows > len(ids) else None
            hidden = self._feed_hidden(ids)
            if before is not None:
                hidden = torch.cat((before, hidden))
            return self.logits(hidden[-rows:])

    def _feed_hidden(self, ids: Sequence[int]) -> torch.Tensor:
        with torch.inference_mode():
            tokens = torch.tensor([list(ids)], dtype=torch.long, device=self._model.device)
            embeds = self._model.embedding(tokens)
            hidden = self._model.hidden(embeds, self.input_tokens + self.length, self._cache)
        self._ids.extend(ids)
        self._last_hidden = hidden[-1:]
        return hidden

    def _forgot(self, surplus: int) -> None:
        """What lay behind the last token is not known any more."""
        self._cache.crop(-surplus)
        self._last_hidden = None
