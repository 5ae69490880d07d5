"""One session on the verifier's side: frames in, frames out, lanes of work in between.

It knows no server: whatever carries whole binary frames both ways will do (`Frames`), so that the same session is
served by `ugsd_core.wire.server` and by others. Nothing that is logged holds token ids, captions or acoustic codes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

from ugsd_core.batching import MIN_RETRY_MS
from ugsd_core.errors import OptionError, ProtocolError, VerifierBusy, WireError
from ugsd_core.logs import places, told
from ugsd_core.messages import VerifyRequest
from ugsd_core.wire.door import Guest
from ugsd_core.wire.drain import GOING_AWAY, RETRY_AFTER_S
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.lanes import FeaturesNeeded, FramesClosed, Lane
from ugsd_core.wire.messages import (
    DownMessage,
    Draining,
    ErrorReply,
    Generate,
    GeneratedReply,
    Open,
    Refused,
    UpMessage,
    VerdictReply,
)
from ugsd_core.wire.protocol import decode_up, encode
from ugsd_core.wire.service import Service, busy
from ugsd_core.wire.session import JudgeWork, OpenWork, ServerSession, Work
from ugsd_core.wire.tally import Tally

__all__ = ["HELLO_TIMEOUT_S", "Connection", "Frames", "FramesClosed"]

HELLO_TIMEOUT_S = 10.0
#: What a session that is too old gets for the caption under way.
LAST_GRACE_S = 60.0
#: Close code of RFC 6455, 7.4: whoever it is may not be here.
POLICY = 1008

logger = logging.getLogger(__name__)


class Frames(Protocol):
    """The server's end of a connection that carries whole frames."""

    async def recv(self) -> bytes | str:
        """The next frame; text is told from bytes, since it breaks the protocol.

        Raises:
            FramesClosed: If no more will come.
        """

    async def send(self, frame: bytes) -> None:
        """Send one frame.

        Raises:
            FramesClosed: If nobody is there.
        """

    async def close(self, code: int) -> None:
        """Close the connection with a status of RFC 6455, 7.4; closing twice is nothing."""


