"""A gate that asks the verifier beforehand: the ceiling for any gate, and no way to caption.

It stands outside the loop. On a connection of its own the verifier gets the same utterance, under the same acceptance
rule, and is asked about every block; the block is sent if the verdict would put another token into it. A token that the
verifier would only add behind an accepted block (bonus) is no reason. What the asking costs is in no figure: its frames
are not in the ledger, and clocks of an oracle's captions are not reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from ugsd_core.caption_run import open_request
from ugsd_core.draft_block import DraftBlock, Gate, GateDecision
from ugsd_core.gate_card import GateCard, edge_posterior
from ugsd_core.messages import Event, PrefillDone, VerifyRequest

if TYPE_CHECKING:
    from ugsd_core.acoustic import AcousticCode
    from ugsd_core.drafter import Drafter
    from ugsd_core.options import DecodingOptions
    from ugsd_core.verifier import VerifierLink

__all__ = ["Oracle"]

#: Nobody waits for an oracle's clock, but a verifier that is gone must be noticed.
PATIENCE_S = 60.0


class Oracle:
    """The verifier's answers for one caption; the gate and what makes it.

    Args:
        drafter: The edge, for its prompt and its gate card.
        link: A connection that nothing else uses.
        code: Acoustic code of the utterance.
        utterance: Its id.
        options: Those of the caption.

    Raises:
        WireError: If the verifier can't be reached, here or with any block.
    """

    def __init__(
        self, drafter: Drafter, link: VerifierLink, code: AcousticCode, utterance: str, options: DecodingOptions
    ) -> None:
        self._link = link
        self._utterance = utterance
        self._options = options
        self._card: GateCard | None = None
        self._posterior: tuple[float, ...] | None = None
        self._held: tuple[int, ...] = ()
        self._sequence = 0
        link.connect(drafter.info, options.to_dict())
        link.open(open_request(utterance, code, drafter, options))
        link.opened(utterance, PATIENCE_S)

    def make_gate(
        self,
        options: DecodingOptions,
        utterance: str = "",
        *,
        card: GateCard | None = None,
        threshold: float | None = None,
    ) -> Gate:
        """This, as the gate of the caption; see `ugsd_core.gate.GateMaker`."""
        self._card = card
        return self

    def watch(self, events: Iterator[Event]) -> Iterator[Event]:
        """The caption's events, unchanged; the edge's view of the emotion is noted on the way."""
        for event in events:
            if isinstance(event, PrefillDone):
                self._posterior = event.label_posterior
            yield event

    def decide(self, block: DraftBlock) -> GateDecision:
        """Send what the verifier would change."""
        draft = tuple(token.token_id for token in block.tokens)
        known = _shared(self._held, block.ids_before)
        posterior = edge_posterior(block, self._posterior, self._card) if self._options.acceptance == "fused" else None
        verdict = self._link.judge(
            VerifyRequest(
                self._utterance,
                self._sequence,
                block.revision,
                known,
                block.ids_before[known:],
                draft,
                posterior,
            ),
            PATIENCE_S,
        )
        self._sequence += 1
        self._held = block.ids_before + draft[: verdict.accepted]
        changes = verdict.replacement is not None
        return GateDecision(changes, f"the oracle knows that the verifier would {'' if changes else 'not '}change it")


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    """How many ids two captions have in common from their start on."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
