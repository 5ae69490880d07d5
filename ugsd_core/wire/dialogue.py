"""The edge's half of a session, without I/O: names become numbers, answers are matched, late ones are dropped.

The name of an utterance stays on the edge: it is derived from the waveform, and the verifier has no use for it. On the
wire utterances are numbered per session in the order they were opened.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import Any

from ugsd_core.errors import HandshakeRefused, ProtocolError, VerifierBusy
from ugsd_core.messages import (
    GeneratedToken,
    GenerateRequest,
    OpenedReply,
    OpenRequest,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)
from ugsd_core.wire.messages import (
    Close,
    DownMessage,
    Draining,
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
from ugsd_core.wire.session import MAX_CODES, MAX_UTTERANCES, compare

__all__ = ["NOT_NOW", "EdgeSession", "Resume"]

#: Errors and refusals that another moment may not repeat: too much waits at the verifier, or this client asks too much.
NOT_NOW = frozenset({"busy", "limited"})


class Resume:
    """What outlives a connection: the secret that finds a session's acoustic codes again, and which they are.

    A verifier that has forgotten them, or never had them, asks (`NeedFeatures`); so this is a guess, not a promise.

    Attributes:
        key: Shown in the handshake.
        codes: SHA-256 of the codes that were sent, the least recently used first.
    """

    def __init__(self) -> None:
        self.key = secrets.token_hex(32)
        self.codes: OrderedDict[str, None] = OrderedDict()


@dataclass(slots=True)
class _Utterance:
    """An utterance as the edge sees it.

    Attributes:
        number: Its name on the wire.
        request: Kept, since the verifier may forget the code and ask for it again.
        sent: The code is on its way because the verifier asked for it.
        failure: Why the verifier could not open it.
    """

    name: str
    number: str
    request: OpenRequest
    sent: bool = False
    opened: OpenedReply | None = None
    failure: ErrorReply | None = None


class EdgeSession:
    """What was asked, what has come, what still counts. Not thread-safe.

    Args:
        edge: The edge's fingerprints.
        resume: What an earlier session left; None begins anew.

    Attributes:
        dropped: Answers that came too late, or twice.
        signs: Answers of the verifier's model, late ones included: signs that it works.
        late: The late verdicts.
        draining: The verifier's word that it is about to end.
    """

    def __init__(self, edge: VerifierInfo, resume: Resume | None = None) -> None:
        self.edge = edge
        self.verifier: VerifierInfo | None = None
        self.dropped = 0
        self.signs = 0
        self.late: deque[Verdict] = deque(maxlen=8)
        self.draining: Draining | None = None
        self._count = 0
        self._streams = 0
        self._utterances: OrderedDict[str, _Utterance] = OrderedDict()
        self._resume = resume
        self._sent_codes: OrderedDict[str, None] = OrderedDict() if resume is None else resume.codes
        self._wanted: VerifyRequest | None = None
        self._verdict: Verdict | None = None
        self._wanted_stream: int | None = None
        self._tokens: list[GeneratedToken] = []
        self._stream_ended = False
        self._failure: ErrorReply | None = None

    # ── Asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    def hello(self, options: dict[str, Any], access_token: str | None = None) -> Hello:
        """The first message."""
        edge = self.edge
        return Hello(
            PROTOCOL_VERSION,
            edge.tokenizer_fingerprint,
            edge.feature_fingerprint,
            edge.vocabulary_size,
            options,
            access_token,
            None if self._resume is None else self._resume.key,
        )

    def open(self, request: OpenRequest) -> Open:
        """Number the utterance; the code goes along unless this session sent it recently."""
        self._count += 1
        utterance = _Utterance(request.utterance, str(self._count), request)
        self._utterances.pop(request.utterance, None)
        self._utterances[request.utterance] = utterance
        while len(self._utterances) > MAX_UTTERANCES:
            self._utterances.popitem(last=False)
        digest = request.code.sha256
        known = digest in self._sent_codes
        self._sent_codes[digest] = None
        self._sent_codes.move_to_end(digest)
        while len(self._sent_codes) > MAX_CODES:
            self._sent_codes.popitem(last=False)
        return Open.of(replace(request, utterance=utterance.number), with_code=not known)

    def verify(self, request: VerifyRequest) -> VerifyRequest:
        """Ask for a verdict; earlier verdicts no longer count."""
        number = self._find(request.utterance).number
        self._wanted, self._verdict, self._failure = replace(request, utterance=number), None, None
        return self._wanted

    def generate(self, request: GenerateRequest) -> Generate:
        """Ask for a caption; tokens of earlier ones no longer count."""
        number = self._find(request.utterance).number
        self._streams += 1
        self._wanted_stream, self._tokens, self._stream_ended = self._streams, [], False
        self._failure = None
        return Generate(self._streams, replace(request, utterance=number))

    def stop_verify(self) -> None:
        """The verdict asked for last no longer counts."""
        self._wanted = self._verdict = self._failure = None

    def stop_stream(self, stream: int) -> None:
        """The caption with this number no longer counts."""
        if stream == self._wanted_stream:
            self._wanted_stream, self._tokens, self._stream_ended, self._failure = None, [], False, None

    def close(self, name: str) -> Close | None:
        """Forget an utterance; None if it is not known."""
        utterance = self._utterances.pop(name, None)
        return None if utterance is None else Close(utterance.number)

    def open_again(self, name: str) -> Open | None:
        """The opening of an utterance once more, if the verifier was too busy for it; None if it was not."""
        utterance = self._find(name)
        if utterance.failure is None or utterance.failure.code not in NOT_NOW:
            return None
        utterance.failure = None
        return Open.of(replace(utterance.request, utterance=utterance.number), with_code=True)

    # ── Answers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, message: DownMessage) -> tuple[UpMessage, ...]:
        """Take a message in; gives messages that must go up in return.

        Raises:
            HandshakeRefused: If the session is refused, or the verifier does not fit the edge.
            ProtocolError: If the message may not come now, contradicts what was asked, or ends the session.
        """
        self.signs += isinstance(message, OpenedReply | VerdictReply | GeneratedReply)
        match message:
            case Refused(code=code, sentence=sentence):
                raise HandshakeRefused(sentence, code)
            case Welcome(info=info):
                self._welcome(info)
            case ErrorReply(utterance=None, code=code, sentence=sentence):
                raise ProtocolError(f"The verifier ended the session: {sentence}", code)
            case _ if self.verifier is None:
                raise ProtocolError("the verifier did not begin with a welcome", "order")
            case Draining():
                self.draining = message
            case NeedFeatures(utterance=number):
                return self._need_features(number)
            case OpenedReply(utterance=number):
                utterance = self._numbered(number)
                if utterance is None:
                    self.dropped += 1
                else:
                    utterance.opened, utterance.sent = replace(message, utterance=utterance.name), False
            case VerdictReply():
                self._take_verdict(message)
            case GeneratedReply(stream=stream, token=token):
                if stream == self._wanted_stream:
                    self._tokens.append(token)
                else:
                    self.dropped += 1
            case GeneratedEnd(stream=stream):
                self._stream_ended |= stream == self._wanted_stream
            case ErrorReply():
                self._take_error(message)
        return ()

    def holds(self, name: str) -> bool:
        """Whether an utterance is open, as far as this side knows."""
        utterance = self._utterances.get(name)
        return utterance is not None and utterance.failure is None

    def opened(self, name: str) -> OpenedReply | None:
        """The verifier's prefill if it is done.

        Raises:
            ProtocolError: If the verifier could not open the utterance.
        """
        utterance = self._find(name)
        self._raise(utterance.failure)
        return utterance.opened

    def verdict(self) -> Verdict | None:
        """The verdict asked for last, if it has come.

        Raises:
            ProtocolError: If the verifier answered with an error.
        """
        self._raise(self._failure)
        if self._wanted is not None:
            self._raise_failure_of(self._wanted.utterance)
        found = self._verdict
        if found is not None:
            self._wanted = self._verdict = None
        return found

    def token(self, name: str) -> GeneratedToken | None:
        """The next token of the caption asked for last, if it has come.

        Raises:
            ProtocolError: If the verifier answered with an error.
        """
        if self._tokens:
            return self._tokens.pop(0)
        self._raise(self._failure)
        self._raise(self._find(name).failure)
        return None

    @property
    def stream_ended(self) -> bool:
        """Whether all tokens of the caption asked for last have come and been taken."""
        return self._stream_ended and not self._tokens

    # ── Within ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _welcome(self, info: VerifierInfo) -> None:
        if self.verifier is not None:
            raise ProtocolError("the verifier welcomed the edge twice", "order")
        self.check_fits(info)
        self.verifier = info

    def check_fits(self, verifier: VerifierInfo) -> None:
        """Both sides compare: neither has to trust the other's check.

        Raises:
            HandshakeRefused: If tokenizers or feature extractors differ.
        """
        difference = compare(self.edge, verifier)
        if difference is not None:
            raise HandshakeRefused(difference[1], difference[0])

    def _need_features(self, number: str) -> tuple[UpMessage, ...]:
        utterance = self._numbered(number)
        if utterance is None:
            return ()
        if utterance.sent:
            raise ProtocolError("the verifier asked for an acoustic code it has", "order")
        utterance.sent = True
        return (Open.of(replace(utterance.request, utterance=number), with_code=True),)

    def _take_verdict(self, message: VerdictReply) -> None:
        wanted, verdict = self._wanted, message.verdict
        if wanted is None or (message.utterance, verdict.sequence, verdict.revision) != (
            wanted.utterance,
            wanted.sequence,
            wanted.revision,
        ):
            self.dropped += 1
            self.late.append(verdict)
            return
        complete = verdict.accepted == len(wanted.draft)
        if verdict.accepted > len(wanted.draft) or complete != (verdict.replacement is None):
            raise ProtocolError("the verifier's verdict does not fit the block it was asked about", "bad_verdict")
        self._verdict = verdict

    def _take_error(self, error: ErrorReply) -> None:
        wanted = self._wanted
        if error.sequence is not None:
            awaited = wanted is not None and (error.utterance, error.sequence) == (wanted.utterance, wanted.sequence)
        elif error.stream is not None:
            awaited = error.stream == self._wanted_stream
        else:
            utterance = self._numbered(error.utterance or "")
            if utterance is not None:
                utterance.failure, utterance.sent = error, False
            return
        if awaited:
            self._failure = error
        else:
            self.dropped += 1

    def _find(self, name: str) -> _Utterance:
        utterance = self._utterances.get(name)
        if utterance is None:
            raise ProtocolError("this recording is not open at the verifier; open it again", "unknown_utterance")
        return utterance

    def _numbered(self, number: str) -> _Utterance | None:
        return next((entry for entry in self._utterances.values() if entry.number == number), None)

    def _raise_failure_of(self, number: str) -> None:
        utterance = self._numbered(number)
        if utterance is not None:
            self._raise(utterance.failure)

    @staticmethod
    def _raise(error: ErrorReply | None) -> None:
        if error is None:
            return
        if error.code in NOT_NOW:
            raise VerifierBusy(f"The verifier could not answer: {error.sentence}", (error.retry_after_ms or 0) / 1e3)
        raise ProtocolError(f"The verifier could not answer: {error.sentence}", error.code)
