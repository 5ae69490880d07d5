"""Greedy captions of a split, and whether they name the right emotion.

The emotion is read *from the caption* with `ugsd_core.lexicon`: what counts is what a reader is told.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from ugsd_core.errors import CheckpointError
from ugsd_core.lexicon import emotions_in
from ugsd_core.models.prompts import WORDINGS, Language, prompt_ids
from ugsd_core.training.batches import MARKERS, audio_tokens
from ugsd_core.training.data import Example

if TYPE_CHECKING:
    from ugsd_core.models.speech_model import SpeechModel

__all__ = ["Captioned", "caption_examples", "evaluate_checkpoint", "summarise"]


@dataclass(frozen=True, slots=True)
class Captioned:
    """A clip and the caption that a model wrote for it."""

    example: Example
    language: Language
    text: str

    @property
    def right(self) -> bool:
        """Whether the first emotion that the caption names is the clip's label."""
        return emotions_in(self.text, self.language)[:1] == (self.example.clip.label,)


def caption_examples(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    languages: Sequence[Language],
    *,
    prompt: str = "worded",
    batch_size: int = 32,
    max_tokens: int = 48,
    bias: Callable[[Any, Language], Any] | None = None,
    say_once: frozenset[int] = frozenset(),
) -> list[Captioned]:
    """Greedy captions, one language per example, in the order given.

    Args:
        model: A whole model.
        tokenizer: Its tokenizer.
        examples: What to caption, as recorded.
        languages: One for each.
        prompt: As ``ugsd.json`` names it; ``"worded"`` asks each clip for a wording of its own.
        batch_size: Clips in a batch, which are alike in length.
        max_tokens: Where a caption ends at the latest.
        bias: From an example's audio vectors (n_audio, width) and its language to what is added to its logits (V,).
        say_once: As in `SpeechModel`; needs ``bias``.
    """
    order = sorted(range(len(examples)), key=lambda index: examples[index].code.n_frames)
    texts: dict[int, str] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [(examples[i], languages[i], prompt_of(prompt, examples[i])) for i in chosen]
        texts.update(zip(chosen, _greedy(model, tokenizer, batch, max_tokens, bias, say_once), strict=True))
    return [Captioned(examples[i], languages[i], texts[i]) for i in range(len(examples))]


def prompt_of(prompt: str, example: Example) -> str:
    """The prompt that an example is asked with: its own wording, from a hash of its id, if the prompt has wordings."""
    return f"worded-{1 + crc32(example.clip.id.encode()) % WORDINGS}" if prompt == "worded" else prompt


Asked = tuple[Example, Language, str]


def _prefix(model: Any, tokenizer: Any, batch: Sequence[Asked]) -> tuple[Any, Any, Sequence[Any]]:
    """Left-padded request embeddings (batch, length, width), their mask (batch, length), and each example's audio."""
    import torch

    features = [torch.from_numpy(example.code.features()) for example, _, _ in batch]
    padded = torch.nn.utils.rnn.pad_sequence([f.T for f in features], batch_first=True).transpose(1, 2)
    lengths = torch.tensor([f.shape[1] for f in features])
    frame_mask = (torch.arange(padded.shape[2]) < lengths[:, None]).long()
    audio = model.get_audio_features(padded, feature_attention_mask=frame_mask).last_hidden_state
    requests = [
        prompt_ids(tokenizer, MARKERS, prompt, language, audio_tokens(f.shape[1]))
        for f, (_, language, prompt) in zip(features, batch, strict=True)
    ]
    length = max(map(len, requests))
    ids = torch.tensor([[tokenizer.pad_token_id] * (length - len(r)) + r for r in requests])
    mask = torch.tensor([[0] * (length - len(r)) + [1] * len(r) for r in requests])
    embeddings = model.get_input_embeddings()(ids)
    where = ids == tokenizer.convert_tokens_to_ids(MARKERS.pad)
    if int(where.sum()) != audio.shape[0]:
        raise CheckpointError(f"the tower gave {audio.shape[0]} vectors for {int(where.sum())} audio placeholders")
    parts = audio.split([audio_tokens(f.shape[1]) for f in features])
    return embeddings.masked_scatter(where[..., None], audio.to(embeddings.dtype)), mask, parts


