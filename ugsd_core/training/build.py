"""The two architectures of the embedded pair, their start from Whisper's encoders, and how they are written.

Both are `Qwen2_5OmniThinkerForConditionalGeneration` with a small text decoder. Its audio tower is Whisper's encoder
by another name once ``n_window`` covers the whole clip (1500 = 30 s); with the default of 100 it attends within 2 s
only and Whisper's weights no longer fit their task.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.models.prompts import WORDINGS
from ugsd_core.training.data import SPEC
from ugsd_core.training.grammar import cue_tokens

__all__ = [
    "ROLES",
    "Size",
    "build_model",
    "count_parameters",
    "freeze",
    "freeze_lowest",
    "load_head",
    "save_checkpoint",
    "size_of",
    "use_checkpoint",
    "use_hearing",
    "use_listened",
]


#: How much the emotion head has a say in which emotion a caption names, chosen on development speakers.
HEAD_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """Dimensions of one model of the pair.

    Attributes:
        encoder: Folder of the Whisper encoder under ``--encoders``.
        tower_layers: How many of its layers, from the bottom.
        tower_width: Its width.
        tower_heads: Its attention heads.
        width: Width of the text decoder; a multiple of 64, the head size.
        layers: Layers of the text decoder.
        feed_forward: Width of its gated feed-forward layers.
    """

    encoder: str
    tower_layers: int
    tower_width: int
    tower_heads: int
    width: int
    layers: int
    feed_forward: int


ROLES: dict[str, Size] = {
    "edge": Size("whisper-tiny.en", 2, 384, 6, 256, 3, 768),
    "verifier": Size("whisper-base", 6, 512, 8, 384, 4, 1024),
}


def size_of(role: str) -> Size:
    """The dimensions of a role.

    Raises:
        OptionError: If there is no such role.
    """
    if role not in ROLES:
        raise OptionError(f"there is no role {role!r}; choose one of {', '.join(ROLES)}")
    return ROLES[role]


def _config(size: Size, tokenizer: Any) -> Any:
    from transformers import Qwen2_5OmniThinkerConfig

    ids = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": size.width,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.width // 64,
        "num_key_value_heads": size.width // 128,
        "max_position_embeddings": 2048,
        # Sections of the rotary half-dimension for time, height, width; without vision all three count alike.
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12]},
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    audio = {
        "num_mel_bins": SPEC.n_mels,
        "encoder_layers": size.tower_layers,
        "encoder_attention_heads": size.tower_heads,
        "encoder_ffn_dim": 4 * size.tower_width,
        "d_model": size.tower_width,
        "n_window": 1500,
        "output_dim": size.width,
    }
    # `None` would build the full-size vision tower, so the smallest one is kept and saved.
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": size.width,
        "fullatt_block_indexes": [0],
    }
    config = Qwen2_5OmniThinkerConfig(
        audio_config=audio,
        vision_config=vision,
        text_config=text,
        audio_token_index=ids["<|AUDIO|>"],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        audio_start_token_id=ids["<|audio_bos|>"],
        audio_end_token_id=ids["<|audio_eos|>"],
        user_token_id=tokenizer.convert_tokens_to_ids("user"),
        tie_word_embeddings=True,
    )
    config.eos_token_id = ids["<|im_end|>"]
    config.pad_token_id = ids["<|endoftext|>"]
    config.vision_start_token_id = ids["<|vision_bos|>"]
    return config


def build_model(role: str, tokenizer: Any, encoders: Path | None, size: Size | None = None) -> Any:
    """A model at the start of its training, in float32.

    Args:
        role: A key of `ROLES`.
        tokenizer: From `ugsd_core.training.tokenizer.build_tokenizer`.
        encoders: Folder with the Whisper encoders; ``None`` leaves the tower at random (for tests).
        size: Other dimensions than the role's.

    Raises:
        CheckpointError: If the encoder is missing or any of its weights does not reach the tower.
    """
    import torch
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    size = size or size_of(role)
    model: Any = Qwen2_5OmniThinkerForConditionalGeneration(_config(size, tokenizer))
    model.to(torch.float32)
    if encoders is not None:
        _load_encoder(model.model.audio_tower, encoders / size.encoder / "encoder.safetensors", size.tower_layers)
    return model


def _load_encoder(tower: Any, path: Path, layers: int) -> None:
    """Copy Whisper's encoder into the tower and make sure that every one of its weights arrived."""
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; point --encoders at the folder with the Whisper encoders")
    weights = {name.removeprefix("encoder."): value.float() for name, value in load_file(str(path)).items()}
    # Sinusoids, computed by the tower itself; and the layers above the ones that are used.
    skipped = ("embed_positions", "positional_embedding")
    above = tuple(f"layers.{index}." for index in range(layers, 64))
    weights = {name.replace("layer_norm.", "ln_post.") if name.startswith("layer_norm.") else name: value
               for name, value in weights.items() if not name.startswith(skipped + above)}  # fmt: skip
    missing, unexpected = tower.load_state_dict(weights, strict=False)
    # What Whisper has no counterpart for: the projection to the decoder and the begin/end vectors.
    missing = [name for name in missing if not name.startswith(("proj.", "audio_bos_eos_token."))]
    if missing or unexpected:
        raise CheckpointError(f"{path} does not fit the tower: missing {missing}, unexpected {unexpected}")


def freeze(model: Any) -> None:
    """Stop gradients where training must not reach: what only looks, and vectors that are never used."""
    for parameter in model.model.visual.parameters():
        parameter.requires_grad_(False)
    model.model.audio_tower.audio_bos_eos_token.requires_grad_(False)


