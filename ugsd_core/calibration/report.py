"""The figures of a calibration as Markdown tables and as pictures. Everything here is made from plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ugsd_core.pictures import Line, line_chart

__all__ = ["curve_pictures", "markdown", "number", "table", "with_interval"]

#: Gates that are drawn; all of them are in the tables.
DRAWN = (
    "calibrated",
    "entropy",
    "margin",
    "label_entropy",
    "head_doubt",
    "text_doubt",
    "fused_doubt",
    "random emotion",
)

SIGNAL_WORDS = {
    "entropy": "token entropy",
    "margin": "1 − margin",
    "nll": "negative log-likelihood",
    "label_entropy": "semantic entropy",
    "head_doubt": "1 − p(label), emotion head",
    "text_doubt": "1 − p(label), draft",
    "fused_doubt": "1 − p(label), head and draft",
    "label_mass_missing": "probability of no emotion word",
    "mc_dropout": "MC-dropout",
    "instability": "instability of the block",
}


def number(value: Any, digits: int = 3) -> str:
    """A figure for a table cell; ``n/a`` for None, never 0."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def with_interval(entry: dict[str, Any] | None, digits: int = 3) -> str:
    """``.78 (.70 to .85)``."""
    if entry is None or entry["value"] is None:
        return "n/a"
    if entry["low"] is None:
        return number(entry["value"], digits)
    return f"{entry['value']:.{digits}f} ({entry['low']:.{digits}f} to {entry['high']:.{digits}f})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def markdown(languages: Sequence[dict[str, Any]], about: dict[str, Any]) -> str:
    """The whole report.

    Args:
        languages: `Calibration.figures` of each language.
        about: ``edge``, ``verifier``, ``split``, ``data``; sentences under ``skipped``.
    """
    parts = [
        f"# Calibration of `{about['edge']}` with `{about['verifier']}`\n",
        f"Split `{about['split']}` of `{about['data']}`. Definitions: `docs/calibration.md`. Intervals: 95 %, speakers "
        "and then clips within speakers resampled; with two speakers a corpus they are a lower bound.\n",
    ]
    if about.get("skipped"):
        parts.append(f"{len(about['skipped'])} clips could not be read: {'; '.join(about['skipped'][:3])}\n")
    sections: list[Callable[[dict[str, Any]], str]] = [
        _ends,
        _fusion,
        _signals,
        _blocks,
        _candidates,
        _curves,
        _budgets,
        _promises,
    ]
    for figures in languages:
        parts.append(f"## Captions in {figures['language']!r}\n")
        parts += [section(figures) for section in sections]
    return "\n".join(parts)


def _ends(figures: dict[str, Any]) -> str:
    clips, ends = figures["clips"], figures["ends"]
    head = ["emotion named right", *clips, "mean (95 %)", "unweighted recall"]
    rows = [
        [
            f"{name}-only",
            *(number(v) for v in row["corpora"].values()),
            with_interval(row["macro"]),
            number(row["recall"]),
        ]
        for name, row in (("edge", ends["edge"]), ("cloud", ends["cloud"]))
    ]
    counts = ["clips", *(str(entry["clips"]) for entry in clips.values()), "", ""]
    gap = with_interval(ends["gap"])
    speakers = "; ".join(f"{name}: {', '.join(entry['speakers'])}" for name, entry in clips.items())
    return f"{table(head, [*rows, counts])}\nGap: {gap}. Speakers: {speakers}.\n"


def _fusion(figures: dict[str, Any]) -> str:
    rows = [
        [
            ("**" + row["name"] + "**") if row["chosen"] else row["name"],
            number(row["within"]),
            with_interval(row["within_gain"]),
            number(row["accuracy"]),
            with_interval(row["gain"]),
        ]
        for row in figures["fusion"]
    ]
    gain = "over the verifier alone"
    head = ["product", "right within the budget", gain, "right with everything asked", gain]
    return "### Who names the emotion\n\n" + table(head, rows)


def _signals(figures: dict[str, Any]) -> str:
    positions = figures["positions"]
    rows = [
        [
            SIGNAL_WORDS.get(name, name),
            str(row["n"]),
            number(row["ids"]),
            number(row["meaning_by_rank"]),
            with_interval(row["meaning"]),
        ]
        for name, row in figures["signals"].items()
    ]
    return (
        f"### Signals at the {positions['n']} emotion positions (AUROC)\n\n"
        f"The verifier would put another token at {positions['ids_change']:.0%} of them; the chosen rule changes the "
        f"meaning at {positions['meaning_changes']:.0%}.\n\n"
        + table(["signal", "n", "other token", "other label, rank 1", "other label, chosen rule (95 %)"], rows)
    )


