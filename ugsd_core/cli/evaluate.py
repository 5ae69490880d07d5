"""``ugsd evaluate``: every clip of a corpus by every system, then the scores."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ugsd_core.calibration.progress import Progress
from ugsd_core.cli.output import progress
from ugsd_core.cli.parser import TOKEN_VARIABLE
from ugsd_core.corpora import Corpus, main_language, preflight, read_corpus
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.plan import EvaluationPlan, System
from ugsd_core.evaluation.systems import parse_systems

__all__ = ["run"]

_EXIT_INTERRUPTED = 130
#: Failures that are told one by one.
SHOWN_FAILURES = 12
#: What a manifest keeps of the command line: what was asked, not where it was written.
_NOTED = (
    "corpus",
    "format",
    "audio",
    "split",
    "systems",
    "system",
    "edge",
    "verifier_checkpoint",
    "device",
    "dtype",
    "edge_backend",
)


def run(args: argparse.Namespace) -> int:
    """Caption what is missing, score, print a table.

    Raises:
        UgsdError: With one sentence for a person; what was captioned is kept.
    """
    _check(args)
    plan = _plan(args)
    before = len(_sessions(plan.folder))
    try:
        failed = _caption(plan, args)
    except KeyboardInterrupt:
        print(
            f"\nugsd: stopped. What was captioned is kept in {plan.folder}; the same command goes on.", file=sys.stderr
        )
        return _EXIT_INTERRUPTED
    figures = None if args.no_score else _score(plan.folder, args.draws)
    session = next(iter(_sessions(plan.folder)[before:]), None)
    if args.json:
        summary = {"run": str(plan.folder), "failed": failed, "session": session, "metrics": figures}
        print(json.dumps(summary, ensure_ascii=False, indent=2))
        return 0
    for clip, system, error in failed[:SHOWN_FAILURES]:
        print(f"failed: {clip} by {system}: {error}", file=sys.stderr)
    if len(failed) > SHOWN_FAILURES:
        print(f"… and {len(failed) - SHOWN_FAILURES} more: see 'error' in clips.jsonl", file=sys.stderr)
    if figures is not None:
        print("\n".join(_table(figures)))
    if session is not None and session["captions"]:
        print(_speed(session))
    print(f"run: {plan.folder}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Find what can't be now, not after the models were loaded."""
    if args.verifier and args.verifier_checkpoint:
        raise OptionError("a running verifier has its checkpoint loaded; leave out --verifier-checkpoint")
    if args.limit is not None and args.limit < 1:
        raise OptionError(f"--limit takes at least 1 clip, not {args.limit}")
    if args.draws < 20:
        raise OptionError(f"an interval needs at least 20 draws, not {args.draws}")
    out = Path(args.out).expanduser()
    if out.exists() and not out.is_dir():
        raise OptionError(f"--out {out} is a file; name a folder for the run")


def _plan(args: argparse.Namespace) -> EvaluationPlan:
    """What is to be done; says on stderr what the corpus is good for."""
    from ugsd_core.evaluation.run import chosen_clips

    with progress("reading the corpus", quiet=args.json):
        corpus = read_corpus(args.corpus, args.format, audio=args.audio, confined=False)
        if args.split:
            corpus = corpus.split(args.split)
    language = args.language or main_language(corpus)
    plan = EvaluationPlan(
        corpus=corpus,
        language=language,
        systems=parse_systems(args.systems, args.system, language=language, seed=args.seed),
        folder=Path(args.out).expanduser(),
        seed=args.seed,
        limit=args.limit,
        traces=not args.no_traces,
    )
    _say(corpus, plan)
    chosen_clips(plan)
    return plan


def _say(corpus: Corpus, plan: EvaluationPlan) -> None:
    """How many clips can be used, and why others cannot."""
    found = preflight(corpus, plan.language, examples=2)
    print(f"{corpus.name}: {found.summary}", file=sys.stderr)
    for finding in found.findings:
        print(f"- {finding.message} {finding.remedy}", file=sys.stderr)
        for example in finding.examples:
            if example.message:
                print(f"    {example.message}", file=sys.stderr)


