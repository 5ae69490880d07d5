"""The whole way from records to a card and a report, on made-up records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.calibration.worlds import LENGTH, record, world
from ugsd_core.calibration.blocks import block_aurocs, cut_blocks
from ugsd_core.calibration.calibration import calibrate
from ugsd_core.calibration.fit import Score
from ugsd_core.calibration.outcomes import RANK, Acceptance, asked_everywhere, steps
from ugsd_core.calibration.records import TokenColumns
from ugsd_core.calibration.report import curve_pictures, markdown
from ugsd_core.calibration.thresholds import caption_scores
from ugsd_core.errors import OptionError
from ugsd_core.gate_card import GateCards, read_gate_cards
from ugsd_core.messages import Signals
from ugsd_core.pictures import Line, line_chart

pytest.importorskip("sklearn")


def test_a_calibration_ends_in_a_card_that_the_checkpoint_can_read(tmp_path: Path) -> None:
    records = world(500)
    found = calibrate(records, budget=0.02, draws=60)
    cards = GateCards("edge", "verifier", {"en": found.card})
    cards.write(tmp_path)
    read = read_gate_cards(tmp_path)
    assert read is not None and read.languages["en"] == found.card
    card = found.card
    assert card.budget == 0.02 and dict(card.budgets)[0.02] == card.threshold
    thresholds = [threshold for _, threshold in card.budgets]
    assert thresholds == sorted(thresholds, reverse=True)  # more may be sent: a lower bar
    kept = [threshold for _, threshold in card.promises]
    assert kept == sorted(kept) and len(kept) > 3  # less is promised: a higher bar
    assert card.acceptance == "fused" and card.fusion.verifier < 1.0
    json.dumps(found.figures, allow_nan=False)


@pytest.mark.parametrize("isotonic", [False, True])
def test_the_card_scores_as_the_fit_does(isotonic: bool) -> None:
    found = calibrate(world(500), budget=0.02, isotonic=isotonic, draws=20)
    card = found.card
    steps_of = None if card.isotonic is None else (card.isotonic.x, card.isotonic.y)
    assert (steps_of is not None) == isotonic
    score = Score(card.signals, card.mean, card.scale, card.weights, card.bias, steps_of)
    for doubt in (0.05, 0.3, 0.9):
        signals = Signals(1.2, 0.4, 0.7, None, (0.1,) * 9, 1.0, doubt, doubt, None)
        named = {"entropy": 1.2, "margin": 0.6, "nll": 0.7, "label_entropy": 1.0, "head_doubt": doubt}
        named |= {"text_doubt": doubt, "label_mass_missing": 0.1}
        assert card.score(signals) == pytest.approx(score.of_signals(dict(named)), abs=1e-6)


def test_the_report_has_every_section_and_the_pictures_are_svg() -> None:
    figures = calibrate(world(300), budget=0.02, draws=40).figures
    text = markdown([figures], {"edge": "e", "verifier": "v", "split": "dev", "data": "made up", "skipped": []})
    for part in (
        "Signals at the",
        "All blocks of k",
        "Gates: gap closed",
        "Budgets",
        "Promises",
        "Who names the emotion",
    ):
        assert part in text
    assert "nan" not in text
    pictures = curve_pictures(figures)
    assert set(pictures) == {"closure-rho-en.svg", "closure-trips-en.svg"}
    for picture in pictures.values():
        ElementTree.fromstring(picture)


def test_a_chart_keeps_to_its_axes_and_escapes_its_words() -> None:
    picture = line_chart("a < b", "x", "y", [Line("one & two", ((0.0, 5.0), (2.0, 0.1))), Line("dot", ((0.5, 0.5),))],
                         x_most=1.0, y_span=(0.0, 1.0))  # fmt: skip
    assert "a &lt; b" in picture and "one &amp; two" in picture
    ElementTree.fromstring(picture)


def test_records_that_say_nothing_are_refused_in_a_sentence() -> None:
    with pytest.raises(OptionError, match="no clip has an emotion label"):
        calibrate([record(n, label=None) for n in range(4)], budget=0.02)
    with pytest.raises(OptionError, match="changes no emotion"):
        calibrate([record(n, speaker=f"s{n}") for n in range(4)], budget=0.02, draws=20)


# ── Replacements that lead on ─────────────────────────────────────────────────────────────────────────────────────


def chained() -> object:
    """The edge drafts label 1; the verifier wants a degree word first, and label 2 behind it."""
    plain = record(0, edge=1, after=2, label=2, scores=(0.9,))
    behind = replace(plain.positions[0], position=11, label_after=2, signals={"entropy": 0.3})
    first = replace(plain.positions[0], best_label=None, best_id=98, label_after=1, then=(behind,))
    return replace(plain, positions=(first,))


def test_a_degree_word_leads_to_another_question() -> None:
    from ugsd_core.calibration.curves import World, signal_gate

    made = chained()
    (step,) = steps(made)  # type: ignore[arg-type]
    assert step.replaced and step.after == 1 and step.final == 2 and step.changes
    space = World([made])  # type: ignore[list-item]
    scores = space.scores(signal_gate("entropy"))
    both, one = space.run(scores, 0.2), space.run(scores, 0.5)
    assert both.sent.tolist() == [2.0] and both.right.tolist() == [1.0] and both.changed.tolist() == [1.0]
    assert one.sent.tolist() == [1.0] and one.right.tolist() == [0.0]


def test_an_escalation_that_another_leads_to_has_the_lower_score() -> None:
    made = chained()
    asked = asked_everywhere(made, RANK)  # type: ignore[arg-type]
    assert [(len(chain), decided) for chain, decided in asked] == [(1, False), (2, True)]
    score = Score(("entropy",), (0.0,), (1.0,), (1.0,), 0.0)
    (caption,) = caption_scores([made], score, RANK)  # type: ignore[list-item]
    assert caption.scores[1] == min(caption.scores) and caption.changed == (False, True)


def test_what_is_asked_everywhere_skips_nothing_that_stands() -> None:
    made = record(0, edge=1, after=1, scores=(0.4, 0.6))
    assert [decided for _, decided in asked_everywhere(made, RANK)] == [False, False]
    twice = record(0, edge=1, after=2, scores=(0.4, 0.6))
    assert [decided for _, decided in asked_everywhere(twice, Acceptance(0.9, 0.1, 0.0))] == [True]


# ── Blocks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_blocks_take_the_largest_signal_and_the_mean_change_of_entropy() -> None:
    made = record(0, edge=1, after=2, scores=(0.5,))
    entropy = tuple(0.1 * n for n in range(LENGTH))
    columns = made.tokens
    made = replace(
        made,
        tokens=TokenColumns(columns.token_id, columns.emotion, entropy, columns.margin, columns.nll, (), columns.rank),
    )
    blocks = cut_blocks([made], 4, RANK)
    assert len(blocks.changed) == 5 and "mc_dropout" not in blocks.values
    assert blocks.values["entropy"].tolist() == pytest.approx([0.3, 0.7, 1.1, 1.5, 1.9])
    assert blocks.values["instability"].tolist() == pytest.approx([0.1] * 5)
    assert (
        blocks.changed.tolist()
        == blocks.meaning.tolist()
        == blocks.emotion.tolist()
        == [False, False, True, False, False]
    )
    found = block_aurocs(blocks)["entropy"]
    assert found["changed"] == 0.5 and found["meaning_in_emotion_blocks"] is None
