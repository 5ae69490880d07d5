"""Models that remember: forward results by utterance, prompt and prefix of caption ids.

A sweep captions one clip under many settings, and all of them draft mostly the same tokens. A `MemoModel` is a
`SpeechModel` whose streams share one key-value cache a clip and look a prefix up before they compute it, so that the
second setting costs little more than its arithmetic. `StreamDrafter` and `TorchVerifier` take it as any other model:

    drafter, link = StreamDrafter(MemoModel.of(edge)), LocalLink(TorchVerifier(MemoModel.of(verifier)))

What is remembered is what was computed first, by whichever block reached it. A plain stream may read the same token in
a block of another length, where float32 rounds otherwise: figures agree to about 1e-5, tokens and ranks are the same
but for ties within that. Prefill times of remembered clips mean nothing, so no clock is read from such runs. Not safe
for two threads at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from ugsd_core.acoustic import AcousticCode
from ugsd_core.models.caption_stream import CaptionStream, Logits
from ugsd_core.models.prompts import Language
from ugsd_core.models.speech_model import SpeechModel

__all__ = ["MemoModel", "MemoStream"]

#: Clips remembered at a time; sweeps go clip by clip, in one or two languages.
CLIPS_KEPT = 4

Prefix = tuple[int, ...]


@dataclass
class _ClipMemory:
    """What is known of one clip under one prompt: rows by the prefix that they stand behind."""

    stream: CaptionStream
    held: list[int] = field(default_factory=list)
    hidden: dict[Prefix, torch.Tensor] = field(default_factory=dict)
    logits: dict[Prefix, Logits] = field(default_factory=dict)


class MemoModel(SpeechModel):
    """A `SpeechModel` whose streams remember; made with `of`."""

    @classmethod
    def of(cls, model: SpeechModel) -> MemoModel:
        """The same weights with a memory."""
        return cls(**{entry.name: getattr(model, entry.name) for entry in fields(model)})

    @cached_property
    def _clips(self) -> OrderedDict[tuple[str, str, str], _ClipMemory]:
        return OrderedDict()

    @cached_property
    def _heard(self) -> OrderedDict[bytes, torch.Tensor]:
        return OrderedDict()

    def audio_embeddings(self, features: Logits) -> torch.Tensor:
        """Tower output of one clip, the same for every prompt and language."""
        key = sha256(features.tobytes()).digest()
        heard = self._heard.get(key)
        if heard is None:
            heard = self._heard[key] = super().audio_embeddings(features)
            while len(self._heard) > CLIPS_KEPT:
                self._heard.popitem(last=False)
        return heard

    def open(self, code: AcousticCode, prompt: str | None, language: Language) -> MemoStream:
        """Read the request (prefill), or remember it."""
        key = (code.sha256, prompt or self.prompt, language)
        memory = self._clips.pop(key, None)
        if memory is None:
            memory = _ClipMemory(super().open(code, prompt, language))
            while len(self._clips) >= CLIPS_KEPT:
                self._clips.popitem(last=False)
        self._clips[key] = memory
        return MemoStream(self, memory)


class MemoStream(CaptionStream):
    """A caption stream over a clip's memory; computes only what no stream of the clip has computed before.

    Whatever a plain stream knows of the request (such as a head's posterior) is read from the clip's own stream.
    """

    def __init__(self, model: SpeechModel, memory: _ClipMemory) -> None:
        self._model = model
        self._memory = memory
        self._ids: list[int] = []

    def __getattr__(self, name: str) -> Any:
        # Only reached for what a plain stream sets in its own initialiser, which is never run here.
        return getattr(self.__dict__["_memory"].stream, name)

    def logits(self, hidden: torch.Tensor, prefix: Sequence[int] | None = None) -> Logits:
        """As the clip's own stream has it."""
        return self._memory.stream.logits(hidden, self._ids if prefix is None else prefix)

    def next_hidden(self) -> torch.Tensor:
        """Hidden state (1, hidden) from which the token at position ``length`` is predicted."""
        self._compute([])
        return self._memory.hidden[tuple(self._ids)]

    def next_logits(self) -> Logits:
        """Logits (V,) of the token at position ``length``."""
        self._compute([])
        return self._row(tuple(self._ids))

    def feed(self, ids: Sequence[int], *, rows: int) -> Logits:
        """Append ids; as `CaptionStream.feed`, without a forward pass where the prefix is known."""
        if rows > len(ids):
            self._compute([])
        self._compute(ids)
        self._ids.extend(ids)
        n = len(self._ids)
        return np.stack([self._row(tuple(self._ids[:end])) for end in range(n - rows + 1, n + 1)])

    def truncate(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on.

        Raises:
            ValueError: If more would be kept than is held.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        del self._ids[length:]

    def _row(self, prefix: Prefix) -> Logits:
        row = self._memory.logits.get(prefix)
        if row is None:
            with torch.inference_mode():
                row = self._memory.logits[prefix] = self._memory.stream.logits(self._memory.hidden[prefix], prefix)[0]
        return row

    def _compute(self, ids: Sequence[int]) -> None:
        """Make the hidden states known behind every prefix that ends within ``ids``, in at most one forward pass."""
        memory = self._memory
        wanted = [*self._ids, *ids]
        first = len(self._ids) + (1 if ids else 0)
        unknown = [end for end in range(first, len(wanted) + 1) if tuple(wanted[:end]) not in memory.hidden]
        if not unknown:
            return
        # Read on from the longest prefix that the key-value cache shares with what is wanted, but leave at least the
        # first unknown position to read.
        shared = 0
        while shared < min(len(memory.held), unknown[0] - 1) and memory.held[shared] == wanted[shared]:
            shared += 1
        with torch.inference_mode():
            if unknown[0] == 0:
                memory.hidden[()] = memory.stream._prompt_hidden
            missing = wanted[shared : unknown[-1]]
            if missing:
                memory.stream.truncate(shared)
                hidden = memory.stream._feed_hidden(missing)
                memory.held = wanted[: unknown[-1]]
                for offset, row in enumerate(hidden):
                    memory.hidden.setdefault(tuple(wanted[: shared + offset + 1]), row[None])
