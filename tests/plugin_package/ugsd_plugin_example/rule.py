"""A rule that lets a drafted token stand when the verifier likes it nearly as much as its own best."""

from __future__ import annotations

from ugsd_core.acceptance import BarRule, RuleSettings
from ugsd_core.uncertainty import Distribution


class NearBest(BarRule):
    """At least the share ``probability`` of the best token's probability."""

    def __init__(self, settings: RuleSettings) -> None:
        self.share = settings.probability

    def accepts(self, token_id: int, verifier: Distribution) -> bool:
        """True if the token comes near enough."""
        return verifier.probability(token_id) >= self.share * verifier.probability(verifier.best)
