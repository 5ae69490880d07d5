"""The page's engine: the captioner on this machine, and the verifier process if the page started it."""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ugsd_core.captioner import Captioner
from ugsd_core.cli.edge_access import edge_token
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.keeper import VerifierKeeper
from ugsd_core.wire.process import VerifierProcess
from ugsd_core.wire.reconnect import ReconnectingLink, check_addresses
from ugsd_core.wire.shaped import Relays, ShapedLink
from ui.runs import AS_IS

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ugsd_core.evaluation.source import SystemSource
    from ugsd_core.messages import Event
    from ugsd_core.options import DecodingOptions
    from ugsd_core.wire.emulated import Conditions

__all__ = ["LiveEngine"]

#: Emulated links that stand ready at a time; a caption over another one ends the one that was not used for longest.
MOST_LINKS = 4


class LiveEngine:
    """Loads the models once and keeps the verifier alive.

    Args:
        edge: Edge checkpoint; None is the embedded one.
        verifier: Address of a running verifier, or several separated by commas; None starts one on loopback, and again
            should it have ended.
        verifier_args: Arguments for the verifier that is started here.
        device, dtype: Where and how the edge computes.
        backend: What computes it, as `Captioner.load` takes it.

    Raises:
        UgsdError: If a model cannot be loaded or the verifier does not start.
    """

    def __init__(
        self,
        edge: str | None = None,
        *,
        verifier: str | None = None,
        verifier_args: Sequence[str] = (),
        device: str = "cpu",
        dtype: str = "float32",
        backend: str = "auto",
    ) -> None:
        self._args = list(verifier_args)
        self._address = verifier
        self._edge = edge
        self._where = {"device": device, "dtype": dtype}
        self._lock = threading.Lock()
        # Captions over emulated links, by what these are like; nothing of them is shared with the others.
        self._emulated: dict[Conditions, tuple[ShapedLink, Captioner]] = {}
        self._relays = Relays(AS_IS)
        self._current: Captioner | None = None
        # The verifier's process loads its model while this one loads the edge.
        start = functools.partial(VerifierProcess, self._args, wait=False)
        self.keeper = VerifierKeeper(start) if verifier is None else None
        try:
            link = None if verifier is None else _lasting(verifier)  # a mistyped address is told at once
            self.captioner = Captioner.load(edge, link=link, device=device, dtype=dtype, backend=backend)
            self.captioner.warm_up()
            if self.keeper is not None:
                importlib.import_module("ui.page")  # gradio takes seconds; the verifier's process takes its own beside
                self.keeper.wait_ready()
                self.captioner.link = _lasting(self.keeper.addresses)
        except BaseException:
            self.close()
            raise

    @property
    def vocabulary_size(self) -> int:
        """See `ui.runs.Engine`."""
        return self.captioner.drafter.info.vocabulary_size

    def prepare(self) -> None:
        """Wait for our verifier if it has ended and is being started again; one that others run is their business."""
        with self._lock:
            if self.keeper is None or self.keeper.running:
                return
            self.keeper.wait_ready()
            for captioner in (self.captioner, *(captioner for _, captioner in self._emulated.values())):
                if captioner.link is not None:
                    captioner.link.close()  # connects anew at once, whatever it waits for

    def stream(self, utterance: Utterance, options: DecodingOptions, link: Conditions = AS_IS) -> Iterator[Event]:
        """See `ui.runs.Engine`."""
        self._current = self.captioner if link.plain or options.mode == "edge" else self._over(link)
        return self._current.stream(utterance, options)

    def _over(self, conditions: Conditions) -> Captioner:
        """The captioner over an emulated link; the links used last stand ready."""
        found = self._emulated.pop(conditions, None)
        if found is None:
            addresses = self._address if self.keeper is None else self.keeper.addresses
            assert addresses is not None
            link = ShapedLink(addresses, conditions, access_token=_token())
            found = link, self.captioner.over(link, str(conditions))
        self._emulated[conditions] = found
        while len(self._emulated) > MOST_LINKS:
            self._emulated.pop(next(iter(self._emulated)))[0].__exit__()
        return found[1]

    def evaluation_source(self, link: Conditions = AS_IS) -> SystemSource:
        """Whoever captions for an evaluation: the same models, over connections of their own."""
        from ugsd_core.evaluation.manifest import checkpoint_facts
        from ugsd_core.evaluation.source import SystemSource
        from ugsd_core.models.loading import default_checkpoint

        def files(checkpoint: str | None, side: Literal["edge", "verifier"]) -> dict[str, Any]:
            return self._where | checkpoint_facts(Path(checkpoint) if checkpoint else default_checkpoint(side))

        named = dict(zip(self._args[::2], self._args[1::2], strict=False)).get("--checkpoint")
        verifier = {"address": self._address} if self._address else files(named, "verifier")
        self._relays.close()  # of the evaluation before; there is one at a time
        self._relays = relays = Relays(link)
        return SystemSource(
            self.captioner.drafter,
            lambda: self._connection(relays),
            verifier_pid=lambda: None if self.keeper is None else self.keeper.child.pid,
            facts={"device": self._where["device"], "edge": files(self._edge, "edge"), "verifier": verifier},
            conditions=link,
        )

    def _connection(self, relays: Relays) -> WebSocketLink:
        self.prepare()
        if self.keeper is not None:
            return WebSocketLink(relays.to(self.keeper.wait_ready()), access_token=_token())
        assert self._address is not None
        return WebSocketLink(relays.to(check_addresses(self._address)[0]), access_token=_token())

    def interrupt(self) -> None:
        """See `ui.runs.Engine`; the next caption connects anew."""
        current = self._current or self.captioner
        if current.link is not None:
            current.link.close()

    def close(self) -> None:
        """End the connection and our verifier."""
        for link, _ in self._emulated.values():
            link.__exit__()
        self._emulated.clear()
        self._relays.close()
        captioner = getattr(self, "captioner", None)
        if captioner is not None:
            captioner.close()
        if self.keeper is not None:
            self.keeper.stop()


def _token() -> str | None:
    """What a verifier is shown: the token of the environment, if there is one."""
    return edge_token()


def _lasting(addresses: str | Callable[[], Sequence[str]]) -> ReconnectingLink:
    return ReconnectingLink(addresses, access_token=_token())
