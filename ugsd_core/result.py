"""What came of a caption: a pure fold of its event stream.

The same fold serves the live run, the replay of a trace, the page and the evaluation, so that none of them can show
another number than the rest. Nothing here looks at a model, a clock or the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ugsd_core.errors import TraceError
from ugsd_core.figures import AHEAD_DEFINITIONS, CLOCK_DEFINITIONS, RATIO_DEFINITIONS, Clocks, Ratios, ratio
from ugsd_core.meaning import changed_meanings
from ugsd_core.messages import (
    COMMITTED_STATES,
    DRAFTED_STATES,
    BlockEscalated,
    BlockJudged,
    BlockKept,
    BlockUnverified,
    CaptionFinished,
    CaptionStarted,
    Event,
    FeaturesReady,
    FinishReason,
    Mode,
    PrefillDone,
    TokenDecided,
    TokenDrafted,
    VerifierLost,
    VerifierReady,
)
from ugsd_core.privacy import EMPTY, fold
from ugsd_core.records import BlockRecord, TokenRecord

__all__ = [
    "AHEAD_DEFINITIONS",
    "CLOCK_DEFINITIONS",
    "RATIO_DEFINITIONS",
    "BlockRecord",
    "CaptionResult",
    "Clocks",
    "Ratios",
    "ResultBuilder",
    "TokenRecord",
    "caption_result",
    "check_identities",
]


@dataclass(frozen=True, slots=True)
class CaptionResult:
    """A caption and how it came about.

    Attributes:
        finish_reason: None if the stream ended before the caption did.
        tokens: Every token, in the order of decision; tokens never decided come last.
        counts: Tokens by state, and ``drafted``, ``caption``, ``blocks``, ``escalations``, ``blocks_changed``,
            ``meanings_changed``.
        ahead: What was drafted ahead while verdicts were on their way, as `AHEAD_DEFINITIONS` says. It follows from
            times, so that two runs of one clip differ in it, and is no part of ``counts``.
        verifier: Its address, and why it was lost if it was; None if none was reached or missed.
        ledger: What crossed the wire, as `Ledger.to_dict` gives it.
    """

    caption: str
    language: str
    mode: Mode
    finish_reason: FinishReason | None
    tokens: tuple[TokenRecord, ...]
    token_ids: tuple[int, ...]
    blocks: tuple[BlockRecord, ...]
    counts: dict[str, int]
    ratios: Ratios
    clocks: Clocks
    ahead: dict[str, int]
    ledger: dict[str, Any]
    options: dict[str, Any]
    checkpoints: dict[str, dict[str, Any]]
    vocabulary_size: int
    verifier: dict[str, str | None] | None
    warnings: tuple[str, ...]
    utterance: dict[str, Any]

    @property
    def committed(self) -> tuple[TokenRecord, ...]:
        """The tokens that make the caption, in order."""
        return tuple(token for token in self.tokens if token.state in COMMITTED_STATES)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints: plain values, definitions beside the figures."""
        record = asdict(self)
        counts = record.pop("counts")
        record["ratios"] |= {"counts": counts, "definitions": dict(RATIO_DEFINITIONS)}
        per_block = ("block", "draft_ms", "network_ms", "queued_ms", "verify_ms", "merge_ms")
        record["clocks"] |= {
            "blocks": [{name: block[name] for name in per_block} for block in record["blocks"]],
            "ahead": record.pop("ahead") | {"definitions": dict(AHEAD_DEFINITIONS)},
            "definitions": dict(CLOCK_DEFINITIONS),
        }
        return record


