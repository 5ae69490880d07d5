"""Speech emotion corpora in folders with a ``manifest.csv``, under one set of emotion labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import SAMPLE_RATE_HZ
from ugsd_core.corpora.tables import Row, read_table
from ugsd_core.errors import OptionError

__all__ = ["TRAINING_CORPORA", "Clip", "read_audio", "read_corpora", "read_corpus"]

_COLUMNS = "id path speaker sex emotion intensity transcript split"

# A corpus absent from this table cannot be trained on: evaluation-only material never gets in by accident.
# Each maps the corpus's own label to ours; a label that is missing here drops the clip.
TRAINING_CORPORA: dict[str, dict[str, str]] = {
    "ravdess": {
        "anger": "anger",
        "calm": "calm",
        "disgust": "disgust",
        "fear": "fear",
        "happiness": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
        "surprise": "surprise",
    },
    "nemo": {
        "anger": "anger",
        "fear": "fear",
        "happiness": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
        "surprise": "surprise",
    },
    "emodb": {
        "anger": "anger",
        "boredom": "boredom",
        "disgust": "disgust",
        "fear": "fear",
        "happiness": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
    },
}


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled recording.

    Attributes:
        id: Unique over all corpora.
        corpus: A key of `TRAINING_CORPORA`.
        path: The audio file.
        speaker: Speaker id, unique over all corpora.
        sex: ``"f"`` or ``"m"``.
        label: One of `ugsd_core.lexicon.EMOTION_LABELS`.
        strong: The actor was asked for strong intensity (only RAVDESS says so).
        transcript: What is said.
        split: ``"train"``, ``"dev"`` or ``"test"``.
    """

    id: str
    corpus: str
    path: Path
    speaker: str
    sex: str
    label: str
    strong: bool
    transcript: str
    split: str


def read_corpus(folder: Path) -> list[Clip]:
    """The clips of one corpus folder, in manifest order.

    Raises:
        OptionError: If the folder has no manifest, a row of it cannot be read, or it is not a corpus that may be
            trained on.
    """
    name = folder.name
    if name not in TRAINING_CORPORA:
        known = ", ".join(TRAINING_CORPORA)
        raise OptionError(f"{name!r} is not a corpus to train on; the corpora are {known}")
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise OptionError(f"{manifest} does not exist; point --data at the folder that holds {name}/manifest.csv")
    labels = TRAINING_CORPORA[name]
    table = read_table(manifest, _COLUMNS.split(), _COLUMNS)
    if table.problems:  # an evaluation can do without a row; a training set is whole or it is not the one described
        raise OptionError(f"{table.problems[0].message} Copy the manifest of {name} again.")
    return [_clip(folder, row, labels) for row in table.rows if row["emotion"] in labels]


def _clip(folder: Path, row: Row, labels: dict[str, str]) -> Clip:
    return Clip(
        id=row["id"],
        corpus=folder.name,
        path=folder / row["path"],
        speaker=row["speaker"],
        sex=row["sex"],
        label=labels[row["emotion"]],
        strong=row["intensity"] == "strong",
        transcript=row["transcript"],
        split=row["split"],
    )


def read_corpora(data: Path, split: str | None = None) -> list[Clip]:
    """All clips of all training corpora under ``data``, of one split or of all of them."""
    clips = [clip for name in TRAINING_CORPORA for clip in read_corpus(data / name)]
    return [clip for clip in clips if split is None or clip.split == split]


def read_audio(path: Path) -> NDArray[np.float32]:
    """A clip's waveform, shape (n,), 16-kHz mono float32.

    Raises:
        OptionError: If the file has another sampling rate.
    """
    import soundfile  # type: ignore[import-untyped]

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    if rate_hz != SAMPLE_RATE_HZ:
        raise OptionError(f"{path} has {rate_hz} Hz; corpora are read at {SAMPLE_RATE_HZ} Hz")
    mono: NDArray[np.float32] = samples.mean(axis=1).astype(np.float32)
    return mono
