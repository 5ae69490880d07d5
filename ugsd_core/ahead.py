"""What a model predicts behind a caption, kept while it holds: work done ahead, and work that is tried again.

`Foresight` stands between a draft and its stream. The stream may hold more than the caption: tokens drafted ahead while
a verdict is on its way, or a rejected suffix that was fed again in one pass. A prediction of position p holds as
long as the caption's first p ids are the stream's, whoever put them there. So nothing is decided here: what is asked
of it is what the stream alone would have answered, and only the number of forward passes, and their times, differ.

Which tokens share a pass follows from the verdicts alone, never from when they came: ids are read one by one, whether
before or after a verdict, and of what was rejected only the block's own tokens are tried again. So a caption drafted
ahead is the same to the last bit however fast the network was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ugsd_core.uncertainty import Distribution, distribution

__all__ = ["MOST_AGAIN", "Foresight", "Prediction", "Readable"]

#: Most tokens of a rejected suffix that are tried again in one pass; eight cost little more than one (docs/design.md).
MOST_AGAIN = 8

Logits = NDArray[np.float32]


class Readable(Protocol):
    """The part of a caption stream that is read here."""

    @property
    def length(self) -> int:
        """Caption tokens held."""

    def next_logits(self) -> Logits:
        """Logits (V,) of the token at position ``length``."""

    def feed(self, ids: Sequence[int], *, rows: int) -> Logits:
        """Append ids in one forward pass and return the last ``rows`` predictions (rows, V)."""

    def truncate(self, length: int) -> None:
        """Forget all caption tokens from position ``length`` on."""


class Reader(Readable, Protocol):
    """A stream that reads its distributions itself, which takes it less time than handing out logits."""

    def read(self, token_id: int | None, k: int) -> Distribution:
        """Append one id, if one is given: `distribution` of what `feed` would return, or else of `next_logits`.

        Equal to rounding, and with the same best token.
        """


class Prediction(NamedTuple):
    """What the model says of one position.

    Attributes:
        distribution: Read once.
        logits: Shape (V,); kept for drawing, None where only the best token is ever wanted.
        ahead: Whether its forward pass ran while a verdict was on its way.
    """

    distribution: Distribution
    logits: NDArray[Any] | None
    ahead: bool


class Foresight:
    """The predictions of one caption. Used from one thread at a time.

    Args:
        stream: Read through this object alone from now on.
        top_k: As `distribution` takes it.
        choose: ``(prediction, position, revision)`` → the token that is drafted there: the same function for whoever
            drafts and for what is drafted ahead.
        end_ids: Tokens that end a caption; nothing is drafted behind them.
        keep_logits: Whether ``choose`` reads `Prediction.logits`.
        ahead: Whether `ahead` may be called. Ids are then read one by one, so that it makes no difference when.
        again: Whether a rejected suffix is tried again. Not where a pass over several tokens says something else than
            several passes, as it does in 16 bits or with activations rounded a pass at a time.

    Attributes:
        tokens_ahead: Positions read ahead so far.
        tokens_again: Tokens of a rejected suffix that stood, and cost no pass of their own.
        passes: Forward passes so far, the request's own left out.
    """

    def __init__(
        self,
        stream: Readable,
        top_k: int,
        choose: Callable[[Prediction, int, int], int],
        end_ids: Collection[int],
        *,
        keep_logits: bool = False,
        ahead: bool = True,
        again: bool = True,
    ) -> None:
        self._stream = stream
        self._top_k = top_k
        self._choose = choose
        self._end_ids = frozenset(end_ids)
        self._keep_logits = keep_logits
        self._reader = None if keep_logits or not hasattr(stream, "read") else cast(Reader, stream)
        self._one_by_one = ahead
        self._again = again
        self._held: list[int] = []  # the stream's ids
        self._agreed = 0  # how many of them, from the first on, are the caption's
        self._predictions: dict[int, Prediction] = {}
        self._dropped: list[int] = []  # what stood from the last rollback's position on
        self._retry: tuple[int, tuple[int, ...]] = (0, ())  # the position that a suffix is to be tried at
        self._is_ahead = False
        self.tokens_ahead = self.tokens_again = self.passes = 0

    # ── The caption's ids ─────────────────────────────────────────────────────────────────────────────────────────

    def append(self, position: int, token_id: int) -> None:
        """The caption goes on with a token at ``position``, its length until now."""
        self._predictions.pop(position, None)
        dropped = self._dropped
        if dropped:
            self._dropped = []
        if self._agreed == position and self._agreed < len(self._held) and self._held[position] == token_id:
            self._agreed += 1
        elif dropped:
            # The verifier's token may stand in place of the first that was dropped, or leave one or two out.
            skip = dropped.index(token_id) if token_id in dropped[:3] else 0
            self._retry = (position + 1, tuple(dropped[skip + 1 :]))

    def rollback(self, ids: Sequence[int], length: int) -> None:
        """The caption ``ids`` is cut to its first ``length`` tokens."""
        self._dropped = list(ids[length:])
        self._agreed = min(self._agreed, length)

    # ── Predictions ───────────────────────────────────────────────────────────────────────────────────────────────

    def at_end(self, ids: Sequence[int], revision: int, most: int) -> Prediction:
        """The prediction of the token behind ``ids``, which is the whole caption.

        Args:
            ids: The caption.
            revision: Of the caption.
            most: Positions that a caption may have; nothing is read beyond them.
        """
        position = len(ids)
        known = self._predictions.get(position)
        if known is not None and self._agreed == position:
            return known
        self._read(ids, revision, most)
        return self._predictions[position]

    def ahead(self, ids: Sequence[int], revision: int, most: int, stop: Callable[[], bool]) -> int:
        """Draft on behind ``ids`` until told to stop, the end of the turn, or ``most`` tokens; returns how many were.

        ``stop`` is asked before each forward pass. What was drafted is kept as predictions alone; the caption stays.
        """
        before = self.tokens_ahead
        self._is_ahead = True
        try:
            chain = list(ids)
            while len(chain) < most:
                if not self._is_known(chain) and stop():
                    break
                position = len(chain)
                self._read_ahead(chain, len(ids), revision, most)
                chain.append(self._choose(self._predictions[position], position, revision))
                if chain[-1] in self._end_ids:
                    break
        finally:
            self._is_ahead = False
        return self.tokens_ahead - before

    def _is_known(self, chain: Sequence[int]) -> bool:
        position = len(chain)
        return position in self._predictions and self._held[:position] == list(chain)

    def _read_ahead(self, chain: list[int], caption: int, revision: int, most: int) -> None:
        """Make sure of the prediction behind ``chain``, which goes on from the caption's first ``caption`` ids."""
        if self._is_known(chain):
            return
        agreed = self._agreed
        while agreed < min(len(chain), len(self._held)) and self._held[agreed] == chain[agreed]:
            agreed += 1
        self._agreed = agreed
        self._read(chain, revision, most)
        self._agreed = min(self._agreed, caption)

    def _read(self, ids: Sequence[int], revision: int, most: int) -> None:
        """One forward pass over what the stream does not hold of ``ids``, and over a suffix that is tried again."""
        position = len(ids)
        if len(self._held) > self._agreed:
            self._forget(self._agreed)
        if self._reader is not None and self._agreed >= position - 1 and not self._retry[1]:
            # One prediction, of one more token at most: what nearly every pass is for.
            token_id = ids[-1] if self._agreed < position else None
            seen = self._reader.read(token_id, self._top_k)
            self._predictions[position] = Prediction(seen, None, self._is_ahead)
            if token_id is not None:
                self._held.append(token_id)
                self._agreed = position
            self.tokens_ahead += self._is_ahead
            self.passes += 1
            return
        pending = list(ids[self._agreed :])
        if not pending:
            rows = self._stream.next_logits()[None]
            suffix: tuple[int, ...] = ()
        else:
            suffix = self._suffix(position, most)
            while self._one_by_one and len(pending) > 1:
                self._stream.feed(pending[:1], rows=1)
                self._held.append(pending.pop(0))
                self.passes += 1
            rows = self._stream.feed([*pending, *suffix], rows=len(suffix) + 1)
            self._held += [*pending, *suffix]
        self.passes += 1
        self._agreed = position
        for offset, row in enumerate(rows):
            prediction = self._predict(row)
            self._predictions[position + offset] = prediction
            if offset == len(suffix) or self._choose(prediction, position + offset, revision) != suffix[offset]:
                self._forget(position + offset)
                self.tokens_again += offset
                return

    def _suffix(self, position: int, most: int) -> tuple[int, ...]:
        """What is tried again behind ``position``; each suffix once."""
        (at, suffix), self._retry = self._retry, (0, ())
        if not self._again or at != position:
            return ()
        end = next((n for n, token_id in enumerate(suffix) if token_id in self._end_ids), len(suffix))
        return suffix[: max(0, min(end, MOST_AGAIN, most - 1 - position))]

    def _predict(self, row: Logits) -> Prediction:
        self.tokens_ahead += self._is_ahead
        return Prediction(distribution(row, self._top_k), row if self._keep_logits else None, self._is_ahead)

    def _forget(self, length: int) -> None:
        """Let the stream hold no more than ``length`` tokens; the prediction behind them stays."""
        if len(self._held) > length:
            self._stream.truncate(length)
            del self._held[length:]
        for position in [p for p in self._predictions if p > length]:
            del self._predictions[position]
