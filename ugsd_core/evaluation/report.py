"""Runs as one report: the columns of the paper's tables beside the paper's rows, ours, comparisons, definitions.

Everything is made from ``metrics.json``, ``timings.json`` and ``manifest.json``; no caption is scored here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ugsd_core.evaluation.columns import (
    EMOTION,
    N_GRAMS,
    QUALITY,
    RESOURCES,
    TIME,
    Column,
    number,
    own_column,
    spread,
)
from ugsd_core.evaluation.document import Document, Section, Table
from ugsd_core.evaluation.manifest import link_of
from ugsd_core.evaluation.paper import paper
from ugsd_core.evaluation.plots import run_pictures
from ugsd_core.evaluation.scored import ScoredRun
from ugsd_core.metrics import METRICS

__all__ = ["build_report"]

#: Metrics that the comparison tables show; all of them are in the CSV and JSON files.
COMPARED = ("emotion_consistency", "emotion_f1", "paper_bleu1", "paper_bleu4", "meteor", "meteor_exact_zh", "rougeL")
#: What the columns of those tables are called.
TITLES = {name: column.title for column in (*QUALITY, *EMOTION) for name in column.figures}
#: Baseline to how a heading calls it.
BASES = {"edge": "edge-only", "cloud": "cloud-only", "ugsd": "ugsd"}
OUTSIDE = (
    "outside",
    "Share of the run's time that went elsewhere than into captions: reading recordings, writing lines.",
)
#: Below this p a difference gets its marks.
MARKS = ((0.01, "**"), (0.05, "*"))
ABSENT = (
    "Not reproduced here: the paper's four tables are not available offline. Their rows were not within reach when "
    "this program was written, and none is guessed. Rows put into ugsd_core/data/paper_tables.json appear in the "
    "tables above."
)
SEE = "The paper's own rows are not reproduced here: see 'The paper's figures'."
#: How our columns may differ from the paper's of the same name.
DIFFERENCES = {
    "quality": (
        "BLEU-1 is sacreBLEU's first precision without a brevity penalty, BLEU-4 its score with one: the reading "
        "under which the paper's pairs of figures make sense. BLEU with the penalty in both stands under 'n-grams'.",
        "METEOR is NLTK's, not the Java program's: the two differ by tens of points. Which of them the paper used "
        "could not be checked here.",
        "n-gram scores hardly see the emotion: read them beside 'emotion right', never alone.",
    ),
    "time": (
        "Zero is the moment at which the recording is complete; TTFT is the first final token, not the first drafted "
        "one. Where the paper's clocks begin could not be checked here.",
        "Median over captions, 95th percentile in brackets. Systems took turns on every clip, so that a busy machine "
        "slows all of them; two runs of one system on a shared machine may still differ by half.",
    ),
    "resources": (
        "CPU: 100 % is one core at work all the time. RAM: largest resident size of the process. The edge's process "
        "also runs the evaluation itself.",
    ),
}


def build_report(runs: Sequence[ScoredRun], title: str = "") -> Document:
    """The report of some runs, side by side."""
    several = len(runs) > 1
    sections = [
        _overview(runs),
        _section(runs, "quality", "Caption quality", "Caption quality, in the paper's columns", QUALITY),
        replace(
            _section(runs, "emotion", "Emotion, and what it cost", "Emotion, and what it cost", EMOTION),
            pictures=tuple(picture for run in runs for picture in run_pictures(run)),
        ),
        _section(runs, "time", "Time", "Time, in the paper's columns", TIME),
        _section(runs, "resources", "Resources", "Resources, in the paper's columns", RESOURCES),
        _section(runs, "ngrams", "n-grams", "n-grams by the usual conventions", N_GRAMS),
        *_own_metrics(runs),
        _comparisons(runs),
        _claims(runs),
        _failures(runs),
        _definitions(runs),
    ]
    default = f"Evaluation: {', '.join(run.name for run in runs)}" if several else f"Evaluation {runs[0].name}"
    return Document(title or default, tuple(section for section in sections if section is not None))


# ── Tables of systems ─────────────────────────────────────────────────────────────────────────────────────────────────


def _labels(runs: Sequence[ScoredRun], run: ScoredRun, system: str) -> tuple[str, ...]:
    return (run.name, system) if len(runs) > 1 else (system,)


def _section(runs: Sequence[ScoredRun], name: str, title: str, caption: str, columns: Sequence[Column]) -> Section:
    """A table and its notes, or a sentence where it would be empty."""
    table = _table(runs, name, caption, columns)
    if len(table.head) > table.texts + 1:
        return Section(title, tables=(table,))
    why = {
        "quality": "No clip has a reference in the language of its captions, so that no text can be compared.",
        "resources": "Nothing was measured.",
        "time": "Nothing was measured.",
    }
    return Section(title, (why.get(name, "No system has a figure."),))


def _own_columns(runs: Sequence[ScoredRun]) -> list[Column]:
    """Columns of what plug-ins measured; the plug-ins need not be installed any more."""
    entries = [entry for run in runs for entry in run.metrics["systems"].values()]
    units = {name: figures["unit"] for entry in entries for name, figures in entry["metrics"].items()}
    return [own_column(name, unit) for name, unit in units.items() if name not in METRICS.builtin]


def _own_metrics(runs: Sequence[ScoredRun]) -> list[Section]:
    columns = _own_columns(runs)
    return [_section(runs, "own", "Metrics of plug-ins", "Metrics of plug-ins", columns)] if columns else []


def _table(runs: Sequence[ScoredRun], name: str, title: str, columns: Sequence[Column]) -> Table:
    """One row a run and system; columns in which no row has a figure are left out and named."""
    rows = [
        (*_labels(runs, run, system), str(run.metrics["systems"][system]["n"]), *(c.cell(run, system) for c in columns))
        for run in runs
        for system in run.systems
    ]
    texts = 2 if len(runs) > 1 else 1
    ends = [f"{column.title}: {reason}" for column in columns if (reason := _short(column, runs))]
    if name in DIFFERENCES:
        theirs = paper().rows_of(name, {run.language for run in runs})
        for row in theirs:
            cells = [number(row.values.get(column.key), 3 if name == "time" else 1) for column in columns]
            rows.append((*((f"paper, table {row.table}",) if texts == 2 else ()), f"{row.system} (paper)", "", *cells))
        if not theirs:
            ends.append(SEE)
    head = (*(("run",) if texts == 2 else ()), "system", "n", *(column.title for column in columns))
    kept = [place for place in range(len(head)) if place <= texts or any(row[place] not in ("n/a", "") for row in rows)]
    empty = [head[place] for place in range(len(head)) if place not in kept]
    if empty:
        ends.append(f"No figure in any row: {'; '.join(empty)}.")
    cut = tuple(tuple(row[place] for place in kept) for row in rows)
    interval = "In brackets: 95 % interval." if name in ("quality", "emotion", "ngrams", "own") else ""
    told = tuple(filter(None, [interval, *DIFFERENCES.get(name, ()), *ends]))
    return Table(name, title, tuple(head[place] for place in kept), cut, texts, told)


def _short(column: Column, runs: Sequence[ScoredRun]) -> str:
    """Where a metric has a meaning on fewer clips than were captioned, but on some."""
    parts = []
    for run in runs:
        name = column.figure(run)
        counts: dict[str, list[str]] = {}
        for system, entry in run.metrics["systems"].items():
            n = entry["metrics"][name]["n"] if name in entry["metrics"] else 0
            if 0 < n < entry["n"]:
                counts.setdefault(f"{n} of {entry['n']}", []).append(system)
        parts += [f"{' '.join(_labels(runs, run, ', '.join(systems)))} {count}" for count, systems in counts.items()]
    return f"over fewer clips: {'; '.join(parts)}." if parts else ""


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f} %"


def _overview(runs: Sequence[ScoredRun]) -> Section:
    """What was run."""
    head = (
        "run",
        "corpus",
        "captions in",
        "clips",
        "failed",
        "systems",
        "captions/min",
        "outside",
        "resampled",
        "draws",
    )
    rows = []
    for run in runs:
        failed = sum(len(entry["failed"]) for entry in run.metrics["systems"].values())
        rows.append(
            (
                run.name,
                ", ".join(run.metrics["corpus"]),
                run.language,
                str(run.metrics["clips"]),
                str(failed),
                str(len(run.systems)),
                number(run.timings["captions_per_minute"], 1),
                _share(run.timings["outside_share"]),
                run.metrics["resampled"],
                str(run.metrics["draws"]),
            )
        )
    notes = [f"{run.name}: references: {run.metrics['reference_note']}." for run in runs]
    for run in runs:
        if link := link_of(run.manifest):
            notes.append(f"{run.name}: over an emulated link ({link}); its times are not the network's.")
        if run.metrics["resampled"] == "speakers":
            notes.append(
                f"{run.name}: intervals resample the {run.metrics['speakers']} speakers, then the clips of each; with "
                "few speakers they are a lower bound on what is unknown."
            )
        notes += [f"{run.name}: not scored: {sentence}" for sentence in run.metrics["missing_metrics"].values()]
    kinds = tuple(
        (" ".join(_labels(runs, run, system)), run.definition(system))
        for run in runs
        for system in run.systems
        if run.definition(system)
    )
    return Section("Runs", tables=(Table("runs", "Runs", head, tuple(rows), 3, tuple(notes)),), lines=kinds)


# ── Systems against baselines ─────────────────────────────────────────────────────────────────────────────────────────


def mark(p: float | None) -> str:
    """The stars of a difference."""
    return "" if p is None else next((stars for least, stars in MARKS if p < least), "")


def _comparisons(runs: Sequence[ScoredRun]) -> Section | None:
    tables = [table for base in BASES if (table := _against(runs, base)) is not None]
    if not tables:
        return None
    count = sum(1 for run in runs for row in run.metrics["paired"] if row["p"] is not None)
    text = (
        "Difference of two systems on the clips that both captioned, with its 95 % interval, by paired bootstrap: in "
        "every draw of clips both are read, and the difference is kept. * p < .05, ** p < .01, two-sided, not "
        f"corrected for the {count} comparisons that were made: about one in twenty of those without any difference "
        "gets a mark."
    )
    return Section("Systems against each other", (text,), tuple(tables))


def _against(runs: Sequence[ScoredRun], base: str) -> Table | None:
    found = {
        (run.name, row["a"], row["metric"]): row for run in runs for row in run.metrics["paired"] if row["b"] == base
    }
    names = [name for name in COMPARED if any(key[2] == name and row["n"] for key, row in found.items())]
    rows, clips = [], []
    for run in runs:
        for system in run.systems:
            entries = [found.get((run.name, system, name)) for name in names]
            if not any(entries):
                continue
            counts = sorted({entry["n"] for entry in entries if entry})
            clips.append(f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}")
            cells = []
            for entry in entries:
                value = None if entry is None else entry | {"value": entry["difference"]}
                cells.append(spread(value, 1) + (f" {mark(entry['p'])}" if entry and mark(entry["p"]) else ""))
            rows.append((*_labels(runs, run, system), clips[-1], *cells))
    if not rows:
        return None
    least = []
    for name in names:
        effects = [row["mde"] for key, row in found.items() if key[2] == name and row["mde"] is not None]
        if effects:
            least.append(f"{TITLES[name]} {number(max(effects), 1)}")
    notes = (
        "Smallest true difference that these clips show with probability .8 (the largest of the rows): "
        f"{', '.join(least) or 'n/a'}.",
    )
    head = (*(("run",) if len(runs) > 1 else ()), "system", "n", *(TITLES[name] for name in names))
    return Table(f"against-{base}", f"Less {BASES[base]}", head, tuple(rows), 2 if len(runs) > 1 else 1, notes)


# ── The paper ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _claims(runs: Sequence[ScoredRun]) -> Section:
    """What is known of the paper's figures, and the same figures here."""
    known = paper()
    claims = Table(
        "paper",
        "What is known of the paper's figures",
        ("figure", "the paper", "read in"),
        known.claims,
        3,
        (known.name, known.setting, known.sources),
    )
    absent = () if known.rows else (ABSENT,)
    head = (
        "run",
        "system",
        "BLEU-1 over edge-only",
        "METEOR over edge-only",
        "time, edge-only over it",
        "OTPS over edge-only",
        "ρ",
    )
    rows = [
        (run.name, system, *_claim_cells(run, system))
        for run in runs
        if "edge" in run.systems
        for system in run.systems
        if system not in ("edge", "cloud")
    ]
    if not rows:
        return Section("The paper's figures", absent, (claims,))
    note = (
        "Other models, other clips, other machines: these are the same quotients, not the same experiment. Time and "
        "OTPS: quotients of medians."
    )
    here = Table("claims", "The same quotients here", head, tuple(rows), 2, (note,))
    return Section("The paper's figures", absent, (claims, here))


