"""Plots of a run: quality against what was sent, time, how the clips differ, and which emotions are told apart.

As in `ui.components.plots`, a figure has no colours of a scheme: text and lines take the page's, data a few that stand
out from light and dark alike; what a colour says, a mark or a pattern says too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ui.components.plots import AMBER, BLUE, GREEN, GREY, HEIGHT, RED, plot_bar, plot_figure
from ui.evaluation_view import metric_name, system_name
from ui.language import Locale, say

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from ui.open_run import OpenRun

__all__ = ["RUN_PLOTS", "confusion_plot", "label_plot", "latency_plot", "quality_plot", "run_plot", "spread_plot"]

_COLORS = (BLUE, RED, GREEN, AMBER, GREY, "#8a6fc0", "#2a8c9b", "#b05a86")
_MARKS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down")
_PATTERNS = ("", "/", "x", ".", "-", "\\", "+", "|")


def quality_plot(run: OpenRun, metric: str, locale: Locale) -> Figure | None:
    """A metric against ρ: a point a system, both with their intervals. A system without drafts stands at its end."""
    systems = run.metrics.get("systems", {})
    figure = plot_figure(say(locale, "eval.plot.rho"), metric_name(locale, metric))
    drawn = False
    for name in systems:
        number = _place(name)
        score = systems[name].get("metrics", {}).get(metric) or {}
        rate = systems[name].get("ratios", {}).get("transmission_rate") or {}
        value, at = score.get("value"), rate.get("value")
        if value is None:
            continue
        alone = at is None  # nothing was drafted: the verifier wrote everything
        x = 100.0 if alone else 100 * at
        figure.add_scatter(
            x=[x], y=[value], mode="markers", text=[system_name(locale, name)], name=system_name(locale, name),
            cliponaxis=False,
            marker={"size": 10, "color": _COLORS[number % 8],
                    "symbol": f"{_MARKS[number % 8]}{'-open' if alone else ''}"},
            error_y=_error(value, score.get("low"), score.get("high"), _COLORS[number % 8]),
            error_x=None if alone else _error(x, *(None if rate.get(k) is None else 100 * rate[k]
                                                   for k in ("low", "high")), _COLORS[number % 8]),
            hovertemplate="%{text}<br>ρ %{x:.1f} %<br>%{y:.2f}<extra></extra>",
        )  # fmt: skip
        drawn = True
    figure.update_xaxes(range=[-6, 106], tickvals=[0, 25, 50, 75, 100], ticksuffix=" %")
    figure.update_yaxes(rangemode="normal")
    figure.update_layout(height=HEIGHT + 40)
    return figure if drawn else None


def _place(system: str) -> int:
    """A system has one colour, mark and pattern in all plots of all runs."""
    from ugsd_core.evaluation.systems import SYSTEMS

    return list(SYSTEMS).index(system) if system in SYSTEMS else sum(system.encode())


def _error(value: float, low: float | None, high: float | None, color: str) -> dict[str, Any] | None:
    if low is None or high is None:
        return None
    return {
        "type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low], "color": color,
        "thickness": 1.2, "width": 4,
    }  # fmt: skip


def latency_plot(run: OpenRun, locale: Locale) -> Figure | None:
    """Median and 95th percentile of the first text and of the whole caption, by system."""
    # What an oracle takes is no time that anybody would wait.
    systems = {
        name: one
        for name, one in run.timings.get("systems", {}).items()
        if _clock_of(one, "total_s", "p50") is not None
    }
    if not systems:
        return None
    names = [system_name(locale, name) for name in systems]
    figure = plot_figure("", "ms", barmode="group")
    looks = (
        ("ttft_draft_s", "p50", BLUE, "/"), ("ttft_draft_s", "p95", GREY, "/"), ("total_s", "p50", BLUE, ""),
        ("total_s", "p95", GREY, ""),
    )  # fmt: skip
    for clock, part, color, shape in looks:
        found = [_clock_of(systems[name], clock, part) for name in systems]
        if any(value is not None for value in found):
            label = f"{say(locale, f'figure.{clock}')}, {part}"
            plot_bar(figure, x=names, y=found, name=label, color=color, shape=shape,
                     hovertemplate="%{y:,.0f} ms<extra></extra>")  # fmt: skip
    return figure


def _clock_of(system: dict[str, Any], clock: str, part: str) -> float | None:
    clocks = system.get("clocks", {})
    value = (clocks.get(clock) or {}).get(part)
    if value is None and clock == "ttft_draft_s":  # the verifier alone drafts nothing: its first token is final
        value = (clocks.get("ttft_commit_s") or {}).get(part)
    return None if value is None else 1000 * float(value)


def spread_plot(run: OpenRun, metric: str, locale: Locale) -> Figure | None:
    """How a metric's values of single clips lie: share of the clips below a value, a line a system."""
    values, _ = run.values(metric)
    figure = plot_figure(metric_name(locale, metric), say(locale, "eval.plot.share"))
    dashes = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
    drawn = False
    for name in run.systems:
        number = _place(name)
        own = np.array([v for v, line in zip(values, run.lines, strict=True) if v is not None and line.system == name])
        if own.size == 0:
            continue
        # At most a hundred and one points a line, however many clips there are.
        shares = np.linspace(0, 1, min(101, own.size + 1))
        figure.add_scatter(
            x=np.round(np.quantile(own, shares, method="inverted_cdf"), 3), y=np.round(100 * shares, 1), mode="lines",
            name=system_name(locale, name), line={"color": _COLORS[number % 8], "dash": dashes[number % 8], "width": 2,
                                                              "shape": "hv"},
            hovertemplate="%{y:.0f} % ≤ %{x:.2f}<extra></extra>",
        )  # fmt: skip
        drawn = True
    figure.update_yaxes(ticksuffix=" %", range=[0, 101])
    return figure if drawn else None


