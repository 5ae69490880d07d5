"""An edge that onnxruntime computes: no torch, no transformers.

For the embedded edge and others of its kind: Qwen2.5-Omni thinkers whose weights are kept in eight bits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import CheckpointError
from ugsd_core.models.caption_model import CaptionModel, described
from ugsd_core.models.eight_bit import WEIGHTS, is_eight_bit
from ugsd_core.models.emotion_head import load_emotion_head
from ugsd_core.models.families import family_of
from ugsd_core.models.loading import check_folder, describe, read_own
from ugsd_core.models.onnx_graph import (
    Kernel,
    Sizes,
    Weights,
    decoder_graph,
    embedding_row,
    sinusoids,
    tower_graph,
)
from ugsd_core.models.onnx_reading import OnnxReading, reading_graph
from ugsd_core.models.onnx_tape import OnnxTape
from ugsd_core.models.plain_tokenizer import PlainTokenizer
from ugsd_core.models.prompts import Language

if TYPE_CHECKING:
    from ugsd_core.models.onnx_stream import OnnxStream

__all__ = ["OnnxModel", "load_onnx_model"]


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxModel(CaptionModel):
    """A `CaptionModel` that onnxruntime computes; streams may share it, from several threads.

    Attributes:
        sizes: Its shape.
        tower: Session of the audio tower.
        reader: Session of the decoder that reads requests: fast for many tokens at once.
        decoder: Session of the decoder that reads captions: fast for one or a few.
        reading_session: Session that reads a distribution from logits.
        embedding: Values (rows, width) int8 and scales (rows,) of the input embedding.
        head_matrix: The same of the output layer, cut to the shared vocabulary.
        rows_agree: Whether the decoder predicts the same, to rounding in 32 bits, for a token alone and among others;
            not where activations are rounded to eight bits, since one that lies between two levels may fall either way.
        audio_id: The placeholder for audio.
        audio_config: What ``config.json`` says of the tower.
    """

    sizes: Sizes
    tower: Any
    reader: Any
    decoder: Any
    reading_session: Any
    embedding: tuple[NDArray[np.int8], NDArray[np.float32]]
    head_matrix: tuple[NDArray[np.int8], NDArray[np.float32]]
    rows_agree: bool
    audio_id: int
    audio_config: Any
    _places: NDArray[np.float32] = field(repr=False)

    @property
    def backend(self) -> str:
        """What computes it."""
        return "onnx"

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Embeddings (n, width) of ids."""
        return embedding_row(*self.embedding, ids)

    def audio_embeddings(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tower output of one clip: log-mel spectrogram (n_mels, n_frames) -> (n_audio, width).

        Raises:
            CheckpointError: If the clip is longer than the tower reads at once.
        """
        frames = features.shape[1]
        places = (frames - 1) // 2 + 1
        if frames > 2 * self.sizes.n_window or places > self.sizes.positions:
            raise CheckpointError(
                f"{self.name}: onnxruntime reads at most {2 * self.sizes.n_window} frames here, and the clip has "
                f"{frames}; name the back end torch"
            )
        feed = {"mel": np.ascontiguousarray(features)[None], "places": self._places[None, :places]}
        vectors: NDArray[np.float32] = self.tower.run(["vectors"], feed)[0][0]
        return vectors

    def read_request(
        self, code: AcousticCode, prompt: str | None, language: Language
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Embeddings (1, n, width) of the request, audio in its place, and the head's label posterior (9,).

        Raises:
            CheckpointError: If the code does not fit.
        """
        ids = self.request_ids(code, prompt, language, self.audio_config)
        audio = self.audio_embeddings(code.features())
        self.check_tower(audio.shape[0], ids, self.audio_id)
        embeds = self.embeddings(ids)
        embeds[np.asarray(ids) == self.audio_id] = audio
        posterior = None if self.head is None else self.head.posterior(audio.mean(axis=0))
        return embeds[None], posterior

    def tape(self, capacity: int) -> OnnxTape:
        """Room for a caption's keys and values."""
        return OnnxTape(self.sizes, self.vocabulary_size, self.reader, self.decoder, capacity)

    def reading(self, row: NDArray[np.float32], k: int) -> OnnxReading:
        """What reads a caption's distributions, from where its passes leave their logits (V,)."""
        return OnnxReading(self.reading_session, row, k)

    @cached_property
    def output_layer(self) -> NDArray[np.float32]:
        """The output layer (V, width) in floats, for what the graph has no place for (MC-dropout)."""
        values, scales = self.head_matrix
        result: NDArray[np.float32] = values * scales[:, None]
        return result

    def open(self, code: AcousticCode, prompt: str | None, language: Language) -> OnnxStream:
        """Read the request (prefill) and stand ready for the caption's first token."""
        from ugsd_core.models.onnx_stream import OnnxStream

        return OnnxStream(self, code, prompt, language)


def load_onnx_model(
    folder: Path, *, threads: int = 1, tower: Kernel = "twice", reader: Kernel = "whole", decoder: Kernel = "rows"
) -> OnnxModel:
    """Load a checkpoint folder.

    Args:
        folder: The checkpoint; weights in eight bits.
        threads: Of onnxruntime.
        tower: How the audio tower's products are computed.
        reader: How the decoder's are that reads requests.
        decoder: How the decoder's are that reads captions.

    Raises:
        CheckpointError: If it is missing, damaged or of a kind that onnxruntime does not compute here.
    """
    from safetensors.numpy import load_file

    check_folder(folder)
    name = str(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not is_eight_bit(config):
        raise CheckpointError(f"{name} cannot be computed by onnxruntime here: its weights are not in eight bits")
    sizes = Sizes.read(name, config)
    tokenizer = PlainTokenizer(folder)
    eos_file = folder / "generation_config.json"
    eos = json.loads(eos_file.read_text(encoding="utf-8")).get("eos_token_id") if eos_file.is_file() else None
    audio_id = int(config["audio_token_index"])
    facts = described(
        tokenizer,
        family_of(config["model_type"]),
        describe(name, read_own(folder), sizes.n_mels),
        logit_rows=sizes.rows,
        audio_id=audio_id,
        eos=eos,
        head=load_emotion_head(folder, sizes.width),
        folder=folder,
    )
    try:
        weights = Weights(load_file(str(folder / WEIGHTS)))
        size = facts["info"].vocabulary_size
        writing = _session(decoder_graph(sizes, weights, size, decoder), threads)
        same = reader == decoder
        return OnnxModel(
            sizes=sizes,
            tower=_session(tower_graph(sizes, weights, tower), threads),
            reader=writing if same else _session(decoder_graph(sizes, weights, size, reader), threads),
            decoder=writing,
            reading_session=_session(reading_graph(size), threads),
            embedding=weights.matrix(["model.embed_tokens"]),
            head_matrix=weights.matrix(["model.embed_tokens" if sizes.tied else "lm_head"], size),
            rows_agree=decoder == "float",
            audio_id=audio_id,
            audio_config=SimpleNamespace(**config["audio_config"]),
            _places=sinusoids(sizes.positions, sizes.tower_width),
            **facts,
        )
    except Exception as error:  # safetensors and onnxruntime raise their own kinds; the person needs one sentence
        raise CheckpointError(f"{name} cannot be used: its weights cannot be loaded ({error})") from error


def _session(graph: bytes, threads: int) -> Any:
    """A session on the CPU that waits asleep: edge and verifier often share two cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
