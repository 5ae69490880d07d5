from __future__ import annotations

import pytest

from tests.calibration.worlds import LENGTH, record, world
from ugsd_core.bootstrap import Interval
from ugsd_core.calibration.curves import World, best_within, curve, random_gate, signal_gate
from ugsd_core.calibration.fusion import Fusion, acceptances, choose_fusion, compare
from ugsd_core.calibration.outcomes import RANK, Acceptance


def four() -> list:  # type: ignore[type-arg]
    """Right and sure; wrong, unsure and mended; wrong and not mended; right and spoilt by the verifier."""
    return [
        record(0, label=1, edge=1, cloud=1, after=1, scores=(0.1,)),
        record(1, label=1, edge=2, cloud=1, after=1, scores=(0.9,)),
        record(2, corpus="small", speaker="s3", label=1, edge=2, cloud=3, after=3, scores=(0.6,)),
        record(3, corpus="small", speaker="s3", label=1, edge=1, cloud=4, after=4, scores=(0.4,)),
    ]


def test_figures_of_a_threshold_by_hand() -> None:
    made = World(four())
    assert made.edge == pytest.approx(0.5) and made.cloud == pytest.approx(0.5)
    scores = made.scores(signal_gate("entropy"))
    point = made.point(made.run(scores, 0.5), 0.5)
    assert point.accuracy == pytest.approx(0.75)  # big: 1 of 1 mended; small: still 1 of 2
    assert point.rho == pytest.approx(1 / (2 * LENGTH))
    assert point.trips == pytest.approx(0.5) and point.useful == pytest.approx(1.0)
    assert point.closure is None  # no gap between edge and cloud in this world
    everything = made.point(made.run(scores, 0.0), 0.0)
    assert everything.accuracy == pytest.approx(0.5) and everything.useful == pytest.approx(0.75)


def test_the_first_change_decides_and_nothing_is_sent_behind_it() -> None:
    twice = record(0, edge=2, after=1, cloud=1, scores=(0.9, 0.8))
    same = record(1, edge=2, after=2, cloud=1, scores=(0.9, 0.8))
    made = World([twice, same])
    run = made.run(made.scores(signal_gate("entropy")), 0.5)
    assert run.sent.tolist() == [1.0, 2.0] and run.changed.tolist() == [1.0, 0.0]


def test_a_curve_runs_from_nothing_to_everything() -> None:
    made = World(world(300))
    found = curve("text_doubt", signal_gate("text_doubt"), made, points=20)
    assert found.points[0].rho == 0.0 and found.points[0].closure == pytest.approx(0.0)
    assert found.points[-1].rho == pytest.approx(1 / LENGTH) and found.points[-1].closure == pytest.approx(1.0)
    rates = [point.rho for point in found.points]
    assert rates == sorted(rates) and len(rates) > 15
    half = best_within(found, 0.5 / LENGTH)
    assert half is not None and half.rho <= 0.5 / LENGTH + 1e-9


def test_doubt_beats_chance_and_an_oracle_beats_doubt() -> None:
    made = World(world(900))
    budget = 0.4 / LENGTH

    def closure(gate: object) -> float:
        point = best_within(curve("gate", gate, made), budget)  # type: ignore[arg-type]
        assert point is not None and point.closure is not None
        return point.closure

    chance = closure(random_gate(0))
    doubt = closure(signal_gate("head_doubt"))
    ceilings = {name: made.point(made.run(scores, 0.5), 0.5) for name, scores in made.oracles().items()}
    oracle = ceilings["oracle: the label changes"].closure
    repairs = ceilings["oracle: a wrong label is mended"].closure
    assert oracle is not None and repairs is not None
    assert chance == pytest.approx(0.4, abs=0.12)
    assert doubt > chance + 0.15
    assert repairs > max(doubt, oracle)


def test_a_signal_that_is_missing_never_sends() -> None:
    made = World(world(50))
    assert curve("fused_doubt", signal_gate("fused_doubt"), made).points == ()


def test_multiplying_labels_helps_where_the_sides_err_differently() -> None:
    found = compare(world(1500), draws=200)
    assert found[0].acceptance == RANK and found[0].gain.value == 0.0
    chosen = choose_fusion(found)
    assert chosen.acceptance.fused and chosen.gain.value is not None and chosen.gain.value > 0.01
    assert chosen.gain.low is not None and chosen.gain.low > 0.0
    assert all(sum((a.verifier, a.text, a.head)) == pytest.approx(1.0) for _, a in acceptances(head=True))


def test_a_tie_takes_the_simplest() -> None:
    alike = [record(n, label=n % 3, edge=n % 3, after=n % 3, cloud=n % 3, head=(1 / 9,) * 9) for n in range(9)]
    assert choose_fusion(compare(alike, draws=20)).acceptance == RANK


def test_a_gain_within_its_own_noise_is_none() -> None:
    def product(gain: float, low: float, high: float) -> Fusion:
        difference = Interval(gain, low, high, 900)
        return Fusion(Acceptance(0.3, 0.0, 0.7), 2, 0.78, 0.77 + gain, difference, difference)

    alone = Fusion(RANK, 1, 0.79, 0.77, Interval(0.0, 0.0, 0.0, 900), Interval(0.0, 0.0, 0.0, 900))
    assert choose_fusion([alone, product(0.006, -0.036, 0.025)]) is alone
    assert choose_fusion([alone, product(0.03, -0.01, 0.05)]).acceptance.fused
    assert not product(0.03, -0.1, 0.1).beats_verifier


def test_acceptances_say_what_they_are() -> None:
    assert RANK.name == "verifier alone (rank 1)"
    assert Acceptance(0.5, 0.25, 0.25).name == "verifier^0.5 · edge text^0.25 · edge head^0.25"
    assert not RANK.fused and Acceptance(0.9, 0.1, 0.0).fused
