"""Items from a run folder, traces and manifests; what can't be used is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.streams import every_state
from ugsd_core.annotations.campaign import Campaign, create_campaign, word_tokens
from ugsd_core.annotations.errors import AnnotationError, AnswerError
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.sources import from_manifest, from_run, from_traces, with_gold
from ugsd_core.annotations.store import Store
from ugsd_core.annotations.taxonomy import default_taxonomy
from ugsd_core.evaluation.records import ClipLine, append_line
from ugsd_core.result import caption_result
from ugsd_core.traces import write_trace


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two clips by two systems; one has a trace, one failed, one recording is there."""
    folder, corpus = tmp_path / "run", tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.wav").write_bytes(b"RIFF-a")
    events = every_state()
    write_trace(folder / "traces" / "ugsd" / "a.jsonl", events)
    caption = caption_result(events).caption
    for values in (
        {"id": "a", "system": "ugsd", "hypothesis": caption, "trace": "traces/ugsd/a.jsonl", "path": "a.wav"},
        {"id": "a", "system": "edge", "hypothesis": "She sounds sad.", "path": "a.wav"},
        {"id": "b", "system": "ugsd", "hypothesis": None, "error": "the clip is silent", "path": "b.wav"},
        {"id": "b", "system": "edge", "hypothesis": "He laughs.", "path": "b.wav", "duration_s": 2.5, "label": "joy"},
    ):
        append_line(folder / "clips.jsonl", ClipLine(corpus="tiny", language="en", **values))  # type: ignore[arg-type]
    return folder


def test_a_run_gives_an_item_for_every_caption_and_a_sentence_for_the_rest(run: Path, tmp_path: Path) -> None:
    found = from_run("c", run, audio=tmp_path / "corpus")
    assert [(new.item.clip, new.item.system) for new in found.items] == [("a", "ugsd"), ("a", "edge"), ("b", "edge")]
    assert [new.audio is not None for new in found.items] == [True, True, False]
    assert len(found.problems) == 2
    assert "silent" in found.problems[0] and "b.wav was not found" in found.problems[1]
    assert found.items[2].item.duration_s == 2.5 and found.items[2].item.label == "joy"


def test_tokens_are_the_runs_own_so_that_flags_point_at_its_strip(run: Path) -> None:
    new = from_run("c", run, systems=["ugsd"]).items[0]
    assert new.item.tokens == tuple(token.text for token in caption_result(every_state()).committed)
    assert new.events == tuple(every_state())


def test_one_clip_of_two_systems_keeps_its_recording_once(
    run: Path, tmp_path: Path, sqlite: Store, media: Media
) -> None:
    create_campaign(sqlite, media, Campaign("c"), from_run("c", run, audio=tmp_path / "corpus").items)
    assert len(list((media.root / "c" / "audio").iterdir())) == 1
    assert len(list((media.root / "c" / "traces").iterdir())) == 1


def test_only_the_systems_that_were_named_are_taken(run: Path) -> None:
    assert [new.item.system for new in from_run("c", run, systems=["edge"]).items] == ["edge", "edge"]
    with pytest.raises(AnnotationError, match="ugsd, edge"):
        from_run("c", run, systems=["cloud"])
    with pytest.raises(AnnotationError, match="folder of a run"):
        from_run("c", run / "traces")


def test_traces_give_items_and_damaged_ones_a_sentence(tmp_path: Path) -> None:
    write_trace(tmp_path / "t" / "clip.jsonl", every_state())
    (tmp_path / "t" / "other.jsonl").write_text("hello\n")
    (tmp_path / "clip.wav").write_bytes(b"RIFF")
    found = from_traces("c", [tmp_path / "t"], audio=tmp_path)
    assert [new.item.clip for new in found.items] == ["clip"] and found.items[0].audio == tmp_path / "clip.wav"
    assert "no trace" in found.problems[0]
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match="no traces"):
        from_traces("c", [tmp_path / "empty"])


def test_a_manifest_is_csv_or_json_lines(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    table = tmp_path / "m.csv"
    table.write_text(
        "\ufeffid,path,caption,language,system,duration_s,reference\n"
        "a,a.wav,She sounds sad.,en,x,1.5,A sad voice.\n"
        "b,gone.wav,她很难过。,zh,x,,\n"
        "a,a.wav,Again.,en,x,,\nc,,,en,x,,\n",
        encoding="utf-8",
    )
    found = from_manifest("c", table)
    assert [(new.item.clip, new.item.language) for new in found.items] == [("a", "en"), ("b", "zh")]
    assert found.items[0].item.duration_s == 1.5 and found.items[0].item.references == ("A sad voice.",)
    assert len(found.problems) == 3
    lines = tmp_path / "m.jsonl"
    lines.write_text('{"id": "a", "caption": "She sounds sad.", "path": "a.wav"}\n')
    assert from_manifest("c", lines).items[0].audio == tmp_path / "a.wav"
    lines.write_text("not json\n")
    with pytest.raises(AnnotationError, match="can't be read"):
        from_manifest("c", lines)


def gold_file(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_expected_answers_are_checked_when_they_come(run: Path, tmp_path: Path) -> None:
    found = from_run("c", run)
    gold = gold_file(tmp_path, {"id": "a", "system": "edge", "verdict": "accept"})
    items = with_gold(found, gold, default_taxonomy()).items
    assert [new.item.gold is not None for new in items] == [False, True, False]
    for row in ({"id": "a", "verdict": "accept"}, {"id": "zz", "verdict": "accept"}):
        with pytest.raises(AnnotationError, match="names"):
            with_gold(found, gold_file(tmp_path, row), default_taxonomy())
    with pytest.raises(AnswerError):
        with_gold(found, gold_file(tmp_path, {"id": "b", "verdict": "flag"}), default_taxonomy())


@pytest.mark.parametrize(
    "caption",
    [
        "She sounds sad.",
        " 她很难过， 声音颤抖。 ",
        "a  b",
        "it's fine-tuned (3.5)!",
        "né 😀 ok",
        "\n",
        "かなしい声",
        "x\u2028y",
    ],
)
def test_words_of_a_caption_give_the_caption(caption: str) -> None:
    assert "".join(word_tokens(caption)) == caption


def test_chinese_is_pointed_at_by_character_and_english_by_word() -> None:
    assert word_tokens("她很sad吗") == ("她", "很", "sad", "吗")
    assert word_tokens("She's sad.") == ("She's", " sad", ".")


def test_a_campaign_without_captions_is_refused(sqlite: Store, media: Media) -> None:
    with pytest.raises(AnnotationError, match="at least one caption"):
        create_campaign(sqlite, media, Campaign("c"), ())


@pytest.mark.parametrize(
    "rules", [{"overlap": 0}, {"must_listen": 1.5}, {"hold_s": 0.0}, {"hold_s": 10.0, "draft_hold_s": 5.0}]
)
def test_rules_that_make_no_sense_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(AnnotationError):
        Campaign("c", **rules)
