"""The verifier's half of a session, without I/O: what may come when, what is remembered, what is answered at once.

A message goes in, a `Step` comes out: replies to send now, and work for a model, to be done in order within an
utterance. Results of the work go back in and become replies. Nothing here waits, sends, or calls a model.

    new ──hello──► open ──any number of open / verify / generate / close──► ended

Memory is bounded: utterances, acoustic codes and past answers are forgotten, the least recently used first. What a
model has read of an utterance is forgotten much earlier than its name; it is then read again (`ugsd_core.wire.lanes`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import ProtocolError
from ugsd_core.messages import GeneratedToken, OpenedReply, OpenRequest, Verdict, VerifierInfo, VerifyRequest
from ugsd_core.wire.frames import Padding
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.messages import (
    Close,
    DownMessage,
    ErrorReply,
    Generate,
    GeneratedEnd,
    GeneratedReply,
    Hello,
    NeedFeatures,
    Open,
    Refused,
    UpMessage,
    VerdictReply,
    Welcome,
)
from ugsd_core.wire.protocol import PROTOCOL_VERSION

__all__ = [
    "MAX_CODES",
    "MAX_REMEMBERED",
    "MAX_UTTERANCES",
    "GenerateWork",
    "JudgeWork",
    "OpenWork",
    "ServerSession",
    "Step",
    "Work",
    "compare",
]

MAX_UTTERANCES = 64
MAX_CODES = 8
#: Answers kept for each utterance, so that a repeated sequence number gets the same one.
MAX_REMEMBERED = 32
#: What those answers may hold together in a session, in judged tokens and alternatives: an edge that asks for 64
#: alternatives of 64 tokens in each block must not have 8 million of them remembered.
MAX_REMEMBERED_ENTRIES = 1 << 15
#: Messages held back while the acoustic code of their utterance is on its way.
MAX_HELD = 8


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Prefill an utterance. ``serial`` names this opening: the same utterance may be opened again."""

    serial: int
    request: OpenRequest


@dataclass(frozen=True, slots=True)
class JudgeWork:
    """Judge a block.

    Attributes:
        opening: To open the utterance again if it was forgotten; None if its acoustic code was, too.
    """

    serial: int
    request: VerifyRequest
    opening: OpenRequest | None = None


@dataclass(frozen=True, slots=True)
class GenerateWork:
    """Write a caption alone; ``opening`` as in `JudgeWork`."""

    serial: int
    generate: Generate
    opening: OpenRequest | None = None


Work = OpenWork | JudgeWork | GenerateWork


@dataclass(frozen=True, slots=True)
class Step:
    """What a message leads to.

    Attributes:
        replies: To be sent at once.
        work: To be done in order within each ``serial``.
        forgotten: Openings whose model state can go; work of theirs that has not begun need not be done.
        ends: The connection is to be closed after the replies.
    """

    replies: tuple[DownMessage, ...] = ()
    work: tuple[Work, ...] = ()
    forgotten: tuple[int, ...] = ()
    ends: bool = False


@dataclass(slots=True)
class _Utterance:
    """One opening of an utterance.

    Attributes:
        opening: What it was opened with, without the code.
        waiting: Whether the code is on its way.
        again: Sequence numbers that were put off and may be asked once more.
    """

    name: str
    serial: int
    opening: Open
    waiting: bool
    held: list[JudgeWork | GenerateWork] = field(default_factory=list)
    highest: int = -1
    pending: dict[int, VerifyRequest] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)
    answered: OrderedDict[int, tuple[bytes, DownMessage]] = field(default_factory=OrderedDict)


def compare(edge: VerifierInfo | Hello, verifier: VerifierInfo) -> tuple[str, str] | None:
    """Code and sentence of what keeps an edge and a verifier from working together; None if nothing does."""
    if (edge.tokenizer_fingerprint, edge.vocabulary_size) != (
        verifier.tokenizer_fingerprint,
        verifier.vocabulary_size,
    ):
        return "tokenizer", (
            f"The verifier {verifier.name!r} uses another tokenizer than the edge "
            f"(shared vocabulary of {verifier.vocabulary_size} and {edge.vocabulary_size} ids), so token ids mean "
            "different things to them. Choose checkpoints of one family, such as Qwen2.5-Omni 3B and 7B or the "
            "embedded pair."
        )
    if edge.feature_fingerprint != verifier.feature_fingerprint:
        return "features", (
            f"The verifier {verifier.name!r} reads another acoustic code than the edge sends (mel bins, bits or level "
            "differ). Choose a pair of checkpoints that was made with the same feature settings."
        )
    return None


