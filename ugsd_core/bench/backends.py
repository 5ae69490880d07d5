"""The edge's back ends side by side: the least that greedy decoding takes on each, and what the loop adds.

A *bare loop* is the request, then one forward pass and one argmax a token; it makes no event and measures nothing. What
decides the caption's words is the model's part and in it too: the head's bias, and words that are said once. What only
reads a distribution (the best five, entropy) is not. All runs are interleaved A-B-C-C-B-A on the same clip in one
process, so that a drift of the machine touches all alike; ratios are medians of the ratios of one clip and round, of
wall time and, less moved by what else runs, of processor time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from ugsd_core.acoustic import AcousticCode
from ugsd_core.models.caption_model import SAID
from ugsd_core.options import DecodingOptions

if TYPE_CHECKING:
    from ugsd_core.drafter import StreamDrafter
    from ugsd_core.models.onnx_model import OnnxModel
    from ugsd_core.models.speech_model import SpeechModel

__all__ = ["compare", "event_loop", "onnx_loop", "torch_loop"]

#: What one run tells: its token ids, and seconds to the first and to the last token.
Ran = tuple[list[int], float, float]


def torch_loop(model: SpeechModel, code: AcousticCode, options: DecodingOptions) -> Ran:
    """The bare loop on torch."""
    import torch
    from transformers import DynamicCache

    began, first_s, size, ids = perf_counter(), 0.0, model.vocabulary_size, list[int]()
    with torch.inference_mode():
        cache = DynamicCache(config=model.model.config.get_text_config())
        embeds, posterior = model.read_request(code, options.prompt, options.language)
        bias = torch.zeros(size)
        if (added := model.head_bias(posterior, options.language)) is not None:
            bias += torch.from_numpy(added)
        start = 0
        while True:
            hidden = model.hidden(embeds, start, cache)[-1]
            token = int((model.model.lm_head(hidden)[:size] + bias).argmax())
            first_s = first_s or perf_counter() - began
            ids.append(token)
            if token in model.say_once:
                bias[token] = SAID
            if token in model.end_ids or len(ids) == options.max_tokens:
                return ids, first_s, perf_counter() - began
            start += embeds.shape[1]
            embeds = model.embedding(torch.tensor([[token]]))


def onnx_loop(model: OnnxModel, code: AcousticCode, options: DecodingOptions) -> Ran:
    """The bare loop on onnxruntime."""
    began, ids = perf_counter(), list[int]()
    embeds, posterior = model.read_request(code, options.prompt, options.language)
    bias = model.head_bias(posterior, options.language)
    bias = np.zeros(model.vocabulary_size, dtype=np.float32) if bias is None else bias
    tape = model.tape(embeds.shape[1] + options.max_tokens)
    _, logits = tape.run(embeds, 0, 1)
    first_s, at = 0.0, embeds.shape[1]
    while True:
        token = int((logits[0] + bias).argmax())
        first_s = first_s or perf_counter() - began
        ids.append(token)
        if token in model.say_once:
            bias[token] = SAID
        if token in model.end_ids or len(ids) == options.max_tokens:
            return ids, first_s, perf_counter() - began
        _, logits = tape.run(model.embeddings([token])[None], at, 1)
        at += 1


def event_loop(drafter: StreamDrafter, code: AcousticCode, options: DecodingOptions) -> Ran:
    """The same caption through the decoding loop, every event made and taken."""
    from ugsd_core.decoding import decode
    from ugsd_core.messages import CaptionFinished, TokenDrafted

    began, first_s, last = perf_counter(), 0.0, None
    for last in decode(code, "00", drafter, None, options):
        if not first_s and isinstance(last, TokenDrafted):
            first_s = perf_counter() - began
    assert isinstance(last, CaptionFinished)
    return list(last.token_ids), first_s, perf_counter() - began


def compare(
    torch_drafter: StreamDrafter, onnx_drafter: StreamDrafter, codes: Sequence[AcousticCode], rounds: int
) -> dict[str, Any]:
    """Bare loops and event loops of both back ends, on each clip in turn.

    Args:
        torch_drafter: On a `SpeechModel`.
        onnx_drafter: On an `OnnxModel`, of the same checkpoint.
        codes: Acoustic codes of the clips.
        rounds: Repetitions; one more, the first, is not counted.

    Returns:
        ``runs``: for each run milliseconds of a whole caption, and of a token behind the first, as median and middle
        half; tokens a second. ``ratios``: pairwise, as median and middle half; ``processor`` is the whole caption's.
    """
    options = DecodingOptions(mode="edge", prompt=torch_drafter.prompt_name(DecodingOptions(mode="edge"), "00"))
    runs: dict[str, Callable[[AcousticCode], Ran]] = {
        "torch_bare": lambda code: torch_loop(torch_drafter.model, code, options),  # type: ignore[arg-type]
        "onnx_bare": lambda code: onnx_loop(onnx_drafter.model, code, options),  # type: ignore[arg-type]
        "torch_events": lambda code: event_loop(torch_drafter, code, options),
        "onnx_events": lambda code: event_loop(onnx_drafter, code, options),
    }
    whole: dict[str, list[float]] = {name: [] for name in runs}
    token: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-1, rounds):
        for code in codes:
            told = [(name, *_processor_s(runs[name], code)) for name in (*runs, *reversed(runs))]
            if number < 0:
                continue
            for name in runs:
                mine = [ran for other, ran, _ in told if other == name]
                processor[name].append(sum(busy_s for other, _, busy_s in told if other == name))
                whole[name].append(statistics.fmean(total for _, _, total in mine))
                token[name].append(statistics.fmean((total - first) / (len(ids) - 1) for ids, first, total in mine))
    figures = {
        name: {
            "caption_ms": _spread([1e3 * s for s in whole[name]]),
            "token_ms": _spread([1e3 * s for s in token[name]]),
            "tokens_per_s": round(1 / statistics.median(token[name]), 1),
        }
        for name in runs
    }
    pairs = (
        ("torch_bare", "onnx_bare"),
        ("torch_bare", "onnx_events"),
        ("onnx_events", "onnx_bare"),
        ("torch_events", "torch_bare"),
    )
    ratios = {
        f"{kind}: {above} / {below}": _spread([a / b for a, b in zip(times[above], times[below], strict=True)])
        for kind, times in (("caption", whole), ("processor", processor), ("token", token))
        for above, below in pairs
    }
    return {"runs": figures, "ratios": ratios}


def _processor_s(run: Callable[[AcousticCode], Ran], code: AcousticCode) -> tuple[Ran, float]:
    began = process_time()
    ran = run(code)
    return ran, process_time() - began


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": round(middle, 3), "p25": round(low, 3), "p75": round(high, 3), "n": len(values)}
