"""How far annotators agree: percent, Cohen's κ, Fleiss' κ, Krippendorff's α with a bootstrap interval.

Written here and not taken from a library, because the one well-known package for α is under the GPL and the rest would
cost a large dependency for twenty lines; the tests hold every figure against the literature's worked examples.

Sources: J. Cohen, *A coefficient of agreement for nominal scales* (1960); J. L. Fleiss, *Measuring nominal scale
agreement among many raters* (1971); K. Krippendorff, *Computing Krippendorff's alpha-reliability* (2011).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.taxonomy import Taxonomy

__all__ = [
    "DEFINITIONS",
    "Agreement",
    "PairAgreement",
    "alpha_interval",
    "campaign_agreement",
    "cohen_kappa",
    "fleiss_kappa",
    "krippendorff_alpha",
    "percent_agreement",
]

#: Item to annotator to value; who did not answer is absent.
Ratings = Mapping[str, Mapping[str, Hashable]]
Metric = Literal["nominal", "ordinal"]

#: What each figure means, for whoever shows it.
DEFINITIONS: dict[str, str] = {
    "items": "items with at least two submitted answers; the others say nothing about agreement",
    "percent": "of all pairs of answers to the same item, the share that agrees",
    "cohen": "Cohen's κ of two annotators: agreement beyond what their own frequencies would give by chance, 1 is "
    "perfect, 0 is chance; over items that both answered",
    "fleiss": "Fleiss' κ of all annotators: as Cohen's, with the frequencies of everybody together; with answers "
    "missing, an item counts by the pairs of answers it has",
    "alpha": "Krippendorff's α: 1 − observed / expected disagreement, with missing answers allowed; 0.8 is the usual "
    "bar, 0.667 the least for tentative conclusions",
    "alpha_interval": "95 % of α when the items are drawn anew with replacement (percentile bootstrap, 1000 draws)",
}
DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two annotators.

    Attributes:
        items: That both answered.
        percent: Share of them with the same value.
        cohen: None if κ is undefined: nothing in common, or only one value was ever used.
    """

    first: str
    second: str
    items: int
    percent: float | None
    cohen: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement about one thing; `DEFINITIONS` says what the figures are.

    Attributes:
        about: ``"verdict"``, ``"severity"``, or a kind of flag (given or not).
        answers: To the items that count.
        percent, fleiss, alpha: None where undefined: no item has two answers, or only one value was ever used.
    """

    about: str
    metric: Metric
    items: int
    answers: int
    percent: float | None
    fleiss: float | None
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    pairs: tuple[PairAgreement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def percent_agreement(ratings: Ratings) -> float | None:
    """Of all pairs of answers to the same item, the share that agrees; None without a pair."""
    pairs = [one == other for given in ratings.values() for one, other in combinations(given.values(), 2)]
    return sum(pairs) / len(pairs) if pairs else None


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """κ of two annotators over the same items; None where chance alone would agree always.

    Raises:
        AnnotationError: If the lengths differ.
    """
    if len(first) != len(second):
        raise AnnotationError("Cohen's κ compares answers to the same items", "agreement")
    if not first:
        return None
    n = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    mine, theirs = Counter(first), Counter(second)
    expected = sum(mine[value] * theirs[value] for value in mine) / n**2
    return None if expected == 1.0 else (observed - expected) / (1.0 - expected)


def fleiss_kappa(counts: Sequence[Sequence[int]]) -> float | None:
    """κ of many annotators.

    Args:
        counts: For every item, how many chose each value. With the same number of answers to every item this is
            Fleiss' κ as published; else items are weighted by their pairs and values by their answers.

    Returns:
        None if no item has two answers, or only one value was ever used.
    """
    table = np.asarray([row for row in counts if sum(row) >= 2], dtype=float)
    if table.size == 0:
        return None
    answers = table.sum(axis=1)
    pairs = answers * (answers - 1)
    observed = float(((table * (table - 1)).sum(axis=1)).sum() / pairs.sum())
    shares = table.sum(axis=0) / table.sum()
    expected = float((shares**2).sum())
    return None if expected >= 1.0 - 1e-12 else (observed - expected) / (1.0 - expected)


def krippendorff_alpha(
    ratings: Ratings, *, values: Sequence[Hashable] = (), metric: Metric = "nominal"
) -> float | None:
    """α over items with at least two answers.

    Args:
        values: All that can be given, in their order for ``ordinal``; by default those that occur, sorted as text.

    Returns:
        None if no item has two answers, or only one value was ever used.
    """
    matrices = _coincidences(ratings, _values(ratings, values))
    found = _alphas(matrices.sum(axis=0)[None], metric)[0]
    return None if np.isnan(found) else float(found)


def alpha_interval(
    ratings: Ratings,
    *,
    values: Sequence[Hashable] = (),
    metric: Metric = "nominal",
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The middle 95 % of α over items drawn anew with replacement; the same for the same seed.

    Returns:
        None if α is undefined, or for nearly every draw.
    """
    matrices = _coincidences(ratings, _values(ratings, values))
    n = len(matrices)
    if n < 2:
        return None
    # Items that were answered alike are the same to a draw: what is drawn is how often each way of answering comes.
    ways, times = np.unique(matrices.reshape(n, -1), axis=0, return_counts=True)
    weights = np.random.default_rng(seed).multinomial(n, times / n, size=draws)
    alphas = _alphas((weights @ ways).reshape(draws, *matrices.shape[1:]), metric)
    alphas = alphas[~np.isnan(alphas)]
    if len(alphas) < draws / 10:
        return None
    low, high = np.percentile(alphas, (2.5, 97.5))
    return float(low), float(high)


