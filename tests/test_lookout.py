"""A pass that would end too long behind the verdict is not begun before it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.conftest import Pair
from tests.test_ahead import SETTINGS, caption, close, told
from ugsd_core.lookout import Lookout
from ugsd_core.options import DecodingOptions
from ugsd_core.pace import BlockTimes, Pace


@dataclass
class World:
    """A clock of its own, on which a verdict comes and passes take their time; seconds.

    Attributes:
        verdict_at: When the verdict comes.
        pass_s: What a pass takes.
        begun: When passes began.
    """

    verdict_at: float
    pass_s: float
    now: float = 0.0
    begun: list[float] = field(default_factory=list)

    def answered(self, most_s: float) -> bool:
        """Waits for the verdict, but no longer than that."""
        self.now = min(self.now + most_s, max(self.now, self.verdict_at))
        return self.now >= self.verdict_at

    def ends(self, lookout: Lookout) -> float:
        """Works until the verdict is there; when that is over."""
        while not lookout.is_there(self.answered):
            self.begun.append(round(self.now, 6))
            self.now += self.pass_s
        return self.now


def learned(*, pass_ms: float, wait_ms: float, passed: int = 60, failed: int = 60) -> Pace:
    """A pace that knows all three; half of the tokens are accepted."""
    pace = Pace()
    for _ in range(40):
        pace.learn_pass(pass_ms)
        pace.learn(BlockTimes(1, None, wait_ms, 1), sent=True)
    pace._accepted, pace._rejected = float(passed), float(failed)
    return pace


def played(pace: Pace, world: World, *, length: int = 1, bonus: bool = False, first: bool = False) -> World:
    lookout = Lookout(pace, length, bonus=bonus, first=first, clock=lambda: world.now)
    world.ends(lookout)
    return world


@pytest.mark.parametrize("slack", [-0.001, 0.001])
def test_a_pass_begins_only_if_more_is_left_than_it_would_lose(slack: float) -> None:
    """With P = 1/2 it begins if more than half a pass is left."""
    verdict_at = 1.0 + 0.25 + slack
    world = played(learned(pass_ms=500.0, wait_ms=verdict_at * 1e3), World(verdict_at, 0.5))
    assert world.begun == ([0.0, 0.5, 1.0] if slack > 0 else [0.0, 0.5])
    assert world.now == pytest.approx(1.5 if slack > 0 else verdict_at)


def test_a_block_of_many_tokens_is_rarely_accepted_whole_and_a_bonus_makes_that_rarer() -> None:
    def begun(length: int, bonus: bool) -> int:
        pace = learned(pass_ms=500.0, wait_ms=1_750.0, passed=90, failed=10)
        return len(played(pace, World(1.75, 0.5), length=length, bonus=bonus).begun)

    assert begun(1, False) == 4 and begun(8, False) == 3
    # 0.9³ = .73 and 0.9⁴ = .66: with 0.3 of a pass left, the bonus tips it.
    pace = learned(pass_ms=500.0, wait_ms=1_650.0, passed=90, failed=10)
    assert [len(played(pace, World(1.65, 0.5), length=3, bonus=bonus).begun) for bonus in (False, True)] == [4, 3]


def test_before_anything_is_known_the_edge_drafts_on() -> None:
    assert len(played(Pace(), World(1.2, 0.5)).begun) == 3
    assert len(played(learned(pass_ms=500.0, wait_ms=1_000.0), World(1.2, 0.5), first=True).begun) == 3


def test_a_verdict_that_is_overdue_is_waited_for_no_longer_than_a_pass() -> None:
    world = played(learned(pass_ms=500.0, wait_ms=1_000.0), World(4.2, 0.5))
    assert world.begun == [0.0, 0.5, *(1.5 + n * 0.5 for n in range(6))]


def test_what_a_pass_takes_is_learned_without_the_pauses() -> None:
    pace = learned(pass_ms=500.0, wait_ms=1_000.0)
    for _ in range(200):
        played(pace, World(1.0, 0.3))
    assert pace.pass_ms == pytest.approx(300.0, rel=0.01)


def test_passes_that_seemed_too_long_to_begin_any_are_measured_by_drafting() -> None:
    pace = learned(pass_ms=50_000.0, wait_ms=1_000.0)
    assert played(pace, World(1.0, 0.3)).begun == []
    pace.learn(BlockTimes(4, 1_200.0), sent=False)
    assert pace.pass_ms == 300.0
    assert played(pace, World(1.0, 0.3)).begun


def test_waits_for_a_captions_first_block_are_learned_apart() -> None:
    pace = Pace()
    for first, ms in ((True, 900.0), (False, 100.0)):
        pace.learn(BlockTimes(4, 8.0, ms, 4, first), sent=True)
    assert pace.wait_ms(True) == 900.0 and pace.wait_ms(False) == 100.0


@pytest.mark.parametrize("options", [SETTINGS[1], SETTINGS[3]], ids=["greedy", "drawn"])
def test_a_caption_is_the_same_to_the_last_bit_whatever_was_begun_ahead(
    emotional_pair: Pair, options: DecodingOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = told(caption(emotional_pair, 4, options)[0])
    expected = told(caption(emotional_pair, 4, options.changed(ahead=False))[0])
    paused: list[float] = []

    def every_other(self: Lookout, now: float) -> float:
        paused.append(now)
        return 0.002 * (len(paused) % 2)

    monkeypatch.setattr(Lookout, "_pause_s", every_other)
    assert told(caption(emotional_pair, 4, options)[0]) == plain and len(paused) > 3
    assert close(plain, expected)
