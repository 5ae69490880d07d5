"""Models of released shapes with random weights, made in place: as large and as slow as the real ones, and as silent.

Sizes are those that the checkpoints' own configurations state (Qwen2.5-Omni-3B and Qwen3-Omni-30B-A3B, thinker only).
Speed does not depend on what the weights are. Head and embedding are two matrices here; a checkpoint that shares them
needs less memory and reads as much for a token. There is never a vision tower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ugsd_core.errors import OptionError
from ugsd_core.models.families import FAMILIES
from ugsd_core.models.rounding import WEIGHT_ONLY, replace_linears

if TYPE_CHECKING:
    from ugsd_core.models.speech_model import SpeechModel

__all__ = [
    "bytes_of",
    "bytes_touched",
    "empty_model",
    "family_name",
    "make_model",
    "make_speech_model",
    "make_tokenizer",
    "make_tower",
    "skeleton",
]

#: The text decoder and the audio tower of each size.
_TEXT: dict[str, dict[str, Any]] = {
    "3b": {
        "vocab_size": 151_936,
        "hidden_size": 2048,
        "intermediate_size": 11_008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32_768,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        "tie_word_embeddings": False,
    },
    "30b-a3b": {
        "vocab_size": 152_064,
        "hidden_size": 2048,
        "intermediate_size": 768,
        "moe_intermediate_size": 768,
        "num_experts": 128,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 48,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "max_position_embeddings": 65_536,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    },
}
_TEXT["tiny"] = _TEXT["3b"] | {
    "vocab_size": 1024,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
_TEXT["tiny-moe"] = _TEXT["30b-a3b"] | {
    "vocab_size": 1024,
    "hidden_size": 128,
    "moe_intermediate_size": 64,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
_TOWER = {"encoder_layers": 32, "d_model": 1280, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120}
_SMALL_TOWER = {"encoder_layers": 1, "d_model": 64, "encoder_attention_heads": 2, "encoder_ffn_dim": 128}
#: Marks of both families, in the order of their ids behind the base vocabulary.
_SPECIALS = {
    "qwen2_5_omni": ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>"),
    "qwen3_omni_moe": (
        "<|audio_pad|>",
        "<|audio_start|>",
        "<|audio_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
        "<|vision_start|>",
    ),
}
_SHARED = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
#: Values that are drawn; all weights repeat them, since drawing three thousand million would take minutes.
_DRAWN = 1 << 20


def family_name(size: str) -> str:
    """Which class a size is of."""
    return "qwen3_omni_moe" if size in ("30b-a3b", "tiny-moe") else "qwen2_5_omni"


def make_tokenizer(size: str) -> Any:
    """A byte-level tokenizer that fills a shape's vocabulary: pieces of our prompts, then words nobody says.

    Ids are as many as the real tokenizer has, so that a gate looks at as many logits; prompts are about as long.
    """
    import json

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from ugsd_core.models.prompts import PROMPTS

    texts = [text for prompt in PROMPTS.values() for text in (prompt.en, prompt.zh)]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    most = min(700, _TEXT[size]["vocab_size"] // 2)
    trainer = trainers.BpeTrainer(vocab_size=most, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator(texts, trainer)
    learned = json.loads(trained.to_str())["model"]
    vocabulary = dict(learned["vocab"])
    # Released vocabularies have 293 logit rows or more behind their last ordinary word.
    for number in range(len(vocabulary), _TEXT[size]["vocab_size"] - 293):
        vocabulary[f"Ġw{number}"] = number
    backend = Tokenizer(models.BPE(vocabulary, [tuple(merge) for merge in learned["merges"]]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([*_SHARED, *_SPECIALS[family_name(size)]])
    words = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    words.chat_template = _TEMPLATE
    return words


def skeleton(size: str, tokenizer: Any, layers: int | None = None) -> Any:
    """A model of a shape on the meta device: all modules, no memory.

    Raises:
        OptionError: If the shape has fewer layers than asked for.
    """
    import torch

    text = dict(_TEXT[size])
    if layers is not None:
        if layers > text["num_hidden_layers"]:
            raise OptionError(f"{size} has {text['num_hidden_layers']} layers, so {layers} cannot be taken")
        text["num_hidden_layers"] = layers
    family = FAMILIES[family_name(size)]
    config = _config(family.name, text, size.startswith("tiny"), tokenizer)
    extra = dict(family.from_pretrained)
    with torch.device("meta"):
        model = family.model_class()._from_config(config, **extra)
    model.model.visual = None
    return model.eval()


def _config(family: str, text: dict[str, Any], small: bool, tokenizer: Any) -> Any:
    import transformers

    audio, start, end, image, video, vision = map(tokenizer.convert_tokens_to_ids, _SPECIALS[family])
    tower = (_SMALL_TOWER if small else _TOWER) | {"num_mel_bins": 128, "output_dim": text["hidden_size"]}
    no_eyes = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2}
    no_eyes |= {"out_hidden_size": text["hidden_size"]}
    ids = {"audio_start_token_id": start, "audio_end_token_id": end, "vision_start_token_id": vision}
    if family == "qwen2_5_omni":
        return transformers.Qwen2_5OmniThinkerConfig(
            text_config=text,
            audio_config=tower,
            vision_config=no_eyes | {"fullatt_block_indexes": [0]},
            audio_token_index=audio,
            image_token_index=image,
            video_token_index=video,
            **ids,
        )
    return transformers.Qwen3OmniMoeThinkerConfig(
        text_config=text,
        audio_config=tower | ({"downsample_hidden_size": 16} if small else {}),
        vision_config=no_eyes | {"deepstack_visual_indexes": []},
        audio_token_id=audio,
        image_token_id=image,
        video_token_id=video,
        **ids,
    )


def empty_model(size: str, precision: str, layers: int | None = None, tokenizer: Any = None) -> Any:
    """As `skeleton`, with the layers of a precision.

    Args:
        tokenizer: Whose ids its configuration names; None where nothing will ever be read.
    """
    if tokenizer is None:  # that of a small vocabulary is made in no time
        tokenizer = make_tokenizer("tiny-moe" if family_name(size) == "qwen3_omni_moe" else "tiny")
    model = skeleton(size, tokenizer, layers)
    if precision in WEIGHT_ONLY:
        replace_linears(model, precision)
        _replace_ends(model, precision)
    return model


def make_model(size: str, precision: str, tokenizer: Any, *, device: str = "cpu", layers: int | None = None) -> Any:
    """A model of a shape with random weights, filled one tensor after the other, so that memory never peaks above it.

    Args:
        size: Key of the shapes.
        precision: One of `PRECISIONS`.
        tokenizer: From `make_tokenizer`.
        device: Where it shall be.
        layers: Fewer than the shape has; None takes all.

    Raises:
        OptionError: If the precision is not for the size or the device.
    """
    import torch

    if precision in WEIGHT_ONLY and (device != "cpu" or family_name(size) != "qwen2_5_omni"):
        raise OptionError(f"{precision} is for dense models on the CPU; take bf16")
    model = empty_model(size, precision, layers, tokenizer)
    dtype = getattr(torch, _DTYPES.get(precision, "float32"))
    torch.manual_seed(0)
    for module in model.modules():
        _fill(module, device, dtype)
    return model.eval()


def make_tower(size: str, tokenizer: Any, layers: int | None = None) -> Any:
    """A thinker of a shape that has its audio tower alone, in eight bits, with random weights."""
    import torch

    model = skeleton(size, tokenizer, layers)
    model.model.language_model = model.lm_head = None
    replace_linears(model.model.audio_tower, "int8")
    torch.manual_seed(0)
    for module in model.modules():
        _fill(module, "cpu", torch.float32)
    return model.eval()


def _replace_ends(model: Any, precision: str) -> None:
    import torch

    from ugsd_core.models.weight_only import Int8Embedding, linear_class

    embedding, head = model.get_input_embeddings(), model.lm_head
    with torch.device("meta"):
        model.set_output_embeddings(linear_class(precision)(head.in_features, head.out_features, False))
        model.set_input_embeddings(Int8Embedding(embedding.num_embeddings, embedding.embedding_dim))


def _fill(module: Any, device: str, dtype: Any) -> None:
    """Give a module's own tensors memory and values."""
    import torch
    from torch import nn

    norm = "norm" in type(module).__name__.lower()
    for name, value in list(module.named_parameters(recurse=False)):
        kind = dtype if value.is_floating_point() and name != "scales" else value.dtype
        made = torch.empty(value.shape, dtype=kind, device=device)
        if not kind.is_floating_point:
            _repeat(made, torch.randint(0, 255, (_DRAWN,), dtype=torch.uint8).view(kind))
        elif name == "scale":
            made.fill_(0.02 / 64)  # of eight bits: standard deviation 0.02, as an initialised weight has
        elif name == "scales":
            made[..., 0], made[..., 1] = 0.02 / 4, 0.0
        elif name == "bias" or (norm and value.dim() == 1):
            made.fill_(0.0 if name == "bias" else 1.0)
        else:
            _repeat(made, torch.randn(_DRAWN).mul_(0.02).to(kind))
        setattr(module, name, nn.Parameter(made, requires_grad=False))
    _fill_buffers(module, device)


