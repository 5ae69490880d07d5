"""Captions that are fed together: a `CaptionStream` whose forward passes can be shared with others.

`feed_together` does for many captions in one pass what `CaptionStream.feed` does for one, and gives the same logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ugsd_core.acoustic import AcousticCode
from ugsd_core.models.caption_stream import CaptionStream, Logits
from ugsd_core.models.packed import KeyValues, Row, hidden_packed
from ugsd_core.models.prompts import Language

if TYPE_CHECKING:
    from ugsd_core.models.speech_model import SpeechModel

__all__ = ["BatchedStream", "Feed", "feed_together"]


class BatchedStream(CaptionStream):
    """A caption with its keys and values in memory of its own, ready to share a pass with others.

    Its model must have been through `ugsd_core.models.packed.enable_packing`.
    """

    def __init__(self, model: SpeechModel, code: AcousticCode, prompt: str | None, language: Language) -> None:
        super().__init__(model, code, prompt, language)
        self.held = KeyValues(self._cache)
        del self._cache

    @property
    def size_bytes(self) -> int:
        """Memory of its keys and values."""
        return self.held.size_bytes

    @property
    def model(self) -> SpeechModel:
        """The model it is a caption of."""
        return self._model

    def truncate(self, length: int) -> None:
        """See `CaptionStream.truncate`; what is forgotten is overwritten later."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        if length < self.length:
            del self._ids[length:]
            self._last_hidden = None

    def known_hidden(self) -> torch.Tensor | None:
        """`next_hidden`, if that needs no forward pass."""
        return self._last_hidden if self._ids else self._prompt_hidden

    def take(self, ids: Sequence[int], start: int, hidden: torch.Tensor) -> None:
        """Hold ids from position ``start`` on, whose keys and values are stored.

        Args:
            hidden: Of their pass, (n, hidden).
        """
        self._ids[start:] = ids
        self._last_hidden = hidden[-1:].clone()  # a view would keep the whole pass in memory

    def _feed_hidden(self, ids: Sequence[int]) -> torch.Tensor:
        return _hidden_together([_Move(self, ids, self.length)])[0]


@dataclass(frozen=True, slots=True)
class Feed:
    """What one caption gets in a pass, as in `CaptionStream.feed`."""

    stream: BatchedStream
    ids: Sequence[int]
    rows: int


def feed_together(feeds: Sequence[Feed], *, padded: bool | None = None) -> list[Logits]:
    """Append ids to many captions of one model in one forward pass.

    Args:
        feeds: For each caption, once, what it gets. One that gets no ids is asked for its next prediction.
        padded: As in `hidden_packed`.

    Returns:
        For each its logits (rows, V), as `CaptionStream.feed` gives them.
    """
    with torch.inference_mode():
        moves: list[_Move] = []
        before: list[torch.Tensor | None] = []
        for feed in feeds:
            known = feed.stream.known_hidden() if feed.rows > len(feed.ids) else None
            move = _Move(feed.stream, feed.ids, feed.stream.length)
            if feed.rows > len(feed.ids) and known is None:  # dropped with a rejected suffix: read that token again
                move = _Move(feed.stream, (feed.stream.ids[-1], *feed.ids), feed.stream.length - 1)
            before.append(known)
            if move.ids:
                moves.append(move)
        fresh = iter(_hidden_together(moves, padded=padded))
        parts: list[torch.Tensor] = []
        for feed, known in zip(feeds, before, strict=True):
            found = [known] if known is not None else []
            if feed.ids or known is None:
                found.append(next(fresh))
            parts.append(torch.cat(found)[-feed.rows :])
        logits = feeds[0].stream.model.logits(torch.cat(parts))
        results: list[Logits] = []
        begin = 0
        for feed in feeds:
            results.append(feed.stream.adjusted(logits[begin : begin + feed.rows]))
            begin += feed.rows
        return results


@dataclass(frozen=True, slots=True)
class _Move:
    """Ids that go into a caption's cache from caption position ``start`` on."""

    stream: BatchedStream
    ids: Sequence[int]
    start: int


def _hidden_together(moves: Sequence[_Move], *, padded: bool | None = None) -> list[torch.Tensor]:
    """Feed ids to each caption; its hidden states (n, hidden). Nothing has changed if it fails."""
    if not moves:
        return []
    model = moves[0].stream.model
    with torch.inference_mode():
        tokens = torch.tensor([i for move in moves for i in move.ids], dtype=torch.long, device=model.device)
        rows = [Row(move.stream.held, move.stream.input_tokens + move.start, len(move.ids)) for move in moves]
        hidden = hidden_packed(model.language_model, model.embedding(tokens), rows, padded=padded)
        parts = list(torch.split(hidden, [row.count for row in rows]))
    for move, part in zip(moves, parts, strict=True):
        move.stream.take(move.ids, move.start, part)
    return parts