class ResultBuilder:
    """Folds events one by one; `result` may be asked for at any time after the first event.

    Not safe for two threads at once.
    """

    def __init__(self) -> None:
        self._started: CaptionStarted | None = None
        self._finished: CaptionFinished | None = None
        self._features: FeaturesReady | None = None
        self._prefill: PrefillDone | None = None
        self._connected: VerifierReady | None = None
        self._lost: VerifierLost | None = None
        self._drafts: dict[tuple[int, int], TokenDrafted] = {}
        self._n_drafted = self._n_ahead_used = 0
        self._first_visible_s: float | None = None
        self._decided: list[TokenRecord] = []
        self._blocks: dict[int, BlockRecord] = {}
        self._ledger = EMPTY

    def feed(self, event: Event) -> None:
        """Take the next event.

        Raises:
            TraceError: If the stream doesn't begin with `CaptionStarted`, or goes on after `CaptionFinished`.
        """
        if isinstance(event, CaptionStarted):
            if self._started is not None:
                raise TraceError("the event stream begins a second caption; keep one caption a stream")
            self._started = event
        elif self._started is None:
            raise TraceError("the event stream doesn't begin with the start of a caption")
        elif self._finished is not None:
            raise TraceError("the event stream goes on after the caption was finished")
        match event:
            case TokenDrafted():
                self._drafted(event)
            case TokenDecided():
                self._decided.append(self._record(event))
            case BlockKept() | BlockEscalated() | BlockJudged() | BlockUnverified():
                self._block(event)
            case FeaturesReady():
                self._features = event
            case VerifierReady():
                # One that was lost and came back: the wait for it was the first one's.
                first = self._connected
                self._connected = event if first is None else replace(event, connect_ms=first.connect_ms)
                self._lost = None
            case VerifierLost():
                self._lost = event
            case PrefillDone():
                # Only the model that writes counts; a verifier's prefill runs beside the edge's.
                if event.side == ("verifier" if self._started.mode == "cloud" else "edge"):
                    self._prefill = event
            case CaptionFinished():
                self._finished = event
        self._ledger = fold((event,), self._ledger)

    def _drafted(self, event: TokenDrafted) -> None:
        self._drafts[(event.block, event.position)] = event
        self._n_drafted += 1
        self._n_ahead_used += event.ahead
        if self._first_visible_s is None and event.text:
            self._first_visible_s = event.t_s
        block = self._blocks.get(event.block) or BlockRecord(event.block, event.position, 0)
        self._blocks[event.block] = replace(block, length=block.length + 1)

    def _record(self, event: TokenDecided) -> TokenRecord:
        # Corrected and bonus tokens stand where a draft may have stood, but are not that draft.
        draft = self._drafts.pop((event.block, event.position), None) if event.state in DRAFTED_STATES else None
        record = TokenRecord(
            id=event.token_id,
            verifier_top=event.top,
            decided_s=event.t_s,
            **_pick(event, "text", "position", "revision", "block", "state", "rank", "probability"),
        )
        return record if draft is None else _with_draft(record, draft)

    def _block(self, event: BlockKept | BlockEscalated | BlockJudged | BlockUnverified) -> None:
        block = self._blocks.get(event.block) or BlockRecord(event.block, getattr(event, "start", 0), event.length)
        changes: dict[str, Any]
        match event:
            case BlockKept():
                changes = {"outcome": "kept", **_pick(event, "score", "threshold", "draft_ms", "reason")}
            case BlockEscalated():
                gate = _pick(event, "score", "threshold", "draft_ms", "reason", "trigger_position", "ids_sent")
                changes = {"escalated": True, **gate}
            case BlockJudged():
                times = _pick(event, "network_ms", "queued_ms", "verify_ms", "merge_ms")
                changes = {"outcome": "judged", **_pick(event, "accepted", "changed", "tokens_ahead"), **times}
            case BlockUnverified():
                waited = _pick(event, "waited_ms", "tokens_ahead")
                changes = {"outcome": "unverified", "failure": event.reason, **waited}
        block = replace(block, **changes)
        self._blocks[event.block] = block

    def result(self) -> CaptionResult:
        """The caption as far as the stream went.

        Raises:
            TraceError: If no event has been fed.
        """
        started, finished = self._started, self._finished
        if started is None:
            raise TraceError("the event stream is empty")
        undecided = [
            _with_draft(TokenRecord(e.token_id, e.text, e.position, e.revision, e.block, "drafted"), e)
            for e in self._drafts.values()
        ]
        tokens = (*self._decided, *undecided)
        committed = [token for token in tokens if token.state in COMMITTED_STATES]
        meanings = changed_meanings(tokens, started.language)
        blocks = tuple(
            block if block.changed is None else replace(block, meaning_changed=number in meanings)
            for number, block in sorted(self._blocks.items())
        )
        counts = self._counts(tokens, blocks)
        checkpoints = dict(started.checkpoints)
        if self._connected is not None:
            checkpoints["verifier"] = self._connected.checkpoint
        return CaptionResult(
            caption=finished.caption if finished else "".join(token.text for token in committed),
            language=started.language,
            mode=started.mode,
            finish_reason=finished.reason if finished else None,
            tokens=tokens,
            token_ids=finished.token_ids if finished else tuple(token.id for token in committed),
            blocks=blocks,
            counts=counts,
            ratios=_ratios(tokens, blocks, counts),
            clocks=self._clocks(committed),
            ahead=self._ahead(blocks),
            ledger=self._ledger.to_dict(),
            options=started.options,
            checkpoints=checkpoints,
            vocabulary_size=started.vocabulary_size,
            verifier=self._verifier(),
            warnings=(*started.warnings, *([self._lost.reason] if self._lost else [])),
            utterance=self._utterance(started),
        )

    def _counts(self, tokens: Iterable[TokenRecord], blocks: tuple[BlockRecord, ...]) -> dict[str, int]:
        by_state = Counter(token.state for token in tokens)
        counts: dict[str, int] = {"drafted": self._n_drafted}
        counts |= {state: by_state[state] for state in (*DRAFTED_STATES, "corrected", "bonus")}
        counts["caption"] = sum(by_state[state] for state in COMMITTED_STATES)
        counts["blocks"] = len(blocks) if self._n_drafted else 0
        counts["escalations"] = sum(block.escalated for block in blocks)
        counts["blocks_changed"] = sum(block.escalated and block.changed is True for block in blocks)
        counts["meanings_changed"] = sum(block.escalated and block.meaning_changed is True for block in blocks)
        return counts

    def _clocks(self, committed: list[TokenRecord]) -> Clocks:
        prefill = self._prefill
        first, last = (committed[0].decided_s, committed[-1].decided_s) if committed else (None, None)
        writing_s = last - prefill.t_s if prefill and last is not None else 0.0
        return Clocks(
            ttft_draft_s=self._first_visible_s,
            ttft_commit_s=first,
            oet_s=last,
            total_s=self._finished.t_s if self._finished else None,
            itps=ratio(prefill.input_tokens * 1000.0, prefill.prefill_ms) if prefill else None,
            otps=ratio(len(committed), writing_s),
            extract_ms=self._features.extract_ms if self._features else None,
            prefill_ms=prefill.prefill_ms if prefill else None,
            connect_ms=self._connected.connect_ms if self._connected else None,
        )

    def _ahead(self, blocks: tuple[BlockRecord, ...]) -> dict[str, int]:
        tokens, used = sum(block.tokens_ahead for block in blocks), self._n_ahead_used
        return {"tokens": tokens, "used": used, "wasted": tokens - used}

    def _verifier(self) -> dict[str, str | None] | None:
        if self._connected is None and self._lost is None:
            return None
        return {
            "address": self._connected.address if self._connected else None,
            "lost": self._lost.reason if self._lost else None,
        }

    def _utterance(self, started: CaptionStarted) -> dict[str, Any]:
        code = ("n_frames", "code_bytes", "code_sha256")
        return {
            "id": started.utterance_id,
            **_pick(started, "duration_s", "waveform_bytes"),
            **(_pick(self._features, *code) if self._features else dict.fromkeys(code)),
        }


