"""Cloud side: open an utterance, judge a block in one forward pass. The protocols both sides of the wire share.

`Verifier` is what a server holds; `VerifierLink` is what the decoding loop holds. `LocalLink` joins the two in one
process, for tests and benchmarks; everything else goes over the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal, Protocol, Self, cast, runtime_checkable

from ugsd_core.acceptance import ACCEPTANCE_RULES, UNKNOWN_RULE, acceptance_rule
from ugsd_core.errors import CheckpointError, HandshakeRefused, OptionError, PluginError, ProtocolError
from ugsd_core.messages import (
    FrameRecord,
    GeneratedToken,
    GenerateRequest,
    Judgement,
    OpenedReply,
    OpenRequest,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)
from ugsd_core.models.prompts import Language
from ugsd_core.posterior import is_posterior
from ugsd_core.uncertainty import Distribution, distribution, sample

if TYPE_CHECKING:
    from ugsd_core.models.caption_stream import CaptionStream, Logits
    from ugsd_core.models.speech_model import SpeechModel

__all__ = [
    "LocalLink",
    "RecoveringLink",
    "Standing",
    "TorchVerifier",
    "TorchVerifierUtterance",
    "Verifier",
    "VerifierLink",
    "VerifierUtterance",
    "check_pair",
    "check_rule",
]


def check_pair(edge: VerifierInfo, verifier: VerifierInfo) -> None:
    """Hold that two checkpoints can work together.

    Raises:
        HandshakeRefused: If their tokenizers or acoustic codes differ.
    """
    if (edge.tokenizer_fingerprint, edge.vocabulary_size) != (
        verifier.tokenizer_fingerprint,
        verifier.vocabulary_size,
    ):
        raise HandshakeRefused(
            f"edge {edge.name!r} and verifier {verifier.name!r} do not share a vocabulary "
            f"({edge.vocabulary_size} and {verifier.vocabulary_size} shared ids), so token ids mean different things; "
            "use two checkpoints of one family",
            "tokenizer",
        )
    if edge.feature_fingerprint != verifier.feature_fingerprint:
        raise HandshakeRefused(
            f"edge {edge.name!r} and verifier {verifier.name!r} read different acoustic codes; "
            "use two checkpoints with the same mel bins, level and bits",
            "features",
        )


def check_rule(name: str) -> None:
    """Hold that the verifier can judge by a rule.

    Raises:
        ProtocolError: With the code `UNKNOWN_RULE`, and what to do on which machine.
    """
    try:
        ACCEPTANCE_RULES.find(name)
    except OptionError:
        raise ProtocolError(
            f"this verifier has no acceptance rule {name!r}; install the package that brings it where the verifier "
            f"runs and start the verifier again, or choose one of {', '.join(ACCEPTANCE_RULES)}",
            UNKNOWN_RULE,
        ) from None
    except PluginError as error:
        raise ProtocolError(f"on the verifier's machine {error}", UNKNOWN_RULE) from error


class VerifierUtterance(Protocol):
    """One utterance on the verifier, with its own key-value cache. Not to be called from two threads at once."""

    @property
    def opened(self) -> OpenedReply:
        """What `Verifier.open` measured."""

    def judge(self, request: VerifyRequest) -> Verdict:
        """Judge all positions of a block in one forward pass.

        Raises:
            ProtocolError: If ids lie outside the shared vocabulary or ``base`` beyond what is held.
        """

    def generate(self, request: GenerateRequest) -> Iterator[GeneratedToken]:
        """Write the caption alone, ending with the end-of-turn token or at ``max_tokens``."""


class Verifier(Protocol):
    """A strong model that judges drafts. Safe to open and judge different utterances from several threads."""

    @property
    def info(self) -> VerifierInfo:
        """Name and fingerprints."""

    def open(self, request: OpenRequest) -> VerifierUtterance:
        """Read prompt and acoustic code (prefill).

        Raises:
            ProtocolError: If the code does not fit the checkpoint, or an option has no meaning.
        """


class VerifierLink(Protocol):
    """The edge's end of a connection to a verifier. Used by one caption at a time, from one thread."""

    @property
    def address(self) -> str:
        """Where the verifier is, for people."""

    def connect(self, edge: VerifierInfo, options: dict[str, object]) -> VerifierInfo:
        """Connect and shake hands; a link that is connected already answers at once.

        Args:
            edge: The edge's own name and fingerprints, compared with the verifier's.
            options: `DecodingOptions.to_dict`, told to the verifier.

        Raises:
            VerifierUnavailable: If there is nobody at the address.
            HandshakeRefused: If versions, tokenizers or feature extractors differ.
        """

    def open(self, request: OpenRequest) -> None:
        """Send the acoustic code; does not wait for the verifier's prefill.

        Raises:
            VerifierUnavailable: If the connection broke.
        """

    def opened(self, utterance: str, deadline_s: float) -> OpenedReply:
        """Wait for the verifier's prefill of an utterance.

        Raises:
            VerdictTimeout, VerifierUnavailable, WireError: If it does not come.
        """

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        """Send a block and wait for its verdict; late verdicts of earlier blocks are dropped.

        Raises:
            VerdictTimeout: If no verdict came within ``deadline_s``.
            VerifierUnavailable: If the connection broke.
            WireError: If the verifier answered with an error.
        """

    def generate(self, request: GenerateRequest, deadline_s: float) -> Iterator[GeneratedToken]:
        """Stream a cloud-only caption; ``deadline_s`` holds for each token."""

    def close_utterance(self, utterance: str) -> None:
        """Let the verifier forget an utterance; never raises."""

    def take_frames(self) -> list[FrameRecord]:
        """Frames since the last call, in order."""

    def close(self) -> None:
        """End the connection; never raises."""


