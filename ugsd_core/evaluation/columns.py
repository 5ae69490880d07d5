"""The columns of a report: what each is called, what it means, and how its cell is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ugsd_core.evaluation.scored import ScoredRun
from ugsd_core.evaluation.timings import RESOURCE_DEFINITIONS
from ugsd_core.figures import CLOCK_DEFINITIONS, RATIO_DEFINITIONS
from ugsd_core.metrics import METRICS

__all__ = ["EMOTION", "N_GRAMS", "QUALITY", "RESOURCES", "TIME", "Column", "closure", "number", "own_column", "spread"]

Cell = Callable[[ScoredRun, str], str]
#: Where there is no figure: it is undefined, or nothing was measured. Never 0.
NONE = "n/a"

CLOSURE = (
    "(x − edge-only) / (cloud-only − edge-only): the share of the gap that a system closes. † the gap's own interval "
    "holds 0, so that the share is one of nothing much. ‡ cloud-only is below edge-only: to close this "
    "gap is a loss. n/a where the gap is below 0.5 % of the larger end."
)
TRIPS = "Blocks sent to the verifier in a caption: round trips; mean over captions."
BYTES_UP = "Bytes that left the device in a caption, frames with padding, in kB (1,000 bytes); mean over captions."
BYTES_KEPT = "The speech as 16-bit PCM, which stayed on the device, in kB; mean over captions."


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        key: Its name in the paper's rows (`ugsd_core.evaluation.paper`) and in notes.
        figures: Names of the metrics it may show, the first that a run has; empty for other figures.
    """

    key: str
    title: str
    definition: str
    cell: Cell
    figures: tuple[str, ...] = ()

    def figure(self, run: ScoredRun) -> str | None:
        """The metric it shows of a run."""
        have = {name for entry in run.metrics["systems"].values() for name in entry["metrics"]}
        return next((name for name in self.figures if name in have), None)


def number(value: Any, digits: int = 1) -> str:
    """A figure as text, with a true minus sign, and none before a zero."""
    return NONE if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def spread(entry: dict[str, Any] | None, digits: int = 1, scale: float = 1.0) -> str:
    """``61.2 (55.0–67.1)``: a value and its 95 % interval."""
    if entry is None or entry["value"] is None:
        return NONE
    value = number(entry["value"] * scale, digits)
    if entry["low"] is None:
        return value
    low, high = number(entry["low"] * scale, digits), number(entry["high"] * scale, digits)
    return f"{value} ({low}{' to ' if '−' in low else '–'}{high})"


#: Digits behind the point, by unit.
DIGITS = {"0–100": 1, "0–10": 2, "0–1": 3, "ratio": 3, "tokens": 1}


def closure(entry: dict[str, Any] | None) -> str:
    """A gap closure with its marks, as `CLOSURE` explains them."""
    text = spread(entry, 2)
    if entry is None or entry["value"] is None:
        return text
    marks = ("" if entry["firm"] else "†") + ("‡" if entry["gap"] < 0 else "")
    return f"{text} {marks}".rstrip()


def _metric(key: str, title: str, *names: str) -> Column:
    def cell(run: ScoredRun, system: str) -> str:
        entries = run.metrics["systems"][system]["metrics"]
        name = next((name for name in names if name in entries), None)
        return NONE if name is None else spread(entries[name], DIGITS[METRICS[name].unit])

    told = [f"{METRICS[name].definition} {METRICS[name].unit}." for name in names]
    named = [f"{text} ({name})" for text, name in zip(told, names, strict=True)]
    return Column(key, title, " Or: ".join(named), cell, names)


def own_column(name: str, unit: str) -> Column:
    """The column of a plug-in's metric."""

    def cell(run: ScoredRun, system: str) -> str:
        return spread(run.metrics["systems"][system]["metrics"].get(name), DIGITS.get(unit, 2))

    told = METRICS[name].definition if name in METRICS else "Of a plug-in that is not installed here."
    return Column(name, name, f"{told} {unit}. ({name})", cell, (name,))


def _ratio(name: str, title: str, *, pooled: bool = False) -> Column:
    def cell(run: ScoredRun, system: str) -> str:
        entry = run.metrics["systems"][system]["ratios"].get(name)
        if entry is None:
            return NONE
        return number(entry["pooled"], 3) if pooled else spread(entry, 3)

    kind = "Sums over all captions divided." if pooled else "Mean over captions that have one."
    return Column(f"{name}{'_pooled' if pooled else ''}", title, f"{RATIO_DEFINITIONS[name]} {kind}", cell)


