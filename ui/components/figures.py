"""The figures beside the caption: fact tiles, tables of ratios and clocks, the waterfall, the ledger.

Pure functions from the folded result to markup. Every number carries its definition: it opens by click, tap or
keyboard. Text from outside is escaped here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

from ugsd_core.messages import (
    BlockEscalated,
    BlockJudged,
    BlockKept,
    BlockUnverified,
    CaptionStarted,
    Event,
    FeaturesReady,
    PrefillDone,
    TokenDecided,
    VerifierReady,
)
from ugsd_core.result import CaptionResult
from ui.engine_words import told
from ui.language import Locale, count, listed, say, sentences
from ui.link import link_badge

__all__ = ["Timeline", "clock_table", "fact_tiles", "ledger_table", "percent", "ratio_table", "size", "waterfall"]

#: Rows of the tables, in order. Names: ``figure.…`` in `ui.language`, definitions: ``ratio.…`` and ``clock.…``.
_RATIOS = (
    "transmission_rate", "escalation_rate", "exposure_rate", "changed_rate", "useful_escalation_rate",
    "meaning_changed_rate", "draft_acceptance_rate",
)  # fmt: skip
_CLOCKS = (
    "ttft_draft_s", "ttft_commit_s", "oet_s", "total_s", "extract_ms", "prefill_ms", "connect_ms", "itps", "otps"
)  # fmt: skip


def size(n_bytes: float) -> str:
    """A number of bytes for people, decimal units."""
    if n_bytes < 1000:
        return f"{n_bytes:.0f} B"
    return f"{n_bytes / 1000:.1f} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:.2f} MB"


def percent(value: float | None) -> str:
    """A share for people; a dash where it is undefined."""
    return "–" if value is None else f"{100 * value:.1f} %"


def _clock(name: str, value: float | None, locale: Locale) -> str:
    if value is None:
        return "–"
    if name in ("itps", "otps"):
        return say(locale, "figures.speed", number=f"{value:,.0f}")
    milliseconds = value if name.endswith("_ms") else 1000 * value
    return f"{milliseconds:,.0f} ms" if milliseconds < 9999.5 else f"{milliseconds / 1000:.1f} s"


def _defined(name: str, value: str, definition: str, css: str) -> str:
    return (
        f'<details class="{css}"><summary><b>{escape(value)}</b><span>{escape(name)}</span></summary>'
        f"<p>{escape(definition)}</p></details>"
    )


# ── Tiles and tables ──────────────────────────────────────────────────────────────────────────────────────────────


def fact_tiles(result: CaptionResult | None, locale: Locale = "en") -> str:
    """The four facts under the caption; dashes before there are any."""
    sent = useful = left = "–"
    first_s, left_name = None, say(locale, "tile.left")
    if result is not None:
        sent = percent(result.ratios.transmission_rate)
        first_s = result.clocks.ttft_draft_s or result.clocks.ttft_commit_s
        left = size(int(result.ledger["up_wire_bytes"]))
        left_name = say(locale, "tile.left.of", size=size(result.utterance["waveform_bytes"]))
        if result.mode == "ugsd":
            counts = result.counts
            useful = say(
                locale, "tile.useful.value", changed=counts.get("blocks_changed", 0), sent=counts.get("escalations", 0)
            )
    tiles = (
        (say(locale, "tile.sent"), sent, say(locale, "ratio.transmission_rate")),
        (say(locale, "tile.useful"), useful, say(locale, "ratio.useful_escalation_rate")),
        (say(locale, "tile.first"), _clock("ttft_draft_s", first_s, locale), say(locale, "clock.ttft_draft_s")),
        (left_name, left, say(locale, "tile.left.means")),
    )
    badge = link_badge(locale, result.link) if result is not None else ""
    return badge + '<div class="facts">' + "".join(_defined(*tile, "fact") for tile in tiles) + "</div>"


def ratio_table(result: CaptionResult | None, locale: Locale = "en") -> str:
    """All ratios, each with its definition."""
    values = {name: percent(getattr(result.ratios, name) if result else None) for name in _RATIOS}
    return _table(locale, "ratio", values)


def clock_table(result: CaptionResult | None, locale: Locale = "en") -> str:
    """All clocks, each with its definition; zero is the moment at which the recording is complete."""
    values = {name: _clock(name, getattr(result.clocks, name) if result else None, locale) for name in _CLOCKS}
    return _table(locale, "clock", values)


def _table(locale: Locale, kind: str, values: dict[str, str]) -> str:
    rows = [
        _defined(say(locale, f"figure.{name}"), value, say(locale, f"{kind}.{name}"), "figure")
        for name, value in values.items()
    ]
    return f'<h2>{escape(say(locale, f"figures.{kind}s"))}</h2><div class="figures">{"".join(rows)}</div>'


# ── Waterfall ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Row:
    """One line of the waterfall: when it begins, and its parts (kind, milliseconds) one after the other.

    Attributes:
        label: Number of the block, or what it was instead: *code*, *link*, *read* or *write*.
        fate: What became of the block: *kept*, *sent*, *changed*, *passed* or *unverified*.
    """

    label: str
    start_ms: float
    parts: list[tuple[str, float]]
    fate: str = ""

    def name(self, locale: Locale) -> str:
        """The label in a language."""
        return self.label if self.label.isdigit() else say(locale, f"waterfall.{self.label}")

    def described(self, locale: Locale) -> str:
        """The whole line in words."""
        parts = listed(locale, [f"{_part(locale, kind)} {length:.1f} ms" for kind, length in self.parts])
        if not self.label.isdigit():
            return say(locale, "waterfall.line", name=say(locale, f"waterfall.{self.label}.means"), parts=parts)
        fate = say(locale, f"waterfall.{self.fate}")
        return say(locale, "waterfall.block", number=self.label, fate=fate, parts=parts)

    @property
    def end_ms(self) -> float:
        return self.start_ms + sum(length for _, length in self.parts)


#: A line that would read "0 ms" is left out: a code that was made before, a verifier in the same process.
_NOTHING_MS = 0.5


@dataclass(slots=True)
class Timeline:
    """Folds events into the lines of the waterfall; times come from the events alone."""

    rows: list[_Row] = field(default_factory=list)
    _blocks: dict[int, _Row] = field(default_factory=dict)
    _cloud: bool = False
    _written: _Row | None = None

    def feed(self, event: Event) -> None:
        """Take the next event."""
        end_ms = 1000 * event.t_s
        match event:
            case CaptionStarted():
                self._cloud = event.mode == "cloud"
            case FeaturesReady(extract_ms=took) if took >= _NOTHING_MS:
                self.rows.append(_Row("code", end_ms - took, [("read", took)]))
            case VerifierReady(connect_ms=took) if took >= _NOTHING_MS:
                self.rows.append(_Row("link", end_ms - took, [("network", took)]))
            case PrefillDone(prefill_ms=took):
                if took >= _NOTHING_MS:
                    self.rows.append(_Row("read", end_ms - took, [("read", took)]))
                if self._cloud:  # no blocks: one line for all that the verifier writes
                    self._written = _Row("write", end_ms, [("verify", 0.0)])
                    self.rows.append(self._written)
            case TokenDecided() if self._written is not None:
                self._written.parts = [("verify", end_ms - self._written.start_ms)]
            case BlockKept() | BlockEscalated():
                row = _Row(str(event.block + 1), end_ms - event.draft_ms, [("draft", event.draft_ms)])
                row.fate = "kept" if isinstance(event, BlockKept) else "sent"
                self._blocks[event.block] = row
                self.rows.append(row)
            case BlockJudged():
                row = self._block(event.block, end_ms)
                row.parts.append(("network", event.network_ms))
                if event.queued_ms >= 0.1:  # a bar too short to see needs no name
                    row.parts.append(("queued", event.queued_ms))
                row.parts += [("verify", event.verify_ms), ("merge", event.merge_ms)]
                row.fate = "changed" if event.changed else "passed"
            case BlockUnverified():
                row = self._block(event.block, end_ms - event.waited_ms)
                row.parts.append(("lost", event.waited_ms))
                row.fate = "unverified"
            case _:
                pass

    def _block(self, block: int, at_ms: float) -> _Row:
        if block not in self._blocks:
            self._blocks[block] = _Row(str(block + 1), at_ms, [])
            self.rows.append(self._blocks[block])
        return self._blocks[block]


#: Kinds of bars that the key names whether there are any or not.
_ALWAYS = ("read", "draft", "network", "verify")


def waterfall(timeline: Timeline, locale: Locale = "en") -> str:
    """Where the time went, a line a block; the axis begins when the recording is complete."""
    head = f"<h2>{escape(say(locale, 'waterfall.title'))}</h2>"
    if not timeline.rows:
        return head + f'<p class="soft">{escape(say(locale, "waterfall.empty"))}</p>'
    span = max(max(row.end_ms for row in timeline.rows), 1.0)
    lines = "".join(_line(row, span, locale) for row in timeline.rows)
    seen = {kind for row in timeline.rows for kind, _ in row.parts}
    kinds = [*_ALWAYS, *(kind for kind in ("queued", "lost") if kind in seen)]
    key = "".join(f'<span><i class="{kind}"></i>{escape(_part(locale, kind))}</span>' for kind in kinds)
    definitions = "".join(
        f"<li><b>{escape(_part(locale, kind))}</b>: {escape(say(locale, f'clock.{kind}_ms'))}</li>"
        for kind in ("draft", "network", "queued", "verify")
    )
    begin, means = escape(say(locale, "waterfall.begin")), escape(say(locale, "waterfall.means"))
    axis = f'<div class="wf-axis"><span>{begin}</span><span>{span:,.0f} ms</span></div>'
    return (
        f'{head}<div class="waterfall">{lines}</div>{axis}<div class="wf-key">{key}</div>'
        f'<details class="more"><summary>{means}</summary><ul>{definitions}</ul></details>'
    )


def _part(locale: Locale, kind: str) -> str:
    return say(locale, f"plot.part.{kind}")


def _line(row: _Row, span_ms: float, locale: Locale) -> str:
    at, bars = max(0.0, row.start_ms), []
    for kind, length in row.parts:
        left, width = 100 * at / span_ms, 100 * length / span_ms
        bars.append(f'<i class="{kind}" style="left:{left:.2f}%;width:max(1px,{width:.2f}%)"></i>')
        at += length
    took = sum(length for _, length in row.parts)
    said = escape(row.described(locale), quote=True)
    return (
        f'<div class="wf-row" role="img" aria-label="{said}" title="{said}"><span>{escape(row.name(locale))}</span>'
        f'<div class="wf-bar">{"".join(bars)}</div><span class="wf-ms">{took:,.0f} ms</span></div>'
    )


# ── Ledger ────────────────────────────────────────────────────────────────────────────────────────────────────────


def ledger_table(result: CaptionResult | None, locale: Locale = "en") -> str:
    """What left this machine and what came back, by class; what was sent in words; what was kept."""
    head = f"<h2>{escape(say(locale, 'ledger.title'))}</h2>"
    ledger = result.ledger if result else {}
    if not ledger.get("rows"):
        said = say(locale, "ledger.nothing" if result else "ledger.empty")
        return f'{head}<p class="soft">{escape(said)}</p>' + _kept(result, locale)
    body = ""
    for direction in ("up", "down"):
        rows = [row for row in ledger["rows"] if row["direction"] == direction]
        if rows:
            title, total = escape(say(locale, f"ledger.{direction}")), size(ledger[f"{direction}_wire_bytes"])
            body += f'<tr><th scope="row">{title}</th><th class="n">{total}</th></tr>'
            body += "".join(_row(row, locale) for row in rows)
    held = "".join(
        f"<li>{told(locale, text).html}</li>" for text in ledger.get("sentences", ()) if not text.startswith("Kept")
    )
    return (
        f'{head}<table class="ledger"><tbody>{body}</tbody></table>{_kept(result, locale)}'
        f'<details class="more"><summary>{escape(say(locale, "ledger.held"))}</summary><ul>{held}</ul>'
        f"<p>{escape(say(locale, 'ledger.means'))}</p></details>"
    )


def _row(row: dict[str, Any], locale: Locale) -> str:
    name = say(locale, f"traffic.{row['traffic']}")
    messages = count(locale, row["frames"], "message")
    said = say(locale, "ledger.row", messages=messages, size=size(row["payload_bytes"]))
    return (
        f"<tr><td>{escape(name[:1].upper() + name[1:])}<small>{escape(said)}</small></td>"
        f'<td class="n">{size(row["wire_bytes"])}</td></tr>'
    )


def _kept(result: CaptionResult | None, locale: Locale) -> str:
    if result is None:
        return ""
    kept = say(locale, "ledger.kept", size=size(result.utterance["waveform_bytes"]))
    known = say(locale, "ledger.known") if _code_known(result) else ""
    return f'<p class="kept-here">{escape(sentences(locale, kept, known))}</p>'


def _code_known(result: CaptionResult) -> bool:
    """The verifier wrote or judged without being sent the code: it is addressed by content and sent once."""
    sent = {row["traffic"] for row in result.ledger["rows"] if row["direction"] == "up"}
    return bool({"token_ids", "control"} & sent) and "acoustic_code" not in sent
