"""Every event and record of the system: the single source of truth for what happens and what crosses a hop.

Captioning is a stream of events. The decoding loop yields them; the page, the terminal, the trace file and every
figure are made from them and from nothing else. An event is a frozen dataclass with a ``kind`` tag and ``t_s``,
seconds since the utterance was complete.

Tokens are addressed by (position, revision) within an utterance, never by text. A *position* counts caption tokens
from 0; the *revision* is the number of verdicts that have changed the caption so far.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import TraceError

__all__ = [
    "COMMITTED_STATES",
    "DRAFTED_STATES",
    "EVENT_TYPES",
    "Alternative",
    "BlockEscalated",
    "BlockJudged",
    "BlockKept",
    "BlockUnverified",
    "CaptionFinished",
    "CaptionStarted",
    "Event",
    "FeaturesReady",
    "FinishReason",
    "FrameRecord",
    "FrameSent",
    "GenerateRequest",
    "GeneratedToken",
    "Judgement",
    "Mode",
    "OpenRequest",
    "OpenedReply",
    "PrefillDone",
    "Signals",
    "TokenDecided",
    "TokenDrafted",
    "TokenState",
    "TrafficClass",
    "Verdict",
    "VerifierInfo",
    "VerifierLost",
    "VerifierReady",
    "VerifyRequest",
    "event_from_dict",
    "event_to_dict",
]

Mode = Literal["ugsd", "edge", "cloud"]
TokenState = Literal["drafted", "kept_local", "accepted", "rejected", "corrected", "ignored", "bonus", "unverified"]
FinishReason = Literal["end_of_turn", "max_length"]
TrafficClass = Literal["handshake", "acoustic_code", "token_ids", "verdict", "caption_ids", "control"]

#: What a drafted token can become: ``drafted = kept_local + accepted + rejected + ignored + unverified``.
DRAFTED_STATES: tuple[TokenState, ...] = ("kept_local", "accepted", "rejected", "ignored", "unverified")
#: What stands in the caption: ``length = kept_local + accepted + corrected + bonus + unverified``.
COMMITTED_STATES: tuple[TokenState, ...] = ("kept_local", "accepted", "corrected", "bonus", "unverified")


# ── Parts of events ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Alternative:
    """One entry of a top-k list: a token and its probability under the model that was asked."""

    token_id: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Signals:
    """How unsure a draft was, over the full shared vocabulary, and at an emotion position over the labels.

    Labels are looked at where the drafted token begins an emotion word, or where words of emotion have a probability
    of at least 0.2 together; elsewhere those figures are None. A *doubt* is 1 − the probability of the label that the
    drafted token names, so it is None where it names none.

    Attributes:
        entropy_nats: Shannon entropy of the draft distribution.
        margin: Probability of the best token less that of the second best.
        nll_nats: Negative log-likelihood of the drafted token.
        mc_dropout_nats: Mutual information over dropout samples; None when not asked for.
        label_mass: The draft's probability added up over the words of each label (9 values, `EMOTION_LABELS`).
        label_entropy_nats: Entropy over labels of those masses, normalised: *semantic entropy*.
        head_doubt: Doubt of the edge's emotion head, which heard the audio alone; None without a head.
        text_doubt: Doubt of the draft: its label masses, normalised.
        fused_doubt: Doubt of both: normalised geometric mean of head and text; the text's alone without a head.
    """

    entropy_nats: float
    margin: float
    nll_nats: float
    mc_dropout_nats: float | None = None
    label_mass: tuple[float, ...] | None = None
    label_entropy_nats: float | None = None
    head_doubt: float | None = None
    text_doubt: float | None = None
    fused_doubt: float | None = None


# ── Start of a caption ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CaptionStarted:
    """A caption begins; everything needed to read the rest of the trace.

    Attributes:
        utterance_id: Content address of the samples (first 16 hex digits of their SHA-256).
        duration_s: Length of the speech.
        waveform_bytes: Size of the speech as 16-bit PCM, the measure for what is not sent.
        language: ``"en"`` or ``"zh"``.
        mode: Who decides.
        options: `DecodingOptions` as a dict, complete.
        checkpoints: ``{"edge": {...}, "verifier": {...}}`` with name and fingerprints; absent sides are missing.
        vocabulary_size: Shared vocabulary, over which entropies and ranks are taken.
        warnings: Plain sentences about the recording or the settings.
    """

    kind: ClassVar[str] = "caption_started"
    t_s: float
    utterance_id: str
    duration_s: float
    waveform_bytes: int
    language: str
    mode: Mode
    options: dict[str, Any]
    checkpoints: dict[str, dict[str, Any]]
    vocabulary_size: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeaturesReady:
    """The acoustic code exists (extraction and quantisation done)."""

    kind: ClassVar[str] = "features_ready"
    t_s: float
    extract_ms: float
    n_frames: int
    code_bytes: int
    code_sha256: str


@dataclass(frozen=True, slots=True)
class VerifierReady:
    """The verifier was reached and accepted the handshake."""

    kind: ClassVar[str] = "verifier_ready"
    t_s: float
    address: str
    checkpoint: dict[str, Any]
    connect_ms: float


@dataclass(frozen=True, slots=True)
class VerifierLost:
    """The verifier can't be reached (any more); captioning goes on with the edge alone."""

    kind: ClassVar[str] = "verifier_lost"
    t_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class PrefillDone:
    """The model that writes has read the prompt and the audio.

    Attributes:
        side: Whose prefill; the verifier's in cloud-only mode, else the edge's.
        input_tokens: Prompt tokens, audio placeholders included.
        prefill_ms: Audio tower and prompt; feature extraction is its own figure.
        label_posterior: What the edge's emotion head makes of the audio (9 values); None without one.
    """

    kind: ClassVar[str] = "prefill_done"
    t_s: float
    side: Literal["edge", "verifier"]
    input_tokens: int
    prefill_ms: float
    label_posterior: tuple[float, ...] | None = None