def _claim_cells(run: ScoredRun, system: str) -> tuple[str, ...]:
    def metric(name: str, names: Sequence[str]) -> float | None:
        entries = run.metrics["systems"][name]["metrics"]
        return next((entries[key]["value"] for key in names if key in entries), None)

    def clock(name: str, key: str) -> float | None:
        entry = run.timings["systems"].get(name, {}).get("clocks", {}).get(key)
        return entry["p50"] if entry else None

    def gain(names: Sequence[str]) -> str:
        own, edge = metric(system, names), metric("edge", names)
        if own is None or not edge:
            return "n/a"
        return f"{100 * (own / edge - 1):+.1f} %".replace("-", "−")

    def quotient(above: float | None, below: float | None) -> str:
        return "n/a" if above is None or not below else f"{above / below:.2f} ×"

    rho = run.metrics["systems"][system]["ratios"]["transmission_rate"]["value"]
    return (
        gain(("paper_bleu1",)),
        gain(("meteor", "meteor_exact_zh")),
        quotient(clock("edge", "total_s"), clock(system, "total_s")),
        quotient(clock(system, "otps"), clock("edge", "otps")),
        "n/a" if rho is None else f"{100 * rho:.1f} %",
    )


# ── What a reader needs besides ───────────────────────────────────────────────────────────────────────────────────────


