"""The figures beside the caption: fact tiles, tables of ratios and clocks, the waterfall, the ledger.

Pure functions from the folded result to markup. Every number carries its definition: it opens by click, tap or
keyboard. Text from outside is escaped here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ugsd_core.figures import CLOCK_DEFINITIONS, RATIO_DEFINITIONS
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

__all__ = ["Timeline", "clock_table", "fact_tiles", "ledger_table", "ratio_table", "size", "waterfall"]

_RATIO_NAMES = {
    "transmission_rate": "Tokens sent, ρ",
    "escalation_rate": "Blocks sent",
    "exposure_rate": "Caption seen by the verifier",
    "changed_rate": "Caption written by the verifier",
    "useful_escalation_rate": "Useful escalations",
    "meaning_changed_rate": "Escalations that changed the meaning",
    "draft_acceptance_rate": "Drafts accepted when sent",
}
_CLOCK_NAMES = {
    "ttft_draft_s": "First drafted text",
    "ttft_commit_s": "First final token",
    "oet_s": "Last final token",
    "total_s": "Caption final",
    "extract_ms": "Acoustic code made",
    "prefill_ms": "Prompt and audio read",
    "connect_ms": "Verifier reached",
    "itps": "Reading speed",
    "otps": "Writing speed",
}
_TRAFFIC_NAMES = {
    "handshake": "Handshake",
    "acoustic_code": "Acoustic code",
    "token_ids": "Token numbers",
    "verdict": "Verdicts",
    "caption_ids": "Caption token numbers",
    "control": "Control messages",
}


def size(n_bytes: float) -> str:
    """A number of bytes for people, decimal units."""
    if n_bytes < 1000:
        return f"{n_bytes:.0f} B"
    return f"{n_bytes / 1000:.1f} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:.2f} MB"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _clock(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name in ("itps", "otps"):
        return f"{value:,.0f} tokens/s"
    milliseconds = value if name.endswith("_ms") else 1000 * value
    return f"{milliseconds:,.0f} ms" if milliseconds < 9999.5 else f"{milliseconds / 1000:.1f} s"


def _defined(name: str, value: str, definition: str, css: str) -> str:
    return (
        f'<details class="{css}"><summary><b>{escape(value)}</b><span>{escape(name)}</span></summary>'
        f"<p>{escape(definition)}</p></details>"
    )


# ── Tiles and tables ──────────────────────────────────────────────────────────────────────────────────────────────


def fact_tiles(result: CaptionResult | None) -> str:
    """The four facts under the caption; dashes before there are any."""
    ratios = result.ratios if result else None
    counts = result.counts if result else {}
    sent, changed = counts.get("escalations", 0), counts.get("blocks_changed", 0)
    first_s = (result.clocks.ttft_draft_s or result.clocks.ttft_commit_s) if result else None
    up_bytes = int(result.ledger["up_wire_bytes"]) if result else 0
    waveform_bytes = result.utterance["waveform_bytes"] if result else 0
    sent_definition = (
        "Everything that went to the verifier, padding included: a coarse picture of the sound, and token numbers. "
        "The recording itself is not sent."
    )
    tiles = (
        (
            "tokens sent (ρ)",
            _percent(ratios.transmission_rate if ratios else None),
            RATIO_DEFINITIONS["transmission_rate"],
        ),
        (
            "useful escalations",
            f"{changed} of {sent}" if result and result.mode == "ugsd" else "–",
            RATIO_DEFINITIONS["useful_escalation_rate"],
        ),
        ("first token", _clock("ttft_draft_s", first_s), CLOCK_DEFINITIONS["ttft_draft_s"]),
        (
            f"left this machine, none of the {size(waveform_bytes)} of waveform" if result else "left this machine",
            size(up_bytes) if result else "–",
            sent_definition,
        ),
    )
    return '<div class="facts">' + "".join(_defined(*tile, "fact") for tile in tiles) + "</div>"


def ratio_table(result: CaptionResult | None) -> str:
    """All ratios, each with its definition."""
    return _table(
        "Ratios", [(label, _percent(getattr(result.ratios, name) if result else None), RATIO_DEFINITIONS[name])
                   for name, label in _RATIO_NAMES.items()],
    )  # fmt: skip


def clock_table(result: CaptionResult | None) -> str:
    """All clocks, each with its definition; zero is the moment at which the recording is complete."""
    return _table(
        "Clocks", [(label, _clock(name, getattr(result.clocks, name) if result else None), CLOCK_DEFINITIONS[name])
                   for name, label in _CLOCK_NAMES.items()],
    )  # fmt: skip


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    body = "".join(_defined(*row, "figure") for row in rows)
    return f'<h2>{escape(title)}</h2><div class="figures">{body}</div>'


# ── Waterfall ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Row:
    """One line of the waterfall: when it begins, and its parts (kind, milliseconds) one after the other."""

    label: str
    start_ms: float
    parts: list[tuple[str, float]]
    said: str = ""

    @property
    def end_ms(self) -> float:
        return self.start_ms + sum(length for _, length in self.parts)


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
            case FeaturesReady(extract_ms=took):
                self.rows.append(_Row("code", end_ms - took, [("read", took)], "acoustic code"))
            case VerifierReady(connect_ms=took):
                self.rows.append(_Row("link", end_ms - took, [("network", took)], "verifier reached"))
            case PrefillDone(prefill_ms=took):
                self.rows.append(_Row("read", end_ms - took, [("read", took)], "prompt and audio read"))
                if self._cloud:  # no blocks: one line for all that the verifier writes
                    self._written = _Row("write", end_ms, [("verify", 0.0)], "the verifier writes")
                    self.rows.append(self._written)
            case TokenDecided() if self._written is not None:
                self._written.parts = [("verify", end_ms - self._written.start_ms)]
            case BlockKept() | BlockEscalated():
                row = _Row(str(event.block + 1), end_ms - event.draft_ms, [("draft", event.draft_ms)])
                row.said = "kept here" if isinstance(event, BlockKept) else "sent"
                self._blocks[event.block] = row
                self.rows.append(row)
            case BlockJudged():
                row = self._block(event.block, end_ms)
                row.parts.append(("network", event.network_ms))
                if event.queued_ms >= 0.1:  # a bar too short to see needs no name
                    row.parts.append(("queued", event.queued_ms))
                row.parts += [("verify", event.verify_ms), ("merge", event.merge_ms)]
                row.said = "sent, changed" if event.changed else "sent, passed"
            case BlockUnverified():
                row = self._block(event.block, end_ms - event.waited_ms)
                row.parts.append(("lost", event.waited_ms))
                row.said = "not verified"
            case _:
                pass

    def _block(self, block: int, at_ms: float) -> _Row:
        if block not in self._blocks:
            self._blocks[block] = _Row(str(block + 1), at_ms, [])
            self.rows.append(self._blocks[block])
        return self._blocks[block]


def waterfall(timeline: Timeline) -> str:
    """Where the time went, a line a block; the axis begins when the recording is complete."""
    head = "<h2>Where the time went, block by block</h2>"
    if not timeline.rows:
        return head + '<p class="soft">A line for each block appears here: draft, network and verifier.</p>'
    span = max(max(row.end_ms for row in timeline.rows), 1.0)
    lines = []
    for row in timeline.rows:
        at, bars = max(0.0, row.start_ms), []
        for kind, length in row.parts:
            left, width = 100 * at / span, 100 * length / span
            bars.append(f'<i class="{kind}" style="left:{left:.2f}%;width:max(1px,{width:.2f}%)"></i>')
            at += length
        took = sum(length for _, length in row.parts)
        parts = ", ".join(f"{kind} {length:.1f} ms" for kind, length in row.parts)
        said = f"{row.said}: {parts}" if row.said else parts
        name = f"Block {row.label}" if row.label.isdigit() else row.said.capitalize()
        label = escape(f"{name}, {said}" if row.label.isdigit() else f"{name}, {parts}", quote=True)
        lines.append(
            f'<div class="wf-row" role="img" aria-label="{label}" title="{label}"><span>{escape(row.label)}</span>'
            f'<div class="wf-bar">{"".join(bars)}</div><span class="wf-ms">{took:,.0f} ms</span></div>'
        )
    key = "".join(f'<span><i class="{kind}"></i>{kind}</span>' for kind in ("read", "draft", "network", "verify"))
    kinds = {kind for row in timeline.rows for kind, _ in row.parts}
    if "queued" in kinds:
        key += '<span><i class="queued"></i>queued</span>'
    if "lost" in kinds:
        key += '<span><i class="lost"></i>waited in vain</span>'
    definitions = "".join(
        f"<li><b>{name}</b>: {escape(CLOCK_DEFINITIONS[clock])}</li>"
        for name, clock in [(name, f"{name}_ms") for name in ("draft", "network", "queued", "verify")]
    )
    axis = f'<div class="wf-axis"><span>recording complete</span><span>{span:,.0f} ms</span></div>'
    return (
        f'{head}<div class="waterfall">{"".join(lines)}</div>{axis}<div class="wf-key">{key}</div>'
        f'<details class="more"><summary>What the bars mean</summary><ul>{definitions}</ul></details>'
    )


# ── Ledger ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _row(row: dict[str, Any]) -> str:
    name = _TRAFFIC_NAMES.get(row["traffic"], str(row["traffic"]).replace("_", " "))
    times = "1 message" if row["frames"] == 1 else f"{row['frames']} messages"
    return (
        f"<tr><td>{escape(name)}<small>{times}, {size(row['payload_bytes'])} of content</small></td>"
        f'<td class="n">{size(row["wire_bytes"])}</td></tr>'
    )


def ledger_table(result: CaptionResult | None) -> str:
    """What left this machine and what came back, by class; what was sent in words; what was kept."""
    head = "<h2>What left this machine</h2>"
    ledger = result.ledger if result else {}
    if not ledger.get("rows"):
        said = "Nothing was sent." if result else "Every byte that is sent or received is counted here."
        return f'{head}<p class="soft">{said}</p>' + _kept(result)
    body = ""
    for direction, title in (("up", "Sent"), ("down", "Received")):
        rows = [row for row in ledger["rows"] if row["direction"] == direction]
        if rows:
            total = size(ledger[f"{direction}_wire_bytes"])
            body += f'<tr><th scope="row">{title}</th><th class="n">{total}</th></tr>' + "".join(map(_row, rows))
    sentences = "".join(
        f"<li>{escape(text)}</li>" for text in ledger.get("sentences", ()) if not text.startswith("Kept")
    )
    meaning = (
        "Sizes are those of the messages as sent, padded to a small set of lengths so that their length tells little; "
        "content is what they hold without padding. Headers of WebSocket and TCP are not counted."
    )
    return (
        f'{head}<table class="ledger"><tbody>{body}</tbody></table>{_kept(result)}'
        f'<details class="more"><summary>What the messages held</summary><ul>{sentences}</ul>'
        f"<p>{escape(meaning)}</p></details>"
    )


def _kept(result: CaptionResult | None) -> str:
    if result is None:
        return ""
    text = f"Kept on this machine: the waveform, {size(result.utterance['waveform_bytes'])}."
    if _code_known(result):
        text += " The verifier still had the acoustic code of this recording from an earlier caption."
    return f'<p class="kept-here">{text}</p>'


def _code_known(result: CaptionResult) -> bool:
    """The verifier wrote or judged without being sent the code: it is addressed by content and sent once."""
    sent = {row["traffic"] for row in result.ledger["rows"] if row["direction"] == "up"}
    return bool({"token_ids", "control"} & sent) and "acoustic_code" not in sent
