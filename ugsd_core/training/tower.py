"""The audio tower over a padded batch.

The model's own forward packs clips end to end and attends to them one by one. That is right for one clip, but every
batch then has new matrix shapes, and on a CPU the kernels for a new shape cost more than the step itself. This forward
gives the same vectors from padded tensors, whose shapes repeat.
"""

from __future__ import annotations

from typing import Any

__all__ = ["padded_tower"]


def padded_tower(tower: Any, features: Any, lengths: Any, dropout: float = 0.0) -> tuple[Any, Any]:
    """The tower's output for a batch of clips.

    Args:
        tower: A `Qwen2_5OmniAudioEncoder` whose window covers every clip.
        features: (batch, mels, frames) float32, padded on the right.
        lengths: (batch,) int64, frames of each clip.
        dropout: Share of what each sub-layer adds that is dropped (and the rest scaled up).

    Returns:
        Vectors (batch, frames // 4, width) and a boolean mask of the same first two dimensions; the masked vectors
        in row-major order are what ``tower(…).last_hidden_state`` would be.
    """
    import torch
    from torch.nn import functional

    frame_mask = torch.arange(features.shape[2]) < lengths[:, None]
    hidden = functional.gelu(tower.conv1(features)) * frame_mask[:, None]
    hidden = functional.gelu(tower.conv2(hidden)).transpose(1, 2)
    hidden = hidden + tower.positional_embedding.positional_embedding[: hidden.shape[1]].to(hidden.dtype)
    halved = (lengths - 1) // 2 + 1
    hidden_mask = torch.arange(hidden.shape[1]) < halved[:, None]
    bias = torch.zeros(hidden_mask.shape, dtype=hidden.dtype).masked_fill(~hidden_mask, -1e4)[:, None, None]
    for layer in tower.layers:
        added = _attention(layer.self_attn, layer.self_attn_layer_norm(hidden), bias)
        hidden = hidden + functional.dropout(added, dropout)
        inner = layer.fc1(layer.final_layer_norm(hidden))
        hidden = hidden + functional.dropout(layer.fc2(layer.activation_fn(inner)), dropout)
    pairs = hidden.shape[1] // 2
    pooled = (hidden[:, 0 : 2 * pairs : 2] + hidden[:, 1 : 2 * pairs : 2]) / 2
    counts = (halved - 2) // 2 + 1
    return tower.proj(tower.ln_post(pooled)), torch.arange(pairs) < counts[:, None]


def _attention(attention: Any, hidden: Any, bias: Any) -> Any:
    """Full self-attention; ``bias`` (batch, 1, 1, time) keeps padding out."""
    batch, time, _ = hidden.shape

    def heads(projection: Any) -> Any:
        return projection(hidden).view(batch, time, attention.num_heads, -1).transpose(1, 2)

    query, key, value = heads(attention.q_proj), heads(attention.k_proj), heads(attention.v_proj)
    scores = (query * attention.scaling) @ key.transpose(-1, -2) + bias
    mixed = scores.float().softmax(-1).to(value.dtype) @ value
    return attention.out_proj(mixed.transpose(1, 2).reshape(batch, time, -1))