# ── Tokens and blocks ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TokenDrafted:
    """The edge proposed a token.

    Attributes:
        text: What the token adds to the text; empty while a character is incomplete and for the end of the turn.
        top: The draft's best tokens, best first.
        ahead: Whether its forward pass ran while a verdict was on its way, before this event.
    """

    kind: ClassVar[str] = "token_drafted"
    t_s: float
    position: int
    revision: int
    block: int
    token_id: int
    text: str
    signals: Signals
    top: tuple[Alternative, ...]
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class BlockKept:
    """The gate let a block pass without the verifier."""

    kind: ClassVar[str] = "block_kept"
    t_s: float
    block: int
    revision: int
    start: int
    length: int
    draft_ms: float
    score: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class BlockEscalated:
    """The gate sent a block to the verifier.

    Attributes:
        start: Position of the block's first token.
        sequence: Sequence number of the verify message, unique within the utterance.
        score: The gate's figure for the block, such as its maximum entropy; None for rules without one.
        threshold: What the score was compared with.
        trigger_position: Position of the token that made the gate decide; None if no single one did.
        reason: One plain sentence for a person.
        ids_sent: Token ids that crossed the wire for it: the draft and what was committed since the last verdict.
    """

    kind: ClassVar[str] = "block_escalated"
    t_s: float
    block: int
    revision: int
    start: int
    length: int
    sequence: int
    draft_ms: float
    score: float | None
    threshold: float | None
    trigger_position: int | None
    reason: str
    ids_sent: int


