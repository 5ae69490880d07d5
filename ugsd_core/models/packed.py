"""Tokens of many captions in one forward pass of one model.

Everything in a decoder layer but the attention looks at one token at a time. So the tokens of all captions are laid
one behind the other, as if they were one caption: no padding goes through the matrices, and none reaches the router
of a mixture of experts. Only the attention has to know whose token is whose, and is told by a `Plan`, which reaches
it through transformers' register of attention functions.

The keys and values of a caption stay in its own `KeyValues` from pass to pass. On the CPU each caption's attention
reads them where they lie; elsewhere, where every call costs a launch, they are copied into one padded block a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

__all__ = ["KeyValues", "Row", "can_pack", "enable_packing", "hidden_packed"]

#: Name of the attention function in transformers' register.
ATTENTION = "ugsd_packed"
#: Caption tokens for which room is made at once.
ROOM = 64
_NEVER = float("-inf")


class KeyValues:
    """Keys and values of one caption in all layers: one block of memory, written in place, with room to grow.

    What lies behind the caption's length is left over from rejected tokens and is never read.

    Attributes:
        block: Shape (layers, 2, heads, capacity, head width); keys, then values.
    """

    def __init__(self, cache: DynamicCache) -> None:
        layers: list[Any] = list(cache.layers)
        first = layers[0].keys
        _, heads, length, width = first.shape
        self.block: torch.Tensor = first.new_empty((len(layers), 2, heads, length + ROOM, width))
        for own, layer in zip(self.block, layers, strict=True):
            own[0, :, :length] = layer.keys[0]
            own[1, :, :length] = layer.values[0]

    @property
    def size_bytes(self) -> int:
        """Memory it takes."""
        return self.block.numel() * self.block.element_size()

    def reserve(self, length: int) -> None:
        """Make room for a caption of ``length`` positions, the request included."""
        capacity = self.block.shape[3]
        if length > capacity:
            shape = list(self.block.shape)
            shape[3] = max(length, capacity + ROOM)
            grown = self.block.new_empty(shape)
            grown[:, :, :, :capacity] = self.block
            self.block = grown


@dataclass(frozen=True, slots=True)
class Row:
    """The tokens that one caption brings to a pass: ``count`` of them, at positions ``start`` …"""

    held: KeyValues
    start: int
    count: int

    @property
    def end(self) -> int:
        """Position behind the last token."""
        return self.start + self.count


class Plan(Protocol):
    """How the tokens of a pass attend. Made for one pass."""

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        """Store a layer's keys and values (1, heads, tokens, width); the attention (1, tokens, heads, width)."""


