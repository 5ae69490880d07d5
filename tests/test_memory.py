from __future__ import annotations

from ugsd_core.memory import MemoryLedger


class Kept:
    """Things that note when they have to go."""

    def __init__(self, cap_bytes: int) -> None:
        self.ledger = MemoryLedger(cap_bytes)
        self.gone: list[str] = []

    def hold(self, key: str, size_bytes: int, *, small: bool = False) -> None:
        self.ledger.hold(key, key[0], size_bytes, lambda: self.gone.append(key), small=small)
        self.ledger.trim()


def test_what_was_not_used_for_longest_goes_first() -> None:
    kept = Kept(30)
    for key in ("a", "b", "c"):
        kept.hold(key, 10)
    kept.ledger.pin("a")  # a use
    kept.ledger.unpin("a")
    kept.hold("d", 10)
    assert kept.gone == ["b"] and kept.ledger.total_bytes == 30 and kept.ledger.evicted == 1
    kept.hold("c", 20)  # it grew
    assert kept.gone == ["b", "a"]


def test_what_is_in_use_stays_and_goes_when_it_is_free() -> None:
    kept = Kept(20)
    kept.hold("a", 10)
    kept.ledger.pin("a")
    kept.ledger.pin("a")
    kept.hold("b", 10)
    kept.hold("c", 10)
    assert kept.gone == ["b"]
    kept.ledger.pin("c")
    kept.hold("a", 25)
    assert kept.gone == ["b"] and kept.ledger.total_bytes == 35, "nothing can go"
    kept.ledger.unpin("a")
    kept.ledger.trim()
    assert kept.gone == ["b"], "still in use once"
    kept.ledger.unpin("a")
    kept.ledger.trim()
    assert kept.gone == ["b", "a"]


def test_codes_outlast_what_was_made_of_them() -> None:
    kept = Kept(30)
    kept.hold("a-code", 5, small=True)
    kept.hold("a", 20)
    kept.hold("b", 10)
    assert kept.gone == ["a"]
    kept.hold("c-code", 20, small=True)
    assert kept.gone == ["a", "b"]
    kept.hold("d-code", 20, small=True)
    assert kept.gone == ["a", "b", "a-code", "c-code"]


def test_a_session_that_takes_more_than_its_share_loses_its_own_first() -> None:
    kept = Kept(40)
    kept.hold("quiet", 10)
    for number in range(6):
        kept.hold(f"greedy-{number}", 10)
    assert kept.gone == ["greedy-0", "greedy-1", "greedy-2"], "though the quiet one was used least recently"
    assert kept.ledger.bytes_of("q") == 10 and kept.ledger.bytes_of("g") == 30


def test_an_utterance_is_opened_only_when_there_is_room_beside_what_is_in_use() -> None:
    kept = Kept(25)
    assert kept.ledger.room()
    kept.hold("a", 10)
    kept.ledger.pin("a")
    assert kept.ledger.room()
    kept.ledger.reserve("b", "b", lambda: None)
    assert kept.ledger.total_bytes == 20 and not kept.ledger.room(), "counted as the largest so far"
    kept.ledger.hold("b", "b", 8, lambda: None)
    kept.ledger.unpin("b")
    assert kept.ledger.room() and kept.ledger.total_bytes == 18
    kept.ledger.reserve("c", "c", lambda: None)
    assert kept.ledger.total_bytes == 20, "b had to make room"
    for key in "ac":
        kept.ledger.release(key)
    assert kept.ledger.total_bytes == 0 and kept.ledger.room() and len(kept.ledger) == 0


def test_when_memory_runs_out_the_least_recently_used_half_goes_and_what_is_in_use_stays() -> None:
    kept = Kept(1000)
    for key in "abcde":
        kept.hold(key, 10)
    kept.hold("a-code", 2, small=True)
    kept.ledger.pin("a")
    assert kept.ledger.relieve() == 30 and kept.gone == ["b", "c", "d"]
    assert kept.ledger.relieve() == 10 and kept.ledger.relieve() == 0 and kept.ledger.evicted == 4
    assert kept.ledger.total_bytes == 12, "what is in use, and codes"
