"""The evaluation as Markdown tables; every number comes from `tools.evaluation.scores`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tools.evaluation.scores import closure_at
from ugsd_core.calibration.report import number, table, with_interval

__all__ = ["edge_section", "seeds_section"]

#: Families whose settings belong into the main table; the others are curves.
MAIN = ("ends", "presets", "emotion words", "oracles", "every emotion position", "calibrated, the card's threshold")


def _percent(entry: dict[str, Any] | None) -> str:
    if entry is None or entry["value"] is None:
        return "n/a"
    if entry["low"] is None:
        return f"{100 * entry['value']:.1f}"
    return f"{100 * entry['value']:.1f} ({100 * entry['low']:.0f}–{100 * entry['high']:.0f})"


def _short(entry: dict[str, Any] | None, digits: int = 2) -> str:
    return "n/a" if entry is None else number(entry["value"], digits)


def _is_main(family: str) -> bool:
    return any(family == name or (family.startswith(f"{name},") and name != "ends") for name in MAIN)


def edge_section(figures: dict[str, Any]) -> str:
    """One edge in one language.

    Args:
        figures: ``edge``, ``language``, ``settings`` (name to `Sheet.figures`), ``promises``, ``references``, ``human``
            and ``signals``.
    """
    parts = [f"## {figures['edge']}, captions in {figures['language']!r}\n"]
    if figures["settings"]:
        parts += [_main(figures), _costs(figures), _curves(figures), _random(figures)]
    parts += [_signals(figures), _promises(figures), _variety(figures), _references(figures), _human(figures)]
    return "\n".join(part for part in parts if part)


def _main(figures: dict[str, Any]) -> str:
    rows = {name: row for name, row in figures["settings"].items() if _is_main(row["family"])}
    corpora = list(next(iter(figures["settings"].values()))["corpora"])
    head = [
        "setting",
        *corpora,
        "mean, % (95 %)",
        "UAR, %",
        "over edge",
        "over cloud",
        "closure (95 %)",
        "cues right, %",
    ]
    body = [
        [
            name,
            *(number(_times100(row["corpora"][c]["accuracy"]), 1) for c in corpora),
            _percent(row["accuracy"]),
            number(_times100(row["recall"]), 1),
            _percent(row["over_edge"]),
            _percent(row["over_cloud"]),
            with_interval(row["closure"], 2),
            _percent(row["cues"]),
        ]
        for name, row in rows.items()
    ]
    counts = next(iter(figures["settings"].values()))["corpora"]
    sizes = ", ".join(f"{name} {entry['n']}" for name, entry in counts.items())
    return f"### Emotion named right\n\nn: {sizes}.\n\n{table(head, body)}"


def _times100(value: float | None) -> float | None:
    return None if value is None else 100.0 * value


def _costs(figures: dict[str, Any]) -> str:
    rows = {
        name: row for name, row in figures["settings"].items() if _is_main(row["family"]) and row["family"] != "ends"
    }
    head = [
        "setting",
        "ρ pooled",
        "ρ of captions",
        "round trips a caption",
        "blocks sent",
        "ids changed",
        "… mean of captions",
        "meaning changed",
        "… mean of captions",
        "exposure",
        "changed",
    ]
    keys = (
        "rho",
        "rho_of_captions",
        "trips",
        "escalation_rate",
        "useful",
        "useful_of_captions",
        "meaning",
        "meaning_of_captions",
        "exposure",
        "changed",
    )
    body = [[name, *(_short(row[key], 3) for key in keys)] for name, row in rows.items()]
    return (
        "### What it costs\n\nPooled over the blocks or tokens of a corpus, then the mean over corpora; *mean of "
        f"captions* leaves out captions that asked nothing.\n\n{table(head, body)}"
    )


def _families(figures: dict[str, Any]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    families: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, row in figures["settings"].items():
        if not _is_main(row["family"]) and row["family"] != "ends":
            families.setdefault(row["family"], []).append((name, row))
    return {
        family: sorted(rows, key=lambda entry: entry[1]["rho"]["value"] or 0.0) for family, rows in families.items()
    }


def _curves(figures: dict[str, Any]) -> str:
    head = [
        "setting",
        "ρ",
        "round trips",
        "mean, %",
        "closure (95 %)",
        "ids changed",
        "meaning changed",
        "cues right, %",
    ]
    parts = ["### Curves\n"]
    for family, rows in _families(figures).items():
        body = [
            [
                name,
                _short(row["rho"], 3),
                _short(row["trips"]),
                _percent(row["accuracy"]),
                with_interval(row["closure"], 2),
                _short(row["useful"]),
                _short(row["meaning"]),
                _percent(row["cues"]),
            ]
            for name, row in rows
        ]
        parts.append(f"**{family}**\n\n{table(head, body)}")
    return "\n".join(parts)


def _points(rows: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[float, float]]:
    return [
        (row["rho"]["value"], row["closure"]["value"])
        for _, row in rows
        if row["rho"]["value"] is not None and row["closure"]["value"] is not None
    ]


def _random(figures: dict[str, Any]) -> str:
    """How much more of the gap a gate closes than a random one at the same ρ."""
    families = _families(figures)
    body = []
    for name, row in figures["settings"].items():
        suffix = ", fused" if name.endswith(", fused") else ""
        emotion = families.get(f"random emotion position{suffix}", [])
        every = [(n, r) for n, r in figures["settings"].items() if r["family"] == f"every emotion position{suffix}"]
        rho, closure = row["rho"]["value"], row["closure"]["value"]
        gate = row["family"].removesuffix(suffix)
        if not emotion or rho is None or closure is None or gate.startswith(("random", "every", "oracle", "ends")):
            continue
        chance, block = (
            closure_at(_points([*emotion, *every]), rho),
            closure_at(_points(families.get("random block, k = 4", [])), rho),
        )
        if chance is not None:
            body.append(
                [
                    name,
                    number(rho),
                    number(closure, 2),
                    number(chance, 2),
                    number(closure - chance, 2),
                    number(block, 2),
                ]
            )
    if not body:
        return ""
    head = ["setting", "ρ", "closure", "random emotion position at this ρ", "difference", "random block at this ρ"]
    title = "### Over a random gate at equal ρ\n\nInterpolated between the random gates' own points.\n\n"
    return title + table(head, body)


def _signals(figures: dict[str, Any]) -> str:
    found = figures.get("signals")
    if not found:
        return ""
    body = [
        [name, str(row["n"]), with_interval(row["meaning_by_rank"]), with_interval(row["meaning"])]
        for name, row in found["rows"].items()
    ]
    head = ["signal", "n", "other label, rank 1: AUROC (95 %)", "other label, the card's rule: AUROC (95 %)"]
    ece = found.get("ece")
    tail = "" if ece is None else f"\nECE of the card's score: {number(ece)}.\n"
    return f"### Signals at emotion positions of the edge's own captions\n\n{table(head, body)}{tail}"


def _promises(figures: dict[str, Any]) -> str:
    if not figures.get("promises"):
        return ""
    speakers = list(figures["promises"][0]["speakers"])
    body = []
    for row in figures["promises"]:
        cells = []
        for speaker in speakers:
            found = row["speakers"].get(speaker)
            broken = found is not None and found["low"] > row["alpha"]
            cells.append("n/a" if found is None else f"{found['risk']:.3f}" + (" **broken**" if broken else ""))
        body.append([row["name"], number(row["alpha"], 2), *cells])
    return (
        "### Promises\n\nShare of captions whose emotion differs from what asking at every emotion position would have "
        "made of it; *broken* where the 95 % interval (Wilson) lies above α.\n\n"
        + table(["setting", "α", *speakers], body)
    )


def _variety(figures: dict[str, Any]) -> str:
    rows = {name: row for name, row in figures.get("variety", {}).items() if row["n"]}
    if not rows:
        return ""
    body = [
        [name, str(row["n"]), str(row["distinct"]), "n/a" if row["same"] is None else f"{100 * row['same']:.2f}"]
        for name, row in rows.items()
    ]
    head = ["setting", "captions", "distinct", "two speakers of one emotion, same sentence, % of pairs"]
    return f"### Variety\n\n{table(head, body)}"


def _scores(rows: Sequence[tuple[str, str, dict[str, Any]]]) -> str:
    keys = ("bleu1", "bleu4", "paper_bleu1", "paper_bleu4", "rougeL", "length", "reference_length")
    head = ["setting", "corpus", "n", "BLEU-1", "BLEU-4", "sacreBLEU p1", "sacreBLEU", "ROUGE-L", "length", "reference"]
    body = [[name, corpus, str(row["n"]), *(number(row[key], 1) for key in keys)] for name, corpus, row in rows]
    signature = next((row["signature"] for *_, row in rows), "")
    return table(head, body) + f"\nsacreBLEU: `{signature}`. Recipes: docs/metrics.md.\n"


def _references(figures: dict[str, Any]) -> str:
    rows = [
        (name, corpus, scores)
        for name, by_corpus in figures.get("references", {}).items()
        for corpus, scores in by_corpus.items()
    ]
    if not rows:
        return ""
    return f"### n-grams against the grammar's captions (reported, never tuned on)\n\n{_scores(rows)}"


def _human(figures: dict[str, Any]) -> str:
    rows = figures.get("human")
    if not rows:
        return ""
    head = ["setting", "ROUGE-L (95 %)", "emotion is one the human names, % (n)", "distinct"]
    body = [
        [
            name,
            with_interval(row["rougeL_interval"], 1),
            f"{_percent(row['emotion'])} ({row['with_emotion']})",
            f"{row['distinct']} of {row['n']}",
        ]
        for name, row in rows.items()
    ]
    scores = _scores([(name, "human", row) for name, row in rows.items()])
    return f"### Against human captions\n\n{table(head, body)}\n{scores}"


def seeds_section(edges: Sequence[dict[str, Any]]) -> str:
    """Mean and range over edges of several seeds, in one language."""
    names = [name for name in edges[0]["settings"] if all(name in edge["settings"] for edge in edges)]
    keys = ("accuracy", "closure", "rho", "trips", "useful", "meaning", "cues")
    body = []
    for name in names:
        if not _is_main(edges[0]["settings"][name]["family"]):
            continue
        cells = []
        for key in keys:
            values = [v for edge in edges if (v := edge["settings"][name][key]["value"]) is not None]
            mean = sum(values) / len(values) if values else None
            cells.append("n/a" if mean is None else f"{mean:.3f} ({min(values):.3f}–{max(values):.3f})")
        body.append([name, *cells])
    head = ["setting", "emotion right", "closure", "ρ", "round trips", "ids changed", "meaning changed", "cues right"]
    title = f"## {len(edges)} edges, captions in {edges[0]['language']!r}: mean (lowest–highest)\n\n"
    return title + table(head, body)
