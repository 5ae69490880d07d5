"""The strip as a component of the page, and how its value travels.

Gradio compares, clones and watches a value leaf by leaf, several times an update: a few hundred tokens with thirty
fields each, thirty times a second, were most of what the browser did. So tokens and blocks travel as strings, some rows
in each: one leaf a chunk, and a chunk in which nothing changed is not sent again. The value stays complete in itself.
``assets/web/strip_value.js`` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import gradio as gr

from ui.assets import web_asset
from ui.components.token_strip import STATES, empty_strip
from ui.language import words

__all__ = ["token_strip", "wire_value"]

#: Rows in a string. Fewer cost more leaves, more cost more to send again for one token that changed.
ROWS = 32
#: What is no row and travels as it is.
_HEAD = ("run", "language", "mode", "live", "scale_nats", "tau", "vocabulary", "posterior", "at", "pin")
#: A string within JSON has its quotes escaped, which is slow to write and to compare; ours has none where texts have no
#: apostrophes.
_SWAPPED = str.maketrans({'"': "'", "'": '"'})

Row = dict[str, Any]


def token_strip(scope: str, **settings: Any) -> gr.HTML:
    """The component. Its value is what `wire_value` gives; every later value is drawn over the one before.

    Args:
        scope: Names the strip on its page; the inspector of the same name shows its tokens.
    """
    scripts = ("words.js", "strip_value.js", "strip_threshold.js", "strip_replay.js", "token_strip.js")
    return gr.HTML(
        value=wire_value(empty_strip()),
        # The markup does not depend on the value, so that Gradio leaves it alone and the script draws into it.
        html_template=(
            '<div class="strip" role="list"></div><p class="strip-hint"></p>'
            '<div class="replay" role="group" hidden></div><p class="strip-note"></p>'
            '<div class="legend"></div><div class="what-if" hidden></div><p class="what-if-none" hidden></p>'
        ),
        js_on_load="".join(web_asset(script) for script in scripts),
        apply_default_css=False,
        words=words("state.", "strip.", "why.", "whatif.", "replay.", "event."),
        states=list(STATES),
        scope=scope,
        **settings,
    )


def wire_value(state: Row) -> Row:
    """A strip's state for the way to the browser.

    Args:
        state: As of `ui.components.token_strip.StripBuilder.state`.

    Returns:
        The same with tokens and blocks as strings of some rows each, frames as one string, and without the counts.
    """
    return {
        **{name: state[name] for name in _HEAD},
        "tokens": [_packed(_columns(rows)) for rows in _chunks(state["tokens"])],
        "blocks": [_packed(_columns(rows)) for rows in _chunks(state["blocks"].values())],
        "frames": _frames(state["frames"]) if state["frames"] else None,
    }


def _frames(frames: Sequence[Row]) -> str:
    tokens = [
        {"frame": at, "place": int(place), **token}
        for at, frame in enumerate(frames)
        for place, token in frame["tokens"].items()
    ]
    blocks = [{"frame": at, **block} for at, frame in enumerate(frames) for block in frame["blocks"].values()]
    heads = [{name: frame[name] for name in ("t", "kind", "live")} for frame in frames]
    return _packed({"frames": _columns(heads), "tokens": _columns(tokens), "blocks": _columns(blocks)})


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Rows of the same fields, by column, so that each name is sent once."""
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while chunk := list(islice(left, ROWS)):
        yield chunk


def _packed(columns: dict[str, Any]) -> str:
    return json.dumps(columns, ensure_ascii=False, separators=(",", ":")).translate(_SWAPPED)
