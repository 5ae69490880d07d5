"""Reading a distribution with onnxruntime, right where a pass left its logits.

Python between two passes is slow for its size: a pass streams the model's weights through the caches, so that every
array operation behind it is fetched anew. One run of a small graph does what would be some twenty of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.models.onnx_proto import MICROSOFT, Graph
from ugsd_core.uncertainty import Distribution

__all__ = ["OnnxReading", "reading_graph"]


def reading_graph(vocabulary_size: int) -> bytes:
    """What the loop wants to know of a row of logits; the same figures as `ugsd_core.uncertainty.distribution`.

    Inputs: ``logits`` (1, V); ``added`` (V,), what is added to them; ``k`` (1,) int64. Outputs: ``log_probs`` (1, V);
    ``top_ids`` (1, k) int64 and ``top_probs`` (1, k), best first, ties by lower id; ``negative_entropy`` (1, 1).
    """
    g = Graph("reading")
    logits = g.input("logits", "float32", [1, vocabulary_size])
    added, k = g.input("added", "float32", [vocabulary_size]), g.input("k", "int64", [1])
    last = {"axis": -1}
    scores = g.node("Add", [logits, added])
    # The best are sought before anything is rounded again, so that the first of them is the argmax to the last bit.
    g.node("TopK", [scores, k], ["top_scores", "top_ids"], attributes=last)
    g.node("LogSoftmax", [scores], ["log_probs"], attributes=last)
    probs = g.node("Exp", ["log_probs"])
    g.node("GatherElements", [probs, "top_ids"], ["top_probs"], attributes=last)
    product = {"transB": 1}
    g.node("FusedMatMul", [probs, "log_probs"], ["negative_entropy"], domain=MICROSOFT, attributes=product)
    g.output("log_probs", "float32", [1, vocabulary_size])
    g.output("top_ids", "int64", [1, "k"])
    g.output("top_probs", "float32", [1, "k"])
    g.output("negative_entropy", "float32", [1, 1])
    return g.model()


class OnnxReading:
    """Reads the distributions of one caption.

    Args:
        session: Of `reading_graph`.
        row: Where the caption's passes leave their logits, (V,).
        k: The best tokens that are wanted; two are read at least.

    Attributes:
        added: What is added to the logits, (V,); may be changed between two readings.
        k: As given.
    """

    def __init__(self, session: Any, row: NDArray[np.float32], k: int) -> None:
        size = row.size
        read = min(max(2, k), size)
        self.k = k
        self.added = np.zeros(size, dtype=np.float32)
        self._log_probs = np.empty(size, dtype=np.float32)
        self._top_ids = np.empty(read, dtype=np.int64)
        self._figures = np.empty(read + 1, dtype=np.float32)  # probabilities of the best, then the negative entropy
        self._session = session
        self._binding = binding = session.io_binding()
        for name, array in (("logits", row[None]), ("added", self.added), ("k", np.array([read]))):
            binding.bind_cpu_input(name, array)
        for name, array in (
            ("log_probs", self._log_probs),
            ("top_ids", self._top_ids),
            ("top_probs", self._figures[:-1]),
            ("negative_entropy", self._figures[-1:]),
        ):
            binding.bind_output(name, "cpu", 0, array.dtype.type, (1, array.size), array.ctypes.data)

    def read(self) -> Distribution:
        """The distribution of the logits that lie there."""
        self._session.run_with_iobinding(self._binding)
        *probabilities, negative_entropy = self._figures.tolist()
        top = tuple(zip(self._top_ids.tolist(), probabilities, strict=True))
        return Distribution(self._log_probs.copy(), 0.0, top, max(0.0, -negative_entropy))
