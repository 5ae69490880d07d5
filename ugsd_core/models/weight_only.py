"""Linear layers and embeddings whose weights are kept in eight or four bits, for models of a real size on a CPU.

Decoding reads every weight once for every token, so a token takes as long as memory takes to deliver them: a quarter of
the bytes is nearly a quarter of the time. Activations stay floats; only weights are rounded.

- int8: each row has one scale (its largest magnitude over 127).
- int4: each group of 32 values in a row has a scale and an offset (its range over 15), 5 bits a value in all.

Few rows of input go through torch's own kernels for such weights, which read them once and multiply in bfloat16. Those
kernels lose to a plain matrix product where there are many rows (a request, a long block); there, weights are turned to
bfloat16 piece by piece, each small enough to stay in the cache.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import nn

__all__ = ["GROUP", "Int4Linear", "Int8Embedding", "Int8Linear", "RoundedLinear", "linear_class", "round_rows"]

#: Values of a row that share a scale and an offset in int4.
GROUP = 32
#: Rows that the int4 kernel handles at a time; weights are padded to a multiple.
TILE = 64
#: Above so many rows of input, weights are turned to bfloat16 instead.
MOST_ROWS_INT8 = 8
MOST_ROWS_INT4 = 48
#: Weights turned to bfloat16 at a time: 2 MB, so that they are multiplied from the cache.
PIECE = 1 << 20


def round_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round a matrix to eight bits, row by row.

    Args:
        weight: (rows, columns), any float type.

    Returns:
        int8 (rows, columns), and the scale of each row, float32 (rows,).
    """
    levels = torch.empty(weight.shape, dtype=torch.int8)
    scale = torch.empty(weight.shape[0], dtype=torch.float32)
    step = max(1, PIECE // max(1, weight.shape[1]))
    for first in range(0, weight.shape[0], step):  # piece by piece: a vocabulary in float32 is more than a gigabyte
        rows = weight[first : first + step].detach().float()
        size = rows.abs().amax(dim=1).clamp(min=1e-12) / 127
        levels[first : first + step] = (rows / size[:, None]).round().clamp(-127, 127).to(torch.int8)
        scale[first : first + step] = size
    return levels, scale


class RoundedLinear(nn.Module):
    """What both precisions share: shapes, bias, and the way from any float type and back.

    Attributes:
        in_features, out_features: As of `torch.nn.Linear`.
        columns: ``in_features``, padded to a multiple of 32.
        bias: (out_features,) or None.
    """

    bits: int
    most_rows: int
    columns: int

    def __init__(self, in_features: int, out_features: int, bias: bool) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.bias: nn.Parameter | None = None
        if bias:
            self.bias = nn.Parameter(torch.zeros(out_features), requires_grad=False)

    @property
    def bytes_read(self) -> int:
        """Bytes of weights that one token touches."""
        return sum(part.numel() * part.element_size() for part in self.parts().values())

    def parts(self) -> dict[str, torch.Tensor]:
        """The tensors that hold the weight."""
        return {name: value for name, value in self.named_parameters(recurse=False) if name != "bias"}

    def set_weight(self, weight: torch.Tensor) -> None:
        """Round a weight (out_features, in_features) and keep it."""
        for name, value in self.rounded(weight).items():
            setattr(self, name, nn.Parameter(value, requires_grad=False))

    def rounded(self, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """The tensors that hold a weight, by name."""
        raise NotImplementedError

    def few(self, rows: torch.Tensor) -> torch.Tensor:
        """Product for few rows: bfloat16 (m, columns) -> (m, out_features)."""
        raise NotImplementedError

    def many(self, rows: torch.Tensor) -> torch.Tensor:
        """Product for many rows: bfloat16 (m, columns) -> (m, out_features)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `torch.nn.Linear`: (…, in_features) -> (…, out_features) in the type of ``x``."""
        rows = x.reshape(-1, self.in_features).to(torch.bfloat16)
        if self.columns > self.in_features:
            rows = nn.functional.pad(rows, (0, self.columns - self.in_features))
        product = self.few(rows) if rows.shape[0] <= self.most_rows else self.many(rows)
        product = product.to(x.dtype)
        if self.bias is not None:
            product = product + self.bias.to(x.dtype)
        return product.reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Shape and precision."""
        return f"{self.in_features} -> {self.out_features}, int{self.bits}"


class Int8Linear(RoundedLinear):
    """A linear layer in eight bits: ``weight`` int8 (out, columns) and ``scale`` float32 (out,)."""

    bits = 8
    most_rows = MOST_ROWS_INT8

    def __init__(self, in_features: int, out_features: int, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias)
        self.columns = -(-in_features // GROUP) * GROUP  # the kernel reads 32 at a time, without looking for the end
        empty = torch.empty((out_features, self.columns), dtype=torch.int8)
        self.weight = nn.Parameter(empty, requires_grad=False)
        self.scale = nn.Parameter(torch.empty(out_features), requires_grad=False)

    def rounded(self, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """``weight`` and ``scale``."""
        levels, scale = round_rows(weight)
        return {"weight": self._padded(levels), "scale": scale}

    def take(self, levels: torch.Tensor, scale: torch.Tensor) -> None:
        """Keep a weight that is rounded already: int8 (out, in), and a scale a row.

        Raises:
            ValueError: If it is of another shape.
        """
        if levels.shape != (self.out_features, self.in_features) or scale.numel() != self.out_features:
            raise ValueError(f"a weight of {tuple(levels.shape)} for a layer {self.extra_repr()}")
        self.weight = nn.Parameter(self._padded(levels), requires_grad=False)
        self.scale = nn.Parameter(scale.reshape(-1).float(), requires_grad=False)

    def _padded(self, levels: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(levels, (0, self.columns - self.in_features))

    def few(self, rows: torch.Tensor) -> torch.Tensor:
        """By torch's kernel, without the scale: rounding that to bfloat16 would add to the error."""
        ones = _ones(self.out_features)
        product: torch.Tensor = torch.ops.aten._weight_int8pack_mm(rows, self.weight, ones)
        return product.float() * self.scale

    def many(self, rows: torch.Tensor) -> torch.Tensor:
        """Turned to bfloat16 piece by piece, which is exact for whole numbers up to 256."""
        step = max(1, PIECE // self.columns)
        pieces = [rows @ piece.to(torch.bfloat16).t() for piece in torch.split(self.weight, step)]
        return torch.cat(pieces, dim=1).float() * self.scale


class Int4Linear(RoundedLinear):
    """A linear layer in four bits.

    ``weight`` holds two values a byte as torch's kernel wants them, ``scales`` a scale and an offset for each group,
    bfloat16 (groups, out, 2). Both are padded: rows to a multiple of 64, columns to one of 32.
    """

    bits = 4
    most_rows = MOST_ROWS_INT4

    def __init__(self, in_features: int, out_features: int, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias)
        self.rows = -(-out_features // TILE) * TILE
        self.columns = -(-in_features // GROUP) * GROUP
        packed = torch.empty((self.rows, self.columns // 2), dtype=torch.uint8)
        scales = torch.empty((self.columns // GROUP, self.rows, 2), dtype=torch.bfloat16)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.scales = nn.Parameter(scales, requires_grad=False)

    def rounded(self, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        """``weight`` and ``scales``, made piece by piece."""
        packed = torch.empty((self.rows, self.columns // 2), dtype=torch.uint8)
        scales = torch.empty((self.columns // GROUP, self.rows, 2), dtype=torch.bfloat16)
        step = max(TILE, PIECE // self.columns // TILE * TILE)
        for first in range(0, self.rows, step):
            last = min(first + step, self.rows)
            rows = weight[first:last].detach().float()
            rows = nn.functional.pad(rows, (0, self.columns - self.in_features, 0, last - first - rows.shape[0]))
            groups = rows.reshape(last - first, -1, GROUP)
            low, high = groups.amin(dim=2), groups.amax(dim=2)
            scale = ((high - low) / 15).clamp(min=1e-8).bfloat16()
            offset = (low + 8 * scale.float()).bfloat16()
            levels = ((groups - offset.float()[..., None]) / scale.float()[..., None]).round() + 8
            levels = levels.clamp(0, 15).to(torch.int32).reshape(last - first, self.columns)
            packed[first:last] = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 2)
            scales[:, first:last] = torch.stack((scale, offset), dim=-1).transpose(0, 1)
        return {"weight": packed, "scales": scales}

    def few(self, rows: torch.Tensor) -> torch.Tensor:
        """By torch's kernel."""
        product: torch.Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.weight, GROUP, self.scales)
        return product[:, : self.out_features]

    def many(self, rows: torch.Tensor) -> torch.Tensor:
        """Turned to bfloat16 piece by piece, where the layout of the packed values is the one we know."""
        if not _layout_is_known():
            return self.few(rows)
        step = max(1, PIECE // (TILE * self.columns)) * TILE
        pieces = [rows @ self.piece(first, min(first + step, self.rows)) for first in range(0, self.rows, step)]
        return torch.cat(pieces, dim=1)[:, : self.out_features]

    def piece(self, first: int, last: int) -> torch.Tensor:
        """Rows ``first`` to ``last`` of the weight, turned over: bfloat16 (in, last - first)."""
        levels = unpacked(self.weight[first:last]).to(torch.bfloat16).reshape(-1, GROUP, last - first)
        scale, offset = self.scales[:, first:last].permute(2, 0, 1).contiguous()[:, :, None]
        return levels.mul_(scale).add_(offset - 8 * scale).reshape(self.columns, last - first)


def unpacked(packed: torch.Tensor) -> torch.Tensor:
    """What torch packed, back: uint8 (rows, columns / 2) of whole tiles -> uint8 (columns, rows), 0 to 15.

    A tile of 64 rows holds, column by column, 32 bytes: rows 0 to 31 in their lower halves, 32 to 63 in the upper.
    """
    rows, half = packed.shape
    tiles = packed.reshape(rows // TILE, 2 * half, TILE // 2)
    both = torch.stack((tiles & 15, tiles >> 4), dim=2)
    return both.permute(1, 0, 2, 3).reshape(2 * half, rows)


@lru_cache(maxsize=1)
def _layout_is_known() -> bool:
    """Whether this machine's torch packs as `unpacked` undoes it; it depends on the processor."""
    levels = torch.randint(0, 16, (2 * TILE, 64), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 2)
    return torch.equal(unpacked(packed).t().to(torch.int32), levels)


@lru_cache(maxsize=32)
def _ones(size: int) -> torch.Tensor:
    return torch.ones(size, dtype=torch.bfloat16)


class Int8Embedding(nn.Module):
    """An embedding in eight bits, each row with its scale; gives ``dtype``.

    Attributes:
        num_embeddings, embedding_dim: As of `torch.nn.Embedding`.
    """

    def __init__(self, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.num_embeddings = rows
        self.embedding_dim = columns
        self.dtype = dtype
        self.weight = nn.Parameter(torch.empty((rows, columns), dtype=torch.int8), requires_grad=False)
        self.scale = nn.Parameter(torch.empty(rows), requires_grad=False)

    def set_weight(self, weight: torch.Tensor) -> None:
        """Round a weight (rows, columns) and keep it."""
        levels, scale = round_rows(weight)
        self.weight = nn.Parameter(levels, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Rows by id: (…) -> (…, embedding_dim)."""
        return (self.weight[ids].float() * self.scale[ids][..., None]).to(self.dtype)


def linear_class(precision: str) -> type[Any]:
    """`Int8Linear` for ``int8``, `Int4Linear` for ``int4``."""
    return {"int8": Int8Linear, "int4": Int4Linear}[precision]
