"""Agreement against the literature's worked examples."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from ugsd_core.annotations.agreement import (
    DEFINITIONS,
    alpha_interval,
    campaign_agreement,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    percent_agreement,
)
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.taxonomy import default_taxonomy


def table(*rows: str) -> dict[str, dict[str, Hashable]]:
    """Ratings from one row an annotator, one letter an item, ``.`` for none."""
    found: dict[str, dict[str, Hashable]] = {}
    for annotator, row in enumerate(rows):
        for item, value in enumerate(row.split()):
            if value != ".":
                found.setdefault(str(item), {})[str(annotator)] = value
    return found


#: Krippendorff 2011, section C: four observers, twelve units, missing data.
FOUR_OBSERVERS = table(
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
#: Fleiss 1971 in the form in which it is taught: ten subjects, fourteen raters, five categories.
TEN_SUBJECTS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
#: Cohen 1960, table 1: two judges, three categories, 200 patients.
TWO_JUDGES = {
    ("a", "a"): 88, ("a", "b"): 14, ("a", "c"): 18, ("b", "a"): 10, ("b", "b"): 40, ("b", "c"): 10,
    ("c", "a"): 2, ("c", "b"): 6, ("c", "c"): 12,
}  # fmt: skip


def test_alpha_of_krippendorffs_four_observers() -> None:
    assert krippendorff_alpha(FOUR_OBSERVERS) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(FOUR_OBSERVERS, metric="ordinal") == pytest.approx(0.815, abs=5e-4)


def test_alpha_of_krippendorffs_two_observers() -> None:
    binary = table("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
    assert krippendorff_alpha(binary) == pytest.approx(0.095, abs=5e-4)
    nominal = table("a a b b d c c c e d d a", "b a b b b c c c e d d d")
    assert krippendorff_alpha(nominal) == pytest.approx(0.692, abs=5e-4)


def test_kappa_of_fleiss_fourteen_raters() -> None:
    assert fleiss_kappa(TEN_SUBJECTS) == pytest.approx(0.210, abs=5e-4)


def test_kappa_of_cohens_two_judges() -> None:
    pairs = [pair for pair, times in TWO_JUDGES.items() for _ in range(times)]
    kappa = cohen_kappa([one for one, _ in pairs], [other for _, other in pairs])
    assert kappa == pytest.approx(0.492, abs=5e-4)


def test_kappa_equals_another_implementation() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    first, second = list("aabbccaabbcabc"), list("abbbccaacbcaca")
    assert cohen_kappa(first, second) == pytest.approx(metrics.cohen_kappa_score(first, second))


def test_percent_counts_pairs() -> None:
    assert percent_agreement(table("a a a", "a b .", "b b .")) == pytest.approx(2 / 6)
    assert percent_agreement(table("a a")) is None


def test_what_is_undefined_is_not_called_perfect() -> None:
    alike = table("a a a", "a a a")
    assert krippendorff_alpha(alike) is None and fleiss_kappa([[2, 0], [2, 0]]) is None
    assert cohen_kappa("aaa", "aaa") is None and cohen_kappa([], []) is None
    assert krippendorff_alpha(table("a b c")) is None and fleiss_kappa([[1, 0]]) is None
    assert alpha_interval(alike) is None and alpha_interval({}) is None
    with pytest.raises(AnnotationError):
        cohen_kappa("ab", "a")


def test_perfect_agreement_is_one_and_systematic_disagreement_negative() -> None:
    assert krippendorff_alpha(table("a b a b", "a b a b")) == 1.0
    assert (krippendorff_alpha(table("a b a b", "b a b a")) or 0.0) < 0.0


def test_the_interval_holds_the_figure_and_is_the_same_for_the_same_seed() -> None:
    low, high = alpha_interval(FOUR_OBSERVERS, seed=3) or (0.0, 0.0)
    assert low < 0.743 < high <= 1.0
    assert (low, high) == alpha_interval(FOUR_OBSERVERS, seed=3) != alpha_interval(FOUR_OBSERVERS, seed=4)


def answer(item: str, annotator: str, *kinds: str, severity: str = "minor", status: str = "submitted") -> AnswerState:
    flags = [{"kind": kind, "severity": severity, "start": None, "end": None, "note": ""} for kind in kinds]
    values = {"verdict": "flag" if kinds else "accept", "flags": flags, "corrected": None, "note": ""}
    return AnswerState("c", item, annotator, status=status, answer=values)  # type: ignore[arg-type]


def test_a_campaign_is_compared_by_verdict_severity_and_every_kind() -> None:
    answers = [
        answer("1", "ann"), answer("1", "bob"),
        answer("2", "ann", "wrong_emotion", severity="critical"), answer("2", "bob", "wrong_emotion", severity="major"),
        answer("3", "ann", "wrong_emotion", "other"), answer("3", "bob"),
        answer("4", "ann"),
        answer("5", "ann"), answer("5", "bob", status="skipped"),
    ]  # fmt: skip
    found = {entry.about: entry for entry in campaign_agreement(answers, default_taxonomy(), draws=50)}
    assert set(found) == {"verdict", "severity", *(kind.id for kind in default_taxonomy().kinds)}
    verdict = found["verdict"]
    assert (verdict.items, verdict.answers) == (3, 6)
    assert verdict.percent == pytest.approx(2 / 3)
    assert verdict.pairs[0].cohen == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
    assert found["severity"].metric == "ordinal" and found["severity"].percent == pytest.approx(1 / 3)
    assert found["not_fluent"].percent == 1.0 and found["not_fluent"].alpha is None


def test_every_figure_has_a_definition() -> None:
    assert {"items", "percent", "cohen", "fleiss", "alpha", "alpha_interval"} <= set(DEFINITIONS)
