"""The orderly end of a verifier: nothing new is begun, captions under way are finished, edges are told to go elsewhere.

On SIGTERM the server stops listening and tells every session (`Draining`). A session that holds no utterance is closed
at once, the others when their last one is, or when the grace time is over. An edge thus loses no verdict it was
waiting for, and begins its next caption at another verifier, or here when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable
from typing import Protocol

from ugsd_core.logs import told

__all__ = ["GOING_AWAY", "RETRY_AFTER_S", "SERVICE_RESTART", "drain"]

#: WebSocket close codes (RFC 6455, 7.4.1, and the IANA registry): of sessions that had finished, and of the others.
GOING_AWAY = 1001
SERVICE_RESTART = 1012
#: When an edge is asked to come back; a verifier that is started again loads for some seconds.
RETRY_AFTER_S = 2.0

logger = logging.getLogger(__name__)


class Session(Protocol):
    """What a server knows of a connection."""

    async def drain(self) -> None:
        """Tell the edge, and end the connection as soon as it holds no utterance; does not wait for that."""

    async def end(self, code: int) -> None:
        """End the connection now."""


async def drain(
    sessions: Iterable[Session], ended: Awaitable[object], grace_s: float, at_once: asyncio.Event | None = None
) -> tuple[int, int]:
    """Let sessions finish, then end those that did not.

    Args:
        sessions: Those that stand; read again when the grace time is over.
        ended: Done when none stands any more.
        grace_s: The longest wait for it.
        at_once: Ends the wait when set.

    Returns:
        How many sessions stood, and how many of them had to be ended.
    """
    standing = list(sessions)
    logger.info("Asked to end: %d sessions finish.", len(standing), extra=told("draining", sessions=len(standing)))
    await asyncio.gather(*(session.drain() for session in standing), return_exceptions=True)
    waits = [asyncio.ensure_future(ended)]
    if at_once is not None:
        waits.append(asyncio.ensure_future(at_once.wait()))
    await asyncio.wait(waits, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    cut = list(sessions)
    await asyncio.gather(*(session.end(SERVICE_RESTART) for session in cut), return_exceptions=True)
    for wait in waits:
        wait.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await wait
    extra = told("drained", sessions=len(standing), cut=len(cut))
    logger.info("%d sessions have ended, %d of them before they had finished.", len(standing), len(cut), extra=extra)
    return len(standing), len(cut)