def _greedy(
    model: Any,
    tokenizer: Any,
    batch: Sequence[Asked],
    max_tokens: int,
    bias: Callable[[Any, Language], Any] | None,
    say_once: frozenset[int],
) -> list[str]:
    """Greedy captions of one batch; rows that have ended go on producing tokens that are cut off."""
    import torch
    from transformers import DynamicCache

    from ugsd_core.models.caption_stream import SAID

    with torch.inference_mode():
        inputs, mask, audio = _prefix(model, tokenizer, batch)
        added: Any = 0.0
        if bias is not None:
            added = torch.stack([bias(part, language) for part, (_, language, _) in zip(audio, batch, strict=True)])
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache = DynamicCache(config=model.config.text_config)
        written: list[Any] = []
        ended = torch.zeros(len(batch), dtype=torch.bool)
        for _ in range(max_tokens):
            hidden = model.model.language_model(
                inputs_embeds=inputs,
                attention_mask=mask,
                position_ids=positions[None].expand(3, -1, -1),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state[:, -1]
            chosen = (model.lm_head(hidden) + added).argmax(-1)
            written.append(chosen)
            for row, token_id in enumerate(chosen.tolist()):
                if token_id in say_once:
                    added[row, token_id] = SAID
            ended |= chosen == tokenizer.eos_token_id
            if bool(ended.all()):
                break
            inputs = model.get_input_embeddings()(chosen)[:, None]
            mask = torch.cat((mask, torch.ones_like(mask[:, :1])), dim=1)
            positions = positions[:, -1:] + 1
        rows = torch.stack(written, dim=1).tolist()
    eos = tokenizer.eos_token_id
    return [tokenizer.decode(row[: row.index(eos)] if eos in row else row) for row in rows]


def _head_bias(speech: SpeechModel) -> Callable[[Any, Language], Any]:
    """What a loaded model's emotion head adds to the logits of a caption, all rows of the model's output wide."""
    import torch

    def bias(audio: Any, language: Language) -> Any:
        row = torch.zeros(speech.model.lm_head.weight.shape[0])
        posterior = None if speech.head is None else speech.head.posterior(audio.float().mean(dim=0).numpy())
        found = speech.head_bias(posterior, language)
        if found is not None:
            row[: len(found)] = torch.from_numpy(found)
        return row

    return bias


def summarise(captioned: Sequence[Captioned]) -> dict[str, Any]:
    """Emotion accuracy per corpus and its macro mean over corpora, with counts, recalls and confusions.

    Returns:
        ``{"macro": float, "corpora": {name: {"n", "right", "accuracy", "recall": {label: [right, n]}}}, …}``.
    """
    groups: dict[str, list[Captioned]] = defaultdict(list)
    for one in captioned:
        groups[one.example.clip.corpus].append(one)
    corpora: dict[str, dict[str, Any]] = {}
    for corpus, rows in sorted(groups.items()):
        counts = Counter(row.example.clip.label for row in rows)
        hits = Counter(row.example.clip.label for row in rows if row.right)
        right = sum(hits.values())
        recall = {label: [hits[label], count] for label, count in sorted(counts.items())}
        corpora[corpus] = {"n": len(rows), "right": right, "accuracy": round(right / len(rows), 4), "recall": recall}
    macro = sum(row["right"] / row["n"] for row in corpora.values()) / len(corpora)
    unread = sum(not emotions_in(one.text, one.language) for one in captioned)
    return {"n": len(captioned), "macro": round(macro, 4), "without_emotion_word": unread, "corpora": corpora}


def evaluate_checkpoint(
    checkpoint: Path, examples: Sequence[Example], language: Language
) -> tuple[dict[str, Any], list[Captioned]]:
    """Open a checkpoint as any user would and caption the examples in one language.

    Returns:
        The figures of `summarise`, and the captions.
    """
    from transformers import AutoTokenizer

    from ugsd_core.models.loading import load_speech_model

    if not (checkpoint / "ugsd.json").is_file():
        raise CheckpointError(f"{checkpoint} holds no ugsd.json, so it is not a checkpoint of this program")
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    speech = load_speech_model(checkpoint)
    prompt = json.loads((checkpoint / "ugsd.json").read_text(encoding="utf-8"))["prompt"]
    captioned = caption_examples(
        speech.model,
        tokenizer,
        examples,
        [language] * len(examples),
        prompt=prompt,
        bias=_head_bias(speech),
        say_once=speech.say_once,
    )
    return {"language": language} | summarise(captioned), captioned
