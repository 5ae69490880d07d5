"""Edge side: read the request, draft token by token, roll back, go on.

`StreamDrafter` drafts on any model that opens a `Stream`: torch (`models/speech_model.py`) or another back end. Nothing
here computes a forward pass, so this module needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode, FeatureSpec
from ugsd_core.ahead import Foresight, Prediction
from ugsd_core.draft_block import DraftToken
from ugsd_core.gate_card import GateCard, GateCards, read_gate_cards
from ugsd_core.messages import Alternative, Signals, VerifierInfo
from ugsd_core.models.emotion_head import EmotionHead
from ugsd_core.models.emotion_tokens import (
    COULD_HOLD,
    EmotionPlace,
    EmotionText,
    EmotionTokens,
    fused_shares,
    label_entropy_nats,
    shares,
)
from ugsd_core.models.prompts import Language
from ugsd_core.models.text import CaptionText, TokenBytes
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import Distribution, log_softmax, mutual_information_nats, sample

__all__ = ["Draft", "Drafter", "Edge", "Stream", "StreamDraft", "StreamDrafter", "StreamModel"]

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

    @property
    def label_posterior(self) -> tuple[float, ...] | None:
        """What the edge's emotion head makes of the audio: 9 probabilities; None without a head."""

    def next(self, revision: int, *, last: bool) -> DraftToken:
        """Draft one more token.

        Args:
            revision: Of the caption; seeds sampling together with the position.
            last: The caption may not grow beyond this token.
        """

    def peek_emotion(self, revision: int) -> EmotionPlace | None:
        """What the next token, not drafted yet, has to do with an emotion word; None if nothing.

        Its distribution is read for this and kept, so that `next` costs no second forward pass.
        """

    def ahead(self, revision: int, stop: Callable[[], bool]) -> int:
        """Draft on silently until told to stop or the caption would end; returns how many tokens that came to.

        The caption stays what it is. What was drafted is used as far as the tokens that follow agree with it, so that
        the next tokens are those that would have been drafted without, only sooner.

        Args:
            revision: Of the caption, as it will be if the verdict changes nothing.
            stop: Asked before each forward pass; may take its time to answer.
        """

    def rollback(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on."""

    def append(self, token_id: int, *, last: bool) -> str:
        """Take a token that the verifier put there, and return what it adds to the text."""

    def alternatives(self, position: int, top: Sequence[tuple[int, float]]) -> tuple[Alternative, ...]:
        """Ids and probabilities as alternatives with text, as they would read at a position already held."""


class Edge(Protocol):
    """What is known of a model on the edge, whoever drafts with it."""

    @property
    def info(self) -> VerifierInfo:
        """Name and fingerprints, compared with the verifier's in the handshake."""

    @property
    def features(self) -> FeatureSpec:
        """The acoustic code it reads."""

    @property
    def backend(self) -> str:
        """What computes it: ``torch`` or ``onnx``; others may name themselves."""

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a caption."""


class Drafter(Edge, Protocol):
    """A small model on the edge."""

    @property
    def has_head(self) -> bool:
        """Whether it has an emotion head."""

    def caption_text(self) -> CaptionText:
        """An empty caption text of its tokenizer."""

    def gate_card(self, language: str) -> GateCard | None:
        """What calibration found for it in a language; None if it was not calibrated."""

    def prompt_name(self, options: DecodingOptions, utterance: str) -> str | None:
        """The prompt that both sides use for an utterance; None leaves each side its own."""

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> Draft:
        """Read the request (prefill)."""


class Stream(Protocol):
    """One caption on one model: what a draft needs of it, whatever computes the forward passes.

    Holds the request and ``length`` caption tokens. Rolled back and continued, it equals a fresh start.

    One whose attribute ``rows_agree`` is true predicts the same, to rounding in 32 bits, whether tokens are fed
    together or one by one; then a rejected suffix is tried again in one pass. Without the attribute it is not.

    One that has the method `read` of `ugsd_core.ahead.Reader` reads distributions itself, and is asked for them.
    """

    @property
    def input_tokens(self) -> int:
        """Tokens of the request, audio placeholders included."""

    @property
    def length(self) -> int:
        """Caption tokens held."""

    @property
    def label_posterior(self) -> NDArray[np.float32] | None:
        """What the emotion head makes of the audio: (9,); None without a head."""

    @property
    def width(self) -> int:
        """Size of the hidden state from which a token is predicted."""

    def next_logits(self) -> NDArray[np.float32]:
        """Logits (V,) of the token at position ``length``."""

    def feed(self, ids: Sequence[int], *, rows: int) -> NDArray[np.float32]:
        """Append at least one id; the last ``rows`` ≤ ``len(ids) + 1`` predictions, (rows, V)."""

    def masked_logits(self, masks: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `next_logits` with the hidden state multiplied by each of the masks: (n, width) -> (n, V)."""

    def truncate(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on."""


class StreamModel(Edge, Protocol):
    """A model that opens streams: what a drafter needs of it."""

    @property
    def head(self) -> EmotionHead | None:
        """Its emotion head, if it has one."""

    @property
    def token_bytes(self) -> TokenBytes:
        """Bytes of its tokens."""

    @property
    def folder(self) -> Path | None:
        """Where it was loaded from; None for a name on the hub."""

    def emotion_tokens(self, language: str) -> EmotionTokens:
        """Which of its tokens name an emotion in a language."""

    def wording(self, utterance: str) -> str | None:
        """The prompt that asks for an utterance's wording; None if there is nothing to choose."""

    def open(self, code: AcousticCode, prompt: str | None, language: Language) -> Stream:
        """Read the request (prefill)."""


class StreamDrafter:
    """A model that drafts.

    Raises:
        CheckpointError: If the checkpoint's gate card is damaged.
    """

    def __init__(self, model: StreamModel) -> None:
        self.model = model
        #: Cards of the checkpoint; may be replaced, as calibration does before it writes new ones.
        self.gate_cards: GateCards | None = read_gate_cards(model.folder)

    @property
    def info(self) -> VerifierInfo:
        """Name and fingerprints."""
        return self.model.info

    @property
    def features(self) -> FeatureSpec:
        """The acoustic code it reads."""
        return self.model.features

    @property
    def backend(self) -> str:
        """What computes it."""
        return self.model.backend

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a caption."""
        return self.model.end_ids

    @property
    def has_head(self) -> bool:
        """Whether it has an emotion head."""
        return self.model.head is not None

    def caption_text(self) -> CaptionText:
        """An empty caption text of its tokenizer."""
        return CaptionText(self.model.token_bytes)

    def gate_card(self, language: str) -> GateCard | None:
        """What calibration found for it in a language; None if it was not calibrated."""
        return None if self.gate_cards is None else self.gate_cards.languages.get(language)

    def prompt_name(self, options: DecodingOptions, utterance: str) -> str | None:
        """The prompt asked for, else the utterance's wording, if the checkpoint knows several."""
        return self.model.wording(utterance) if options.prompt is None else options.prompt

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> StreamDraft:
        """Read the request (prefill)."""
        return StreamDraft(self.model, code, options, utterance, self.prompt_name(options, utterance))


class StreamDraft:
    """One caption on a `StreamModel`.

    Holds all caption ids; those the model has not read yet are *pending* and are fed with the next step, so that a
    correction costs no forward pass of its own. What the model has read may reach further (`Foresight`).
    """

    def __init__(
        self, model: StreamModel, code: AcousticCode, options: DecodingOptions, utterance: str, prompt: str | None
    ) -> None:
        self._emotions = EmotionText(model.emotion_tokens(options.language))
        began = perf_counter()
        self._model = model
        self._options = options
        self._choice = _Choice(options, int(utterance[:8] or "0", 16))
        self._stream: Stream = model.open(code, prompt, options.language)
        self._text = CaptionText(model.token_bytes)
        self._ids: list[int] = []
        self._seen: _Next | None = None
        # MC-dropout draws from the stream's own last state, which is another one once the stream is ahead.
        self._may_go_ahead = options.ahead and not options.mc_dropout_samples
        self._foresight = Foresight(
            self._stream,
            options.top_k,
            self._choice,
            model.end_ids,
            keep_logits=options.temperature > 0.0,
            ahead=self._may_go_ahead,
            again=self._may_go_ahead and bool(getattr(self._stream, "rows_agree", False)),
        )
        head = self._stream.label_posterior
        self._head: list[float] | None = None if head is None else head.tolist()
        self.label_posterior = None if self._head is None else _rounded(self._head)
        self.prefill_ms = (perf_counter() - began) * 1e3

    @property
    def input_tokens(self) -> int:
        """Tokens of the request, audio placeholders included."""
        return self._stream.input_tokens

    def next(self, revision: int, *, last: bool) -> DraftToken:
        """Draft one more token, greedily or by temperature."""
        seen = self._look(revision)
        position, token_id = len(self._ids), seen.token_id
        signals = self._signals(seen, position)
        top = self.alternatives(position, seen.distribution.top[: self._options.top_k])
        piece = self.append(token_id, last=last)
        return DraftToken(position, token_id, piece, signals, top, seen.emotion, seen.ahead)

    def peek_emotion(self, revision: int) -> EmotionPlace | None:
        """What the next token has to do with an emotion word."""
        return self._look(revision).emotion

    def ahead(self, revision: int, stop: Callable[[], bool]) -> int:
        """Draft on silently; not with MC-dropout, whose samples need the stream where the caption is."""
        if not self._may_go_ahead or (self._ids and self._ids[-1] in self._model.end_ids):
            return 0
        return self._foresight.ahead(self._ids, revision, self._options.max_tokens, stop)

    def _look(self, revision: int) -> _Next:
        """The next token, read once and kept until something is appended or forgotten."""
        seen = self._seen
        if seen is None or seen.revision != revision:
            prediction = self._foresight.at_end(self._ids, revision, self._options.max_tokens)
            token_id = self._choice(prediction, len(self._ids), revision)
            place, masses = self._emotion(prediction.distribution, token_id)
            seen = _Next(revision, prediction.distribution, token_id, place, masses, prediction.ahead)
            self._seen = seen
        return seen

    def _emotion(self, seen: Distribution, token_id: int) -> tuple[EmotionPlace | None, NDArray[np.float32] | None]:
        """What the next position is, and its label masses where there is anything to look at."""
        emotions, (best, probability) = self._emotions, seen.top[0]
        if token_id == best and emotions.is_plain(token_id, probability):
            return None, None
        place = emotions.place(token_id, self._text.peek(token_id).removesuffix("…"))
        if place == "continues" or (place is None and not emotions.tokens.may_reach(COULD_HOLD, seen.top)):
            return place, None
        masses = emotions.tokens.masses_of(seen)
        if place is None:
            return ("could", masses) if float(masses.sum()) >= COULD_HOLD else (None, None)
        return place, masses

    def _signals(self, seen: _Next, position: int) -> Signals:
        of = seen.distribution
        mc_dropout_nats = self._mc_dropout_nats(position, seen.revision) if self._options.mc_dropout_samples else None
        nll_nats = of.nll_nats(seen.token_id)
        if seen.masses is None:
            return Signals(of.entropy_nats, of.margin, nll_nats, mc_dropout_nats)
        masses = seen.masses.tolist()
        text_doubt = head_doubt = fused_doubt = None
        label = self._emotions.tokens.label_of(seen.token_id) if seen.emotion == "begins" else None
        if label is not None:
            text_doubt = fused_doubt = 1.0 - shares(masses)[label]
            if self._head is not None:
                head_doubt = 1.0 - self._head[label]
                fused_doubt = 1.0 - fused_shares((masses, 0.5), (self._head, 0.5))[label]
        return Signals(
            of.entropy_nats,
            of.margin,
            nll_nats,
            mc_dropout_nats,
            _rounded(masses),
            label_entropy_nats(masses),
            head_doubt,
            text_doubt,
            fused_doubt,
        )

    def _mc_dropout_nats(self, position: int, revision: int) -> float:
        samples = self._options.mc_dropout_samples
        random = np.random.default_rng(self._choice.seed(position, revision))
        keep = random.random((samples, self._stream.width)) >= DROPOUT
        masks = keep.astype(np.float32) / np.float32(1.0 - DROPOUT)
        return mutual_information_nats(log_softmax(self._stream.masked_logits(masks)))

    def rollback(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on."""
        if length < len(self._ids):
            self._seen = None
        self._foresight.rollback(self._ids, length)
        del self._ids[length:]
        self._text.truncate(length)
        self._emotions.truncate(length)

    def append(self, token_id: int, *, last: bool) -> str:
        """Take a token and return what it adds to the text."""
        self._seen = None
        self._foresight.append(len(self._ids), token_id)
        self._ids.append(token_id)
        piece = self._text.append(token_id, last=last or token_id in self._model.end_ids)
        self._emotions.append(token_id, piece)
        return piece

    def alternatives(self, position: int, top: Sequence[tuple[int, float]]) -> tuple[Alternative, ...]:
        """Alternatives with the text they would add at ``position``."""
        peek = self._text.peek
        return tuple([Alternative(i, peek(i, position), p) for i, p in top])


class _Choice:
    """Which token is drafted; knows nothing of the draft, so that a finished one is forgotten at once."""

    def __init__(self, options: DecodingOptions, utterance_seed: int) -> None:
        self._options = options
        self._utterance_seed = utterance_seed

    def __call__(self, prediction: Prediction, position: int, revision: int) -> int:
        """The token that is drafted at a position."""
        if prediction.logits is None:
            return prediction.distribution.best
        return sample(prediction.logits, self._options.temperature, self.seed(position, revision))

    def seed(self, position: int, revision: int) -> tuple[int, ...]:
        """Randomness depends on the place in the caption, not on how often something was drawn before."""
        return (self._options.seed, self._utterance_seed, position, revision)


class _Next(NamedTuple):
    """The token at the next position before it is drafted.

    Attributes:
        masses: Label masses (9,) where labels are looked at, else None.
        ahead: As in `DraftToken`.
    """

    revision: int
    distribution: Distribution
    token_id: int
    emotion: EmotionPlace | None
    masses: NDArray[np.float32] | None
    ahead: bool


def _rounded(probabilities: Sequence[float]) -> tuple[float, ...]:
    """Six digits are plenty for a trace."""
    return tuple([round(p, 6) for p in probabilities])
