"""Make the embedded checkpoints, and measure them (`docs/training.md`)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ugsd_core.training.data import FeatureCache

__all__ = ["add_parser", "main"]

# Minutes of listening, minutes of captions, peak learning rate of the tower while it listens, of the decoder.
DEFAULTS: dict[str, tuple[float, float, float, float]] = {
    "edge": (8.0, 10.0, 3e-4, 1e-3),
    "verifier": (40.0, 25.0, 1.5e-4, 7e-4),
}
NAMES = {"edge": "ugsd-edge-6.7m", "verifier": "ugsd-verifier-27m"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``train`` with its sub-commands ``edge``, ``verifier`` and ``evaluate``."""
    train = subparsers.add_parser("train", help="train or measure the embedded pair", description=__doc__)
    _add_actions(train.add_subparsers(dest="action", required=True))


def _add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    for role in ("edge", "verifier"):
        action = actions.add_parser(role, help=f"train the {role} model")
        _add_data_options(action)
        action.add_argument(
            "--encoders", type=Path, default=Path("../shared/models"), help="folder with the Whisper encoders"
        )
        action.add_argument("--out", type=Path, default=Path("assets/checkpoints") / role, help="checkpoint folder")
        action.add_argument(
            "--listen-minutes", type=float, default=DEFAULTS[role][0], help="wall-clock budget of the first phase"
        )
        action.add_argument(
            "--minutes", type=float, default=DEFAULTS[role][1], help="wall-clock budget of the second phase"
        )
        action.add_argument("--listen-steps", type=int, help="number of steps, instead of --listen-minutes")
        action.add_argument("--steps", type=int, help="number of steps, instead of --minutes")
        action.add_argument("--listened", type=Path, help="what the first phase wrote, to skip it")
        action.add_argument(
            "--listen-from",
            type=Path,
            help="what the first phase wrote, or a checkpoint folder, to listen on from there",
        )
        action.add_argument(
            "--start-from",
            type=Path,
            help="an earlier checkpoint to start from, instead of listening; with --listened, its decoder alone",
        )
        action.add_argument(
            "--freeze-layers",
            type=int,
            default=0,
            metavar="N",
            help="the tower's convolutions and N lowest layers keep what they have learned",
        )
        action.add_argument(
            "--as-recorded",
            type=float,
            default=0.5,
            metavar="SHARE",
            help="share of clips that are heard exactly as recorded (0.5)",
        )
        action.add_argument("--tower-rate", type=float, help="peak learning rate of the tower, in both phases")
        action.add_argument("--seed", type=int, default=0)
        action.add_argument("--threads", type=int, default=2)
        action.add_argument("--resume", action="store_true", help="go on from the last saved training state")
        action.set_defaults(run=_train, role=role)
    measure = actions.add_parser("evaluate", help="emotion accuracy of a checkpoint's captions")
    _add_data_options(measure)
    measure.add_argument("--checkpoint", type=Path, required=True)
    measure.add_argument("--split", choices=("dev", "test"), default="test")
    measure.add_argument("--language", choices=("en", "zh"), default="en")
    measure.add_argument("--captions", type=Path, help="also write every caption to this JSON-lines file")
    measure.add_argument("--threads", type=int, default=2)
    measure.set_defaults(run=_evaluate)
    rounding = actions.add_parser("quantise", help="keep a checkpoint's weights in eight bits, half the size of fp16")
    rounding.add_argument("--checkpoint", type=Path, required=True)
    rounding.set_defaults(run=_quantise)
    mean = actions.add_parser("average", help="the mean of several checkpoints of one run")
    mean.add_argument("checkpoints", type=Path, nargs="+", metavar="DIR")
    mean.add_argument("--out", type=Path, required=True, help="a new folder, or file if files are averaged")
    mean.add_argument("--hearing", action="store_true", help="audio tower and emotion head only; decoder of the first")
    mean.set_defaults(run=_average)
    card = actions.add_parser("card", help="write a checkpoint's model card from its measured figures")
    card.add_argument("--checkpoint", type=Path, required=True)
    card.add_argument("--role", choices=tuple(DEFAULTS), required=True)
    card.add_argument("--figures", type=Path, nargs="+", required=True, help="JSON files written by evaluate")
    card.set_defaults(run=_card)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the corpora")
    parser.add_argument("--cache", type=Path, help="feature cache and training states (default ~/.cache/ugsd)")


def _report(line: str) -> None:
    print(line, flush=True)


