from __future__ import annotations

import numpy as np
import pytest

from ugsd_core.acceptance import ACCEPTANCE_RULES, acceptance_rule, rank_warning
from ugsd_core.errors import OptionError
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.uncertainty import distribution

PROBS = (0.05, 0.5, 0.3, 0.15)
SEEN = distribution(np.log(np.array(PROBS, dtype=np.float32)), 4)


def accepted(name: str, *, rank: int = 1, probability: float = 0.3) -> list[int]:
    rule = acceptance_rule(name, rank=rank, probability=probability)
    return [i for i in range(4) if rule.accepts(i, SEEN)]


def test_rank_accepts_the_r_best() -> None:
    assert accepted("rank", rank=1) == [1]
    assert accepted("rank", rank=2) == [1, 2]
    assert accepted("rank", rank=4) == [0, 1, 2, 3]


def test_probability_accepts_from_p_on_and_always_the_best() -> None:
    assert accepted("probability", probability=0.29) == [1, 2]
    assert accepted("probability", probability=0.9) == [1]


def test_typical_asks_less_of_an_undecided_verifier() -> None:
    rule = acceptance_rule("typical", rank=1, probability=0.3)
    decided = distribution(np.log(np.array([0.97, 0.01, 0.01, 0.01], dtype=np.float32)), 4)
    assert not rule.accepts(1, decided)
    # entropy of PROBS is 1.14 nats: the bar is min(0.3, 0.548 * exp(-1.14)) = 0.175
    assert accepted("typical", probability=0.3) == [1, 2]
    flat = distribution(np.zeros(100, dtype=np.float32), 4)
    assert rule.accepts(57, flat)


def test_greedy_accepts_only_the_verifiers_choice() -> None:
    assert accepted("greedy") == [1]


@pytest.mark.parametrize("name", list(ACCEPTANCE_RULES))
def test_every_rule_accepts_the_verifiers_own_choice(name: str) -> None:
    flat = distribution(np.zeros(500, dtype=np.float32), 4)
    assert acceptance_rule(name, rank=1, probability=0.9).accepts(flat.best, flat)


def test_unknown_rule() -> None:
    with pytest.raises(OptionError, match="choose one of rank"):
        acceptance_rule("best", rank=1, probability=0.5)


def test_warns_when_a_rank_cannot_reject() -> None:
    assert "cannot reject anything" in str(rank_warning(preset("paper", rank=700), 700))
    assert "almost nothing" in str(rank_warning(preset("paper"), 700))
    assert rank_warning(preset("paper"), 151_646) is None
    assert rank_warning(preset("default"), 700) is None
    assert rank_warning(DecodingOptions(mode="edge", rank=700), 700) is None
