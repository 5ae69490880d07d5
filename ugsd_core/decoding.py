"""The loop: draft a block, ask the gate, keep it or have it judged, go on.

Edge-only is this loop with a gate that never escalates. In cloud-only mode the verifier writes alone from the same
acoustic code; each of its tokens is a *bonus* token behind an empty block. The loop yields events and changes nothing
else: whoever closes the generator cancels the caption on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from time import perf_counter

from ugsd_core.acceptance import acceptance_rule, raise_refusal
from ugsd_core.acoustic import AcousticCode
from ugsd_core.block_length import BlockOutcome, block_length
from ugsd_core.budget import BudgetKeeper
from ugsd_core.caption_run import CaptionRun
from ugsd_core.draft_block import DraftBlock, DraftToken, GateDecision
from ugsd_core.drafter import Draft, Drafter
from ugsd_core.errors import HandshakeRefused, ProtocolError, VerdictTimeout, VerifierBusy, WireError
from ugsd_core.gate import GateMaker, gate
from ugsd_core.gate_card import GateCard, edge_posterior
from ugsd_core.inquiry import Inquiry
from ugsd_core.lookout import Lookout
from ugsd_core.messages import (
    Alternative,
    BlockEscalated,
    BlockJudged,
    BlockKept,
    BlockUnverified,
    Event,
    GenerateRequest,
    PrefillDone,
    TokenDecided,
    TokenDrafted,
    TokenState,
    Verdict,
    VerifyRequest,
)
from ugsd_core.options import DecodingOptions
from ugsd_core.pace import BlockTimes, Pace
from ugsd_core.verifier import RecoveringLink, VerifierLink
from ugsd_core.wire.deadline import CEILING_S

__all__ = ["decode"]

#: After this many deadlines missed in a row the verifier counts as lost for the rest of the caption.
MISSED_DEADLINES = 2
#: So much of the longest wait for one verdict may a caption wait in vain altogether.
MOST_IN_VAIN = 2.0


def decode(
    code: AcousticCode,
    utterance: str,
    drafter: Drafter,
    link: VerifierLink | None,
    options: DecodingOptions,
    *,
    started_at: float | None = None,
    keeper: BudgetKeeper | None = None,
    make_gate: GateMaker = gate,
    pace: Pace | None = None,
) -> Iterator[Event]:
    """Write one caption.

    Args:
        code: Acoustic code of the utterance.
        utterance: Its id.
        drafter: The edge.
        link: To the verifier; not touched in edge-only mode, where it may be None.
        options: Who decides, and how.
        started_at: `time.perf_counter` when the utterance was complete; the clock of ``t_s``.
        keeper: Gives the gate's threshold and takes the finished caption into account; None leaves the threshold to
            the options and the gate card.
        make_gate: Makes the gate; by default from the options alone.
        pace: What earlier captions taught of passes, waits and verdicts; None begins anew.

    Yields:
        Events from `VerifierReady` (if any) to `CaptionFinished`.

    Raises:
        HandshakeRefused: If the verifier does not fit the edge.
        WireError: In cloud-only mode, if the verifier cannot be reached or breaks off.
        OptionError: If an option has no meaning.
    """
    # A misspelt rule is told at once, not when the first block happens to escalate.
    acceptance_rule(options.acceptance, rank=options.rank, probability=options.probability)
    started_at = perf_counter() if started_at is None else started_at
    pace = Pace() if pace is None else pace
    run = _Run(code, utterance, drafter, link, options, started_at, keeper=keeper, make_gate=make_gate, pace=pace)
    try:
        yield from run.cloud() if options.mode == "cloud" else run.edge()
    finally:
        run.close()


@dataclass
class _Run(CaptionRun):
    """One caption.

    Attributes:
        keeper: Of the budget, if there is one to keep.
        make_gate: Makes the gate.
        card: What calibration found for the edge in the caption's language.
        revision: Verdicts that have changed the caption so far.
        missed, vain_s: Deadlines missed in a row, and time waited for verdicts that did not come.
        entropy: Of the last committed token; None if that was the verifier's.
        drafted, sent: Tokens drafted, and how many of them went to the verifier.
        scores: What the keeper wants to know of each block.
        pace: What earlier captions and this one taught.
    """

    keeper: BudgetKeeper | None = None
    make_gate: GateMaker = gate
    card: GateCard | None = None
    revision: int = 0
    sequence: int = 0
    missed: int = 0
    vain_s: float = 0.0
    entropy: float | None = None
    drafted: int = 0
    sent: int = 0
    scores: list[tuple[float, int]] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)

    # ── The loop ──────────────────────────────────────────────────────────────────────────────────────────────────

    def edge(self) -> Iterator[Event]:
        """Edge-only and UGSD."""
        self.card = self.drafter.gate_card(self.options.language)
        threshold = None if self.keeper is None else self.keeper.threshold
        chosen_gate = self.make_gate(self.options, self.utterance, card=self.card, threshold=threshold)
        lengths = block_length(self.options, self.pace)
        if self.options.mode == "ugsd":
            try:
                yield from self.open()
            except HandshakeRefused:
                raise
            except WireError as error:
                raise_refusal(error)
                yield from self.lose(str(error))
        else:
            self.link = None
        draft = self.drafter.begin(self.code, self.options, self.utterance)
        yield PrefillDone(self.now(), "edge", draft.input_tokens, draft.prefill_ms, draft.label_posterior)
        index = 0
        while not self.finished():
            began = perf_counter()
            tokens: list[DraftToken] = []
            yield from self.draft_block(draft, index, lengths.next_length(), tokens)
            draft_ms = (perf_counter() - began) * 1e3
            times = BlockTimes(len(tokens), None if any(token.ahead for token in tokens) else draft_ms)
            text = "".join(self.pieces)
            block = DraftBlock(index, self.revision, len(self.ids), tuple(tokens), text, self.entropy, tuple(self.ids))
            decision = chosen_gate.decide(block)
            self.count(block, decision)
            if not decision.escalate:
                yield from self.keep(block, decision, draft_ms)
                outcome: BlockOutcome = "kept"
            else:
                outcome, verdict, waited_ms = yield from self.escalate(draft, block, decision, draft_ms)
                if verdict is not None:
                    times = replace(times, round_trip_ms=waited_ms, accepted=verdict.accepted, first=self.sequence == 1)
            self.pace.learn(times, sent=decision.escalate)
            lengths.observe(outcome, times)
            index += 1
        if self.keeper is not None and self.link is not None:  # without a verifier nothing could be spent
            self.keeper.observe(self.scores, self.drafted, self.sent)
        yield from self.finish()

    def draft_block(self, draft: Draft, index: int, length: int, tokens: list[DraftToken]) -> Iterator[TokenDrafted]:
        """Draft up to ``length`` tokens, fewer at the end of the turn, the maximum length, or where a block is cut.

        Args:
            tokens: Gets them.
        """
        start, most = len(self.ids), self.options.max_tokens
        cut = self.options.cut == "emotion"
        within = False  # an emotion word
        for position in range(start, min(start + length, most)):
            if cut and position > start:
                # Looked at before it is drafted, so that the token behind a cut belongs to no block yet.
                place = draft.peek_emotion(self.revision)
                if (place != "continues") if within else (place is not None):
                    return
            token = draft.next(self.revision, last=position == most - 1)
            tokens.append(token)
            yield TokenDrafted(
                self.now(),
                position,
                self.revision,
                index,
                token.token_id,
                token.text,
                token.signals,
                token.top,
                token.ahead,
            )
            if token.token_id in self.drafter.end_ids:
                return
            within = token.emotion is not None

    def count(self, block: DraftBlock, decision: GateDecision) -> None:
        """Note a block for the keeper; one that another rule sends would be sent whatever the threshold."""
        self.drafted += len(block.tokens)
        if decision.score is not None:
            self.scores.append((decision.score, len(block.tokens)))
        elif decision.escalate:
            self.scores.append((inf, len(block.tokens)))

    def keep(self, block: DraftBlock, decision: GateDecision, draft_ms: float) -> Iterator[Event]:
        """Commit a block without the verifier."""
        yield BlockKept(
            self.now(),
            block.index,
            block.revision,
            block.start,
            len(block.tokens),
            draft_ms,
            decision.score,
            decision.threshold,
            decision.reason,
        )
        for token in block.tokens:
            yield self.commit(block, token, "kept_local")

    def escalate(
        self, draft: Draft, block: DraftBlock, decision: GateDecision, draft_ms: float
    ) -> Generator[Event, None, tuple[BlockOutcome, Verdict | None, float]]:
        """Have a block judged and merge the verdict; without one in time its tokens stay as drafted.

        Returns:
            The block's outcome, the verdict if one came, and how long that took in milliseconds: for what learns.
        """
        if not (yield from self.reach()):
            yield from self.leave_unverified(block, 0.0, "the verifier is away")
            return "unverified", None, 0.0
        assert self.link is not None
        committed = tuple(self.ids[self.acknowledged :])
        draft_ids = tuple(token.token_id for token in block.tokens)
        posterior = None
        if self.options.acceptance == "fused":
            posterior = edge_posterior(block, draft.label_posterior, self.card)
        request = VerifyRequest(
            self.utterance, self.sequence, block.revision, self.acknowledged, committed, draft_ids, posterior
        )
        yield BlockEscalated(
            self.now(),
            block.index,
            block.revision,
            block.start,
            len(block.tokens),
            self.sequence,
            draft_ms,
            decision.score,
            decision.threshold,
            decision.trigger_position,
            decision.reason,
            len(committed) + len(draft_ids),
        )
        self.sequence += 1
        self.sent += len(draft_ids)
        asked = perf_counter()
        inquiry = Inquiry(self.link, request, self.deadline_s())
        try:
            verdict = inquiry.verdict(self.look_ahead(draft, block))
            self.check(request, verdict)
        except (VerdictTimeout, VerifierBusy) as error:
            waited_s = perf_counter() - asked
            self.missed += 1
            self.vain_s += waited_s
            yield from self.frames()
            yield from self.leave_unverified(block, waited_s * 1e3, str(error), inquiry.tokens_ahead)
            if self.missed >= MISSED_DEADLINES:
                yield from self.lose(f"the verifier missed {self.missed} deadlines in a row", for_good=True)
            elif self.vain_s >= MOST_IN_VAIN * self.longest_s():
                yield from self.lose("the verifier missed too many deadlines", for_good=True)
            return "unverified", None, 0.0
        except WireError as error:
            raise_refusal(error)
            yield from self.lose(str(error))
            yield from self.leave_unverified(block, (perf_counter() - asked) * 1e3, str(error), inquiry.tokens_ahead)
            return "unverified", None, 0.0
        self.missed = 0
        yield from self.frames()
        yield from self.merge(draft, block, verdict, inquiry)
        return "accepted" if verdict.replacement is None else "corrected", verdict, inquiry.round_trip_s * 1e3

    def look_ahead(self, draft: Draft, block: DraftBlock) -> Callable[[Callable[[float], bool]], int] | None:
        """What the edge does while a verdict is on its way: go on silently; None if it waits."""
        if not self.options.ahead or getattr(self.link, "at_hand", False):
            return None
        lookout = Lookout(self.pace, len(block.tokens), bonus=self.options.bonus, first=self.sequence == 1)
        return lambda answered: draft.ahead(block.revision, partial(lookout.is_there, answered))

    def longest_s(self) -> float:
        """The longest wait for a verdict."""
        return CEILING_S if self.options.deadline_s is None else self.options.deadline_s

    def deadline_s(self) -> float:
        """How long to wait for the next verdict."""
        learned = isinstance(self.link, RecoveringLink) and self.options.deadline_s is None
        wait_s = self.link.deadline_s() if learned else self.longest_s()  # type: ignore[union-attr]
        return min(wait_s, max(0.0, MOST_IN_VAIN * self.longest_s() - self.vain_s))

    def check(self, request: VerifyRequest, verdict: Verdict) -> None:
        """Hold that a verdict answers the request; a verifier that errs is as good as none."""
        failed = verdict.replacement is not None
        extra = [token_id for token_id in (verdict.replacement, verdict.bonus) if token_id is not None]
        ids = [*extra, *(i for judged in verdict.judged for i, _ in judged.top), *(i for i, _ in verdict.bonus_top)]
        consistent = (
            len(verdict.judged) == verdict.accepted + failed
            and verdict.accepted + failed <= len(request.draft)
            and (failed or verdict.accepted == len(request.draft))
            and all(0 <= token_id < self.drafter.info.vocabulary_size for token_id in ids)
        )
        if not consistent:
            raise ProtocolError("the verifier sent a verdict that does not fit the block", "bad_verdict")

    def merge(self, draft: Draft, block: DraftBlock, verdict: Verdict, inquiry: Inquiry) -> Iterator[Event]:
        """Commit what was accepted, put the verifier's token in the rejected one's place, drop the rest."""
        began = perf_counter()
        accepted = verdict.accepted
        end = block.start + accepted
        ended = accepted > 0 and block.tokens[accepted - 1].token_id in self.drafter.end_ids
        extra = verdict.bonus if verdict.replacement is None else verdict.replacement
        if extra is not None and (ended or end >= self.options.max_tokens):
            extra = None
        events: list[Event] = []
        for token, judged in zip(block.tokens, verdict.judged, strict=False):
            state: TokenState = "accepted" if token.position < end else "rejected"
            top = draft.alternatives(token.position, judged.top)
            events.append(self.commit(block, token, state, judged.rank, judged.probability, top))
        events += [self.commit(block, token, "ignored") for token in block.tokens[len(verdict.judged) :]]
        draft.rollback(end)
        self.acknowledged = end
        if extra is not None:
            self.revision += 1
            text = draft.append(extra, last=end == self.options.max_tokens - 1)
            pairs = verdict.bonus_top if verdict.replacement is None else verdict.judged[-1].top
            # A fused rule may name another token than the verifier's best, even one outside its list.
            rank, probability = next(((n, p) for n, (i, p) in enumerate(pairs, 1) if i == extra), (None, None))
            new_state: TokenState = "bonus" if verdict.replacement is None else "corrected"
            alternatives = draft.alternatives(end, pairs)
            self.ids.append(extra)
            self.pieces.append(text)
            self.entropy = None
            events.append(
                TokenDecided(
                    self.now(), end, self.revision, block.index, extra, text, new_state, rank, probability, alternatives
                )
            )
        merge_ms = (perf_counter() - began) * 1e3
        yield from events
        yield BlockJudged(
            self.now(),
            block.index,
            block.revision,
            verdict.sequence,
            len(block.tokens),
            accepted,
            extra is not None,
            max(0.0, inquiry.round_trip_s * 1e3 - verdict.verify_ms - verdict.queued_ms),
            verdict.verify_ms,
            merge_ms,
            verdict.queued_ms,
            inquiry.tokens_ahead,
        )

    def leave_unverified(
        self, block: DraftBlock, waited_ms: float, reason: str, tokens_ahead: int = 0
    ) -> Iterator[Event]:
        """Commit a block that wanted the verifier and did not get it."""
        yield BlockUnverified(
            self.now(), block.index, block.revision, block.start, len(block.tokens), waited_ms, reason, tokens_ahead
        )
        for token in block.tokens:
            yield self.commit(block, token, "unverified")

    def commit(
        self,
        block: DraftBlock,
        token: DraftToken,
        state: TokenState,
        rank: int | None = None,
        probability: float | None = None,
        top: tuple[Alternative, ...] = (),
    ) -> TokenDecided:
        """Decide a drafted token; it joins the caption unless it was rejected or ignored."""
        if state not in ("rejected", "ignored"):
            self.ids.append(token.token_id)
            self.pieces.append(token.text)
            self.entropy = token.signals.entropy_nats
        return TokenDecided(
            self.now(),
            token.position,
            block.revision,
            block.index,
            token.token_id,
            token.text,
            state,
            rank,
            probability,
            top,
        )

    # ── The verifier alone ────────────────────────────────────────────────────────────────────────────────────────

    def cloud(self) -> Iterator[Event]:
        """Cloud-only: every token is the verifier's."""
        yield from self.open()
        assert self.link is not None
        patience_s = max(60.0, self.longest_s())  # there is nothing to fall back on
        opened = self.link.opened(self.utterance, patience_s)
        yield from self.frames()
        yield PrefillDone(self.now(), "verifier", opened.input_tokens, opened.prefill_ms)
        text = self.drafter.caption_text()
        request = GenerateRequest(self.utterance, self.options.max_tokens, self.options.temperature, self.options.seed)
        for generated in self.link.generate(request, patience_s):
            last = generated.position == self.options.max_tokens - 1 or generated.token_id in self.drafter.end_ids
            piece = text.append(generated.token_id, last=last)
            top = tuple(Alternative(i, text.peek(i, generated.position), p) for i, p in generated.top)
            rank = next((n for n, entry in enumerate(top, 1) if entry.token_id == generated.token_id), None)
            self.ids.append(generated.token_id)
            self.pieces.append(piece)
            yield from self.frames()
            yield TokenDecided(
                self.now(),
                generated.position,
                self.revision,
                0,
                generated.token_id,
                piece,
                "bonus",
                rank,
                generated.probability,
                top,
            )
        yield from self.finish()
