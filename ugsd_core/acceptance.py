"""How a verifier judges a drafted token: one small class a rule, chosen by name.

A rule sees one position at a time: it lets the drafted token stand or names the token to put in its place. Nearly all
rules name the verifier's own best token; *fused* may name another. Everything after the first replacement is dropped;
that part is the same for every rule and lives in `ugsd_core.verifier`.

Rules run where the verifier runs. One that a package brings (`plugins`) must be installed there; the edge has to know
it too, so that a mistyped name is told at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import HandshakeRefused, ProtocolError, UgsdError, WireError
from ugsd_core.options import DecodingOptions
from ugsd_core.plugins import Declared, Registry
from ugsd_core.posterior import N_LABELS, dequantise
from ugsd_core.uncertainty import Distribution

__all__ = [
    "ACCEPTANCE_RULES",
    "UNKNOWN_RULE",
    "AcceptanceRule",
    "BarRule",
    "FusedRule",
    "GreedyRule",
    "LabelTokens",
    "ProbabilityRule",
    "RankRule",
    "RuleSettings",
    "TypicalRule",
    "acceptance_rule",
    "raise_refusal",
    "rank_warning",
]

FloatArray = NDArray[np.floating[Any]]

#: Above this share of the vocabulary, the r best tokens are nearly everything that could stand at a position.
LARGE_RANK_SHARE = 0.005


#: Below this probability of any emotion word the verifier wants another word, a degree word say, at a position.
EMOTION_WANTED = 0.5
#: Stands for a probability of 0, whose logarithm would be infinite.
_TINY = 1e-30


class AcceptanceRule(Protocol):
    """What stands at a position in the end.

    The last argument of both methods is the edge's label posterior as `ugsd_core.posterior` quantises it, if it came
    with the block.
    """

    def judge(self, token_id: int, verifier: Distribution, posterior: Sequence[int] | None = None) -> int | None:
        """None if the drafted token may stand, else the token, another one, to put in its place."""

    def choice(self, verifier: Distribution, posterior: Sequence[int] | None = None) -> int:
        """The token that the rule puts where nothing was drafted: a bonus token."""


class BarRule:
    """A rule that lets a token pass or not, and knows no better replacement than the verifier's own best token."""

    __slots__ = ()

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token passes; always true for the verifier's best."""
        raise NotImplementedError

    def judge(self, token_id: int, verifier: Distribution, posterior: Sequence[int] | None = None) -> int | None:
        """None if the token passes, else the verifier's best."""
        return None if self.accepts(token_id, verifier) else verifier.best

    def choice(self, verifier: Distribution, posterior: Sequence[int] | None = None) -> int:
        """The verifier's best token."""
        return verifier.best


@dataclass(frozen=True, slots=True)
class RankRule(BarRule):
    """The paper's rule: among the verifier's r best."""

    rank: int

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token's rank is at most r."""
        return verifier.rank(token_id) <= self.rank


@dataclass(frozen=True, slots=True)
class ProbabilityRule(BarRule):
    """The proposal's rule: at least probability p. The verifier's own choice always passes.

    Without that exception a flat distribution, whose best token has less than p, would reject the best token and
    replace it by itself.
    """

    probability: float

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token has probability ≥ p or is the verifier's own choice."""
        return verifier.probability(token_id) >= self.probability or token_id == verifier.best


@dataclass(frozen=True, slots=True)
class TypicalRule(BarRule):
    """Typical acceptance (Medusa, arXiv 2401.10774): probability above min(ε, √ε · exp(−H)).

    The more undecided the verifier is (entropy H), the less a token needs. The verifier's own choice always passes.
    """

    epsilon: float

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token clears the entropy-dependent bar or is the verifier's own choice."""
        bar = min(self.epsilon, math.sqrt(self.epsilon) * math.exp(-verifier.entropy_nats))
        return verifier.probability(token_id) > bar or token_id == verifier.best


@dataclass(frozen=True, slots=True)
class GreedyRule(BarRule):
    """Lossless: only the verifier's own choice passes, so the caption is the verifier's greedy caption."""

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token is the verifier's argmax."""
        return token_id == verifier.best


