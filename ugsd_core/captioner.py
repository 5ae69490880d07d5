"""The edge as a whole: an utterance and options in, events out. What the page and the command line hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ugsd_core.acceptance import rank_warning
from ugsd_core.acoustic import encode_waveform
from ugsd_core.budget import BudgetKeeper
from ugsd_core.decoding import decode
from ugsd_core.gate import GateMaker, first_threshold, gate, gate_warnings
from ugsd_core.messages import CaptionStarted, Event, FeaturesReady
from ugsd_core.options import DecodingOptions
from ugsd_core.pace import Pace

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ugsd_core.drafter import Drafter
    from ugsd_core.verifier import VerifierLink

__all__ = ["Captioner"]

#: Budget keepers, and paces, held at a time; the one that was not used for longest is forgotten first.
KEEPERS = 32


class Captioner:
    """A drafter, and a link to a verifier unless only the edge is used.

    One caption at a time uses the link; the drafter's weights may be shared. Where a budget is set, captions of the
    same kind share a keeper, so that the budget holds over all of them and not in each.

    Attributes:
        emulated: What of the link is emulated, as `CaptionStarted` has it.
    """

    def __init__(self, drafter: Drafter, link: VerifierLink | None = None, *, emulated: str = "") -> None:
        self.drafter = drafter
        self.link = link
        self.emulated = emulated
        self._keepers: OrderedDict[tuple[object, ...], BudgetKeeper] = OrderedDict()
        self._paces: OrderedDict[tuple[object, ...], Pace] = OrderedDict()

    @classmethod
    def load(
        cls,
        edge: str | Path | None = None,
        *,
        link: VerifierLink | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        backend: str = "auto",
    ) -> Captioner:
        """Load an edge checkpoint (None: the embedded edge).

        Args:
            backend: What computes it, one of `ugsd_core.models.backends.BACKENDS`.

        Raises:
            CheckpointError, OptionError, InstallationError: As `load_edge_model`.
        """
        from ugsd_core.drafter import StreamDrafter
        from ugsd_core.models.backends import load_edge_model
        from ugsd_core.models.loading import default_checkpoint

        model = load_edge_model(edge or default_checkpoint("edge"), backend, device=device, dtype=dtype)
        for language in ("en", "zh"):  # now, and not on the clock of the first caption
            model.emotion_tokens(language)
        return cls(StreamDrafter(model), link)

    def warm_up(self) -> None:
        """Caption half a second of noise once, so that the first visitor does not pay for lazy initialisation."""
        import numpy as np

        from ugsd_core.audio import utterance_from_samples

        noise = np.random.default_rng(0).standard_normal(8_000).astype(np.float32) * 0.1
        options = DecodingOptions(mode="edge", max_tokens=4)
        for _ in self.stream(utterance_from_samples(noise, 16_000), options):
            pass

    def stream(
        self,
        utterance: Utterance,
        options: DecodingOptions,
        *,
        keeper: BudgetKeeper | None = None,
        make_gate: GateMaker = gate,
    ) -> Iterator[Event]:
        """Caption an utterance; the waveform goes no further than this function.

        Args:
            utterance: The recording.
            options: Who decides, and how.
            keeper: Of a budget; None takes the one that captions of this kind share.
            make_gate: As `decode` takes it.

        Yields:
            `CaptionStarted` first, `CaptionFinished` last. Closing the generator cancels on both sides.

        Raises:
            OptionError, HandshakeRefused, WireError: As `decode`.
        """
        started_at = perf_counter()
        info = self.drafter.info
        warning = rank_warning(options, info.vocabulary_size)
        card = self.drafter.gate_card(options.language)
        warnings = (*utterance.warnings, *([warning] if warning else []))
        warnings += gate_warnings(options, card, has_head=self.drafter.has_head)
        yield CaptionStarted(
            0.0,
            utterance.id,
            utterance.duration_s,
            utterance.waveform_bytes,
            options.language,
            options.mode,
            options.to_dict(),
            {"edge": asdict(info) | {"backend": self.drafter.backend}},
            info.vocabulary_size,
            warnings,
            "" if options.mode == "edge" else self.emulated,
        )
        began = perf_counter()
        code = encode_waveform(utterance.samples, self.drafter.features)
        ended = perf_counter()
        yield FeaturesReady(ended - started_at, (ended - began) * 1e3, code.n_frames, len(code.payload), code.sha256)
        keeper = self.budget_keeper(options) if keeper is None else keeper
        yield from decode(
            code,
            utterance.id,
            self.drafter,
            self.link,
            options,
            started_at=started_at,
            keeper=keeper,
            make_gate=make_gate,
            pace=self._pace(options),
        )

    def _pace(self, options: DecodingOptions) -> Pace | None:
        """What captions of these settings over this link taught; None if nobody asks."""
        if options.mode != "ugsd" or not (options.ahead or options.block_length == "delay"):
            return None
        key = tuple(options.to_dict().values())
        pace = self._paces.setdefault(key, Pace())
        self._paces.move_to_end(key)
        if len(self._paces) > KEEPERS:
            self._paces.popitem(last=False)
        return pace

    def over(self, link: VerifierLink, emulated: str) -> Captioner:
        """The same edge over another link; budgets are kept together."""
        other = Captioner(self.drafter, link, emulated=emulated)
        other._keepers = self._keepers
        return other

    def budget_keeper(self, options: DecodingOptions) -> BudgetKeeper | None:
        """What keeps the budget of these options; None if there is none to keep, or a promise comes first.

        Scores of one gate in one language, drafted in blocks of one kind, are comparable; other settings may differ.
        """
        o = options
        if not _has_budget(o):
            return None
        key = (o.language, o.gate, o.tau, o.budget, o.cut, o.block_length, o.k, o.temperature)
        keeper = self._keepers.pop(key, None)
        if keeper is None:
            keeper = self.new_keeper(o)
            assert keeper is not None
        self._keepers[key] = keeper
        if len(self._keepers) > KEEPERS:
            self._keepers.popitem(last=False)
        return keeper

    def new_keeper(self, options: DecodingOptions) -> BudgetKeeper | None:
        """A keeper of its own, which has seen no caption; None if there is no budget to keep."""
        if not _has_budget(options) or options.budget is None:
            return None
        return BudgetKeeper(options.budget, first_threshold(options, self.drafter.gate_card(options.language)))

    def close(self) -> None:
        """End the connection, if there is one."""
        if self.link is not None:
            self.link.close()


def _has_budget(options: DecodingOptions) -> bool:
    """Whether a budget is in force; a promise comes before it."""
    return options.mode == "ugsd" and options.budget is not None and options.promise is None
