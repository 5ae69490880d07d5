from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.worlds import record, world
from ugsd_core.calibration.fit import (
    MARGIN,
    Candidate,
    candidates,
    choose,
    fit,
    fit_isotonic,
    folds,
    make_table,
    out_of_fold,
)
from ugsd_core.calibration.measures import auroc, expected_calibration_error
from ugsd_core.calibration.outcomes import RANK, Acceptance, meaning_changes, steps
from ugsd_core.errors import OptionError

pytest.importorskip("sklearn")


def test_a_fit_is_scikit_learns_on_standardised_signals() -> None:
    from sklearn.linear_model import LogisticRegression

    table = make_table(world(200), RANK)
    names = ("text_doubt", "entropy")
    score = fit(table, names)
    values = table.columns(names)
    mean = np.average(values, axis=0, weights=table.weights)
    scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=table.weights))
    np.testing.assert_allclose(score.mean, mean)
    np.testing.assert_allclose(score.scale, scale)
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit((values - mean) / scale, table.changed, sample_weight=table.weights)
    np.testing.assert_allclose(score.of(values), model.predict_proba((values - mean) / scale)[:, 1], atol=1e-9)


def test_a_missing_signal_counts_as_its_mean() -> None:
    table = make_table(world(200), RANK)
    score = fit(table, ("head_doubt", "text_doubt"))
    known = score.of_signals({"head_doubt": score.mean[0], "text_doubt": 0.4})
    assert score.of_signals({"head_doubt": None, "text_doubt": 0.4}) == pytest.approx(known)
    assert score.of_signals({"text_doubt": 0.4}) == pytest.approx(known)


def test_no_speaker_is_scored_by_a_fit_that_saw_it() -> None:
    table = make_table(world(300), RANK)
    fold = folds(table)
    for speaker in set(table.speakers):
        assert len({fold[n] for n, name in enumerate(table.speakers) if name == speaker}) == 1
    left_out = table.speakers[0]
    own = np.array([name == left_out for name in table.speakers])
    spoilt = replace(table, changed=np.where(own, ~table.changed, table.changed))
    np.testing.assert_allclose(
        out_of_fold(table, ("text_doubt",))[own], out_of_fold(spoilt, ("text_doubt",))[own], atol=1e-9
    )


def test_the_signal_that_hears_more_wins_and_a_combination_only_by_a_margin() -> None:
    table = make_table(world(900), RANK)
    found = {c.names: c for c in candidates(table)}
    assert found[("head_doubt",)].auroc > found[("entropy",)].auroc > found[("nll",)].auroc
    assert ("fused_doubt",) not in found  # it is known nowhere in this world
    chosen = choose(list(found.values()))
    single = max(c.auroc for c in found.values() if len(c.names) == 1)
    assert len(chosen.names) == 1 or chosen.auroc > single + MARGIN
    close = [Candidate(("entropy",), 0.80, 0.1), Candidate(("entropy", "nll"), 0.80 + MARGIN / 2, 0.1)]
    assert choose(close).names == ("entropy",)
    far = [*close, Candidate(("margin", "nll"), 0.90, 0.1)]
    assert choose(far).names == ("margin", "nll")


def test_isotonic_steps_calibrate_and_keep_the_order() -> None:
    records = world(1200)
    table = make_table(records, RANK)
    plain = fit(table, ("entropy",))
    bent = replace(plain, bias=plain.bias + 1.5)  # predicts far too much
    stepped = fit_isotonic(table, plain)
    values = table.columns(("entropy",))
    assert auroc(stepped.of(values), table.changed) == pytest.approx(auroc(plain.of(values), table.changed), abs=0.02)
    scores = stepped.of(values)
    assert len(np.unique(scores)) > 100  # positions on one step can still be told apart
    error, bent_error = (expected_calibration_error(s.of(values), table.changed) for s in (stepped, bent))
    assert error is not None and bent_error is not None and error < 0.05 < bent_error


def test_what_cannot_be_fitted_is_said_in_a_sentence() -> None:
    with pytest.raises(OptionError, match="nothing to calibrate"):
        make_table([record(scores=())], RANK)
    with pytest.raises(OptionError, match="changes no emotion"):
        fit(make_table([record(0), record(1)], RANK), ("entropy",))
    with pytest.raises(OptionError, match="one speaker alone"):
        out_of_fold(make_table([record(0), record(1, after=2)], RANK), ("entropy",))


def test_the_fused_rule_of_the_records_is_the_verifiers_own() -> None:
    """`steps` against `FusedRule.judge` on the same distributions."""
    from ugsd_core.acceptance import FusedRule
    from ugsd_core.calibration.outcomes import edge_posterior
    from ugsd_core.uncertainty import Distribution, distribution

    class OneWordALabel:
        def label_of(self, token_id: int) -> int | None:
            return token_id if token_id < 9 else None

        def masses_of(self, seen: Distribution) -> np.ndarray:  # type: ignore[type-arg]
            return np.array([seen.probability(label) for label in range(9)], dtype=np.float32)

        def ids_of(self, label: int) -> np.ndarray:  # type: ignore[type-arg]
            return np.array([label])

    for fusion in (0.3, 0.5, 0.8):
        acceptance = Acceptance(fusion, (1 - fusion) / 3, 2 * (1 - fusion) / 3)
        rule = FusedRule(1, fusion, OneWordALabel())
        for made in world(150, seed=3):
            entry = made.positions[0]
            row = np.log(np.array([*entry.verifier, 1 - sum(entry.verifier)], dtype=np.float32))
            assert entry.label is not None
            posterior = edge_posterior(made, entry, acceptance.text, acceptance.head)
            replacement = rule.judge(entry.label, distribution(row, 5), posterior)
            assert steps(made, acceptance)[0].final == (entry.label if replacement is None else replacement)


def test_where_the_verifier_wants_no_emotion_word_the_record_decides() -> None:
    made = record(edge=1, after=2, verifier=(0.04,) * 9)
    fused = Acceptance(0.5, 0.5, 0.0)
    assert steps(made, fused)[0].final == 2
    assert meaning_changes(made, fused) == (True,)
    assert meaning_changes(record(edge=1, after=1)) == (False,)
