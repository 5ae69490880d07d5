"""Writing an ONNX graph without the package *onnx*: the few messages of the format that our graphs use.

A graph is made while a checkpoint is loaded and handed to onnxruntime as bytes; none is ever kept in a file. The
format is protocol buffers: a field is its number and kind, then a varint, four bytes, or a length and bytes
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 names the fields).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MICROSOFT", "Attribute", "Graph"]

#: Domain of onnxruntime's own operators.
MICROSOFT = "com.microsoft"

Attribute = int | float | str | Sequence[int]
Dimension = int | str

#: The format's numbers of element types.
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
#: Version of the format, and of the operators of the two domains.
IR_VERSION = 8
OPSETS = {"": 18, MICROSOFT: 1}


def _varint(value: int) -> bytes:
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, value: Attribute) -> bytes:
    head = _bytes(1, name)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return head + _bytes(4, value) + _number(20, 3)
    return head + b"".join(_number(8, entry) for entry in value) + _number(20, 7)


def _value(name: str, element: str, shape: Sequence[Dimension]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, d) if isinstance(d, int) else _bytes(2, d)) for d in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, TYPES[element]) + _bytes(2, dims)))


class Graph:
    """A graph under construction; each method that adds a node returns the name of its output."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[bytes] = []
        self._count = 0

    def input(self, name: str, element: str, shape: Sequence[Dimension]) -> str:
        """Declare an input; a text in the shape is a dimension that varies."""
        self._parts.append(_bytes(11, _value(name, element, shape)))
        return name

    def output(self, name: str, element: str, shape: Sequence[Dimension]) -> None:
        """Declare an output."""
        self._parts.append(_bytes(12, _value(name, element, shape)))

    def constant(self, array: NDArray[Any], name: str | None = None) -> str:
        """An initialiser with these values."""
        name = name or self.fresh("constant")
        array = np.asarray(array)  # not ascontiguousarray, which makes a scalar a vector
        tensor = b"".join(_number(1, size) for size in array.shape) + _number(2, TYPES[array.dtype.name])
        self._parts.append(_bytes(5, tensor + _bytes(8, name) + _bytes(9, array.tobytes())))
        return name

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: int | Sequence[str] = 1,
        *,
        domain: str = "",
        attributes: Mapping[str, Attribute] | None = None,
    ) -> str:
        """Add a node.

        Args:
            kind: The operator.
            inputs: Names; an empty one leaves an optional input out.
            outputs: How many there are, or their names; an empty name leaves one out.

        Returns:
            Name of the first output.
        """
        names = [self.fresh(kind) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        body = b"".join(_bytes(1, entry) for entry in inputs) + b"".join(_bytes(2, entry) for entry in names)
        body += _bytes(3, self.fresh(f"{kind}_node")) + _bytes(4, kind)
        body += b"".join(_bytes(5, _attribute(key, value)) for key, value in (attributes or {}).items())
        self._parts.append(_bytes(1, body + _bytes(7, domain)))
        return names[0]

    def model(self) -> bytes:
        """The whole as onnxruntime takes it."""
        opsets = b"".join(_bytes(8, _bytes(1, domain) + _number(2, number)) for domain, number in OPSETS.items())
        return _number(1, IR_VERSION) + opsets + _bytes(7, _bytes(2, self._name) + b"".join(self._parts))

    def fresh(self, kind: str) -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"{kind}_{self._count}"
