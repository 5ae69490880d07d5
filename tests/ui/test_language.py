"""Both languages say the same things: the same keys, the same places for values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ugsd_core.figures import RATIO_DEFINITIONS
from ui.language import DEFINED, LOCALES, count, label, listed, say, sentences, words
from ui.settings import (
    FUSIONS,
    acceptance_choices,
    block_length_choices,
    fusion_choices,
    gate_choices,
    limit_choices,
    mode_choices,
    preset_choices,
)

ROOT = Path(__file__).resolve().parents[2]
TABLES = {name: json.loads((ROOT / "ui" / "data" / f"{name}.json").read_text(encoding="utf-8")) for name in LOCALES}


def places(text: str) -> list[str]:
    return sorted(re.findall(r"{(\w+)}", text))


def test_the_tables_have_the_same_keys_and_the_same_places() -> None:
    english, chinese = TABLES["en"], TABLES["zh"]
    assert list(english) == [key for key in chinese if key not in DEFINED]
    for key, text in english.items():
        assert places(text) == places(chinese[key]), key
        assert text.strip() and chinese[key].strip(), key


def test_what_the_engine_defines_is_taken_from_it_and_has_its_chinese() -> None:
    assert {key for key in DEFINED if key in TABLES["en"] or not TABLES["zh"].get(key)} == set()
    assert say("en", "ratio.transmission_rate") == RATIO_DEFINITIONS["transmission_rate"]
    assert say("zh", "ratio.transmission_rate") == TABLES["zh"]["ratio.transmission_rate"]
    assert all(text == re.sub("[{}]", "", text) for text in DEFINED.values()), "places would be taken for ours"


def test_every_choice_has_its_words() -> None:
    for choices in (mode_choices, preset_choices, limit_choices, gate_choices, acceptance_choices):
        assert all(str(text) for text, _ in choices())
    assert {weight for _, weight in fusion_choices()} == set(FUSIONS)
    assert {length for _, length in block_length_choices()} == {"fixed", "adaptive", "delay"}


def test_the_help_is_there_in_both_languages_in_as_many_paragraphs() -> None:
    english, chinese = (say(locale, "help").strip().split("\n\n") for locale in LOCALES)
    assert len(english) == len(chinese) >= 8
    assert [text[:2] == "**" for text in english] == [text[:2] == "**" for text in chinese]


def test_numbers_lists_and_sentences_are_put_together_as_the_language_does() -> None:
    assert count("en", 1, "block") == "1 block" and count("en", 2, "block") == "2 blocks"
    assert count("zh", 2, "block") == "2 块"
    assert listed("en", ["τ", "k"]) == "τ, k" and listed("zh", ["阈值", "块长"]) == "阈值、块长"
    assert sentences("en", "One.", "", "Two.") == "One. Two." and sentences("zh", "一。", "二。") == "一。二。"


def test_every_word_that_a_script_says_is_in_the_tables() -> None:
    for path in (ROOT / "assets" / "web").glob("*.js"):
        for key in re.findall(r"""say\(\s*["`']([\w.]+)["'`]""", path.read_text(encoding="utf-8")):
            assert key in TABLES["en"], f"{path.name}: {key}"


def test_chinese_is_chinese_and_english_is_not() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    assert [key for key, text in TABLES["en"].items() if han.search(text)] == []
    bare = {key: re.sub(r"{\w+}|\W", "", text) for key, text in TABLES["zh"].items()}
    assert [key for key, text in bare.items() if text and not han.search(text)] == []


def test_a_sentence_is_filled_and_an_unknown_key_is_a_mistake() -> None:
    assert say("en", "replay.speed") == "Speed" and say("zh", "replay.speed") == "速度"
    assert say("en", "inspect.revision", number=3) == "revision 3"
    with pytest.raises(KeyError):
        say("en", "no.such.key")
    with pytest.raises(KeyError):
        label("no.such.key")


def test_a_script_gets_its_part_of_both_tables() -> None:
    part = json.loads(words("replay.", "event."))
    assert set(part) == set(LOCALES) and set(part["en"]) == set(part["zh"])
    assert all(key.startswith(("replay.", "event.")) for key in part["en"])
