"""Plots of one run, made of its events and nothing else: entropy, acceptance, time, sound, and what was sent.

Each function gives a plotly figure without colours of a scheme: text and lines take the page's (``plots.css``), data
the few colours below, which stand out from light and dark alike. What colour says, a pattern or a place says too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acoustic import SAMPLE_RATE_HZ
from ugsd_core.messages import COMMITTED_STATES
from ugsd_core.result import CaptionResult
from ui.components.figures import Timeline
from ui.language import Locale, say
from ui.theme import UI_FACE

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "acceptance_plot",
    "bytes_plot",
    "entropy_histogram",
    "entropy_plot",
    "pitch_track",
    "plot_bar",
    "plot_figure",
    "sound_plot",
    "time_plot",
]

#: Stand out by 3 : 1 from either scheme's card (a test holds it).
BLUE, GREEN, RED, AMBER, GREY = "#4f86c0", "#1f9470", "#cc5a33", "#b97a10", "#7d8492"
HEIGHT = 260
#: Bins of the histogram, nats.
BIN_NATS = 0.1
#: Points of the drawn waveform.
COLUMNS = 400


def plot_figure(x: str, y: str, *, height: int = HEIGHT, **layout: Any) -> Figure:
    """An empty plot with the names of its axes."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 12, "t": 12, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        # The page's own face, so that plotly measures what is shown.
        font={"size": 12, "family": ", ".join(UI_FACE)},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"namelength": -1},
        bargap=0.15,
        dragmode=False,
        **layout,
    )
    figure.update_xaxes(title=_title(x), zeroline=False)
    figure.update_yaxes(title=_title(y), zeroline=False, rangemode="tozero")
    return figure


def _title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 12}}


def plot_bar(figure: Figure, **settings: Any) -> None:
    """Bars of one colour and pattern (``shape``)."""
    figure.add_bar(marker={"color": settings.pop("color"), "pattern": {"shape": settings.pop("shape", "")}}, **settings)


# ── Doubt ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def entropy_plot(result: CaptionResult, locale: Locale) -> Figure:
    """Entropy of each drafted token in the order of drafting; sent blocks are shaded, an entropy's τ is a line."""
    drafted = [token for token in result.tokens if token.entropy_nats is not None]
    drafted.sort(key=lambda token: (token.drafted_s or 0.0, token.position))
    figure = plot_figure(say(locale, "plot.drafted"), say(locale, "plot.nats"), barmode="overlay")
    sent = {block.block for block in result.blocks if block.escalated}
    for inside, color, shape, key in ((False, BLUE, "", "plot.stayed"), (True, RED, "/", "plot.sent")):
        rows = [(place, token) for place, token in enumerate(drafted) if (token.block in sent) == inside]
        plot_bar(
            figure,
            x=[place + 1 for place, _ in rows],
            y=[token.entropy_nats for _, token in rows],
            customdata=[[token.text.strip() or "∎", say(locale, f"state.{token.state}")] for _, token in rows],
            hovertemplate="%{customdata[0]} · %{customdata[1]}<br>%{y:.2f} nats<extra></extra>",
            name=say(locale, key),
            color=color,
            shape=shape,
        )
    for place, token in enumerate(drafted):
        if token.block in sent:
            figure.add_vrect(x0=place + 0.5, x1=place + 1.5, fillcolor=RED, opacity=0.1, line_width=0)
    tau = _entropy_threshold(result)
    if tau is not None:
        figure.add_hline(y=tau, line={"dash": "dash", "color": GREY}, annotation_text=f"τ = {tau:g}")
    return figure


def _entropy_threshold(result: CaptionResult) -> float | None:
    """The last threshold of a gate that compares an entropy; None for any other."""
    names = str(result.options.get("gate", "")).split("+")
    if result.mode != "ugsd" or not {"entropy", "emotion_entropy"} & set(names):
        return None
    return next((block.threshold for block in reversed(result.blocks) if block.threshold is not None), None)


def entropy_histogram(result: CaptionResult, locale: Locale) -> Figure:
    """How many drafted tokens had which entropy: those that stand in the caption, and those that were thrown away."""
    figure = plot_figure(say(locale, "plot.nats"), say(locale, "plot.tokens"), barmode="stack")
    values = [token for token in result.tokens if token.entropy_nats is not None]
    top = max((token.entropy_nats or 0.0 for token in values), default=0.0)
    edges = np.arange(0.0, max(top, 1.0) + BIN_NATS, BIN_NATS)
    for stands, color, shape, key in ((True, BLUE, "", "plot.stands"), (False, RED, "/", "plot.gone")):
        chosen = [token.entropy_nats for token in values if (token.state in COMMITTED_STATES) == stands]
        counts, _ = np.histogram(np.array(chosen, dtype=np.float64), bins=edges)
        plot_bar(figure, x=edges[:-1] + BIN_NATS / 2, y=counts, name=say(locale, key), color=color, shape=shape)
    tau = _entropy_threshold(result)
    if tau is not None:
        figure.add_vline(
            x=tau,
            line={"dash": "dash", "color": GREY},
            annotation={"text": f"τ = {tau:g}"},
            annotation_position="top left",
        )
    return figure


def acceptance_plot(result: CaptionResult, locale: Locale) -> Figure:
    """What became of the tokens of sent blocks, by their place in the block."""
    figure = plot_figure(
        say(locale, "plot.place"), say(locale, "plot.tokens"), barmode="stack", xaxis={"dtick": 1, "tick0": 1}
    )
    starts = {block.block: block.start for block in result.blocks if block.escalated}
    found = Counter(
        (token.state, token.position - starts[token.block] + 1) for token in result.tokens if token.block in starts
    )
    places = range(1, max((place for _, place in found), default=1) + 1)
    looks = (("accepted", GREEN, ""), ("rejected", RED, "x"), ("ignored", GREY, "/"), ("unverified", AMBER, "."))
    for state, color, shape in looks:
        counts = [found[(state, place)] for place in places]
        if any(counts):
            plot_bar(figure, x=list(places), y=counts, name=say(locale, f"state.{state}"), color=color, shape=shape)
    return figure


# ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_PARTS = {
    "read": (GREY, ""), "draft": (BLUE, ""), "network": (GREY, "/"), "queued": (AMBER, "-"), "verify": (AMBER, ""),
    "merge": (RED, ""), "lost": (RED, "x"),
}  # fmt: skip


def time_plot(timeline: Timeline, locale: Locale) -> Figure:
    """The waterfall: a line a block, its parts in the order in which they happened."""
    rows = timeline.rows
    figure = plot_figure(
        say(locale, "plot.ms"), say(locale, "plot.block"), barmode="overlay", height=max(HEIGHT, 90 + 20 * len(rows))
    )
    for kind, (color, shape) in _PARTS.items():
        base, length, labels = [], [], []
        for row in rows:
            at = row.start_ms
            for part, took in row.parts:
                if part == kind:
                    base.append(at)
                    length.append(took)
                    labels.append(row.name(locale))
                at += took
        if length:
            plot_bar(
                figure,
                x=length,
                y=labels,
                base=base,
                orientation="h",
                name=say(locale, f"plot.part.{kind}"),
                hovertemplate="%{x:.1f} ms<extra></extra>",
                color=color,
                shape=shape,
            )
    figure.update_yaxes(type="category", categoryarray=[row.name(locale) for row in rows], autorange="reversed")
    return figure


# ── Sound ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def sound_plot(samples: NDArray[np.float32], locale: Locale, pitch: tuple[Any, Any] | None = None) -> Figure:
    """The waveform, and the pitch of the voice over it.

    Args:
        samples: Shape (n,), 16 kHz.
        pitch: Times in seconds and fundamental frequency in Hz (NaN where unvoiced), as `pitch_track` gives them.
    """
    figure = plot_figure(say(locale, "plot.seconds"), say(locale, "plot.amplitude"))
    step = max(1, len(samples) // COLUMNS)
    columns = np.ascontiguousarray(samples[: len(samples) // step * step]).reshape(-1, step)
    times = (np.arange(len(columns)) + 0.5) * step / SAMPLE_RATE_HZ
    outline = np.concatenate((columns.max(axis=1), columns.min(axis=1)[::-1]))
    figure.add_scatter(
        x=np.round(np.concatenate((times, times[::-1])), 3),
        y=np.round(outline, 4),
        fill="toself",
        mode="lines",
        line={"color": GREY, "width": 0.5},
        name=say(locale, "plot.waveform"),
        hoverinfo="skip",
    )
    figure.update_yaxes(rangemode="normal")
    if pitch is not None:
        figure.add_scatter(
            x=np.round(pitch[0], 3),
            y=np.round(pitch[1], 1),
            yaxis="y2",
            mode="lines+markers",
            marker={"size": 3, "color": RED},
            line={"color": RED},
            connectgaps=False,
            name=say(locale, "plot.pitch"),
            hovertemplate="%{y:.0f} Hz<extra></extra>",
        )
        figure.update_layout(
            yaxis2={
                "title": _title(say(locale, "plot.hz")),
                "overlaying": "y",
                "side": "right",
                "showgrid": False,
            },
            margin={"r": 56},
        )
    return figure


def pitch_track(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (s) and fundamental frequency (Hz, NaN where unvoiced) by SwiftF0 (MIT), the tracker of the cues."""
    from swift_f0 import SwiftF0

    level = np.float32(0.9 / max(float(np.abs(samples).max(initial=0.0)), 1e-6))
    track = SwiftF0(threads=1).detect(samples * level, SAMPLE_RATE_HZ, fmin=65.0, fmax=600.0)
    hertz = np.asarray(track.pitch_hz, dtype=np.float64)
    voiced = np.asarray(track.confidence) >= 0.6
    return np.asarray(track.timestamps, dtype=np.float64), np.where(voiced, hertz, np.nan)


# ── The wire ──────────────────────────────────────────────────────────────────────────────────────────────────────


def bytes_plot(result: CaptionResult, locale: Locale) -> Figure:
    """What was sent and received against the size of the waveform that was not, on a logarithmic scale."""
    ledger = result.ledger
    rows = [(say(locale, "plot.waveform.kept"), int(result.utterance["waveform_bytes"]), GREY, "/")]
    for row in ledger.get("rows", ()):
        up = row["direction"] == "up"
        arrow = "↑" if up else "↓"
        name = f"{arrow} {say(locale, 'traffic.' + row['traffic'])}"
        rows.append((name, int(row["wire_bytes"]), RED if up else BLUE, "" if up else "."))
    figure = plot_figure(say(locale, "plot.bytes"), "", height=90 + 32 * len(rows), showlegend=False)
    for name, size, color, shape in rows:
        plot_bar(
            figure, x=[size], y=[name], orientation="h", text=[f"{size:,} B"], textposition="outside", name=name,
            hovertemplate="%{y}: %{x:,} B<extra></extra>", color=color, shape=shape,
        )  # fmt: skip
    sizes = [max(size, 1) for _, size, _, _ in rows]
    room = 0.45 * max(1.0, np.log10(max(sizes) / min(sizes)))  # for the figures behind the bars, on a phone too
    figure.update_xaxes(type="log", dtick=1, range=[np.log10(min(sizes)) - 0.5, np.log10(max(sizes)) + room])
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure
