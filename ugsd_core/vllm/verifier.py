"""A `Verifier` whose decoder is a vLLM server. It runs beside the server; edges reach it over the wire as any other.

A block is judged by one request: the request's ids, the committed and the drafted ones, and one more that stands for
what would follow. ``prompt_logprobs`` then tells what the model thought of each position before it read it, which is
what `ugsd_core.verifier.TorchVerifier` reads off its logits. The waveform never comes here; what goes on to the server
is the log-mel spectrogram of the acoustic code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import Any, cast

from ugsd_core.acceptance import ACCEPTANCE_RULES, UNKNOWN_RULE
from ugsd_core.errors import CheckpointError, OptionError, PluginError, ProtocolError
from ugsd_core.messages import GeneratedToken, GenerateRequest, OpenRequest, VerifierInfo
from ugsd_core.models.caption_stream import CaptionStream
from ugsd_core.models.held_ids import HeldIds
from ugsd_core.models.prompts import Language
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.uncertainty import Distribution
from ugsd_core.verifier import TorchVerifierUtterance, check_rule
from ugsd_core.vllm.client import VllmClient
from ugsd_core.vllm.positions import BestFew, logits_of
from ugsd_core.vllm.schema import (
    ALL,
    BAD_ANSWER,
    Position,
    audio_features,
    generate_request,
    prompt_positions,
    written_tokens,
)
from ugsd_core.vllm.side import VllmSide

__all__ = ["RULES_BY_BEST", "TOP", "VllmVerifier"]

#: Tokens told at a position: what vLLM allows unless it is started with ``--max-logprobs``.
TOP = 20
#: Rules that the best few decide; the others read the whole distribution.
RULES_BY_BEST = ("rank", "probability", "greedy")
#: A caption that is written alone is asked for in pieces of so many tokens, so that it can be watched and stopped.
PIECE = 8


class VllmVerifier:
    """A verifier at a vLLM server; a `ugsd_core.verifier.Verifier`.

    Args:
        client: The server.
        side: What stays here of the checkpoint that it serves.
        top: Best tokens told at a position; `ALL` for every one.

    Raises:
        OptionError: If ``top`` has no meaning.
        WireError: If the server can't be reached, or serves nothing.
    """

    def __init__(self, client: VllmClient, side: VllmSide, *, top: int = TOP) -> None:
        if top != ALL and not 2 <= top <= 1000:
            raise OptionError(f"--vllm-top is 2 to 1000, or 'all', not {top}")
        self._client = client
        self._side = side
        self._top = top
        self._model = client.model()

    @classmethod
    def load(
        cls, checkpoint: str | Path, address: str, *, top: int = TOP, timeout_s: float | None = None
    ) -> VllmVerifier:
        """Read config and tokenizer of a checkpoint, and find the server.

        Raises:
            CheckpointError, OptionError, WireError: As `VllmSide.load` and `VllmClient`.
        """
        client = VllmClient(address) if timeout_s is None else VllmClient(address, timeout_s=timeout_s)
        return cls(client, VllmSide.load(checkpoint), top=top)

    @property
    def info(self) -> VerifierInfo:
        """Name and fingerprints."""
        return self._side.info

    def open(self, request: OpenRequest) -> VllmUtterance:
        """Make ready to judge; the server reads the recording with the first block.

        Raises:
            ProtocolError: If the code does not fit the checkpoint, or an option can't be followed; with the code
                `UNKNOWN_RULE` if there is no such acceptance rule here.
        """
        if request.acceptance not in ACCEPTANCE_RULES.builtin:
            check_rule(request.acceptance)
        try:
            self._check(request)
            return VllmUtterance(self._side, self._client, self._model, self._top, request)
        except (OptionError, CheckpointError, PluginError) as error:
            code = UNKNOWN_RULE if isinstance(error, PluginError) else "bad_open"
            raise ProtocolError(str(error), code) from error

    def _check(self, request: OpenRequest) -> None:
        """Refuse what the best few tokens can't decide.

        Raises:
            OptionError: With what would mend it.
        """
        if self._top == ALL:
            return
        if request.acceptance not in RULES_BY_BEST:
            raise OptionError(
                f"the rule {request.acceptance!r} reads the verifier's whole distribution, of which this vLLM server "
                f"tells the {self._top} best; choose one of {', '.join(RULES_BY_BEST)}, or start the verifier with "
                "--vllm-top all and vLLM with --max-logprobs -1"
            )
        if request.acceptance == "rank" and request.rank > self._top:
            raise OptionError(
                f"r = {request.rank} asks for more than the {self._top} best tokens that this vLLM server tells; "
                "lower r, or start the verifier with a higher --vllm-top and vLLM with as high a --max-logprobs"
            )


class VllmUtterance(TorchVerifierUtterance):
    """One utterance at a vLLM server, which holds nothing of it between requests."""

    def __init__(self, side: VllmSide, client: VllmClient, model: str, top: int, request: OpenRequest) -> None:
        self._side = side
        self._held = _HeldCaption(side, client, model, top, request)
        self._top = top
        super().__init__(cast(SpeechModel, side), request)

    @property
    def size_bytes(self) -> int:
        """Memory of what is sent with each request, and of the acoustic code."""
        return self._held.size_bytes + len(self._request.code.payload)

    def _open_stream(self) -> CaptionStream:
        return cast(CaptionStream, self._held)

    def _seen(self, row: Any) -> Distribution:
        if self._top == ALL:
            return super()._seen(logits_of(row, self._side.vocabulary_size))
        return cast(Distribution, BestFew.of(row, self._top, self._side.vocabulary_size))

    def generate(self, request: GenerateRequest) -> Iterator[GeneratedToken]:
        """Write the caption alone, piece by piece; above temperature 0 vLLM draws, and not what we would."""
        self._held.truncate(0)
        position = 0
        while position < request.max_tokens:
            began = perf_counter()
            n = min(PIECE, request.max_tokens - position)
            tokens = self._held.write(request, n, self._request.top_k)
            verify_ms = (perf_counter() - began) * 1e3 / max(1, len(tokens))
            for token in tokens:
                yield replace(token, position=position, verify_ms=verify_ms)
                position += 1
                if token.token_id in self._side.end_ids:
                    return
            if not tokens:
                raise ProtocolError("the vLLM server wrote nothing", BAD_ANSWER)


class _HeldCaption(HeldIds):
    """A caption's ids, and the questions about them; stands where a `CaptionStream` does."""

    def __init__(self, side: VllmSide, client: VllmClient, model: str, top: int, request: OpenRequest) -> None:
        super().__init__()
        language = cast(Language, request.language)
        self._prompt, offset, length = side.request_ids(request.code, request.prompt, language)
        self._features = audio_features(request.code, offset, length)
        self._side, self._client, self._model, self._top = side, client, model, top
        self._salt = token_hex(32)

    @property
    def input_tokens(self) -> int:
        return len(self._prompt)

    @property
    def size_bytes(self) -> int:
        return sum(len(packed) for packed in self._features["kwargs_data"]["audio"]) + 8 * len(self._prompt)

    def _forgot(self, surplus: int) -> None:
        """The server holds nothing that would have to go."""

    def feed(self, ids: Sequence[int], *, rows: int) -> list[Position]:
        """What was thought of the last ``rows`` positions; the last is the one behind all ids.

        Raises:
            WireError: If the server could not be asked; then nothing is held that was not before.
        """
        # Any token may stand where nothing does yet: what the model thought before it is told, not what comes of it.
        asked = [*self._prompt, *self._ids, *ids, self._side.end_of_turn_id]
        answer = self._ask(asked, {"max_tokens": 1, "prompt_logprobs": self._top})
        found = prompt_positions(answer, rows)
        self._ids.extend(ids)
        return found

    def write(self, request: GenerateRequest, n: int, top_k: int) -> list[GeneratedToken]:
        """Let the server write up to ``n`` tokens, which are then held."""
        sampling: dict[str, Any] = {"max_tokens": n, "logprobs": max(1, min(top_k, TOP))}
        sampling["stop_token_ids"] = sorted(self._side.end_ids)
        if request.temperature:
            sampling |= {"temperature": request.temperature, "seed": request.seed + len(self._ids)}
        answer = self._ask([*self._prompt, *self._ids], sampling)
        found = []
        for token in written_tokens(answer)[:n]:
            if token.token_id >= self._side.vocabulary_size:
                raise ProtocolError("the vLLM server wrote a token that no caption can hold", BAD_ANSWER)
            top = tuple((i, math.exp(p)) for i, p in token.top if i < self._side.vocabulary_size)
            probability = 0.0 if token.logprob is None else min(1.0, math.exp(token.logprob))
            self._ids.append(token.token_id)
            found.append(GeneratedToken(0, token.token_id, probability, top[:top_k], 0.0))
        return found

    def _ask(self, token_ids: list[int], sampling: dict[str, Any]) -> dict[str, Any]:
        return self._client.generate(
            generate_request(token_ids, self._features, sampling, model=self._model, salt=self._salt)
        )
