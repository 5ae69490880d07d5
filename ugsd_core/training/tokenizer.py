"""The tokenizer of the embedded pair: byte-level BPE over the words of the captions.

It is trained on separate words rather than on sentences, and Chinese is cut at those same words first, so every
emotion or cue word is one token and no token holds two of them. That is what lets a gate look at "the emotion word".
All 256 bytes are in the base vocabulary: any text encodes, and decodes to itself.
"""

from __future__ import annotations

import re
from typing import Any

from ugsd_core.models.prompts import PROMPTS
from ugsd_core.training.grammar import vocabulary

__all__ = ["CHAT_TEMPLATE", "SPECIAL_TOKENS", "build_tokenizer"]

# After the base vocabulary, in this order; two checkpoints share the ids up to and including <|im_end|>.
SPECIAL_TOKENS: tuple[str, ...] = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|audio_bos|>",
    "<|AUDIO|>",
    "<|audio_eos|>",
    "<|vision_bos|>",
    "<|IMAGE|>",
    "<|VIDEO|>",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_ENGLISH_PIECE = re.compile(r"'s|\s?[A-Za-z]+|\s+|[^\sA-Za-z]")
_CHINESE_PROMPT_WORDS = ("描述", "这段", "语音", "的", "情感", "措辞")


def _words() -> list[str]:
    """Every word of captions and of the request, once, in a fixed order."""
    request = [*_ENGLISH_PIECE.findall(PROMPTS["worded-1"].en), "user", "assistant", "\n"]
    return list(dict.fromkeys([*vocabulary(), *request, *_CHINESE_PROMPT_WORDS]))


def build_tokenizer() -> Any:
    """Train the tokenizer (a fraction of a second, always the same result).

    Returns:
        A transformers fast tokenizer with special tokens and chat template.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = _words()
    chinese = sorted((word for word in words if not word.isascii()), key=lambda word: (-len(word), word))
    pattern = "|".join([*map(re.escape, chinese), r"'s", r" ?[A-Za-z]+", r"\s+", r"[^\sA-Za-z]"])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,  # far above what the words need: merging stops when every word is one token
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[t for t in SPECIAL_TOKENS if t not in ("<|endoftext|>", "<|im_end|>")],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )
