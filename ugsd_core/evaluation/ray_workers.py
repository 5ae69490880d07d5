"""Workers of an evaluation on a Ray cluster. Needs the extra *ray*, on every node in the same version.

    driver ── a clip's bytes ──► worker: edge, and a link to its verifier ── lines and events ──► driver ──► run folder

The driver alone reads the corpus and writes the run folder: no disk is shared. Recordings and captions do cross the
cluster's network. Without an address each node has one verifier, which its workers share.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from ugsd_core import __version__
from ugsd_core.errors import OptionError, UgsdError
from ugsd_core.evaluation.clip_worker import CaptionWorker, NodeVerifier, WorkerSettings
from ugsd_core.evaluation.sharing import ClipTask, Done, Lost, Outcome

__all__ = ["RayWorkers"]

#: New workers for lost ones, for each that was asked for.
REPLACEMENTS = 3
#: Longest wait for the first worker to have loaded.
LOAD_S = 600.0


class RayWorkers:
    """Workers on a cluster that this process is connected to; `ugsd_core.evaluation.sharing.ClipWorkers`.

    Args:
        workers: How many; None takes as many as the cluster has room for now.
        gpus: Of each worker, and of the verifier of each node.

    Attributes:
        warm_up_s: The longest warm-up of a worker so far; seconds.
        pids: Processes of the workers that have loaded, on their nodes.

    Raises:
        OptionError: If that is no number of workers.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        workers: int | None = None,
        *,
        gpus: float = 0.0,
        told: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        import ray

        self._ray = ray
        self._settings = settings
        self._gpus = gpus
        self._told = told
        room = _room(ray.cluster_resources(), settings.threads, gpus)
        count = room if workers is None else workers
        if count < 1:
            raise OptionError("an evaluation needs at least 1 worker; the cluster has no room for one")
        self._spare = REPLACEMENTS * count
        self.warm_up_s = 0.0
        self.pids: dict[str, int] = {}
        self._actors: dict[str, Any] = {}
        self._nodes: dict[str, tuple[int, Any]] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._described: dict[str, Any] | None = None
        # Of each call under way: whose it is, and the task it does; None while the worker loads.
        self._calls: dict[Any, tuple[str, int | None]] = {}
        self._placing: dict[Any, str] = {}
        self._ready: set[str] = set()
        for _ in range(count):
            self._start()

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers and the verifiers of their nodes."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        for _, verifier in self._nodes.values():
            if verifier is not None:
                with contextlib.suppress(self._ray.exceptions.RayError):
                    self._ray.get(verifier.stop.remote(), timeout=10.0)
                self._ray.kill(verifier)

    # ── ClipWorkers ───────────────────────────────────────────────────────────────────────────────────────────────

    def describe(self) -> dict[str, Any]:
        """See `ClipWorkers.describe`; waits until one worker has loaded."""
        ends_at = time.monotonic() + LOAD_S
        while self._described is None:
            self.wait(0.5)
            if time.monotonic() > ends_at:
                raise OptionError("no worker could be started on the cluster; `ray status` says what it waits for")
        return self._described

    def facts(self) -> dict[str, dict[str, Any]]:
        """See `ClipWorkers.facts`."""
        return self._facts

    def idle(self) -> Sequence[str]:
        """See `ClipWorkers.idle`."""
        busy = {worker for worker, _ in self._calls.values()}
        return sorted(self._ready - busy, key=int)

    def give(self, worker: str, task: ClipTask, language: str) -> None:
        """See `ClipWorkers.give`."""
        self._calls[self._actors[worker].caption.remote(task, language)] = worker, task.number

    def wait(self, seconds: float) -> Sequence[Outcome]:
        """See `ClipWorkers.wait`."""
        calls = [*self._calls, *self._placing]
        if not calls:
            if not self._ready:
                raise OptionError("all workers were lost; see `ray status`, and resume with the same command")
            return ()
        done, _ = self._ray.wait(calls, timeout=seconds)
        found = []
        for call in done:
            outcome = self._placed(call) if call in self._placing else self._came(call)
            if outcome is not None:
                found.append(outcome)
        return found

    def stop(self) -> None:
        """See `ClipWorkers.stop`. What they do is not worth waiting for."""
        self.close()

    # ── Workers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self) -> None:
        name = str(len(self._facts) + 1)
        actor = self._ray.remote(CaptionWorker).options(num_cpus=self._settings.threads, num_gpus=self._gpus)
        self._actors[name] = actor.remote(self._settings)
        self._facts[name] = {"node": None, "machine": None, "threads": self._settings.threads, "lost": False}
        self._placing[self._actors[name].node.remote()] = name

    def _placed(self, call: Any) -> Outcome | None:
        """A worker has a node: let it load."""
        name = self._placing.pop(call)
        try:
            node = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            return self._lost(name, None, error)
        if node not in self._nodes:
            self._nodes[node] = len(self._nodes) + 1, self._node_verifier(node)
        number, verifier = self._nodes[node]
        self._facts[name]["node"] = number
        self._calls[self._actors[name].load.remote(verifier)] = name, None
        return None

    def _node_verifier(self, node: str) -> Any:
        settings = self._settings
        if settings.verifier is not None or not settings.needs_verifier or settings.made_by:
            return None
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        where = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self._ray.remote(NodeVerifier).options(num_cpus=0, num_gpus=self._gpus, scheduling_strategy=where)
        return actor.remote(settings)

    def _came(self, call: Any) -> Outcome | None:
        worker, task = self._calls.pop(call)
        try:
            found = self._ray.get(call)
        except self._ray.exceptions.RayTaskError:
            raise  # a bug
        except self._ray.exceptions.RayError as error:
            return self._lost(worker, task, error)
        if isinstance(found, UgsdError):
            raise found
        if task is None:
            self._loaded(worker, found)
            return None
        warm_up_s, captioned = found
        self.warm_up_s = max(self.warm_up_s, warm_up_s)
        return Done(task, worker, captioned)

    def _loaded(self, worker: str, found: dict[str, Any]) -> None:
        described = found.pop("describe")
        if found["ugsd"] != __version__:
            raise OptionError(
                f"a node has UGSD Studio {found['ugsd']}, this machine {__version__}; install one version"
            )
        if self._described is None:
            self._described = described
        differing = [
            side for side in ("edge", "verifier") if _identity(described[side]) != _identity(self._described[side])
        ]
        if differing:
            raise OptionError(f"the nodes do not have the same checkpoint ({', '.join(differing)}); copy it to all")
        self._facts[worker] |= {key: found[key] for key in ("machine", "versions")}
        self.pids[worker] = found["pid"]
        self._facts[worker]["device"] = described.get("device")
        self._ready.add(worker)

    def _lost(self, worker: str, task: int | None, error: Exception) -> Outcome:
        """A worker is gone; another one is started in its place, as long as that may help."""
        self._ready.discard(worker)
        self._actors.pop(worker, None)
        self._facts[worker]["lost"] = True
        self._told(f"worker {worker} was lost ({type(error).__name__}); its clip is done again")
        if self._spare:
            self._spare -= 1
            self._start()
        return Lost(worker, task)


def _identity(side: dict[str, Any] | None) -> dict[str, Any]:
    """What has to be the same on all nodes."""
    keys = ("name", "tokenizer_fingerprint", "feature_fingerprint", "dtype", "files_sha256")
    return {key: (side or {}).get(key) for key in keys}


def _room(resources: dict[str, float], cpus: int, gpus: float) -> int:
    """Workers that a cluster has room for."""
    room = int(resources.get("CPU", 0.0) // max(1, cpus))
    return min(room, int(resources.get("GPU", 0.0) // gpus)) if gpus else room
