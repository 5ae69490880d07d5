"""Whether another back end of the edge writes what torch writes: every clip through both, side by side.

    python -m tools.compare_backends --data ../shared/data --clips 200

Each clip is captioned in English and in Chinese by torch in float32 and by onnxruntime in each way of computing that is
named (``--kernels TOWER,READER,DECODER``, several times; the shipped one if none is). Printed as JSON, for each: the
share of identical captions, and the share of labelled clips whose first emotion is the clip's own label. Of test
speakers only, except that SECap has none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from ugsd_core.acoustic import encode_waveform
from ugsd_core.calibration.clips import draw, load_clip, read_clips
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.decoding import decode
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import UgsdError
from ugsd_core.lexicon import EMOTION_LABELS, emotions_in
from ugsd_core.messages import CaptionFinished
from ugsd_core.models.loading import default_checkpoint, limit_threads, load_speech_model
from ugsd_core.models.onnx_graph import Kernel
from ugsd_core.models.onnx_model import load_onnx_model
from ugsd_core.models.prompts import Language
from ugsd_core.options import DecodingOptions

LABELLED = ("ravdess", "nemo", "emodb")
LANGUAGES: tuple[Language, ...] = ("en", "zh")
#: From these shares on, a back end passes: identical captions, and points of emotion accuracy lost.
IDENTICAL = 0.98
POINTS = 1.0


@dataclass
class Tally:
    """What one way of computing wrote."""

    captions: int = 0
    identical: int = 0
    labelled: int = 0
    right: int = 0
    reference_right: int = 0
    differing: list[str] = field(default_factory=list)

    def add(self, which: str, text: str, reference: str, label: str | None, language: Language) -> None:
        """Count one caption beside the reference's."""
        self.captions += 1
        self.identical += text == reference
        if text != reference and len(self.differing) < 20:
            self.differing.append(f"{which}: {reference!r} became {text!r}")
        if label in EMOTION_LABELS:
            self.labelled += 1
            self.right += emotions_in(text, language)[:1] == (label,)
            self.reference_right += emotions_in(reference, language)[:1] == (label,)

    def summary(self) -> dict[str, Any]:
        """The figures."""
        labelled = max(1, self.labelled)
        accuracy, reference = 100 * self.right / labelled, 100 * self.reference_right / labelled
        share = self.identical / max(1, self.captions)
        return {
            "captions": self.captions,
            "identical_share": round(share, 4),
            "labelled": self.labelled,
            "emotion_accuracy_percent": round(accuracy, 2),
            "torch_emotion_accuracy_percent": round(reference, 2),
            "passes": share >= IDENTICAL and abs(accuracy - reference) <= POINTS,
            "differing": self.differing,
        }


def clips(data: Path, count: int) -> list[CorpusClip]:
    """At most ``count`` clips of each corpus, drawn the same way each time."""
    return [*draw(read_clips(data, "test", LABELLED), count), *draw(read_clips(data, None, ["secap"]), count)]


def writer(drafter: StreamDrafter) -> Callable[[Any, str, Language], str]:
    """Caption a code edge-only, through the decoding loop."""

    def write(code: Any, utterance: str, language: Language) -> str:
        *_, last = decode(code, utterance, drafter, None, DecodingOptions(mode="edge", language=language))
        assert isinstance(last, CaptionFinished)
        return last.caption

    return write


def compare(data: Path, count: int, kernels: list[tuple[Kernel, Kernel, Kernel]]) -> dict[str, Any]:
    """Caption all clips with torch and in each way; see the module.

    Raises:
        UgsdError: If data or checkpoint cannot be read.
    """
    folder = default_checkpoint("edge")
    torch_model = load_speech_model(folder)
    limit_threads(torch_model)
    reference = StreamDrafter(torch_model)
    ways = {
        ",".join(three): writer(
            StreamDrafter(load_onnx_model(folder, tower=three[0], reader=three[1], decoder=three[2]))
        )
        for three in kernels
    }
    tallies: dict[str, dict[str, Tally]] = {name: defaultdict(Tally) for name in ways}
    write_reference = writer(reference)
    for number, clip in enumerate(clips(data, count), 1):
        utterance = load_clip(clip)
        code = encode_waveform(utterance.samples, reference.features)
        for language in LANGUAGES:
            expected = write_reference(code, utterance.id, language)
            for way, write in ways.items():
                text = write(code, utterance.id, language)
                for group in ("all", language):
                    tallies[way][group].add(f"{clip.corpus}/{clip.id} {language}", text, expected, clip.label, language)
        if number % 50 == 0:
            print(f"{number} clips", file=sys.stderr, flush=True)
    return {way: {group: tally.summary() for group, tally in groups.items()} for way, groups in tallies.items()}


def main() -> int:
    """Run the comparison; 1 if a way of computing does not pass, 2 for what a person can mend."""
    parser = argparse.ArgumentParser(prog="compare_backends", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of corpora (../shared/data)")
    parser.add_argument("--clips", type=int, default=200, help="clips of each corpus (200)")
    parser.add_argument("--kernels", action="append", help="TOWER,READER,DECODER, each float, rows, whole or twice")
    args = parser.parse_args()
    named = [tuple(entry.split(",")) for entry in args.kernels or ["twice,whole,rows"]]
    if any(len(three) != 3 or not set(three) <= set(get_args(Kernel)) for three in named):
        parser.error("--kernels is three of float, rows, whole, twice with commas between")
    try:
        result = compare(args.data, args.clips, named)  # type: ignore[arg-type]
    except UgsdError as error:
        print(f"compare_backends: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=1, ensure_ascii=False))
    return 0 if all(groups["all"]["passes"] for groups in result.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
