"""What the decoding loop with its events costs over the least that greedy decoding takes, on the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import interleaved, ratio, spread

if TYPE_CHECKING:
    from ugsd_core.acoustic import AcousticCode
    from ugsd_core.drafter import Drafter
    from ugsd_core.models.speech_model import SpeechModel
    from ugsd_core.options import DecodingOptions

__all__ = ["bare_loop", "event_loop", "measure"]


def bare_loop(model: SpeechModel, code: AcousticCode, options: DecodingOptions) -> list[int]:
    """The least that greedy decoding takes: prefill, then one forward pass and one argmax a token."""
    import torch
    from transformers import DynamicCache

    from ugsd_core.models.caption_stream import SAID

    size = model.vocabulary_size
    thinker = model.model
    ids: list[int] = []
    with torch.inference_mode():
        cache = DynamicCache(config=thinker.config.get_text_config())
        embeds, posterior = model.read_request(code, options.prompt, options.language)
        bias = torch.zeros(size)
        added = model.head_bias(posterior, options.language)
        if added is not None:
            bias += torch.from_numpy(added)
        start = 0
        while True:
            positions = torch.arange(start, start + embeds.shape[1]).expand(3, 1, -1)
            hidden = model.language_model(
                inputs_embeds=embeds, position_ids=positions, past_key_values=cache, use_cache=True
            ).last_hidden_state[0, -1]
            token = int((thinker.lm_head(hidden)[:size].float() + bias).argmax())
            ids.append(token)
            if token in model.say_once:
                bias[token] = SAID
            if token in model.end_ids or len(ids) == options.max_tokens:
                return ids
            start += embeds.shape[1]
            embeds = model.embedding(torch.tensor([[token]]))


def event_loop(drafter: Drafter, code: AcousticCode, options: DecodingOptions) -> list[int]:
    """The same caption through the decoding loop, every event made and taken."""
    from ugsd_core.decoding import decode
    from ugsd_core.messages import CaptionFinished

    last = None
    for event in decode(code, "00", drafter, None, options):
        last = event
    assert isinstance(last, CaptionFinished)
    return list(last.token_ids)


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Edge-only decoding through the loop against `bare_loop`, pair by pair on the same code."""
    from ugsd_core.acoustic import encode_waveform
    from ugsd_core.bench.pair import example_clips
    from ugsd_core.captioner import Captioner
    from ugsd_core.drafter import StreamDrafter
    from ugsd_core.models.speech_model import SpeechModel
    from ugsd_core.options import DecodingOptions

    say("loading the edge …")
    drafter = Captioner.load(backend="torch").drafter
    assert isinstance(drafter, StreamDrafter) and isinstance(drafter.model, SpeechModel)
    model = drafter.model
    options = DecodingOptions(mode="edge")
    bare_s: list[float] = []
    events_s: list[float] = []
    tokens: list[int] = []
    same = 0
    for clip in example_clips():
        code = encode_waveform(clip.samples, drafter.features)
        say(f"overhead of the loop, clip of {clip.duration_s:.1f} s …")
        written = bare_loop(model, code, options)
        tokens.append(len(written))
        same += written == event_loop(drafter, code, options)
        times = interleaved(
            {
                "bare": lambda code=code: bare_loop(model, code, options),  # type: ignore[misc]
                "events": lambda code=code: event_loop(drafter, code, options),  # type: ignore[misc]
            },
            settings.rounds,
        )
        bare_s += times["bare"]
        events_s += times["events"]
    return {
        "bare_loop": spread(bare_s),
        "event_loop": spread(events_s),
        "events_over_bare": ratio(events_s, bare_s),
        "tokens_a_caption": sum(tokens) / len(tokens),
        "identical_captions_share": same / len(tokens),
    }
