"""Both languages say the same things: the same keys, the same places for values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ui.language import LOCALES, label, say, words

ROOT = Path(__file__).resolve().parents[2]
TABLES = {name: json.loads((ROOT / "ui" / "data" / f"{name}.json").read_text(encoding="utf-8")) for name in LOCALES}


def places(text: str) -> list[str]:
    return sorted(re.findall(r"{(\w+)}", text))


def test_the_tables_have_the_same_keys_and_the_same_places() -> None:
    english, chinese = TABLES["en"], TABLES["zh"]
    assert list(english) == list(chinese)
    for key, text in english.items():
        assert places(text) == places(chinese[key]), key
        assert text.strip() and chinese[key].strip(), key


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
    part = words("replay.", "event.")
    assert set(part) == set(LOCALES) and set(part["en"]) == set(part["zh"])
    assert all(key.startswith(("replay.", "event.")) for key in part["en"])