def _caption(plan: EvaluationPlan, args: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Run what is missing; returns clip, system and reason of every failure."""
    with progress("loading the models"):
        from ugsd_core.evaluation.records import CLIPS_FILE, read_lines
        from ugsd_core.evaluation.run import evaluate
        from ugsd_core.evaluation.source import PairSource

        source = PairSource(
            args.edge,
            verifier=args.verifier,
            verifier_checkpoint=args.verifier_checkpoint,
            device=args.device,
            dtype=args.dtype,
            backend=args.edge_backend,
            needs_verifier=_needs_verifier(plan.systems),
            access_token=os.environ.get(TOKEN_VARIABLE) or None,
        )
    notes = {"command": "ugsd evaluate"} | {name: getattr(args, name) for name in _NOTED}
    with source, closing(evaluate(plan, source, notes=notes)) as steps:
        first = next(steps)
        if first.done:
            print(f"{first.done} of {first.total} captions are there already.", file=sys.stderr)
        with Progress("captioning", first.total, first.done) as bar:
            for _ in steps:
                bar.step()
    names = {system.name for system in plan.systems}
    lines = read_lines(plan.folder / CLIPS_FILE)
    return [(line.id, line.system, line.error) for line in lines if line.error is not None and line.system in names]


def _sessions(folder: Path) -> list[dict[str, Any]]:
    """What earlier processes, and this one, spent on the run."""
    from ugsd_core.evaluation.records import MANIFEST_FILE

    path = folder / MANIFEST_FILE
    try:
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["sessions"]
    except (OSError, ValueError, KeyError, TypeError):  # a damaged manifest is told when the run is taken up
        return []
    return found


def _needs_verifier(systems: Sequence[System]) -> bool:
    return any(system.options.mode != "edge" for system in systems)


def _score(folder: Path, draws: int) -> dict[str, Any]:
    """Score the run; a failure here loses no caption."""
    from ugsd_core.evaluation.scoring import score_run

    with progress("scoring"):
        return score_run(folder, draws=draws)


#: Columns of the table on the terminal: metrics first, then ratios.
_METRICS = (
    *("paper_bleu1", "paper_bleu4", "bleu4", "meteor", "meteor_exact_zh", "rougeL", "cider_d"),
    *("emotion_f1", "emotion_consistency"),
)
_RATIOS = {"transmission_rate": "rho", "useful_escalation_rate": "useful"}


def _table(figures: dict[str, Any]) -> list[str]:
    """Systems by metrics and ratios, as text."""
    systems: dict[str, Any] = figures["systems"]
    from ugsd_core.metrics import METRICS

    others = [name for entry in systems.values() for name in entry["metrics"] if name not in METRICS.builtin]
    metrics = [
        name
        for name in dict.fromkeys((*_METRICS, *others))
        if any(_value(entry["metrics"], name) is not None for entry in systems.values())
    ]
    rows = [["system", "n", *metrics, *_RATIOS.values()]]
    for name, entry in systems.items():
        values = [_value(entry["metrics"], metric) for metric in metrics]
        values += [_value(entry["ratios"], ratio, "pooled") for ratio in _RATIOS]
        rows.append([name, str(entry["n"]), *("–" if value is None else f"{value:.3f}" for value in values)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _value(figures: dict[str, Any], name: str, which: str = "value") -> float | None:
    """A figure, None where there is none."""
    value: float | None = (figures.get(name) or {}).get(which)
    return value


def _speed(session: dict[str, Any]) -> str:
    """How fast the run was, in a line."""
    return (
        f"{session['captions']} captions in {session['wall_s']:.0f} s: {session['clips_per_minute']:.1f} clips "
        f"a minute by {session['systems']} systems ({session['captions_per_minute']:.0f} captions a minute), "
        f"{session['outside_share']:.1%} of the time outside of captions"
    )
