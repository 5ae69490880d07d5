"""A process of its own for one precision of one shape, so that its peak of memory is its own. Not for people.

It is started with one JSON argument, says on stdout that it is ready, then answers each line of JSON on stdin with one
on stdout. Between lines it waits in a read and takes no processor time, so several can take turns.
"""

from __future__ import annotations

import json
import os
import sys
from time import perf_counter
from typing import IO, Any

from ugsd_core.bench.machine import peak_memory_mb
from ugsd_core.bench.real_models import make_real_model

__all__ = ["Child", "main"]

CLIP_S = 4.0
SAMPLE_RATE_HZ = 16_000


class Child:
    """One model and what is measured of it.

    Args:
        spec: ``size``, ``precision``, ``device``, ``layers``, ``threads``.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(spec["threads"])
        self.torch = torch
        self.cuda = spec["device"] != "cpu"
        began = perf_counter()
        self.model, weights_bytes, bytes_a_token = make_real_model(
            spec["size"],
            spec["precision"],
            device=spec["device"],
            layers=spec.get("layers"),
            threads=spec["threads"],
        )
        self.code = self._code()
        self.facts = {
            "made_s": perf_counter() - began,
            "weights_bytes": weights_bytes,
            "bytes_a_token": bytes_a_token,
        }
        self.stream: Any = None

    def _code(self) -> Any:
        """A clip of 4 s: noise, since nobody listens."""
        import numpy as np

        from ugsd_core.acoustic import encode_waveform

        samples = np.random.default_rng(0).standard_normal(int(CLIP_S * SAMPLE_RATE_HZ)).astype(np.float32) * 0.1
        return encode_waveform(samples, self.model.features)

    def seconds(self, run: Any) -> float:
        """Wall time of one run; of a GPU's work, until it is done."""
        began = perf_counter()
        run()
        if self.cuda:
            self.torch.cuda.synchronize()
        return perf_counter() - began

    def prefill(self) -> dict[str, Any]:
        """Tower and request, anew."""

        def open_stream() -> None:
            self.stream = self.model.open(self.code, None, "en")

        return {"seconds": self.seconds(open_stream), "input_tokens": self.stream.input_tokens}

    def decode(self, tokens: int) -> dict[str, Any]:
        """Greedy tokens behind the request, one forward pass each; seconds of each."""
        stream = self._stream()
        stream.truncate(0)
        token = int(stream.next_logits().argmax())
        times = []

        def step() -> None:
            nonlocal token
            token = int(stream.feed([token], rows=1)[0].argmax())

        for _ in range(tokens):
            times.append(self.seconds(step))
        return {"seconds": times}

    def block(self, k: int) -> dict[str, Any]:
        """One forward pass over a block, with the logits of each of its positions and of the next, as a verifier's."""
        stream = self._stream()
        stream.truncate(0)
        stream.next_logits()  # is held while a caption is verified
        return {"seconds": self.seconds(lambda: stream.feed(list(range(100, 100 + k)), rows=k + 1))}

    def peak(self) -> dict[str, Any]:
        """Memory at its highest so far."""
        found: dict[str, Any] = {"peak_mb": peak_memory_mb()}
        if self.cuda:
            found["peak_device_mb"] = self.torch.cuda.max_memory_allocated() / 1e6
        return found

    def told(self) -> dict[str, Any]:
        """What it said when it was ready."""
        return self.facts

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a line asks for: a method's name under ``do`` and its arguments."""
        name = request.pop("do")
        known = {name: getattr(self, name) for name in ("prefill", "decode", "block", "peak", "told")}
        found: dict[str, Any] = known[name](**request)
        return found

    def _stream(self) -> Any:
        if self.stream is None:
            self.prefill()
        return self.stream


def serve(child: Child, lines: IO[str], out: IO[str]) -> None:
    """Answer line by line until there are no more."""
    print(json.dumps(child.facts), file=out, flush=True)
    for line in lines:
        print(json.dumps(child.answer(json.loads(line))), file=out, flush=True)


def main() -> int:
    """The process: whatever a library prints to stdout goes to stderr, so that it never stands between answers."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Child(json.loads(sys.argv[1])), sys.stdin, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