def campaign_agreement(
    answers: Iterable[AnswerState], taxonomy: Taxonomy, *, draws: int = DRAWS, seed: int = 0
) -> tuple[Agreement, ...]:
    """Agreement about the verdict, the worst severity of an answer's flags, and every kind of flag.

    Args:
        answers: Of one campaign; only those submitted count.
    """
    submitted = [state for state in answers if state.status == "submitted" and state.answer is not None]

    def ratings(value: Any) -> dict[str, dict[str, Hashable]]:
        table: dict[str, dict[str, Hashable]] = {}
        for state in submitted:
            table.setdefault(state.item, {})[state.annotator] = value(state.answer)
        return table

    def worst(answer: Mapping[str, Any]) -> int:
        return max((taxonomy.rank(flag["severity"]) for flag in answer["flags"]), default=0)

    ranks = tuple(range(max(entry.rank for entry in taxonomy.severities) + 1))
    found = [
        _agreement("verdict", ratings(lambda answer: answer["verdict"]), ("accept", "flag"), "nominal", draws, seed),
        _agreement("severity", ratings(worst), ranks, "ordinal", draws, seed),
    ]
    for kind in taxonomy.kinds:

        def given(answer: Mapping[str, Any], name: str = kind.id) -> bool:
            return any(flag["kind"] == name for flag in answer["flags"])

        found.append(_agreement(kind.id, ratings(given), (False, True), "nominal", draws, seed))
    return tuple(found)


def _agreement(
    about: str, ratings: Ratings, values: Sequence[Hashable], metric: Metric, draws: int, seed: int
) -> Agreement:
    shared = {item: given for item, given in ratings.items() if len(given) >= 2}
    interval = alpha_interval(shared, values=values, metric=metric, draws=draws, seed=seed)
    counts = [[sum(one == value for one in given.values()) for value in values] for given in shared.values()]
    return Agreement(
        about=about,
        metric=metric,
        items=len(shared),
        answers=sum(map(len, shared.values())),
        percent=percent_agreement(shared),
        fleiss=fleiss_kappa(counts),
        alpha=krippendorff_alpha(shared, values=values, metric=metric),
        alpha_low=None if interval is None else interval[0],
        alpha_high=None if interval is None else interval[1],
        pairs=_pairs(shared),
    )


def _pairs(ratings: Ratings) -> tuple[PairAgreement, ...]:
    both: dict[tuple[str, str], list[tuple[Hashable, Hashable]]] = {}
    for given in ratings.values():
        for first, second in combinations(sorted(given), 2):
            both.setdefault((first, second), []).append((given[first], given[second]))
    found = []
    for (first, second), values in sorted(both.items()):
        same = sum(one == other for one, other in values) / len(values)
        kappa = cohen_kappa([one for one, _ in values], [other for _, other in values])
        found.append(PairAgreement(first, second, len(values), same, kappa))
    return tuple(found)


def _values(ratings: Ratings, values: Sequence[Hashable]) -> dict[Hashable, int]:
    there = values or sorted({value for given in ratings.values() for value in given.values()}, key=str)
    return {value: place for place, value in enumerate(there)}


def _coincidences(ratings: Ratings, places: Mapping[Hashable, int]) -> NDArray[np.float64]:
    """Each item's share of the coincidence matrix, (items, values, values); items with one answer have none."""
    size = len(places)
    found = []
    for given in ratings.values():
        if len(given) < 2:
            continue
        counts = np.bincount([places[value] for value in given.values()], minlength=size).astype(float)
        found.append((np.outer(counts, counts) - np.diag(counts)) / (len(given) - 1))
    return np.array(found).reshape(len(found), size, size)


def _alphas(matrices: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """α of coincidence matrices (draws, values, values); NaN where it is undefined."""
    marginals = matrices.sum(axis=2)  # answers by value
    total = marginals.sum(axis=1)
    distance = _distances(marginals, metric)
    observed = (matrices * distance).sum(axis=(1, 2))
    expected = (marginals[:, :, None] * marginals[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0.0, 1.0 - (total - 1.0) * observed / expected, np.nan)


def _distances(marginals: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Squared differences δ² between values, (draws, values, values)."""
    draws, size = marginals.shape
    if metric == "nominal":
        return np.broadcast_to(1.0 - np.eye(size), (draws, size, size))
    # Answers between two values, half of those at either end: how many would have to be crossed.
    middle = np.cumsum(marginals, axis=1) - marginals / 2.0
    return (middle[:, :, None] - middle[:, None, :]) ** 2