def _blocks(figures: dict[str, Any]) -> str:
    rows = [
        [
            str(k),
            SIGNAL_WORDS.get(name, name),
            *(number(row[q]) for q in ("changed", "meaning", "meaning_in_emotion_blocks")),
        ]
        for k, by_signal in figures["blocks"].items()
        for name, row in by_signal.items()
    ]
    return "### All blocks of k tokens (AUROC)\n\n" + table(
        ["k", "signal", "the block changes", "its meaning changes", "… among blocks with an emotion position"], rows
    )


def _candidates(figures: dict[str, Any]) -> str:
    rows = [
        [f"**{name}**" if row["chosen"] else name, number(row["auroc"]), number(row["ece"])]
        for row in figures["candidates"]
        for name in [" + ".join(SIGNAL_WORDS.get(n, n) for n in row["names"])]
    ]
    ece = figures["ece"]
    return (
        "### Scores, each speaker scored by a fit on the others\n\n"
        + table(["signals", "AUROC", "ECE"], rows)
        + f"\nThe chosen score, out of fold: AUROC {with_interval(figures['auroc_out_of_fold'])}, ECE "
        f"{number(ece['out_of_fold'])}; as written into the card: ECE {number(ece['of_the_card'])}.\n"
    )


def _curves(figures: dict[str, Any]) -> str:
    budgets = list(figures["curves"][0]["at"])
    head = ["gate", *(f"ρ ≤ {budget}" for budget in budgets), "everything it would send"]

    def cell(point: dict[str, Any] | None) -> str:
        if point is None:
            return "n/a"
        return f"{number(point['closure'], 2)} · {number(point['trips'], 2)} · {number(point['useful'], 2)}"

    rows = [
        [
            SIGNAL_WORDS.get(row["gate"], row["gate"]),
            *(cell(row["at"][budget]) for budget in budgets),
            cell(row["points"][-1]),
        ]
        for row in figures["curves"]
    ]
    return (
        "### Gates: gap closed · round trips a caption · share of them that changes the label\n\n"
        f"{table(head, rows)}\n"
        f"![Gap closed against tokens sent](closure-rho-{figures['language']}.svg)\n\n"
        f"![Gap closed against round trips](closure-trips-{figures['language']}.svg)\n"
    )


def _budgets(figures: dict[str, Any]) -> str:
    speakers = list(figures["budgets"][0]["left_out"])
    rows = [
        [number(row["budget"]), number(row["threshold"], 4), *(number(row["left_out"].get(name)) for name in speakers)]
        for row in figures["budgets"]
    ]
    return "### Budgets: ρ of each speaker when the threshold was chosen on the others\n\n" + table(
        ["budget ρ", "threshold", *speakers], rows
    )


def _promises(figures: dict[str, Any]) -> str:
    rows = []
    for row in figures["promises"]:
        fails = [
            f"{found['speaker']} ({found['risk']:.2f} of {found['n']})" for found in row["left_out"] if found["fails"]
        ]
        worst = max((found["risk"] for found in row["left_out"]), default=None)
        held = sum(found["risk"] <= row["alpha"] for found in row["left_out"])
        checked = f"{held} of {len(row['left_out'])}" if row["left_out"] else "n/a"
        rows.append(
            [number(row["alpha"], 2), number(row["threshold"], 4), checked, number(worst), ", ".join(fails) or "–"]
        )
    return (
        "### Promises: in at most α of the captions an emotion stays that the verifier would have changed\n\n"
        + table(["α", "threshold", "speakers left out that keep it", "highest risk", "clearly broken for"], rows)
        + "\nThe promise holds for captions that are exchangeable with the calibration captions; another speaker's are "
        "not, and where the interval of the risk lies above α it is said.\n"
    )


def curve_pictures(figures: dict[str, Any]) -> dict[str, str]:
    """SVG documents by file name."""
    drawn = [row for row in figures["curves"] if row["gate"] in DRAWN or row["gate"].startswith("oracle")]
    closures = [p["closure"] for row in drawn for p in row["points"] if p["closure"] is not None]
    if not closures:
        return {}
    low, high = min(0.0, *closures), max(1.0, *closures)
    span = (max(-1.0, low), min(3.0, high + 0.05))
    pictures = {}
    for key, label, name in (
        ("rho", "drafted tokens sent (ρ)", "closure-rho"),
        ("trips", "round trips a caption", "closure-trips"),
    ):
        lines = [
            Line(
                SIGNAL_WORDS.get(row["gate"], row["gate"]),
                tuple((p[key], p["closure"]) for p in row["points"] if p["closure"] is not None),
            )
            for row in drawn
        ]
        most = max(p[key] for row in drawn for p in row["points"]) * 1.02
        title = f"Share of the edge-to-cloud gap closed, captions in {figures['language']!r}"
        pictures[f"{name}-{figures['language']}.svg"] = line_chart(
            title, label, "gap closed", lines, x_most=most, y_span=span
        )
    return pictures
