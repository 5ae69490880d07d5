"""vLLM's published schema of ``/inference/v1/generate`` as pydantic models, written from the pages that
`ugsd_core.vllm.schema` names. Nothing may be in a request or an answer that they do not have.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PlaceholderRangeInfo(Strict):
    offset: int = Field(ge=0)
    length: int = Field(ge=1)


class MultiModalFeatures(Strict):
    mm_hashes: dict[str, list[str]]
    mm_placeholders: dict[str, list[PlaceholderRangeInfo]]
    kwargs_data: dict[str, list[str | None]] | None = None


class SamplingParams(Strict):
    """Those of its many fields that are sent."""

    temperature: float = 1.0
    seed: int | None = None
    stop_token_ids: list[int] | None = None
    max_tokens: int | None = 16
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True


class GenerateRequest(Strict):
    request_id: str = ""
    token_ids: list[int] = Field(min_length=1)
    features: MultiModalFeatures | None = None
    sampling_params: SamplingParams
    model: str | None = None
    stream: bool | None = False
    cache_salt: str | None = None
    priority: int = 0


class Logprob(Strict):
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


class ChatCompletionLogProb(Strict):
    token: str
    logprob: float = -9999.0
    bytes: list[int] | None = None


class ChatCompletionLogProbsContent(ChatCompletionLogProb):
    top_logprobs: list[ChatCompletionLogProb] = Field(default_factory=list)


class ChatCompletionLogProbs(Strict):
    content: list[ChatCompletionLogProbsContent] | None = None


class GenerateResponseChoice(Strict):
    index: int
    logprobs: ChatCompletionLogProbs | None = None
    finish_reason: str | None = "stop"
    token_ids: list[int] | None = None


class GenerateResponse(Strict):
    request_id: str = ""
    choices: list[GenerateResponseChoice]
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None
    kv_transfer_params: dict[str, Any] | None = None


class ErrorInfo(Strict):
    message: str
    type: str
    param: str | None = None
    code: int


class ErrorResponse(Strict):
    error: ErrorInfo
