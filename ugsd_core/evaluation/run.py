"""An evaluation: every clip captioned by every system, line by line, so that a run that stops can go on.

Clips come in the corpus' order. Of each clip the recording is read once, then the systems follow each other, forward on
even clips and backward on odd ones (A-B-B-A), so that a drift of the machine falls on all alike. Random gates come in a
second pass: they send as much as another system did, which is known only when that has captioned every clip.

Nothing is kept but lines. A resumed run reads them, shows budgets what they had seen, and goes on at the first caption
that is missing; it ends with the same captions as one that never stopped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.clip_line import emotion_share, pooled_rho
from ugsd_core.evaluation.clip_work import Cancelled, Captioned, ClipCaptioner
from ugsd_core.evaluation.folder import RunFolder
from ugsd_core.evaluation.manifest import check_same, new_manifest, now
from ugsd_core.evaluation.plan import CaptionSource, EvaluationPlan, Step, System
from ugsd_core.evaluation.records import ClipLine, lines_of
from ugsd_core.evaluation.session import Session
from ugsd_core.evaluation.sharing import ClipWorkers, Sharing, tasks_for
from ugsd_core.evaluation.systems import systems_for

__all__ = ["RemembersBudgets", "chosen_clips", "evaluate"]


@runtime_checkable
class RemembersBudgets(Protocol):
    """A `CaptionSource` that keeps budgets of its own for an evaluation's systems."""

    def recall(self, system: System, lines: Sequence[ClipLine]) -> None:
        """Take a system up where these lines left it: its budget has seen them and nothing else."""


def chosen_clips(plan: EvaluationPlan) -> tuple[CorpusClip, ...]:
    """The clips that will be captioned, in the corpus' order.

    A limit draws by the seed, in a way that gives the same clips everywhere, and a larger one the same and more.

    Raises:
        OptionError: If no clip can be used.
    """
    usable = plan.corpus.usable(plan.language)
    if not usable:
        raise OptionError(
            f"no clip of {plan.corpus.name!r} can be captioned and scored in {plan.language!r}: each needs its audio, "
            "and a reference in that language or a label"
        )
    if plan.limit is None or plan.limit >= len(usable):
        return usable
    if plan.limit < 1:
        raise OptionError(f"a limit takes at least 1 clip, not {plan.limit}")

    def drawn(clip: CorpusClip) -> str:
        return hashlib.sha256(f"{plan.seed}/{clip.id}".encode("utf-8", "surrogatepass")).hexdigest()

    chosen = {clip.id for clip in sorted(usable, key=drawn)[: plan.limit]}
    return tuple(clip for clip in usable if clip.id in chosen)


def evaluate(
    plan: EvaluationPlan,
    source: CaptionSource | ClipWorkers,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    notes: Mapping[str, Any] | None = None,
) -> Generator[Step, None, None]:
    """Caption what is missing.

    Args:
        plan: What is to be done; a run that is in its folder goes on if it is the same (`check_same`).
        source: Whoever captions: one clip after the other, or workers among which clips are shared out.
        cancelled: Looked at between tokens. A caption under way is dropped, all others are kept.
        notes: Kept in the manifest of a new run, such as the command line.

    Yields:
        A step without a line first, then one for each line that was appended. Fewer than all of them come if the run
        was cancelled. Closing the iterator cancels too.

    Raises:
        OptionError: If the folder holds another run or is in use, or nothing can be captioned.
        VerifierUnavailable: If the verifier was lost and could not be reached again; resuming goes on there.
        UgsdError: What else a person can mend, such as a verifier that does not fit the edge.
    """
    systems_for(plan.systems, plan.language)
    clips = chosen_clips(plan)
    with RunFolder(plan.folder) as folder, closing(_Evaluation(plan, clips, source, folder, cancelled)) as run:
        yield from run.steps(notes or {})


