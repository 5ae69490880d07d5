from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ugsd_core.draft_block import DraftBlock, DraftToken
from ugsd_core.errors import CheckpointError
from ugsd_core.gate_card import (
    CARD_SIGNALS,
    FusionWeights,
    GateCard,
    GateCards,
    Isotonic,
    edge_posterior,
    read_gate_cards,
)
from ugsd_core.lexicon import EMOTION_LABELS
from ugsd_core.messages import Signals
from ugsd_core.models.emotion_tokens import EmotionPlace, fuse_labels
from ugsd_core.posterior import quantise

SAD = EMOTION_LABELS.index("sadness")
MASS = tuple(0.6 if i == SAD else 0.05 for i in range(9))
SURE = Signals(0.4, 0.5, 0.3, None, MASS, 1.0, 0.7, 0.4, 0.55)
CARD = GateCard(
    signals=("head_doubt", "text_doubt"),
    mean=(0.5, 0.5),
    scale=(0.25, 0.5),
    weights=(1.0, 2.0),
    bias=-0.5,
    threshold=0.3,
    budget=0.05,
    budgets=((0.02, 0.8), (0.05, 0.3), (0.1, 0.1)),
    promises=((0.05, 0.2), (0.1, 0.4)),
    acceptance="fused",
    fusion=FusionWeights(0.5, 0.1, 0.4),
)


def test_every_signal_points_the_same_way_and_knows_when_it_is_missing() -> None:
    values = {name: read(SURE) for name, read in CARD_SIGNALS.items()}
    assert values == pytest.approx(
        {
            "entropy": 0.4,
            "margin": 0.5,
            "nll": 0.3,
            "label_entropy": 1.0,
            "head_doubt": 0.7,
            "text_doubt": 0.4,
            "fused_doubt": 0.55,
            "label_mass_missing": 0.0,
        },
        abs=1e-9,
    )
    plain = Signals(0.4, 0.5, 0.3)
    assert {name for name, read in CARD_SIGNALS.items() if read(plain) is not None} == {"entropy", "margin", "nll"}


def test_the_score_is_the_logistic_of_the_standardised_signals() -> None:
    logit = 1.0 * (0.7 - 0.5) / 0.25 + 2.0 * (0.4 - 0.5) / 0.5 - 0.5
    assert CARD.score(SURE) == pytest.approx(1 / (1 + math.exp(-logit)))
    headless = replace(SURE, head_doubt=None)
    assert CARD.score(headless) == pytest.approx(CARD.score(replace(SURE, head_doubt=0.5))), "taken at its mean"
    assert 0.0 <= CARD.score(replace(SURE, head_doubt=1e9)) <= 1.0


def test_isotonic_steps_are_straight_between_their_corners_and_level_outside() -> None:
    curve = Isotonic((0.2, 0.4, 0.8), (0.1, 0.5, 0.6))
    assert [curve.of(x) for x in (0.0, 0.2, 0.3, 0.4, 0.8, 1.0)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.6, 0.6])
    assert replace(CARD, isotonic=Isotonic((0.0, 1.0), (0.0, 0.5))).score(SURE) == pytest.approx(CARD.score(SURE) / 2)


def test_a_promise_comes_before_a_budget_and_that_before_the_cards_own_threshold() -> None:
    assert CARD.threshold_for() == 0.3
    assert CARD.threshold_for(budget=0.1) == 0.1
    assert CARD.threshold_for(budget=0.1, promise=0.1) == 0.4


def test_a_promise_is_rounded_down_and_one_that_is_too_small_sends_everything() -> None:
    assert CARD.threshold_for(promise=0.09) == 0.2
    assert CARD.threshold_for(promise=0.9) == 0.4
    assert CARD.threshold_for(promise=0.01) == 0.0
    assert (CARD.can_promise(0.05), CARD.can_promise(0.01)) == (True, False)


