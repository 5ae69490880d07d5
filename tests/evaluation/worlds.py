"""Small corpora of real files and sources that caption without a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes import ScriptedDrafter, ScriptedVerifier
from tests.test_decoding import HIGH, LOW
from ugsd_core.audio import Utterance
from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.evaluation.plan import EvaluationPlan, Step, System
from ugsd_core.evaluation.records import CLIPS_FILE, ClipLine, read_lines
from ugsd_core.evaluation.run import evaluate
from ugsd_core.evaluation.source import SystemSource
from ugsd_core.evaluation.systems import parse_systems
from ugsd_core.messages import Event
from ugsd_core.verifier import LocalLink

__all__ = ["FakeSource", "captions", "corpus", "facts", "plan_for", "run_all", "slow_source", "write_wav"]

#: What differs from one run to the next whatever is done.
MEASURED = ("clocks", "wall_s", "resources", "worker")


def write_wav(path: Path, seed: int, duration_s: float = 0.5) -> Path:
    """A wobbling tone in noise, different for each seed."""
    import soundfile

    random = np.random.default_rng(seed)
    t = np.arange(int(16_000 * duration_s)) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * random.uniform(90, 400) * t) + 0.05 * random.standard_normal(t.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave.astype(np.float32), 16_000)
    return path


def corpus(folder: Path, clips: int = 4, *, broken: Sequence[int] = ()) -> Corpus:
    """Clips ``c0``, ``c1`` … with a reference each; broken ones are no sound files."""
    found = []
    for n in range(clips):
        path = folder / "audio" / f"c{n}.wav"
        if n in broken:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"this is no sound")
        else:
            write_wav(path, n)
        found.append(CorpusClip(f"c{n}", "small", path, {"en": (f"Reference {n}.",)}, "sad", f"s{n % 2}"))
    problems = (Problem("missing_audio", "clip 'x' has no recording", "x"),)
    return Corpus("small", "manifest", tuple(found), problems, folder)


def plan_for(
    folder: Path, of: Corpus, systems: str = "edge,cloud,ugsd", own: Sequence[str] = (), **changes: Any
) -> EvaluationPlan:
    return replace(EvaluationPlan(of, "en", parse_systems(systems, own), folder), **changes)


@dataclass
class FakeSource:
    """A scripted pair, and a record of what it was asked.

    Attributes:
        lost: Captions, counted from 0 over all, at which the verifier is away.
        asked: System and utterance of every caption, warm-ups included.
    """

    unsure: dict[int, float] = field(default_factory=lambda: {3: 2.0})
    lost: set[int] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    on_event: Callable[[], None] = lambda: None
    checkpoint: str = "fake-edge"
    link: str | None = None

    def __post_init__(self) -> None:
        self.drafter = ScriptedDrafter(LOW, unsure=self.unsure)
        self.verifier = ScriptedVerifier(HIGH)
        self.inner = SystemSource(self.drafter, lambda: LocalLink(self.verifier))

    def stream(self, utterance: Utterance, system: System) -> Iterator[Event]:
        self.asked.append((system.name, utterance.id))
        if len(self.asked) - 1 in self.lost:
            raise VerifierUnavailable("nobody answers")
        for event in self.inner.stream(utterance, system):
            yield event
            self.on_event()

    def recall(self, system: System, lines: Sequence[ClipLine]) -> None:
        self.inner.recall(system, lines)

    def describe(self) -> dict[str, Any]:
        edge = asdict(self.drafter.info) | {"name": self.checkpoint}
        return {"edge": edge, "verifier": asdict(self.verifier.info), "device": "none", "link": self.link}

    def resources(self) -> dict[str, float | None]:
        return dict.fromkeys(("edge_cpu_s", "verifier_cpu_s", "edge_rss_mb", "verifier_rss_mb", "gpu_mb"), 1.0)


def slow_source() -> FakeSource:
    """One that leaves time to be ended in the middle."""
    return FakeSource(on_event=lambda: time.sleep(0.02))


def run_all(plan: EvaluationPlan, source: Any = None, **changes: Any) -> list[Step]:
    return list(evaluate(plan, source or FakeSource(), **changes))


def captions(folder: Path) -> list[ClipLine]:
    return read_lines(folder / CLIPS_FILE)


def facts(line: ClipLine) -> dict[str, Any]:
    """What two runs of the same captions agree in."""
    values = {key: value for key, value in line.to_dict().items() if key not in MEASURED}
    return values | {"blocks": {key: value for key, value in line.blocks.items() if not key.endswith("_ms")}}
