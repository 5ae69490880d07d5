"""`ReconnectingLink`: a link that comes back by itself, while the caption goes on with the edge alone.

A connection that broke is made anew in a thread of its own, with exponential back-off and jitter, at the next address
if there are several. The loop looks (`standing`) before each block that it would send, and never waits for that. Once
the connection stands it gives the verifier the utterance again: the acoustic code by its SHA-256 alone, all committed
ids with the next block.

A deadline is waited for in vain once. Then nothing is asked until the verifier has shown that its model works: by the
late verdict, or by reading the utterance anew, which is asked of it when the circuit breaker lets a trial pass. Neither
is waited for.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from ugsd_core.errors import (
    HandshakeRefused,
    OptionError,
    ProtocolError,
    VerdictTimeout,
    VerifierBusy,
    VerifierUnavailable,
    WireError,
)
from ugsd_core.messages import (
    FrameRecord,
    GeneratedToken,
    GenerateRequest,
    OpenedReply,
    OpenRequest,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)
from ugsd_core.verifier import Standing
from ugsd_core.wire.breaker import Backoff, CircuitBreaker
from ugsd_core.wire.client import WebSocketLink, check_address
from ugsd_core.wire.closing import ClosingLink
from ugsd_core.wire.deadline import CEILING_S, FLOOR_S, LearnedDeadline
from ugsd_core.wire.dialogue import NOT_NOW, Resume

__all__ = ["ReconnectingLink", "check_addresses"]

#: Errors about an utterance that opening it anew mends.
MENDABLE = frozenset({"unknown_utterance", "bad_base", "sequence", "draining"})


def check_addresses(text: str) -> tuple[str, ...]:
    """Addresses of verifiers, separated by commas; the first is preferred.

    Raises:
        OptionError: If one is no WebSocket address, or there is none.
    """
    addresses = tuple(check_address(part) for part in text.split(","))
    if len(set(addresses)) != len(addresses):
        raise OptionError("an address of a verifier is named twice")
    return addresses


class ReconnectingLink(ClosingLink):
    """A `ugsd_core.verifier.RecoveringLink` over WebSocket. Used from one thread at a time; `close` from any.

    Args:
        addresses: Where verifiers are: one, several separated by commas, or a function that gives them anew for each
            attempt, and may raise `VerifierUnavailable`.
        access_token: For verifiers that ask for one.
        open_timeout_s: Longest wait for connection and handshake.
        heartbeat_s: Time between keepalive pings.
        floor_s, ceiling_s: Of the learned deadline.
        backoff: Of reconnection.
        background: Whether a thread makes connections anew; without, `standing` does so when one is due.
        clock: Monotonic seconds.
        chance: Numbers in 0…1, for the jitter.

    Attributes:
        connections: Handshakes that succeeded so far.

    Raises:
        OptionError: If an address is none.
    """

    def __init__(
        self,
        addresses: str | Callable[[], Sequence[str]],
        *,
        access_token: str | None = None,
        open_timeout_s: float = 5.0,
        heartbeat_s: float = 5.0,
        floor_s: float = FLOOR_S,
        ceiling_s: float = CEILING_S,
        backoff: Backoff | None = None,
        background: bool = True,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._addresses = addresses if callable(addresses) else _constant(check_addresses(addresses))
        self._access_token = access_token
        self._open_timeout_s = open_timeout_s
        self._heartbeat_s = heartbeat_s
        self._ceiling_s = ceiling_s
        self._background = background
        self._clock = clock
        self._breaker = CircuitBreaker(backoff, clock=clock, chance=chance)
        self._learned = LearnedDeadline(floor_s, ceiling_s)
        self.connections = 0
        self._turn = 0
        self._resumes: dict[str, Resume] = {}
        self._shown = "this machine" if callable(addresses) else check_addresses(addresses)[0]
        self._edge: VerifierInfo | None = None
        self._options: dict[str, object] = {}
        self._interrupted = False
        self._link: WebSocketLink | None = None
        # What the mending thread and the caption's share, under the lock.
        self._lock = threading.Lock()
        self._fresh: WebSocketLink | None = None
        self._refused: HandshakeRefused | None = None
        self._left: list[FrameRecord] = []
        self._mending: threading.Event | None = None
        # After a missed deadline: the signs seen until then, the ping sent, and when its answer is overdue.
        self._doubt: tuple[int, threading.Event | None, float] | None = None
        self._trial_until = 0.0

    @property
    def address(self) -> str:
        """Where the verifier is, for people: the one connected to last."""
        return self._shown

    @property
    def connected(self) -> bool:
        """Whether a connection stands, as far as this side knows."""
        return self._link is not None and self._link.connected

    def deadline_s(self) -> float:
        """See `RecoveringLink.deadline_s`."""
        return self._learned.deadline_s

    # ── Connecting ────────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, edge: VerifierInfo, options: dict[str, object]) -> VerifierInfo:
        """See `VerifierLink.connect`. While the circuit breaker is open it fails at once."""
        if self._edge is not None and edge != self._edge:
            self.close()
        if self._interrupted:  # whoever ended it begins anew, without the failures of before
            self._breaker.success()
        self._edge, self._options, self._interrupted = edge, options, False
        self._take_over()
        link = self._link
        if link is not None:
            link.poll()
            if link.connected and link.session is not None and link.session.draining is not None:
                self._turn += 1
            elif link.connected:
                return link.connect(edge, options)
            self._let_go()
        refused, self._refused = self._refused, None
        away = self._breaker.failures if self._background else self._breaker.state == "open"
        if away and refused is None and options.get("mode") != "cloud":
            self._mend()  # a caption does not wait for what a thread of its own can wait for, if it can go on alone
            raise VerifierUnavailable(f"The verifier at {self._shown} is away; it is tried again by itself.")
        try:
            self._link = self._dial()
        except HandshakeRefused as error:
            if error.code not in NOT_NOW:
                raise
            raise VerifierUnavailable(str(error)) from error
        except WireError:
            self._mend()
            raise
        return self._link.connect(edge, options)

    def _dial(self) -> WebSocketLink:
        """Connect and shake hands, at each address once."""
        assert self._edge is not None
        error: WireError | None = None
        try:
            addresses = self._addresses()
        except VerifierUnavailable:
            self._breaker.failure()
            raise
        for _ in addresses:
            address = addresses[self._turn % len(addresses)]
            resume = self._resumes.setdefault(address, Resume())
            link = WebSocketLink(
                address,
                access_token=self._access_token,
                open_timeout_s=self._open_timeout_s / len(addresses),
                ping_interval_s=self._heartbeat_s,
                send_timeout_s=self._ceiling_s,
                resume=resume,
            )
            try:
                link.connect(self._edge, self._options)
            except WireError as failed:
                error = failed
                self._keep_frames(link)
                if isinstance(failed, HandshakeRefused) and failed.code not in NOT_NOW:
                    self._breaker.failure()
                    raise
                self._turn += 1
                continue
            self._shown = address
            self.connections += 1
            return link
        self._breaker.failure()
        raise error or VerifierUnavailable("There is no address of a verifier to try.")

    def _mend(self) -> None:
        """See that somebody tries to connect anew."""
        with self._lock:
            if not self._background or self._interrupted or self._fresh is not None:
                return
            if self._mending is not None and not self._mending.is_set():
                return
            self._mending = stop = threading.Event()
        threading.Thread(target=self._keep_trying, args=(stop,), name="reconnect", daemon=True).start()

    def _keep_trying(self, stop: threading.Event) -> None:
        """The mending thread: until a connection stands, a refusal is final, or nobody wants it any more."""
        while not stop.wait(self._breaker.wait_s):
            if self._try_once(stop):
                break
        stop.set()

    def _try_once(self, stop: threading.Event | None) -> bool:
        """One attempt; whether there is nothing more to try."""
        try:
            link = self._dial()
        except HandshakeRefused as refused:
            if refused.code in NOT_NOW:
                return False
            with self._lock:
                self._refused = refused
            return True
        except WireError:
            return False
        with self._lock:
            if stop is None or not stop.is_set():
                self._fresh = link
                return True
        link.close()  # closed meanwhile
        return True

    def _take_over(self) -> None:
        """Use the connection that was made in the background, if there is one."""
        with self._lock:
            fresh, self._fresh = self._fresh, None
        if fresh is not None:
            self._let_go()
            self._link = fresh

    def _let_go(self) -> None:
        """Leave a connection that is of no use any more; closing it may wait for the other side."""
        link, self._link, self._doubt = self._link, None, None
        if link is not None:
            self._keep_frames(link)
            if link.connected and self._background:
                threading.Thread(target=link.close, name="close", daemon=True).start()
            else:
                link.close()

    def _keep_frames(self, link: WebSocketLink) -> None:
        frames = link.take_frames()
        with self._lock:
            self._left += frames

    # ── Standing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def standing(self, utterance: str) -> Standing:
        """See `RecoveringLink.standing`."""
        self._take_over()
        link = self._link
        if link is not None:
            link.poll()
        if link is None or not link.connected:
            return self._without()
        assert link.session is not None
        for verdict in _taken(link):
            self._learned.late(verdict)
        holds = link.session.holds(utterance)
        if link.session.draining is not None and not holds:
            self._turn += 1
            return self._without()
        if self._doubt is not None:
            signs, pong, overdue = self._doubt
            if link.session.signs > signs:
                self._doubt = None
                self._breaker.success()
            elif (pong is None or not pong.is_set()) and self._clock() >= overdue:
                self._let_go()
                return self._without()
            elif self._breaker.state == "open" or self._clock() < self._trial_until:
                return "silent"
            else:
                return "closed"  # a trial: the utterance is to be read anew
        elif self._breaker.state == "open":  # it was busy, or failed on a block
            return "silent"
        return "open" if holds else "closed"

    def _without(self) -> Standing:
        """No connection stands."""
        if self._link is not None:
            if not self._breaker.failures and not self._interrupted:
                self._breaker.failure()
            self._let_go()
        if self._background:
            self._mend()
        elif self._breaker.state != "open" and self._may_try() and self._try_once(None):
            self._take_over()
            return "closed" if self._link is not None else "away"
        return "away"

    def _may_try(self) -> bool:
        return self._edge is not None and not self._interrupted

    def _missed(self, link: WebSocketLink, deadline_s: float) -> None:
        """A deadline passed: look whether the other side is there at all."""
        self._learned.missed()
        self._breaker.failure()
        self._trial_until = 0.0
        session = link.session
        if session is not None:
            self._doubt = (session.signs, link.ping(), self._clock() + min(deadline_s, self._ceiling_s))

    # ── Asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, request: OpenRequest) -> None:
        """See `VerifierLink.open`."""
        link = self._standing_link()
        if self._breaker.failures:
            # After a failure the model has to show that it works before anything is waited for; this is its trial.
            # Reading may take seconds, and another trial would have it begin anew.
            self._breaker.failure()
            self._trial_until = self._clock() + self._ceiling_s
            if self._doubt is None:
                self._doubt = (_signs(link), link.ping(), self._clock() + self._ceiling_s)
        link.open(request)

    def opened(self, utterance: str, deadline_s: float) -> OpenedReply:
        """See `VerifierLink.opened`."""
        return self._standing_link().opened(utterance, deadline_s)

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        """See `VerifierLink.judge`."""
        link = self._standing_link()
        began = self._clock()
        try:
            verdict = link.judge(request, deadline_s)
        except VerdictTimeout:
            self._missed(link, deadline_s)
            raise
        except VerifierBusy as error:
            self._breaker.failure(error.retry_after_s)
            raise
        except ProtocolError as error:
            # One that the verifier can't answer is opened anew, at once if that mends it, else when it is due.
            link.close_utterance(request.utterance)
            if error.code not in MENDABLE:
                self._breaker.failure()
            raise
        except WireError:
            if not self._interrupted:
                self._breaker.failure()
            self._without()
            raise
        self._breaker.success()
        self._doubt = None
        self._learned.answered(verdict, self._clock() - began)
        return verdict

    def generate(self, request: GenerateRequest, deadline_s: float) -> Iterator[GeneratedToken]:
        """See `VerifierLink.generate`. A caption that the verifier writes alone is not taken up again."""
        yield from self._standing_link().generate(request, deadline_s)

    def close_utterance(self, utterance: str) -> None:
        """See `VerifierLink.close_utterance`."""
        if self._link is not None:
            self._link.close_utterance(utterance)

    def take_frames(self) -> list[FrameRecord]:
        """See `VerifierLink.take_frames`. Those of connections that were given up, or failed, are among them."""
        frames = [] if self._link is None else self._link.take_frames()
        with self._lock:
            left, self._left = self._left, []
        return sorted([*left, *frames], key=lambda frame: frame.at_s)

    def close(self) -> None:
        """See `VerifierLink.close`."""
        with self._lock:
            self._interrupted = True
            if self._mending is not None:
                self._mending.set()
            fresh, self._fresh = self._fresh, None
        for link in (fresh, self._link):
            if link is not None:
                with contextlib.suppress(WireError):
                    link.close()

    def _standing_link(self) -> WebSocketLink:
        if self._link is None:
            raise VerifierUnavailable(f"The connection to the verifier at {self._shown} was lost.")
        return self._link


def _constant(addresses: tuple[str, ...]) -> Callable[[], Sequence[str]]:
    return lambda: addresses


def _signs(link: WebSocketLink) -> int:
    return 0 if link.session is None else link.session.signs


def _taken(link: WebSocketLink) -> list[Verdict]:
    """Late verdicts, each given once."""
    if link.session is None:
        return []
    late = list(link.session.late)
    link.session.late.clear()
    return late