@dataclass(frozen=True, slots=True)
class TokenDecided:
    """A token reached its final state.

    Attributes:
        revision: Revision under which the token was drafted; a corrected or bonus token carries the one it begins.
        rank: Rank of a judged token under the verifier, 1 is its own choice; None if it was not judged.
        probability: Its probability under the verifier; None if it was not judged.
        top: The verifier's best tokens at this position, best first; empty if it was not judged.
    """

    kind: ClassVar[str] = "token_decided"
    t_s: float
    position: int
    revision: int
    block: int
    token_id: int
    text: str
    state: TokenState
    rank: int | None = None
    probability: float | None = None
    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockJudged:
    """A verdict was merged.

    Attributes:
        accepted: Leading tokens of the block that passed.
        changed: Whether the caption's ids differ from the draft (a replacement or a bonus token).
        network_ms: Round trip less the verifier's own time, waiting included.
        verify_ms: The verifier's forward pass and judgement; of the whole pass where blocks share one.
        merge_ms: Rollback and bookkeeping on the edge.
        queued_ms: Wait at the verifier before that: for its prefill (first block), or for a pass to begin.
        tokens_ahead: Tokens drafted ahead while the verdict was on its way; they are no events until they are drafted
            for good, if they still stand then.
    """

    kind: ClassVar[str] = "block_judged"
    t_s: float
    block: int
    revision: int
    sequence: int
    length: int
    accepted: int
    changed: bool
    network_ms: float
    verify_ms: float
    merge_ms: float
    queued_ms: float = 0.0
    tokens_ahead: int = 0


@dataclass(frozen=True, slots=True)
class BlockUnverified:
    """A block wanted the verifier and got no verdict in time; its tokens stay as drafted.

    Attributes:
        tokens_ahead: As in `BlockJudged`.
    """

    kind: ClassVar[str] = "block_unverified"
    t_s: float
    block: int
    revision: int
    start: int
    length: int
    waited_ms: float
    reason: str
    tokens_ahead: int = 0


# ── The wire, and the end ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FrameSent:
    """A frame crossed the wire in either direction; the privacy ledger is the sum of these.

    Attributes:
        direction: ``"up"`` leaves the device, ``"down"`` comes from the verifier.
        message: The message's tag (``"open"``, ``"verify"``, ``"verdict"`` …).
        payload_bytes: The frame's content without padding.
        wire_bytes: The frame as sent, padding included; WebSocket and TCP headers are not counted.
        contents: What the frame holds, in plain words.
        posterior_bytes: How much of the payload is the edge's label posterior.
    """

    kind: ClassVar[str] = "frame_sent"
    t_s: float
    direction: Literal["up", "down"]
    traffic: TrafficClass
    message: str
    payload_bytes: int
    wire_bytes: int
    contents: str
    posterior_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CaptionFinished:
    """The caption is final; always the last event of a complete trace.

    Attributes:
        token_ids: The committed ids, the end of the turn included when it was reached.
    """

    kind: ClassVar[str] = "caption_finished"
    t_s: float
    caption: str
    token_ids: tuple[int, ...]
    reason: FinishReason


