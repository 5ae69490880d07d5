"""Manifests as people save them: every fault has a sentence, and no row disappears without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora.folders import manifest, recording
from ugsd_core.corpora import Corpus, preflight, read_corpus
from ugsd_core.errors import OptionError

HEAD = "id,path,language,caption,emotion\n"
TWO = HEAD + "a,a.wav,zh,语气平静，声音柔和,neutral\nb,b.wav,zh,很开心，语速较快,happiness\n"
NAMES = ("a.wav", "b.wav")


def kinds(corpus: Corpus) -> list[tuple[str, str, int | None]]:
    return [(problem.kind, problem.clip, problem.row) for problem in corpus.problems]


def test_every_column_reaches_the_clip(tmp_path: Path) -> None:
    text = (
        "ID , Path,speaker,sex,emotion,intensity,transcript,split,"
        "caption_en,caption_zh,caption_en_2,caption_en_10,more\n"
        'a,wav/a.flac,s1,Female,Angry,strong,"Yes, now.",test,She shouts.,她在喊。,She is loud.,Loud.,1\n'
    )
    corpus = read_corpus(manifest(tmp_path / "mine", text, ["wav/a.flac"]))
    (clip,) = corpus.clips
    assert (corpus.name, corpus.format, corpus.problems, corpus.folder) == ("mine", "manifest", (), tmp_path / "mine")
    assert clip.path == tmp_path / "mine" / "wav" / "a.flac"
    assert clip.references == {"en": ("She shouts.", "She is loud.", "Loud."), "zh": ("她在喊。",)}
    assert (clip.speaker, clip.sex, clip.label, clip.strong) == ("s1", "f", "anger", True)
    assert (clip.transcript, clip.split, clip.corpus) == ("Yes, now.", "test", "mine")


@pytest.mark.parametrize(
    ("language", "caption", "found", "problem"),
    [
        ("en", "She is calm.", "en", None),
        ("zh-CN", "语气平静", "zh", None),
        ("Chinese", "语气平静", "zh", None),
        ("", "She is calm.", "en", None),
        ("", "语气平静，提到 Tom", "zh", None),
        ("", "Tom 说 hello and goodbye to everybody", "en", None),
        ("zh", "She is calm.", "en", "language_mismatch"),
        ("en", "语气平静", "zh", "language_mismatch"),
        ("pl", "She is calm.", None, "unknown_language"),
    ],
)
def test_a_caption_belongs_to_the_language_of_its_row_or_its_script(
    tmp_path: Path, language: str, caption: str, found: str | None, problem: str | None
) -> None:
    corpus = read_corpus(manifest(tmp_path, f"{HEAD}a,a.wav,{language},{caption},calm\n", NAMES))
    assert corpus.clips[0].references == ({found: (caption,)} if found else {})
    assert [p.kind for p in corpus.problems] == ([problem] if problem else [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, encoding: str, end: str, delimiter: str) -> None:
    text = TWO.replace(",", delimiter).replace("\n", end)
    corpus = read_corpus(manifest(tmp_path, text, NAMES, encoding))
    assert [clip.references["zh"] for clip in corpus.clips] == [("语气平静，声音柔和",), ("很开心，语速较快",)]
    assert [clip.label for clip in corpus.clips] == ["neutral", "happiness"]
    told = [] if encoding.startswith("utf-8") else ["encoding"]
    assert [problem.kind for problem in corpus.problems] == told
    if encoding.startswith("gb"):
        assert "GBK" in corpus.problems[0].message and "UTF-8" in corpus.problems[0].message


@pytest.mark.parametrize("word", ["café olé", "Zoë naïve", "été à Genève", "Grüße aus Köln"])
def test_another_encoding_is_refused_and_not_guessed(tmp_path: Path, word: str) -> None:
    with pytest.raises(OptionError, match="neither in UTF-8 nor in GBK"):
        read_corpus(manifest(tmp_path, f"{HEAD}a,a.wav,en,{word},calm\n", NAMES, "latin-1"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name,wav,text\na,a.wav,b\n", "needs the columns 'id' and 'path', and its header has name, wav, text"),
        ("id,file\na,a.wav\n", "'path'"),
        ("a,a.wav,calm\n", "columns 'id' and 'path'"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("id,path\n", "nothing below it"),
        ("id,path,path\na,a,a\n", "'path' twice"),
        ("id,path\n\0\n", "no text file"),
    ],
)
def test_a_table_that_is_no_manifest_is_refused_with_what_it_lacks(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(OptionError, match=match):
        read_corpus(manifest(tmp_path, text))


def test_rows_that_cannot_be_read_are_listed_and_the_others_read(tmp_path: Path) -> None:
    text = (
        "id,path,caption\n"
        "a,a.wav,She is calm.\n"
        "b,b.wav,calm, and slow\n"  # a comma that wants quotation marks
        "c,c.wav\n"
        "\n"
        'd,d.wav,"never closed\n'
        "e,e.wav,He laughs.\n"
        ",f.wav,No id.\n"
        "a,g.wav,The same id.\n"
        'h,h.wav,"two\nlines"\n'
        'i,i.wav,"half" quoted\n'
        "j,,He sighs.\n"
        "k,k.wav,\n"
    )
    corpus = read_corpus(manifest(tmp_path, text, ["a.wav", "e.wav", "h.wav", "k.wav"]))
    assert [clip.id for clip in corpus.clips] == ["a", "e", "h", "j", "k"]
    assert corpus.clips[2].references == {"en": ("two lines",)}
    assert kinds(corpus) == [
        ("unreadable_row", "", 3),
        ("unreadable_row", "", 4),
        ("unreadable_row", "", 6),
        ("unreadable_row", "", 12),
        ("no_id", "", 8),
        ("duplicate_id", "a", 9),
        ("missing_audio", "j", 13),
        ("no_reference", "k", 14),
    ]
    assert "4 fields, and the header has 3" in corpus.problems[0].message
    assert "never closed" in corpus.problems[2].message
    assert "line 2" in corpus.problems[5].message


def test_a_table_full_of_open_quotation_marks_is_given_up(tmp_path: Path) -> None:
    text = "id,path,caption\n" + "".join(f'c{n},c.wav,"open{n}\n' for n in range(101))
    with pytest.raises(OptionError, match="never closed"):
        read_corpus(manifest(tmp_path, text))


def test_emotions_that_are_no_label_are_said(tmp_path: Path) -> None:
    text = "id,path,emotion\na,a.wav,Angry\nb,a.wav,longing\nc,a.wav,悲伤\nd,a.wav,\n"
    corpus = read_corpus(manifest(tmp_path, text, NAMES))
    assert [clip.label for clip in corpus.clips] == ["anger", None, "sadness", None]
    assert [(kind, clip) for kind, clip, _ in kinds(corpus)] == [
        ("unknown_emotion", "b"),
        ("no_reference", "b"),
        ("no_reference", "d"),
    ]


def test_recordings_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside = recording(tmp_path / "secret.wav")
    folder = manifest(
        tmp_path / "corpus",
        f"id,path,emotion\na,../secret.wav,calm\nb,{outside},calm\nc,link.wav,calm\nd,sub/../in.wav,calm\n"
        "e,C:\\x.wav,calm\nf,sub\\in.wav,calm\n",
        ["in.wav", "sub/in.wav"],
    )
    (folder / "link.wav").symlink_to(outside)
    corpus = read_corpus(folder)
    assert [clip.path for clip in corpus.clips] == [None, None, None, None, None, folder / "sub" / "in.wav"]
    assert [problem.kind for problem in corpus.problems] == ["outside_folder"] * 5
    assert "put it there" in corpus.problems[0].message
    own = read_corpus(folder, confined=False)
    assert [clip.path is not None for clip in own.clips] == [True, True, True, True, False, True]
    named = read_corpus(folder, audio=tmp_path)  # a folder that was named is no way out
    assert named.clips[2].path == folder / "link.wav"


@pytest.mark.parametrize("path", ["a" * 5000, "x\x01.wav", ".", "sub", "con/../..", "~/a.wav", "a.wav|ls"])
def test_paths_that_no_file_can_have_are_missing(tmp_path: Path, path: str) -> None:
    corpus = read_corpus(manifest(tmp_path, f"id,path,emotion\na,{path},calm\n", ["sub/x.wav"]))
    assert corpus.clips[0].path is None
    assert corpus.problems[0].kind in ("missing_audio", "outside_folder")


def test_recordings_may_lie_in_another_folder(tmp_path: Path) -> None:
    folder = manifest(tmp_path / "corpus", TWO)
    audio = tmp_path / "audio"
    recording(audio / "a.wav")
    corpus = read_corpus(folder / "manifest.csv", audio=audio)
    assert [clip.path for clip in corpus.clips] == [audio / "a.wav", None]


def test_a_split_is_chosen_and_clips_without_one_stay(tmp_path: Path) -> None:
    text = "id,path,emotion,split\na,a.wav,calm,test\nb,x.wav,calm,train\nc,b.wav,calm,\n"
    corpus = read_corpus(manifest(tmp_path, text, NAMES))
    test = corpus.split("test")
    assert [clip.id for clip in test.clips] == ["a", "c"]
    assert [p.clip for p in corpus.problems] == ["b"] and test.problems == ()
    assert test.sha256 != corpus.sha256
    with pytest.raises(OptionError, match="its splits are test, train"):
        read_corpus(manifest(tmp_path / "2", text.replace("b.wav,calm,\n", "b.wav,calm,test\n"))).split("dev")


def test_mixed_languages_are_counted_apart(tmp_path: Path) -> None:
    text = "id,path,caption\n" + "".join(f"c{n},a.wav,{('She is calm.', '语气平静。')[n % 3 == 0]}\n" for n in range(9))
    corpus = read_corpus(manifest(tmp_path, text, NAMES))
    assert corpus.problems == ()
    english, chinese = preflight(corpus, "en"), preflight(corpus, "zh")
    assert (english.usable, chinese.usable) == (6, 3)
    assert [(f.kind, f.count, f.lost) for f in english.findings] == [("other_language", 3, 3)]
    assert english.findings[0].message == "3 clips have captions in Chinese alone."
