"""From signals to one score: logistic regression, and the choice between one signal and several.

A few speakers are all there is to choose on, so the choice is plain: candidates are compared out of fold, one speaker
left out at a time, and a combination must beat the best single signal by `MARGIN` of AUROC to be taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.calibration.measures import auroc, corpus_weights, expected_calibration_error
from ugsd_core.calibration.outcomes import Acceptance, meaning_changes
from ugsd_core.calibration.records import ClipRecord
from ugsd_core.calibration.signals import SIGNALS
from ugsd_core.errors import OptionError
from ugsd_core.parts import install_line

__all__ = [
    "MARGIN",
    "Candidate",
    "Score",
    "Table",
    "candidates",
    "choose",
    "fit",
    "fit_isotonic",
    "make_table",
    "out_of_fold",
]

FloatArray = NDArray[np.float64]

#: By how much AUROC, out of fold, a combination must beat the best single signal.
MARGIN = 0.005
#: Up to this many speakers, each is a fold of its own; more are put into this many folds.
MOST_FOLDS = 12
#: A slope added to the isotonic steps, so that positions on one step keep the order that the regression gave them.
SLOPE = 1e-4

COMBINATIONS: tuple[tuple[str, ...], ...] = (
    ("head_doubt", "text_doubt"),
    ("entropy", "head_doubt", "text_doubt"),
    SIGNALS,
)


@dataclass(frozen=True, slots=True)
class Table:
    """All emotion positions of some records.

    Attributes:
        names: Signals, one a column.
        values: Shape (n, signals); NaN where a signal has no meaning.
        changed: Whether the verifier changes the meaning, shape (n,).
        weights: Shape (n,); corpora count alike.
        speakers: Of each position.
    """

    names: tuple[str, ...]
    values: FloatArray
    changed: NDArray[np.bool_]
    weights: FloatArray
    speakers: tuple[str, ...]

    def columns(self, names: Sequence[str]) -> FloatArray:
        """Some of the signals, shape (n, len(names))."""
        return self.values[:, [self.names.index(name) for name in names]]


def make_table(records: Sequence[ClipRecord], acceptance: Acceptance, names: Sequence[str] = SIGNALS) -> Table:
    """Lay out every emotion position.

    Raises:
        OptionError: If no record has one.
    """
    rows = [
        (record, entry, changed)
        for record in records
        for entry, changed in zip(record.positions, meaning_changes(record, acceptance), strict=True)
    ]
    if not rows:
        raise OptionError("no caption names an emotion that the tables know, so there is nothing to calibrate")
    values = [[_number(entry.signals.get(name)) for name in names] for _, entry, _ in rows]
    return Table(
        tuple(names),
        np.array(values, dtype=np.float64),
        np.array([changed for *_, changed in rows], dtype=bool),
        corpus_weights([record.corpus for record, *_ in rows]),
        tuple(record.speaker or f"\0{record.id}" for record, *_ in rows),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(frozen=True, slots=True)
class Score:
    """A fitted score: ``isotonic(sigmoid(weights · (x − mean) / scale + bias))``.

    A missing signal is taken at its mean, as the gate does.
    """

    signals: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    isotonic: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def of(self, values: FloatArray) -> FloatArray:
        """Scores (n,) of signals (n, len(signals)), NaN where missing."""
        standard = (values - np.array(self.mean)) / np.array(self.scale)
        logit = np.where(np.isnan(standard), 0.0, standard) @ np.array(self.weights) + self.bias
        scores: FloatArray = 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0)))
        if self.isotonic is not None:
            scores = np.interp(scores, np.array(self.isotonic[0]), np.array(self.isotonic[1]))
        return scores

    def of_signals(self, signals: dict[str, float | None]) -> float:
        """The score of one position."""
        return float(self.of(np.array([[_number(signals.get(name)) for name in self.signals]]))[0])


def fit(table: Table, names: Sequence[str]) -> Score:
    """Logistic regression of "the verifier changes the meaning" on standardised signals.

    Raises:
        OptionError: If the verifier changes everything, or nothing; or scikit-learn is not installed.
    """
    return _fit(table.columns(names), table.changed, table.weights, tuple(names))


def _fit(values: FloatArray, changed: NDArray[np.bool_], weights: FloatArray, names: tuple[str, ...]) -> Score:
    linear = _sklearn().linear_model
    if changed.all() or not changed.any():
        what = "every" if changed.any() else "no"
        raise OptionError(f"the verifier changes {what} emotion in these clips, so there is nothing to tell apart")
    known = ~np.isnan(values)
    total = np.maximum((known * weights[:, None]).sum(axis=0), 1e-12)
    mean = np.where(known, values, 0.0).T @ weights / total
    spread = np.where(known, values - mean, 0.0)
    scale = np.sqrt((spread**2).T @ weights / total)
    scale = np.where(scale > 1e-9, scale, 1.0)
    model = linear.LogisticRegression(C=1.0, max_iter=1000).fit(spread / scale, changed, sample_weight=weights)
    coefficients = tuple(float(weight) for weight in model.coef_[0])
    return Score(names, tuple(mean.tolist()), tuple(scale.tolist()), coefficients, float(model.intercept_[0]))


def _sklearn() -> Any:
    try:
        import sklearn.isotonic
        import sklearn.linear_model
    except ImportError as error:
        raise OptionError(f"calibration needs scikit-learn; install it with: {install_line('train')}") from error
    return sklearn


def folds(table: Table) -> NDArray[np.intp]:
    """The fold of each position, shape (n,): no speaker is in two."""
    speakers = list(dict.fromkeys(table.speakers))
    number = {speaker: index % MOST_FOLDS for index, speaker in enumerate(speakers)}
    return np.array([number[speaker] for speaker in table.speakers], dtype=np.intp)


def out_of_fold(table: Table, names: Sequence[str]) -> FloatArray:
    """The score of each position by a fit on the other speakers, shape (n,).

    Raises:
        OptionError: If there is one speaker only, or the others' meaning never changes.
    """
    fold = folds(table)
    if len(set(fold.tolist())) < 2:
        raise OptionError("one speaker alone can't tell how a score fares on another; give clips of two at least")
    values, scores = table.columns(names), np.empty(len(fold))
    for left_out in sorted(set(fold.tolist())):
        rest, own = fold != left_out, fold == left_out
        scores[own] = _fit(values[rest], table.changed[rest], table.weights[rest], tuple(names)).of(values[own])
    return scores


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of signals and what its score is worth on speakers it was not fitted on."""

    names: tuple[str, ...]
    auroc: float
    ece: float


