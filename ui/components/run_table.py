"""The clips of a run, a page of rows at a time, and the one player for all of them.

Markup is made by ``assets/web/run_table.js``. The value is JSON in one string, because Gradio walks through every part
of a value that it knows the inside of. What a visitor does comes back as events: ``ask`` with ``look`` and ``asked`` as
in `ui.run_rows.Asked` and ``query`` as in `ui.run_rows.Query`, and ``act`` with ``kind`` (``play``, ``inspect`` or
``annotate``), ``id`` and ``system``.

Any update of the run's view carries rows, and one that began before a question may arrive after its answer. So rows say
whose they are: those of an older ``look`` or an older question are dropped, and asked for again where the update may
have brought something else that is new.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ui.assets import web_asset
from ui.evaluation_view import metric_digits
from ui.language import words
from ui.run_rows import PAGE_ROWS, Asked, page_of

if TYPE_CHECKING:
    import gradio as gr

    from ui.open_run import OpenRun

__all__ = ["clip_player", "empty_table", "player_value", "run_table", "table_value"]

_WORDS = ("rows.", "label.", "name.metric.", "name.system.")
#: A caption or reference in a row is cut to this many characters; what was cut is in the run.
MOST_TEXT = 2000
NOTHING_ASKED = Asked()


def run_table(**settings: Any) -> gr.HTML:
    """The table. Its value is what `table_value` or `empty_table` gives."""
    import gradio as gr

    return gr.HTML(
        value=empty_table(),
        html_template=(
            '<form class="rows-tools" role="search"></form><p class="rows-said" role="status" aria-live="polite"></p>'
            '<div class="scroll rows-scroll" role="region" tabindex="0"><table class="rows"><thead></thead>'
            '<tbody></tbody></table></div><nav class="rows-pages"></nav>'
        ),
        js_on_load=web_asset("words.js") + web_asset("run_table.js"),
        apply_default_css=False,
        words=words(*_WORDS),
        **settings,
    )


def clip_player(**settings: Any) -> gr.HTML:
    """The one player. Its value is what `player_value` gives."""
    import gradio as gr

    return gr.HTML(
        value=player_value(),
        html_template=(
            '<div class="clip-player" role="group" hidden><audio controls preload="auto"></audio>'
            '<p class="clip-said"></p></div>'
        ),
        js_on_load=web_asset("words.js") + web_asset("clip_player.js"),
        apply_default_css=False,
        words=words("rows."),
        **settings,
    )


def player_value(clip: str = "", url: str = "", transcript: str = "", problem: str = "") -> str:
    """What is played: its name and where it is fetched, or a sentence why it can't be."""
    value = {"clip": clip, "url": url, "transcript": transcript, "problem": problem}
    return json.dumps(value, ensure_ascii=False)


def empty_table(asked: Asked = NOTHING_ASKED) -> str:
    """The value without a run."""
    return json.dumps({"run": "", "look": asked.look, "asked": asked.number, "answer": False})


def table_value(
    run: OpenRun,
    asked: Asked,
    *,
    answer: bool = False,
    audio: bool = False,
    queued: Collection[tuple[str, str]] = (),
) -> str:
    """One page of a run's rows.

    Args:
        asked: Which rows, and what asked for them.
        answer: This is the answer to a question of the browser, and not part of another update.
        audio: The clips can be played.
        queued: Keys of the lines that were sent to annotation.
    """
    query = asked.query
    page = page_of(run, query)
    values = run.values(query.sort)[0] if query.sort != "run" else [None] * len(run.lines)
    emotions = sorted({*run.labels, *(label for line in page.lines for label in run.emotions(line))})
    return json.dumps(
        {
            "run": run.name,
            "look": asked.look,
            "asked": asked.number,
            "answer": answer,
            "query": query.to_dict(),
            "systems": list(run.systems),
            "sorts": list(run.sorts),
            "digits": _digits(query.sort),
            "emotions": emotions,
            "language": run.language,
            "page": page.number,
            "pages": page.pages,
            "size": PAGE_ROWS,
            "total": page.total,
            "all": len(run.lines),
            "rows": [
                _row(run, index, values[index], audio=audio, queued=run.lines[index].key in queued)
                for index in page.lines
            ],
        },
        ensure_ascii=False,
    )


def _digits(sort: str) -> int:
    from ugsd_core.metrics import METRICS

    return metric_digits(METRICS[sort].unit) if sort in METRICS else 0


def _row(run: OpenRun, index: int, value: float | None, *, audio: bool, queued: bool) -> dict[str, Any]:
    line = run.lines[index]
    return {
        "id": line.id,
        "system": line.system,
        "value": None if value is None else round(value, 4),
        "caption": None if line.hypothesis is None else line.hypothesis.strip()[:MOST_TEXT],
        "references": [text[:MOST_TEXT] for text in line.references],
        "label": line.label,
        "emotions": list(run.emotions(index)),
        "speaker": line.speaker,
        "rho": line.ratios.get("transmission_rate"),
        "total_s": line.clocks.get("total_s"),
        "duration_s": line.duration_s,
        "warned": len(line.warnings),
        "error": line.error,
        "audio": audio and bool(line.path),
        "trace": bool(line.trace),
        "queued": queued,
    }
