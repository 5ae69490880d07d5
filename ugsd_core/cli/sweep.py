"""``ugsd sweep``: a grid of settings over emulated links, through the same runner as any evaluation."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.calibration.progress import Progress
from ugsd_core.cli.output import progress
from ugsd_core.cli.parser import TOKEN_VARIABLE
from ugsd_core.cli.report import step_printer
from ugsd_core.errors import OptionError

if TYPE_CHECKING:
    from ugsd_core.evaluation.plan import EvaluationPlan
    from ugsd_core.evaluation.sweep import LinkedSource
    from ugsd_core.wire.emulated import Conditions

__all__ = ["run"]

EXIT_INTERRUPTED = 130


def run(args: argparse.Namespace) -> int:
    """Sweep, score and report.

    Raises:
        UgsdError: With one sentence for a person; what was captioned stays, and the same command goes on.
    """
    if args.verifier and args.verifier_checkpoint:
        raise OptionError("a running verifier has its checkpoint loaded; leave out --verifier-checkpoint")
    if args.draws < 2:
        raise OptionError(f"an interval needs at least 2 draws, not {args.draws}")
    with progress("reading the corpus", quiet=args.json):
        from ugsd_core.corpora import main_language, preflight, read_corpus
        from ugsd_core.evaluation.plan import EvaluationPlan
        from ugsd_core.evaluation.run import chosen_clips
        from ugsd_core.evaluation.sweep import Grid, grid_systems, parse_links, parse_values, run_folders

        grid = Grid(
            args.preset,
            tuple(filter(None, (name.strip() for name in (args.gate or "").split(",")))),
            parse_values(args.tau, float, "tau"),
            parse_values(args.rank, int, "rank"),
            parse_values(args.k, int, "k", ("adaptive",)),
        )
        links = parse_links(args.links)
        corpus = read_corpus(args.corpus, args.format, audio=args.audio, confined=False)
        corpus = corpus.split(args.split) if args.split else corpus
        language = args.language or main_language(corpus)
        systems = grid_systems(grid, language, args.seed)
    _check_quality(args.quality, language)
    if not args.json:
        found = preflight(corpus, language)
        for sentence in (found.summary, *(f"- {entry.message} {entry.remedy}" for entry in found.findings)):
            print(sentence, file=sys.stderr)
    out = Path(args.out).expanduser()
    plans = [
        (link, EvaluationPlan(corpus, language, systems, folder, args.seed, args.limit))
        for link, folder in run_folders(out, links)
    ]
    chosen_clips(plans[0][1])
    try:
        _caption(args, plans)
    except KeyboardInterrupt:
        print(f"\nugsd: stopped. What was captioned is kept in {out}; the same command goes on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return _report(args, out, plans)


def _check_quality(name: str | None, language: str) -> None:
    from ugsd_core.metrics import METRICS

    if name and (
        name not in METRICS.names() or METRICS.find(name).better != "higher" or language not in METRICS[name].languages
    ):
        fit = [key for key, metric in METRICS.items() if metric.better == "higher" and language in metric.languages]
        raise OptionError(f"--quality {name} is no measure of captions in {language!r}; choose one of {', '.join(fit)}")


def _caption(args: argparse.Namespace, plans: list[tuple[Conditions, EvaluationPlan]]) -> None:
    """Run what is missing, link by link."""
    from ugsd_core.evaluation.sweep import LinkedSource

    with progress("loading edge and verifier", quiet=args.json):
        source = LinkedSource(
            args.edge,
            verifier=args.verifier,
            verifier_checkpoint=args.verifier_checkpoint,
            device=args.device,
            dtype=args.dtype,
            backend=args.edge_backend,
            access_token=os.environ.get(TOKEN_VARIABLE) or None,
        )
    with source:
        for link, plan in plans:
            source.conditions = link
            _run(source, plan, link)


def _run(source: LinkedSource, plan: EvaluationPlan, link: Conditions) -> None:
    """One link."""
    from ugsd_core.evaluation.run import evaluate
    from ugsd_core.evaluation.sweep import link_folder

    notes = {"command": "ugsd sweep", "link": link_folder(link)}
    with closing(evaluate(plan, source, notes=notes)) as steps:
        first = next(steps)
        with Progress(f"link {link_folder(link)}, captions", first.total, first.done) as bar:
            for step in steps:
                bar.step()
                if step.line is not None and step.line.error:
                    print(f"\n{step.line.id} by {step.line.system} failed: {step.line.error}", file=sys.stderr)


def _report(args: argparse.Namespace, out: Path, plans: list[tuple[Conditions, EvaluationPlan]]) -> int:
    """Score the runs and write what they show."""
    from ugsd_core.evaluation.export import write_texts
    from ugsd_core.evaluation.scored import load_run
    from ugsd_core.evaluation.sweep import link_folder
    from ugsd_core.evaluation.sweep_report import build_sweep, sweep_json, sweep_texts

    told = None if args.json else step_printer()
    runs = [
        load_run(plan.folder, link_folder(link), draws=args.draws, seed=args.seed, progress=told)
        for link, plan in plans
    ]
    sweep = build_sweep(runs, args.quality or "")
    texts = sweep_texts(sweep)
    write_texts(out, texts)
    if args.json:
        print(sweep_json(sweep), end="")
    else:
        print(texts["sweep.md"].split("## Definitions")[0].rstrip())
        print(f"wrote {', '.join(texts)} into {out}", file=sys.stderr)
    return 0
