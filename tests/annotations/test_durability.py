"""A short run of `tools.annotation_durability`; the long one is in docs/annotations.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotations.conftest import empty
from tools.annotation_durability import Report, run


def check(report: Report, kills: int) -> None:
    assert report.kills == kills and report.acknowledged > 0
    assert (report.lost, report.doubled, report.changed) == (0, 0, 0)
    assert report.problems == [] and report.errors == {}


@pytest.mark.timeout(300)
def test_no_acknowledged_event_is_lost_or_doubled_when_the_server_is_killed(tmp_path: Path) -> None:
    check(run(str(tmp_path / "a.db"), tmp_path, kills=5, seed=1), 5)


@pytest.mark.timeout(300)
def test_no_acknowledged_event_is_lost_or_doubled_when_writers_are_killed(tmp_path: Path) -> None:
    check(run(str(tmp_path / "a.db"), tmp_path, kills=3, writers=3, seed=1, direct=True), 3)


@pytest.mark.timeout(300)
def test_the_same_holds_with_postgresql(postgres_address: str, tmp_path: Path) -> None:
    empty(postgres_address)
    check(run(postgres_address, tmp_path, kills=2, seed=1), 2)
