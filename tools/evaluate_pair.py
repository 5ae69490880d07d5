"""Evaluate a pair on held-out speakers: every gate through the real loop, then tables from the records.

    python -m tools.evaluate_pair run --data ../shared/data --edge DIR … --verifier DIR --calibration DIR --out DIR
    python -m tools.evaluate_pair report --out DIR

`run` may be stopped and resumed, and two processes may share the work (``--part 1/2`` and ``--part 2/2``). `report`
recomputes every table from the records. Thresholds come from the checkpoint's ``gate.json`` and from the folder that
``ugsd calibrate`` wrote, both made on development speakers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tools.evaluation.facts import CueBook
from tools.evaluation.figures import edge_figures
from tools.evaluation.report import edge_section, seeds_section
from tools.evaluation.runner import Runner, read_lines
from tools.evaluation.settings import chosen_settings, settings_for
from tools.evaluation.sweep import pareto_picture, pareto_section, sweep_settings
from ugsd_core.calibration.clips import draw, read_clips
from ugsd_core.calibration.collect import MemoPair
from ugsd_core.calibration.workbench import fingerprint
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.errors import OptionError, UgsdError
from ugsd_core.gate_card import CARD_FILE, read_gate_cards
from ugsd_core.models.loading import default_checkpoint
from ugsd_core.models.prompts import Language

#: Corpora whose clips have a label and a split; their test speakers are captioned in every language.
LABELLED = ("ravdess", "nemo", "emodb")
#: Corpora with human captions, all of whose clips are for evaluation; captioned in the humans' language.
HUMAN = {"secap": "zh"}


def main(argv: list[str] | None = None) -> int:
    """Run the command; 2 for what a person can mend."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except UgsdError as error:
        print(f"evaluate_pair: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools.evaluate_pair", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="caption the clips")
    run.add_argument("--data", type=Path, required=True, help="folder with ravdess, nemo, emodb, secap")
    run.add_argument("--edge", type=Path, nargs="+", help="edge checkpoints, such as three seeds (the embedded one)")
    run.add_argument("--verifier", type=Path, help="verifier checkpoint (the embedded one)")
    run.add_argument("--calibration", type=Path, help="folder written by ugsd calibrate (one edge), for thresholds")
    run.add_argument("--corpora", nargs="+", default=[*LABELLED, *HUMAN], choices=[*LABELLED, *HUMAN])
    run.add_argument("--languages", nargs="+", default=["en", "zh"], choices=["en", "zh"])
    run.add_argument(
        "--split", default="test", help="of the labelled corpora (test); dev to look, never test to choose"
    )
    run.add_argument("--clips", type=int, help="at most so many clips of each corpus")
    run.add_argument(
        "--settings", default="", metavar="A|B", help="only settings whose name or family holds one of these"
    )
    run.add_argument("--sweep", action="store_true", help="the grid of gate, τ, r, p and block lengths instead (dev)")
    run.add_argument("--part", default="1/1", metavar="I/N", help="the I-th of N shares of the clips")
    run.add_argument("--out", type=Path, default=Path("runs/evaluation"))
    run.set_defaults(run=_run)
    report = commands.add_parser("report", help="tables from the records")
    report.add_argument("--out", type=Path, default=Path("runs/evaluation"))
    report.add_argument("--draws", type=int, default=1000, help="bootstrap draws (1000)")
    report.set_defaults(run=_report)
    return parser


