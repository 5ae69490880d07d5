"""The page's words in two languages: tables with the same keys, and the ways to take a word from them.

What Python writes takes `say`; Gradio's own labels take `label`, which the browser translates; scripts are handed the
part of both tables that they need (`words`), so that switching the language needs no request. Sentences that
`ugsd_core` defines for all its faces are taken from there in English, and from the table in Chinese.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ugsd_core.annotations import agreement, review
from ugsd_core.audio import ERROR_CODES
from ugsd_core.evaluation.systems import SYSTEMS
from ugsd_core.evaluation.timings import RESOURCE_DEFINITIONS
from ugsd_core.figures import CLOCK_DEFINITIONS, RATIO_DEFINITIONS
from ugsd_core.metrics import METRICS
from ugsd_core.options import SETTING_HELP

if TYPE_CHECKING:
    import gradio as gr

__all__ = [
    "DATA",
    "DEFINED",
    "LOCALES",
    "LOCALE_NAMES",
    "Locale",
    "count",
    "i18n",
    "label",
    "listed",
    "say",
    "sentences",
    "words",
]

Locale = Literal["en", "zh"]
LOCALES: tuple[Locale, ...] = ("en", "zh")
#: Each language by its own name, as a choice.
LOCALE_NAMES: list[tuple[str, str]] = [("English", "en"), ("中文", "zh")]
#: Where the tables and the long texts lie.
DATA = Path(__file__).resolve().parent / "data"

#: English sentences that the engine defines, by the key under which the Chinese table has them.
DEFINED: dict[str, str] = {
    f"{kind}.{name}": text
    for kind, sentences in (
        ("ratio", RATIO_DEFINITIONS),
        ("clock", CLOCK_DEFINITIONS),
        ("setting", SETTING_HELP),
        ("audio", ERROR_CODES),
        ("metric", {name: metric.definition for name, metric in METRICS.builtin.items()}),
        ("system", {name: entry.definition for name, entry in SYSTEMS.items()}),
        ("resource", RESOURCE_DEFINITIONS),
        ("annotate.def", agreement.DEFINITIONS | review.DEFINITIONS),
    )
    for name, text in sentences.items()
}


@lru_cache(maxsize=len(LOCALES))
def _table(locale: Locale) -> dict[str, str]:
    table: dict[str, str] = json.loads((DATA / f"{locale}.json").read_text(encoding="utf-8"))
    if locale == "en":
        table |= DEFINED
    return table | {"help": (DATA / f"help.{locale}.md").read_text(encoding="utf-8")}


def say(locale: Locale, key: str, **values: Any) -> str:
    """A sentence in a language.

    Args:
        key: Of the tables; an unknown one is a mistake of ours and raises `KeyError`.
        values: For the places in braces.
    """
    return _table(locale)[key].format(**values)


def count(locale: Locale, number: int, noun: str) -> str:
    """``1 block``, ``2 blocks``; the noun is a key ``count.…`` of the tables."""
    return say(locale, f"count.{noun}.{'one' if number == 1 else 'many'}", number=number)


def listed(locale: Locale, names: Iterable[str]) -> str:
    """Names one after the other, as a language lists them."""
    return ("、" if locale == "zh" else ", ").join(names)


def sentences(locale: Locale, *parts: str) -> str:
    """Sentences one after the other, the empty ones left out; Chinese puts no space between them."""
    return ("" if locale == "zh" else " ").join(part for part in parts if part)


def words(*prefixes: str) -> str:
    """Both tables' entries whose key begins with one of some prefixes, by language, for a script: JSON.

    As one string, because Gradio copies every sentence by itself whenever it looks at a component.
    """
    tables = {
        locale: {key: text for key, text in _table(locale).items() if key.startswith(prefixes)} for locale in LOCALES
    }
    return json.dumps(tables, ensure_ascii=False)


def i18n(more: Mapping[Locale, Mapping[str, str]] | None = None) -> gr.I18n:
    """Both tables as Gradio wants them at launch.

    Args:
        more: Entries beside those of the tables, by language.
    """
    import gradio as gr

    return gr.I18n(**{locale: {**_table(locale), **(more or {}).get(locale, {})} for locale in LOCALES})


def label(key: str) -> Any:
    """An entry as the label of one of Gradio's components; the browser puts it into its language."""
    import gradio as gr

    if key not in _table("en"):
        raise KeyError(key)
    return gr.I18n()(key)