def _train(args: argparse.Namespace) -> int:
    # Threads that spin while they wait slow training several-fold on a shared machine; read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")

    import torch

    from ugsd_core.training.build import (
        build_model,
        count_parameters,
        freeze_lowest,
        size_of,
        use_checkpoint,
        use_listened,
    )
    from ugsd_core.training.data import default_cache_folder, load_cache
    from ugsd_core.training.listen import Heads
    from ugsd_core.training.tokenizer import build_tokenizer
    from ugsd_core.training.trainer import Recipe, Trainer

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    folder = args.cache or default_cache_folder()
    cache = load_cache(args.data, folder, _report)
    tokenizer = build_tokenizer()
    model = build_model(args.role, tokenizer, args.encoders)
    _report(f"{args.role}: {count_parameters(model) / 1e6:.1f} M parameters, {len(tokenizer)} tokens")
    freeze_lowest(model.model.audio_tower, args.freeze_layers)
    heads = Heads(size_of(args.role).width)
    if args.start_from is not None:
        rows = use_checkpoint(model, tokenizer, heads, args.start_from)
        _report(f"starting from {args.start_from}, {rows} of {len(tokenizer)} tokens known")
    if args.start_from is None or args.listened is not None:
        listened = args.listened or folder / "runs" / f"listened-{args.role}-{args.seed}.safetensors"
        if args.listened is None and not (args.resume and listened.is_file()):
            _listen(args, model, cache, listened)
        use_listened(model, heads, listened)
    recipe = Recipe(
        minutes=args.minutes,
        steps=args.steps,
        seed=args.seed,
        decoder_lr=DEFAULTS[args.role][3],
        as_recorded=args.as_recorded,
    )
    if args.tower_rate is not None:
        recipe = replace(recipe, tower_lr=args.tower_rate)
    trainer = Trainer(
        model,
        tokenizer,
        cache,
        size_of(args.role),
        recipe,
        out=args.out,
        state_path=folder / "runs" / f"{args.role}-{args.seed}.pt",
        name=NAMES[args.role],
        heads=heads,
        report=_report,
    )
    if args.resume and trainer.load_state():
        _report(f"resumed at step {trainer.step}")
    for row in trainer.run():
        _report(json.dumps(row))
    return 0


def _listen(args: argparse.Namespace, model: Any, cache: FeatureCache, out: Path) -> None:
    """The first phase: the tower alone."""
    from ugsd_core.training.build import size_of
    from ugsd_core.training.listen import Listener, ListenRecipe

    recipe = ListenRecipe(
        minutes=args.listen_minutes,
        steps=args.listen_steps,
        seed=args.seed,
        tower_lr=DEFAULTS[args.role][2] if args.tower_rate is None else args.tower_rate,
        as_recorded=args.as_recorded,
    )
    listener = Listener(model.model.audio_tower, size_of(args.role).width, cache, recipe, _report)
    if args.listen_from is not None:
        listener.load(args.listen_from)
    listener.run()
    listener.save(out)


def _evaluate(args: argparse.Namespace) -> int:
    import torch

    from ugsd_core.training.data import default_cache_folder, load_cache
    from ugsd_core.training.evaluate import evaluate_checkpoint

    torch.set_num_threads(args.threads)
    cache = load_cache(args.data, args.cache or default_cache_folder(), lambda line: print(line, file=sys.stderr))
    figures, captioned = evaluate_checkpoint(args.checkpoint, cache.split(args.split), args.language)
    if args.captions:
        lines = [
            json.dumps(
                {"id": c.example.clip.id, "label": c.example.clip.label, "caption": c.text, "right": c.right},
                ensure_ascii=False,
            )
            for c in captioned
        ]
        args.captions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(json.dumps({"split": args.split} | figures, indent=1))
    return 0


def _quantise(args: argparse.Namespace) -> int:
    from ugsd_core.models.eight_bit import quantise_checkpoint

    before, after = quantise_checkpoint(args.checkpoint)
    _report(f"{args.checkpoint}: weights {before / 1e6:.1f} MB, now {after / 1e6:.1f} MB")
    return 0


def _average(args: argparse.Namespace) -> int:
    from ugsd_core.training.average import average_checkpoints

    average_checkpoints(args.checkpoints, args.out, hearing=args.hearing)
    _report(f"{args.out}: the mean of {len(args.checkpoints)} checkpoints")
    return 0


def _card(args: argparse.Namespace) -> int:
    from ugsd_core.training.card import write_card

    figures = [json.loads(path.read_text(encoding="utf-8")) for path in args.figures]
    print(write_card(args.checkpoint, args.role, figures))
    return 0


def main(argv: list[str] | None = None) -> int:
    """``python -m ugsd_core.training.commands edge …``, the same as ``ugsd train edge …``."""
    from ugsd_core.errors import UgsdError

    parser = argparse.ArgumentParser(prog="ugsd train", description=__doc__)
    _add_actions(parser.add_subparsers(dest="action", required=True))
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except UgsdError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
