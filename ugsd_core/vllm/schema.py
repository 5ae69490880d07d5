"""Request and answer of vLLM's token-in-token-out endpoint, ``POST /inference/v1/generate``.

Written from vLLM's published sources (Apache 2.0), read as text and not run here:

- ``GenerateRequest``, ``MultiModalFeatures``, ``GenerateResponse``:
  https://docs.vllm.ai/en/v0.18.0/api/vllm/entrypoints/serve/disagg/protocol/ (since v0.18; later versions move it
  to ``scale_out/token_in_token_out`` and keep path and fields)
- a multi-modal item as base64 of MessagePack:
  https://docs.vllm.ai/en/stable/api/vllm/entrypoints/serve/disagg/mm_serde/ and
  https://docs.vllm.ai/en/v0.19.1/api/vllm/v1/serial_utils/
- which tensors a Qwen-Omni thinker takes for a recording:
  https://docs.vllm.ai/en/v0.22.1/api/vllm/model_executor/models/qwen3_omni_moe_thinker/ and
  https://docs.vllm.ai/en/v0.20.0/api/vllm/model_executor/models/qwen2_5_omni_thinker/

It is the one endpoint that takes exact token ids *and* what a recording is to the model *and* gives
``prompt_logprobs``: ``/v1/completions`` refuses ``prompt_logprobs`` beside ``prompt_embeds``, and chat completions take
text, not ids.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import msgpack  # type: ignore[import-untyped, unused-ignore]
import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import ProtocolError

__all__ = [
    "ALL",
    "BAD_ANSWER",
    "GENERATE_PATH",
    "Entry",
    "Position",
    "Written",
    "audio_features",
    "generate_request",
    "prompt_positions",
    "written_tokens",
]

GENERATE_PATH = "/inference/v1/generate"
#: Asks for the log-probability of every token of the vocabulary.
ALL = -1
#: Error code of an answer that is not as published.
BAD_ANSWER = "vllm_answer"
#: MessagePack extension type under which vLLM puts the bytes of a tensor.
_RAW_VIEW = 3
#: What vLLM writes for minus infinity, which JSON has not.
LEAST_LOGPROB = -9999.0


# ── What is asked ─────────────────────────────────────────────────────────────────────────────────────────────────


def audio_features(code: AcousticCode, offset: int, length: int) -> dict[str, Any]:
    """The recording as ``features`` of a request: the log-mel spectrogram of its acoustic code, as the tower reads it.

    Args:
        offset, length: Where in the token ids the audio placeholders stand.
    """
    mel = code.features()
    # Where this recording lies in the frames of all: everything of the first dimension, and all frames.
    whole = {"slices": [[[None, None, None], [0, code.n_frames, None]]], "dim": 1, "keep_on_cpu": False}
    each = {"keep_on_cpu": False}
    item = {
        "input_audio_features": {"data": _tensor(mel), "field": ["flat", whole]},
        "feature_attention_mask": {"data": _tensor(np.ones(code.n_frames, dtype=np.int64)), "field": ["batched", each]},
        "audio_feature_lengths": {"data": _tensor(np.array(code.n_frames, dtype=np.int64)), "field": ["batched", each]},
    }
    packed = base64.b64encode(msgpack.packb(item)).decode("ascii")
    return {
        "mm_hashes": {"audio": [code.sha256]},
        "mm_placeholders": {"audio": [{"offset": offset, "length": length}]},
        "kwargs_data": {"audio": [packed]},
    }


def _tensor(values: NDArray[Any]) -> list[Any]:
    """A tensor as vLLM writes it: type, shape, bytes."""
    return [values.dtype.name, list(values.shape), msgpack.ExtType(_RAW_VIEW, np.ascontiguousarray(values).tobytes())]


def generate_request(
    token_ids: Sequence[int], features: Mapping[str, Any], sampling: Mapping[str, Any], *, model: str, salt: str
) -> dict[str, Any]:
    """The whole request.

    Args:
        salt: Keeps the prefix cache of one utterance from being probed by another's.
    """
    return {
        "model": model,
        "token_ids": list(token_ids),
        "features": dict(features),
        "sampling_params": {"temperature": 0.0, "detokenize": False} | dict(sampling),
        "stream": False,
        "cache_salt": salt,
    }


# ── What is answered ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Entry:
    """What is told of a token at a position.

    Attributes:
        rank: Over the whole vocabulary of the model, 1 for the best; equal ones are counted in full.
    """

    logprob: float
    rank: int | None


#: A position of the prompt: what is told, by token id. The token that stands there is always among them.
Position = dict[int, Entry]


def prompt_positions(answer: Mapping[str, Any], last: int) -> list[Position]:
    """What is told of the last tokens of the prompt.

    Raises:
        ProtocolError: With the code `BAD_ANSWER`, if the answer is not as published.
    """
    found = answer.get("prompt_logprobs")
    if found is None:
        raise ProtocolError(
            "the vLLM server answered without prompt_logprobs, from which verdicts are made; it must be vLLM 0.18 or "
            "later, and nothing between here and it may drop fields",
            BAD_ANSWER,
        )
    if not isinstance(found, list) or len(found) <= last:
        raise _strange("prompt_logprobs is not a list with an entry a token")
    return [_position(entry) for entry in found[-last:]]


def _position(told: Any) -> Position:
    if not isinstance(told, dict) or not told:
        raise _strange("an entry of prompt_logprobs is empty")
    found: Position = {}
    for key, value in told.items():
        rank = value.get("rank") if isinstance(value, dict) else None
        logprob = value.get("logprob") if isinstance(value, dict) else None
        if not str(key).isdecimal() or not _is_number(logprob) or not (rank is None or _is_rank(rank)):
            raise _strange("an entry of prompt_logprobs is no token id with logprob and rank")
        found[int(key)] = Entry(float(logprob), rank)
    return found


@dataclass(frozen=True, slots=True)
class Written:
    """A token that was generated.

    Attributes:
        logprob: None where it was not told.
        top: (id, log-probability), best first.
    """

    token_id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...]


def written_tokens(answer: Mapping[str, Any]) -> list[Written]:
    """The tokens of the one choice.

    Raises:
        ProtocolError: As `prompt_positions`.
    """
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    ids = choice.get("token_ids")
    if not isinstance(ids, list) or not all(type(token_id) is int and token_id >= 0 for token_id in ids):
        raise _strange("choices[0].token_ids is no list of token ids")
    content = (choice.get("logprobs") or {}).get("content") or [{}] * len(ids)
    if len(content) != len(ids):
        raise _strange("choices[0].logprobs has not an entry a token")
    return [_written(token_id, entry) for token_id, entry in zip(ids, content, strict=True)]


def _written(token_id: int, told: Mapping[str, Any]) -> Written:
    logprob = told.get("logprob")
    top: dict[int, float] = {}
    for entry in told.get("top_logprobs") or []:
        other = _told_id(entry)
        if other is not None and other not in top and _is_number(entry.get("logprob")):
            top[other] = float(entry["logprob"])
    return Written(token_id, float(logprob) if _is_number(logprob) else None, tuple(sorted(top.items(), key=_best)))


def _told_id(entry: Mapping[str, Any]) -> int | None:
    """Ids are told as ``token_id``, before v0.29 as the text ``token_id:7``."""
    told = entry.get("token_id")
    if type(told) is int:
        return told
    text = str(entry.get("token", "")).removeprefix("token_id:")
    return int(text) if text.isdecimal() else None


def _best(entry: tuple[int, float]) -> tuple[float, int]:
    return -entry[1], entry[0]


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_rank(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 1


def _strange(what: str) -> ProtocolError:
    return ProtocolError(f"the vLLM server's answer is not as published: {what}", BAD_ANSWER)