class LabelTokens(Protocol):
    """Which tokens begin a word of which emotion label; `ugsd_core.models.emotion_tokens.EmotionTokens` is one.

    Labels are indices into `EMOTION_LABELS`.
    """

    def label_of(self, token_id: int) -> int | None:
        """The label whose word the token begins; None if it begins none."""

    def masses_of(self, seen: Distribution) -> NDArray[np.float32]:
        """Probability (9,) of the words of each label under a distribution."""

    def ids_of(self, label: int) -> NDArray[np.intp]:
        """The tokens that begin a word of a label; may be empty."""


@dataclass(frozen=True, slots=True, eq=False)
class FusedRule:
    """Ours: at an emotion word the verifier judges by its own label probabilities times the edge's.

    Edge and verifier err differently, so the product can be better than either. It holds where the drafted token or
    the verifier's best names an emotion, the edge's posterior came with the block, and the verifier wants an emotion
    word at all (`EMOTION_WANTED`). There, ``p ∝ p_verifier ** fusion · p_edge ** (1 − fusion)`` over the labels; a
    token that names the best label stands, whatever its rank (the wording is the edge's), and any other is replaced
    by the verifier's most probable word of that label. Everywhere else a token passes within the verifier's r best.

    Attributes:
        tokens: Of the verifier's tokenizer and the caption's language; None judges everything by rank.
    """

    rank: int
    fusion: float
    tokens: LabelTokens | None = None

    def judge(self, token_id: int, verifier: Distribution, posterior: Sequence[int] | None = None) -> int | None:
        """None if the token names the fused label, or passes by rank where no label is asked for."""
        label = self._label(verifier, posterior, token_id)
        if label is None or self.tokens is None:
            return None if verifier.rank(token_id) <= self.rank else verifier.best
        return None if self.tokens.label_of(token_id) == label else self._best_of(label, verifier)

    def choice(self, verifier: Distribution, posterior: Sequence[int] | None = None) -> int:
        """The verifier's best token, at an emotion word its best word of the fused label."""
        label = self._label(verifier, posterior, verifier.best)
        return verifier.best if label is None else self._best_of(label, verifier)

    def _label(self, verifier: Distribution, posterior: Sequence[int] | None, token_id: int) -> int | None:
        """The fused label; None where tokens are judged by rank."""
        if self.tokens is None or posterior is None:
            return None
        if self.tokens.label_of(token_id) is None and self.tokens.label_of(verifier.best) is None:
            return None
        masses = self.tokens.masses_of(verifier).astype(np.float64)
        if masses.sum() < EMOTION_WANTED:
            return None
        own = _log(masses / masses.sum())
        fused = self.fusion * own + (1.0 - self.fusion) * _log(dequantise(posterior))
        # A label without a word in this tokenizer cannot be put into the caption. In a tie the verifier decides.
        nameable = [label for label in range(N_LABELS) if self.tokens.ids_of(label).size]
        return max(nameable, key=lambda label: (fused[label], own[label]))

    def _best_of(self, label: int, verifier: Distribution) -> int:
        """The verifier's most probable token among those that begin a word of a label."""
        assert self.tokens is not None
        ids = self.tokens.ids_of(label)
        return int(ids[np.argmax(verifier.scores[ids])])


def _log(probabilities: FloatArray) -> FloatArray:
    logs: FloatArray = np.log(np.maximum(probabilities, _TINY))
    return logs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSettings:
    """What a rule may need, as `DecodingOptions` and `FusedRule` say."""

    rank: int
    probability: float
    fusion: float = 0.5
    tokens: LabelTokens | None = None


RuleFactory = Callable[[RuleSettings], AcceptanceRule]

_BUILTIN: dict[str, RuleFactory] = {
    "rank": lambda s: RankRule(s.rank),
    "probability": lambda s: ProbabilityRule(s.probability),
    "typical": lambda s: TypicalRule(s.probability),
    "greedy": lambda s: GreedyRule(),
    "fused": lambda s: FusedRule(s.rank, s.fusion, s.tokens),
}

#: Error code of a verifier that has no such rule, or one that fails.
UNKNOWN_RULE = "rule"


