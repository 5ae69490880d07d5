"""Pictures of a report: quality against what it cost, as SVG."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ugsd_core.evaluation.document import Picture
from ugsd_core.evaluation.scored import ScoredRun
from ugsd_core.metrics import METRICS
from ugsd_core.pictures import Line, line_chart

__all__ = ["axis_ends", "file_part", "quality_metric", "run_pictures", "scale_ends"]


def quality_metric(run: ScoredRun, wanted: str = "") -> str:
    """The measure that pictures and fronts use: the wanted one, else emotion_consistency where there are labels.

    Without labels it is rougeL. n-gram scores hardly see the emotion, so they are the last resort, and whoever uses the
    answer says which it was.
    """
    if wanted:
        return wanted
    values = [entry["metrics"].get("emotion_consistency") for entry in run.metrics["systems"].values()]
    return "emotion_consistency" if any(value and value["n"] for value in values) else "rougeL"


def file_part(text: str) -> str:
    """A run's name as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "run"


def axis_ends(values: Sequence[float], within: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
    """Ends of an axis that holds all values and whose five parts are round numbers.

    Args:
        within: Ends of the scale, which the axis does not pass.
    """
    low, high = min(values), max(values)
    size = 10.0 ** math.floor(math.log10(max((high - low) / 5, 1e-9)))
    for step in (size * factor for factor in (1.0, 2.0, 2.5, 4.0, 5.0, 10.0, 20.0)):
        begin = math.floor(round(low / step, 6)) * step
        if begin + 5 * step > within[1]:
            begin = max(within[0], within[1] - 5 * step)
        if begin <= low + 1e-9 and high <= begin + 5 * step + 1e-9:
            return begin, begin + 5 * step
    return low, high


def scale_ends(metric: str) -> tuple[float, float]:
    """Ends of a metric's scale, as its unit says them."""
    low, dash, high = (METRICS[metric].unit if metric in METRICS else "").partition("–")
    return (float(low), float(high)) if dash else (0.0, math.inf)


def run_pictures(run: ScoredRun) -> list[Picture]:
    """Quality against tokens sent and against time, one mark a system; none for a run of one system."""
    name = quality_metric(run)
    found = {}
    for system, entry in run.metrics["systems"].items():
        figure = entry["metrics"].get(name)
        if figure is not None and figure["value"] is not None:
            found[system] = figure
    if len(found) < 2:
        return []
    rho = {s: run.metrics["systems"][s]["ratios"]["transmission_rate"]["value"] for s in found}
    # Edge-only sends nothing; cloud-only drafts nothing, so that it has no ρ and no place on that axis.
    rho |= {"edge": 0.0} if "edge" in rho else {}
    time = {s: (run.timings["systems"].get(s, {}).get("clocks", {}).get("total_s") or {}).get("p50") for s in found}
    pictures = []
    for key, label, places in (
        ("rho", "drafted tokens sent (ρ, mean over captions)", rho),
        ("time", "seconds to the caption (total_s, median)", time),
    ):
        spots = {s: x for s, x in places.items() if x is not None}
        if len(spots) < 2 or max(spots.values()) <= 0:
            continue
        # Systems without a place are named too, so that a system has one colour in both pictures.
        lines = [
            Line(s, ((spots[s], figure["value"]),), bars=((figure["low"], figure["high"]),))
            if s in spots
            else Line(f"{s} (not on this axis)", ())
            for s, figure in found.items()
        ]
        ends = [v for s in spots for v in (found[s]["value"], found[s]["low"], found[s]["high"]) if v is not None]
        title = f"{run.name}: {name} against {'tokens sent' if key == 'rho' else 'time'}, 95 % intervals"
        svg = line_chart(
            title,
            label,
            name,
            lines,
            x_most=axis_ends([0.0, *spots.values()])[1],
            y_span=axis_ends(ends, scale_ends(name)),
        )
        pictures.append(Picture(f"{name}-{key}-{file_part(run.name)}.svg", title, svg))
    return pictures
