"""What a loaded model knows besides its weights: tokenizer, prompts, emotion words, head; the same for every back end.

`SpeechModel` computes with torch, `OnnxModel` with onnxruntime. Neither is needed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode, FeatureSpec
from ugsd_core.errors import CheckpointError
from ugsd_core.messages import VerifierInfo
from ugsd_core.models.emotion_head import EmotionHead
from ugsd_core.models.emotion_tokens import EmotionTokens
from ugsd_core.models.families import Family
from ugsd_core.models.prompts import Language, prompt_parts
from ugsd_core.models.text import TokenBytes

__all__ = ["SAID", "CaptionModel", "Description", "Logits", "described", "shared_vocabulary_fingerprint"]

END_OF_TURN = "<|im_end|>"
#: The head never holds a label for less likely than this beside its favourite.
LEAST_ODDS = 1e-4
#: Logit of a word that was said already.
SAID = -1e4
Logits = NDArray[np.float32]


def shared_vocabulary_fingerprint(tokenizer: Any, size: int) -> str:
    """SHA-256 (hex) over the strings of ids 0…size−1: equal if and only if the two sides' ids mean the same."""
    digest = hashlib.sha256()
    for token in tokenizer.convert_ids_to_tokens(list(range(size))):
        digest.update(str(token).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Description:
    """What a checkpoint's ``ugsd.json`` says, or what stands for it in a folder without one.

    Attributes:
        features: The acoustic code it reads.
        prompt: Name of its default prompt.
        name: For people.
        wordings: Prompts that ask for the same caption in different wordings; empty if it knows only `prompt`.
        head_weight: How much the head has a say in which emotion is named; 0 leaves it to the text.
        say_once: Words that a caption holds once at most, spelt as their token is.
    """

    features: FeatureSpec
    prompt: str
    name: str
    wordings: tuple[str, ...] = ()
    head_weight: float = 0.0
    say_once: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class CaptionModel:
    """A thinker with its tokenizer, ready to write captions, whatever computes it.

    The *shared vocabulary* is every id up to and including the end-of-turn token. In the Qwen families that is the
    base vocabulary plus ``<|endoftext|>``, ``<|im_start|>``, ``<|im_end|>``, on which all of them agree; the audio
    and vision tokens behind it differ, and so do the padded logit rows. Logits are cut to it before anything else.

    Attributes:
        features: The acoustic code it reads.
        prompt: Name of its default prompt.
        name: For people.
        head: Its auxiliary emotion head, if it has one.
        head_weight: How much the head has a say in which emotion is named (`head_bias`); 0 leaves it to the text.
        say_once: Tokens that a caption holds once at most: a voice is not "high and high".
        wordings: Prompts that ask for the same caption in different wordings; empty if it knows only `prompt`.
        folder: Where it was loaded from; None for a name on the hub.
    """

    tokenizer: Any
    family: Family
    features: FeatureSpec
    prompt: str
    name: str
    end_of_turn_id: int
    end_ids: frozenset[int]
    info: VerifierInfo
    token_bytes: TokenBytes
    head: EmotionHead | None = None
    wordings: tuple[str, ...] = ()
    folder: Path | None = None
    head_weight: float = 0.0
    say_once: frozenset[int] = frozenset()

    @property
    def vocabulary_size(self) -> int:
        """Size of the shared vocabulary."""
        return self.info.vocabulary_size

    @cached_property
    def _emotion_tokens(self) -> dict[str, EmotionTokens]:
        return {}

    def emotion_tokens(self, language: str) -> EmotionTokens:
        """Which of its tokens name an emotion in a language; built once and shared."""
        known = self._emotion_tokens.get(language)
        if known is None:  # two threads may both build it: they build the same
            known = self._emotion_tokens[language] = EmotionTokens(self.tokenizer, language, self.vocabulary_size)
        return known

    def head_bias(self, posterior: NDArray[np.float32] | None, language: str) -> Logits | None:
        """What is added to the logits of a caption, so that emotion words weigh ``p_text · p_head ** head_weight``.

        Text and head read the same sound in two ways and err differently; their product names more emotions right
        than either. The head's favourite is left as it is and the words of other labels lose, so that no position
        gets more emotion words than the text wants.

        Args:
            posterior: Of the emotion head (9,); None without a head.
            language: Of the caption.

        Returns:
            Shape (V,), at most 0; None where there is nothing to add.
        """
        if posterior is None or self.head_weight == 0.0:
            return None
        tokens = self.emotion_tokens(language)
        bias = np.zeros(self.vocabulary_size, dtype=np.float32)
        for label, probability in enumerate(posterior / posterior.max()):
            bias[tokens.ids_of(label)] = self.head_weight * np.log(max(float(probability), LEAST_ODDS))
        return bias

    def adjusted(self, rows: Logits, bias: Logits | None, before: Sequence[int]) -> Logits:
        """Logits of a caption: the head's say is added, and what was said and is to be said once is out of question.

        Args:
            rows: The model's logits (n, V).
            bias: From `head_bias`.
            before: The caption before the token that the last row predicts; that before each other row's is one token
                shorter than the next one's.

        Returns:
            Shape (n, V); may be ``rows`` itself, changed.
        """
        if bias is not None:
            rows = rows + bias
        if self.say_once:
            for position, token_id in enumerate(before):
                if token_id in self.say_once:  # every row whose prefix holds that position
                    rows[max(0, position - len(before) + len(rows)) :, token_id] = SAID
        return rows

    def wording(self, utterance: str) -> str | None:
        """The prompt that asks for an utterance's wording, always the same one; None if there is nothing to choose.

        Args:
            utterance: Id of the utterance, hexadecimal.
        """
        return self.wordings[int(utterance[:8] or "0", 16) % len(self.wordings)] if self.wordings else None

    def request_ids(self, code: AcousticCode, prompt: str | None, language: Language, audio_config: Any) -> list[int]:
        """Ids of the whole request, a placeholder for each vector of the audio tower.

        Args:
            code: The acoustic code; must be of this checkpoint's kind.
            prompt: Prompt name, None for the checkpoint's own.
            language: Of the caption.
            audio_config: What ``config.json`` says of the tower.

        Raises:
            CheckpointError: If the code does not fit.
        """
        if code.n_mels != self.features.n_mels:
            raise CheckpointError(f"{self.name} reads {self.features.n_mels} mel bins, but the code has {code.n_mels}")
        expected = self.family.n_audio(code.n_frames, audio_config)
        before, pad, behind = self._prompt_parts(prompt or self.prompt, language)
        return [*before, *([pad] * expected), *behind]

    @cached_property
    def _known_prompts(self) -> dict[tuple[str, str], tuple[list[int], int, list[int]]]:
        return {}

    def _prompt_parts(self, prompt: str, language: Language) -> tuple[list[int], int, list[int]]:
        """Rendered once: a template takes longer than a token."""
        known = self._known_prompts.get((prompt, language))
        if known is None:  # two threads may both render it: they render the same
            known = prompt_parts(self.tokenizer, self.family.markers, prompt, language)
            self._known_prompts[prompt, language] = known
        return known

    def check_tower(self, vectors: int, ids: Sequence[int], audio_id: int) -> None:
        """Compare what the tower gave with the placeholders: too few would misalign in silence.

        Raises:
            CheckpointError: If they differ.
        """
        expected = ids.count(audio_id)
        if vectors != expected:
            raise CheckpointError(
                f"{self.name}: the audio tower gave {vectors} vectors where {expected} placeholders stand"
            )

    def decode(self, ids: Sequence[int]) -> str:
        """Text of caption ids, special tokens left out."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def described(
    tokenizer: Any,
    family: Family,
    about: Description,
    *,
    logit_rows: int,
    audio_id: int,
    eos: int | Iterable[int | None] | None,
    head: EmotionHead | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """The arguments of a `CaptionModel`, checking that tokenizer and model fit.

    Args:
        logit_rows: Of the model.
        audio_id: The model's placeholder for audio.
        eos: Tokens that end a text, as the generation config names them.

    Raises:
        CheckpointError: If special tokens are missing, the model has fewer logit rows than shared ids, or what is to
            be said once is not one token.
    """
    name = about.name
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    if end is None or end == tokenizer.unk_token_id:
        raise CheckpointError(f"{name}: the tokenizer has no {END_OF_TURN} token, so a caption could never end")
    size = int(end) + 1
    if logit_rows < size:
        raise CheckpointError(f"{name}: the model has fewer logit rows than its tokenizer has shared ids ({size})")
    if tokenizer.convert_tokens_to_ids(family.markers.pad) != audio_id:
        raise CheckpointError(f"{name}: tokenizer and model disagree on which token stands for audio")
    configured = [eos] if eos is None or isinstance(eos, int) else list(eos)
    ends = {int(end), *(int(i) for i in configured if i is not None and 0 <= i < size)}
    info = VerifierInfo(
        name=name,
        tokenizer_fingerprint=shared_vocabulary_fingerprint(tokenizer, size),
        feature_fingerprint=about.features.fingerprint,
        vocabulary_size=size,
    )
    return {
        "tokenizer": tokenizer,
        "family": family,
        "features": about.features,
        "prompt": about.prompt,
        "name": name,
        "end_of_turn_id": int(end),
        "end_ids": frozenset(ends),
        "info": info,
        "token_bytes": TokenBytes(tokenizer),
        "head": head,
        "wordings": about.wordings,
        "folder": folder,
        "head_weight": about.head_weight,
        "say_once": frozenset(_one_token(tokenizer, text, name) for text in about.say_once),
    }


def _one_token(tokenizer: Any, text: str, name: str) -> int:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise CheckpointError(f"{name}: ugsd.json wants {text!r} said once, which is not one token here")
    return int(ids[0])
