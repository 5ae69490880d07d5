"""Gates that know the verifier's answer. They stand outside the loop: a ceiling for any gate, not a way to caption.

An oracle asks the verifier the question that the loop would ask, on a session of its own, and escalates only where the
answer is worth it. It is put into the registry of gates while a tool runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ugsd_core.acoustic import AcousticCode
from ugsd_core.drafter import TorchDraft, TorchDrafter
from ugsd_core.gate import GATES, DraftBlock, Gate, GateContext, GateDecision
from ugsd_core.gate_card import edge_posterior
from ugsd_core.messages import OpenRequest, Verdict, VerifyRequest
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions
from ugsd_core.verifier import LocalLink, TorchVerifier, VerifierUtterance

__all__ = ["ORACLES", "Oracle", "OracleLink", "WatchedDrafter"]

ORACLES = ("oracle_ids", "oracle_label", "oracle_repair")


class WatchedDrafter(TorchDrafter):
    """A drafter that remembers the draft it began last, so that an oracle can see the prefix."""

    draft: TorchDraft

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> TorchDraft:
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
        edge: For the labels of its tokens.
        edge_label: The label that the edge alone names (index); None if none.
        gold: The clip's own label (index); None if unknown.
    """

    edge: SpeechModel
    drafter: WatchedDrafter
    link: OracleLink
    edge_label: int | None = None
    gold: int | None = None

    @contextmanager
    def registered(self) -> Iterator[None]:
        """The oracles among the gates, for as long as the context lasts."""
        for name in ORACLES:
            GATES[name] = lambda context, name=name: _OracleGate(self, name, context)  # type: ignore[misc]
        try:
            yield
        finally:
            for name in ORACLES:
                del GATES[name]

    def verdict(self, block: DraftBlock, context: GateContext) -> Verdict:
        """What the verifier would say to the block."""
        posterior = None
        if context.options.acceptance == "fused":
            posterior = edge_posterior(block, self.drafter.draft.label_posterior, context.card)
        prefix = tuple(self.drafter.draft._ids[: block.start])
        ids = tuple(token.token_id for token in block.tokens)
        return self.link.asked.judge(VerifyRequest(context.utterance, 0, 0, 0, prefix, ids, posterior))

    def worth_it(self, name: str, block: DraftBlock, context: GateContext) -> bool:
        """Whether the answer changes ids, the label, or mends a wrong label."""
        if name != "oracle_ids" and not block.emotion_tokens:
            return False
        verdict = self.verdict(block, context)
        if verdict.replacement is None or name == "oracle_ids":
            return verdict.replacement is not None
        tokens = self.edge.emotion_tokens(context.options.language)
        new, drafted = tokens.label_of(verdict.replacement), tokens.label_of(block.tokens[verdict.accepted].token_id)
        old = self.edge_label if drafted is None else drafted
        changes = new is not None and new != old
        return changes and (name == "oracle_label" or (new == self.gold and old != self.gold))


@dataclass(frozen=True, slots=True)
class _OracleGate(Gate):
    oracle: Oracle
    name: str
    context: GateContext

    def decide(self, block: DraftBlock) -> GateDecision:
        """Escalate what is worth it."""
        worth = self.oracle.worth_it(self.name, block, self.context)
        return GateDecision(worth, f"the oracle {'knows that it helps' if worth else 'knows that it does not help'}")
