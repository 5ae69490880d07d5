"""What every stream keeps of a caption."""

from __future__ import annotations

import pytest

from ugsd_core.models.held_ids import HeldIds


class Kept(HeldIds):
    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self._ids.extend(ids)
        self.forgotten: list[int] = []

    def _forgot(self, surplus: int) -> None:
        self.forgotten.append(surplus)


def test_a_suffix_is_forgotten_once_and_nothing_else() -> None:
    held = Kept([3, 1, 4, 1])
    held.truncate(4)
    assert held.forgotten == [] and held.length == 4
    held.truncate(1)
    assert held.forgotten == [3] and held.ids == (3,)
    held.truncate(0)
    assert held.forgotten == [3, 1] and held.ids == ()


@pytest.mark.parametrize("length", [-1, 3])
def test_more_than_is_held_cannot_be_kept(length: int) -> None:
    held = Kept([3, 1])
    with pytest.raises(ValueError, match=f"cannot truncate 2 tokens to {length}"):
        held.truncate(length)
    assert held.ids == (3, 1) and held.forgotten == []
