"""A decoder that llama.cpp computes, and the room for one caption on it; ids and audio vectors in, logits out.

The package is *llama-cpp-python*; of it, only the functions of ``llama.h`` are used, and this program's own loop.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import CheckpointError, InstallationError
from ugsd_core.models.caption_model import Logits

__all__ = ["LlamaDecoder", "LlamaTape", "check_processor"]

#: Most positions that one pass computes together, and most of them with logits: both take memory from the beginning.
PASS = 256
ROWS = 32
#: What llama.cpp calls its rotary embeddings over three planes.
MROPE = 8
#: A library that was built for another processor ends the process; a child finds that out first.
PROBE_S = 60.0

Floats = NDArray[np.float32]


class LlamaDecoder:
    """A GGUF file that llama.cpp has loaded; tapes may share it, from several threads.

    All passes are computed by one thread of its own, in turns: llama.cpp sets a processor's matrix unit up once in a
    thread, and torch, which uses it too, leaves it reset behind itself.

    Args:
        path: The file.
        threads: Of each pass.
        checked: Whether it is known that the library runs on this processor.

    Attributes:
        width: Size of the hidden state, and of the vectors that it reads.
        rows: Logits of a position.
        context: Positions that it knows.
        planes: Numbers that say where a vector stands: 1, or 4 for a file whose rotary embedding has planes.
        size_bytes: Of all weights.
        lane: Where passes are computed.

    Raises:
        CheckpointError: If the file is missing, damaged or of a kind that llama.cpp does not know.
        InstallationError: If the library does not run on this processor.
    """

    def __init__(self, path: Path, *, threads: int, checked: bool = False) -> None:
        import llama_cpp

        if not path.is_file():
            raise CheckpointError(f"{path} is missing")
        if not checked:
            check_processor()
        said = _quiet()
        said.clear()
        settings = llama_cpp.llama_model_default_params()
        settings.n_gpu_layers = 0
        # Weights are put into another order while loading; those of a mapped file would be held twice.
        settings.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
        found = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
        if not found:
            why = next((line for line in said if "error" in line), "llama.cpp does not say why")
            raise CheckpointError(f"{path} cannot be loaded by llama.cpp ({why.strip()[:200]})")
        self.model = found
        self.threads = threads
        self.lane = ThreadPoolExecutor(1, thread_name_prefix="llama")
        self._end = weakref.finalize(self, llama_cpp.llama_model_free, found)
        self.width = int(llama_cpp.llama_model_n_embd(found))
        self.rows = int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(found)))
        self.context = int(llama_cpp.llama_model_n_ctx_train(found))
        self.planes = 4 if llama_cpp.llama_model_rope_type(found) == MROPE else 1
        self.size_bytes = int(llama_cpp.llama_model_size(found))

    def tape(self, capacity: int) -> LlamaTape:
        """Room for one caption's keys and values.

        Raises:
            CheckpointError: If there is no memory for it.
        """
        return LlamaTape(self, capacity)


class LlamaTape:
    """Keys and values of one caption, and the passes that read and extend them; for one thread at a time.

    Args:
        decoder: Whose caption it is.
        capacity: Positions for which there is room from the beginning; it grows, up to the decoder's context.
    """

    def __init__(self, decoder: LlamaDecoder, capacity: int) -> None:
        self._decoder = decoder
        self._held = 0
        self._context = self._make(capacity)

    @property
    def size_bytes(self) -> int:
        """Memory of the keys and values that are held."""
        import llama_cpp

        return int(llama_cpp.llama_state_seq_get_size(self._context, 0))

    def run(self, what: Sequence[int] | Floats, start: int, rows: int) -> Logits:
        """One pass over ids, or over vectors (n, width), at positions start…; what stood there and behind is forgotten.

        Returns:
            Logits (rows, V) of the last rows ≤ n positions; a row is as long as the decoder's vocabulary.

        Raises:
            CheckpointError: If the caption has become longer than the decoder's context.
        """
        import llama_cpp

        n = len(what)
        if start < self._held:
            llama_cpp.llama_memory_seq_rm(llama_cpp.llama_get_memory(self._context), 0, start, -1)
            self._held = start
        if start + n > self._capacity:
            self._grow(2 * (start + n), start + n)
        found: list[Logits] = []
        silent = n - rows
        # Positions without logits first, as many together as fit; then those with logits.
        for first, last in pairwise([*range(0, silent, PASS), *range(silent, n, ROWS), n]):
            found += self._pass(what[first:last], start + first, last - first if first >= silent else 0)
        self._held = start + n
        return np.concatenate(found) if found else np.empty((0, self._decoder.rows), dtype=np.float32)

    def _pass(self, what: Sequence[int] | Floats, start: int, rows: int) -> list[Logits]:
        import llama_cpp

        n = len(what)
        batch: Any = llama_cpp.llama_batch()
        batch.n_tokens = n
        places = np.arange(start, start + n, dtype=np.int32)
        flags = np.full(n, rows > 0, dtype=np.int8)
        if isinstance(what, np.ndarray):
            vectors = np.ascontiguousarray(what, dtype=np.float32)
            batch.embd = vectors.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            if self._decoder.planes > 1:  # all planes count alike where there are no pictures; the last is not used
                places = np.concatenate((np.tile(places, self._decoder.planes - 1), np.zeros(n, dtype=np.int32)))
        else:
            ids = np.asarray(what, dtype=np.int32)
            batch.token = ids.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        batch.pos = places.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        batch.logits = flags.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))
        code = self._decoder.lane.submit(llama_cpp.llama_decode, self._context, batch).result()
        if code != 0:
            raise CheckpointError(f"llama.cpp could not compute a pass over {n} positions (code {code})")
        if not rows:
            return []
        first = llama_cpp.llama_get_logits(self._context)
        return [np.ctypeslib.as_array(first, (rows, self._decoder.rows)).copy()]

    def _make(self, capacity: int) -> Any:
        """A context with room for so many positions."""
        import llama_cpp

        settings = llama_cpp.llama_context_default_params()
        self._capacity = min(capacity, self._decoder.context)
        settings.n_ctx = self._capacity
        settings.n_batch = settings.n_ubatch = PASS
        settings.n_seq_max = 1
        settings.n_outputs_max = ROWS
        settings.n_threads = settings.n_threads_batch = self._decoder.threads
        made = llama_cpp.llama_init_from_model(self._decoder.model, settings)
        if not made:
            raise CheckpointError(
                f"llama.cpp has no memory for a caption of {self._capacity} tokens; end other programs"
            )
        self._end = weakref.finalize(self, llama_cpp.llama_free, made)
        return made

    def _grow(self, capacity: int, needed: int) -> None:
        """Room for more positions, holding what is held."""
        import llama_cpp

        if needed > self._decoder.context:
            raise CheckpointError(
                f"the caption and its request take {needed} positions, and the edge knows {self._decoder.context}; "
                "give it a shorter clip"
            )
        old, end_of_old = self._context, self._end
        size = llama_cpp.llama_state_seq_get_size(old, 0)
        state = (ctypes.c_uint8 * size)()
        llama_cpp.llama_state_seq_get_data(old, state, size, 0)
        self._context = self._make(capacity)
        llama_cpp.llama_state_seq_set_data(self._context, state, size, 0)
        end_of_old()


@lru_cache(maxsize=1)
def _quiet() -> deque[str]:
    """What the library said last; it says much, and all of it to stderr if it is let."""
    import llama_cpp

    lines: deque[str] = deque(maxlen=200)

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def keep(_level: int, text: bytes, _user: Any) -> None:
        lines.append(text.decode("utf-8", "replace"))

    llama_cpp.llama_log_set(keep, ctypes.c_void_p(0))
    _KEPT.append(keep)
    llama_cpp.llama_backend_init()
    return lines


#: The library holds a bare pointer to the function that it calls.
_KEPT: list[Any] = []
_CHECKING = threading.Lock()


def check_processor() -> None:
    """Let a child compute a small model first: where the library uses instructions that are not there, a process ends
    without a word.

    Raises:
        InstallationError: If the child did.
    """
    with _CHECKING:
        code, words = _child_s_end()
    if code < 0:
        raise InstallationError(
            f"llama.cpp as it was built here ends with signal {-code} on this processor; install it anew by another "
            "compiler (docs/edge-backends.md): CC=clang-19 CXX=clang++-19 pip install --force-reinstall --no-cache-dir "
            "--no-deps llama-cpp-python"
        )
    if code > 0:
        raise InstallationError(f"llama.cpp does not work here: {words}")


@lru_cache(maxsize=1)
def _child_s_end() -> tuple[int, str]:
    """Exit code of a child that computes a small model, and the last it said; asked once a process."""
    command = [sys.executable, "-m", "ugsd_core.models.llama_probe"]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S)
    except subprocess.TimeoutExpired:
        return 1, f"a small model was not computed within {PROBE_S:.0f} s"
    return child.returncode, next(iter(child.stderr.strip().splitlines()[-1:]), "")
