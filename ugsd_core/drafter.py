"""Edge side: read the request, draft token by token, roll back, go on."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

import numpy as np
import torch

from ugsd_core.acoustic import AcousticCode, FeatureSpec
from ugsd_core.gate import DraftToken
from ugsd_core.messages import Alternative, Signals, VerifierInfo
from ugsd_core.models.speech_model import CaptionStream, SpeechModel
from ugsd_core.models.text import CaptionText
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import distribution, log_softmax, mutual_information_nats, sample

__all__ = ["Draft", "Drafter", "TorchDraft", "TorchDrafter"]

#: Share of the last hidden state that a dropout sample switches off (MC-dropout on the output layer).
DROPOUT = 0.1


class Draft(Protocol):
    """One caption under construction on the edge."""

    @property
    def input_tokens(self) -> int:
        """Tokens of the request, audio placeholders included."""

    @property
    def prefill_ms(self) -> float:
        """Time of the audio tower and the request."""

    def next(self, revision: int, *, last: bool) -> DraftToken:
        """Draft one more token.

        Args:
            revision: Of the caption; seeds sampling together with the position.
            last: The caption may not grow beyond this token.
        """

    def rollback(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on."""

    def append(self, token_id: int, *, last: bool) -> str:
        """Take a token that the verifier put there, and return what it adds to the text."""

    def alternatives(self, position: int, top: Sequence[tuple[int, float]]) -> tuple[Alternative, ...]:
        """Ids and probabilities as alternatives with text, as they would read at a position already held."""


class Drafter(Protocol):
    """A small model on the edge."""

    @property
    def info(self) -> VerifierInfo:
        """Name and fingerprints, compared with the verifier's in the handshake."""

    @property
    def features(self) -> FeatureSpec:
        """The acoustic code it reads."""

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a caption."""

    def caption_text(self) -> CaptionText:
        """An empty caption text of its tokenizer."""

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> Draft:
        """Read the request (prefill)."""


class TorchDrafter:
    """A `SpeechModel` that drafts."""

    def __init__(self, model: SpeechModel) -> None:
        self.model = model

    @property
    def info(self) -> VerifierInfo:
        """Name and fingerprints."""
        return self.model.info

    @property
    def features(self) -> FeatureSpec:
        """The acoustic code it reads."""
        return self.model.features

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a caption."""
        return self.model.end_ids

    def caption_text(self) -> CaptionText:
        """An empty caption text of its tokenizer."""
        return CaptionText(self.model.token_bytes)

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> TorchDraft:
        """Read the request (prefill)."""
        return TorchDraft(self.model, code, options, utterance)


class TorchDraft:
    """One caption on a `SpeechModel`.

    Holds all caption ids; those the model has not read yet are *pending* and are fed with the next step, so that a
    correction costs no forward pass of its own.
    """

    def __init__(self, model: SpeechModel, code: AcousticCode, options: DecodingOptions, utterance: str) -> None:
        began = perf_counter()
        self._model = model
        self._options = options
        self._utterance_seed = int(utterance[:8] or "0", 16)
        self._stream: CaptionStream = model.open(code, options.prompt, options.language)
        self._text = CaptionText(model.token_bytes)
        self._ids: list[int] = []
        self.prefill_ms = (perf_counter() - began) * 1e3

    @property
    def input_tokens(self) -> int:
        """Tokens of the request, audio placeholders included."""
        return self._stream.input_tokens

    def next(self, revision: int, *, last: bool) -> DraftToken:
        """Draft one more token, greedily or by temperature."""
        pending = self._ids[self._stream.length :]
        logits = self._stream.feed(pending, rows=1)[0] if pending else self._stream.next_logits()
        position = len(self._ids)
        seen = distribution(logits, self._options.top_k)
        temperature = self._options.temperature
        token_id = sample(logits, temperature, self._seed(position, revision)) if temperature else seen.best
        signals = Signals(
            entropy_nats=seen.entropy_nats,
            margin=seen.margin,
            nll_nats=seen.nll_nats(token_id),
            mc_dropout_nats=self._mc_dropout_nats(position, revision),
        )
        top = tuple(Alternative(i, self._text.peek(i), p) for i, p in seen.top[: self._options.top_k])
        return DraftToken(position, token_id, self.append(token_id, last=last), signals, top)

    def _seed(self, position: int, revision: int) -> tuple[int, ...]:
        """Randomness depends on the place in the caption, not on how often something was drawn before."""
        return (self._options.seed, self._utterance_seed, position, revision)

    def _mc_dropout_nats(self, position: int, revision: int) -> float | None:
        samples = self._options.mc_dropout_samples
        if samples == 0:
            return None
        with torch.inference_mode():
            hidden = self._stream.next_hidden()
            random = np.random.default_rng(self._seed(position, revision))
            keep = random.random((samples, hidden.shape[-1])) >= DROPOUT
            mask = torch.from_numpy(keep.astype(np.float32) / (1.0 - DROPOUT)).to(hidden)
            logits = self._model.logits(hidden * mask)
        return mutual_information_nats(log_softmax(logits))

    def rollback(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on."""
        del self._ids[length:]
        self._text.truncate(length)
        if self._stream.length > length:
            self._stream.truncate(length)

    def append(self, token_id: int, *, last: bool) -> str:
        """Take a token and return what it adds to the text."""
        self._ids.append(token_id)
        return self._text.append(token_id, last=last or token_id in self._model.end_ids)

    def alternatives(self, position: int, top: Sequence[tuple[int, float]]) -> tuple[Alternative, ...]:
        """Alternatives with the text they would add at ``position``."""
        return tuple(Alternative(i, self._text.peek(i, position), p) for i, p in top)