def _failures(runs: Sequence[ScoredRun]) -> Section | None:
    """Every clip that failed; a clip that is not there yet is told too."""
    lines = [
        (" ".join((*_labels(runs, run, system), failed["id"])), failed["error"])
        for run in runs
        for system, entry in run.metrics["systems"].items()
        for failed in entry["failed"]
    ]
    texts = [
        f"{' '.join(_labels(runs, run, system))}: {entry['absent']} clips have not been captioned; resume the run."
        for run in runs
        for system, entry in run.metrics["systems"].items()
        if entry["absent"]
    ]
    if not lines and not texts:
        return None
    return Section("Clips without a caption", tuple(texts), lines=tuple(lines))


def _definitions(runs: Sequence[ScoredRun]) -> Section:
    """Every column, and what another needs to get the same number."""
    columns = [*QUALITY, *EMOTION, *TIME, *RESOURCES, *N_GRAMS, *_own_columns(runs)]
    shown = [
        (column.title, column.definition)
        for column in columns
        if not column.figures or any(column.figure(run) for run in runs)
    ]
    signatures: dict[str, dict[str, None]] = {}
    for run in runs:
        for entry in run.metrics["systems"].values():
            for name, figures in entry["metrics"].items():
                signatures.setdefault(name, {})[figures["signature"]] = None
    ordered = [name for name in METRICS.builtin if name in signatures]
    ordered += [name for name in signatures if name not in METRICS.builtin]
    said = [(f"signature of {name}", " — ".join(signatures[name])) for name in ordered]
    return Section("Definitions", lines=(("n", "Clips that a system captioned."), OUTSIDE, *shown, *said))
