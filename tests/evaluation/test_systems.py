from __future__ import annotations

import pytest

from ugsd_core.cli.evaluate_parser import SYSTEM_NAMES
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.systems import BASELINES, SYSTEMS, definition_of, own_system, parse_systems
from ugsd_core.options import PRESETS


def test_the_command_line_knows_every_system() -> None:
    assert tuple(SYSTEMS) == SYSTEM_NAMES


def test_every_system_has_one_sentence_and_its_own_settings() -> None:
    for name, entry in SYSTEMS.items():
        assert entry.system.name == name and entry.definition.endswith(".")
        assert definition_of(entry.system) == entry.definition
    settings = [(str(e.system.options.to_dict()), e.system.kind) for e in SYSTEMS.values()]
    assert len(set(settings)) == len(settings)


def test_the_papers_system_is_the_paper_as_stated() -> None:
    paper, fixed = SYSTEMS["paper"].system.options, SYSTEMS["paper-fixed"].system.options
    assert paper == PRESETS["paper"] and paper.block_length == "adaptive"
    assert fixed == PRESETS["paper"].changed(block_length="fixed") and fixed.k == 4


def test_systems_take_the_language_and_the_seed() -> None:
    systems = parse_systems("edge, ugsd,random", ["mine: preset=paper tau=0.8", "other: seed=3"], language="zh", seed=7)
    assert [system.name for system in systems] == ["edge", "ugsd", "random", "mine", "other"]
    assert {system.options.language for system in systems} == {"zh"}
    assert [system.options.seed for system in systems] == [7, 7, 7, 7, 3]
    assert parse_systems(BASELINES) and len(parse_systems("all")) == len(SYSTEMS)


def test_a_system_of_ones_own_is_a_preset_and_what_differs() -> None:
    system = own_system("mine: preset=paper, tau=0.8 rank=1 bonus=yes block-length=fixed")
    assert system.kind == "plain"
    assert system.options == PRESETS["paper"].changed(tau=0.8, rank=1, bonus=True, block_length="fixed")
    assert definition_of(system) == "Own: preset paper, tau = 0.8, rank = 1, block_length = fixed, bonus = True."
    assert own_system("kept: budget=0.02").options.budget == 0.02
    matched = own_system("chance: preset=paper match=paper")
    assert (matched.kind, matched.matched, matched.options.gate) == ("random", "paper", "random")
    assert own_system("ceiling: preset=paper gate=oracle").kind == "oracle"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nothing", "takes 'NAME: preset="),
        ("x: tau", "needs settings such as tau=0.8"),
        ("x: volume=3", "no setting 'volume'"),
        ("x: tau=loud", "tau=loud, which is no float"),
        ("x: bonus=maybe", "bonus=maybe, which is no bool"),
        ("x: gate=magic", "no gate 'magic'"),
        ("x: acceptance=magic", "magic"),
        ("x: preset=none", "no preset 'none'"),
        ("edge: tau=1", "is a system already"),
        ("../up: tau=1", "letters, digits"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        own_system(text)


@pytest.mark.parametrize(
    ("names", "own", "sentence"),
    [
        ("edge,clowd", (), "no system 'clowd'; choose of edge, cloud"),
        ("", (), "at least one system"),
        ("edge,edge", (), "two systems are named"),
        ("edge", ("Mine: tau=1", "mine: tau=2"), "two systems are named"),
        ("random", (), "add it to --systems"),
        ("ugsd,random", ("x: match=random",), "add it to --systems"),
    ],
)
def test_systems_that_do_not_go_together_are_refused(names: str, own: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        parse_systems(names, own)
