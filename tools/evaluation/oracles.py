"""Gates that know the verifier's answer. They stand outside the loop: a ceiling for any gate, not a way to caption.

The oracle of ids asks the verifier the question that the loop would ask, on a session of its own; the oracles of labels
know from the clip's record what the verifier would make of a position, and of what the edge then drafts behind it. They
are put into the registry of gates while a tool runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ugsd_core.acoustic import AcousticCode
from ugsd_core.calibration.outcomes import RANK, Acceptance, Step, steps
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.drafter import StreamDraft, StreamDrafter
from ugsd_core.gate import GATES, DraftBlock, Gate, GateContext, GateDecision
from ugsd_core.gate_card import fusion_weight
from ugsd_core.messages import OpenRequest, VerifyRequest
from ugsd_core.options import DecodingOptions
from ugsd_core.verifier import LocalLink, TorchVerifier, VerifierUtterance

__all__ = ["ORACLES", "Oracle", "OracleLink", "WatchedDrafter"]

ORACLES = ("oracle_ids", "oracle_label", "oracle_repair")


class WatchedDrafter(StreamDrafter):
    """A drafter that remembers the draft it began last, so that an oracle can see the prefix."""

    draft: StreamDraft

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> StreamDraft:
        """Read the request (prefill)."""
        self.draft = super().begin(code, options, utterance)
        return self.draft


class OracleLink(LocalLink):
    """A link whose verifier can be asked twice: by the loop, and by the oracle beforehand."""

    asked: VerifierUtterance

    def __init__(self, verifier: TorchVerifier) -> None:
        super().__init__(verifier)
        self._again = verifier

    def open(self, request: OpenRequest) -> None:
        """Prefill for the loop, and for the oracle."""
        super().open(request)
        self.asked = self._again.open(request)


@dataclass
class Oracle:
    """Knows drafter, link and clip of the caption under way.

    Attributes:
        record: What calibration recorded of the clip: what either side would do at every emotion position.
    """

    drafter: WatchedDrafter
    link: OracleLink
    record: ClipRecord | None = None

    @contextmanager
    def registered(self) -> Iterator[None]:
        """The oracles among the gates, for as long as the context lasts."""
        for name in ORACLES:
            GATES.builtin[name] = lambda context, name=name: _OracleGate(self, name, context)  # type: ignore[misc]
        try:
            yield
        finally:
            for name in ORACLES:
                del GATES.builtin[name]

    def changes_ids(self, block: DraftBlock, context: GateContext) -> bool:
        """Whether the verifier would put another token into the block."""
        prefix = tuple(self.drafter.draft._ids[: block.start])
        ids = tuple(token.token_id for token in block.tokens)
        return self.link.asked.judge(VerifyRequest(context.utterance, 0, 0, 0, prefix, ids)).replacement is not None

    def step(self, block: DraftBlock, context: GateContext) -> Step | None:
        """What was recorded of the block's emotion position, if it has one."""
        assert self.record is not None
        acceptance = RANK
        if context.options.acceptance == "fused":
            fusion = fusion_weight(context.options.fusion, context.card)
            text, head = (0.5, 0.5) if context.card is None else context.card.edge_weights
            acceptance = Acceptance(fusion, (1.0 - fusion) * text, (1.0 - fusion) * head)
        places = {(token.position, token.token_id) for token in block.emotion_tokens}
        return _find(steps(self.record, acceptance), places)

    def worth_it(self, name: str, block: DraftBlock, context: GateContext) -> bool:
        """Whether the answer changes ids, the label, or mends a wrong label."""
        if name == "oracle_ids":
            return self.changes_ids(block, context)
        step = self.step(block, context) if block.emotion_tokens else None
        assert self.record is not None
        return step is not None and step.changes and (name == "oracle_label" or step.final == self.record.label)


def _find(left: Sequence[Step], places: set[tuple[int, int]]) -> Step | None:
    """The step at one of some places, by position and drafted token."""
    for step in left:
        found = step if (step.entry.position, step.entry.token_id) in places else _find(step.then, places)
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class _OracleGate(Gate):
    oracle: Oracle
    name: str
    context: GateContext

    def decide(self, block: DraftBlock) -> GateDecision:
        """Escalate what is worth it."""
        worth = self.oracle.worth_it(self.name, block, self.context)
        return GateDecision(worth, f"the oracle {'knows that it helps' if worth else 'knows that it does not help'}")