class Connection:
    """One session: frames in, frames out, lanes in between.

    Args:
        frames: What carries it.
        service: The model, shared with all other sessions.
        guest: Whoever is at the other end, as the door sees it; or the token to be shown, None for none.
        kept: What connections leave for the next one of the same edge.

    Attributes:
        tally: What it did, in numbers.
    """

    def __init__(
        self, frames: Frames, service: Service, guest: Guest | str | None, kept: KeptCodes | None = None
    ) -> None:
        self._frames = frames
        self._service = service
        self._guest = guest if isinstance(guest, Guest) else Guest.of(guest)
        self._session = ServerSession(service.verifier.info, kept=kept)
        self._lanes: dict[int, Lane] = {}
        self._shut_out: frozenset[str] = frozenset()
        self.tally = Tally(service.measures)

    async def run(self) -> None:
        """Serve until the connection ends; never raises for what the other side did."""
        try:
            await self._serve()
        except ProtocolError as error:
            extra = told("protocol_broken", code=error.code, **self.tally.who)
            logger.warning("A session broke the protocol and was ended (%s).", error.code, extra=extra)
            sentence = _sentence(error)
            known = self._session.greeted
            last: DownMessage = ErrorReply(error.code, sentence) if known else Refused(error.code, sentence)
            with contextlib.suppress(FramesClosed):
                await self.send((last,))
                await self._frames.close(1002)
        except FramesClosed:
            pass
        except TimeoutError:
            extra = told("hello_missing", **self.tally.who)
            logger.info("A connection sent no hello in time and was closed.", extra=extra)
        finally:
            lanes = list(self._lanes.values())
            for lane in lanes:
                lane.stop()
            await asyncio.gather(*(lane.finished() for lane in lanes))
            self._service.forget_codes(self)
            self._session.ended()
            self._guest.leave()

    async def look_after(self) -> None:
        """End what has lasted too long or whose token was removed; called every few seconds."""
        guest, overdue_s = self._guest, self._guest.overdue_s()
        if guest.removed():
            extra = told("token_removed", **self.tally.who)
            logger.info("A session ended, since its access token was removed.", extra=extra)
            await self.end(POLICY)
        elif guest.idle() or overdue_s > LAST_GRACE_S:
            await self.end(GOING_AWAY)
        elif overdue_s > 0 and not self._session.draining:
            await self.drain()

    async def drain(self) -> None:
        """Begin nothing new; end as soon as nothing is open."""
        self._session.draining = True
        with contextlib.suppress(FramesClosed):
            if self._session.greeted:
                await self.send((Draining(int(RETRY_AFTER_S * 1e3)),))
            if self._session.drained:
                await self._frames.close(GOING_AWAY)

    async def end(self, code: int) -> None:
        """End the connection now."""
        await self._frames.close(code)

    async def _serve(self) -> None:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            frame = await self._frames.recv()
        self.tally.frame(len(frame))
        refused = await self._guest.greet(frame)
        if refused is not None:
            await self.send((refused,))
            await self._frames.close(POLICY)
            return
        self._session.client = self._guest.client
        kind, _, name = self._guest.client.partition(" ")
        self.tally.client = name if kind == "token" else None  # an address is nobody's business here
        while not await self._take(frame):
            async with asyncio.timeout(None if self._session.greeted else HELLO_TIMEOUT_S):
                frame = await self._frames.recv()
            self.tally.frame(len(frame))

    async def _take(self, frame: bytes | str) -> bool:
        """Handle a frame; whether it was the session's last."""
        pause_s = self._guest.received(len(frame))
        if pause_s:
            await asyncio.sleep(pause_s)
        if not isinstance(frame, bytes):
            raise ProtocolError("frames are binary")
        message, _ = decode_up(frame, self._session.info.vocabulary_size)
        self.tally.received(message)
        refusal = self._refusal(message)
        if refusal is not None:
            await self.send((refusal,))
            return False
        step = self._session.receive(message)
        if isinstance(message, Open):
            self._service.hold_codes(self, self._session.code_bytes, self._session.forget_code)
        for serial in step.forgotten:
            lane = self._lanes.pop(serial, None)
            if lane is not None:
                lane.stop()
        await self.send(step.replies)
        for work in step.work:
            await self._lane(work.serial).put(work)
        if step.ends or self._session.drained:
            await self._frames.close(GOING_AWAY if self._session.drained else 1000)
            return True
        if isinstance(message, Open) and self._guest.opened():
            await self.drain()
        return False

    def _lane(self, serial: int) -> Lane:
        if serial not in self._lanes:
            self._lanes[serial] = Lane(self._service, self, self._done, self._failed)
        return self._lanes[serial]

    def _refusal(self, message: UpMessage) -> ErrorReply | None:
        """Back-pressure, before any work and before anything of the request is remembered; None if there is room."""
        if not self._session.greeted or not isinstance(message, Open | VerifyRequest | Generate):
            return None
        name = message.request.utterance if isinstance(message, Generate) else message.utterance
        too_long = self._guest.too_long(message)
        if too_long is not None:
            return ErrorReply("too_long", too_long, name)
        limited_ms = self._guest.retry_after_ms(message)
        retry_after_ms = limited_ms or self._service.admission.refusal_after_ms(self)
        if isinstance(message, Open):
            # What follows an opening that was refused is refused, too: it would be about nothing.
            self._shut_out = self._shut_out | {name} if retry_after_ms is not None else self._shut_out - {name}
        elif name in self._shut_out:
            retry_after_ms = retry_after_ms or MIN_RETRY_MS
        return None if retry_after_ms is None else busy(message, retry_after_ms, limited=limited_ms is not None)

    async def _done(self, work: Work, result: object) -> None:
        """A piece of work has a result (None: the end of a generated caption)."""
        # Lane pairs each kind of work with its kind of result.
        if isinstance(work, OpenWork):
            await self.send(self._session.opened(work, result))  # type: ignore[arg-type]
        elif isinstance(work, JudgeWork):
            await self.send(self._session.judged(work, result))  # type: ignore[arg-type]
        elif result is None:
            await self.send(self._session.generated_all(work))
        else:
            await self.send(self._session.generated(work, result))  # type: ignore[arg-type]

    async def _failed(self, work: Work, error: Exception) -> None:
        """The model refused a piece of work, or failed on it."""
        if isinstance(error, FeaturesNeeded) and not isinstance(work, OpenWork):
            await self.send(self._session.needs_features(work))
            return
        retry_after_ms = None
        if isinstance(error, ProtocolError):
            code, sentence = error.code, _sentence(error)
            if isinstance(error, VerifierBusy):
                retry_after_ms = round(error.retry_after_s * 1e3)
        elif isinstance(error, WireError | OptionError):
            code, sentence = "refused", _sentence(error)
        else:
            code, sentence = "internal", "The verifier failed on this request; its own log says where."
            # Without the exception's text, which may quote ids.
            kind, trace = type(error).__name__, places(error.__traceback__)
            logger.error(
                "The verifier failed with %s at %s.",
                kind,
                trace[-1] if trace else "an unknown place",
                extra=told("work_failed", code=code, error=kind, trace=trace, **self.tally.who),
            )
        if isinstance(work, OpenWork):
            self._lanes.pop(work.serial, None)
        replies = self._session.failed(work, code, sentence, retry_after_ms)
        if isinstance(work, OpenWork) and retry_after_ms is not None and replies:
            self._shut_out = self._shut_out | {work.request.utterance}  # blocks on their way come later, too
        await self.send(replies)

    async def send(self, replies: tuple[DownMessage, ...]) -> None:
        """Send messages; one that the verifier filled wrongly becomes an error message.

        Raises:
            FramesClosed: If nobody is there any more.
        """
        for reply in replies:
            try:
                frame, _ = encode(reply, self._session.info.vocabulary_size, self._session.padding)
            except ProtocolError as error:
                logger.error(
                    "The verifier gave an answer that cannot be sent (%s).",
                    error.code,
                    extra=told("unsendable", code=error.code, trace=places(error.__traceback__), **self.tally.who),
                )
                reply = _unsendable(reply)
                frame, _ = encode(reply, padding=self._session.padding)
            self.tally.sent(reply, len(frame))
            await self._frames.send(frame)


def _sentence(error: Exception) -> str:
    """An error's message as text that a frame may hold."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error)).strip()
    return text[:500] or type(error).__name__


def _unsendable(reply: DownMessage) -> ErrorReply:
    """What goes out instead of a message with impossible fields."""
    utterance = getattr(reply, "utterance", None)
    sequence = reply.verdict.sequence if isinstance(reply, VerdictReply) else None
    stream = reply.stream if isinstance(reply, GeneratedReply) else None
    return ErrorReply("internal", "The verifier gave an answer that cannot be sent.", utterance, sequence, stream)