Standing = Literal["open", "closed", "silent", "away"]


@runtime_checkable
class RecoveringLink(VerifierLink, Protocol):
    """A link that mends itself: after a `WireError` the loop goes on alone, and looks before each block to be sent."""

    def standing(self, utterance: str) -> Standing:
        """What can be done now; never waits.

        ``"open"``: a block can be judged. ``"closed"``: there is a verifier, but it has to be given the utterance
        anew, with `connect` and `open`, neither of which waits then. ``"silent"``: it missed a deadline and has
        answered nothing since. ``"away"``: no connection stands. With either, ask again before the next block.
        """

    def deadline_s(self) -> float:
        """How long to wait for the next verdict, learned from those that came."""


class TorchVerifier:
    """A `SpeechModel` that judges.

    The model is read-only and shared by all utterances; each utterance has its own key-value cache. Forward passes
    of different utterances may run in different threads.
    """

    def __init__(self, model: SpeechModel) -> None:
        self.model = model

    @classmethod
    def load(cls, checkpoint: str | Path | None = None, *, device: str = "cpu", dtype: str = "float32") -> Self:
        """Load a checkpoint (None: the embedded verifier).

        Raises:
            CheckpointError, OptionError: As `load_speech_model`.
        """
        from ugsd_core.models.loading import default_checkpoint, limit_threads, load_speech_model

        model = load_speech_model(checkpoint or default_checkpoint("verifier"), device=device, dtype=dtype)
        limit_threads(model)
        return cls(model)

    @property
    def info(self) -> VerifierInfo:
        """Name and fingerprints."""
        return self.model.info

    def warm_up(self) -> None:
        """Judge a block of half a second of noise in both languages, so that no edge pays for lazy initialisation."""
        import numpy as np

        from ugsd_core.acoustic import encode_waveform

        noise = np.random.default_rng(0).standard_normal(8_000).astype(np.float32) * 0.1
        code = encode_waveform(noise, self.model.features)
        for language in ("en", "zh"):
            held = self.open(OpenRequest("", language, None, code, "fused", 1, 0.3, True, 5))
            self._judge_first(held, VerifyRequest("", 0, 0, 0, (), (0, 1, 2, 3)))

    def _judge_first(self, held: TorchVerifierUtterance, request: VerifyRequest) -> None:
        """One block, the way that blocks are judged here."""
        held.judge(request)

    def open(self, request: OpenRequest) -> TorchVerifierUtterance:
        """Read prompt and acoustic code (prefill).

        Raises:
            ProtocolError: If the code does not fit the checkpoint, or an option has no meaning; with the code
                `UNKNOWN_RULE` if there is no such acceptance rule here.
        """
        if request.acceptance not in ACCEPTANCE_RULES.builtin:
            check_rule(request.acceptance)
        try:
            return TorchVerifierUtterance(self.model, request)
        except (OptionError, CheckpointError, PluginError) as error:
            code = UNKNOWN_RULE if isinstance(error, PluginError) else "bad_open"
            raise ProtocolError(str(error), code) from error


