"""Gates that compare a figure of the draft with a threshold: the paper's, the proposal's, and two baselines.

Every score is larger for less sure, and a block is sent when its score is *above* the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ugsd_core.draft_block import DraftBlock, DraftToken, GateDecision
from ugsd_core.errors import OptionError
from ugsd_core.lexicon import emotion_spans
from ugsd_core.messages import Signals

__all__ = ["SCORES", "EmotionEntropyGate", "InstabilityGate", "ScoreGate", "TopProbabilityGate"]


@dataclass(frozen=True, slots=True)
class ScoreGate:
    """Escalates when the largest score of a token in the block exceeds the threshold.

    Attributes:
        name: The score's name for people.
        score: Score of one token, larger for less sure.
        tau: The threshold.
    """

    name: str
    score: Callable[[Signals], float]
    tau: float

    def decide(self, block: DraftBlock) -> GateDecision:
        """Compare the block's highest score with τ."""
        return self.decide_tokens(block.tokens, "its highest")

    def decide_tokens(self, tokens: Sequence[DraftToken], which: str) -> GateDecision:
        """Compare the highest score among some tokens with τ."""
        return compare(which, self.name, [(self.score(token.signals), token) for token in tokens], self.tau)


def compare(which: str, name: str, scored: Sequence[tuple[float, DraftToken]], tau: float) -> GateDecision:
    """Compare the highest of some tokens' scores with a threshold, and say so.

    Args:
        which: Whose score it is, such as "its highest".
        name: The score's name for people.
        scored: At least one token; the first of equals decides.
        tau: The threshold.
    """
    value, worst = max(scored, key=lambda entry: entry[0])
    escalate = value > tau
    verb = "passed" if escalate else "stayed within"
    reason = f"{which} {name}, {value:.2f} at “{worst.text.strip() or '⏎'}”, {verb} τ = {tau:.2f}"
    return GateDecision(escalate, reason, value, tau, worst.position)


def _mc_dropout(signals: Signals) -> float:
    if signals.mc_dropout_nats is None:
        raise OptionError("the mc_dropout gate needs dropout samples; set --mc-dropout-samples to 8, say")
    return signals.mc_dropout_nats


#: Scores of a token by the name of their gate, with their name for people.
SCORES: dict[str, tuple[str, Callable[[Signals], float]]] = {
    "entropy": ("entropy", lambda s: s.entropy_nats),
    # A *small* margin is unsure; 1 − margin turns it so that larger is less sure, like the others.
    "margin": ("1 − margin", lambda s: 1.0 - s.margin),
    "nll": ("negative log-likelihood", lambda s: s.nll_nats),
    "mc_dropout": ("dropout disagreement", _mc_dropout),
}


@dataclass(frozen=True, slots=True)
class EmotionEntropyGate:
    """Escalates when the edge is unsure of an emotion word it drafted; every other word stays.

    Wording differs a hundred times where meaning differs once, so only the tokens of words in the emotion tables are
    scored. The words are found in the text, so this works with any tokenizer.
    """

    language: str
    inner: ScoreGate

    def decide(self, block: DraftBlock) -> GateDecision:
        """Compare the highest entropy among the block's emotion-word tokens with τ."""
        spans = [(a, b) for a, b, _ in emotion_spans(block.text_before + block.text, self.language)]
        tokens = block.tokens_in(spans)
        if not tokens:
            return GateDecision(False, "it holds no emotion word", None, self.inner.tau)
        return self.inner.decide_tokens(tokens, "the emotion word's")


@dataclass(frozen=True, slots=True)
class InstabilityGate:
    """The proposal's block-level stability: escalates when the entropy jumps about within the block.

    The score is the mean of ``|H_i − H_(i−1)|`` in nats over the block's tokens, the first compared with the last
    token before the block where the edge drafted that too. A block of one token without such a token before it has no
    change to look at and scores 0.
    """

    tau: float

    def decide(self, block: DraftBlock) -> GateDecision:
        """Compare the mean change of the entropy with τ."""
        first = [] if block.entropy_before is None else [block.entropy_before]
        entropies = [*first, *(token.signals.entropy_nats for token in block.tokens)]
        changes = [abs(after - before) for before, after in pairwise(entropies)]
        value = sum(changes) / len(changes) if changes else 0.0
        escalate = value > self.tau
        verb = "passed" if escalate else "stayed within"
        reason = f"its entropy changes by {value:.2f} from token to token, which {verb} τ = {self.tau:.2f}"
        # The token behind the largest change.
        behind = block.tokens[len(block.tokens) - len(changes) :]
        trigger = max(zip(changes, behind, strict=True), key=lambda entry: entry[0])[1].position if changes else None
        return GateDecision(escalate, reason, value, self.tau, trigger)


@dataclass(frozen=True, slots=True)
class TopProbabilityGate:
    """Fallback by the largest probability (BiLD, arXiv 2302.07863): escalates when a token's best is below τ.

    So that all scores point the same way, what is compared is 1 − that probability.

    Attributes:
        threshold: 1 − τ.
    """

    threshold: float

    def decide(self, block: DraftBlock) -> GateDecision:
        """Look at the token whose best candidate has the least probability."""
        worst = min(block.tokens, key=lambda token: token.top[0].probability)
        least, tau = worst.top[0].probability, 1.0 - self.threshold
        escalate = 1.0 - least > self.threshold
        what = f"the draft's best candidate has {least:.2f} at “{worst.text.strip() or '⏎'}”"
        reason = f"{what}, {'below' if escalate else 'not below'} τ = {tau:.2f}"
        return GateDecision(escalate, reason, 1.0 - least, self.threshold, worst.position)