# ── Records that cross the wire ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class VerifierInfo:
    """What a verifier says of itself in the handshake, and what an edge must match.

    Attributes:
        name: Checkpoint name for people.
        tokenizer_fingerprint: SHA-256 (hex) of the shared vocabulary, ids 0 up to the end-of-turn token.
        feature_fingerprint: `FeatureSpec.fingerprint` of the acoustic code it reads.
        vocabulary_size: Size of the shared vocabulary.
    """

    name: str
    tokenizer_fingerprint: str
    feature_fingerprint: str
    vocabulary_size: int


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """Begin an utterance on the verifier: the acoustic code once, and how its tokens are to be judged.

    Attributes:
        utterance: Name of the utterance within the session.
        prompt: Prompt name; None is the verifier's own default.
        acceptance, rank, probability, bonus, top_k, fusion: As in `DecodingOptions`.
    """

    utterance: str
    language: str
    prompt: str | None
    code: AcousticCode
    acceptance: str
    rank: int
    probability: float
    bonus: bool
    top_k: int
    fusion: float = 0.5


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Ask for a verdict on a block.

    Attributes:
        sequence: Counts up by one within the utterance; the same number always gets the same verdict.
        revision: Revision the block was drafted under; the verdict repeats it.
        base: Position of the first id of ``committed``; the verifier forgets whatever it holds from there on.
        committed: Ids committed since the last verdict the edge merged.
        draft: The block, 1…64 ids.
        posterior: The edge's probabilities of the nine emotion labels, as `ugsd_core.posterior.quantise` gives them
            (0…255, the largest is 255); only for the *fused* rule and a block that holds an emotion position.
    """

    utterance: str
    sequence: int
    revision: int
    base: int
    committed: tuple[int, ...]
    draft: tuple[int, ...]
    posterior: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verifier's view of one position: rank and probability of the drafted token, and its own best tokens.

    Attributes:
        rank: 1 is the verifier's own choice.
        top: (token id, probability), best first, as many as asked for.
    """

    rank: int
    probability: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verifier's answer to a `VerifyRequest`.

    Attributes:
        accepted: Leading draft tokens that passed.
        replacement: What the rule puts in place of the first that failed; None if all passed.
        bonus: The verifier's next token after a fully accepted block; None unless asked for and available.
        judged: One entry a judged token: the accepted ones and the rejected one.
        bonus_top: The verifier's best tokens at the bonus position.
        verify_ms: Time of the forward pass and the judgement; blocks that share a pass each have the whole of it.
        queued_ms: Time the request waited at the verifier before that: for the prefill, a free worker, or for others
            to share the pass.
    """

    sequence: int
    revision: int
    accepted: int
    replacement: int | None
    bonus: int | None
    judged: tuple[Judgement, ...]
    bonus_top: tuple[tuple[int, float], ...]
    verify_ms: float
    queued_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenedReply:
    """The verifier has read prompt and audio."""

    utterance: str
    input_tokens: int
    prefill_ms: float


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Ask the verifier to write the caption alone (cloud-only), token by token."""

    utterance: str
    max_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class GeneratedToken:
    """One token of a cloud-only caption."""

    position: int
    token_id: int
    probability: float
    top: tuple[tuple[int, float], ...]
    verify_ms: float


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame as the edge saw it; becomes a `FrameSent` event.

    Attributes:
        at_s: `time.perf_counter` at sending or arrival.
    """

    at_s: float
    direction: Literal["up", "down"]
    traffic: TrafficClass
    message: str
    payload_bytes: int
    wire_bytes: int
    contents: str
    posterior_bytes: int = 0


Event = (
    CaptionStarted
    | FeaturesReady
    | VerifierReady
    | VerifierLost
    | PrefillDone
    | TokenDrafted
    | BlockKept
    | BlockEscalated
    | TokenDecided
    | BlockJudged
    | BlockUnverified
    | FrameSent
    | CaptionFinished
)

EVENT_TYPES: dict[str, type[Any]] = {cls.kind: cls for cls in get_args(Event)}


def event_to_dict(event: Event) -> dict[str, Any]:
    """The event as plain JSON values, its ``kind`` first."""
    return {"kind": event.kind, **asdict(event)}


def event_from_dict(record: dict[str, Any]) -> Event:
    """The inverse of `event_to_dict`.

    Raises:
        TraceError: If the record is no event of this version.
    """
    cls = EVENT_TYPES.get(str(record.get("kind")))
    if cls is None:
        kind = record.get("kind")
        raise TraceError(f"the trace holds an event of unknown kind {kind!r}; it may come from a newer version")
    values = {key: value for key, value in record.items() if key != "kind"}
    try:
        for key, value in values.items():
            if key == "signals":
                # JSON knows lists alone.
                read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in dict(value).items()}
                values[key] = Signals(**read)
            elif key == "top":
                values[key] = tuple(Alternative(**entry) for entry in value)
            elif isinstance(value, list):
                values[key] = tuple(value)
        event: Event = cls(**values)
    except (TypeError, ValueError) as error:
        raise TraceError(f"the trace holds a damaged {cls.kind} event: {error}") from error
    return event