def candidates(table: Table) -> list[Candidate]:
    """Every single signal that is known somewhere, then the combinations of such, each out of fold."""
    known = {name for name in SIGNALS if name in table.names and not np.isnan(table.columns([name])).all()}
    sets: list[tuple[str, ...]] = [(name,) for name in SIGNALS if name in known]
    combined = [tuple(name for name in names if name in known) for names in COMBINATIONS]
    sets += [names for names in dict.fromkeys(combined) if len(names) > 1]
    found = []
    for names in sets:
        scores = out_of_fold(table, names)
        area = auroc(scores, table.changed, table.weights)
        error = expected_calibration_error(scores, table.changed)
        assert area is not None and error is not None  # the fits would have failed before
        found.append(Candidate(names, area, error))
    return found


def choose(found: Sequence[Candidate]) -> Candidate:
    """The best single signal, unless a combination beats it by more than `MARGIN`."""
    single = max((c for c in found if len(c.names) == 1), key=lambda c: c.auroc)
    best = max(found, key=lambda c: c.auroc)
    return best if best.auroc > single.auroc + MARGIN else single


def fit_isotonic(table: Table, score: Score) -> Score:
    """The score followed by isotonic regression, fitted on out-of-fold scores so that it corrects what is new."""
    model = _sklearn().isotonic.IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(out_of_fold(table, score.signals), table.changed, sample_weight=table.weights)
    x = np.concatenate(([0.0], model.X_thresholds_, [1.0]))
    y = np.concatenate((model.y_thresholds_[:1], model.y_thresholds_, model.y_thresholds_[-1:]))
    rising = (1.0 - SLOPE) * y + SLOPE * x
    kept = np.concatenate(([True], np.diff(x) > 0.0))
    return replace(score, isotonic=(tuple(x[kept].tolist()), tuple(rising[kept].tolist())))
