"""How `default` got its gate, τ, r and k: UGSD on *development* speakers with the embedded pair, a row a setting.

    python -m tools.sweep_default --data ../shared/data --clips 60 > sweep.md

Emotion accuracy is read from the captions (`ugsd_core.lexicon`), as the mean over corpora; *closure* is the share of
the gap between edge-only and cloud-only that a setting closes. Test speakers are never touched.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

import torch

from ugsd_core.audio import Utterance, load_utterance
from ugsd_core.captioner import Captioner
from ugsd_core.lexicon import emotions_in
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import CaptionResult, caption_result
from ugsd_core.verifier import LocalLink, TorchVerifier

CORPORA = ("ravdess", "nemo", "emodb")
SETTINGS: dict[str, DecodingOptions] = {
    "edge-only": DecodingOptions(mode="edge"),
    "cloud-only": DecodingOptions(mode="cloud"),
    "paper (entropy > 1.0, r = 20, adaptive)": preset("paper"),
    **{f"entropy > {tau}, r = 1, k = 4": preset("default", gate="entropy", tau=tau, k=4) for tau in (0.5, 0.8, 1.1)},
    "entropy > 0.8, r = 3, k = 4": preset("default", gate="entropy", tau=0.8, rank=3, k=4),
    **{f"emotion entropy > {tau}, r = 1, k = 4": preset("default", tau=tau, k=4) for tau in (0.2, 0.4, 0.6, 0.8, 1.0)},
    **{f"emotion entropy > {tau}, r = 1, k = 2": preset("default", tau=tau, k=2) for tau in (0.6, 0.8, 1.0)},
    "emotion entropy > 0.6, r = 2, k = 4": preset("default", tau=0.6, rank=2, k=4),
    "every emotion word, r = 1, k = 4": preset("default", gate="emotion_words", k=4),
    "random .15, r = 1, k = 4": preset("default", gate="random", escalation_probability=0.15, k=4),
}


def clips(data: Path, per_corpus: int, split: str) -> list[tuple[str, str, Path]]:
    """(corpus, label, path) of a fixed random draw from the split's speakers."""
    drawn: list[tuple[str, str, Path]] = []
    for corpus in CORPORA:
        with (data / corpus / "manifest.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        random.Random(0).shuffle(rows)
        drawn += [(corpus, row["emotion"], data / corpus / row["path"]) for row in rows[:per_corpus]]
    return drawn


def named_right(result: CaptionResult, label: str, language: str) -> bool:
    """Whether the caption's last emotion word names the clip's label."""
    return emotions_in(result.caption, language)[-1:] == (label,)


def main() -> int:
    """Caption every clip under every setting and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ravdess, nemo, emodb")
    parser.add_argument("--clips", type=int, default=60, help="clips a corpus (60)")
    parser.add_argument("--split", default="dev", choices=("dev", "test"), help="test only to report, never to choose")
    parser.add_argument("--language", default="en", choices=("en", "zh"))
    parser.add_argument("--only", default="", help="only settings whose name holds this text, and the two ends")
    args = parser.parse_args()
    settings = {name: o for name, o in SETTINGS.items() if args.only in name or name in ("edge-only", "cloud-only")}
    torch.set_num_threads(1)
    captioner = Captioner.load(link=LocalLink(TorchVerifier.load()))
    chosen = clips(args.data, args.clips, args.split)
    right: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    ratios: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for n, (corpus, label, path) in enumerate(chosen, 1):
        utterance: Utterance = load_utterance(path)
        for name, options in settings.items():
            made = caption_result(captioner.stream(utterance, options.changed(language=args.language)))
            right[name][corpus].append(named_right(made, label, args.language))
            counts = made.to_dict()["ratios"]
            sent = counts["transmission_rate"]
            ratios[name]["rho"].append(0.0 if sent is None else sent)
            ratios[name]["trips"].append(made.to_dict()["ratios"]["counts"]["escalations"])
            if counts["useful_escalation_rate"] is not None:
                ratios[name]["useful"].append(counts["useful_escalation_rate"])
        print(f"\r{n}/{len(chosen)} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    accuracy = {name: {c: mean(values) for c, values in by.items()} for name, by in right.items()}
    macro = {name: mean(by.values()) for name, by in accuracy.items()}
    gap = macro["cloud-only"] - macro["edge-only"]
    sizes = ", ".join(f"{c} {sum(1 for other, _, _ in chosen if other == c)}" for c in CORPORA)
    print(f"{args.split} speakers, {args.language}; n: {sizes}\n")
    print("| setting | RAVDESS | nEMO | EMO-DB | mean | closure | ρ | round trips a caption | useful |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in settings:
        cells = [f"{accuracy[name][c]:.3f}" for c in CORPORA]
        closure = f"{(macro[name] - macro['edge-only']) / gap:.2f}" if gap else "n/a"
        useful = f"{mean(ratios[name]['useful']):.2f}" if ratios[name]["useful"] else "n/a"
        rho, trips = mean(ratios[name]["rho"]), mean(ratios[name]["trips"])
        print(f"| {name} | {' | '.join(cells)} | {macro[name]:.3f} | {closure} | {rho:.3f} | {trips:.2f} | {useful} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
