"""A server that answers as vLLM's published schema says, with a tiny model behind it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack
import numpy as np
import torch
from transformers import DynamicCache

from tests.vllm.published import (
    ChatCompletionLogProb,
    ChatCompletionLogProbs,
    ChatCompletionLogProbsContent,
    ErrorInfo,
    ErrorResponse,
    GenerateRequest,
    GenerateResponse,
    GenerateResponseChoice,
)
from ugsd_core.models.speech_model import SpeechModel, _audio_id

__all__ = ["FakeVllm", "Refused", "tensors_of"]


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def tensors_of(packed: str) -> dict[str, np.ndarray]:
    """A multi-modal item, read as vLLM's ``MsgpackDecoder`` does; every field must be one of its factories'."""
    found = {}
    item = msgpack.unpackb(base64.b64decode(packed), ext_hook=lambda code, data: data if code == 3 else None)
    for key, element in item.items():
        assert set(element) == {"data", "field"}
        name, settings = element["field"]
        assert (name, set(settings)) in [("flat", {"slices", "dim", "keep_on_cpu"}), ("batched", {"keep_on_cpu"})]
        dtype, shape, data = element["data"]
        found[key] = np.frombuffer(data, dtype=dtype).reshape(shape).copy()
    return found


class FakeVllm:
    """One model, one served name.

    Attributes:
        mute: As a trained model, this one gives tokens that no caption holds next to no probability.
        requests: Bodies as they came, and the headers of each.
        trouble: Called before each answer; may raise `Refused`, or wait.
        change: What becomes of each answer.
    """

    def __init__(self, model: SpeechModel, *, max_logprobs: int = 20, key: str = "", mute: bool = True) -> None:
        self.model = model
        self.mute = mute
        self.max_logprobs = max_logprobs
        self.key = key
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.trouble: Callable[[], None] = lambda: None
        self.change: Callable[[dict[str, Any]], Any] = lambda answer: answer

    @contextmanager
    def serving(self) -> Iterator[str]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(lambda: {"object": "list", "data": [{"id": "thinker", "object": "model"}]})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(lambda: fake.generate(self.path, body))

            def _answer(self, make: Callable[[], Any]) -> None:
                fake.headers.append(dict(self.headers))
                status = 200
                try:
                    if fake.key and self.headers.get("Authorization") != f"Bearer {fake.key}":
                        raise Refused(401, "Unauthorized")
                    found = make()
                except Refused as error:
                    status = error.status
                    info = ErrorInfo(message=str(error), type="BadRequestError", code=status)
                    found = ErrorResponse(error=info).model_dump()
                raw = found if isinstance(found, bytes) else json.dumps(found).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                except OSError:  # nobody waits any more
                    pass

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def generate(self, path: str, body: bytes) -> Any:
        if path != "/inference/v1/generate":
            raise Refused(404, "Not Found")
        request = GenerateRequest.model_validate_json(body)
        self.requests.append(json.loads(body))
        self.trouble()
        wanted = request.sampling_params
        for asked in (wanted.logprobs, wanted.prompt_logprobs):
            if asked is not None and self.max_logprobs != -1 and not 0 <= asked <= self.max_logprobs:
                raise Refused(400, f"Requested prompt logprobs of {asked}, which is greater than max allowed")
        told = self._prompt_logprobs(request)
        answer = {"request_id": "1", "choices": [self._written(request).model_dump()], "prompt_logprobs": told}
        few = told and wanted.prompt_logprobs == -1  # of whole vocabularies a part is looked at, for the time it takes
        GenerateResponse.model_validate(answer | ({"prompt_logprobs": told[-2:]} if few and told else {}))
        return self.change(json.loads(json.dumps(answer)))

    # ── The model ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _log_probs(self, request: GenerateRequest, ids: list[int]) -> np.ndarray:
        """Over the model's whole vocabulary, the row behind each id: (n, rows of the head)."""
        assert request.features is not None
        (packed,) = (request.features.kwargs_data or {})["audio"]
        (place,) = request.features.mm_placeholders["audio"]
        found = tensors_of(packed or "")
        frames = int(found["audio_feature_lengths"])
        assert found["feature_attention_mask"].tolist() == [1] * frames
        audio_id = _audio_id(self.model.model.config)
        assert [i for i, token_id in enumerate(ids) if token_id == audio_id] == list(
            range(place.offset, place.offset + place.length)
        )
        with torch.inference_mode():
            audio = self.model.audio_embeddings(found["input_audio_features"][:, :frames])
            embeds = self.model.embedding(torch.tensor(ids))
            embeds[place.offset : place.offset + place.length] = audio.to(embeds)
            cache = DynamicCache(config=self.model.model.config.get_text_config())
            hidden = self.model.hidden(embeds.unsqueeze(0), 0, cache)
            logits = self.model.model.lm_head(hidden).float()
            if self.mute:
                logits[:, self.model.vocabulary_size :] -= 40.0
            return torch.log_softmax(logits, dim=-1).numpy()

    def _prompt_logprobs(self, request: GenerateRequest) -> list[dict[int, dict[str, Any]] | None] | None:
        n = request.sampling_params.prompt_logprobs
        if n is None:
            return None
        rows = self._log_probs(request, request.token_ids)[:-1]
        return [None, *(self._told(row, i, n) for row, i in zip(rows, request.token_ids[1:], strict=True))]

    @staticmethod
    def _told(row: np.ndarray, token_id: int, n: int) -> dict[int, dict[str, Any]]:
        """The token that stands there, then the n best; ranks count equal ones in full, as vLLM's do."""
        best = np.argsort(-row, kind="stable")[: len(row) if n == -1 else n]
        ranks = {token_id: int((row >= row[token_id]).sum())}
        ranks |= {int(i): rank for rank, i in enumerate(best, 1) if i != token_id}
        return {i: {"logprob": float(row[i]), "rank": rank, "decoded_token": None} for i, rank in ranks.items()}

    def _written(self, request: GenerateRequest) -> GenerateResponseChoice:
        wanted, ids, content = request.sampling_params, [], []
        for _ in range(wanted.max_tokens or 16):
            row = self._log_probs(request, [*request.token_ids, *ids])[-1]
            token_id = int(np.argmax(row))
            ids.append(token_id)
            best = np.argsort(-row, kind="stable")[: wanted.logprobs or 0]
            top = [ChatCompletionLogProb(token=f"token_id:{i}", logprob=float(row[i])) for i in best]
            own = float(row[token_id])
            content.append(ChatCompletionLogProbsContent(token=f"token_id:{token_id}", logprob=own, top_logprobs=top))
            if token_id in (wanted.stop_token_ids or []):
                break
        logprobs = None if wanted.logprobs is None else ChatCompletionLogProbs(content=content)
        finished = "stop" if ids[-1] in (wanted.stop_token_ids or []) else "length"
        return GenerateResponseChoice(index=0, logprobs=logprobs, finish_reason=finished, token_ids=ids)
