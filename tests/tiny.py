"""Tiny random checkpoints of both model classes, saved to disk with real-style tokenizers and special tokens."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ugsd_core.audio import Utterance, utterance_from_samples

__all__ = ["FAMILY_NAMES", "save_checkpoint", "tokenizer", "utterance"]

FAMILY_NAMES = ("qwen2_5_omni", "qwen3_omni_moe")
SENTENCES = (
    "In the audio, the speaker's voice is low and slow. Therefore, the speaker feels sad.",
    "In the audio, the speaker's voice is high and fast. Therefore, the speaker feels happy.",
    "说话人声音低沉,语速缓慢,流露出悲伤。",
    "说话人声音高亢,语速很快,听起来很高兴。",
    "Describe the emotion in this voice. 描述这段语音的情感。",
)
SHARED_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
AUDIO_SPECIALS = {
    "qwen2_5_omni": ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>"),
    "qwen3_omni_moe": (
        "<|image_pad|>",
        "<|video_pad|>",
        "<|vision_start|>",
        "<|audio_start|>",
        "<|audio_end|>",
        "<|audio_pad|>",
    ),
}
SYSTEM_TURN = "<|im_start|>system\nYou listen.<|im_end|>\n"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@lru_cache(maxsize=4)
def tokenizer(family: str, extra_sentence: str = "") -> Any:
    """A small byte-level BPE tokenizer: base vocabulary, the three shared special tokens, then the family's own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator([*SENTENCES, *([extra_sentence] * 9)], trainer)
    backend.add_special_tokens([*SHARED_SPECIALS, *AUDIO_SPECIALS[family]])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    # Qwen2.5-Omni's own template opens with a default system turn, Qwen3-Omni's does not.
    wrapped.chat_template = (SYSTEM_TURN if family == "qwen2_5_omni" else "") + TEMPLATE
    return wrapped


def save_checkpoint(folder: Path, family: str, *, seed: int = 0, size: int = 32, extra_sentence: str = "") -> Path:
    """Build a random thinker of a family, save it with its tokenizer, and return the folder."""
    import torch

    words = tokenizer(family, extra_sentence)
    torch.manual_seed(seed)
    model = _thinker(family, words, size)
    with torch.no_grad():  # spread the logits, so that captions are varied and argmaxes are not ties
        model.lm_head.weight.normal_(0.0, 0.5)
        for name, weight in model.model.audio_tower.named_parameters():  # and let the audio be heard in them
            if weight.dim() > 1 and ("proj" in name or "conv" in name):
                weight.normal_(0.0, 1.5 * weight[0].numel() ** -0.5)
    model.generation_config.eos_token_id = words.convert_tokens_to_ids("<|im_end|>")
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def _thinker(family: str, words: Any, size: int) -> Any:
    import transformers as t

    def token(name: str) -> int:
        return int(words.convert_tokens_to_ids(name))

    text = {
        "vocab_size": len(words) + 10,  # released checkpoints have more logit rows than tokens
        "hidden_size": size,
        "intermediate_size": 2 * size,
        "num_hidden_layers": 2,
        "num_attention_heads": size // 8,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    }
    audio = {
        "num_mel_bins": 128,
        "d_model": size,
        "encoder_layers": 1,
        "encoder_attention_heads": size // 8,
        "encoder_ffn_dim": 2 * size,
        "output_dim": size,
    }
    if family == "qwen2_5_omni":
        rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}
        config = t.Qwen2_5OmniThinkerConfig(
            text_config=text | {"rope_parameters": rope, "tie_word_embeddings": False},
            audio_config=audio,
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": size,
            },
            audio_token_index=token("<|AUDIO|>"),
            image_token_index=token("<|IMAGE|>"),
            video_token_index=token("<|VIDEO|>"),
            audio_start_token_id=token("<|audio_bos|>"),
            audio_end_token_id=token("<|audio_eos|>"),
            vision_start_token_id=token("<|vision_bos|>"),
        )
        return t.Qwen2_5OmniThinkerForConditionalGeneration(config).eval()
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2], "mrope_interleaved": True}
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": size, "head_dim": 8}
    config = t.Qwen3OmniMoeThinkerConfig(
        text_config=text | moe | {"rope_parameters": rope},
        audio_config=audio | {"downsample_hidden_size": 8},
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": size,
            "deepstack_visual_indexes": [],
        },
        audio_token_id=token("<|audio_pad|>"),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        audio_start_token_id=token("<|audio_start|>"),
        audio_end_token_id=token("<|audio_end|>"),
        vision_start_token_id=token("<|vision_start|>"),
    )
    return t.Qwen3OmniMoeThinkerForConditionalGeneration(config).eval()


def utterance(seed: int, duration_s: float = 1.0) -> Utterance:
    """A wobbling tone in noise, different for each seed."""
    random = np.random.default_rng(seed)
    t = np.arange(int(16_000 * duration_s)) / 16_000
    pitch = random.uniform(90, 400) * (1 + 0.2 * np.sin(2 * np.pi * random.uniform(1, 6) * t))
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / 16_000) + 0.05 * random.standard_normal(t.size)
    return utterance_from_samples(wave.astype(np.float32), 16_000)
