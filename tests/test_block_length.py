from __future__ import annotations

from ugsd_core.block_length import AdaptiveLength, FixedLength, block_length
from ugsd_core.options import DecodingOptions


def test_fixed_never_changes() -> None:
    rule = FixedLength(4)
    for outcome in ("kept", "accepted", "accepted", "corrected"):
        rule.observe(outcome)  # type: ignore[arg-type]
        assert rule.next_length() == 4


def lengths(*outcomes: str) -> list[int]:
    rule = AdaptiveLength(4, 2, 8)
    seen = [rule.next_length()]
    for outcome in outcomes:
        rule.observe(outcome)  # type: ignore[arg-type]
        seen.append(rule.next_length())
    return seen


def test_adaptive_has_the_papers_three_levels() -> None:
    assert lengths("corrected") == [4, 2]
    assert lengths("accepted", "accepted", "accepted", "corrected") == [4, 4, 8, 8, 2]
    assert lengths("corrected", "accepted", "accepted") == [4, 2, 4, 8]


def test_a_kept_block_is_neither_corrected_nor_accepted() -> None:
    assert lengths("corrected", "kept") == [4, 2, 4]
    assert lengths("accepted", "kept", "accepted") == [4, 4, 4, 4]
    assert lengths("accepted", "accepted", "kept") == [4, 4, 8, 4]
    assert lengths("accepted", "unverified", "accepted") == [4, 4, 4, 4]


def test_chosen_by_name() -> None:
    assert isinstance(block_length(DecodingOptions(block_length="fixed", k=3)), FixedLength)
    assert isinstance(block_length(DecodingOptions(block_length="adaptive")), AdaptiveLength)
