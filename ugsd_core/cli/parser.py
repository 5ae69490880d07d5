"""What can be typed. Imports nothing heavy: the names below are compared with the engine's in a test."""

from __future__ import annotations

import argparse

from ugsd_core import __version__
from ugsd_core.cli.annotations_parser import add_annotations
from ugsd_core.cli.bench_parser import add_bench
from ugsd_core.cli.checkpoints_parser import add_checkpoints
from ugsd_core.cli.corpus_parser import add_corpus
from ugsd_core.cli.doctor_parser import add_doctor
from ugsd_core.cli.edge_access import add_edge_access
from ugsd_core.cli.edge_parser import add_edge_backend
from ugsd_core.cli.evaluate_parser import add_evaluate
from ugsd_core.cli.examples_parser import add_examples
from ugsd_core.cli.link_parser import add_link
from ugsd_core.cli.operations_parser import add_operations
from ugsd_core.cli.plugin_names import WithPlugins
from ugsd_core.cli.plugins_parser import add_plugins
from ugsd_core.cli.ray_parser import add_ray_replicas
from ugsd_core.cli.report_parser import add_report, add_sweep
from ugsd_core.cli.score_parser import add_score
from ugsd_core.cli.verifier_access_parser import add_access, add_token
from ugsd_core.cli.verifier_parser import add_sharing
from ugsd_core.cli.vllm_parser import add_vllm

__all__ = ["ACCEPTANCE_NAMES", "GATE_NAMES", "PRESET_NAMES", "PROMPT_NAMES", "TOKEN_VARIABLE", "build_parser"]

