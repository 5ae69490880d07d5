"""How much the edge should have a say at an emotion word: exponents of the *fused* rule, chosen on development clips.

Compared by the share of captions that name the clip's label, as the mean over corpora, where the positions that the
edge doubts most are escalated within the budget: a product that leaves sure edges alone can be better there than the
verifier, and no better where everything is asked. A grid's best point is partly luck, so a candidate with more parts
must beat the simpler ones by `MARGIN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ugsd_core.calibration.bootstrap import Interval, draw_weights, interval, macro_means, make_strata
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
    """

    acceptance: Acceptance
    parts: int
    accuracy: float
    within: float
    gain: Interval


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
    base = None
    for parts, acceptance in acceptances(head=head):
        world = World(records, acceptance)
        right = world.everything().right
        base = right if base is None else base
        difference = right - base
        gain = interval(lambda w, d=difference: macro_means(d, strata, w), strata, weights)  # type: ignore[misc]
        accuracy = macro_means(right, strata, weights[:1] * 0 + 1)[0]
        point = best_within(curve("doubt", signal_gate("fused_doubt"), world), budget)
        within = accuracy if point is None or point.accuracy is None else point.accuracy
        found.append(Fusion(acceptance, parts, float(accuracy), float(within), gain))
    return found


def choose_fusion(found: Sequence[Fusion]) -> Fusion:
    """The best of the simplest kind that no more complex one beats by more than `MARGIN`."""
    chosen = found[0]
    for parts in sorted({entry.parts for entry in found}):
        best = max((entry for entry in found if entry.parts == parts), key=lambda entry: entry.within)
        if best.within > chosen.within + (MARGIN if best.parts > chosen.parts else 0.0):
            chosen = best
    return chosen
