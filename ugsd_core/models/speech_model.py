"""A loaded thinker with its tokenizer: reads a request, gives hidden states and logits, opens caption streams.

Several streams (`ugsd_core.models.caption_stream`) may share one `SpeechModel`, from several threads: positions are
always passed, so nothing about an utterance is kept on the module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from ugsd_core.acoustic import AcousticCode
from ugsd_core.models.caption_model import CaptionModel, Description, Logits, described
from ugsd_core.models.caption_stream import CaptionStream
from ugsd_core.models.emotion_head import EmotionHead
from ugsd_core.models.families import Family
from ugsd_core.models.prompts import Language

__all__ = ["SpeechModel"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SpeechModel(CaptionModel):
    """A `CaptionModel` that transformers computes.

    Attributes:
        model: The transformers thinker, in evaluation mode.
    """

    model: Any

    @property
    def backend(self) -> str:
        """What computes it."""
        return "torch"

    @classmethod
    def create(
        cls,
        model: Any,
        tokenizer: Any,
        family: Family,
        about: Description,
        *,
        head: EmotionHead | None = None,
        folder: Path | None = None,
    ) -> SpeechModel:
        """Join model and tokenizer, checking that they fit.

        Raises:
            CheckpointError: As `described`.
        """
        facts = described(
            tokenizer,
            family,
            about,
            logit_rows=model.lm_head.out_features,
            audio_id=_audio_id(model.config),
            eos=getattr(model.generation_config, "eos_token_id", None),
            head=head,
            folder=folder,
        )
        return cls(model=model, **facts)

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
        ids = self.request_ids(code, prompt, language, self.model.config.audio_config)
        audio = self.audio_embeddings(code.features())
        self.check_tower(audio.shape[0], ids, _audio_id(self.model.config))
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


def _audio_id(config: Any) -> int:
    """The audio placeholder's id, whatever the family calls the field."""
    value = getattr(config, "audio_token_index", None)
    return int(config.audio_token_id if value is None else value)
