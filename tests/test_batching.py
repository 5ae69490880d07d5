"""Whose turn it is, on a clock that only the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from ugsd_core.batching import Admission, BatchLimits, Job, Scheduler
from ugsd_core.errors import OptionError


def row(session: str, tokens: int = 5) -> Job:
    return Job(session, None, tokens)


def single(session: str) -> Job:
    return Job(session, None, 0)


def taken(scheduler: Scheduler, now_s: float = 100.0) -> str:
    """Sessions of the next pass, as one word."""
    found = scheduler.take(now_s)
    return "".join(str(job.session) for job in found) if isinstance(found, list) else ""


def scheduler(workers: int = 1, **limits: Any) -> Scheduler:
    return Scheduler(BatchLimits(**{"window_ms": 0.0} | limits), workers)


def test_a_session_that_asks_a_lot_does_not_hold_up_the_others() -> None:
    line = scheduler(rows=2)
    for _ in range(50):
        line.add(row("g"), 0.0)
    for name in "abc":
        line.add(row(name), 0.0)
    assert [taken(line) for _ in range(3)] == ["ga", "bc", "gg"], "each gets its turn, the greedy one what is left"
    line.add(row("d"), 0.0)
    assert taken(line) == "dg"


def test_a_greedy_session_gets_its_share_and_no_more_while_others_ask_without_a_pause() -> None:
    line, served, now_s = scheduler(rows=4), {name: 0 for name in "gabcdefg"}, 0.0
    for _ in range(1000):
        line.add(row("g"), now_s)
    for name in "abcdef":
        line.add(row(name), now_s)
    for _ in range(70):
        now_s += 0.01
        found = line.take(now_s)
        assert isinstance(found, list)
        for job in found:
            served[job.session] += 1
            if job.session != "g":  # asks again at once
                line.add(row(job.session), now_s)
        line.finished(found)
    assert max(served.values()) - min(served.values()) <= 1, served


def test_a_pass_holds_as_many_rows_and_tokens_as_are_allowed() -> None:
    line = scheduler(rows=3, tokens=20)
    for name in "abcdef":
        line.add(row(name, 10 if name < "d" else 50), 0.0)
    assert [taken(line) for _ in range(5)] == ["ab", "c", "d", "e", "f"], "one that is too large goes alone"
    assert line.take(0.0) is None and len(line) == 0


def test_one_worker_alternates_between_opening_and_blocks() -> None:
    line = scheduler(rows=2)
    for name in "abcd":
        line.add(row(name), 0.0)
        line.add(single(name.upper()), 0.0)
    order = []
    for _ in range(6):
        found = line.take(0.0)
        assert isinstance(found, list)
        order.append("".join(str(job.session) for job in found))
        line.finished(found)
    assert order == ["A", "ab", "B", "cd", "C", "D"]


def test_the_last_worker_judges_while_blocks_wait() -> None:
    line = scheduler(workers=2, rows=1)
    for name in "ab":
        line.add(row(name), 0.0)
        line.add(single(name.upper()), 0.0)
    first = line.take(0.0)
    assert isinstance(first, list) and first[0].session == "A"
    assert [taken(line), taken(line)] == ["a", "b"]
    assert taken(line) == "B", "with no block waiting, both may open"
    line.finished(first)


def test_what_nobody_wants_any_more_is_left_out() -> None:
    line = scheduler()
    jobs = [row("a"), row("b"), single("c")]
    for job in jobs:
        line.add(job, 0.0)
        job.cancelled = True
    assert line.take(0.0) is None
    line.add(row("d"), 0.0)
    assert taken(line, 0.0) == "d"


def test_a_block_waits_for_company_only_if_some_is_about_to_come() -> None:
    line = scheduler(window_ms=5.0, rows=3)
    line.add(row("a"), 0.0)
    assert taken(line, 0.0) == "a", "nobody else has ever asked"
    for step in range(99):  # three sessions, a block a millisecond
        line.add(row("abc"[step % 3]), step / 1e3)
        if step % 3 == 2:
            found = line.take(step / 1e3)
            assert isinstance(found, list) and len(found) == 3, "a full pass waits for nobody"
            line.finished(found)
    line.add(row("a"), 0.1)
    assert line.take(0.1) == pytest.approx(0.005)
    line.add(row("b"), 0.102)
    assert line.take(0.102) == pytest.approx(0.003)
    assert sorted(taken(line, 0.105)) == ["a", "b"], "the deadline is the first one's"
    line.add(row("c"), 0.106)
    assert taken(line, 0.106) == "c", "the others' blocks are being judged: they cannot ask"


def test_nobody_waits_for_sessions_that_fell_silent_or_are_slow() -> None:
    line = scheduler(window_ms=5.0)
    for name in "ab" * 20:
        line.add(row(name), 0.0)
    found = line.take(0.0)
    while isinstance(found, list):
        line.finished(found)
        found = line.take(0.0)
    line.add(row("a"), 2.0)
    assert taken(line, 2.0) == "a", "b was last heard of two seconds ago"
    slow = scheduler(window_ms=5.0)
    for step in range(20):
        slow.add(row("ab"[step % 2]), step * 0.05)
        assert taken(slow, step * 0.05) == "ab"[step % 2], "fifty milliseconds between blocks: not worth it"


def test_requests_beyond_the_bound_are_told_when_to_come_again() -> None:
    door = Admission(BatchLimits(waiting=4, waiting_each=2))
    door.took(10.0)
    assert door.refusal_after_ms("a") is None
    for session in "aab":
        door.enter(session)
    own = door.refusal_after_ms("a")
    assert own is not None and 20 <= own <= 5000, "one session cannot fill the line"
    assert door.refusal_after_ms("b") is None and door.refusal_after_ms("c") is None
    door.enter("c")
    assert door.refusal_after_ms("d") is not None, "and all together neither"
    door.leave("a")
    assert door.refusal_after_ms("d") is None and door.total == 3 and door.refused == 2
    for session in "abc":
        door.leave(session)
    assert door.total == 0


@pytest.mark.parametrize(
    "limits", [{"rows": 0}, {"tokens": 0}, {"waiting": 0}, {"window_ms": -1.0}, {"window_ms": 1e9}, {"memory_mb": 0.0}]
)
def test_limits_without_a_meaning_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        BatchLimits(**limits)
