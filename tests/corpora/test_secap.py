"""SECap as its authors publish it, and as a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora.folders import manifest, recording, recordings, secap
from ugsd_core.corpora import read_corpus
from ugsd_core.errors import OptionError

CAPTIONS = '{"t1": "语气平静", "t2": ["很开心", "声音上扬", "很开心"]}'


def test_paths_count_from_the_folder_above(tmp_path: Path) -> None:
    folder = secap(
        tmp_path / "dataset",
        CAPTIONS,
        "t2 dataset/wav/t2.wav\nt1 dataset/wav/t1.wav\n",
        "t1 今天，天气 不错。 \nt2\t好啊！\n",
    )
    recordings(folder / "wav", ["t1.wav", "t2.wav"])
    for path in (folder, tmp_path, folder / "fid2captions.json"):  # the folder, the repository, the file
        corpus = read_corpus(path)
        assert (corpus.name, corpus.format, corpus.problems) == ("secap", "secap", ())
        assert [clip.path for clip in corpus.clips] == [folder / "wav" / "t1.wav", folder / "wav" / "t2.wav"]
    assert [clip.references for clip in corpus.clips] == [{"zh": ("语气平静",)}, {"zh": ("很开心", "声音上扬")}]
    assert [clip.transcript for clip in corpus.clips] == ["今天，天气 不错。", "好啊！"]


def test_without_a_list_recordings_are_found_by_name(tmp_path: Path) -> None:
    folder = secap(tmp_path, CAPTIONS)
    recordings(folder / "wav", ["t1.flac"])
    corpus = read_corpus(folder, "secap")
    assert [clip.path and clip.path.name for clip in corpus.clips] == ["t1.flac", None]
    assert [(p.kind, p.clip) for p in corpus.problems] == [("missing_audio", "t2")]


def test_a_list_made_on_another_machine_falls_back_on_names(tmp_path: Path) -> None:
    folder = secap(tmp_path / "secap", CAPTIONS, "t1 /data/x/t1.wav\nt2 sox t2.wav -t wav - |\n")
    audio = recordings(tmp_path / "audio", ["t1.wav", "t2.wav"])
    corpus = read_corpus(folder, audio=audio)
    assert [clip.path for clip in corpus.clips] == [audio / "t1.wav", audio / "t2.wav"]
    assert [p.kind for p in corpus.problems] == ["unreadable_row"]
    assert "not run" in corpus.problems[0].message


def test_what_does_not_fit_together_is_said(tmp_path: Path) -> None:
    folder = secap(
        tmp_path, '{"t1": "a", "t1": "b", "t2": 3, "": "c", "t3": "  "}', "t1 t1.wav\nt1 t1.wav\nt4 t4.wav\nt5\n"
    )
    recordings(folder, ["t1.wav", "t3.wav", "t4.wav"])
    corpus = read_corpus(folder)
    assert [clip.id for clip in corpus.clips] == ["t1", "t3", "t4"]
    assert corpus.clips[0].references == {"zh": ("a",)}
    assert [(p.kind, p.clip) for p in corpus.problems] == [
        ("duplicate_id", "t1"),
        ("unreadable_row", "t2"),
        ("no_id", ""),
        ("duplicate_id", "t1"),
        ("unreadable_row", ""),
        ("no_reference", "t3"),
        ("no_reference", "t4"),
    ]


@pytest.mark.parametrize("text", ["", "{", "[1]", '"a"', "[" * 100_000])
def test_captions_that_are_no_object_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(OptionError, match=r"fid2captions\.json"):
        read_corpus(secap(tmp_path, text))


def test_a_manifest_is_read_under_the_corpus_name(tmp_path: Path) -> None:
    folder = manifest(tmp_path / "some", "id,path,language,caption\na,a.wav,zh,平静\n", ["a.wav"])
    corpus = read_corpus(folder, "secap")
    assert (corpus.name, corpus.format, corpus.clips[0].references) == ("secap", "secap", {"zh": ("平静",)})
    with pytest.raises(OptionError, match="holds no fid2captions"):
        read_corpus(tmp_path, "secap")
    recording(tmp_path / "wav.scp")
    with pytest.raises(OptionError, match="holds no fid2captions"):
        read_corpus(tmp_path / "wav.scp")
