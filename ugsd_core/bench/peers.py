"""Transformers' own decoding beside ours, with the same two models: plain ``generate``, and assisted generation.

What our models add to plain greedy decoding (the emotion head's say, words that are said once) is given to ``generate``
as a logits processor, so every way to write the edge's or the verifier's caption writes the same one, and the results
say whether it did. Assisted generation takes ids and features, since it cannot be given embeddings: it would hand the
verifier's to the edge. It is lossless speculative decoding in one process; ours is measured in one process as well, and
over loopback, where edge and verifier share the machine but not the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import interleaved, ratio, spread

if TYPE_CHECKING:
    from ugsd_core.acoustic import AcousticCode
    from ugsd_core.models.speech_model import SpeechModel
    from ugsd_core.options import DecodingOptions

__all__ = ["assisted", "generate", "measure"]

#: Example clips that are captioned; ten ways each take their time.
CLIPS = 3


def _processors(model: SpeechModel, bias: Any, start: int) -> Any:
    """What makes transformers' logits those of `CaptionStream`."""
    import torch
    from transformers import LogitsProcessor, LogitsProcessorList

    from ugsd_core.models.caption_stream import SAID

    added = None if bias is None else torch.from_numpy(bias)

    class OurLogits(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            scores = scores.clone()
            scores[:, model.vocabulary_size :] = -torch.inf
            if added is not None:
                scores[:, : model.vocabulary_size] += added
            for token in set(input_ids[0, start:].tolist()) & model.say_once:
                scores[:, token] = SAID
            return scores

    return LogitsProcessorList([OurLogits()])


def _limits(model: SpeechModel, options: DecodingOptions) -> dict[str, Any]:
    ends = sorted(model.end_ids)
    return {"do_sample": False, "max_new_tokens": options.max_tokens, "eos_token_id": ends, "pad_token_id": ends[0]}


def generate(model: SpeechModel, code: AcousticCode, options: DecodingOptions) -> list[int]:
    """A caption by ``generate`` from the request's embeddings."""
    import torch

    with torch.inference_mode():
        embeds, posterior = model.read_request(code, options.prompt, options.language)
        ids = model.model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
            logits_processor=_processors(model, model.head_bias(posterior, options.language), 0),
            **_limits(model, options),
        )
    written: list[int] = ids[0].tolist()
    return written


def assisted(model: SpeechModel, assistant: SpeechModel, code: AcousticCode, options: DecodingOptions) -> list[int]:
    """A caption by ``generate`` with the edge as assistant; both read the sound themselves."""
    import numpy as np
    import torch

    from ugsd_core.models.prompts import prompt_ids

    with torch.inference_mode():
        audio = model.audio_embeddings(code.features())
        bias = None
        if model.head is not None:
            posterior = model.head.posterior(audio.float().mean(dim=0).numpy())
            bias = model.head_bias(posterior, options.language)
        request = prompt_ids(
            model.tokenizer, model.family.markers, options.prompt or model.prompt, options.language, audio.shape[0]
        )
        ids = torch.tensor([request])
        mel = torch.from_numpy(np.ascontiguousarray(code.features())).unsqueeze(0)
        written = model.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            input_features=mel,
            feature_attention_mask=torch.ones(1, mel.shape[-1], dtype=torch.long),
            assistant_model=assistant.model,
            logits_processor=_processors(model, bias, ids.shape[1]),
            **_limits(model, options),
        )
    rest: list[int] = written[0, ids.shape[1] :].tolist()
    return rest


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """All ways over the example clips, from the acoustic code to the caption, interleaved."""
    import warnings

    from transformers.utils import logging

    from ugsd_core.acoustic import encode_waveform
    from ugsd_core.bench.loop import bare_loop
    from ugsd_core.bench.pair import example_clips, loaded_pair, modes
    from ugsd_core.decoding import decode
    from ugsd_core.messages import CaptionFinished
    from ugsd_core.options import DecodingOptions, preset
    from ugsd_core.verifier import LocalLink, TorchVerifier

    say("starting a verifier and loading both models …")
    with loaded_pair(settings, "torch") as pair, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers' own calls among each other
        logging.set_verbosity_error()
        edge, verifier = pair.model, TorchVerifier.load().model
        wire, local = pair.captioner.link, LocalLink(TorchVerifier(verifier))

        def ours(link: Any, options: DecodingOptions, code: AcousticCode) -> list[int]:
            *_, last = decode(code, "00", pair.captioner.drafter, link, options)
            assert isinstance(last, CaptionFinished)
            return list(last.token_ids)

        plain, ways = DecodingOptions(mode="edge", prompt=edge.wording("00")), modes()
        lossless = preset("lossless", prompt=plain.prompt)
        writers: dict[str, Callable[[AcousticCode], list[int]]] = {
            "edge, bare loop": lambda code: bare_loop(edge, code, plain),
            "edge, generate": lambda code: generate(edge, code, plain),
            "edge, ours": lambda code: ours(None, plain, code),
            "verifier, bare loop": lambda code: bare_loop(verifier, code, plain),
            "verifier, generate": lambda code: generate(verifier, code, plain),
            "verifier, assisted": lambda code: assisted(verifier, edge, code, plain),
            "both, lossless in process": lambda code: ours(local, lossless, code),
            "both, lossless over the wire": lambda code: ours(wire, lossless, code),
            "both, ugsd over the wire": lambda code: ours(wire, ways["ugsd"], code),
            "verifier, ours over the wire": lambda code: ours(wire, ways["cloud"], code),
        }
        codes = [encode_waveform(clip.samples, edge.features) for clip in example_clips()[:CLIPS]]
        say(f"{len(codes)} clips in {len(writers)} ways, {settings.rounds} rounds …")
        times: dict[str, list[float]] = {name: [] for name in writers}
        for code in codes:
            runs = {name: partial(write, code) for name, write in writers.items()}
            for name, values in interleaved(runs, settings.rounds).items():
                times[name] += values
        found: dict[str, Any] = {name: spread(values) for name, values in times.items()}
        found["identical_captions"] = _identical(writers, codes)
    return found | {
        "edge, ours_over_generate": ratio(times["edge, ours"], times["edge, generate"]),
        "lossless in process_over_assisted": ratio(times["both, lossless in process"], times["verifier, assisted"]),
        "ugsd over the wire_over_assisted": ratio(times["both, ugsd over the wire"], times["verifier, assisted"]),
        "ugsd_over_lossless, both over the wire": ratio(
            times["both, ugsd over the wire"], times["both, lossless over the wire"]
        ),
    }


def _identical(writers: Any, codes: list[Any]) -> dict[str, float]:
    """Share of clips on which all ways to write one model's caption agree."""
    groups = {
        "edge_share": ("edge, bare loop", "edge, generate", "edge, ours"),
        "verifier_share": (
            "verifier, bare loop",
            "verifier, generate",
            "verifier, assisted",
            "both, lossless in process",
        ),
    }
    same = {
        name: sum(len({tuple(writers[way](code)) for way in ways}) == 1 for code in codes)
        for name, ways in groups.items()
    }
    return {name: count / len(codes) for name, count in same.items()}