@dataclass(frozen=True, slots=True)
class _PluginRule:
    """Makes a rule that was registered from outside. It is given no label tokens and no label posterior."""

    declared: Declared
    factory: Callable[[RuleSettings], Any]

    @classmethod
    def of(cls, entry: Declared, target: object) -> _PluginRule:
        if not callable(target):
            raise entry.error(f"{entry.target} is no class or function that makes a rule from RuleSettings")
        for method in ("judge", "choice"):
            if isinstance(target, type) and not callable(getattr(target, method, None)):
                raise entry.error(f"{entry.target} has no method {method}")
        return cls(entry, target)

    def __call__(self, settings: RuleSettings) -> AcceptanceRule:
        made = self.declared.call(self.factory, settings)
        for method in ("judge", "choice"):
            if not callable(getattr(made, method, None)):
                raise self.declared.error(f"what {self.declared.target} makes has no method {method}")
        return _Watched(self.declared, made)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A rule from outside; what it answers is a token of the shared vocabulary, or an error that an edge can read."""

    declared: Declared
    inner: AcceptanceRule

    def judge(self, token_id: int, verifier: Distribution, posterior: Sequence[int] | None = None) -> int | None:
        """As the rule says; a replacement by the same token lets it stand."""
        found = self._asked(verifier, self.inner.judge, token_id, verifier)
        return None if found == token_id else found

    def choice(self, verifier: Distribution, posterior: Sequence[int] | None = None) -> int:
        """As the rule says, else the verifier's best."""
        found = self._asked(verifier, self.inner.choice, verifier)
        return verifier.best if found is None else found

    def _asked(self, verifier: Distribution, method: Callable[..., Any], *values: Any) -> int | None:
        try:
            found = self.declared.call(method, *values)
            if found is None:
                return None
            token_id: int = self.declared.call(index, found)
            if not 0 <= token_id < len(verifier.scores):
                raise self.declared.error(f"it gave token {token_id} of a vocabulary of {len(verifier.scores)}")
        except UgsdError as error:
            raise ProtocolError(str(error), UNKNOWN_RULE) from error
        return token_id


#: Rule factories by name, those of plug-ins behind the built-in ones.
ACCEPTANCE_RULES: Registry[RuleFactory] = Registry("acceptance", _BUILTIN, _PluginRule.of)


def acceptance_rule(
    name: str,
    *,
    rank: int,
    probability: float,
    fusion: float = 0.5,
    tokens: LabelTokens | None = None,
) -> AcceptanceRule:
    """The rule of that name.

    Raises:
        OptionError: If there is no such rule.
        PluginError: If a plug-in's rule can't be used.
    """
    factory = ACCEPTANCE_RULES.find(name)
    settings = RuleSettings(rank=rank, probability=probability, fusion=fusion, tokens=tokens)
    return factory(settings)


def rank_warning(options: DecodingOptions, vocabulary_size: int) -> str | None:
    """A plain sentence if the rank rule, as set, cannot or can hardly reject anything; else None.

    Fused verdicts judge by rank too, where no emotion is named.
    """
    if options.mode != "ugsd" or options.acceptance not in ("rank", "fused"):
        return None
    where = " but an emotion" if options.acceptance == "fused" else ""
    if options.rank >= vocabulary_size:
        return (
            f"r = {options.rank} cannot reject anything{where}: the vocabulary has only {vocabulary_size} tokens. "
            "Lower r (1 asks for the verifier's own choice)."
        )
    if options.rank > max(1.0, LARGE_RANK_SHARE * vocabulary_size):
        return (
            f"r = {options.rank} rejects almost nothing{where} with a vocabulary of {vocabulary_size} tokens: the "
            f"verifier's {options.rank} best are mostly synonyms. It is meant for vocabularies near 150,000; try r = 1."
        )
    return None


def raise_refusal(error: WireError) -> None:
    """A rule that the verifier doesn't have is no verifier that is away: with it there would never be a verdict.

    Raises:
        HandshakeRefused: If that is what the error says.
    """
    if isinstance(error, ProtocolError) and error.code == UNKNOWN_RULE:
        raise HandshakeRefused(str(error), UNKNOWN_RULE) from error
