"""The audio clue is cut out of paragraphs that don't all keep to the form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.corpora.folders import CHINESE, ENGLISH, VIDEO, emer_csv, recordings
from ugsd_core.corpora import read_corpus
from ugsd_core.corpora.mer2024 import audio_clue, says_nothing
from ugsd_core.errors import OptionError

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "mer2024"
CLUE = "The man speaks wearily, with a long sigh."


def paragraph(audio: str, text: str) -> str:
    return f"{VIDEO} {audio} {text}"


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        paragraph("In the audio, the man speaks wearily, with a long sigh.", 'The subtitle in the text says, "So."'),
        paragraph("In the audio, the man speaks wearily, with a long sigh.", 'In the subtitles, "So." is read.'),
        paragraph("In the audio, the man speaks wearily, with a long sigh.", 'In the subtitles of the text, "So."'),
        paragraph("In the audio, the man speaks wearily, with a long sigh.", "From the subtitle, one can see more."),
        paragraph("In the audio, the man speaks wearily, with a long sigh.", 'The subtitle reads: "So."'),
        paragraph("In the audio, the man speaks wearily, with a long sigh.", ""),
        paragraph("In the audio the man speaks wearily, with a long sigh.", 'In the text "So."'),
        paragraph("In the audio: the man speaks wearily,\nwith a long sigh.", "\nIn the text, nothing else."),
        f"Input: {ENGLISH} Output: {ENGLISH}",
        "in the video, a man; in the audio, the man speaks wearily, with a long sigh.; in the text, more.",
        'In the audio, the man speaks wearily, with a long sigh.The subtitle in the text says, "So."',
        "In the audio, the man speaks wearily, with a long sigh. In the video, a man waits.",
    ],
)
def test_english_runs_from_the_audio_to_the_text(text: str) -> None:
    assert audio_clue(text, "en") == CLUE


def test_what_belongs_to_the_clue_stays_in_it() -> None:
    audio = (
        'In the audio, he says "late again" with a rising tone. Combined with the text content, he seems to complain '
        "about the text on the sign. 1. The pause is long."
    )
    clue = audio_clue(paragraph(audio, 'In the text, the subtitle says "So."'), "en")
    assert clue.startswith('He says "late again"') and clue.endswith("1. The pause is long.")
    assert "text on the sign" in clue and "Combined with the text content" in clue


def test_an_audio_clue_that_is_only_mentioned_is_none() -> None:
    assert audio_clue("He hears nothing in the audio, and waits. In the text, more.", "en") == ""
    assert audio_clue("The audio clues tell little.", "en") == ""
    assert audio_clue("", "en") == audio_clue("", "zh") == ""


@pytest.mark.parametrize(
    "text",
    [
        CHINESE,
        "在视频中，等车。；在音频中，男士说得有气无力，还叹了口气。；",
        "在视频中，等车。；在音频中，男士说得有气无力，还叹了口气。",
        "在视频中，等车。；在音频中，男士说得有气无力，还叹了口气。在文本中，字幕内容：“好。”；",
        "在视频中,等车。;在音频中,男士说得有气无力，还叹了口气。;在文本中,好。;",
        "在视频中，等车。；\n在音频中：男士说得有气无力，还叹了口气。；\n在文本中，好。；",
        "在视频中，等车。；在音频中，男士说得有气无力，还叹了口气。\n在字幕中，好。",
    ],
)
def test_chinese_runs_from_the_audio_to_the_semicolon(text: str) -> None:
    assert audio_clue(text, "zh") == "男士说得有气无力，还叹了口气。"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("In the audio, ... In the text, it is plain.", "en"),
        ("在音频中，，；在文本中，好。；", "zh"),
        ("在音频中；", "zh"),
    ],
)
def test_a_clue_left_blank_is_none(text: str, language: str) -> None:
    assert audio_clue(text, language) == ""


@pytest.mark.parametrize(
    ("clue", "language"),
    [
        ("It is impossible to determine how the man feels.", "en"),
        ("It is not possible to infer feelings from this voice.", "en"),
        ("It is difficult to perceive how he feels.", "en"),
        ("There are no valuable clues provided.", "en"),
        ("The character's emotional state cannot be determined.", "en"),
        ("无法判断这位男士的状态", "zh"),
        ("很难从语音中感知对方的心情。", "zh"),
        ("无法根据语音对心情进行推理。", "zh"),
        ("没有提供有用的情感线索", "zh"),
    ],
)
def test_a_clue_that_says_nothing_is_known_for_it(clue: str, language: str) -> None:
    assert says_nothing(clue, language)


@pytest.mark.parametrize(
    ("clue", "language"),
    [
        ("He laughs, but it is difficult to determine why.", "en"),
        ("The tone is flat. It is difficult to determine the exact state.", "en"),
        ("There are no pauses, and he speaks fast.", "en"),
        ("It is impossible to overhear the sobbing.", "en"),
        ("语气平淡。很难确定他的状态。", "zh"),
        ("没有停顿，说得飞快", "zh"),
        ("他无法理解对方，语气激动", "zh"),
    ],
)
def test_a_clue_that_says_something_is_not(clue: str, language: str) -> None:
    assert not says_nothing(clue, language)


def test_recordings_are_found_by_name(tmp_path: Path) -> None:
    names = ("s1", "s2", "s3", "s4", "s5")
    folder = emer_csv(tmp_path / "emer", [(name, CHINESE, ENGLISH) for name in names])
    audio = recordings(tmp_path / "audio", ["s1.WAV", "s2.mp4", "part/s3.flac", "s4.mp4", "wav/s4.wav", "._s5.wav"])
    corpus = read_corpus(folder, audio=audio)
    assert corpus.format == corpus.name == "mer2024"
    found = {clip.id: clip.path and clip.path.relative_to(audio).as_posix() for clip in corpus.clips}
    assert found == {"s1": "s1.WAV", "s2": "s2.mp4", "s3": "part/s3.flac", "s4": "wav/s4.wav", "s5": None}
    assert corpus.clips[0].references == {"en": (CLUE,), "zh": ("男士说得有气无力，还叹了口气。",)}
    assert [(p.kind, p.clip, p.row) for p in corpus.problems] == [
        ("ambiguous_audio", "s4", 5),
        ("missing_audio", "s5", 6),
    ]
    assert read_corpus(folder / "final-EMER-reason.csv", audio=audio).clips == corpus.clips


def test_problems_of_rows_are_said(tmp_path: Path) -> None:
    nothing = "在音频中，无法判断这位女士的状态；"
    folder = emer_csv(
        tmp_path,
        [
            ("a", CHINESE, ENGLISH),
            ("a", CHINESE, ENGLISH),
            ("", CHINESE, ENGLISH),
            ("b", nothing, ENGLISH),
            ("c", "", ""),
        ],
    )
    recordings(tmp_path, ["a.wav", "b.wav", "c.wav"])
    corpus = read_corpus(folder, "mer2024")
    assert [(p.kind, p.clip, p.row) for p in corpus.problems] == [
        ("duplicate_id", "a", 3),
        ("no_id", "", 4),
        ("uninformative", "b", 5),
        ("no_reference", "c", 6),
    ]
    assert [clip.id for clip in corpus.usable("zh")] == ["a", "b"]
    assert [clip.id for clip in corpus.informative().usable("zh")] == ["a"]


def test_a_table_in_one_language_is_read(tmp_path: Path) -> None:
    (tmp_path / "reasons.csv").write_text(f'name,chinese\na,"{CHINESE}"\n', encoding="utf-8")
    assert list(read_corpus(tmp_path).clips[0].references) == ["zh"]


def test_another_table_is_refused_with_what_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "final-EMER-reason.csv").write_text("name,text\na,b\n", encoding="utf-8")
    with pytest.raises(OptionError, match="'chinese' or 'english'"):
        read_corpus(tmp_path)
    with pytest.raises(OptionError, match="holds no final-EMER-reason"):
        read_corpus(tmp_path / "..", "mer2024")
    with pytest.raises(OptionError, match="no folder"):
        read_corpus(emer_csv(tmp_path, [("a", CHINESE, ENGLISH)]), audio=tmp_path / "nowhere")


@pytest.mark.skipif(not REAL.is_dir(), reason="the reference file is not here")
def test_the_real_file_has_the_counts_that_are_known() -> None:
    corpus = read_corpus(REAL)
    assert len(corpus.clips) == 332
    for language in ("en", "zh"):
        clues = [clip.references[language][0] for clip in corpus.clips if language in clip.references]
        assert len(clues) == 331
        assert all(len(clue) > 4 for clue in clues)
        assert not any(word in clue for clue in clues for word in ("In the audio", "subtitle says", "在音频中", "字幕"))
    # 27 say that nothing can be told, and 3 that there is no clue of value.
    assert Counter(p.kind for p in corpus.problems) == {"missing_audio": 332, "no_reference": 1, "uninformative": 30}
    for language in ("en", "zh"):
        clues = [clip.references[language][0] for clip in corpus.clips if language in clip.references]
        assert sum(says_nothing(clue, language) for clue in clues) == 30