class TorchVerifierUtterance:
    """One utterance on the verifier.

    Its stream holds the request and every caption token that both sides agree on; a replacement or bonus token comes
    back from the edge as committed with the next block.

    Raises:
        OptionError: If there is no such acceptance rule.
        CheckpointError: If the code does not fit the checkpoint.
    """

    def __init__(self, model: SpeechModel, request: OpenRequest) -> None:
        began = perf_counter()
        self._model = model
        self._request = request
        self._stream = self._open_stream()
        self._rule = acceptance_rule(
            request.acceptance,
            rank=request.rank,
            probability=request.probability,
            fusion=request.fusion,
            tokens=model.emotion_tokens(request.language) if request.acceptance == "fused" else None,
        )
        #: The token written last, which its caption's stream does not hold yet.
        self._written: tuple[int, ...] = ()
        self.opened = OpenedReply(request.utterance, self._stream.input_tokens, (perf_counter() - began) * 1e3)

    @property
    def size_bytes(self) -> int:
        """Memory of its keys and values, and of the acoustic code it was opened with."""
        return self._stream.size_bytes + len(self._request.code.payload)

    def _open_stream(self) -> CaptionStream:
        request = self._request
        return self._model.open(request.code, request.prompt, cast(Language, request.language))

    def judge(self, request: VerifyRequest) -> Verdict:
        """Judge all positions of a block in one forward pass.

        Raises:
            ProtocolError: If ids lie outside the shared vocabulary, ``base`` beyond what is held, or the posterior is
                none.
        """
        began = perf_counter()
        ids = self._prepare(request)
        verdict = self._conclude(request, self._stream.feed(ids, rows=len(request.draft) + 1))
        return replace(verdict, verify_ms=(perf_counter() - began) * 1e3)

    def _prepare(self, request: VerifyRequest) -> tuple[int, ...]:
        """Forget what the block does not build on; what has to be fed for its ``len(draft) + 1`` rows."""
        self._check(request)
        self._stream.truncate(request.base)
        return (*request.committed, *request.draft)

    def _conclude(self, request: VerifyRequest, rows: Logits) -> Verdict:
        """The verdict from the rows, without its time; only what is agreed on stays held."""
        start = request.base + len(request.committed)
        judged: list[Judgement] = []
        replacement = None
        for position, (token_id, row) in enumerate(zip(request.draft, rows, strict=False), start):
            seen = self._seen(row)
            judged.append(self._judgement(seen, token_id))
            replacement = self._rule.judge(token_id, seen, self._posterior(request, position, token_id, seen.best))
            if replacement is not None:
                break
        bonus = None
        bonus_top: tuple[tuple[int, float], ...] = ()
        if self._request.bonus and replacement is None and request.draft[-1] not in self._model.end_ids:
            seen = self._seen(rows[-1])
            bonus = self._rule.choice(seen, self._posterior(request, start + len(request.draft), seen.best))
            bonus_top = seen.top[: self._request.top_k]
        accepted = len(judged) - (replacement is not None)
        self._stream.truncate(start + accepted)
        return Verdict(request.sequence, request.revision, accepted, replacement, bonus, tuple(judged), bonus_top, 0.0)

    def _seen(self, row: Logits) -> Distribution:
        """A row of what `feed` of the stream gives, as the rules read it."""
        return distribution(row, self._request.top_k)

    def _check(self, request: VerifyRequest) -> None:
        size = self._model.vocabulary_size
        if not request.draft:
            raise ProtocolError("a block without tokens cannot be judged", "bad_verify")
        if not all(0 <= token_id < size for token_id in (*request.committed, *request.draft)):
            raise ProtocolError("a token id lies outside the shared vocabulary", "bad_verify")
        if not 0 <= request.base <= self._stream.length:
            raise ProtocolError(
                f"the block builds on {request.base} tokens, but only {self._stream.length} are held", "bad_base"
            )
        if request.posterior is not None and not is_posterior(request.posterior):
            raise ProtocolError("a label posterior is nine levels of 0…255, the largest 255", "bad_verify")

    def _posterior(self, request: VerifyRequest, position: int, *token_ids: int) -> tuple[int, ...] | None:
        """The edge's label posterior, unless one of the tokens would go on with the word before the position.

        The second half of "un|happy" is an emotion word by itself, and says the opposite.
        """
        if request.posterior is None or position == 0 or self._request.language != "en":
            return request.posterior
        before = self._text(self._stream.ids[position - 1])
        inside = before[-1:].isalpha() and any(self._text(token_id)[:1].isalpha() for token_id in token_ids)
        return None if inside else request.posterior

    def _text(self, token_id: int) -> str:
        return self._model.token_bytes.whole(token_id) or ""

    def _judgement(self, seen: Distribution, token_id: int) -> Judgement:
        return Judgement(seen.rank(token_id), seen.probability(token_id), seen.top[: self._request.top_k])

    def generate(self, request: GenerateRequest) -> Iterator[GeneratedToken]:
        """Write the caption alone, from the same acoustic code, ending with the end of the turn or at the maximum."""
        self._stream.truncate(0)
        for position in range(request.max_tokens):
            began = perf_counter()
            row = self._stream.feed(self._written, rows=1)[0] if position else self._stream.next_logits()
            token = self._write(request, position, row)
            yield replace(token, verify_ms=(perf_counter() - began) * 1e3)
            if token.token_id in self._model.end_ids:
                return

    def _write(self, request: GenerateRequest, position: int, row: Logits) -> GeneratedToken:
        """The token that a caption written alone goes on with, without its time."""
        seen = distribution(row, self._request.top_k)
        token_id = sample(row, request.temperature, (request.seed, position)) if request.temperature else seen.best
        self._written = (token_id,)
        return GeneratedToken(position, token_id, seen.probability(token_id), seen.top[: self._request.top_k], 0.0)