def test_budgets_lie_between_the_rows_and_nothing_is_sent_for_none() -> None:
    assert CARD.threshold_for(budget=0.035) == pytest.approx(0.55)
    assert CARD.threshold_for(budget=0.01) == pytest.approx(0.9)
    assert CARD.threshold_for(budget=0.0) == 1.0
    assert CARD.threshold_for(budget=0.9) == 0.1
    assert replace(CARD, budgets=()).threshold_for(budget=0.1) == 0.3


def test_a_card_survives_the_way_to_its_file_and_back(tmp_path: Path) -> None:
    curved = replace(CARD, isotonic=Isotonic((0.0, 1.0), (0.1, 0.9)))
    cards = GateCards("edge", "verifier", {"en": CARD, "zh": curved})
    assert cards.write(tmp_path).name == "gate.json"
    assert read_gate_cards(tmp_path) == cards
    record = json.loads((tmp_path / "gate.json").read_text())
    assert record["schema"] == 1 and record["languages"]["zh"]["isotonic"] == {"x": [0.0, 1.0], "y": [0.1, 0.9]}
    assert record["languages"]["en"]["fusion"] == {"verifier": 0.5, "text": 0.1, "head": 0.4}


def test_a_checkpoint_without_a_card(tmp_path: Path) -> None:
    assert read_gate_cards(tmp_path) is None
    assert read_gate_cards(None) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"signals": ["mood", "text_doubt"]}, "unknown signals: mood"),
        ({"mean": [0.5]}, "differ in length"),
        ({"scale": [0.0, 1.0]}, "no number of use"),
        ({"bias": float("nan")}, "no number of use"),
        ({"isotonic": {"x": [0.0, 1.0], "y": [0.9, 0.1]}}, "does not rise"),
        ({"budgets": [[0.1, 0.1], [0.05, 0.2]]}, "ascending"),
        ({"promises": [[0.1]]}, "damaged"),
        ({"fusion": {"verifier": 0.5, "text": -0.5, "head": 1.0}}, "negative"),
        ({"colour": "red"}, "damaged"),
        ({"weights": None}, "damaged"),
    ],
)
def test_a_damaged_card_is_told_in_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    record = {"schema": 1, "edge": "e", "verifier": "v", "languages": {"en": CARD.to_dict() | change}}
    (tmp_path / "gate.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=sentence) as error:
        read_gate_cards(tmp_path)
    assert "\n" not in str(error.value) and "calibrate the checkpoint again" in str(error.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": 2}', '{"schema": 1, "edge": "e", "verifier": "v"}'])
def test_a_file_that_is_no_card_is_told_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "gate.json").write_text(text)
    with pytest.raises(CheckpointError, match="calibrate the checkpoint again"):
        read_gate_cards(tmp_path)


# ── What goes up with a block ─────────────────────────────────────────────────────────────────────────────────────


def block(*tokens: tuple[EmotionPlace | None, tuple[float, ...] | None]) -> DraftBlock:
    drafted = (DraftToken(i, i, " x", Signals(0.1, 0.9, 0.1, None, m), (), p) for i, (p, m) in enumerate(tokens))
    return DraftBlock(0, 0, 0, tuple(drafted), "")


def test_the_edges_posterior_is_the_weighted_product_of_text_and_head() -> None:
    head = tuple(0.5 if i == 0 else 0.0625 for i in range(9))
    held = block((None, None), ("begins", MASS))
    assert edge_posterior(held, head, CARD) == quantise(fuse_labels((MASS, 0.2), (head, 0.8)))
    assert edge_posterior(held, head, None) == quantise(fuse_labels((MASS, 0.5), (head, 0.5)))
    text_alone = edge_posterior(held, None, CARD)
    assert text_alone == quantise(MASS) and text_alone[SAD] == 255


def test_a_word_that_was_drafted_counts_before_one_that_only_could_be() -> None:
    other = tuple(reversed(MASS))
    assert block(("could", other), ("begins", MASS)).label_mass == MASS
    assert block(("could", other), (None, None)).label_mass == other
    assert edge_posterior(block((None, None), ("continues", None)), None, CARD) is None
