"""Pictures of a report: quality against what it cost, as SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ugsd_core.evaluation.document import Picture
from ugsd_core.evaluation.scored import ScoredRun
from ugsd_core.pictures import Line, line_chart

__all__ = ["axis_ends", "file_part", "quality_metric", "run_pictures"]


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


def axis_ends(values: Sequence[float], least: float = 4.0) -> tuple[float, float]:
    """Ends of an axis that holds all values, with room and at least so long."""
    low, high = min(values), max(values)
    room = max(0.06 * (high - low), (least - (high - low)) / 2, 0.0)
    return low - room, high + room


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
        lines = [
            Line(s, ((x, found[s]["value"]),), bars=((found[s]["low"], found[s]["high"]),)) for s, x in spots.items()
        ]
        ends = [v for s in spots for v in (found[s]["value"], found[s]["low"], found[s]["high"]) if v is not None]
        title = f"{run.name}: {name} against {'tokens sent' if key == 'rho' else 'time'}, 95 % intervals"
        svg = line_chart(title, label, name, lines, x_most=1.05 * max(spots.values()), y_span=axis_ends(ends))
        pictures.append(Picture(f"{name}-{key}-{file_part(run.name)}.svg", title, svg))
    return pictures
