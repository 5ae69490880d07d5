"""The feature cache: acoustic codes and measured cues of every clip, made once and kept outside the repository.

Training clips are also kept as they would sound a little slower and faster (some corpora have only five training
speakers, and a resampled voice is a new one) and from another room through another line; those copies in 8 bits,
because they are changed further before they are rounded to the 4 bits that the models read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode, FeatureSpec, encode_waveform
from ugsd_core.training.augment import record_variant, resample
from ugsd_core.training.corpora import Clip, read_audio, read_corpora
from ugsd_core.training.cues import QUANTILES, Cues, Thresholds, fit_thresholds, measure

__all__ = ["SPEC", "SPEEDS", "Copy", "Example", "FeatureCache", "build_cache", "default_cache_folder", "load_cache"]

SPEC = FeatureSpec(n_mels=80, level="peak", bits=4)
FINE = FeatureSpec(n_mels=80, level="peak", bits=8)
SPEEDS: tuple[float, ...] = (1.0, 0.92, 1.09)
LINES = 2  # copies from another room through another line
CACHE_VERSION = 2


@dataclass(frozen=True, slots=True)
class Copy:
    """One training copy of a clip.

    Attributes:
        speed: How much faster it plays than the recording.
        code: Its spectrogram in 8 bits.
    """

    speed: float
    code: AcousticCode


@dataclass(frozen=True, slots=True)
class Example:
    """One clip of the cache.

    Attributes:
        clip: Its manifest entry.
        cues: What was measured on it.
        code: Its acoustic code as recorded.
        copies: Training copies; none outside the training split.
    """

    clip: Clip
    cues: Cues
    code: AcousticCode
    copies: tuple[Copy, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """All examples, and the cue thresholds that follow from the training split."""

    examples: tuple[Example, ...]
    thresholds: Thresholds

    def write_thresholds(self, folder: Path) -> None:
        """Write ``cues.json``: what "high" and "low" mean in the captions of a checkpoint."""
        groups = {group: {cue: list(q) for cue, q in table.items()} for group, table in self.thresholds.items()}
        quantiles = [round(q, 4) for q in QUANTILES]
        text = json.dumps({"schema": 2, "quantiles": quantiles, "sexes": groups}, indent=1)
        (folder / "cues.json").write_text(text + "\n", encoding="utf-8")

    def split(self, name: str) -> list[Example]:
        """The examples of one split."""
        return [example for example in self.examples if example.clip.split == name]


def default_cache_folder() -> Path:
    """``$XDG_CACHE_HOME/ugsd``, or ``~/.cache/ugsd``."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ugsd"


_tracker: Any = None


def _process(clip: Clip) -> Example:
    """Read, encode and measure one clip (in a worker process, whose tracker is made once)."""
    global _tracker
    if _tracker is None:
        from swift_f0 import SwiftF0

        _tracker = SwiftF0(threads=1)
    samples = read_audio(clip.path)
    cues = measure(samples, clip.transcript, _tracker)
    copies = tuple(_copies(samples, clip.id)) if clip.split == "train" else ()
    return Example(clip, cues, encode_waveform(samples, SPEC), copies)


def _copies(samples: NDArray[np.float32], clip_id: str) -> Iterator[Copy]:
    """The training copies of a clip: one at each speed, then those through other rooms and lines."""
    rng = np.random.default_rng(crc32(clip_id.encode()))
    for speed in SPEEDS:
        yield Copy(speed, encode_waveform(resample(samples, speed), FINE))
    for _ in range(LINES):
        speed = SPEEDS[int(rng.integers(len(SPEEDS)))]
        yield Copy(speed, encode_waveform(record_variant(resample(samples, speed), rng), FINE))


def build_cache(data: Path, folder: Path, report: Callable[[str], None] = print, workers: int = 2) -> FeatureCache:
    """Encode and measure every clip under ``data`` and write the cache to ``folder``."""
    clips = read_corpora(data)
    started = time.monotonic()
    examples: list[Example] = []
    with get_context("spawn").Pool(workers) as pool:
        for example in pool.imap(_process, clips, chunksize=32):
            examples.append(example)
            if len(examples) % 1000 == 0:
                report(f"features: {len(examples)}/{len(clips)} clips, {time.monotonic() - started:.0f} s")
    cache = _with_thresholds(examples)
    _write(cache, folder)
    report(f"features: {len(examples)} clips in {time.monotonic() - started:.0f} s, kept in {folder}")
    return cache


def _with_thresholds(examples: Sequence[Example]) -> FeatureCache:
    """The cache of some examples; what is high and low follows from those of the training split."""
    train = [(e.clip.corpus, e.clip.sex, e.cues) for e in examples if e.clip.split == "train"]
    return FeatureCache(tuple(examples), fit_thresholds(train))


def _write(cache: FeatureCache, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with (folder / "codes.bin").open("wb") as blob:
        for example in cache.examples:
            copies = (Copy(1.0, example.code), *example.copies)
            for copy in copies:
                blob.write(copy.code.payload)
            clip = asdict(example.clip) | {"path": str(example.clip.path)}
            sizes = [(c.speed, c.code.n_frames, c.code.bits, c.code.high, len(c.code.payload)) for c in copies]
            rows.append({"clip": clip, "cues": asdict(example.cues), "codes": sizes})
    index = {"version": CACHE_VERSION, "spec": SPEC.fingerprint, "rows": rows}
    # The index is written last: a cache without one was interrupted and is built anew.
    (folder / "index.json").write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")


def load_cache(data: Path, folder: Path, report: Callable[[str], None] = print) -> FeatureCache:
    """The cache in ``folder``, built first when it is absent or was made with other features."""
    index_path = folder / "index.json"
    index: dict[str, Any] = json.loads(index_path.read_text(encoding="utf-8")) if index_path.is_file() else {}
    if index.get("version") != CACHE_VERSION or index.get("spec") != SPEC.fingerprint:
        return build_cache(data, folder, report)
    examples = []
    with (folder / "codes.bin").open("rb") as blob:
        for row in index["rows"]:
            code, *copies = (
                Copy(speed, AcousticCode(SPEC.n_mels, frames, bits, high, blob.read(size)))
                for speed, frames, bits, high, size in row["codes"]
            )
            clip = Clip(**(row["clip"] | {"path": Path(row["clip"]["path"])}))
            examples.append(Example(clip, Cues(**row["cues"]), code.code, tuple(copies)))
    return _with_thresholds(examples)
