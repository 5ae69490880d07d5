"""What visitors of a public page are told before they record: a Markdown file, and its Chinese version beside it.

The first heading is what can be clicked to fold the rest away. Somebody who folded it away finds it so again, until it
says something else.
"""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr

from ugsd_core.errors import OptionError
from ui.annotation.desk import markdown
from ui.assets import web_asset
from ui.language import LOCALES, Locale

__all__ = ["NOTICE_KEY", "build_notice", "read_notice"]

#: Under which it stands among the words of the page.
NOTICE_KEY = "notice.text"
HEADING = re.compile(r"\A\s*#+[ \t]+(?P<title>[^\n]+)\n")


def read_notice(path: Path) -> dict[Locale, str]:
    """Markup by language; English takes the place of a Chinese version that is not there.

    Args:
        path: ``notice.md``; ``notice.zh.md`` beside it is the Chinese version.

    Raises:
        OptionError: If it cannot be read, or does not begin with a heading.
    """
    files: dict[Locale, Path] = {"en": path, "zh": path.with_suffix(f".zh{path.suffix}")}
    return {locale: _markup(files[locale] if files[locale].is_file() else path) for locale in LOCALES}


def _markup(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"the notice {path} cannot be read ({error}); name a Markdown file") from error
    heading = HEADING.match(text)
    if heading is None:
        raise OptionError(f"the notice {path} begins with no heading; its first line is what visitors always see: # …")
    title = re.sub(r"\A<p>|</p>\s*\Z", "", markdown(heading["title"]))
    return f"<summary>{title}</summary><div>{markdown(text[heading.end() :])}</div>"


def build_notice() -> gr.HTML:
    """Put it into the open Blocks; its text comes with the words of the page."""
    return gr.HTML(
        gr.I18n()(NOTICE_KEY),
        html_template='<details class="notice" open>${value}</details>',
        apply_default_css=False,
        js_on_load=web_asset("notice.js"),
        elem_id="notice",
    )
