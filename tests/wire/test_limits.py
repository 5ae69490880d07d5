from __future__ import annotations

import pytest

from ugsd_core.errors import OptionError
from ugsd_core.wire import limits
from ugsd_core.wire.limits import Bucket, ClientBook, ClientLimits


def test_a_bucket_fills_at_its_rate_and_no_further() -> None:
    bucket = Bucket(rate=2.0, size=4.0, now_s=0.0)
    assert [bucket.take(1.0, 0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    assert bucket.take(1.0, 0.5) == 0.0
    assert bucket.take(100.0, 100.0) == 0.0, "more than it ever holds is all it holds"
    assert bucket.take(1.0, 100.0) == 0.5


def test_what_is_spent_in_any_case_is_waited_for_afterwards() -> None:
    bucket = Bucket(rate=10.0, size=20.0, now_s=0.0)
    assert bucket.spend(15.0, 0.0) == 0.0
    assert bucket.spend(15.0, 0.0) == 1.0
    assert bucket.spend(0.0, 1.0) == 0.0


def test_wrong_tokens_wait_longer_each_time_and_are_forgotten() -> None:
    book = ClientBook(ClientLimits())
    client = book.account("somebody", 0.0)
    waits = [book.failed(client, 0.0) for _ in range(12)]
    assert waits[:5] == [0.0] * 5 and waits[5] == 0.2 and waits == sorted(waits) and waits[-1] == 5.0
    assert book.failed(client, 600.0) == 0.0
    assert book.failed(book.account("another", 0.0), 0.0) == 0.0


def test_the_book_forgets_who_was_heard_longest_ago_and_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CLIENTS", 2)
    book = ClientBook(ClientLimits())
    first = book.account("first", 0.0)
    first.sessions = 1
    for number in range(5):
        book.account(f"later {number}", float(number))
    assert len(book) == 2 and book.account("first", 9.0) is first


@pytest.mark.parametrize("name", ["sessions", "idle_s", "frame_kb"])
def test_a_limit_is_above_zero(name: str) -> None:
    for value in (0, -1, float("nan")):
        with pytest.raises(OptionError, match=name):
            ClientLimits(**{name: value})  # type: ignore[arg-type]