def _clock(key: str, name: str, title: str, digits: int) -> Column:
    def cell(run: ScoredRun, system: str) -> str:
        entry = run.timings["systems"].get(system, {}).get("clocks", {}).get(name)
        if not entry or entry["p50"] is None:
            return NONE
        return f"{number(entry['p50'], digits)} ({number(entry['p95'], digits)})"

    return Column(key, title, f"{CLOCK_DEFINITIONS[name]} Median over captions (95th percentile).", cell)


def _resource(key: str, name: str, title: str) -> Column:
    def cell(run: ScoredRun, system: str) -> str:
        return number(run.timings["systems"].get(system, {}).get("resources", {}).get(name), 0)

    return Column(key, title, RESOURCE_DEFINITIONS[name], cell)


def _closure_column(title: str, *names: str) -> Column:
    """Of the first of some metrics that has a value on the run's clips."""

    def cell(run: ScoredRun, system: str) -> str:
        entries = run.metrics["systems"][system]["gap_closure"]
        return closure(next((entries[name] for name in names if name in entries and entries[name]["n"]), None))

    which = " Of 'emotion right', or of 'emotion F1' for a corpus without labels."
    return Column("gap_closure", title, CLOSURE + which, cell)


def _kilobytes(name: str, title: str, definition: str) -> Column:
    def cell(run: ScoredRun, system: str) -> str:
        entry = run.metrics["systems"][system]["bytes"].get(name)
        return NONE if entry is None else number(entry["mean"] / 1000, 2)

    return Column(f"bytes_{name}", title, definition, cell)


def _trips(run: ScoredRun, system: str) -> str:
    return spread(run.metrics["systems"][system]["escalations_a_clip"], 2)


#: The columns of the paper's tables, by its conventions where they are known.
QUALITY = (
    _metric("bleu1", "BLEU-1", "paper_bleu1"),
    _metric("bleu4", "BLEU-4", "paper_bleu4"),
    _metric("meteor", "METEOR", "meteor", "meteor_exact_zh"),
    _metric("rougeL", "ROUGE-L", "rougeL"),
)
TIME = (
    _clock("ttft", "ttft_commit_s", "TTFT, s", 3),
    _clock("itps", "itps", "ITPS, tokens/s", 0),
    _clock("oet", "oet_s", "OET, s", 3),
    _clock("otps", "otps", "OTPS, tokens/s", 1),
    _clock("total", "total_s", "total, s", 3),
)
RESOURCES = (
    _resource("cpu", "edge_cpu_percent", "CPU edge, %"),
    _resource("cpu_verifier", "verifier_cpu_percent", "CPU verifier, %"),
    _resource("ram", "edge_rss_mb", "RAM edge, MB"),
    _resource("ram_verifier", "verifier_rss_mb", "RAM verifier, MB"),
    _resource("gpu", "gpu_mb", "GPU, MB"),
)
#: Ours: whether the emotion is right, and what that cost.
EMOTION = (
    _metric("emotion_consistency", "emotion right", "emotion_consistency"),
    _closure_column("gap closed", "emotion_consistency", "emotion_f1"),
    _metric("emotion_f1", "emotion F1", "emotion_f1"),
    _ratio("transmission_rate", "ρ"),
    _ratio("transmission_rate", "ρ pooled", pooled=True),
    Column("escalations_a_clip", "round trips", TRIPS, _trips),
    _ratio("useful_escalation_rate", "useful"),
    _ratio("meaning_changed_rate", "meaning changed"),
    _ratio("exposure_rate", "exposure"),
    _kilobytes("wire_up", "sent, kB", BYTES_UP),
    _kilobytes("waveform", "kept, kB", BYTES_KEPT),
)
N_GRAMS = (
    _metric("bleu1_bp", "BLEU-1 with BP", "bleu1"),
    _metric("bleu4_bp", "BLEU-4 with BP", "bleu4"),
    _metric("bp", "BP", "bleu_bp"),
    _metric("length_ratio", "length ratio", "length_ratio"),
    _metric("cider_d", "CIDEr-D", "cider_d"),
    _metric("emotion_coverage", "emotion coverage", "emotion_coverage"),
    _metric("length", "words", "length"),
)
