"""``ugsd calibrate``: fit the gate of an edge checkpoint to its verifier, on development speakers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ugsd_core.cli.output import progress
from ugsd_core.errors import OptionError

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Collect, fit, report; change the checkpoint only with ``--write``.

    Raises:
        UgsdError: With one sentence for a person.
    """
    _check(args)
    budgets = _budgets(args.budget, args.languages)
    with progress("loading the models"):
        from ugsd_core.calibration.workbench import Job, run_job
        from ugsd_core.models.loading import default_checkpoint

        edge = Path(args.edge).expanduser() if args.edge else default_checkpoint("edge")
        verifier = Path(args.verifier).expanduser() if args.verifier else default_checkpoint("verifier")
        job = Job(
            edge=edge,
            verifier=verifier,
            data=Path(args.data).expanduser(),
            split=args.split,
            languages=tuple(dict.fromkeys(args.languages)),
            corpora=tuple(args.corpora),
            budgets=budgets,
            clips=args.clips,
            isotonic=args.isotonic,
            mc_dropout_samples=args.mc_dropout_samples,
            draws=args.draws,
            out=Path(args.out).expanduser(),
            write=args.write,
        )
    summary = run_job(job)
    if args.json:
        print(json.dumps(summary, ensure_ascii=False, indent=2))
        return 0
    for language, found in summary["languages"].items():
        print(
            f"{language}: {' + '.join(found['signals'])}, AUROC {found['auroc_out_of_fold']:.3f} and ECE "
            f"{found['ece_out_of_fold']:.3f} on speakers left out; {found['acceptance']}; threshold "
            f"{found['threshold']:.3f} for ρ = {found['budget']:g}"
        )
    print(f"report: {summary['report']}")
    print(
        f"gate card: {summary['card']}" if summary["card"] else "the checkpoint was left as it is; --write changes it"
    )
    return 0


def _budgets(words: list[str], languages: Sequence[str]) -> dict[str, float]:
    """A budget for each language, from ``0.02`` or ``zh=0.04``; what names a language comes before what does not.

    Raises:
        OptionError: If one is no share, or a language has none.
    """
    found: dict[str, float] = {}
    for word in words:
        language, _, share = word.rpartition("=")
        try:
            found[language] = float(share)
        except ValueError:
            raise OptionError(f"--budget takes a share such as 0.02 or zh=0.04, not {word!r}") from None
        if not 0.0 < found[language] <= 1.0:
            raise OptionError(f"the budget is a share of the drafted tokens in 0…1, not {share}")
    missing = [language for language in languages if language not in found and "" not in found]
    if missing:
        raise OptionError(f"--budget names no share for {' and '.join(missing)}; add one such as {missing[0]}=0.02")
    return {language: found[language] if language in found else found[""] for language in languages}


def _check(args: argparse.Namespace) -> None:
    """Find what can't be now, not after the models were loaded."""
    if args.clips is not None and args.clips < 1:
        raise OptionError(f"--clips takes at least 1 clip of each corpus, not {args.clips}")
    if args.draws < 20:
        raise OptionError(f"an interval needs at least 20 draws, not {args.draws}")
    if args.mc_dropout_samples != 0 and not 2 <= args.mc_dropout_samples <= 64:
        raise OptionError(f"mc-dropout takes 0 or 2…64 samples, not {args.mc_dropout_samples}")
    for name in ("edge", "verifier"):
        folder = getattr(args, name)
        if folder and not (Path(folder).expanduser() / "config.json").is_file():
            raise OptionError(f"--{name} {folder} holds no config.json; name the folder of a checkpoint")
    if not Path(args.data).expanduser().is_dir():
        raise OptionError(
            f"there is no folder {args.data}; point --data at a folder with manifest.csv, or at one of such"
        )
    out = Path(args.out).expanduser()
    if out.exists() and not out.is_dir():
        raise OptionError(f"--out {out} is a file; name a folder for the report")
