"""Captioning single clips for an evaluation, wherever that happens: in the run's own process, or in a worker's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.errors import AudioError, HandshakeRefused, ProtocolError, VerifierUnavailable, WireError
from ugsd_core.evaluation.clip_line import caption_line, connection_lost, failed_line
from ugsd_core.evaluation.plan import CaptionSource, System
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.messages import BlockUnverified, CaptionFinished, Event

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance

__all__ = ["Cancelled", "Captioned", "ClipCaptioner"]

#: A verifier that was lost gets so long before it is asked once more.
RETRY_AFTER_S = 1.0
#: Tokens of a caption that only warms up.
WARM_UP_TOKENS = 8


class Cancelled(Exception):
    """Somebody asked to stop."""


@dataclass(frozen=True, slots=True)
class Captioned:
    """What came of one clip by one system.

    Attributes:
        line: Without the path of a trace.
        events: Its stream; None if there is no caption.
        seconds: What it counts as captioning.
    """

    line: ClipLine
    events: list[Event] | None = None
    seconds: float | None = None


class ClipCaptioner:
    """Captions clips by systems.

    Args:
        source: Whoever captions.
        folder: Of the corpus, to which paths in lines are relative.
        recall: Takes a system's budget up where the lines of before left it; called before a caption is repeated.
        cancelled: Looked at between tokens; `Cancelled` is raised then.
    """

    def __init__(
        self,
        source: CaptionSource,
        language: str,
        folder: Path | None,
        recall: Callable[[System], None],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.source = source
        self.language = language
        self.folder = folder
        self._recall = recall
        self._cancelled = cancelled

    def warm_up(self, systems: Sequence[System]) -> float:
        """Let every system caption a second of noise, so that no clip pays for what is done once; seconds spent.

        Raises:
            UgsdError: What would have gone wrong with the first clip.
        """
        import numpy as np

        from ugsd_core.audio import utterance_from_samples

        noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
        utterance = utterance_from_samples(noise, 16_000)
        began = time.perf_counter()
        for system in systems:
            short = replace(system, options=system.options.changed(max_tokens=WARM_UP_TOKENS))
            self._events("the warm-up", utterance, short)
        return time.perf_counter() - began

    def clip(self, clip: CorpusClip, wanted: Sequence[tuple[int, System]]) -> Iterator[Captioned]:
        """One clip by some systems, each with its place among the clip's systems.

        Raises:
            VerifierUnavailable: If the verifier was lost and could not be reached again.
            UgsdError: What else a person can mend.
        """
        from ugsd_core.audio import load_utterance

        assert clip.path is not None
        self._look()
        try:
            utterance = load_utterance(clip.path, first_30_s=True)
        except AudioError as error:
            for order, system in wanted:
                yield self._failed(clip, order, system, error)
            return
        for order, system in wanted:
            yield self._caption(clip, utterance, order, system)

    def _failed(self, clip: CorpusClip, order: int, system: System, error: Exception) -> Captioned:
        return Captioned(failed_line(clip, self.language, system.name, order, str(error), self.folder))

    def _caption(self, clip: CorpusClip, utterance: Utterance, order: int, system: System) -> Captioned:
        try:
            events, wall_s, resources = self._events(f"{clip.id!r}", utterance, system)
        except ProtocolError as error:
            # The verifier is there and says that it can't do this one.
            return self._failed(clip, order, system, error)
        line = caption_line(
            clip,
            events,
            system.name,
            order,
            wall_s=wall_s,
            resources=resources,
            trace=None,
            timed=system.kind != "oracle",
            folder=self.folder,
        )
        # What an oracle spends is the verifier's work, whatever clock it falls on.
        return Captioned(line, events, wall_s if system.kind == "oracle" else line.clocks["total_s"])

    def _events(
        self, what: str, utterance: Utterance, system: System
    ) -> tuple[list[Event], float, dict[str, float | None]]:
        """A caption's stream, its wall time, and what it used.

        Where the verifier was lost, or a verdict came too late, the caption is written once more. A deadline that is
        missed again is the system's own figure.

        Raises:
            VerifierUnavailable: If it was lost twice.
            ProtocolError: If the verifier answered twice that it can't.
        """
        lost: str | None = None
        for attempt in range(2):
            if attempt:
                self._look()
                time.sleep(RETRY_AFTER_S)
                self._recall(system)
            try:
                before = self.source.resources()
                began = time.perf_counter()
                events, wall_s = self._stream(utterance, system, began)
                after = self.source.resources()
            except HandshakeRefused:
                raise
            except WireError as error:
                if attempt and isinstance(error, ProtocolError):
                    raise
                lost = str(error)
                continue
            lost = connection_lost(events)
            late = any(isinstance(event, BlockUnverified) for event in events)
            if lost is None and (attempt or not late):
                return events, wall_s, _used(before, after)
        raise VerifierUnavailable(
            f"the verifier was lost at {what} by {system.name} ({lost}). Everything before is kept: see that it runs, "
            "and resume with the same command."
        )

    def _stream(self, utterance: Utterance, system: System, began: float) -> tuple[list[Event], float]:
        """All events of a caption, and the seconds until the last."""
        events: list[Event] = []
        wall_s = 0.0
        stream = self.source.stream(utterance, system)
        try:
            for event in stream:
                events.append(event)
                if isinstance(event, CaptionFinished):
                    wall_s = time.perf_counter() - began
                else:
                    self._look()
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
        return events, wall_s

    def _look(self) -> None:
        if self._cancelled():
            raise Cancelled


def _used(before: dict[str, float | None], after: dict[str, float | None]) -> dict[str, float | None]:
    """Processor seconds between two measurements, and the memory of the second."""
    used = dict(after)
    for name in ("edge_cpu_s", "verifier_cpu_s"):
        early, late = before.get(name), after.get(name)
        # A verifier that was started anew in between counts from its own beginning, and the two do not compare.
        used[name] = None if early is None or late is None or late < early else late - early
    return used
