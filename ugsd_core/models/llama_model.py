"""An edge whose decoder llama.cpp computes, for models of a real size on a CPU; torch computes the audio tower.

A folder of this kind has the checkpoint's ``config.json`` and tokenizer, its decoder in ``decoder.gguf``, and its audio
tower in ``tower.safetensors``, eight bits a value; ``ugsd checkpoints gguf`` makes it of any Qwen2.5-Omni checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode
from ugsd_core.cores import cores
from ugsd_core.errors import CheckpointError
from ugsd_core.models.caption_model import CaptionModel, described
from ugsd_core.models.gguf_file import DECODER
from ugsd_core.models.llama_decoder import LlamaDecoder, LlamaTape
from ugsd_core.models.prompts import Language

if TYPE_CHECKING:
    from ugsd_core.models.llama_stream import LlamaStream

__all__ = ["LlamaModel", "load_llama_model", "tower_of"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LlamaModel(CaptionModel):
    """A `CaptionModel` that llama.cpp computes; streams may share it, from several threads.

    Attributes:
        decoder: What writes captions.
        tower: Log-mel spectrogram (n_mels, n_frames) -> audio vectors (n_audio, width).
        audio_id: The placeholder for audio.
        audio_config: What ``config.json`` says of the tower.
    """

    decoder: LlamaDecoder
    tower: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    audio_id: int
    audio_config: Any

    @property
    def backend(self) -> str:
        """What computes it."""
        return "llama"

    def read_request(
        self, code: AcousticCode, prompt: str | None, language: Language
    ) -> tuple[list[int], NDArray[np.float32], list[int]]:
        """A request in its three parts: ids, audio vectors (n_audio, width), ids.

        Raises:
            CheckpointError: If the code does not fit.
        """
        ids = self.request_ids(code, prompt, language, self.audio_config)
        audio = self.tower(code.features())
        self.check_tower(audio.shape[0], ids, self.audio_id)
        start = ids.index(self.audio_id)
        return ids[:start], audio, ids[start + audio.shape[0] :]

    def tape(self, capacity: int) -> LlamaTape:
        """Room for a caption's keys and values."""
        return self.decoder.tape(capacity)

    def open(self, code: AcousticCode, prompt: str | None, language: Language) -> LlamaStream:
        """Read the request (prefill) and stand ready for the caption's first token."""
        from ugsd_core.models.llama_stream import LlamaStream

        return LlamaStream(self, code, prompt, language)


def load_llama_model(folder: Path, *, threads: int | None = None) -> LlamaModel:
    """Load a folder that ``ugsd checkpoints gguf`` made.

    Args:
        folder: The checkpoint.
        threads: Of llama.cpp; None takes one for each core.

    Raises:
        CheckpointError: If it is missing, damaged or of another kind.
        InstallationError: If llama.cpp does not run on this processor.
    """
    from ugsd_core.models.emotion_head import load_emotion_head
    from ugsd_core.models.loading import read_description
    from ugsd_core.models.tower_file import read_tower

    found = read_description(folder)
    name = str(folder)
    owner, config = read_tower(folder)
    audio_id = int(config.audio_token_index)
    decoder = LlamaDecoder(folder / DECODER, threads=threads or cores())
    if decoder.width != config.get_text_config().hidden_size:
        raise CheckpointError(
            f"{name}: {DECODER} reads vectors of {decoder.width} values, and config.json speaks of "
            f"{config.get_text_config().hidden_size}; they are of different checkpoints"
        )
    facts = described(
        found.tokenizer,
        found.family,
        found.about,
        logit_rows=decoder.rows,
        audio_id=audio_id,
        eos=found.ends,
        head=load_emotion_head(folder, decoder.width),
        folder=folder,
    )
    return LlamaModel(
        decoder=decoder, tower=tower_of(owner), audio_id=audio_id, audio_config=config.audio_config, **facts
    )


def tower_of(owner: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The tower of a thinker as a function."""
    import torch

    def tower(features: NDArray[np.float32]) -> NDArray[np.float32]:
        mel = torch.from_numpy(np.ascontiguousarray(features)).unsqueeze(0)
        mask = torch.ones(1, mel.shape[-1], dtype=torch.long)
        with torch.inference_mode():
            states = owner.get_audio_features(mel, feature_attention_mask=mask).last_hidden_state
        vectors: NDArray[np.float32] = states.float().numpy()
        return vectors

    return tower
