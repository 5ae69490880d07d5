"""What a vLLM server told of one position, as the rules of acceptance read it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ugsd_core.errors import ProtocolError
from ugsd_core.models.caption_stream import Logits
from ugsd_core.vllm.schema import BAD_ANSWER, LEAST_LOGPROB, Position

__all__ = ["UNDECIDED", "BestFew", "logits_of"]

#: Error code of a position at which too few tokens are known.
UNDECIDED = "vllm_undecided"


def logits_of(position: Position, vocabulary_size: int) -> Logits:
    """A position of which every token was told, as logits (V,) over the shared vocabulary.

    Log-probabilities are logits up to a constant, and cutting them to the shared vocabulary is what cutting the logits
    is: so everything that follows is what it would be with the model here.

    Raises:
        ProtocolError: If tokens of the shared vocabulary are missing.
    """
    row = np.full(vocabulary_size, np.nan, dtype=np.float32)
    for token_id, entry in position.items():
        if token_id < vocabulary_size:
            row[token_id] = max(entry.logprob, LEAST_LOGPROB)
    if np.isnan(row).any():
        raise ProtocolError(
            "the vLLM server did not tell all log-probabilities; start it with --max-logprobs -1", BAD_ANSWER
        )
    return row


@dataclass(frozen=True, slots=True)
class BestFew:
    """A position of which the N best tokens were told, and the one that stands there whatever its rank.

    It answers as `ugsd_core.uncertainty.Distribution` does what N tokens can answer, and refuses the rest. Tokens that
    only this model has (of sounds and pictures) are left out; probabilities are taken over all others as far as they
    are known: 1 less those that are left out.

    Attributes:
        logprobs: Of the told tokens of the shared vocabulary.
        ranks: Of the same, over the model's whole vocabulary; None where it was not told.
        others: How many of the told tokens were left out.
        log_rest: Logarithm of the probability that the others leave.
        least: The least log-probability among the N best; whatever was not told has no more.
        n_best: Tokens of the shared vocabulary among the N best.
    """

    logprobs: dict[int, float]
    ranks: dict[int, int | None]
    others: int
    log_rest: float
    least: float
    n_best: int

    @classmethod
    def of(cls, position: Position, n: int, vocabulary_size: int) -> BestFew:
        """Read a position.

        Args:
            n: How many of the best were asked for.

        Raises:
            ProtocolError: If fewer than two tokens of the shared vocabulary are among them.
        """
        ordered = sorted(position.items(), key=lambda told: (-told[1].logprob, told[0]))
        best = ordered[:n]
        shared = {token_id: entry for token_id, entry in ordered if token_id < vocabulary_size}
        n_best = sum(token_id < vocabulary_size for token_id, _ in best)
        if n_best < 2:
            raise ProtocolError(
                f"of the {n} best tokens that the vLLM server told, {n_best} can stand in a caption; start the "
                "verifier with a higher --vllm-top",
                UNDECIDED,
            )
        left_out = sum(math.exp(entry.logprob) for token_id, entry in best if token_id >= vocabulary_size)
        return cls(
            {token_id: entry.logprob for token_id, entry in shared.items()},
            {token_id: entry.rank for token_id, entry in shared.items()},
            len(best) - n_best,
            math.log(max(1e-12, 1.0 - left_out)),
            best[-1][1].logprob,
            n_best,
        )

    @property
    def top(self) -> tuple[tuple[int, float], ...]:
        """(id, probability) of the known, best first, ties by lower id."""
        ordered = sorted(self.logprobs.items(), key=lambda told: (-told[1], told[0]))
        return tuple((token_id, self.probability(token_id)) for token_id, _ in ordered[: self.n_best])

    @property
    def best(self) -> int:
        """The most probable token; the lower id wins a tie."""
        return min(self.logprobs, key=lambda token_id: (-self.logprobs[token_id], token_id))

    def probability(self, token_id: int) -> float:
        """Probability of a told token.

        Raises:
            ProtocolError: Of any other.
        """
        self._must_know(token_id)
        return min(1.0, math.exp(self.logprobs[token_id] - self.log_rest))

    def rank(self, token_id: int) -> int:
        """Rank among the tokens of the shared vocabulary, 1 for `best`, ties by lower id.

        Exact within the N best. Behind them it is the rank that was told less the tokens that are known to be left
        out: as good as exact, and never within the N best.

        Raises:
            ProtocolError: If the token is unknown, or was told without a rank.
        """
        self._must_know(token_id)
        own = self.logprobs[token_id]
        if own >= self.least:
            return 1 + sum((-other, i) < (-own, token_id) for i, other in self.logprobs.items())
        told = self.ranks[token_id]
        if told is None:
            raise ProtocolError("the vLLM server told a token without its rank", BAD_ANSWER)
        return max(self.n_best + 1, told - self.others)

    def _must_know(self, token_id: int) -> None:
        if token_id not in self.logprobs:
            raise ProtocolError("the vLLM server did not tell the token that was asked about", BAD_ANSWER)

    @property
    def entropy_nats(self) -> float:
        """Not known.

        Raises:
            ProtocolError: Always.
        """
        raise _not_known("the entropy")

    @property
    def scores(self) -> Logits:
        """Not known.

        Raises:
            ProtocolError: Always.
        """
        raise _not_known("every token's score")


def _not_known(what: str) -> ProtocolError:
    return ProtocolError(f"{what} is not known where only the best tokens are told", UNDECIDED)