class _InPlace:
    """Row by row, each from its own memory. Nothing is copied and nothing padded."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._masks: list[torch.Tensor] | None = None

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        heads, groups, width = query.shape[1], query.shape[1] // key.shape[1], query.shape[3]
        if self._masks is None:
            self._masks = [_causal(row, query).repeat(groups, 1) for row in self._rows]
        pair = torch.cat((key, value))
        result = query.new_empty((query.shape[2], heads, width))
        begin = 0
        for row, mask in zip(self._rows, self._masks, strict=True):
            end = begin + row.count
            own = row.held.block[layer]
            own[:, :, row.start : row.end] = pair[:, :, begin:end]
            # Query heads that share a key head stand behind one another, so that keys need no repeating.
            asked = query[0, :, begin:end].reshape(1, -1, groups * row.count, width)
            keys, values = own[:1, :, : row.end], own[1:, :, : row.end]
            seen = F.scaled_dot_product_attention(asked, keys, values, attn_mask=mask, scale=scaling)
            result[begin:end] = seen.view(heads, row.count, width).transpose(0, 1)
            begin = end
        return result.unsqueeze(0)


class _Padded:
    """All rows at once, from one padded copy of their memory: few calls, however many rows."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        block = rows[0].held.block
        self._count = max(row.count for row in rows)
        length = max(row.end for row in rows)
        shape = (*block.shape[:2], len(rows), block.shape[2], length, block.shape[4])
        self._block = block.new_zeros(shape)  # zeros: what is masked must still be a number
        for index, row in enumerate(rows):
            self._block[:, :, index, :, : row.start] = row.held.block[:, :, :, : row.start]
        counts = torch.tensor([row.count for row in rows])
        row_of = torch.repeat_interleave(torch.arange(len(rows)), counts)
        place = torch.cat([torch.arange(row.count) for row in rows])
        starts = torch.tensor([row.start for row in rows])
        self._row_of, self._place = row_of.to(block.device), place.to(block.device)
        self._position = (starts[row_of] + place).to(block.device)
        reach = (starts[:, None] + torch.arange(self._count))[:, None, :, None]
        allowed = torch.arange(length) <= reach
        self._mask = torch.zeros(allowed.shape, dtype=block.dtype).masked_fill_(~allowed, _NEVER).to(block.device)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        heads, groups, width = query.shape[1], query.shape[1] // key.shape[1], query.shape[3]
        keys, values = self._block[layer]
        # Indexed at two places with a slice between them: the indexed dimensions come first.
        keys[self._row_of, :, self._position] = key[0].transpose(0, 1)
        values[self._row_of, :, self._position] = value[0].transpose(0, 1)
        asked = query.new_zeros((len(self._rows), self._count, heads, width))
        asked[self._row_of, self._place] = query[0].transpose(0, 1)
        folded = asked.transpose(1, 2).reshape(len(self._rows), heads // groups, groups * self._count, width)
        mask = self._mask.repeat(1, 1, groups, 1)
        seen = F.scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=scaling)
        seen = seen.view(len(self._rows), heads, self._count, width).transpose(1, 2)
        return seen[self._row_of, self._place].unsqueeze(0)

    def store(self) -> None:
        """Give each caption its new keys and values."""
        for index, row in enumerate(self._rows):
            row.held.block[:, :, :, row.start : row.end] = self._block[:, :, index, :, row.start : row.end]


def _causal(row: Row, like: torch.Tensor) -> torch.Tensor:
    """Additive mask (count, end): a token sees what stands before it, and itself."""
    mask = like.new_zeros((row.count, row.end))
    mask[:, row.start :] = torch.full((row.count, row.count), _NEVER).triu_(1)
    return mask


# ── Within transformers ───────────────────────────────────────────────────────────────────────────────────────────


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    plan: Plan | None = None,
    **others: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The plan's attention; without one, the ordinary one."""
    if plan is None:
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
        return result
    return plan.attend(int(module.layer_idx), query, key, value, scaling), None


def can_pack(model: Any) -> bool:
    """Whether a thinker's passes can be shared: it looks at the whole caption, on one device."""
    config = model.config.get_text_config()
    whole = all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or ())
    devices = {weight.device for weight in model.model.language_model.parameters()}
    return whole and not getattr(config, "use_sliding_window", False) and len(devices) == 1


def enable_packing(model: Any) -> None:
    """Let a thinker's decoder take a `Plan`; without one it computes as before."""
    AttentionInterface.register(ATTENTION, _attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    model.model.language_model.config._attn_implementation = ATTENTION


def hidden_packed(
    language_model: Any, embeds: torch.Tensor, rows: Sequence[Row], *, padded: bool | None = None
) -> torch.Tensor:
    """Last hidden states of the tokens of many captions.

    Args:
        language_model: The decoder of a thinker that `enable_packing` saw.
        embeds: Shape (tokens, hidden), the rows' tokens one row behind the other.
        rows: Whose they are; no caption twice. Their keys and values are stored. If the pass fails, nothing that
            anybody reads has changed.
        padded: Which of the two ways of attending; None chooses by the device.

    Returns:
        Shape (tokens, hidden).
    """
    for row in rows:
        row.held.reserve(row.end)
    padded = embeds.device.type != "cpu" if padded is None else padded
    plan: _Padded | _InPlace = _Padded(rows) if padded else _InPlace(rows)
    positions = torch.cat([torch.arange(row.start, row.end) for row in rows]).to(embeds.device)
    output = language_model(
        inputs_embeds=embeds.unsqueeze(0),
        position_ids=positions.expand(3, 1, -1),
        # One for all tokens would be built for nothing; a decoder that asks for a mapping has kinds of layers.
        attention_mask=None,
        use_cache=False,
        plan=plan,
    )
    if isinstance(plan, _Padded):
        plan.store()
    states: torch.Tensor = output.last_hidden_state[0]
    return states