PRESET_NAMES = ("default", "paper", "proposal", "lossless")
GATE_NAMES = (
    "entropy",
    "nll",
    "margin",
    "mc_dropout",
    "emotion_entropy",
    "semantic_entropy",
    "head_doubt",
    "text_doubt",
    "fused_doubt",
    "calibrated",
    "instability",
    "bild",
    "digits",
    "dates",
    "names",
    "emotion_words",
    "content",
    "random",
    "random_emotion",
    "never",
    "always",
)
ACCEPTANCE_NAMES = ("rank", "probability", "typical", "greedy", "fused")
PROMPT_NAMES = ("brief", "paper", "worded-1", "worded-2", "worded-3", "worded-4", "worded-5", "worded-6")
#: Holds the access token of verifiers that ask for one; an argument could be read by every user of the machine.
TOKEN_VARIABLE = "UGSD_ACCESS_TOKEN"


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of ``ugsd``.

    Args:
        command: The command that will be run, if known; only ``train`` needs its own module to say its options.
    """
    parser = argparse.ArgumentParser(
        prog="ugsd",
        description="Speech emotion captions: a small edge model drafts, a verifier is asked only where it is unsure.",
        epilog="Each command has its own help: ugsd caption --help",
    )
    parser.add_argument("--version", action="version", version=f"ugsd {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_caption(commands)
    _add_replay(commands)
    add_examples(commands)
    _add_verifier(commands)
    _add_calibrate(commands)
    add_corpus(commands)
    add_score(commands)
    add_evaluate(commands)
    add_sweep(commands)
    add_report(commands)
    add_annotations(commands)
    add_bench(commands)
    add_doctor(commands)
    add_plugins(commands)
    add_checkpoints(commands)
    commands.add_parser("demo", help="start the page (it has options of its own: ugsd demo --help)")
    if command == "train":
        from ugsd_core.training.commands import add_parser

        add_parser(commands)
    else:
        commands.add_parser("train", help="make the embedded checkpoints (ugsd train --help)")
    return parser


Commands = argparse._SubParsersAction  # argparse has no public name for it


def _add_caption(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "caption",
        help="caption a recording",
        description="Caption a recording of speech, 0.3 to 30 s, in any common sound or video format. "
        "Without --verifier, a verifier is started on this machine for the run and ended after it; "
        "with --mode edge there is none and nothing is sent.",
    )
    parser.add_argument("clip", metavar="CLIP", help="the recording")
    parser.add_argument("--language", choices=("en", "zh"), help="language of the caption (en)")
    parser.add_argument(
        "--mode", choices=("ugsd", "edge", "cloud"), help="who decides: both (ugsd, the default), or one of them alone"
    )
    parser.add_argument("--first-30-s", action="store_true", help="take the first 30 s of a longer recording")

    models = parser.add_argument_group("models")
    models.add_argument(
        "--verifier", metavar="URL[,URL]", help="a running verifier, such as ws://127.0.0.1:8765, and others to turn to"
    )
    add_edge_access(models)
    models.add_argument("--edge", metavar="CKPT", help="edge checkpoint: a folder or a hub name (the embedded one)")
    models.add_argument(
        "--verifier-checkpoint", metavar="CKPT", help="what the verifier started here loads (the embedded one)"
    )
    models.add_argument("--edge-dtype", metavar="DTYPE", help="of the edge alone (as --dtype)")
    _add_device(models)
    add_edge_backend(models)
    add_link(models)

    decoding = parser.add_argument_group("decoding", "Each setting overrides the preset's.")
    decoding.add_argument(
        "--preset", default="default", metavar="NAME", help=f"whole settings: {', '.join(PRESET_NAMES)}"
    )
    decoding.add_argument(
        "--gate",
        metavar="NAME",
        help=WithPlugins("gate", f"when a block is sent; several with + : {', '.join(GATE_NAMES)}"),
    )
    decoding.add_argument("--tau", type=float, metavar="X", help="threshold of the gate's score")
    decoding.add_argument(
        "--budget", type=float, metavar="RHO", help="send at most this share of the draft, 0 to 1, in place of --tau"
    )
    decoding.add_argument(
        "--promise",
        type=float,
        metavar="ALPHA",
        help="calibrated: at most this share of captions keeps an emotion that the verifier would have changed",
    )
    decoding.add_argument(
        "--cut", choices=("none", "emotion"), help="emotion: an emotion word is a block of its own (none)"
    )
    decoding.add_argument(
        "--escalation-probability", type=float, metavar="P", help="of the random gate: how often it sends"
    )
    decoding.add_argument("--mc-dropout-samples", type=int, metavar="N", help="0 (off) or 2 to 64")
    decoding.add_argument(
        "--acceptance",
        metavar="NAME",
        help=WithPlugins("acceptance", f"how the verifier judges a token: {', '.join(ACCEPTANCE_NAMES)}"),
    )
    decoding.add_argument("--rank", type=int, metavar="R", help="rank: a token passes within the verifier's R best")
    decoding.add_argument(
        "--probability", type=float, metavar="P", help="probability: a token passes with at least P (typical: its ε)"
    )
    decoding.add_argument(
        "--fusion", type=float, metavar="W", help="fused: weight of the verifier's view of the emotion, 0 to 1"
    )
    decoding.add_argument(
        "--bonus", action=argparse.BooleanOptionalAction, help="take the verifier's extra token after an accepted block"
    )
    decoding.add_argument(
        "--block-length",
        metavar="K|adaptive|delay|fixed",
        help="a number is a fixed length; adaptive is the paper's rule; delay learns from measured times",
    )
    decoding.add_argument("--k", type=int, metavar="K", help="tokens in a block; the middle level of adaptive")
    decoding.add_argument("--k-short", type=int, metavar="K", help="adaptive: after a corrected block")
    decoding.add_argument("--k-long", type=int, metavar="K", help="adaptive: after accepted blocks in a row")
    decoding.add_argument("--temperature", type=float, metavar="T", help="0 is greedy; above, drafts are sampled")
    decoding.add_argument("--seed", type=int, metavar="N", help="of sampling, MC-dropout and the random gate")
    decoding.add_argument("--max-tokens", type=int, metavar="N", help="end the caption at this length")
    decoding.add_argument("--top-k", type=int, metavar="N", help="alternatives kept with each token")
    decoding.add_argument(
        "--deadline-s",
        type=float,
        metavar="S",
        help="a verdict that takes longer leaves its block unverified (learned from the verdicts so far: 1 to 5 s)",
    )
    decoding.add_argument(
        "--ahead",
        action=argparse.BooleanOptionalAction,
        help="draft on silently while a verdict is on its way; changes times alone (on)",
    )
    decoding.add_argument("--prompt", metavar="NAME", help=f"prompt by name: {', '.join(PROMPT_NAMES)}")

    output = parser.add_argument_group("output")
    output.add_argument("--trace", metavar="FILE.jsonl", help="record every event; replay shows it again")
    _add_output(output)


def _add_replay(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "replay",
        help="show a recorded run again, without any model",
        description="Show a recorded run again. It prints what the run itself printed; no model is loaded.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a file written by caption --trace")
    parser.add_argument(
        "--speed", type=float, metavar="X", help="keep the run's own pace, X times as fast (default: at once)"
    )
    parser.add_argument("--allow-cut", action="store_true", help="accept a trace whose run did not end")
    _add_output(parser)


def _add_verifier(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "verifier",
        help="serve a verifier to edges",
        description="Load a verifier and answer edges over WebSocket until stopped. If the environment variable "
        f"{TOKEN_VARIABLE} is set, only edges that have the same are let in.",
    )
    parser.add_argument("--checkpoint", metavar="CKPT", help="a folder or a hub name (the embedded one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, help="port; 0 takes a free one (8765)")
    _add_device(parser)
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads that run the model (2)")
    add_sharing(parser)
    add_ray_replicas(parser)
    add_vllm(parser)
    add_operations(parser)
    add_access(parser)
    add_token(parser)
    parser.add_argument("--announce", action="store_true", help="print address and name as one JSON line when ready")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when the process that started this ends")


def _add_calibrate(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "calibrate",
        help="fit an edge's gate to its verifier on development speakers",
        description="Caption labelled clips with both sides, choose the gate's signals, the acceptance rule and the "
        "thresholds for budgets and promises, and report how they fare on speakers left out. Only --write changes the "
        "edge checkpoint. A run that was stopped goes on where it was.",
    )
    parser.add_argument("--edge", metavar="DIR", help="edge checkpoint folder (the embedded one)")
    parser.add_argument("--verifier", metavar="DIR", help="verifier checkpoint folder (the embedded one)")
    parser.add_argument(
        "--data", metavar="DIR", required=True, help="a folder with manifest.csv, or a folder of such folders"
    )
    parser.add_argument("--split", default="dev", help="rows of the manifests to use, by their column 'split' (dev)")
    parser.add_argument("--corpora", nargs="+", default=(), metavar="NAME", help="only these folders of --data (all)")
    parser.add_argument("--languages", nargs="+", choices=("en", "zh"), default=("en", "zh"), help="of captions (both)")
    parser.add_argument(
        "--budget",
        nargs="+",
        default=["en=0.02", "zh=0.04"],
        metavar="[LANG=]X",
        help="share of drafted tokens that may be sent, for all languages or one each (en=0.02 zh=0.04: an emotion "
        "word is a larger part of a Chinese caption)",
    )
    parser.add_argument("--clips", type=int, metavar="N", help="at most N clips of each corpus, for a quick look")
    parser.add_argument("--isotonic", action="store_true", help="follow the regression by isotonic steps")
    parser.add_argument("--mc-dropout-samples", type=int, default=0, metavar="N", help="measure it too (0 is off)")
    parser.add_argument("--draws", type=int, default=1000, metavar="N", help="bootstrap draws of an interval (1000)")
    parser.add_argument("--out", default="runs/calibration", metavar="DIR", help="report folder (runs/calibration)")
    parser.add_argument("--write", action="store_true", help="write gate.json into the edge checkpoint")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")


def _add_device(group: argparse._ActionsContainer) -> None:
    group.add_argument("--device", default="cpu", help="where models run: cpu, cuda, cuda:1 … (cpu)")
    group.add_argument(
        "--dtype",
        default="float32",
        help="float32, bfloat16, float16; int8 or int4: weights alone, on the CPU (float32)",
    )


def _add_output(group: argparse._ActionsContainer) -> None:
    group.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    group.add_argument("--quiet", action="store_true", help="print the caption and nothing else")
    group.add_argument("--no-color", action="store_true", help="shapes only; NO_COLOR does the same")
