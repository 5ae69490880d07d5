"""Corpora are read under one set of labels, and nothing that is not for training gets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.training.corpora import TRAINING_CORPORA, read_corpora, read_corpus

HEADER = "id,path,speaker,sex,language,emotion,intensity,transcript,caption,duration_s,split\n"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def corpus(folder: Path, name: str, rows: str) -> Path:
    (folder / name).mkdir()
    (folder / name / "manifest.csv").write_text(HEADER + rows, encoding="utf-8")
    return folder / name


def test_rows_become_clips_and_unmapped_emotions_are_dropped(tmp_path: Path) -> None:
    rows = "a,audio/a.flac,s1,f,en,anger,strong,Kids.,,1.0,train\nb,audio/b.flac,s1,f,en,contempt,,Kids.,,1.0,train\n"
    clips = read_corpus(corpus(tmp_path, "ravdess", rows))
    assert [(clip.id, clip.label, clip.strong, clip.path) for clip in clips] == [
        ("a", "anger", True, tmp_path / "ravdess" / "audio" / "a.flac")
    ]


def test_every_label_is_a_common_one() -> None:
    assert {label for table in TRAINING_CORPORA.values() for label in table.values()} <= set(EMOTION_LABELS)


@pytest.mark.parametrize("name", ["secap", "mer2024", "anything"])
def test_evaluation_material_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="not a corpus to train on"):
        read_corpus(corpus(tmp_path, name, ""))


def test_a_missing_manifest_says_where_to_point(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--data"):
        read_corpus(tmp_path / "nemo")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development corpora are not here")
def test_splits_share_no_speaker() -> None:
    speakers = {split: {clip.speaker for clip in read_corpora(SHARED, split)} for split in ("train", "dev", "test")}
    assert all(speakers.values())
    assert not speakers["train"] & (speakers["dev"] | speakers["test"])
    assert not speakers["dev"] & speakers["test"]
