"""Whoever captions for an evaluation: systems on a drafter and a verifier, wherever those come from.

Every caption has a connection of its own, which stands before its clock starts. So no system rides on another's: a
session remembers the acoustic codes it sent, and whoever came second would send a name in place of the code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugsd_core.captioner import Captioner
from ugsd_core.errors import OptionError, VerifierUnavailable
from ugsd_core.evaluation.clip_line import keep_in_mind
from ugsd_core.evaluation.manifest import checkpoint_facts
from ugsd_core.evaluation.oracle import Oracle
from ugsd_core.evaluation.plan import System
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.evaluation.resources import ResourceMeter
from ugsd_core.messages import Event
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.process import VerifierProcess

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ugsd_core.budget import BudgetKeeper
    from ugsd_core.drafter import Drafter
    from ugsd_core.verifier import VerifierLink

__all__ = ["PairSource", "SystemSource"]


class SystemSource:
    """Captions with a drafter and a verifier that others hold; a `ugsd_core.evaluation.plan.CaptionSource`.

    Args:
        drafter: The edge.
        open_link: Makes a connection to the verifier that nothing else uses, and sees that there is a verifier, if
            that is ours to do; None if no system needs one.
        verifier_pid: Its process on this machine, if it is one of ours.
        facts: What else `describe` should say.
    """

    def __init__(
        self,
        drafter: Drafter,
        open_link: Callable[[], VerifierLink] | None = None,
        *,
        verifier_pid: Callable[[], int | None] = lambda: None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.drafter = drafter
        self._open_link = open_link
        self._verifier_pid = verifier_pid
        self._facts = facts or {}
        self._keepers: dict[str, BudgetKeeper | None] = {}
        self._meter: tuple[int | None, ResourceMeter] | None = None

    def stream(self, utterance: Utterance, system: System) -> Iterator[Event]:
        """Caption an utterance; closing the iterator cancels.

        Raises:
            VerifierUnavailable: If there is no verifier for a system that needs one.
            UgsdError: As `Captioner.stream`.
        """
        options = system.options
        with ExitStack() as stack:
            link = None if options.mode == "edge" else self._link(stack)
            if link is not None:
                link.connect(self.drafter.info, options.to_dict())
            captioner = Captioner(self.drafter, link)
            if system.kind != "oracle":
                yield from captioner.stream(utterance, options, keeper=self._keeper(captioner, system))
                return
            oracle = self._oracle(utterance, system, stack)
            yield from oracle.watch(captioner.stream(utterance, options, make_gate=oracle.make_gate))

    def recall(self, system: System, lines: Sequence[ClipLine]) -> None:
        """Take a system up where these lines left it: its budget has seen them and nothing else."""
        keeper = Captioner(self.drafter).new_keeper(system.options)
        if keeper is not None:
            keep_in_mind(keeper, lines)
        self._keepers[system.name] = keeper

    def describe(self) -> dict[str, Any]:
        """Checkpoints and devices, for the manifest.

        Raises:
            WireError: If the verifier can't be reached, or does not fit the edge.
        """
        found: dict[str, Any] = {"device": None} | self._facts
        found |= {
            "edge": asdict(self.drafter.info) | {"backend": self.drafter.backend} | (self._facts.get("edge") or {}),
            "verifier": None,
        }
        if self._open_link is not None:
            with ExitStack() as stack:
                info = self._link(stack).connect(self.drafter.info, {})
            found["verifier"] = asdict(info) | (self._facts.get("verifier") or {})
        return found

    def resources(self) -> dict[str, float | None]:
        """See `CaptionSource.resources`."""
        pid = self._verifier_pid()
        if self._meter is None or self._meter[0] != pid:
            self._meter = pid, ResourceMeter(pid)
        return self._meter[1].measure()

    def _link(self, stack: ExitStack) -> VerifierLink:
        if self._open_link is None:
            raise VerifierUnavailable("a system needs a verifier, and none was started")
        link = self._open_link()
        stack.callback(link.close)
        return link

    def _keeper(self, captioner: Captioner, system: System) -> BudgetKeeper | None:
        """The system's own, so that two systems with one budget do not spend each other's."""
        if system.name not in self._keepers:
            self._keepers[system.name] = captioner.new_keeper(system.options)
        return self._keepers[system.name]

    def _oracle(self, utterance: Utterance, system: System, stack: ExitStack) -> Oracle:
        from ugsd_core.acoustic import encode_waveform

        if system.options.mode != "ugsd":
            raise OptionError(f"the oracle {system.name!r} needs mode 'ugsd', not {system.options.mode!r}")
        code = encode_waveform(utterance.samples, self.drafter.features)
        return Oracle(self.drafter, self._link(stack), code, utterance.id, system.options)


class PairSource(SystemSource):
    """An edge that is loaded here, and a verifier process of its own or one that runs already. A context manager.

    Args:
        edge: Edge checkpoint; None is the embedded one.
        verifier: Address of a running verifier; None starts one, and again should it end.
        verifier_checkpoint: What the verifier started here loads; None is the embedded one.
        device, dtype: Where and how both compute.
        backend: What computes the edge, as `Captioner.load` takes it.
        needs_verifier: False starts none, for the edge alone.
        access_token: For verifiers that ask for one.

    Raises:
        UgsdError: If a model can't be loaded or the verifier does not start.
    """

    def __init__(
        self,
        edge: str | Path | None = None,
        *,
        verifier: str | None = None,
        verifier_checkpoint: str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        backend: str = "auto",
        needs_verifier: bool = True,
        access_token: str | None = None,
    ) -> None:
        self._address = verifier
        self._access_token = access_token
        words = ["--device", device, "--dtype", dtype]
        self._words = [*words, "--checkpoint", verifier_checkpoint] if verifier_checkpoint else words
        # The verifier's process loads its model while this one loads the edge.
        starts = needs_verifier and verifier is None
        self._child = VerifierProcess(self._words, wait=False) if starts else None
        try:
            captioner = Captioner.load(edge, device=device, dtype=dtype, backend=backend)
            captioner.warm_up()
            if self._child is not None:
                self._child.wait_ready()
        except BaseException:
            self.close()
            raise
        super().__init__(
            captioner.drafter,
            self._connection if needs_verifier else None,
            verifier_pid=lambda: None if self._child is None else self._child.pid,
            facts=_facts(edge, verifier_checkpoint, verifier, device, dtype),
        )

    def __enter__(self) -> PairSource:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the verifier that was started here."""
        if self._child is not None:
            self._child.stop()

    def _connection(self) -> VerifierLink:
        if self._child is not None and not self._child.alive:
            self._child.stop()
            self._child = VerifierProcess(self._words)
        address = self._address if self._child is None else self._child.address
        assert address is not None
        return WebSocketLink(address, access_token=self._access_token)


def _facts(
    edge: str | Path | None, verifier_checkpoint: str | None, address: str | None, device: str, dtype: str
) -> dict[str, Any]:
    """What the manifest says beside names and fingerprints; of a verifier elsewhere only what it says itself."""
    from ugsd_core.models.loading import default_checkpoint

    torch = sys.modules.get("torch")  # an edge on onnxruntime needs none

    def files(checkpoint: str | Path | None, side: Any) -> dict[str, Any]:
        folder = Path(checkpoint).expanduser() if checkpoint else default_checkpoint(side)
        return {"device": device, "dtype": dtype} | checkpoint_facts(folder)

    return {
        "edge": files(edge, "edge"),
        "verifier": {"address": address} if address else files(verifier_checkpoint, "verifier"),
        "device": _device_name(device),
        "threads": {
            "torch": torch.get_num_threads() if torch else None,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        },
    }


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    import torch

    if torch.cuda.is_available():
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device
