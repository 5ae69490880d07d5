"""``ugsd score``: captions against references, by every metric, with no model loaded."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ugsd_core.cli.output import progress
from ugsd_core.errors import OptionError, PluginError

if TYPE_CHECKING:
    from ugsd_core.metrics.score import CaptionPair, MetricScore

__all__ = ["run"]

MOST_DRAWS = 100_000


def run(args: argparse.Namespace) -> int:
    """Read, score, resample, print.

    Raises:
        UgsdError: With one sentence for a person.
    """
    out = _check(args)
    with progress("reading the pairs"):
        from ugsd_core.metrics.pair_file import language_warning, read_pairs, shared_clips
        from ugsd_core.metrics.sheet import ScoreSheet, comparison, sheet_weights

        names = _names(args)
        path = Path(args.pairs).expanduser()
        ours = read_pairs(path, args.system)
        theirs = None
        if args.against or args.against_system:
            other = Path(args.against).expanduser() if args.against else path
            theirs = read_pairs(other, args.against_system)
    for file in (ours, theirs):
        if file is not None:
            _warn(*file.warnings, language_warning(file.pairs, args.language))
    scores = _scores(ours.pairs, args.language, names, "")
    with progress("resampling"):
        weights = sheet_weights(ours.speakers, args.draws, args.seed)
        sheet = ScoreSheet(args.language, ours.pairs, scores, weights, args.seed, any(ours.speakers))
        whole = sheet.to_dict(clips=out is not None or (args.json and args.per_clip))
    if theirs is not None:
        one, other_one = shared_clips(ours, theirs)
        _warn(*one.warnings)
        same = len(one.pairs) == len(ours.pairs)
        ours_shared = scores if same else _scores(one.pairs, args.language, names, "shared clips: ")
        theirs_shared = _scores(other_one.pairs, args.language, names, "the other system: ")
        with progress("comparing"):
            shared = weights if same else sheet_weights(one.speakers, args.draws, args.seed)
            whole["against"] = {
                "pairs": args.against or args.pairs,
                "system": args.against_system,
                "n": len(one.pairs),
                "metrics": comparison(
                    {name: score for name, score in ours_shared.items() if name in theirs_shared}, theirs_shared, shared
                ),
            }
    _write(whole, out, args)
    return 0


def _check(args: argparse.Namespace) -> Path | None:
    """Find what can't be now, not after the scoring.

    Raises:
        OptionError: With what to type instead.
    """
    if not 20 <= args.draws <= MOST_DRAWS:
        raise OptionError(f"an interval needs 20 to {MOST_DRAWS} draws, not {args.draws}")
    if args.seed < 0:
        raise OptionError(f"the seed is 0 or more, not {args.seed}")
    if args.against and args.against_system is None and args.system and Path(args.against) == Path(args.pairs):
        raise OptionError("both are the same captions; name the other system with --against-system")
    out = Path(args.out).expanduser() if args.out else None
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise OptionError(f"--out {out} can't be written; name a file in a folder that exists")
    return out


def _names(args: argparse.Namespace) -> tuple[str, ...]:
    """The metrics that were asked for.

    Raises:
        OptionError: For a name that there is not, or that needs something installed.
    """
    from ugsd_core.metrics.registry import METRICS, metric_names

    every = metric_names(args.language)
    typed = [name for name in args.metrics.replace(" ", "").split(",") if name]
    names = tuple(dict.fromkeys(n for word in typed for n in (every if word == "all" else (word,))))
    if not names:
        raise OptionError(f"--metrics names none; choose of all, {', '.join(every)}")
    for name in names:
        if name not in METRICS.names() or args.language not in METRICS.find(name).languages:
            known = [metric.name for metric in METRICS.values() if args.language in metric.languages]
            raise OptionError(f"there is no metric {name!r} for {args.language}; choose of all, {', '.join(known)}")
        if missing := METRICS[name].missing:
            raise OptionError(missing)
    return names


def _scores(pairs: Sequence[CaptionPair], language: str, names: Sequence[str], of: str) -> dict[str, MetricScore]:
    """Score by each metric in turn, and say on stderr where that stands if it takes longer than a second."""
    from ugsd_core.metrics.registry import score_pairs

    found: dict[str, MetricScore] = {}
    began = monotonic()
    for number, name in enumerate(names, 1):
        with progress(f"{of}{name}, {number} of {len(names)} metrics, {monotonic() - began:.0f} s so far"):
            try:
                found |= score_pairs(pairs, language, [name])
            except PluginError as error:
                if len(names) == 1:
                    raise
                _warn(f"not scored: {error}")
    return found


def _warn(*sentences: str | None) -> None:
    for sentence in sentences:
        if sentence:
            print(f"warning: {sentence}", file=sys.stderr)


# ── Output ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _write(whole: dict[str, Any], out: Path | None, args: argparse.Namespace) -> None:
    if out is not None:
        text = json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1)
        try:
            out.write_text(text + "\n", encoding="utf-8", newline="\n")
        except OSError as error:
            raise OptionError(f"--out {out} can't be written: {error.strerror}") from error
    if args.json:
        shown = whole if args.per_clip else {key: value for key, value in whole.items() if key != "clips"}
        print(json.dumps(shown, ensure_ascii=False, allow_nan=False, indent=2))
        return
    print("\n".join(_table(whole)))
    if out is not None:
        print(f"\nwritten, with the values of every clip: {out}")


def _table(whole: dict[str, Any]) -> list[str]:
    """What a person reads."""
    from ugsd_core.metrics.registry import unavailable

    metrics = whole["metrics"]
    spoken = "English" if whole["language"] == "en" else "Chinese"
    lines = [
        f"{whole['n']:,} {spoken} {'caption' if whole['n'] == 1 else 'captions'}; 95 % intervals from "
        f"{whole['draws']:,} draws of {whole['resampled']}, seed {whole['seed']}",
        "",
        *_columns(
            ("metric", "value", "95 %", "n", "unit"),
            [
                (name, row["reason"] or _number(row["value"]), _span(row), f"{row['n']:,}", row["unit"])
                for name, row in metrics.items()
            ],
        ),
    ]
    if "against" in whole:
        lines += ["", *_against(whole["against"])]
    lines += ["", "what they are (recipes: docs/metrics.md)"]
    lines += [f"  {name}: {row['definition']}" for name, row in metrics.items()]
    lines += ["", "signatures"]
    lines += [f"  {name}: {row['signature']}" for name, row in metrics.items()]
    lines += [f"\nnot scored: {why}" for name, why in unavailable(whole["language"]).items() if name not in metrics]
    return lines


def _against(found: dict[str, Any]) -> list[str]:
    name = found["system"] or found["pairs"]
    rows = [
        (
            metric,
            _number(row["value"]),
            _number(row["against"]),
            _number(row["difference"], sign=True),
            _span(row, sign=True),
            "–" if row["p"] is None else f"{row['p']:.4f}",
            _number(row["mde"]),
            f"{row['n']:,}",
        )
        for metric, row in found["metrics"].items()
    ]
    return [
        f"against {name}, on the {found['n']:,} clips that both have",
        "",
        *_columns(("metric", "value", "against", "difference", "95 %", "p", "mde", "n"), rows),
        "",
        "  difference: value less against; p: two-sided paired bootstrap over the same clips;",
        "  mde: the smallest true difference that this many clips show with probability .8 at p < .05",
    ]


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under a head; the first column to the left, the others to the right."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return [
        "  ".join(
            cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    ]


def _number(value: float | None, *, sign: bool = False) -> str:
    return "–" if value is None else f"{value:+.2f}" if sign else f"{value:.2f}"


def _span(row: Mapping[str, Any], *, sign: bool = False) -> str:
    if row["low"] is None:
        return "–"
    return f"{_number(row['low'], sign=sign)} to {_number(row['high'], sign=sign)}"
