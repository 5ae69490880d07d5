"""A loaded thinker with its tokenizer: reads a request, gives hidden states and logits, opens caption streams.

Several streams (`ugsd_core.models.caption_stream`) may share one `SpeechModel`, from several threads: positions are
always passed, so nothing about an utterance is kept on the module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from ugsd_core.acoustic import AcousticCode, FeatureSpec
from ugsd_core.errors import CheckpointError
from ugsd_core.messages import VerifierInfo
from ugsd_core.models.caption_stream import CaptionStream, Logits
from ugsd_core.models.emotion_head import EmotionHead
from ugsd_core.models.emotion_tokens import EmotionTokens
from ugsd_core.models.families import Family
from ugsd_core.models.prompts import Language, prompt_ids
from ugsd_core.models.text import TokenBytes

__all__ = ["SpeechModel", "shared_vocabulary_fingerprint"]

END_OF_TURN = "<|im_end|>"
#: The head never holds a label for less likely than this beside its favourite.
LEAST_ODDS = 1e-4


def shared_vocabulary_fingerprint(tokenizer: Any, size: int) -> str:
    """SHA-256 (hex) over the strings of ids 0…size−1: equal if and only if the two sides' ids mean the same."""
    digest = hashlib.sha256()
    for token in tokenizer.convert_ids_to_tokens(list(range(size))):
        digest.update(str(token).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class SpeechModel:
    """A thinker with its tokenizer, ready to write captions.

    The *shared vocabulary* is every id up to and including the end-of-turn token. In the Qwen families that is the
    base vocabulary plus ``<|endoftext|>``, ``<|im_start|>``, ``<|im_end|>``, on which all of them agree; the audio
    and vision tokens behind it differ, and so do the padded logit rows. Logits are cut to it before anything else.

    Attributes:
        model: The transformers thinker, in evaluation mode.
        features: The acoustic code it reads.
        prompt: Name of its default prompt.
        name: For people.
        head: Its auxiliary emotion head, if it has one.
        head_weight: How much the head has a say in which emotion is named (`head_bias`); 0 leaves it to the text.
        say_once: Tokens that a caption holds once at most: a voice is not "high and high".
        wordings: Prompts that ask for the same caption in different wordings; empty if it knows only `prompt`.
        folder: Where it was loaded from; None for a name on the hub.
    """

    model: Any
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

    @classmethod
    def create(
        cls,
        model: Any,
        tokenizer: Any,
        family: Family,
        features: FeatureSpec,
        prompt: str,
        name: str,
        *,
        head: EmotionHead | None = None,
        wordings: tuple[str, ...] = (),
        folder: Path | None = None,
        head_weight: float = 0.0,
        say_once: tuple[str, ...] = (),
    ) -> SpeechModel:
        """Join model and tokenizer, checking that they fit.

        Raises:
            CheckpointError: If special tokens are missing, the model has fewer logit rows than shared ids, or what is
                to be said once is not one token.
        """
        end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
        if end is None or end == tokenizer.unk_token_id:
            raise CheckpointError(f"{name}: the tokenizer has no {END_OF_TURN} token, so a caption could never end")
        size = int(end) + 1
        if model.lm_head.out_features < size:
            raise CheckpointError(f"{name}: the model has fewer logit rows than its tokenizer has shared ids ({size})")
        if tokenizer.convert_tokens_to_ids(family.markers.pad) != _audio_id(model.config):
            raise CheckpointError(f"{name}: tokenizer and model disagree on which token stands for audio")
        ends = {int(end)}
        configured = getattr(model.generation_config, "eos_token_id", None)
        for token_id in configured if isinstance(configured, list) else [configured]:
            if token_id is not None and 0 <= token_id < size:
                ends.add(int(token_id))
        info = VerifierInfo(
            name=name,
            tokenizer_fingerprint=shared_vocabulary_fingerprint(tokenizer, size),
            feature_fingerprint=features.fingerprint,
            vocabulary_size=size,
        )
        return cls(
            model,
            tokenizer,
            family,
            features,
            prompt,
            name,
            int(end),
            frozenset(ends),
            info,
            TokenBytes(tokenizer),
            head,
            wordings,
            folder,
            head_weight,
            frozenset(_one_token(tokenizer, text, name) for text in say_once),
        )

    @property
    def vocabulary_size(self) -> int:
        """Size of the shared vocabulary."""
        return self.info.vocabulary_size

    @cached_property
    def embedding(self) -> Any:
        """The input embedding; looked up once, since every token goes through it."""
        return self.model.get_input_embeddings()

    @cached_property
    def device(self) -> torch.device:
        """Where inputs must be."""
        device: torch.device = self.embedding.weight.device
        return device

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

    def wording(self, utterance: str) -> str | None:
        """The prompt that asks for an utterance's wording, always the same one; None if there is nothing to choose.

        Args:
            utterance: Id of the utterance, hexadecimal.
        """
        return self.wordings[int(utterance[:8] or "0", 16) % len(self.wordings)] if self.wordings else None

    @cached_property
    def language_model(self) -> Any:
        """The decoder, without its head."""
        return self.model.model.language_model

    def audio_embeddings(self, features: Logits) -> torch.Tensor:
        """Tower output of one clip.

        Args:
            features: Log-mel spectrogram (n_mels, n_frames).

        Returns:
            Shape (n_audio, hidden).
        """
        mel = torch.from_numpy(np.ascontiguousarray(features)).to(self.device).unsqueeze(0)
        mask = torch.ones(1, mel.shape[-1], dtype=torch.long, device=mel.device)
        output = self.model.get_audio_features(mel, feature_attention_mask=mask)
        states: torch.Tensor = output.last_hidden_state
        return states

    def request(self, code: AcousticCode, prompt: str | None, language: Language) -> torch.Tensor:
        """Embeddings of the whole request, audio in its place.

        Args:
            code: The acoustic code; must be of this checkpoint's kind.
            prompt: Prompt name, None for the checkpoint's own.
            language: Of the caption.

        Returns:
            Shape (1, n, hidden).

        Raises:
            CheckpointError: If the code does not fit, or the tower's output does not fill the placeholders: too few
                placeholders would misalign in silence.
        """
        return self.read_request(code, prompt, language)[0]

    def read_request(
        self, code: AcousticCode, prompt: str | None, language: Language
    ) -> tuple[torch.Tensor, NDArray[np.float32] | None]:
        """As `request`, and what the emotion head makes of the same audio vectors.

        Returns:
            Embeddings (1, n, hidden), and the head's label posterior (9,); None without a head.
        """
        if code.n_mels != self.features.n_mels:
            raise CheckpointError(f"{self.name} reads {self.features.n_mels} mel bins, but the code has {code.n_mels}")
        expected = self.family.n_audio(code.n_frames, self.model.config.audio_config)
        ids = prompt_ids(self.tokenizer, self.family.markers, prompt or self.prompt, language, expected)
        audio = self.audio_embeddings(code.features())
        if audio.shape[0] != expected:
            raise CheckpointError(
                f"{self.name}: the audio tower gave {audio.shape[0]} vectors where {expected} placeholders stand"
            )
        id_tensor = torch.tensor(ids, dtype=torch.long, device=self.device)
        embeds: torch.Tensor = self.embedding(id_tensor)
        embeds[id_tensor == _audio_id(self.model.config)] = audio.to(embeds)
        posterior = None if self.head is None else self.head.posterior(audio.float().mean(dim=0).cpu().numpy())
        return embeds.unsqueeze(0), posterior

    def hidden(self, inputs_embeds: torch.Tensor, start: int, cache: DynamicCache) -> torch.Tensor:
        """Last hidden states (n, hidden) of embeddings (1, n, hidden) that stand at positions start…; fills the cache.

        Rope positions of audio + text are simply 0…n−1, the same in all three planes.
        """
        n = inputs_embeds.shape[1]
        positions = torch.arange(start, start + n, device=inputs_embeds.device).expand(3, 1, n)
        output = self.language_model(
            inputs_embeds=inputs_embeds, position_ids=positions, past_key_values=cache, use_cache=True
        )
        states: torch.Tensor = output.last_hidden_state[0]
        return states

    def logits(self, hidden: torch.Tensor) -> Logits:
        """Logits over the shared vocabulary: (n, hidden) -> float32 (n, V)."""
        rows: torch.Tensor = self.model.lm_head(hidden)[..., : self.vocabulary_size]
        result: Logits = rows.float().cpu().numpy()
        return result

    def open(self, code: AcousticCode, prompt: str | None, language: Language) -> CaptionStream:
        """Read the request (prefill) and stand ready for the caption's first token."""
        return CaptionStream(self, code, prompt, language)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of caption ids, special tokens left out."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def _one_token(tokenizer: Any, text: str, name: str) -> int:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise CheckpointError(f"{name}: ugsd.json wants {text!r} said once, which is not one token here")
    return int(ids[0])


def _audio_id(config: Any) -> int:
    """The audio placeholder's id, whatever the family calls the field."""
    value = getattr(config, "audio_token_index", None)
    return int(config.audio_token_id if value is None else value)
