"""Records say what the loop does, and a run that was stopped goes on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.conftest import Pair
from ugsd_core.calibration.clips import draw, read_clips
from ugsd_core.calibration.collect import MemoPair, collect, collect_clip
from ugsd_core.calibration.curves import World, signal_gate
from ugsd_core.calibration.outcomes import RANK, Acceptance
from ugsd_core.calibration.reading import named_label
from ugsd_core.calibration.records import ClipRecord, read_records
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.decoding import decode
from ugsd_core.errors import OptionError
from ugsd_core.messages import BlockEscalated, CaptionFinished, TokenDrafted
from ugsd_core.options import DecodingOptions
from ugsd_core.verifier import LocalLink

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "assets" / "examples").glob("*.flac"))
GATES = {"semantic_entropy": "label_entropy", "text_doubt": "text_doubt"}


def write_corpus(folder: Path, n: int = 4) -> Path:
    """A corpus of short noises with two labels and two speakers."""
    import soundfile

    folder.mkdir(parents=True)
    rows = []
    for number in range(n):
        soundfile.write(folder / f"c{number}.wav", tiny.utterance(number).samples, 16_000)
        emotion, speaker = ("anger", "sadness")[number % 2], f"s{number // 2}"
        rows.append({"id": f"c{number}", "path": f"c{number}.wav", "speaker": speaker, "sex": "f", "emotion": emotion})
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "split"])
        writer.writeheader()
        writer.writerows({**row, "split": "dev"} for row in rows)
    return folder


def embedded() -> MemoPair:
    from ugsd_core.errors import CheckpointError
    from ugsd_core.models.loading import default_checkpoint

    try:
        return MemoPair.load(default_checkpoint("edge"), default_checkpoint("verifier"))
    except CheckpointError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("acceptance", [RANK, Acceptance(0.5, 0.25, 0.25)])
def test_offline_curves_are_what_the_loop_does(acceptance: Acceptance) -> None:
    """With the embedded pair: the label and the tokens sent, at several thresholds."""
    from ugsd_core.audio import load_utterance

    pair = embedded()
    drafter, link = pair.drafter(), LocalLink(pair.judge())
    drafter.gate_cards = None
    compared = 0
    for path in EXAMPLES:
        utterance = load_utterance(path)
        for language in ("en", "zh"):
            options = DecodingOptions(cut="emotion", rank=1, language=language)
            if acceptance.fused:  # text and head count alike without a gate card
                options = options.changed(acceptance="fused", fusion=acceptance.verifier)
            clip = CorpusClip(path.stem, "examples", path, label="anger")
            record = collect_clip(pair, clip, utterance, options.changed(mode="edge"))
            world = World([record], acceptance)
            for gate, signal in GATES.items():
                for tau in (0.0, 0.2, 0.5, 0.9):
                    run = world.run(world.scores(signal_gate(signal)), tau)
                    events = list(
                        decode(pair.encode(utterance), utterance.id, drafter, link, options.changed(gate=gate, tau=tau))
                    )
                    last = events[-1]
                    assert isinstance(last, CaptionFinished)
                    right = named_label(last.caption, language) == record.label
                    assert run.right[0] == right, (path.name, language, gate, tau)
                    assert run.sent[0] == sum(isinstance(e, BlockEscalated) for e in events), (path.name, gate, tau)
                    compared += bool(run.sent[0])
    assert compared > 10


def test_a_record_holds_both_sides_of_a_clip(pair: Pair) -> None:
    memo = MemoPair.of(pair.edge, pair.verifier)
    utterance = tiny.utterance(3)
    options = DecodingOptions(mode="edge", max_tokens=24, mc_dropout_samples=4)
    record = collect_clip(
        memo, CorpusClip("c", "k", Path("c"), label="anger", speaker="s", sex="f"), utterance, options
    )
    events = list(decode(memo.encode(utterance), utterance.id, memo.drafter(), None, options))
    drafted = [event for event in events if isinstance(event, TokenDrafted)]
    assert record.tokens.token_id == tuple(event.token_id for event in drafted)
    np.testing.assert_allclose(record.tokens.entropy, [e.signals.entropy_nats for e in drafted], atol=1e-5)
    assert len(record.tokens.mc_dropout) == len(drafted)
    cloud = list(
        decode(
            memo.encode(utterance), utterance.id, memo.drafter(), LocalLink(memo.judge()), options.changed(mode="cloud")
        )
    )[-1]
    assert isinstance(cloud, CaptionFinished) and record.cloud_caption == cloud.caption
    assert all(rank >= 1 for rank in record.tokens.rank)
    assert [p.position for p in record.positions] == sorted(p.position for p in record.positions)
    again = ClipRecord.from_dict(record.to_dict())
    assert again.to_dict() == record.to_dict() and again.key == ("k", "c", "en")


def test_a_run_goes_on_where_it_was_stopped(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memo = MemoPair.of(pair.edge, pair.verifier)
    clips = read_clips(write_corpus(tmp_path / "noise"), "dev")
    path = tmp_path / "out" / "records.jsonl"
    first = collect(memo, clips[:2], ["en"], path)
    path.write_bytes(path.read_bytes() + b'{"schema": 2, "id": "cut o')
    asked: list[Any] = []
    plain = collect_clip
    import ugsd_core.calibration.collect as module

    monkeypatch.setattr(module, "collect_clip", lambda *args: asked.append(args[1].id) or plain(*args))
    everything = collect(memo, clips, ["en", "zh"], path)
    assert asked == ["c0", "c1", "c2", "c2", "c3", "c3"]  # English of the first two was known
    assert [(r.id, r.language) for r in everything] == [(c.id, lang) for c in clips for lang in ("en", "zh")]
    assert [r.to_dict() for r in everything if r.language == "en"][:2] == [r.to_dict() for r in first]
    assert len(read_records([path])) == 8


def test_a_clip_that_cannot_be_read_is_said_and_skipped(pair: Pair, tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "noise")
    (folder / "c1.wav").write_bytes(b"")
    skipped: list[str] = []
    memo = MemoPair.of(pair.edge, pair.verifier)
    found = collect(memo, read_clips(folder, "dev"), ["en"], tmp_path / "r.jsonl", skipped=skipped)
    assert [record.id for record in found] == ["c0", "c2", "c3"]
    assert len(skipped) == 1 and skipped[0].startswith("noise/c1: ")


def test_manifests_are_read_and_their_faults_named(tmp_path: Path) -> None:
    write_corpus(tmp_path / "data" / "noise")
    clips = read_clips(tmp_path / "data", "dev")
    assert [clip.label for clip in clips] == ["anger", "sadness"] * 2 and clips[0].corpus == "noise"
    assert draw(clips, 2) == draw(clips, 2) and len(draw(clips, 2)) == 2 and draw(clips, None) == clips
    with pytest.raises(OptionError, match="split 'test'"):
        read_clips(tmp_path / "data", "test")
    with pytest.raises(OptionError, match="no corpus 'other'"):
        read_clips(tmp_path / "data", "dev", ["other"])
    with pytest.raises(OptionError, match="no folder"):
        read_clips(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match=r"holds no manifest\.csv"):
        read_clips(tmp_path / "empty")
    (tmp_path / "empty" / "manifest.csv").write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(OptionError, match="columns 'id' and 'path'"):
        read_clips(tmp_path / "empty")


def test_other_words_for_emotions_are_understood(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("id,path,emotion\na,a,Angry\nb,b,longing\nc,c,悲伤\n", encoding="utf-8")
    assert [clip.label for clip in read_clips(tmp_path, "dev")] == ["anger", None, "sadness"]


def test_records_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"schema": 1}\n', encoding="utf-8")
    with pytest.raises(OptionError, match="another version"):
        read_records([path])
    path.write_text("{\n", encoding="utf-8")
    with pytest.raises(OptionError, match="line 1"):
        read_records([path])
