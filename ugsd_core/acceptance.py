"""How a verifier judges a drafted token: one small class a rule, chosen by name.

A rule sees one position at a time. The first position that fails is replaced by the verifier's own best token and
everything after it is dropped; that part is the same for every rule and lives in `ugsd_core.verifier`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ugsd_core.errors import OptionError
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import Distribution

__all__ = [
    "ACCEPTANCE_RULES",
    "AcceptanceRule",
    "GreedyRule",
    "ProbabilityRule",
    "RankRule",
    "TypicalRule",
    "acceptance_rule",
    "rank_warning",
]

#: Above this share of the vocabulary, the r best tokens are nearly everything that could stand at a position.
LARGE_RANK_SHARE = 0.005


class AcceptanceRule(Protocol):
    """Whether a drafted token may stand."""

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token passes under the verifier's distribution at its position."""


@dataclass(frozen=True, slots=True)
class RankRule:
    """The paper's rule: among the verifier's r best."""

    rank: int

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token's rank is at most r."""
        return verifier.rank(token_id) <= self.rank


@dataclass(frozen=True, slots=True)
class ProbabilityRule:
    """The proposal's rule: at least probability p. The verifier's own choice always passes.

    Without that exception a flat distribution, whose best token has less than p, would reject the best token and
    replace it by itself.
    """

    probability: float

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token has probability ≥ p or is the verifier's own choice."""
        return verifier.probability(token_id) >= self.probability or token_id == verifier.best


@dataclass(frozen=True, slots=True)
class TypicalRule:
    """Typical acceptance (Medusa, arXiv 2401.10774): probability above min(ε, √ε · exp(−H)).

    The more undecided the verifier is (entropy H), the less a token needs. The verifier's own choice always passes.
    """

    epsilon: float

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token clears the entropy-dependent bar or is the verifier's own choice."""
        bar = min(self.epsilon, math.sqrt(self.epsilon) * math.exp(-verifier.entropy_nats))
        return verifier.probability(token_id) > bar or token_id == verifier.best


@dataclass(frozen=True, slots=True)
class GreedyRule:
    """Lossless: only the verifier's own choice passes, so the caption is the verifier's greedy caption."""

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token is the verifier's argmax."""
        return token_id == verifier.best


ACCEPTANCE_RULES: dict[str, Callable[[int, float], AcceptanceRule]] = {
    "rank": lambda rank, _: RankRule(rank),
    "probability": lambda _, probability: ProbabilityRule(probability),
    "typical": lambda _, probability: TypicalRule(probability),
    "greedy": lambda _rank, _probability: GreedyRule(),
}


def acceptance_rule(name: str, *, rank: int, probability: float) -> AcceptanceRule:
    """The rule of that name.

    Raises:
        OptionError: If there is no such rule.
    """
    if name not in ACCEPTANCE_RULES:
        raise OptionError(f"there is no acceptance rule {name!r}; choose one of {', '.join(ACCEPTANCE_RULES)}")
    return ACCEPTANCE_RULES[name](rank, probability)


def rank_warning(options: DecodingOptions, vocabulary_size: int) -> str | None:
    """A plain sentence if the rank rule, as set, cannot or can hardly reject anything; else None."""
    if options.mode != "ugsd" or options.acceptance != "rank":
        return None
    if options.rank >= vocabulary_size:
        return (
            f"r = {options.rank} cannot reject anything: the vocabulary has only {vocabulary_size} tokens. "
            "Lower r (1 asks for the verifier's own choice)."
        )
    if options.rank > max(1.0, LARGE_RANK_SHARE * vocabulary_size):
        return (
            f"r = {options.rank} rejects almost nothing with a vocabulary of {vocabulary_size} tokens: the verifier's "
            f"{options.rank} best are mostly synonyms. It is meant for vocabularies near 150,000; try r = 1."
        )
    return None
