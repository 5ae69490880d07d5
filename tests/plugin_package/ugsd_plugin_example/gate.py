"""A gate that sends blocks with a long word: short words are rarely misheard."""

from __future__ import annotations

from ugsd_core.gate import DraftBlock, GateContext, GateDecision


class LongWords:
    """Compares the letters of a block's longest word with τ."""

    own_tau = 8.0

    def __init__(self, context: GateContext) -> None:
        self.most = context.threshold_of("long_words")

    def decide(self, block: DraftBlock) -> GateDecision:
        """Send the block if its longest word has more letters than allowed."""
        word = max(block.text.split(), key=len, default="")
        reason = f"its longest word, “{word}”, has {len(word)} letters"
        return GateDecision(len(word) > self.most, reason, score=len(word), threshold=self.most)