class ServerSession:
    """Order of messages, idempotent sequence numbers, bounded memory. Not thread-safe.

    Args:
        info: What the verifier says of itself.
        kept: What connections leave for the next one of the same edge; None keeps nothing.

    Attributes:
        client: Who the edge is (`ugsd_core.wire.door`); nobody else's kept codes are found by its secret.
        padding: How answers are padded: as the edge's hello asks.
        greeted: Whether the edge was welcomed.
        draining: Nothing new is begun any more.
    """

    def __init__(self, info: VerifierInfo, *, kept: KeptCodes | None = None) -> None:
        self.info = info
        self.client = ""
        self.padding: Padding = "usual"
        self.greeted = False
        self.draining = False
        self._kept = kept
        self._resume: str | None = None
        self._serial = 0
        self._entries = 0
        self._utterances: OrderedDict[str, _Utterance] = OrderedDict()
        self._codes: OrderedDict[str, AcousticCode] = OrderedDict()

    @property
    def drained(self) -> bool:
        """Whether nothing is open that would have to be finished."""
        return self.draining and not self._utterances

    def ended(self) -> None:
        """The connection has ended."""
        if self._kept is not None and self._resume is not None:
            self._kept.release(self._resume)
            self._resume = None

    def receive(self, message: UpMessage) -> Step:
        """What a message leads to.

        Raises:
            ProtocolError: If the message may not come now; the session is over then.
        """
        if isinstance(message, Hello):
            return self._hello(message)
        if not self.greeted:
            raise ProtocolError("a session begins with a hello message", "order")
        match message:
            case Open():
                return self._open(message)
            case VerifyRequest():
                return self._verify(message)
            case Generate():
                return self._generate(message)
            case Close():
                return Step(forgotten=self._forget(message.utterance))

    # ── Messages ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _hello(self, hello: Hello) -> Step:
        if self.greeted:
            raise ProtocolError("a session has one hello message", "order")
        refusal = compare(hello, self.info)
        if refusal is not None:
            return Step((Refused(*refusal),), ends=True)
        self.greeted = True
        if hello.options.get("pad") == "strict":
            self.padding = "strict"
        if self._kept is not None and hello.resume is not None:
            self._resume = f"{self.client} {hello.resume}"
            self._codes = self._kept.claim(self._resume)
        return Step((Welcome(PROTOCOL_VERSION, self.info),))

    def _open(self, message: Open) -> Step:
        name = message.utterance
        earlier = self._utterances.get(name)
        if self.draining and earlier is None:
            sentence = "The verifier is about to end and begins nothing new; connect again, here or elsewhere."
            return Step((ErrorReply("draining", sentence, name),))
        if message.code is None:
            code = self._codes.get(message.sha256)
        elif message.code.sha256 != message.sha256:
            error = ErrorReply("bad_code", "The acoustic code does not have the SHA-256 it was announced with.", name)
            return Step((error,), forgotten=self._forget(name))
        else:
            code = message.code
        if code is None:
            forgotten = self._forget(name)
            self._remember(_Utterance(name, self._next_serial(), message, True))
            return Step((NeedFeatures(name),), forgotten=forgotten + self._trim())
        self._codes[message.sha256] = code
        self._codes.move_to_end(message.sha256)
        while len(self._codes) > MAX_CODES:
            self._codes.popitem(last=False)
        if earlier is not None and earlier.waiting and earlier.opening.sha256 == message.sha256:
            # The code that was asked for: what came in the meantime follows it.
            utterance, forgotten = earlier, ()
            utterance.waiting = False
            self._utterances.move_to_end(name)
        else:
            forgotten = self._forget(name)
            utterance = _Utterance(name, self._next_serial(), replace(message, code=None), False)
            self._remember(utterance)
        held, utterance.held = tuple(utterance.held), []
        return Step(work=(OpenWork(utterance.serial, message.request(code)), *held), forgotten=forgotten + self._trim())

    def _verify(self, request: VerifyRequest) -> Step:
        utterance = self._utterances.get(request.utterance)
        if utterance is None:
            return Step((self._unknown(request.utterance, sequence=request.sequence),))
        self._utterances.move_to_end(request.utterance)
        sequence = request.sequence
        if sequence in utterance.answered:
            known, reply = utterance.answered[sequence]
            return Step((reply if known == _digest(request) else self._misused(request),))
        if sequence in utterance.pending:
            # Its answer is on its way; one is enough.
            return Step(() if utterance.pending[sequence] == request else (self._misused(request),))
        if sequence <= utterance.highest and sequence not in utterance.again:
            return Step((self._misused(request),))
        work = JudgeWork(utterance.serial, request, self._reopening(utterance))
        if utterance.waiting and not self._hold(utterance, work):
            return Step((ErrorReply("order", "Too many messages came before the acoustic code.", *_of(request)),))
        utterance.highest = max(utterance.highest, sequence)
        utterance.again.discard(sequence)
        utterance.pending[sequence] = request
        return Step() if utterance.waiting else Step(work=(work,))

    def _generate(self, message: Generate) -> Step:
        name = message.request.utterance
        utterance = self._utterances.get(name)
        if utterance is None:
            return Step((self._unknown(name, stream=message.stream),))
        self._utterances.move_to_end(name)
        work = GenerateWork(utterance.serial, message, self._reopening(utterance))
        if not utterance.waiting:
            return Step(work=(work,))
        if self._hold(utterance, work):
            return Step()
        sentence = "Too many messages came before the acoustic code."
        return Step((ErrorReply("order", sentence, name, stream=message.stream),))

    # ── Results of work ───────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, work: OpenWork, reply: OpenedReply) -> tuple[DownMessage, ...]:
        """The prefill of an opening is done."""
        return (reply,) if self._current(work.serial, work.request.utterance) else ()

    def judged(self, work: JudgeWork, verdict: Verdict) -> tuple[DownMessage, ...]:
        """A block is judged."""
        return self._answer(work, VerdictReply(work.request.utterance, verdict))

    def generated(self, work: GenerateWork, token: GeneratedToken) -> tuple[DownMessage, ...]:
        """The verifier wrote a token."""
        name = work.generate.request.utterance
        return (GeneratedReply(name, work.generate.stream, token),) if self._current(work.serial, name) else ()

    def generated_all(self, work: GenerateWork) -> tuple[DownMessage, ...]:
        """The verifier's caption is complete."""
        name = work.generate.request.utterance
        return (GeneratedEnd(name, work.generate.stream),) if self._current(work.serial, name) else ()

    def failed(
        self, work: Work, code: str, sentence: str, retry_after_ms: int | None = None
    ) -> tuple[DownMessage, ...]:
        """The model refused or failed; with a time, the same may be asked then. An utterance that cannot be opened is
        forgotten."""
        match work:
            case OpenWork(serial=serial, request=opening):
                if not self._current(serial, opening.utterance):
                    return ()
                self._forget(opening.utterance)
                return (ErrorReply(code, sentence, opening.utterance, retry_after_ms=retry_after_ms),)
            case JudgeWork(request=request):
                return self._answer(work, ErrorReply(code, sentence, *_of(request), retry_after_ms=retry_after_ms))
            case GenerateWork(serial=serial, generate=generate):
                name = generate.request.utterance
                if not self._current(serial, name):
                    return ()
                return (ErrorReply(code, sentence, name, stream=generate.stream, retry_after_ms=retry_after_ms),)

    def needs_features(self, work: JudgeWork | GenerateWork) -> tuple[DownMessage, ...]:
        """The model has forgotten the utterance and the session its code: ask for it, and keep the work until then."""
        name = work.request.utterance if isinstance(work, JudgeWork) else work.generate.request.utterance
        utterance = self._current(work.serial, name)
        if utterance is None:
            return ()
        asked, utterance.waiting = utterance.waiting, True
        utterance.held.append(work)
        # What came while this was in a worker's line may stand before it.
        utterance.held.sort(key=lambda held: held.request.sequence if isinstance(held, JudgeWork) else -1)
        return () if asked else (NeedFeatures(name),)

    # ── Memory ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def code_bytes(self) -> dict[str, int]:
        """Size of each acoustic code that is held, by its SHA-256."""
        return {digest: len(code.payload) for digest, code in self._codes.items()}

    def forget_code(self, digest: str) -> None:
        """Hold an acoustic code no longer; the edge is asked for it when it is needed again."""
        self._codes.pop(digest, None)

    def _reopening(self, utterance: _Utterance) -> OpenRequest | None:
        code = self._codes.get(utterance.opening.sha256)
        return None if code is None else utterance.opening.request(code)

    def _answer(self, work: JudgeWork, reply: DownMessage) -> tuple[DownMessage, ...]:
        """Keep an answer for repetitions of its request, and give it."""
        request = work.request
        utterance = self._current(work.serial, request.utterance)
        if utterance is None or utterance.pending.pop(request.sequence, None) is None:
            return ()
        if isinstance(reply, ErrorReply) and reply.retry_after_ms is not None:
            utterance.again.add(request.sequence)
            return (reply,)
        utterance.answered[request.sequence] = (_digest(request), reply)
        self._entries += _entries(reply)
        while len(utterance.answered) > MAX_REMEMBERED:
            self._drop_answer(utterance)
        for other in list(self._utterances.values()):  # the least recently used first
            while self._entries > MAX_REMEMBERED_ENTRIES and len(other.answered) > (other is utterance):
                self._drop_answer(other)
        return (reply,)

    def _drop_answer(self, utterance: _Utterance) -> None:
        """Forget an utterance's oldest answer."""
        self._entries -= _entries(utterance.answered.popitem(last=False)[1][1])

    def _current(self, serial: int, name: str) -> _Utterance | None:
        """The utterance if this opening of it still stands."""
        utterance = self._utterances.get(name)
        return utterance if utterance is not None and utterance.serial == serial else None

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _remember(self, utterance: _Utterance) -> None:
        self._utterances[utterance.name] = utterance

    def _forget(self, name: str) -> tuple[int, ...]:
        utterance = self._utterances.pop(name, None)
        return () if utterance is None else self._gone(utterance)

    def _gone(self, utterance: _Utterance) -> tuple[int, ...]:
        while utterance.answered:
            self._drop_answer(utterance)
        return (utterance.serial,)

    def _trim(self) -> tuple[int, ...]:
        """Forget the least recently used utterances beyond the limit."""
        serials: tuple[int, ...] = ()
        while len(self._utterances) > MAX_UTTERANCES:
            serials += self._gone(self._utterances.popitem(last=False)[1])
        return serials

    @staticmethod
    def _hold(utterance: _Utterance, work: JudgeWork | GenerateWork) -> bool:
        """Keep work until the code is there; False if there is too much of it."""
        if len(utterance.held) >= MAX_HELD:
            return False
        utterance.held.append(work)
        return True

    @staticmethod
    def _unknown(name: str, *, sequence: int | None = None, stream: int | None = None) -> ErrorReply:
        sentence = "The verifier does not hold this utterance (any more); it has to be opened again."
        return ErrorReply("unknown_utterance", sentence, name, sequence, stream)

    @staticmethod
    def _misused(request: VerifyRequest) -> ErrorReply:
        sentence = "A sequence number was used for two different blocks, or is too old to be answered again."
        return ErrorReply("sequence", sentence, *_of(request))


def _digest(request: VerifyRequest) -> bytes:
    """What tells a repetition from another block; the block itself need not be kept."""
    return hashlib.sha256(repr(request).encode()).digest()


def _entries(reply: DownMessage) -> int:
    """How much an answer holds."""
    if not isinstance(reply, VerdictReply):
        return 1
    judged = reply.verdict.judged
    return 1 + len(judged) + sum(len(entry.top) for entry in judged) + len(reply.verdict.bonus_top)


def _of(request: VerifyRequest) -> tuple[str, int]:
    return request.utterance, request.sequence
