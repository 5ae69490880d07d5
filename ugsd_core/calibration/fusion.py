"""How much the edge should have a say at an emotion word: exponents of the *fused* rule, chosen on development clips.

Compared by the share of captions that name the clip's label, as the mean over corpora, where the positions that the
edge doubts most are escalated within the budget: a product that leaves sure edges alone can be better there than the
verifier, and no better where everything is asked. A grid's best point is partly luck, and development speakers flatter
an edge that was chosen by them. So a product must beat the verifier alone by a standard error of the paired
difference, and one with more parts the simpler ones by `MARGIN`; of those within `MARGIN` of the best, the one that
leaves most to the verifier is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ugsd_core.bootstrap import Interval, draw_weights, interval, macro_means, make_strata
from ugsd_core.calibration.curves import World, best_within, curve, signal_gate
from ugsd_core.calibration.outcomes import RANK, Acceptance
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.errors import OptionError

__all__ = ["MARGIN", "Fusion", "acceptances", "choose_fusion", "compare"]

#: Accuracy by which a more complex product must beat a simpler one.
MARGIN = 0.005


@dataclass(frozen=True, slots=True)
class Fusion:
    """One way to judge emotion words.

    Attributes:
        accuracy: Captions that name the clip's label with every emotion position escalated, mean over corpora.
        within: The same with those escalated that the edge doubts most, within the budget.
        gain: Accuracy less that of the verifier judging alone, paired.
        within_gain: The same within the budget.
    """

    acceptance: Acceptance
    parts: int
    accuracy: float
    within: float
    gain: Interval
    within_gain: Interval

    @property
    def beats_verifier(self) -> bool:
        """Within the budget, by a standard error of the difference at least (of a normal law with this interval)."""
        gain = self.within_gain
        if gain.value is None or gain.low is None or gain.high is None:
            return False
        return gain.value > max((gain.high - gain.low) / (2 * 1.96), 0.0)


def acceptances(*, head: bool) -> list[tuple[int, Acceptance]]:
    """Candidates with the number of things each multiplies, simplest first.

    Args:
        head: The edge has an emotion head.
    """
    shares = (0.5, 0.3, 0.4, 0.6, 0.7)  # of the edge; equal weights first, so that a tie takes them
    found = [(1, RANK)]
    found += [(2, Acceptance(1.0 - share, share, 0.0)) for share in shares]
    if head:
        found += [(2, Acceptance(1.0 - share, 0.0, share)) for share in shares]
        found += [(3, Acceptance(1.0 - share, share / 2, share / 2)) for share in shares]
    return sorted(found, key=lambda entry: entry[0])


def compare(records: Sequence[ClipRecord], *, budget: float = 0.02, draws: int = 1000) -> list[Fusion]:
    """Every candidate on the records, simplest first.

    Args:
        budget: ρ that `Fusion.within` may spend.
        draws: Of the bootstrap.

    Raises:
        OptionError: If no clip has a label.
    """
    if all(record.label is None for record in records):
        raise OptionError("no clip has an emotion label, so the weights of the fused rule can't be chosen")
    head = any(record.head is not None for record in records)
    strata = make_strata([record.corpus for record in records], [record.speaker for record in records])
    weights = draw_weights(strata, draws)
    found: list[Fusion] = []
    base: tuple[Any, Any] | None = None
    for parts, acceptance in acceptances(head=head):
        world = World(records, acceptance)
        doubt = signal_gate("fused_doubt")
        point = best_within(curve("doubt", doubt, world), budget)
        everything = world.everything().right
        within = everything if point is None else world.run(world.scores(doubt), point.threshold).right
        base = (everything, within) if base is None else base
        gains = [
            interval(lambda w, d=right - alone: macro_means(d, strata, w), strata, weights)  # type: ignore[misc]
            for right, alone in zip((everything, within), base, strict=True)
        ]
        means = [float(macro_means(right, strata, np.ones((1, strata.n)))[0]) for right in (everything, within)]
        found.append(Fusion(acceptance, parts, means[0], means[1], *gains))
    return found


def choose_fusion(found: Sequence[Fusion]) -> Fusion:
    """The best of the simplest kind that no more complex one beats by more than `MARGIN`; see the module."""
    chosen = found[0]
    better = [entry for entry in found if entry.beats_verifier]
    for parts in sorted({entry.parts for entry in better}):
        alike = [entry for entry in better if entry.parts == parts]
        most = max(entry.within for entry in alike)
        if most > chosen.within + MARGIN:
            near = (entry for entry in alike if entry.within >= most - MARGIN)
            chosen = max(near, key=lambda entry: (entry.acceptance.verifier, entry.within))
    return chosen
