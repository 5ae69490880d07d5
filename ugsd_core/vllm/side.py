"""What stays here of a checkpoint whose decoder runs at a vLLM server: tokenizer, prompts and sizes, and no weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ugsd_core.acoustic import AcousticCode, FeatureSpec
from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.messages import VerifierInfo
from ugsd_core.models.emotion_tokens import EmotionTokens
from ugsd_core.models.families import Family
from ugsd_core.models.prompts import Language, prompt_ids
from ugsd_core.models.text import TokenBytes

__all__ = ["VllmSide"]


@dataclass(frozen=True, eq=False)
class VllmSide:
    """The parts of `ugsd_core.models.speech_model.SpeechModel` that need no weights.

    Attributes:
        audio_config: Of the checkpoint's tower.
        info: The same name and fingerprints that the whole checkpoint would have.
        end_of_turn_id: Ends a caption.
        end_ids: All that do.
    """

    tokenizer: Any
    family: Family
    features: FeatureSpec
    prompt: str
    audio_config: Any
    info: VerifierInfo
    token_bytes: TokenBytes
    end_of_turn_id: int
    end_ids: frozenset[int]

    @classmethod
    def load(cls, checkpoint: str | Path) -> VllmSide:
        """Read a checkpoint's config and tokenizer.

        Raises:
            CheckpointError: If they are missing, damaged or of an unknown type.
            OptionError: If the checkpoint's logits are changed behind its decoder, which a vLLM server does not do.
        """
        from ugsd_core.models.caption_model import END_OF_TURN, shared_vocabulary_fingerprint
        from ugsd_core.models.loading import read_description

        found = read_description(checkpoint)
        about = found.about
        if about.head_weight or about.say_once:
            raise OptionError(
                f"{about.name} changes its logits behind the decoder (an emotion head, or words said once), which a "
                "vLLM server does not do; serve it without --vllm"
            )
        end = found.tokenizer.convert_tokens_to_ids(END_OF_TURN)
        if end is None or end == found.tokenizer.unk_token_id:
            raise CheckpointError(f"{about.name}: the tokenizer has no {END_OF_TURN} token")
        size = int(end) + 1
        ends = {int(end), *(token_id for token_id in found.ends if 0 <= token_id < size)}
        info = VerifierInfo(
            name=about.name,
            tokenizer_fingerprint=shared_vocabulary_fingerprint(found.tokenizer, size),
            feature_fingerprint=about.features.fingerprint,
            vocabulary_size=size,
        )
        return cls(
            found.tokenizer,
            found.family,
            about.features,
            about.prompt,
            found.audio_config,
            info,
            TokenBytes(found.tokenizer),
            int(end),
            frozenset(ends),
        )

    @property
    def vocabulary_size(self) -> int:
        """Size of the shared vocabulary."""
        return self.info.vocabulary_size

    @cached_property
    def _emotion_tokens(self) -> dict[str, EmotionTokens]:
        return {}

    def emotion_tokens(self, language: str) -> EmotionTokens:
        """Which of its tokens name an emotion in a language."""
        known = self._emotion_tokens.get(language)
        if known is None:
            known = self._emotion_tokens[language] = EmotionTokens(self.tokenizer, language, self.vocabulary_size)
        return known

    def request_ids(self, code: AcousticCode, prompt: str | None, language: Language) -> tuple[list[int], int, int]:
        """Token ids of a whole request, and where in them the audio placeholders stand: (ids, offset, length).

        Raises:
            CheckpointError, OptionError: As `prompt_ids`, and if the code does not fit the checkpoint.
        """
        if code.n_mels != self.features.n_mels:
            raise CheckpointError(
                f"{self.info.name} reads {self.features.n_mels} mel bins, but the code has {code.n_mels}"
            )
        length = self.family.n_audio(code.n_frames, self.audio_config)
        markers = self.family.markers
        ids = prompt_ids(self.tokenizer, markers, prompt or self.prompt, language, length)
        return ids, ids.index(self.tokenizer.convert_tokens_to_ids(markers.pad)), length
