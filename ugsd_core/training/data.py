"""The feature cache: acoustic codes and measured cues of every clip, made once and kept outside the repository."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import AcousticCode, FeatureSpec, encode_waveform
from ugsd_core.training.corpora import Clip, read_audio, read_corpora
from ugsd_core.training.cues import HIGH_QUANTILE, LOW_QUANTILE, Cues, Thresholds, fit_thresholds, measure, named_cues

__all__ = ["SPEC", "SPEEDS", "Example", "FeatureCache", "build_cache", "default_cache_folder", "load_cache"]

SPEC = FeatureSpec(n_mels=80, level="peak", bits=4)
# Training clips are also cached a little slower and faster: some corpora have only five training speakers, and a
# resampled voice is a new one. Cues move along with it (`Cues.sped_up`).
SPEEDS: tuple[float, ...] = (1.0, 0.92, 1.09)
CACHE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Example:
    """One clip of the cache.

    Attributes:
        clip: Its manifest entry.
        cues: What was measured on it.
        codes: Its acoustic code at each of `SPEEDS` (training split) or only as recorded.
    """

    clip: Clip
    cues: Cues
    codes: tuple[AcousticCode, ...]

    def named(self, thresholds: Thresholds, variant: int = 0) -> dict[str, str]:
        """The cues worth naming, of the copy played at ``SPEEDS[variant]``."""
        quartiles = thresholds[f"{self.clip.corpus}/{self.clip.sex}"]
        return named_cues(self.cues.sped_up(SPEEDS[variant]), quartiles)


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """All examples and the cue thresholds of the training split."""

    examples: tuple[Example, ...]
    thresholds: Thresholds

    def write_thresholds(self, folder: Path) -> None:
        """Write ``cues.json``: what "high" and "low" mean in the captions of a checkpoint."""
        groups = {group: {cue: list(q) for cue, q in table.items()} for group, table in self.thresholds.items()}
        text = json.dumps({"quantiles": [LOW_QUANTILE, 0.5, HIGH_QUANTILE], "groups": groups}, indent=1)
        (folder / "cues.json").write_text(text + "\n", encoding="utf-8")

    def split(self, name: str) -> list[Example]:
        """The examples of one split."""
        return [example for example in self.examples if example.clip.split == name]


def default_cache_folder() -> Path:
    """``$XDG_CACHE_HOME/ugsd``, or ``~/.cache/ugsd``."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ugsd"


def _at_speed(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """The waveform resampled so that it plays ``speed`` times faster."""
    if speed == 1.0:
        return samples
    from scipy.signal import resample_poly

    faster: NDArray[np.float32] = resample_poly(samples, 100, round(100 * speed)).astype(np.float32)
    return faster


_tracker: Any = None


def _process(clip: Clip) -> Example:
    """Read, encode and measure one clip (in a worker process, whose tracker is made once)."""
    global _tracker
    if _tracker is None:
        from swift_f0 import SwiftF0

        _tracker = SwiftF0(threads=1)
    samples = read_audio(clip.path)
    speeds = SPEEDS if clip.split == "train" else SPEEDS[:1]
    codes = tuple(encode_waveform(_at_speed(samples, speed), SPEC) for speed in speeds)
    return Example(clip=clip, cues=measure(samples, clip.transcript, _tracker), codes=codes)


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
    train = [(f"{e.clip.corpus}/{e.clip.sex}", e.cues) for e in examples if e.clip.split == "train"]
    cache = FeatureCache(tuple(examples), fit_thresholds(train))
    _write(cache, folder)
    report(f"features: {len(examples)} clips in {time.monotonic() - started:.0f} s, kept in {folder}")
    return cache


def _write(cache: FeatureCache, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with (folder / "codes.bin").open("wb") as blob:
        for example in cache.examples:
            sizes = [(code.n_frames, code.high, len(code.payload)) for code in example.codes]
            for code in example.codes:
                blob.write(code.payload)
            clip = asdict(example.clip) | {"path": str(example.clip.path)}
            rows.append({"clip": clip, "cues": asdict(example.cues), "codes": sizes})
    index = {"version": CACHE_VERSION, "spec": SPEC.fingerprint, "thresholds": cache.thresholds, "rows": rows}
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
            codes = tuple(
                AcousticCode(SPEC.n_mels, frames, SPEC.bits, high, blob.read(size))
                for frames, high, size in row["codes"]
            )
            clip = Clip(**(row["clip"] | {"path": Path(row["clip"]["path"])}))
            examples.append(Example(clip=clip, cues=Cues(**row["cues"]), codes=codes))
    thresholds = {
        group: {cue: (float(q[0]), float(q[1]), float(q[2])) for cue, q in table.items()}
        for group, table in index["thresholds"].items()
    }
    return FeatureCache(tuple(examples), thresholds)