def label_plot(run: OpenRun, locale: Locale) -> Figure | None:
    """Of the clips with a label, the share whose caption names that emotion first, by label and system."""
    labels = [label for label in run.labels if label]
    if not labels:
        return None
    names = [say(locale, f"label.{label}") for label in labels]
    figure = plot_figure("", say(locale, "eval.plot.agree"), barmode="group")
    for system in run.systems:
        number = _place(system)
        right = dict.fromkeys(labels, 0)
        of = dict.fromkeys(labels, 0)
        for index, line in enumerate(run.lines):
            if line.system == system and line.label and line.hypothesis is not None:
                of[line.label] += 1
                right[line.label] += run.emotions(index)[:1] == (line.label,)
        found = [100 * right[label] / of[label] if of[label] else None for label in labels]
        plot_bar(
            figure, x=names, y=found, name=system_name(locale, system), color=_COLORS[number % 8],
            shape=_PATTERNS[number % 8], customdata=[[right[label], of[label]] for label in labels],
            hovertemplate="%{customdata[0]} / %{customdata[1]}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(range=[0, 101], ticksuffix=" %")
    return figure


def confusion_plot(run: OpenRun, system: str, locale: Locale) -> Figure | None:
    """Labels of the corpus against the emotion that a system's captions name first, as counts."""
    labels = list(run.labels)
    if not labels:
        return None
    found: dict[tuple[str, str], int] = {}
    for index, line in enumerate(run.lines):
        if line.system == system and line.label and line.hypothesis is not None:
            heard = (run.emotions(index) or ("",))[0]
            found[(line.label, heard)] = found.get((line.label, heard), 0) + 1
    if not found:
        return None
    columns = [*labels, *sorted({heard for _, heard in found} - {*labels, ""})]
    if any(not heard for _, heard in found):
        columns.append("")
    counts = [[found.get((label, heard), 0) for heard in columns] for label in labels]
    told = [say(locale, f"label.{name}") if name else say(locale, "eval.plot.no_emotion") for name in columns]
    figure = plot_figure(say(locale, "eval.plot.heard"), say(locale, "eval.plot.label"), height=90 + 34 * len(labels))
    figure.add_heatmap(
        x=told, y=[say(locale, f"label.{label}") for label in labels], z=counts, text=counts, texttemplate="%{text}",
        colorscale=[[0, "rgba(79,134,192,0)"], [1, "rgba(79,134,192,.45)"]], showscale=False, xgap=2, ygap=2,
        hovertemplate="%{y} → %{x}: %{z}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", rangemode="normal", automargin=True, showgrid=False)
    figure.update_xaxes(automargin=True, showgrid=False)
    return figure


#: Plots of a run in the order of the page. Headings: ``eval.plot.title.…``; why one is missing: ``eval.plot.none.…``.
RUN_PLOTS = ("quality", "latency", "spread", "labels", "confusion")


def run_plot(name: str, run: OpenRun, metric: str, system: str, locale: Locale) -> Figure | None:
    """One of `RUN_PLOTS`; None where the run has nothing for it."""
    match name:
        case "quality":
            return quality_plot(run, metric, locale)
        case "latency":
            return latency_plot(run, locale)
        case "spread":
            return spread_plot(run, metric, locale)
        case "labels":
            return label_plot(run, locale)
        case _:
            return confusion_plot(run, system, locale)
