"""The page's words in two languages: tables with the same keys, and the ways to take a word from them.

What Python writes takes `say`; Gradio's own labels take `label`, which the browser translates; scripts are handed the
part of both tables that they need (`words`), so that switching the language needs no request.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["LOCALES", "Locale", "i18n", "label", "say", "words"]

Locale = Literal["en", "zh"]
LOCALES: tuple[Locale, ...] = ("en", "zh")


@lru_cache(maxsize=len(LOCALES))
def _table(locale: Locale) -> dict[str, str]:
    path = Path(__file__).resolve().parent / "data" / f"{locale}.json"
    table: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return table


def say(locale: Locale, key: str, **values: Any) -> str:
    """A sentence in a language.

    Args:
        key: Of the tables; an unknown one is a mistake of ours and raises `KeyError`.
        values: For the places in braces.
    """
    return _table(locale)[key].format(**values)


def words(*prefixes: str) -> dict[str, dict[str, str]]:
    """Both tables' entries whose key begins with one of some prefixes, for a script."""
    return {
        locale: {key: text for key, text in _table(locale).items() if key.startswith(prefixes)} for locale in LOCALES
    }


@lru_cache(maxsize=1)
def i18n() -> gr.I18n:
    """Both tables as Gradio wants them at launch."""
    import gradio as gr

    return gr.I18n(**{locale: dict(_table(locale)) for locale in LOCALES})


def label(key: str) -> Any:
    """An entry as the label of one of Gradio's components; the browser puts it into its language."""
    if key not in _table("en"):
        raise KeyError(key)
    return i18n()(key)
