"""A token and a block of a caption as the event stream told them: the parts of a `ugsd_core.result.CaptionResult`."""

from __future__ import annotations

from dataclasses import dataclass

from ugsd_core.messages import Alternative, TokenState

__all__ = ["BlockRecord", "TokenRecord"]


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token and everything known about it.

    Attributes:
        text: What it adds to the text; empty for the end of the turn and while a character is incomplete.
        state: ``"drafted"`` only if the stream ended before the token was decided.
        entropy_nats … fused_doubt: The draft's `Signals`; None for a token the edge did not draft.
        rank, probability: Under the verifier; None if it was not judged.
        draft_top, verifier_top: Best tokens of either side at this position, best first.
        drafted_s, decided_s: Times on the caption's clock.
    """

    id: int
    text: str
    position: int
    revision: int
    block: int
    state: TokenState
    entropy_nats: float | None = None
    margin: float | None = None
    nll_nats: float | None = None
    mc_dropout_nats: float | None = None
    label_mass: tuple[float, ...] | None = None
    label_entropy_nats: float | None = None
    head_doubt: float | None = None
    text_doubt: float | None = None
    fused_doubt: float | None = None
    rank: int | None = None
    probability: float | None = None
    draft_top: tuple[Alternative, ...] = ()
    verifier_top: tuple[Alternative, ...] = ()
    drafted_s: float | None = None
    decided_s: float | None = None


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """What became of a block. Times that were not measured for it are None.

    Attributes:
        length: Drafted tokens.
        outcome: ``"kept"``, ``"judged"``, ``"unverified"``, or ``"open"`` if the stream ended before.
        escalated: Whether it really was sent.
        accepted: Leading tokens that passed; None if it was not judged.
        changed: Whether the verdict changed the caption's ids; None if it was not judged.
        meaning_changed: Whether it changed what the caption says, as `ugsd_core.meaning` reads it; None likewise.
        reason: Why the gate decided so.
        failure: Why no verdict came; None unless the block is unverified.
        waited_ms: How long an unverified block waited in vain.
        tokens_ahead: Tokens drafted ahead while it was on its way.
    """

    block: int
    start: int
    length: int
    outcome: str = "open"
    escalated: bool = False
    score: float | None = None
    threshold: float | None = None
    trigger_position: int | None = None
    reason: str = ""
    ids_sent: int = 0
    accepted: int | None = None
    changed: bool | None = None
    meaning_changed: bool | None = None
    draft_ms: float | None = None
    network_ms: float | None = None
    queued_ms: float | None = None
    verify_ms: float | None = None
    merge_ms: float | None = None
    waited_ms: float | None = None
    failure: str | None = None
    tokens_ahead: int = 0
