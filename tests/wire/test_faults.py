"""A faulty link does to messages what it was told to, the same for the same seed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.wire.fakes import EDGE, INFO, FakeVerifier, open_request, serving, verify
from ugsd_core.errors import OptionError, UgsdError, VerdictTimeout, VerifierUnavailable
from ugsd_core.messages import Verdict
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.faults import Faults, FaultyLink


@contextmanager
def linked() -> Iterator[tuple[FaultyLink, WebSocketLink]]:
    with (
        serving(FakeVerifier()) as address,
        FaultyLink(address, Faults()) as faulty,
        WebSocketLink(faulty.address) as link,
    ):
        yield faulty, link


def ask(link: WebSocketLink, deadline_s: float = 0.4) -> Verdict:
    link.connect(EDGE, {})
    link.open(open_request())
    return link.judge(verify("u", 0, (1, 2, 3)), deadline_s)


def test_without_faults_nobody_knows_of_it() -> None:
    with serving(FakeVerifier()) as address, FaultyLink(address, Faults()) as faulty:
        with WebSocketLink(address) as direct, WebSocketLink(faulty.address) as link:
            assert link.connect(EDGE, {}) == INFO
            assert ask(link).judged == ask(direct).judged
        assert not faulty.happened and faulty.connections == 1


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ("refuse=1", VerifierUnavailable),
        ("cut=1", VerifierUnavailable),
        ("tear=1", VerifierUnavailable),
        ("drop=1", VerifierUnavailable),
        ("half_open=1", VerifierUnavailable),
        ("duplicate=1", UgsdError),
    ],
)
def test_a_handshake_that_meets_a_fault_fails_in_time_with_a_typed_error(faults: str, error: type[Exception]) -> None:
    with serving(FakeVerifier()) as address, FaultyLink(address, Faults.parse(faults)) as faulty:
        began = time.monotonic()
        with WebSocketLink(faulty.address, open_timeout_s=0.3) as link, pytest.raises(error):
            ask(link)
        assert time.monotonic() - began < 3.0
        assert set(faulty.happened) == {faults.split("=")[0]}


@pytest.mark.parametrize(("faults", "in_time"), [("drop=1", False), ("half_open=1", False), ("duplicate=1", True)])
def test_a_block_that_meets_a_fault_is_answered_or_late(faults: str, in_time: bool) -> None:
    with linked() as (faulty, link):
        link.connect(EDGE, {})
        link.open(open_request())
        link.opened("u", 5.0)
        faulty.faults = Faults.parse(faults)
        if in_time:
            verdict = link.judge(verify("u", 0, (1, 2)), 5.0)
            assert link.judge(verify("u", 0, (1, 2)), 5.0) == verdict
        else:
            with pytest.raises(VerdictTimeout):
                link.judge(verify("u", 0, (1, 2)), 0.1)


def test_swapped_messages_both_arrive_and_one_that_nothing_follows_goes_on_alone() -> None:
    with linked() as (faulty, link):
        link.connect(EDGE, {})
        link.open(open_request())
        link.opened("u", 5.0)
        faulty.faults = Faults(reorder=1.0)
        assert link.judge(verify("u", 0, (1, 2)), 5.0).sequence == 0


def test_a_slow_reader_is_slow() -> None:
    with serving(FakeVerifier()) as address, FaultyLink(address, Faults(slow=1.0, slow_bytes_per_s=10_000.0)) as faulty:
        began = time.monotonic()
        with WebSocketLink(faulty.address) as link:
            ask(link, 5.0)
        assert time.monotonic() - began > 0.2, "128 bytes hello, welcome, 4 kB of code …"


def test_the_same_seed_breaks_the_same_messages() -> None:
    def lot(seed: int) -> list[str]:
        with serving(FakeVerifier()) as address, FaultyLink(address, Faults(drop=0.3), seed) as faulty:
            out = []
            for _ in range(4):
                with WebSocketLink(faulty.address, open_timeout_s=0.15) as link:
                    try:
                        ask(link, 0.15)
                        out.append("answered")
                    except UgsdError as error:
                        out.append(type(error).__name__)
            return out

    first = lot(3)
    assert first == lot(3) and len(set(first)) > 1


@pytest.mark.parametrize("text", ["moon=1", "cut", "cut=x", "cut=2", "cut=nan"])
def test_faults_without_a_meaning_are_refused(text: str) -> None:
    with pytest.raises(OptionError):
        Faults.parse(text)


def test_only_plain_addresses_can_be_broken() -> None:
    with pytest.raises(OptionError):
        FaultyLink("wss://host", Faults())