def _part(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    if first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise OptionError(f"--part takes two numbers such as 1/2, not {text!r}")


def _clips(args: argparse.Namespace) -> list[tuple[CorpusClip, tuple[Language, ...]]]:
    """Clips with the languages to caption them in, in an order that mixes the corpora."""
    found: list[tuple[CorpusClip, tuple[Language, ...]]] = []
    labelled = [name for name in args.corpora if name in LABELLED]
    if labelled:
        found += [
            (clip, tuple(args.languages)) for clip in draw(read_clips(args.data, args.split, labelled), args.clips)
        ]
    for name in (name for name in args.corpora if name in HUMAN and HUMAN[name] in args.languages):
        found += [(clip, (HUMAN[name],)) for clip in draw(read_clips(args.data, None, [name]), args.clips)]  # type: ignore[misc]
    if not found:
        raise OptionError("nothing to do: no corpus is captioned in these languages")
    mixed = draw([clip for clip, _ in found], None)
    order = {(clip.corpus, clip.id): n for n, clip in enumerate(sorted(mixed, key=_shuffled))}
    return sorted(found, key=lambda entry: order[(entry[0].corpus, entry[0].id)])


def _shuffled(clip: CorpusClip) -> str:
    """A fixed order without meaning, so that a kept budget meets all corpora in turn."""
    import hashlib

    return hashlib.sha256(f"{clip.corpus}/{clip.id}".encode()).hexdigest()


def _run(args: argparse.Namespace) -> int:
    part, parts = _part(args.part)
    edges = args.edge or [default_checkpoint("edge")]
    verifier = args.verifier or default_checkpoint("verifier")
    if args.calibration and len(edges) > 1:
        raise OptionError("--calibration belongs to one edge; name one, or give each edge its own gate.json")
    clips = _clips(args)[part - 1 :: parts]
    for edge in edges:
        _run_edge(args, edge, verifier, clips, f"{part}of{parts}")
    return 0


def _run_edge(
    args: argparse.Namespace,
    edge: Path,
    verifier: Path,
    clips: list[tuple[CorpusClip, tuple[Language, ...]]],
    part: str,
) -> None:
    calibration = args.calibration
    card_folder = calibration if calibration and (calibration / CARD_FILE).is_file() else edge
    cards = read_gate_cards(card_folder)
    curves = _curves(calibration)
    pair = MemoPair.load(edge, verifier)
    mark = fingerprint(edge, verifier, also=[card_folder / CARD_FILE, edge / "cues.json"])
    folder = args.out / f"{edge.resolve().name}-{mark}"
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "edge": pair.edge.name,
        "folder": edge.resolve().name,
        "verifier": pair.verifier.name,
        "split": args.split,
        "cards": None if cards is None else {name: card.to_dict() for name, card in cards.languages.items()},
    }
    (folder / "about.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    settings: dict[Language, list[Any]] = {}
    for language in args.languages:
        card = None if cards is None else cards.languages.get(language)
        wanted = sweep_settings(card) if args.sweep else settings_for(card, curves.get(language, {}))
        settings[language] = chosen_settings(wanted, args.settings)
    book = CueBook(edge / "cues.json")
    if not book.tables:
        print(f"{edge} has no cue thresholds by sex, so named cues are not checked", file=sys.stderr)
    counts = ", ".join(f"{len(s)} settings in {language}" for language, s in settings.items())
    print(f"{pair.edge.name}: {len(clips)} clips, {counts}; records in {folder}", file=sys.stderr)
    for sentence in Runner(pair, cards, book, settings, folder / f"clips-{part}.jsonl").run(clips):
        print(f"skipped {sentence}", file=sys.stderr)


def _curves(calibration: Path | None) -> dict[str, dict[str, dict[str, Any]]]:
    """Language to gate to budget to point, from the report of ``ugsd calibrate``."""
    if calibration is None:
        return {}
    path = calibration / "report.json"
    if not path.is_file():
        raise OptionError(f"{calibration} holds no report.json; name the folder that ugsd calibrate wrote with --out")
    record = json.loads(path.read_text(encoding="utf-8"))
    return {entry["language"]: {row["gate"]: row["at"] for row in entry["curves"]} for entry in record["languages"]}


def _report(args: argparse.Namespace) -> int:
    folders = sorted(path.parent for path in args.out.glob("*/about.json"))
    if not folders:
        raise OptionError(
            f"{args.out} holds no records; make some with: python -m tools.evaluate_pair run --out {args.out}"
        )
    found: list[dict[str, Any]] = []
    for folder in folders:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        lines = read_lines(sorted(folder.glob("clips-*.jsonl")))
        for language in dict.fromkeys(line["language"] for line in lines):
            own = [line for line in lines if line["language"] == language]
            print(f"scoring {about['edge']} ({folder.name}), {language}: {len(own)} clips …", file=sys.stderr)
            found.append({"folder": folder.name} | edge_figures(own, about, language, args.draws))
    parts = ["# Evaluation of the pair\n"]
    for language in dict.fromkeys(entry["language"] for entry in found):
        own_language = [entry for entry in found if entry["language"] == language and entry["settings"]]
        if len(own_language) > 1:
            parts.append(seeds_section(own_language))
    for entry in found:
        parts.append(edge_section(entry) + pareto_section(entry))
        if entry["settings"]:
            name = f"pareto-{entry['folder']}-{entry['language']}.svg"
            (args.out / name).write_text(pareto_picture(entry), encoding="utf-8")
    (args.out / "report.md").write_text("\n".join(parts), encoding="utf-8")
    text = json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False)
    (args.out / "report.json").write_text(text + "\n", encoding="utf-8")
    print(args.out / "report.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
