"""What a sweep found: every setting over every link, the Pareto front, pictures, and the report that holds them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.columns import CLOSURE, TRIPS, closure, number, spread
from ugsd_core.evaluation.document import Document, Picture, Section, Table, as_html, as_markdown
from ugsd_core.evaluation.latex import as_latex
from ugsd_core.evaluation.pareto import front
from ugsd_core.evaluation.plots import axis_ends, file_part, quality_metric, scale_ends
from ugsd_core.evaluation.scored import ScoredRun
from ugsd_core.figures import CLOCK_DEFINITIONS, RATIO_DEFINITIONS
from ugsd_core.metrics import METRICS
from ugsd_core.pictures import Line, line_chart

__all__ = ["Point", "Sweep", "build_sweep", "sweep_json", "sweep_texts"]

ENDS = ("edge", "cloud")
FRONT = (
    "A setting is on the front of a link if no other setting of that link is at least as good in quality, tokens sent "
    "(ρ) and time (total_s, median) and better in one of them. Edge-only takes part; cloud-only drafts nothing and "
    "does not."
)


@dataclass(frozen=True, slots=True)
class Point:
    """A setting over a link.

    Attributes:
        quality: ``value``, ``low``, ``high``, ``n`` of the quality measure.
        rho: Mean transmission rate; 0 of edge-only, None of cloud-only.
        total_s: Median.
        on_front: See `FRONT`.
    """

    link: str
    system: str
    settings: dict[str, Any]
    n: int
    failed: int
    quality: dict[str, Any]
    closure: dict[str, Any] | None
    rho: float | None
    rho_pooled: float | None
    trips: float | None
    useful: float | None
    total_s: float | None
    total_p95_s: float | None
    ttft_s: float | None
    on_front: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, one row of the CSV."""
        quality = {
            f"quality{'' if key == 'value' else '_' + key}": self.quality[key] for key in ("value", "low", "high")
        }
        return {
            "link": self.link,
            "system": self.system,
            **{
                key: self.settings.get(key)
                for key in ("mode", "gate", "tau", "acceptance", "rank", "block_length", "k")
            },
            "n": self.n,
            "failed": self.failed,
            **quality,
            "gap_closure": None if self.closure is None else self.closure["value"],
            "transmission_rate": self.rho,
            "transmission_rate_pooled": self.rho_pooled,
            "escalations_a_clip": self.trips,
            "useful_escalation_rate": self.useful,
            "total_s_p50": self.total_s,
            "total_s_p95": self.total_p95_s,
            "ttft_commit_s_p50": self.ttft_s,
            "on_front": self.on_front,
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """All points of a sweep.

    Attributes:
        quality: Name of the measure that the front is about.
        chosen: How that measure came to be used, in a sentence.
    """

    quality: str
    chosen: str
    language: str
    clips: int
    resampled: str
    points: tuple[Point, ...]

    @property
    def links(self) -> list[str]:
        """In the order in which they were run."""
        return list(dict.fromkeys(point.link for point in self.points))


def build_sweep(runs: Sequence[ScoredRun], quality: str = "") -> Sweep:
    """The points of a sweep, from one run a link, named as the links.

    Raises:
        OptionError: If the quality measure is none, or has no value on these clips.
    """
    first = runs[0]
    have = {name for entry in first.metrics["systems"].values() for name in entry["metrics"]}
    if quality and (quality not in have or METRICS[quality].better != "higher"):
        fit = ", ".join(name for name in METRICS if name in have and METRICS[name].better == "higher")
        raise OptionError(f"--quality {quality} is no measure of these captions; choose one of {fit}")
    name = quality_metric(first, quality)
    if quality:
        chosen = f"Quality is {name}, as was asked for."
    elif name == "emotion_consistency":
        chosen = "Quality is emotion_consistency, because the corpus has labels."
    else:
        chosen = f"Quality is {name}, because the corpus has no labels."
    if name not in ("emotion_consistency", "emotion_f1", "emotion_coverage"):
        chosen += " Settings chosen by n-grams are chosen by wording: such scores hardly see the emotion."
    points = tuple(point for run in runs for point in _points(run, name))
    if all(point.quality["value"] is None for point in points):
        raise OptionError(f"{name} has no value on these clips; choose another --quality")
    return Sweep(name, chosen, first.language, int(first.metrics["clips"]), str(first.metrics["resampled"]), points)


def _points(run: ScoredRun, quality: str) -> list[Point]:
    """All settings of one link, those on its front marked."""
    options = {entry["name"]: entry.get("options", {}) for entry in run.manifest.get("systems", [])}
    found = [_point(run, system, options.get(system, {}), quality) for system in run.systems]
    best = front(
        {
            point.system: (point.rho, point.total_s, point.quality["value"])
            for point in found
            if point.rho is not None and point.total_s is not None and point.quality["value"] is not None
        }
    )
    return [replace(point, on_front=point.system in best) for point in found]


def _point(run: ScoredRun, system: str, settings: dict[str, Any], quality: str) -> Point:
    entry = run.metrics["systems"][system]
    clocks = run.timings["systems"].get(system, {}).get("clocks", {})
    empty = {"value": None, "low": None, "high": None, "n": 0, "p50": None, "p95": None}
    rho = entry["ratios"]["transmission_rate"]
    return Point(
        run.name,
        system,
        settings,
        entry["n"],
        len(entry["failed"]),
        entry["metrics"].get(quality, empty),
        entry["gap_closure"].get(quality),
        0.0 if system == "edge" else rho["value"],
        0.0 if system == "edge" else rho["pooled"],
        entry["escalations_a_clip"]["value"],
        entry["ratios"]["useful_escalation_rate"]["value"],
        clocks.get("total_s", empty)["p50"],
        clocks.get("total_s", empty)["p95"],
        clocks.get("ttft_commit_s", empty)["p50"],
    )


# ── As files ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def sweep_texts(sweep: Sweep) -> dict[str, str]:
    """Every file of a sweep's report, by name."""
    document = _document(sweep)
    texts = {
        "sweep.md": as_markdown(document),
        "sweep.html": as_html(document),
        "sweep.tex": as_latex(document),
        "sweep.csv": _csv(sweep),
        "sweep.json": sweep_json(sweep),
    }
    return texts | {picture.name: picture.svg for picture in document.pictures}


def sweep_json(sweep: Sweep) -> str:
    """All points, with what they mean."""
    values = {
        "schema": 1,
        "quality": sweep.quality,
        "chosen": sweep.chosen,
        "language": sweep.language,
        "clips": sweep.clips,
        "resampled": sweep.resampled,
        "front": FRONT,
        "points": [point.to_dict() for point in sweep.points],
    }
    return json.dumps(values, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _csv(sweep: Sweep) -> str:
    rows = [{"quality_metric": sweep.quality} | point.to_dict() for point in sweep.points]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return file.getvalue()


def _document(sweep: Sweep) -> Document:
    scale = METRICS[sweep.quality].unit
    about = (
        sweep.chosen,
        f"{sweep.clips} clips, captions in {sweep.language!r}. {FRONT}",
        "A setting chosen here is flattered by the clips it was chosen on: choose on development speakers, and report "
        "on others. Where the intervals of two settings overlap widely, the front between them is chance.",
    )
    sections = [Section("What was swept", about)]
    sections += [
        Section(f"Link {link}", tables=(_table(sweep, link),), pictures=_pictures(sweep, link)) for link in sweep.links
    ]
    if len(sweep.links) > 1:
        sections.append(Section("Links beside each other", tables=(_links(sweep),)))
    definitions = (
        (sweep.quality, f"{METRICS[sweep.quality].definition} {scale}. In brackets: 95 % interval."),
        ("gap closed", CLOSURE),
        ("ρ", f"{RATIO_DEFINITIONS['transmission_rate']} Mean over captions; 0 of edge-only."),
        ("round trips", TRIPS),
        ("useful", f"{RATIO_DEFINITIONS['useful_escalation_rate']} Mean over captions that sent any."),
        ("total, s", f"{CLOCK_DEFINITIONS['total_s']} Median over captions (95th percentile)."),
        ("TTFT, s", f"{CLOCK_DEFINITIONS['ttft_commit_s']} Median over captions."),
    )
    sections.append(Section("Definitions", lines=definitions))
    return Document(f"Sweep: {sweep.quality}, tokens sent and time", tuple(sections))


def _table(sweep: Sweep, link: str) -> Table:
    points = [point for point in sweep.points if point.link == link]
    points.sort(key=lambda p: (p.system != "edge", p.system == "cloud", p.rho if p.rho is not None else 2.0))
    rows = []
    for point in points:
        rows.append(
            (
                point.system,
                "yes" if point.on_front else "",
                spread(point.quality),
                closure(point.closure),
                number(point.rho, 3),
                number(point.trips, 2),
                number(point.useful, 2),
                f"{number(point.total_s, 3)} ({number(point.total_p95_s, 3)})",
                number(point.ttft_s, 3),
                str(point.n),
            )
        )
    head = (
        "setting",
        "front",
        sweep.quality,
        "gap closed",
        "ρ",
        "round trips",
        "useful",
        "total, s",
        "TTFT, s",
        "n",
    )
    return Table(f"sweep-{file_part(link)}", f"Settings over the link {link}", head, tuple(rows), 2)


def _links(sweep: Sweep) -> Table:
    """Median seconds of each setting over each link."""
    by_key = {(point.system, point.link): point for point in sweep.points}
    systems = list(dict.fromkeys(point.system for point in sweep.points))
    rows = tuple(
        (
            system,
            *(number(by_key[system, link].total_s if (system, link) in by_key else None, 3) for link in sweep.links),
        )
        for system in systems
    )
    note = (
        "Links were run one after the other. Edge-only asks nobody, so that its times should be alike; how much they "
        "differ is how much the machine did."
    )
    return Table(
        "sweep-links",
        "Seconds to the caption (total_s, median) over each link",
        ("setting", *sweep.links),
        rows,
        1,
        (note,),
    )


def _pictures(sweep: Sweep, link: str) -> tuple[Picture, ...]:
    points = [p for p in sweep.points if p.link == link and p.quality["value"] is not None]
    pictures = []
    for key, label, what in (
        ("rho", "drafted tokens sent (ρ, mean over captions)", "tokens sent"),
        ("time", "seconds to the caption (total_s, median)", "time"),
    ):
        places = {p.system: p.rho if key == "rho" else p.total_s for p in points}
        placed = [(x, p) for p in points if (x := places[p.system]) is not None]
        if len(placed) < 2 or max(x for x, _ in placed) <= 0.0:
            continue
        title = f"{sweep.quality} against {what}, link {link}"
        svg = line_chart(
            title,
            label,
            sweep.quality,
            _lines(points, places),
            x_most=axis_ends([0.0, *(x for x, _ in placed)])[1],
            y_span=axis_ends(_ends(points), scale_ends(sweep.quality)),
        )
        pictures.append(Picture(f"sweep-{key}-{file_part(link)}.svg", title, svg))
    return tuple(pictures)


def _ends(points: Sequence[Point]) -> list[float]:
    return [v for p in points for v in (p.quality["value"], p.quality["low"], p.quality["high"]) if v is not None]


def _lines(points: Sequence[Point], places: dict[str, float | None]) -> list[Line]:
    """Every setting as a mark, in one colour a family in all pictures, and the front of these two axes as a line."""
    families: dict[str, list[tuple[float, Point]]] = {}
    for point in points:
        x = places[point.system]
        families.setdefault(_family(point), [])
        if x is not None:
            families[_family(point)].append((x, point))
    lines = []
    for name, entries in families.items():
        entries.sort(key=lambda entry: entry[0])
        spots = tuple((x, p.quality["value"]) for x, p in entries)
        bars = tuple((p.quality["low"], p.quality["high"]) for _, p in entries)
        lines.append(Line(name if spots else f"{name} (drafts nothing)", spots, marks=True, bars=bars))
    placed = {p.system: (x, p.quality["value"]) for p in points if (x := places[p.system]) is not None}
    inner = {name: point for name, point in placed.items() if name != "cloud"}
    best = sorted(inner[name] for name in front(inner))
    return [*lines, Line("front of these two axes", tuple(best))] if len(best) > 1 else lines


def _family(point: Point) -> str:
    """What a setting is drawn as: all but its threshold."""
    if point.system in ENDS:
        return f"{point.system}-only"
    return "-".join(part for part in point.system.split("-") if not part.startswith("tau")) or point.system
