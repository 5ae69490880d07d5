"""The run folder: what an evaluation leaves on disk, and how it is read. `docs/runs.md` has the schema.

    RUN/manifest.json   what was run: systems with all options, corpus, checkpoints, versions, device, seed
    RUN/clips.jsonl     one line a clip and system, appended and flushed as it comes; nothing else holds a result
    RUN/metrics.json    recomputed from clips.jsonl: metrics, ratios, bytes, comparisons; the same for the same captions
    RUN/timings.json    recomputed from clips.jsonl: clocks and resources, which differ from run to run
    RUN/traces/         the event streams, SYSTEM/CLIP.jsonl, unless they were not wanted

A line is a pair too (``id``, ``hypothesis``, ``references``), so that ``ugsd score`` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError

__all__ = [
    "CLIPS_FILE",
    "MANIFEST_FILE",
    "METRICS_FILE",
    "RUN_SCHEMA",
    "TIMINGS_FILE",
    "TRACES_FOLDER",
    "ClipLine",
    "append_line",
    "lines_of",
    "read_lines",
]

#: Counts up when old folders can no longer be read as new ones.
RUN_SCHEMA = 1
MANIFEST_FILE, CLIPS_FILE = "manifest.json", "clips.jsonl"
METRICS_FILE, TIMINGS_FILE, TRACES_FOLDER = "metrics.json", "timings.json", "traces"


@dataclass(frozen=True, slots=True)
class ClipLine:
    """One clip captioned by one system; a line of ``clips.jsonl``.

    Attributes:
        id, corpus, speaker, label: As in `ugsd_core.corpora.clip.CorpusClip`.
        path: The audio, relative to the corpus folder where it lies in it; for people and the page.
        hypothesis: The caption; None if it failed.
        order: Which of the clip's systems this was, 0 for the first; systems are interleaved A-B-B-A.
        counts: `CaptionResult.counts`, and ``sent`` and ``seen``: drafted tokens sent, caption tokens the verifier saw;
            ``lost``: 1 if the verifier was given up because deadlines were missed.
        ratios, clocks: As `CaptionResult` names them.
        blocks: ``draft_ms``, ``network_ms``, ``queued_ms``, ``verify_ms``, ``merge_ms``: one entry a block that has it;
            ``length``, ``escalated``, ``emotion``: one entry every block (drafted tokens; 1 or 0; 1 with an emotion
            position).
        bytes: ``up``, ``down`` (payload), ``wire_up``, ``wire_down`` (with padding), ``code`` (acoustic code), and
            ``waveform``: what stayed here. Handshakes are not counted (`docs/runs.md`).
        resources: ``edge_cpu_s``, ``verifier_cpu_s`` (processor seconds during the caption), ``edge_rss_mb``,
            ``verifier_rss_mb`` (after it), ``gpu_mb``; None where it could not be measured.
        wall_s: From the moment the recording was there to the caption's end, by the runner's clock.
        scores: Gate score and threshold of every block, for a budget that has to be taken up again.
        trace: Path of the event stream, relative to the run folder.
        error: What a person should know of a clip that failed; None otherwise.
        worker: Of a run that was shared out: the session, counted from 1, and the worker in it, such as ``"1.2"``.
    """

    id: str
    corpus: str
    system: str
    language: str
    hypothesis: str | None
    references: tuple[str, ...] = ()
    label: str | None = None
    speaker: str = ""
    path: str = ""
    duration_s: float | None = None
    order: int = 0
    finish_reason: str | None = None
    token_ids: tuple[int, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    ratios: dict[str, float | None] = field(default_factory=dict)
    clocks: dict[str, float | None] = field(default_factory=dict)
    blocks: dict[str, list[float]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    resources: dict[str, float | None] = field(default_factory=dict)
    wall_s: float | None = None
    scores: tuple[tuple[float | None, float | None], ...] = ()
    warnings: tuple[str, ...] = ()
    trace: str | None = None
    error: str | None = None
    worker: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What a resumed run recognises the line by."""
        return self.id, self.system

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"schema": RUN_SCHEMA} | asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ClipLine:
        """The inverse of `to_dict`.

        Raises:
            OptionError: If another version wrote it, or something is missing.
        """
        if values.get("schema") != RUN_SCHEMA:
            raise OptionError("the run was written by another version; evaluate again into another folder")
        known = {entry.name for entry in fields(cls)}
        try:
            rest = {key: value for key, value in values.items() if key in known}
            for name in ("references", "token_ids", "warnings"):
                rest[name] = tuple(rest[name])
            rest["scores"] = tuple((score, threshold) for score, threshold in rest["scores"])
            return cls(**rest)
        except (KeyError, TypeError, ValueError) as error:
            raise OptionError(f"a line of the run is damaged ({error}); delete it and resume the run") from error


def append_line(path: Path, line: ClipLine) -> None:
    """Add one line and flush it, so that a run that is killed leaves all it did."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(line.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")


def read_lines(path: Path) -> list[ClipLine]:
    """The lines of ``clips.jsonl``; a last line that was cut off is left out, of two for one key the later counts.

    Raises:
        OptionError: If a line is no result.
    """
    if not path.is_file():
        return []
    texts = path.read_text(encoding="utf-8").split("\n")
    texts.pop()  # empty, or what a killed process left
    found: dict[tuple[str, str], ClipLine] = {}
    for number, text in enumerate(texts, 1):
        try:
            line = ClipLine.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise OptionError(f"line {number} of {path} is damaged: {error.msg}; delete it and resume") from error
        found[line.key] = line
    return list(found.values())


def lines_of(lines: Iterable[ClipLine], system: str) -> list[ClipLine]:
    """The lines of one system."""
    return [line for line in lines if line.system == system]
