"""A block on its way to its verdict, while the edge works on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ugsd_core.messages import Verdict, VerifyRequest
    from ugsd_core.verifier import VerifierLink

__all__ = ["Inquiry"]

#: How long to wait for the asking thread once its connection was closed beneath it.
_LAST_WAIT_S = 2.0


class Inquiry:
    """Asks once for a verdict.

    With something to do meanwhile, a thread of its own asks. Nobody else may use the link until it has ended, and
    `verdict` returns or raises only then. Splitting `VerifierLink.judge` into asking and collecting would save that
    thread, but every link would have to be written that way, those of other packages included.

    Attributes:
        round_trip_s: From asking to the arrival of the verdict, however long the edge then still worked; 0 before.
        tokens_ahead: What the work meanwhile came to.
    """

    def __init__(self, link: VerifierLink, request: VerifyRequest, deadline_s: float) -> None:
        self._link = link
        self._request = request
        self._deadline_s = deadline_s
        self._answered = threading.Event()
        self._verdict: Verdict | None = None
        self._error: BaseException | None = None
        self.round_trip_s = 0.0
        self.tokens_ahead = 0

    def verdict(self, meanwhile: Callable[[Callable[[float], bool]], int] | None = None) -> Verdict:
        """Ask, and wait for the answer.

        Args:
            meanwhile: Work to do until then. Is given a function that waits for the answer for at most so many seconds
                and says whether it is there, asks it between two steps, and returns how many steps it made.

        Raises:
            WireError: As `VerifierLink.judge`. Whatever ``meanwhile`` raises comes through; the connection is then
                closed, since an answer may still be on its way.
        """
        if meanwhile is None:
            self._ask()
        else:
            asking = threading.Thread(target=self._ask, name="verdict", daemon=True)
            asking.start()
            try:
                self.tokens_ahead = meanwhile(self._answered.wait)
                asking.join()
            except BaseException:
                self._link.close()
                asking.join(_LAST_WAIT_S)
                raise
        if self._error is not None:
            raise self._error
        assert self._verdict is not None
        return self._verdict

    def _ask(self) -> None:
        began = perf_counter()
        try:
            self._verdict = self._link.judge(self._request, self._deadline_s)
        except BaseException as error:  # told where it was asked for, in the caption's own thread
            self._error = error
        self.round_trip_s = perf_counter() - began
        self._answered.set()