class LocalLink:
    """A `VerifierLink` to a verifier in the same process: no wire, no frames; for tests, benchmarks and calibration.

    Attributes:
        at_hand: Whether verdicts are computed where the edge is, so that it gains nothing by working meanwhile.
    """

    at_hand = True

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._utterances: dict[str, VerifierUtterance] = {}

    @property
    def address(self) -> str:
        """Not an address: says that there is no wire."""
        return "in-process"

    def connect(self, edge: VerifierInfo, options: dict[str, object]) -> VerifierInfo:
        """Compare fingerprints as the handshake does."""
        check_pair(edge, self._verifier.info)
        return self._verifier.info

    def open(self, request: OpenRequest) -> None:
        """Prefill at once."""
        self._utterances[request.utterance] = self._verifier.open(request)

    def opened(self, utterance: str, deadline_s: float) -> OpenedReply:
        """What the prefill measured."""
        return self._utterances[utterance].opened

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        """Judge at once."""
        return self._utterances[request.utterance].judge(request)

    def generate(self, request: GenerateRequest, deadline_s: float) -> Iterator[GeneratedToken]:
        """Stream from the verifier."""
        yield from self._utterances[request.utterance].generate(request)

    def close_utterance(self, utterance: str) -> None:
        """Forget an utterance."""
        self._utterances.pop(utterance, None)

    def take_frames(self) -> list[FrameRecord]:
        """No wire, no frames."""
        return []

    def close(self) -> None:
        """Forget everything."""
        self._utterances.clear()
