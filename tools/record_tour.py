"""Records the runs of the guided tour anew: ``python -m tools.record_tour``.

The embedded pair captions the example clips over the real wire, and for each trace in ``assets/traces`` the first run
is taken in which that happens which the tour wants to show. Which clip and which threshold it is follows from the
weights; the stops (``tour.json``) and their words stay, and are tried on the new traces before one is replaced.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from ugsd_core.audio import Utterance, load_utterance
from ugsd_core.captioner import Captioner
from ugsd_core.messages import BlockEscalated, BlockJudged, Event
from ugsd_core.options import DecodingOptions
from ugsd_core.result import CaptionResult, caption_result
from ugsd_core.traces import write_trace
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.process import VerifierProcess
from ui.assets import ASSETS, example_clips
from ui.tour import load_tour, stop_view

FOLDER = ASSETS / "traces"
ENTROPY = DecodingOptions(gate="entropy", rank=1, k=4)
CHINESE = replace(ENTROPY, language="zh")
EMOTION = DecodingOptions(gate="emotion_words", rank=1, k=4)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A trace of the tour.

    Attributes:
        name: Of its file.
        options: Settings to try, the best first; with each all clips are tried.
        shows: Whether a run is one that the tour can use.
        language: Language that is spoken in the clips to try first.
        cut: The verifier ends after its first verdict.
    """

    name: str
    options: Sequence[DecodingOptions]
    shows: Callable[[CaptionResult], bool]
    language: str = "en"
    cut: bool = False


def asked_nothing(result: CaptionResult) -> bool:
    """No block passed the threshold, though there were some."""
    return result.counts["blocks"] > 2 and not result.counts["escalations"]


def corrected_first(result: CaptionResult) -> bool:
    """The first block that is sent has a token refused and another thrown away behind it, and few are sent."""
    asked = [block for block in result.blocks if block.escalated]
    states = {token.state for token in result.tokens if asked and token.block == asked[0].block}
    return {"rejected", "corrected", "ignored"} <= states and len(asked) <= 3


def changed_meaning(result: CaptionResult) -> bool:
    """The same, and the caption means something else for it."""
    return corrected_first(result) and result.counts["meanings_changed"] > 0


def accepted_all(result: CaptionResult) -> bool:
    """A few blocks were sent, and nothing of them changed."""
    return 0 < result.counts["escalations"] <= 3 and not result.counts["blocks_changed"]


def has(state: str) -> Callable[[CaptionResult], bool]:
    """Some token ended in a state."""
    return lambda result: bool(result.counts[state])


def at(options: DecodingOptions, *taus: float) -> list[DecodingOptions]:
    """Settings with one threshold after the other."""
    return [replace(options, tau=tau) for tau in taus]


LOWER = (1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
CORRECTING = [EMOTION, *at(ENTROPY, *LOWER)]
WANTED = (
    Wanted("1-sure", at(ENTROPY, 1.0, 1.5, 2.0, 3.0, 6.0), asked_nothing),
    Wanted("2-corrected", CORRECTING, changed_meaning),
    Wanted("2-corrected", CORRECTING, corrected_first),
    *(Wanted("3-accepted", at(replace(ENTROPY, rank=rank), *LOWER), accepted_all) for rank in (1, 3, 20)),
    Wanted("4-cloud", [DecodingOptions(mode="cloud")], has("bonus")),
    Wanted("5-chinese", at(CHINESE, *LOWER), corrected_first, language="zh"),
    Wanted("5-chinese", at(CHINESE, *LOWER), has("accepted"), language="zh"),
    Wanted("6-lost", at(ENTROPY, *LOWER, 0.0), has("unverified"), cut=True),
)


class Recorder:
    """The embedded pair: the edge in this process, the verifier in one of its own, started anew when it has ended."""

    def __init__(self) -> None:
        self.captioner = Captioner.load()
        self.captioner.warm_up()
        self.verifier: VerifierProcess | None = None

    def record(self, utterance: Utterance, options: DecodingOptions, *, cut: bool) -> list[Event]:
        """Caption a recording.

        Args:
            cut: End the verifier behind its first verdict.
        """
        if self.verifier is None:
            self.verifier = VerifierProcess()
            self.captioner.link = WebSocketLink(self.verifier.address)
        events = []
        for event in self.captioner.stream(utterance, options):
            events.append(event)
            if cut and isinstance(event, BlockJudged):
                self.end_verifier()
        return events

    def end_verifier(self) -> None:
        """The verifier is gone, as far as the edge can tell for no reason."""
        if self.verifier is not None:
            self.verifier.stop()
            self.verifier = None

    def close(self) -> None:
        """End everything."""
        self.captioner.close()
        self.end_verifier()


def clips(language: str) -> list[Utterance]:
    """The example clips, those in a language first."""
    paths = sorted((clip.path for clip in example_clips()), key=lambda path: not path.stem.endswith(f"_{language}"))
    return [load_utterance(path) for path in paths]


def runs(recorder: Recorder, wanted: Wanted) -> Iterator[list[Event]]:
    """Runs that may do, the likeliest first."""
    for options, utterance in product(wanted.options, clips(wanted.language)):
        if not wanted.cut:
            yield recorder.record(utterance, options, cut=False)
            continue
        # Ending a verifier takes a new one for the next trial, so a whole run says first whether it is worth it.
        trial = recorder.record(utterance, options, cut=False)
        if 2 <= sum(isinstance(event, BlockEscalated) for event in trial) <= 4:
            yield recorder.record(utterance, options, cut=True)


def find(recorder: Recorder, wanted: Iterable[Wanted]) -> dict[str, list[Event]]:
    """A run for every name; a later entry of the same name is tried where an earlier one found nothing.

    Raises:
        LookupError: If no clip does for a name: its settings must be widened.
    """
    found: dict[str, list[Event] | None] = {}
    for entry in wanted:
        if found.get(entry.name) is None:
            found[entry.name] = next((run for run in runs(recorder, entry) if entry.shows(caption_result(run))), None)
    missing = [name for name, run in found.items() if run is None]
    if missing:
        raise LookupError(f"no run for {', '.join(missing)}; widen the settings that are tried")
    return {name: run for name, run in found.items() if run is not None}


def check(folder: Path) -> None:
    """Every stop has its moment and its token.

    Raises:
        LookupError: If one has not.
    """
    for stop in load_tour(folder):
        _, state = stop_view(folder, stop)
        if stop.pin and state["pin"] is None:
            raise LookupError(f"the stop {stop.text!r} finds no token that is {stop.pin}")


def main() -> int:
    """Record, check, and put in place."""
    recorder = Recorder()
    try:
        found = find(recorder, WANTED)
    finally:
        recorder.close()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(FOLDER / "tour.json", folder)
        for trace, events in found.items():
            write_trace(folder / f"{trace}.jsonl", events)
        check(folder)
        for path in sorted(folder.glob("*.jsonl")):
            result = caption_result(found[path.stem])
            sent, size = result.counts["escalations"], path.stat().st_size / 1000
            print(f"{path.stem}: {size:.1f} kB, {sent} blocks sent: {result.caption.strip()}")
            shutil.copy(path, FOLDER / path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