def freeze_lowest(tower: Any, layers: int) -> None:
    """Let the convolutions and the lowest layers of a tower keep what they have learned; nothing with 0 layers.

    What lies lowest hears what every voice has in common, few clips can only spoil it, and a step costs a third less.
    """
    for name, parameter in tower.named_parameters():
        low = name.startswith("conv") or (name.startswith("layers.") and int(name.split(".")[1]) < layers)
        if layers and low:
            parameter.requires_grad_(False)


def use_hearing(tower: Any, heads: Any, folder: Path) -> None:
    """Take what an earlier checkpoint hears with: its audio tower and emotion head.

    Raises:
        CheckpointError: If it cannot be opened or is of another size.
    """
    from ugsd_core.models.loading import load_speech_model

    earlier = load_speech_model(folder)
    try:
        tower.load_state_dict(earlier.model.model.audio_tower.state_dict())
        if earlier.head is not None:
            heads["emotion"].load_state_dict(load_head(folder))
    except RuntimeError as error:
        raise CheckpointError(f"{folder} is of another size: {error}") from error


def use_listened(model: Any, heads: Any, path: Path) -> None:
    """Give a model the tower, and the heads, that the first phase of training wrote.

    Raises:
        CheckpointError: If the file is missing or does not fit.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; run the first phase of training again")
    weights = load_file(str(path))
    for prefix, module in (("tower.", model.model.audio_tower), ("heads.", heads)):
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            raise CheckpointError(f"{path} does not fit this model: {error}") from error


def use_checkpoint(model: Any, tokenizer: Any, heads: Any, folder: Path) -> int:
    """Start from an earlier checkpoint of the same size: tower, decoder and emotion head.

    Vocabularies may differ: of the embedding, the rows of tokens that both spell alike are taken.

    Args:
        model: From `build_model`.
        tokenizer: Its tokenizer.
        heads: From `ugsd_core.training.listen.Heads`.
        folder: The earlier checkpoint, in fp16 or eight bits.

    Returns:
        How many rows of the embedding were taken.

    Raises:
        CheckpointError: If it cannot be opened or is of another size.
    """
    import torch

    from ugsd_core.models.loading import load_speech_model

    earlier = load_speech_model(folder)
    weights = earlier.model.state_dict()
    own = {name: value for name, value in model.state_dict().items() if "visual." not in name}
    vocabulary = ("embed_tokens.", "lm_head.")
    for name, value in own.items():
        if not any(part in name for part in vocabulary):
            if name not in weights or weights[name].shape != value.shape:
                raise CheckpointError(f"{folder} is of another size: {name} does not fit")
            value.copy_(weights[name])
    known, rows = earlier.tokenizer.get_vocab(), 0
    new, old = model.get_input_embeddings().weight, earlier.model.get_input_embeddings().weight
    with torch.no_grad():
        for token, token_id in tokenizer.get_vocab().items():
            if token in known and token_id < len(new) and known[token] < len(old):
                new[token_id].copy_(old[known[token]])
                rows += 1
    if earlier.head is not None:
        heads["emotion"].load_state_dict(load_head(folder))
    return rows


def count_parameters(model: Any) -> int:
    """Parameters of audio tower and decoder; the vestigial vision tower is left out."""
    vision = sum(parameter.numel() for parameter in model.model.visual.parameters())
    return int(sum(parameter.numel() for parameter in model.parameters()) - vision)


def load_head(checkpoint: Path) -> dict[str, Any]:
    """The emotion head of a checkpoint, float32: ``weight`` (labels, width) and ``bias`` (labels,)."""
    from safetensors.torch import load_file

    return {key: value.float() for key, value in load_file(str(checkpoint / "emotion_head.safetensors")).items()}


def save_checkpoint(model: Any, head: Any, tokenizer: Any, out: Path, name: str) -> None:
    """Write a checkpoint that stock ``from_pretrained`` opens: weights in fp16, tokenizer, ``ugsd.json``.

    Args:
        model: Any float dtype; it is not changed.
        head: The auxiliary emotion head, a linear layer on the mean of the tower's output vectors, or ``None``. It
            goes to ``emotion_head.safetensors`` (``weight`` (labels, width), ``bias`` (labels,)).
        tokenizer: Saved beside the model.
        out: Folder, created when absent.
        name: The checkpoint's own name.
    """
    import copy

    import torch
    from safetensors.torch import save_file
    from transformers import GenerationConfig

    out.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).to(torch.float16)
    for part in (half.config.audio_config, half.config.text_config, half.config.vision_config):
        part.dtype = None  # a part's own type, left over from loading, would contradict the whole's
    half.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=64,
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
    )
    half.save_pretrained(out)
    tokenizer.save_pretrained(out)
    if head is not None:
        tensors = {key: value.detach().half().contiguous() for key, value in head.state_dict().items()}
        save_file(tensors, str(out / "emotion_head.safetensors"), metadata={"labels": ",".join(EMOTION_LABELS)})
    card = {
        "schema": 1,
        "family": "qwen2_5_omni",
        "prompt": "worded",
        "wordings": WORDINGS,
        "head_weight": 0.0 if head is None else HEAD_WEIGHT,
        "say_once": cue_tokens(),
        "features": asdict(SPEC),
        "name": name,
        "licence": "CC-BY-NC-SA-4.0",
    }
    (out / "ugsd.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