class _Evaluation:
    """One process' part of a run.

    Attributes:
        lines: All lines, those of earlier processes first.
        session: What this process spent; None before it captions.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        clips: Sequence[CorpusClip],
        source: CaptionSource | ClipWorkers,
        folder: RunFolder,
        cancelled: Callable[[], bool],
    ) -> None:
        self.plan = plan
        self.clips = clips
        self.source = source
        self.folder = folder
        self.cancelled = cancelled
        self.work: ClipCaptioner | ClipWorkers = (
            source
            if isinstance(source, ClipWorkers)
            else ClipCaptioner(source, plan.language, plan.corpus.folder, self._recall, cancelled)
        )
        self.manifest: dict[str, Any] = {}
        self.lines: dict[tuple[str, str], ClipLine] = {}
        self.session: Session | None = None

    @property
    def total(self) -> int:
        """Captions of the systems that were asked for."""
        return len(self.clips) * len(self.plan.systems)

    @property
    def done(self) -> int:
        """How many of them are there."""
        return sum((clip.id, system.name) in self.lines for system in self.plan.systems for clip in self.clips)

    def steps(self, notes: Mapping[str, Any]) -> Iterator[Step]:
        """See `evaluate`."""
        self._take_up(notes)
        done = self.done
        yield Step(done, self.total)
        began, before = time.monotonic(), done
        try:
            for line in self._run():
                done += 1
                left = (time.monotonic() - began) / (done - before) * (self.total - done)
                yield Step(done, self.total, left, line)
        except Cancelled:
            return
        names = [entry["name"] for entry in self.manifest["systems"]]
        whole = all((clip.id, name) in self.lines for name in names for clip in self.clips)
        if whole and (done > before or self.manifest["finished"] is None):
            self.manifest["finished"] = now()

    def close(self) -> None:
        """Say in the manifest how far this process came."""
        if self.manifest:
            self._note()

    def _take_up(self, notes: Mapping[str, Any]) -> None:
        """A new manifest, or that of the run that is here, widened by systems it did not have."""
        new = new_manifest(self.plan, self.clips, self.source.describe(), notes)
        old = self.folder.manifest()
        self.lines = {line.key: line for line in self.folder.lines()}
        if old is None and self.lines:
            raise OptionError(f"{self.plan.folder} holds captions without a manifest; name another folder with --out")
        if old is not None:
            check_same(old, new)
            there = {entry["name"] for entry in old["systems"]}
            added = [entry for entry in new["systems"] if entry["name"] not in there]
            systems = [*old["systems"], *added]
            checkpoints = {
                side: old["checkpoints"].get(side) or new["checkpoints"][side] for side in new["checkpoints"]
            }
            new = old | {
                "systems": systems,
                "captions": len(self.clips) * len(systems),
                "checkpoints": checkpoints,
                "finished": None if added else old["finished"],
            }
        self.manifest = new
        self.folder.write_manifest(new)

    def _run(self) -> Iterator[ClipLine]:
        first = [system for system in self.plan.systems if system.kind != "random"]
        yield from self._pass(first, 0)
        matched = [system for system in self.plan.systems if system.kind == "random"]
        yield from self._pass([self._with_rate(system) for system in matched], len(first))

    def _pass(self, systems: Sequence[System], order: int) -> Iterator[ClipLine]:
        """All clips by some systems; the first of them counts as number ``order`` of a clip."""
        missing = [system for system in systems if any((c.id, system.name) not in self.lines for c in self.clips)]
        if not missing:
            return
        if isinstance(self.work, ClipWorkers):
            yield from self._spread(self.work, systems, order)
            return
        self._warm_up(missing)
        for system in missing:
            self._recall(system)
        for index, clip in enumerate(self.clips):
            turn = systems if index % 2 == 0 else tuple(reversed(systems))
            wanted = [(n, s) for n, s in enumerate(turn, order) if (clip.id, s.name) not in self.lines]
            if wanted:
                yield from self._clip(clip, wanted)

    def _recall(self, system: System) -> None:
        """Let the source's budgets be where the lines leave them, which they see in the order of the clips."""
        if isinstance(self.source, RemembersBudgets):
            lines = (self.lines.get((clip.id, system.name)) for clip in self.clips)
            self.source.recall(system, [line for line in lines if line is not None])

    def _with_rate(self, system: System) -> System:
        """A random gate with the rate of its system, which every clip is known of by now.

        Each block is drawn with the same chance, so that of the drafted tokens just this share is sent on average; a
        gate that draws among emotion positions alone draws so much more often there.
        """
        lines = lines_of(self.lines.values(), system.matched)
        rho = pooled_rho(lines)
        share = emotion_share(lines) if system.options.gate == "random_emotion" else 1.0
        probability = round(min(1.0, rho / share), 6) if share else 0.0
        self.manifest["matched"][system.name] = {
            "system": system.matched,
            "transmission_rate": rho,
            "share_drawn_from": share,
            "escalation_probability": probability,
        }
        return replace(system, options=system.options.changed(escalation_probability=probability))

    # ── Captions ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _warm_up(self, systems: Sequence[System]) -> None:
        """See `ClipCaptioner.warm_up`."""
        assert isinstance(self.work, ClipCaptioner)
        seconds = self.work.warm_up(systems)
        self._begin().warmed_up(seconds)

    def _begin(self) -> Session:
        """What this process spends, from now on."""
        if self.session is None:
            self.session = Session()
            self.manifest["sessions"].append(self.session.facts)
        return self.session

    def _clip(self, clip: CorpusClip, wanted: Sequence[tuple[int, System]]) -> Iterator[ClipLine]:
        """One clip by some systems."""
        assert isinstance(self.work, ClipCaptioner)
        for captioned in self.work.clip(clip, wanted):
            yield self._keep(captioned)

    def _spread(self, work: ClipWorkers, systems: Sequence[System], order: int) -> Iterator[ClipLine]:
        """As the loop of `_pass`, by workers elsewhere: in the order in which they come back."""
        lines = {name: [self.lines[key] for key in self._keys(name) if key in self.lines] for name in self._names()}
        session = self._begin()
        tasks = tasks_for(self.clips, systems, order, lambda clip, name: (clip, name) in self.lines)
        share = Sharing(self.plan, tasks, lines, self.cancelled)
        with closing(share.by(work)) as results:
            for worker, captioned in results:
                session.of_workers(work.facts(), work.warm_up_s)
                line = replace(captioned.line, worker=f"{len(self.manifest['sessions'])}.{worker}")
                yield self._keep(replace(captioned, line=line))

    def _names(self) -> list[str]:
        return [system.name for system in self.plan.systems]

    def _keys(self, system: str) -> Iterator[tuple[str, str]]:
        return ((clip.id, system) for clip in self.clips)

    # ── Keeping ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _keep(self, captioned: Captioned) -> ClipLine:
        line = captioned.line
        if self.plan.traces and captioned.events is not None:
            line = replace(line, trace=self.folder.write_trace(line.system, line.id, captioned.events))
        if self.session is not None and line.error is None:
            self.session.captioned(line, captioned.seconds)
        self.folder.append(line)
        self.lines[line.key] = line
        if self.session is not None and self.session.due():
            self._note(sync=False)
        return line

    def _note(self, *, sync: bool = True) -> None:
        if self.session is not None:
            self.session.update()
        self.folder.write_manifest(self.manifest, sync=sync)
