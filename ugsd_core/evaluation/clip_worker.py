"""What one worker of a shared run does: load an edge, and caption the clips it is given.

Made as actors by `ugsd_core.evaluation.ray_workers`; tests make them in their own process.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ugsd_core import __version__
from ugsd_core.errors import OptionError, UgsdError, VerifierUnavailable, WireError
from ugsd_core.evaluation.clip_work import Captioned, ClipCaptioner
from ugsd_core.evaluation.manifest import machine, versions
from ugsd_core.evaluation.plan import CaptionSource, System
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.evaluation.sharing import ClipTask
from ugsd_core.wire.emulated import Conditions

__all__ = ["CaptionWorker", "NodeVerifier", "WorkerSettings", "plain"]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker loads.

    Attributes:
        edge, verifier_checkpoint: Names or folders that every node finds; None is the embedded one.
        verifier: Address of a running verifier, as seen from the nodes; None starts one on each.
        needs_verifier: False for the edge alone.
        backend: What computes the edge, as `Captioner.load` takes it.
        conditions: What the links are like; None leaves them as they are.
        threads: Of torch in each worker.
        made_by: ``module:callable`` that gives a `CaptionSource`; empty loads the checkpoints.
    """

    edge: str | None = None
    verifier: str | None = None
    verifier_checkpoint: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    needs_verifier: bool = True
    access_token: str | None = None
    backend: str = "auto"
    conditions: Conditions | None = None
    threads: int = 1
    made_by: str = ""

    @property
    def verifier_words(self) -> list[str]:
        """Arguments of the verifier that a node starts."""
        words = ["--device", self.device, "--dtype", self.dtype]
        return [*words, "--checkpoint", self.verifier_checkpoint] if self.verifier_checkpoint else words


class NodeVerifier:
    """An actor: the verifier of a node, started again should it end."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._words = settings.verifier_words
        self._child: Any = None

    def where(self) -> tuple[str, int, str | None] | str:
        """Address, process and access token; or why there is none."""
        from ugsd_core.wire.own import own_token
        from ugsd_core.wire.process import VerifierProcess

        try:
            if self._child is not None and not self._child.alive:
                self._child.stop()
                self._child = None
            if self._child is None:
                self._child = VerifierProcess(self._words)
            address: str = self._child.address
            return address, self._child.pid, own_token(address)
        except UgsdError as error:
            return str(error)

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.stop()


class CaptionWorker:
    """An actor: one edge that captions a clip at a time. Errors for people come back as values."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._source: CaptionSource | None = None
        self._warm: set[str] = set()
        self._lines: dict[str, list[ClipLine]] = {}

    def node(self) -> str:
        """The node it runs on, as Ray names it."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def load(self, verifier: Any) -> dict[str, Any] | UgsdError:
        """Load the edge; what it is and where it runs."""
        try:
            self._source = self._loaded(verifier)
            return {
                "describe": self._source.describe(),
                "pid": os.getpid(),
                "ugsd": __version__,
                "machine": machine(),
                "versions": versions(),
            }
        except UgsdError as error:
            return plain(error)

    def caption(self, task: ClipTask, language: str) -> tuple[float, tuple[Captioned, ...]] | UgsdError:
        """Seconds of a warm-up, if one was due, and what came of the clip."""
        assert self._source is not None and task.clip.path is not None
        systems = [system for _, system in task.wanted]
        if task.recall is not None:
            self._lines[task.serial] = list(task.recall)
        with tempfile.TemporaryDirectory(prefix="ugsd-") as folder:
            path = Path(folder, task.clip.path.name)
            path.write_bytes(task.audio)
            clip = replace(task.clip, path=path)
            work = ClipCaptioner(self._source, language, None, self._recall)
            try:
                warm_up_s = self._warm_up(work, systems)
                if warm_up_s or task.recall is not None:
                    for system in systems:
                        self._recall(system)
                found = tuple(work.clip(clip, task.wanted))
            except UgsdError as error:
                return plain(error)
        if task.serial:
            self._lines.setdefault(task.serial, []).extend(captioned.line for captioned in found)
        return warm_up_s, found

    def _warm_up(self, work: ClipCaptioner, systems: Sequence[System]) -> float:
        # A random gate is the same system before and after its rate is known, but not the same settings.
        cold = [system for system in systems if repr(system) not in self._warm]
        if not cold:
            return 0.0
        self._warm |= {repr(system) for system in cold}
        return work.warm_up(cold)

    def _recall(self, system: System) -> None:
        recall = getattr(self._source, "recall", None)
        if recall is not None:
            recall(system, self._lines.get(system.name, []))

    def _loaded(self, verifier: Any) -> CaptionSource:
        settings = self._settings
        if settings.made_by:
            from importlib import import_module

            module, _, name = settings.made_by.partition(":")
            made: CaptionSource = getattr(import_module(module), name)()
            return made
        import torch

        from ugsd_core.evaluation.source import PairSource

        if settings.device == "cpu":
            torch.set_num_threads(settings.threads)
        return PairSource(
            settings.edge,
            verifier=settings.verifier,
            verifier_checkpoint=settings.verifier_checkpoint,
            device=settings.device,
            dtype=settings.dtype,
            needs_verifier=settings.needs_verifier,
            access_token=settings.access_token,
            backend=settings.backend,
            conditions=settings.conditions,
            shared=None if verifier is None else lambda: _where(verifier),
        )


def _where(verifier: Any) -> tuple[str, int, str | None]:
    """Address, process and access token of the node's verifier.

    Raises:
        VerifierUnavailable: If it does not start.
    """
    import ray

    try:
        found = ray.get(verifier.where.remote())
    except ray.exceptions.RayError as error:
        raise VerifierUnavailable("the verifier of this node is gone") from error
    if isinstance(found, str):
        raise VerifierUnavailable(found)
    address, pid, token = found
    return address, pid, token


def plain(error: UgsdError) -> UgsdError:
    """An error that can cross between processes, of a kind the run knows."""
    if isinstance(error, WireError):
        return VerifierUnavailable(str(error))
    return OptionError(str(error))
