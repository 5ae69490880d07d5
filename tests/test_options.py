"""Settings: what has no meaning is refused, presets are whole, nothing is lost on the way to a dict and back."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from ugsd_core.acceptance import acceptance_rule
from ugsd_core.errors import OptionError
from ugsd_core.gate import gate
from ugsd_core.options import PRESETS, DecodingOptions, preset


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "both"},
        {"language": "de"},
        {"tau": -0.1},
        {"tau": float("nan")},
        {"tau": float("inf")},
        {"budget": -0.1},
        {"budget": 1.1},
        {"budget": float("nan")},
        {"promise": 2.0},
        {"cut": "words"},
        {"rank": 0},
        {"probability": 0.0},
        {"probability": 1.01},
        {"fusion": -0.01},
        {"fusion": 1.01},
        {"fusion": float("nan")},
        {"block_length": "paper"},
        {"k": 0},
        {"k_short": 65},
        {"k_long": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"escalation_probability": 1.5},
        {"mc_dropout_samples": 1},
        {"max_tokens": 0},
        {"max_tokens": 1025},
        {"top_k": 0},
        {"top_k": 21},
        {"deadline_s": 0.0},
        {"deadline_s": float("inf")},
    ],
)
def test_values_without_a_meaning_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(OptionError) as error:
        DecodingOptions(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_the_way_to_a_dict_and_back(name: str) -> None:
    options = preset(name)
    assert DecodingOptions.from_dict(options.to_dict()) == options
    assert set(options.to_dict()) == {entry.name for entry in fields(DecodingOptions)}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_gates_and_rules_that_exist(name: str) -> None:
    options = preset(name)
    gate(options, "utterance")
    acceptance_rule(options.acceptance, rank=options.rank, probability=options.probability)


def test_the_papers_preset_is_the_papers() -> None:
    paper = preset("paper")
    assert (paper.gate, paper.acceptance, paper.rank, paper.block_length) == ("entropy", "rank", 20, "adaptive")


def test_lossless_asks_always_and_takes_only_the_verifiers_own_choice() -> None:
    assert (preset("lossless").gate, preset("lossless").acceptance) == ("always", "greedy")


def test_none_leaves_a_setting_as_it_is_and_false_does_not() -> None:
    assert preset("proposal", tau=None).tau == preset("proposal").tau
    assert preset("proposal").bonus and not preset("proposal", bonus=False).bonus
    assert preset("default", seed=0, tau=0.0).tau == 0.0


def test_unknown_presets_and_settings_are_named() -> None:
    with pytest.raises(OptionError, match="no preset 'best'"):
        preset("best")
    with pytest.raises(OptionError, match="unknown setting: colour"):
        DecodingOptions.from_dict({"colour": "red"})


def test_options_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        preset("default").tau = 2.0  # type: ignore[misc]


def test_tau_a_budget_and_a_promise_replace_each_other() -> None:
    budget = DecodingOptions(gate="calibrated", tau=0.4).changed(budget=0.1)
    assert (budget.tau, budget.budget, budget.promise) == (None, 0.1, None)
    assert budget.changed(tau=0.0).budget is None and budget.changed(promise=0.2).budget is None
    assert budget.changed(k=2, tau=None).budget == 0.1
