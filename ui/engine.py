"""The page's engine: the captioner on this machine, and the verifier process if the page started it."""

from __future__ import annotations

import functools
import importlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ugsd_core.captioner import Captioner
from ugsd_core.cli.parser import TOKEN_VARIABLE
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.keeper import VerifierKeeper
from ugsd_core.wire.process import VerifierProcess
from ugsd_core.wire.reconnect import ReconnectingLink, check_addresses

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ugsd_core.evaluation.source import SystemSource
    from ugsd_core.messages import Event
    from ugsd_core.options import DecodingOptions

__all__ = ["LiveEngine"]


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
            if self.captioner.link is not None:
                self.captioner.link.close()  # connects anew at once, whatever it waits for

    def stream(self, utterance: Utterance, options: DecodingOptions) -> Iterator[Event]:
        """See `ui.runs.Engine`."""
        return self.captioner.stream(utterance, options)

    def evaluation_source(self) -> SystemSource:
        """Whoever captions for an evaluation: the same models, over connections of their own."""
        from ugsd_core.evaluation.manifest import checkpoint_facts
        from ugsd_core.evaluation.source import SystemSource
        from ugsd_core.models.loading import default_checkpoint

        def files(checkpoint: str | None, side: Literal["edge", "verifier"]) -> dict[str, Any]:
            return self._where | checkpoint_facts(Path(checkpoint) if checkpoint else default_checkpoint(side))

        named = dict(zip(self._args[::2], self._args[1::2], strict=False)).get("--checkpoint")
        verifier = {"address": self._address} if self._address else files(named, "verifier")
        return SystemSource(
            self.captioner.drafter,
            self._connection,
            verifier_pid=lambda: None if self.keeper is None else self.keeper.child.pid,
            facts={"device": self._where["device"], "edge": files(self._edge, "edge"), "verifier": verifier},
        )

    def _connection(self) -> WebSocketLink:
        self.prepare()
        if self.keeper is not None:
            return WebSocketLink(self.keeper.wait_ready(), access_token=_token())
        assert self._address is not None
        return WebSocketLink(check_addresses(self._address)[0], access_token=_token())

    def interrupt(self) -> None:
        """See `ui.runs.Engine`; the next caption connects anew."""
        if self.captioner.link is not None:
            self.captioner.link.close()

    def close(self) -> None:
        """End the connection and our verifier."""
        captioner = getattr(self, "captioner", None)
        if captioner is not None:
            captioner.close()
        if self.keeper is not None:
            self.keeper.stop()


def _token() -> str | None:
    """What a verifier is shown: the token of the environment, if there is one."""
    return os.environ.get(TOKEN_VARIABLE) or None


def _lasting(addresses: str | Callable[[], Sequence[str]]) -> ReconnectingLink:
    return ReconnectingLink(addresses, access_token=_token())