def _pick(event: Event, *names: str) -> dict[str, Any]:
    return {name: getattr(event, name) for name in names}


def _with_draft(record: TokenRecord, draft: TokenDrafted) -> TokenRecord:
    return replace(record, draft_top=draft.top, drafted_s=draft.t_s, **asdict(draft.signals))


def _ratios(tokens: tuple[TokenRecord, ...], blocks: tuple[BlockRecord, ...], counts: dict[str, int]) -> Ratios:
    sent = {block.block: block for block in blocks if block.escalated}
    # With a block go all ids before it. Drafts made anew after a rejection were not in the frame, even where
    # the frame reached past their position.
    prefix_end = max((block.start for block in sent.values()), default=0)
    committed = [token for token in tokens if token.state in COMMITTED_STATES]
    seen = sum(
        token.position < prefix_end or token.block in sent or token.state in ("corrected", "bonus")
        for token in committed
    )
    judged = counts["accepted"] + counts["rejected"] + counts["ignored"]
    return Ratios(
        escalation_rate=ratio(counts["escalations"], counts["blocks"]),
        transmission_rate=ratio(sum(block.length for block in sent.values()), counts["drafted"]),
        exposure_rate=ratio(seen, len(committed)),
        changed_rate=ratio(counts["corrected"] + counts["bonus"], len(committed)),
        useful_escalation_rate=ratio(counts["blocks_changed"], counts["escalations"]),
        meaning_changed_rate=ratio(counts["meanings_changed"], counts["escalations"]),
        draft_acceptance_rate=ratio(counts["accepted"], judged),
    )


def caption_result(events: Iterable[Event]) -> CaptionResult:
    """Fold a whole stream.

    Raises:
        TraceError: If the stream is empty, doesn't begin with `CaptionStarted` or goes on after the end.
    """
    builder = ResultBuilder()
    for event in events:
        builder.feed(event)
    return builder.result()


def check_identities(result: CaptionResult) -> list[str]:
    """The identities of the vocabulary that a finished caption breaks, each as a sentence; none is right."""
    counts, committed = result.counts, result.committed
    broken = []

    def hold(ok: bool, sentence: str) -> None:
        if not ok:
            broken.append(sentence)

    decided = sum(counts[state] for state in DRAFTED_STATES)
    hold(counts["drafted"] == decided, f"{counts['drafted']} tokens were drafted, but {decided} drafts decided")
    positions = [token.position for token in committed]
    hold(positions == list(range(len(positions))), f"caption positions are {positions}, not 0, 1, 2, …")
    ids = tuple(token.id for token in committed)
    hold(ids == result.token_ids, f"the caption's ids are {result.token_ids}, but {ids} were committed")
    spelt = "".join(token.text for token in committed)
    hold(spelt == result.caption, f"the committed tokens spell {spelt!r}, but the caption is {result.caption!r}")
    return broken