def _repeat(made: Any, drawn: Any) -> None:
    """Fill a tensor with what was drawn, over and over."""
    flat = made.view(-1)
    drawn = drawn.to(flat.device)
    for first in range(0, flat.numel(), drawn.numel()):
        last = min(first + drawn.numel(), flat.numel())
        flat[first:last] = drawn[: last - first]


def _fill_buffers(module: Any, device: str) -> None:
    """Buffers are computed, not drawn: a module is made once more, off the meta device, for its own."""
    if not any(buffer.is_meta for buffer in module.buffers(recurse=False)):
        return
    name = type(module).__name__
    if name == "SinusoidsPositionEmbedding":
        made = type(module)(module.length, module.channels, module.max_timescale)
    elif "RotaryEmbedding" in name:
        made = type(module)(module.config)
    else:
        raise OptionError(f"nobody knows how to make the buffers of a {name}")
    for key, buffer in made.named_buffers(recurse=False):
        module.register_buffer(key, buffer.to(device), persistent=False)


def make_speech_model(size: str, precision: str, *, device: str = "cpu", layers: int | None = None) -> SpeechModel:
    """The same with its tokenizer, as everything else holds a model."""
    from ugsd_core.acoustic import FeatureSpec
    from ugsd_core.models.caption_model import Description
    from ugsd_core.models.speech_model import SpeechModel

    tokenizer = make_tokenizer(size)
    model = make_model(size, precision, tokenizer, device=device, layers=layers)
    spec = FeatureSpec(n_mels=128, level="as_recorded")
    about = Description(spec, "paper", f"{size} at random in {precision}")
    return SpeechModel.create(model, tokenizer, FAMILIES[family_name(size)], about)


def bytes_of(model: Any) -> int:
    """Bytes of all weights; works on the meta device."""
    return sum(value.numel() * value.element_size() for value in model.parameters())


def bytes_touched(model: Any) -> float:
    """Bytes of weights that are read for one token: decoder and head, of experts the share that is asked."""
    text = model.config.get_text_config()
    share = getattr(text, "num_experts_per_tok", 0) / max(1, getattr(text, "num_experts", 1) or 1)
    total = 0.0
    for name, value in [*model.model.language_model.named_parameters(), *model.lm_head.named_parameters()]:
        if "embed_tokens" not in name:
            total += value.numel() * value.element_size() * (share if ".experts." in name else 1.0)
    return total
